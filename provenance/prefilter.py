"""Most files carry no credentials: say so in microseconds, and never of one that does.

"No" means that neither c2pa nor a carrier of ours would find a manifest in these bytes, nor the
address of one. "Perhaps" means that somebody has to look: also for whatever is odd, cut short or
compressed where a mark could be. A manifest beside the file is not in its bytes: `scan` looks.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from countermark.provenance import containers, id3, tiff
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.extract import container_of
from countermark.provenance.extract_documents import ZIP_NAME, zip_directory
from countermark.provenance.window import Window

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "HEAD_BYTES",
    "file_may_carry",
    "may_carry",
    "opened_may_carry",
    "stream_may_carry",
]

HEAD_BYTES: Final = 1 << 16  # The segments before the first scan usually end within.

_KIND_BYTES = 4096
_BLOCK_BYTES = 1 << 20
_MAX_HEADER = 1 << 27
_MAX_XMP = 1 << 24
# Of C2PA 2.5, A.8: the magic of a wrapper, each byte as a variation selector in UTF-8.
_TEXT_MAGIC: Final = "".join(chr(0xE0100 + byte - 16) for byte in b"C2PATXT").encode()
_REFERENCE: Final = b"provenance"  # `dcterms:provenance` of XMP, whatever its prefix is called.
# An attribute of HTML may be written with character references: "application/c2p&#97;".
_DISGUISED: Final = re.compile(
    rb"\b(?:type|rel)\s*=\s*(?:\"[^\"]{0,99}&|'[^']{0,99}&|[^\s>\"']{0,99}&)", re.IGNORECASE
)
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_TAG, _C2PA_TAG = 700, 0xCD41


def may_carry(data: bytes, media_type: str = "") -> bool:
    """Return whether somebody has to look for a manifest in `data`.

    Args:
        data: A whole file.
        media_type: What it is said to be; `text/…` is read as text, whatever it begins with.

    """
    if data[:3] == b"\xff\xd8\xff" and not media_type.startswith("text/"):
        return _jpeg(data, len(data))
    return stream_may_carry(io.BytesIO(data), media_type)


def file_may_carry(path: Path) -> bool:
    """Return the same of a file, reading no more of it than is needed.

    Raises:
        OSError: It cannot be read.

    """
    with path.open("rb", buffering=0) as file:
        return opened_may_carry(file, file.read(HEAD_BYTES) or b"")


def opened_may_carry(file: BinaryIO, head: bytes) -> bool:
    """Return the same of an open file whose first `HEAD_BYTES` (or all) are at hand.

    Raises:
        OSError: It cannot be read.

    """
    if len(head) < HEAD_BYTES:
        return may_carry(head)
    # Only a file whose segments go on needs another look, with more of it.
    if head[:3] == b"\xff\xd8\xff" and not _jpeg(head, len(head)):
        return False
    return stream_may_carry(file)


def stream_may_carry(source: BinaryIO, media_type: str = "") -> bool:
    """Return the same of a seekable binary file.

    Raises:
        OSError: It cannot be read.

    """
    window = Window(source)
    if not window.size:
        return False
    head = window.some(0, _KIND_BYTES)
    container = "" if media_type.startswith("text/") else container_of(head)
    check = _CHECKS.get(container, _anything)
    try:
        return check(window)
    except MalformedContentError:
        return True


def _jpeg(data: bytes, size: int) -> bool:
    """Look at the segments before the first scan: c2pa-rs 0.91.3 looks no further."""
    at = 2
    while at + 4 <= size and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return False
        if marker < 0xC0 or 0xD0 <= marker <= 0xD9 or marker == 0xFF:
            return True  # Fill bytes, an end without a scan, a marker without a length: odd.
        end = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if marker == 0xEB and data.find(b"c2pa", at + 4, end) >= 0:
            return True
        # Extended XMP is not read by c2pa, and EXIF is long: only the packet itself counts.
        if marker == 0xE1 and data[at + 4 : at + 8] == b"http":
            if data.find(_REFERENCE, at + 4, end) >= 0:
                return True
        at = end
    return True


def _jpeg_stream(window: Window) -> bool:
    for piece in containers.jpeg_segments(window):
        if piece.name == b"\xeb" and b"c2pa" in window.some(piece.start, piece.length):
            return True
        if piece.name == b"\xe1" and _REFERENCE in window.some(piece.start, piece.length):
            return True
    return False


def _png(window: Window) -> bool:
    return any(
        piece.name == b"caBX" or (piece.name == b"iTXt" and _refers(window, piece))
        for piece in containers.png_chunks(window)
    )


def _riff(window: Window) -> bool:
    return any(
        piece.name == b"C2PA" or (piece.name == b"XMP " and _refers(window, piece))
        for piece in containers.riff_chunks(window)
    )


def _refers(window: Window, piece: containers.Piece) -> bool:
    if piece.length > _MAX_XMP:
        return True
    return _REFERENCE in window.some(piece.start, piece.length)


def _boxes(window: Window) -> bool:
    for piece in containers.boxes(window):
        if piece.name in (b"jumb", b"brob"):  # The second holds any other, compressed.
            return True
        if piece.name == b"xml " and _refers(window, piece):
            return True
        if piece.name == b"uuid":
            identifier = window.some(piece.start, 16)
            if identifier == _C2PA_BOX or (identifier == _XMP_BOX and _refers(window, piece)):
                return True
    return False


def _gif(window: Window) -> bool:
    if any(
        piece.name == b"\xff" and window.some(piece.start, 9) == b"\x0bC2PA_GIF"
        for piece in containers.gif_blocks(window)
    ):
        return True
    # XMP is cut into pieces of 255 bytes, and may stand behind images.
    return window.find(b"XMP DataXMP") >= 0


def _tiff(window: Window) -> bool:
    for page in tiff.directories(window):
        if _C2PA_TAG in page.entries:
            return True
        xmp = page.entries.get(_XMP_TAG)
        if xmp is not None and (
            xmp.values > _MAX_XMP or _REFERENCE in window.some(xmp.offset, xmp.values)
        ):
            return True
    return False


def _id3(window: Window) -> bool:
    return any(_frame_may_carry(window, frame) for frame in id3.frames(window))


def _frame_may_carry(window: Window, frame: id3.Frame) -> bool:
    if frame.name in (b"GEOB", b"GEO"):
        return frame.closed or b"c2pa" in window.some(frame.start, min(frame.length, 512))
    if frame.name == b"PRIV":
        return (
            frame.closed
            or frame.length > _MAX_XMP
            or _REFERENCE in window.some(frame.start, frame.length)
        )
    return False


def _zip(window: Window) -> bool:
    return ZIP_NAME in zip_directory(window).data


def _pdf(window: Window) -> bool:
    return any(map(_binary, _blocks(window, 512)))


def _svg(window: Window) -> bool:
    # A page of HTML with a drawing in it looks the same from here.
    return any(_REFERENCE in block or _text(block) for block in _blocks(window, 512))


def _anything(window: Window) -> bool:
    """Look for what the markers of all carriers, and every manifest store, have in them."""
    head = window.some(0, _KIND_BYTES)
    if head[8:9] == b"{":
        length = int.from_bytes(head[:8], "little")
        if 8 + length <= window.size:
            return _safetensors(window, length)
    check = _binary if b"\0" in head else _text
    return any(check(block) for block in _blocks(window, 512))


def _binary(block: bytes) -> bool:
    return b"c2pa" in block or b"C2PA" in block or _REFERENCE in block


def _text(block: bytes) -> bool:
    if _TEXT_MAGIC in block or b"C2PA MANIFEST-----" in block or b"c2pa" in block:
        return True
    # In HTML the letters may be of any case.
    return b"<" in block and (
        b"c2pa" in block.lower() or (b"&" in block and _DISGUISED.search(block) is not None)
    )


def _safetensors(window: Window, length: int) -> bool:
    """Only the header can hold a key, whose letters JSON may hide; the weights are not read."""
    if length > _MAX_HEADER:
        return True
    header = window.some(8, length)
    return b"c2pa" in header or b"\\u" in header


def _blocks(window: Window, overlap: int) -> Iterator[bytes]:
    at = 0
    while at < window.size:
        yield window.some(at, _BLOCK_BYTES)
        at += _BLOCK_BYTES - overlap


_CHECKS: Final[dict[str, Callable[[Window], bool]]] = {
    "jpeg": _jpeg_stream,
    "png": _png,
    "riff": _riff,
    "gif": _gif,
    "tiff": _tiff,
    "id3": _id3,
    "jxl": _boxes,
    "bmff": _boxes,
    "svg": _svg,
    "pdf": _pdf,
    "zip": _zip,
    "c2pa": lambda _: True,
}
