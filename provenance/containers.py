"""The pieces that media containers are made of: names and places, read in order, never nested.

Each walker yields the top level of one container and looks at nothing inside a piece but what
says how long it is. The number of pieces is bounded, every step goes forward, and a length that
leads out of the file is an error with its offset. Where c2pa-rs 0.91.3 is lenient (fill bytes,
junk between JPEG segments, a last `mdat` that is too long), so are these, since a mark that it
finds must not be overlooked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from countermark.provenance.errors import MalformedContentError
from countermark.provenance.window import Window

__all__ = [
    "MAX_PIECES",
    "Piece",
    "boxes",
    "gif_blocks",
    "jpeg_segments",
    "png_chunks",
    "riff_chunks",
]

MAX_PIECES: Final = 200_000

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_LARGE_BOX = 16


class Piece(NamedTuple):
    """A segment, chunk, box or block.

    Attributes:
        name: Its type: one byte for JPEG and GIF, four otherwise.
        start: Where its payload starts, in bytes from the beginning of the file.
        length: Of its payload, in bytes.
        head: Where the piece itself starts.

    """

    name: bytes
    start: int
    length: int
    head: int


def _counted(pieces: int, offset: int) -> int:
    if pieces >= MAX_PIECES:
        raise MalformedContentError(f"over {MAX_PIECES} pieces", offset=offset)
    return pieces + 1


def jpeg_segments(window: Window) -> Iterator[Piece]:
    """Yield the segments before the first scan (ISO/IEC 10918-1 annex B); nobody looks further."""
    if window.at(0, 2) != b"\xff\xd8":
        raise MalformedContentError("not a JPEG", offset=0)
    at, pieces = 2, 0
    while True:
        pieces = _counted(pieces, at)
        marker = window.find(b"\xff", at)
        if marker < 0:
            raise MalformedContentError("a JPEG without a scan", offset=at)
        at = marker + 1
        while window.some(at, 1) == b"\xff":  # Fill bytes.
            block = window.some(at, 64)
            at += len(block) - len(block.lstrip(b"\xff"))
        code = window.at(at, 1)[0]
        at += 1
        if code in (_EOI, _SOS):
            return
        if code <= 1 or _SOI - 8 <= code <= _SOI:  # Without a length.
            continue
        length = window.number(at, 2)
        if length < 2 or at + length > window.size:
            raise MalformedContentError("the length of a JPEG segment", offset=at)
        yield Piece(bytes((code,)), at + 2, length - 2, marker)
        at += length


def png_chunks(window: Window) -> Iterator[Piece]:
    """Yield the chunks up to IEND (PNG specification, section 5)."""
    if window.at(0, 8) != b"\x89PNG\r\n\x1a\n":
        raise MalformedContentError("not a PNG", offset=0)
    at, pieces = 8, 0
    while True:
        pieces = _counted(pieces, at)
        head = window.at(at, 8)
        length = int.from_bytes(head[:4], "big")
        if at + 12 + length > window.size:
            raise MalformedContentError("a PNG chunk ends after the file", offset=at)
        yield Piece(head[4:], at + 8, length, at)
        if head[4:] == b"IEND":
            return
        at += 12 + length


def riff_chunks(window: Window) -> Iterator[Piece]:
    """Yield the chunks of the first RIFF chunk; lists are not entered."""
    if window.at(0, 4) != b"RIFF":
        raise MalformedContentError("not RIFF", offset=0)
    end = 8 + int.from_bytes(window.at(4, 4), "little")
    at, pieces = 12, 0
    while at + 8 <= end:
        pieces = _counted(pieces, at)
        head = window.at(at, 8)
        length = int.from_bytes(head[4:], "little")
        if at + 8 + length > window.size:
            raise MalformedContentError("a RIFF chunk ends after the file", offset=at)
        yield Piece(head[:4], at + 8, length, at)
        at += 8 + length + (length & 1)


def boxes(window: Window) -> Iterator[Piece]:
    """Yield the boxes at the top of an ISO BMFF or JPEG XL file (ISO/IEC 14496-12, 4.2)."""
    at, pieces = 0, 0
    while at + 8 <= window.size:
        pieces = _counted(pieces, at)
        head = window.at(at, 8)
        size, name, header = int.from_bytes(head[:4], "big"), head[4:], 8
        if size == 1:
            size, header = window.number(at + 8, 8), _LARGE_BOX
        elif size == 0:  # Up to the end of the file.
            size = window.size - at
        if size < header:
            raise MalformedContentError("a box shorter than its header", offset=at)
        if at + size > window.size:
            if name != b"mdat":
                raise MalformedContentError("a box ends after the file", offset=at)
            size = window.size - at
        yield Piece(name, at + header, size - header, at)
        at += size


def gif_blocks(window: Window) -> Iterator[Piece]:
    """Yield the extensions before the first image; the name is the label's byte.

    The payload of an extension is its sub-blocks, each after its length, without the last
    (GIF89a, sections 15 to 26).
    """
    if window.at(0, 6) not in (b"GIF87a", b"GIF89a"):
        raise MalformedContentError("not a GIF", offset=0)
    flags = window.at(10, 1)[0]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    pieces = 0
    while (introducer := window.at(at, 1)) == b"\x21":
        pieces = _counted(pieces, at)
        label = window.at(at + 1, 1)
        end = _end_of_sub_blocks(window, at + 2)
        yield Piece(label, at + 2, end - at - 2, at)
        at = end + 1
    if introducer not in (b"\x2c", b"\x3b"):
        raise MalformedContentError("neither an extension nor an image", offset=at)


def _end_of_sub_blocks(window: Window, at: int) -> int:
    count = 0
    while length := window.at(at, 1)[0]:
        count = _counted(count, at)
        at += 1 + length
    return at
