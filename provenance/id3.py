"""ID3v2 tags, which MP3 and FLAC files carry a manifest in (C2PA 2.5, A.3.4 and A.3.6).

Compressed and encrypted frames are not opened: the size that one unfolds to is up to its writer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from countermark.provenance.errors import MalformedContentError
from countermark.provenance.window import Window

__all__ = ["Frame", "frame_data", "frames", "object_of"]

_MAX_FRAMES: Final = 50_000
_HEADER = 10
_OBJECT_TYPES = (b"application/c2pa", b"application/x-c2pa-manifest-store")


class Frame(NamedTuple):
    """A frame of a tag.

    Attributes:
        name: Of three or four letters.
        start: Where its payload starts, in bytes from the beginning of the file.
        length: Of its payload, in bytes.
        closed: Whether it is compressed or encrypted.
        unsynchronised: Whether a zero was put after each 0xFF.
        skip: Bytes of the payload that say how it was written, before what it says.

    """

    name: bytes
    start: int
    length: int
    closed: bool
    unsynchronised: bool
    skip: int


def frames(window: Window) -> Iterator[Frame]:
    """Yield the frames of the tag at the beginning; nothing if there is no tag.

    Raises:
        MalformedContentError: A version, length or extended header that cannot be.

    """
    head = window.some(0, _HEADER)
    if not head.startswith(b"ID3") or len(head) < _HEADER:
        return
    version, flags = head[3], head[5]
    if version not in (2, 3, 4):
        raise MalformedContentError(f"ID3 of version 2.{version}", offset=3)
    at, end = _HEADER, _HEADER + _syncsafe(head[6:10], 6)
    if end > window.size:
        raise MalformedContentError("an ID3 tag ends after the file", offset=6)
    if flags & 0x40 and version > 2:
        extended = window.at(at, 4)
        at += _syncsafe(extended, at) if version == 4 else 4 + int.from_bytes(extended, "big")
    # Before version 4 the whole tag was unsynchronised, lengths of frames included.
    all_over = bool(flags & 0x80)
    header = 6 if version == 2 else _HEADER
    count = 0
    while at + header <= end and window.at(at, 1) != b"\0":
        count += 1
        if count > _MAX_FRAMES:
            raise MalformedContentError(f"over {_MAX_FRAMES} ID3 frames", offset=at)
        frame = _frame(window.at(at, header), version, at, all_over=all_over)
        if frame.start + frame.length > end:
            raise MalformedContentError("an ID3 frame ends after its tag", offset=at)
        yield frame
        at = frame.start + frame.length


def _frame(head: bytes, version: int, at: int, *, all_over: bool) -> Frame:
    if version == 2:
        length = int.from_bytes(head[3:6], "big")
        return Frame(head[:3], at + 6, length, closed=False, unsynchronised=all_over, skip=0)
    status = head[9]
    if version == 3:
        length = int.from_bytes(head[4:8], "big")
        skip = 1 if status & 0x20 else 0
        closed = bool(status & 0xC0)
        return Frame(head[:4], at + 10, length, closed, all_over, skip)
    length = _syncsafe(head[4:8], at + 4)
    skip = (1 if status & 0x40 else 0) + (4 if status & 0x01 else 0)
    unsynchronised = bool(status & 0x02) or all_over
    return Frame(head[:4], at + 10, length, bool(status & 0x0C), unsynchronised, skip)


def frame_data(window: Window, frame: Frame) -> bytes:
    """Return what a frame says.

    Raises:
        MalformedContentError: It is compressed or encrypted.

    """
    if frame.closed:
        raise MalformedContentError("a compressed or encrypted ID3 frame", offset=frame.start)
    data = window.at(frame.start, frame.length)
    if frame.unsynchronised:
        data = data.replace(b"\xff\0", b"\xff")
    return data[frame.skip :]


def object_of(data: bytes, offset: int) -> bytes | None:
    """Return a manifest store out of a GEOB frame; None if it holds something else.

    Args:
        data: What the frame says.
        offset: Where in the file, for errors.

    """
    media_type, found, rest = data[1:].partition(b"\0")
    if not found or media_type not in _OBJECT_TYPES:
        return None
    wide = data[0] in (1, 2)  # UTF-16, whose names end in two zeros.
    for _ in range(2):  # File name and description.
        end = _end_of_text(rest, wide=wide)
        if end < 0:
            raise MalformedContentError("an ID3 object without its names", offset=offset)
        rest = rest[end:]
    return rest


def _end_of_text(data: bytes, *, wide: bool) -> int:
    if not wide:
        return data.find(b"\0") + 1 or -1
    at = data.find(b"\0\0")
    while at >= 0 and at % 2:
        at = data.find(b"\0\0", at + 1)
    return at + 2 if at >= 0 else -1


def _syncsafe(digits: bytes, offset: int) -> int:
    if any(digit & 0x80 for digit in digits):
        raise MalformedContentError("a length in an ID3 tag", offset=offset)
    return digits[0] << 21 | digits[1] << 14 | digits[2] << 7 | digits[3]
