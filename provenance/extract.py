"""The manifest store that a media container carries, found without reading the rest of it.

c2pa reads media; this is for what has to see the same store with other eyes: the certificates a
signer's purpose is judged by, the length of a mark, forensics. It is stricter where c2pa-rs picks
one of two: a second store, a gap in its parts or a length that leads out of the file is an error,
so that the two cannot be talking about different manifests. Nothing is decompressed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO, Final

from countermark.provenance import containers, extract_documents, id3, tiff
from countermark.provenance.containers import Piece
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.window import Window

__all__ = ["MAX_STORE_BYTES", "container_of", "find_store"]

MAX_STORE_BYTES: Final = 64 << 20

_BOX_ID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.5, A.5.1.
_TIFF_TAG = 0xCD41
_OPAQUE = 7
_GIF_NAME = b"\x0bC2PA_GIF\x01\0\0"
_MAX_PURPOSE = 64
_SVG = re.compile(rb"<(?:\w+:)?svg[\s>]")
_HEAD_BYTES = 4096
_RIFF_FORMS = (b"WEBP", b"WAVE", b"AVI ")
_MAGIC = (
    (b"\xff\xd8", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"ID3", "id3"),
    (b"fLaC", "id3"),
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
)


def container_of(head: bytes) -> str:
    """Return which container a file is, by its first bytes; empty if it is none of these.

    Args:
        head: The first 4096 bytes, or all.

    Returns:
        `jpeg`, `png`, `riff`, `gif`, `tiff`, `id3`, `pdf`, `zip`, `jxl`, `bmff`, `svg` or `c2pa`.

    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] in _RIFF_FORMS:
        return "riff"
    if head[4:8] == b"jumb":
        return "c2pa"
    if head[4:8] == b"ftyp":
        return "bmff"
    return "svg" if _SVG.search(head) else ""


def find_store(source: BinaryIO, media_type: str = "") -> bytes | None:
    """Return the manifest store in a media file; None if it carries none.

    Args:
        source: The file, seekable.
        media_type: What it is said to be; an MP3 without a tag is known by nothing else.

    Raises:
        MalformedContentError: It cannot be walked through, or what it carries cannot be one
            store of at most `MAX_STORE_BYTES`.

    """
    window = Window(source)
    container = container_of(window.some(0, _HEAD_BYTES))
    if not container and media_type == "image/svg+xml":
        container = "svg"
    find = _FINDERS.get(container)
    return None if find is None else find(window)


def _taken(window: Window, start: int, length: int) -> bytes:
    if length > MAX_STORE_BYTES:
        raise MalformedContentError(
            f"a manifest store of {length} bytes, limit {MAX_STORE_BYTES}", offset=start
        )
    return window.at(start, length)


def _only(stores: list[bytes], at: int) -> bytes | None:
    if len(stores) > 1:
        raise MalformedContentError("a second manifest store", offset=at)
    return stores[0] if stores else None


def _only_chunk(window: Window, pieces: list[Piece]) -> bytes | None:
    if len(pieces) > 1:
        raise MalformedContentError("a second manifest store", offset=pieces[1].head)
    return _taken(window, pieces[0].start, pieces[0].length) if pieces else None


def _jpeg(window: Window) -> bytes | None:
    """JUMBF in APP11 (C2PA 2.5, A.3.1; ISO 19566-5 annex D): CI, En, Z, then the box."""
    parts: list[bytes] = []
    instance, total = b"", 0
    for piece in containers.jpeg_segments(window):
        if piece.name != b"\xeb" or piece.length <= 16:
            continue
        head = window.at(piece.start, min(piece.length, 28))
        number = int.from_bytes(head[4:8], "big")
        if parts and head[2:4] == instance:
            if number != len(parts) + 1:
                raise MalformedContentError(
                    f"part {number} of the manifest store after part {len(parts)}",
                    offset=piece.head,
                )
            skip = 16  # Each part repeats the length and type of the box.
        elif head[24:28] == b"c2pa":
            if parts:
                raise MalformedContentError("a second manifest store", offset=piece.head)
            instance, skip = head[2:4], 8
        else:
            continue
        total += piece.length - skip
        if total > MAX_STORE_BYTES:
            raise MalformedContentError("a manifest store over the limit", offset=piece.head)
        parts.append(window.at(piece.start + skip, piece.length - skip))
    return b"".join(parts) or None


def _png(window: Window) -> bytes | None:
    found = [piece for piece in containers.png_chunks(window) if piece.name == b"caBX"]
    return _only_chunk(window, found)


def _riff(window: Window) -> bytes | None:
    found = [piece for piece in containers.riff_chunks(window) if piece.name == b"C2PA"]
    return _only_chunk(window, found)


def _gif(window: Window) -> bytes | None:
    """An application extension before the first image (C2PA 2.5, A.3.3)."""
    stores: list[bytes] = []
    for piece in containers.gif_blocks(window):
        head = window.some(piece.start, len(_GIF_NAME))
        if piece.name == b"\xff" and head == _GIF_NAME:
            _only([*stores, b""], piece.head)
            data = _taken(window, piece.start + 12, piece.length - 12)
            stores.append(_joined_sub_blocks(data))
    return _only(stores, 0)


def _joined_sub_blocks(data: bytes) -> bytes:
    parts, at = [], 0
    while at < len(data):
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(parts)


def _tiff(window: Window) -> bytes | None:
    """A tag of opaque bytes in the last directory, in older files in the first (A.3.5)."""
    pages = list(tiff.directories(window))
    entries = [
        page.entries[_TIFF_TAG]
        for page in (*pages[:1], *pages[1:][-1:])
        if _TIFF_TAG in page.entries
    ]
    if not entries:
        return None
    if len(entries) > 1:
        raise MalformedContentError("a second manifest store", offset=pages[-1].start)
    if entries[0].kind != _OPAQUE:
        raise MalformedContentError(
            "the manifest's TIFF tag has another type", offset=pages[0].start
        )
    return _taken(window, entries[0].offset, entries[0].values)


def _id3(window: Window) -> bytes | None:
    stores: list[bytes] = []
    for frame in id3.frames(window):
        if frame.name not in (b"GEOB", b"GEO"):
            continue
        if frame.length > MAX_STORE_BYTES:
            raise MalformedContentError("an ID3 object over the limit", offset=frame.start)
        found = id3.object_of(id3.frame_data(window, frame), frame.start)
        if found is not None:
            stores.append(found)
            _only(stores, frame.start)
    return _only(stores, 0)


def _jxl(window: Window) -> bytes | None:
    """A `jumb` box labelled c2pa at the top, header and all (A.3.9)."""
    found = [
        piece._replace(start=piece.head, length=piece.length + piece.start - piece.head)
        for piece in containers.boxes(window)
        if piece.name == b"jumb" and window.some(piece.start + 24, 6)[1:] == b"c2pa\0"
    ]
    return _only_chunk(window, found)


def _bmff(window: Window) -> bytes | None:
    """A `uuid` box of C2PA with the purpose `manifest`, or `original` and `update` (A.5.1)."""
    stores: dict[bytes, bytes] = {}
    for piece in containers.boxes(window):
        if piece.name != b"uuid" or window.some(piece.start, 16) != _BOX_ID:
            continue
        head = window.some(piece.start + 20, min(_MAX_PURPOSE, max(piece.length - 20, 0)))
        purpose, found, _ = head.partition(b"\0")
        skip = 20 + len(purpose) + 1 + 8  # Identifier, version, flags, purpose, offset of Merkle.
        if purpose not in (b"manifest", b"original", b"update"):
            if not found:
                raise MalformedContentError("a C2PA box without a purpose", offset=piece.head)
            continue
        if skip > piece.length:
            raise MalformedContentError("a C2PA box that is too short", offset=piece.head)
        kind = b"update" if purpose == b"update" else b"manifest"
        if kind in stores:
            raise MalformedContentError("a second manifest store", offset=piece.head)
        stores[kind] = _taken(window, piece.start + skip, piece.length - skip)
    update = stores.get(b"update")
    if update is None:
        return stores.get(b"manifest")
    return _combined(stores.get(b"manifest"), update)


def _combined(original: bytes | None, update: bytes) -> bytes:
    """Return one store with the manifests of both, the update's last (A.5.3)."""
    bodies = []
    for store in (original or b"", update):
        described = int.from_bytes(store[8:12], "big")
        if store[4:8] != b"jumb" or described < 8 or 8 + described > len(store):
            raise MalformedContentError("an update of a manifest store that cannot be read")
        # What stands after the box itself is padding.
        end = min(int.from_bytes(store[:4], "big"), len(store))
        bodies.append((store[8 : 8 + described], store[8 + described : end]))
    body = bodies[0][0] + bodies[0][1] + bodies[1][1]
    return (8 + len(body)).to_bytes(4, "big") + b"jumb" + body


def _raw(window: Window) -> bytes | None:
    if window.number(0, 4) != window.size:
        raise MalformedContentError(f"a manifest store of {window.number(0, 4)} bytes", offset=0)
    return _taken(window, 0, window.size)


_FINDERS: Final[dict[str, Callable[[Window], bytes | None]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "riff": _riff,
    "gif": _gif,
    "tiff": _tiff,
    "id3": _id3,
    "jxl": _jxl,
    "bmff": _bmff,
    "c2pa": _raw,
    "svg": lambda window: extract_documents.svg(window, MAX_STORE_BYTES),
    "pdf": lambda window: extract_documents.pdf(window, MAX_STORE_BYTES),
    "zip": lambda window: extract_documents.zipped(window, MAX_STORE_BYTES),
}
