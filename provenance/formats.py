"""What kind of content a file is, and how its kind carries a manifest.

A few bytes of the beginning decide where they can, since names lie; the name decides between
kinds that begin alike (text and code, the ZIP family).
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from countermark.provenance.errors import UnsupportedContentError
from countermark.signing.names import printable

if TYPE_CHECKING:
    from countermark.provenance.carrier import Carrier

__all__ = ["HEAD_BYTES", "Format", "Kind", "carriers_of", "detect_format", "format_named"]

HEAD_BYTES = 4096  # How much of a file `detect_format` looks at.


class Kind(Enum):
    """How a kind of content carries its manifest."""

    MEDIA = "media"  # Inside, written and read by c2pa.
    TEXT = "text"
    CODE = "code"
    HTML = "html"
    MODEL = "model"
    OTHER = "other"  # Beside it only.


class Format(NamedTuple):
    """A kind of content.

    Attributes:
        media_type: IANA media type, or what its field uses where none is registered.
        kind: How it carries a manifest.

    """

    media_type: str
    kind: Kind


_BINARY = Format("application/octet-stream", Kind.OTHER)
_PLAIN = Format("text/plain", Kind.TEXT)
_HTML = Format("text/html", Kind.HTML)
_SCRIPT = Format("text/x-shellscript", Kind.CODE)
_SCRIPT_NAME = "script.sh"
_SAFETENSORS = Format("application/vnd.safetensors", Kind.MODEL)
_ONNX = Format("application/onnx", Kind.MODEL)

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"%PDF-", "application/pdf"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"M4V ": "video/x-m4v",
    b"qt  ": "video/quicktime",
}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
_ZIPPED = {
    ".docx": _OFFICE + "wordprocessingml.document",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".pptx": _OFFICE + "presentationml.presentation",
    ".odt": _OPEN + "text",
    ".ods": _OPEN + "spreadsheet",
    ".odp": _OPEN + "presentation",
    ".epub": "application/epub+zip",
    ".oxps": "application/oxps",
}
_PLAIN_NAMES = {"", ".txt", ".text", ".log"}
_HTML_NAMES = {".html", ".htm", ".xhtml"}
_MPEG_SYNC = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]")
# Possessive and atomic: a head full of comments must not be tried in every division.
_PROLOGUE = rb"\s*(?>(?:<\?xml[^>]*>|<!--(?s:.*?)-->|<!DOCTYPE[^>]*>)\s*)*+"
_SVG = re.compile(_PROLOGUE + rb"<(?:\w+:)?svg[\s>]")
_HTML_START = re.compile(rb"\s*(?><!--(?s:.*?)-->\s*)*+<(?:!doctype\s+html|html)[\s>]", re.I)
_BOM = b"\xef\xbb\xbf"


def detect_format(name: str, head: bytes) -> Format:
    """Return what kind of content this is.

    Args:
        name: File name, or a path; may be empty.
        head: The first `HEAD_BYTES` of the content, or all of it.

    """
    suffix = PurePath(name).suffix.lower()
    media = _media(suffix, head)
    if media is not None:
        return Format(media, Kind.MEDIA)
    if suffix == ".safetensors" or _looks_like_safetensors(head):
        return _SAFETENSORS
    if suffix == ".onnx":
        return _ONNX
    text = head.removeprefix(_BOM)
    if not _is_text(text, whole=len(head) < HEAD_BYTES):
        return _BINARY
    if _SVG.match(text):
        return Format("image/svg+xml", Kind.MEDIA)
    if suffix in _HTML_NAMES or (suffix in _PLAIN_NAMES and _HTML_START.match(text)):
        return _HTML
    return _text(name, text)


def format_named(media_type: str, name: str) -> Format:
    """Return the format of a media type that somebody named.

    Raises:
        UnsupportedContentError: The text is no media type.

    """
    if not re.fullmatch(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,126}", media_type):
        raise UnsupportedContentError(f"{printable(media_type)} is not a media type")
    fixed = {f.media_type: f for f in (_PLAIN, _HTML, _SAFETENSORS, _ONNX, _BINARY)}
    if media_type in fixed:
        return fixed[media_type]
    if media_type in _MEDIA_TYPES or media_type.startswith((_OFFICE, _OPEN)):
        return Format(media_type, Kind.MEDIA)
    by_name = _text(name, b"")
    if media_type == by_name.media_type or media_type.startswith("text/"):
        return Format(media_type, by_name.kind)
    return Format(media_type, Kind.OTHER)


def carriers_of(format_: Format, name: str) -> tuple[Carrier, ...]:
    """Return where content of a format may carry a manifest, the place to write to first.

    Media are not among them: c2pa reads and writes those.
    """
    from countermark.provenance.html_script import HtmlScript
    from countermark.provenance.onnx_carrier import OnnxStore
    from countermark.provenance.safetensors_carrier import SafetensorsStore
    from countermark.provenance.text_block import text_block_for
    from countermark.provenance.text_wrapper import TextWrapper

    match format_.kind:
        case Kind.TEXT:
            return (TextWrapper(),)
        case Kind.CODE:
            block = text_block_for(_SCRIPT_NAME if format_ == _SCRIPT else name)
            return (block, TextWrapper()) if block is not None else (TextWrapper(),)
        case Kind.HTML:
            return (HtmlScript(), TextWrapper())
        case Kind.MODEL:
            return (SafetensorsStore() if format_ == _SAFETENSORS else OnnxStore(),)
        case _:
            return ()


def _media(suffix: str, head: bytes) -> str | None:
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:4] == b"PK\x03\x04":
        return _ZIPPED.get(suffix, "application/zip")
    if suffix == ".mp3" and _MPEG_SYNC.match(head):
        return "audio/mpeg"
    return None


def _text(name: str, head: bytes) -> Format:
    from countermark.provenance.text_block import media_type_of

    media_type = media_type_of(name)
    if media_type is not None:
        return Format(media_type, Kind.CODE)
    if PurePath(name).suffix.lower() not in _PLAIN_NAMES:
        # JSON, CSV and the like: a mark in it would be part of the data.
        return Format("text/plain", Kind.OTHER)
    if head.startswith(b"#!"):  # Characters that nobody sees could stop a script from running.
        return _SCRIPT
    return _PLAIN


def _looks_like_safetensors(head: bytes) -> bool:
    return head[8:10] == b'{"' and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000


def _is_text(head: bytes, *, whole: bool) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as e:
        # The last character may have been cut in two.
        return not whole and e.start >= len(head) - 3 and e.reason.startswith("unexpected end")
    return True


_MEDIA_TYPES = (
    frozenset((*(media_type for _, media_type in _MAGIC), *_RIFF.values(), *_BRANDS.values()))
    | frozenset(_ZIPPED.values())
    | {"video/mp4", "application/zip", "image/svg+xml"}
)
