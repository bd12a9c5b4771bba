"""Small media files of every container that c2pa writes, and their signed twins."""

from __future__ import annotations

import io
import random
import struct
import wave
import zipfile
from collections.abc import Callable
from functools import cache

from support.credentials import Credentials, make_credentials

__all__ = ["MEDIA", "boxed", "chunk", "image", "riff", "sign_media", "signed", "unsigned"]

ACTIONS = {
    "label": "c2pa.actions.v2",
    "created": True,
    "data": {
        "actions": [
            {
                "action": "c2pa.created",
                "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/"
                "trainedAlgorithmicMedia",
            }
        ]
    },
}


def image(format_: str, *, side: int = 48, **options: object) -> bytes:
    """Return a picture of noise."""
    from PIL import Image

    pixels = random.Random(side).randbytes(side * side * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(out, format_, **options)
    return out.getvalue()


def boxed(name: bytes, payload: bytes) -> bytes:
    """Return an ISO BMFF box."""
    return struct.pack(">I", 8 + len(payload)) + name + payload


def riff(form: bytes, *chunks: bytes) -> bytes:
    """Return a RIFF file."""
    body = form + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name: bytes, payload: bytes) -> bytes:
    """Return a RIFF chunk, padded."""
    return name + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) & 1)


def _wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(random.Random(1).randbytes(1600))
    return out.getvalue()


def _avi() -> bytes:
    header = chunk(b"avih", bytes(56))
    return riff(
        b"AVI ",
        chunk(b"LIST", b"hdrl" + header),
        chunk(b"LIST", b"movi" + chunk(b"00dc", bytes(range(200)))),
    )


def _bmff(brand: bytes) -> bytes:
    head = boxed(b"ftyp", brand + b"\0\0\0\0" + brand + b"isom")
    return head + boxed(b"free", b"") + boxed(b"mdat", bytes(range(256)) * 4)


def _jxl() -> bytes:
    signature = boxed(b"JXL ", b"\r\n\x87\n")
    return (
        signature + boxed(b"ftyp", b"jxl \0\0\0\0jxl ") + boxed(b"jxlc", b"\xff\x0a" + bytes(200))
    )


def _mp3() -> bytes:
    # MPEG 1 layer III, 128 kbit/s, 44.1 kHz: frames of 417 bytes.
    return (b"\xff\xfb\x90\x00" + bytes(413)) * 4


def _flac() -> bytes:
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + bytes.fromhex("0ac442f000000000") + bytes(16)
    return b"fLaC\x80" + struct.pack(">I", len(info))[1:] + info + b"\xff\xf8" + bytes(64)


def _pdf() -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    ]
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 4\n0000000000 65535 f \n" + table
    return out + b"trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    # Stored: c2pa-rs 0.91.3 as released cannot read compressed entries.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name in names:
            file.writestr(name, f"the text of {name}\n" * 9)
    return out.getvalue()


_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
_OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

# By name: media type, and what makes an unsigned file.
MEDIA: dict[str, tuple[str, Callable[[], bytes]]] = {
    "jpeg": ("image/jpeg", lambda: image("JPEG")),
    "jpeg-progressive": ("image/jpeg", lambda: image("JPEG", progressive=True, side=64)),
    "png": ("image/png", lambda: image("PNG")),
    "webp": ("image/webp", lambda: image("WEBP")),
    "gif": ("image/gif", lambda: image("GIF")),
    "tiff": ("image/tiff", lambda: image("TIFF")),
    "avif": ("image/avif", lambda: _bmff(b"avif")),
    "heic": ("image/heic", lambda: _bmff(b"heic")),
    "svg": ("image/svg+xml", lambda: _SVG),
    "jxl": ("image/jxl", _jxl),
    "wav": ("audio/wav", _wav),
    "avi": ("video/avi", _avi),
    "mp3": ("audio/mpeg", _mp3),
    "flac": ("audio/flac", _flac),
    "mp4": ("video/mp4", lambda: _bmff(b"mp42")),
    "mov": ("video/quicktime", lambda: _bmff(b"qt  ")),
    "m4a": ("audio/mp4", lambda: _bmff(b"M4A ")),
    "pdf": ("application/pdf", _pdf),
    "zip": ("application/x-zip", lambda: _zip("a.txt", "b/c.txt")),
    "docx": (_OFFICE, lambda: _zip("[Content_Types].xml", "word/document.xml")),
}


@cache
def unsigned(name: str) -> bytes:
    """Return a file without a manifest."""
    return MEDIA[name][1]()


@cache
def signed(name: str) -> tuple[bytes, bytes]:
    """Return that file with a manifest, as c2pa wrote it, and the manifest store."""
    return sign_media(MEDIA[name][0], unsigned(name))


def sign_media(
    media_type: str,
    data: bytes,
    *,
    credentials: Credentials | None = None,
    remote: str = "",
    embed: bool = True,
) -> tuple[bytes, bytes]:
    """Return a file as c2pa signs it, and its manifest store.

    Args:
        media_type: What `data` is.
        data: The file.
        credentials: Who signs.
        remote: Address that is written into the file's XMP.
        embed: Whether the store is, too.

    """
    from c2pa import Builder, C2paSignerInfo, Context, Settings, Signer

    who = credentials or make_credentials()
    context = Context(Settings.from_dict(who.settings))
    definition = {
        "claim_generator_info": [{"name": "countermark-tests", "version": "1"}],
        "title": "sample",
        "assertions": [ACTIONS],
    }
    builder = Builder(definition, context)
    if remote:
        builder.set_remote_url(remote)
    if not embed:
        builder.set_no_embed()
    out = io.BytesIO()
    signer = Signer.from_info(C2paSignerInfo(b"es256", who.chain_pem, who.key_pem, None))
    store = builder.sign(signer, media_type, io.BytesIO(data), out)
    return out.getvalue(), bytes(store)
