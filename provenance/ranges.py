"""Byte ranges of large files: read, hashed and copied, one block at a time.

A model may have tens of gigabytes; memory for all of this is one block.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol

from countermark.provenance.carrier import Exclusion
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.sources import Counted, read_into

__all__ = [
    "Hasher",
    "copy_range",
    "hash_range",
    "read_at",
    "rest_of",
]

BLOCK_BYTES = 256 << 10  # What fits in the cache of a core is hashed fastest.
_COPY_BYTES = 64 << 20  # Between two looks at whether somebody wants it to stop.

# What `copy_file_range` says where the kernel, the file system or the pair of them has it not.
_NOT_HERE = frozenset(
    {errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM}
)


class Hasher(Protocol):
    """A hash that takes bytes piece by piece."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes."""


def read_at(source: BinaryIO, start: int, length: int) -> bytes:
    """Return exactly these bytes.

    Raises:
        MalformedContentError: The file ends before them.

    """
    source.seek(start)
    data = source.read(length)
    if len(data) != length:
        raise MalformedContentError("the file ends too early", offset=start + len(data))
    return data


def rest_of(length: int, exclusions: Iterable[Exclusion]) -> Iterator[tuple[int, int]]:
    """Yield (start, length) of what `exclusions` leave of a file of `length` bytes."""
    position = 0
    for start, count in exclusions:
        if start > position:
            yield position, start - position
        position = start + count
    if position < length:
        yield position, length - position


def hash_range(hasher: Hasher, source: BinaryIO, start: int, length: int) -> None:
    """Feed a range of a file to a hash.

    Raises:
        MalformedContentError: The file ends before it does.

    """
    for block in _blocks(source, start, length):
        hasher.update(block)


def copy_range(source: BinaryIO, sink: BinaryIO, start: int, length: int) -> None:
    """Append a range of `source` to `sink`; the kernel copies it where it can.

    Raises:
        MalformedContentError: The source ends before the range does.
        OSError: The disk refused.

    """
    done = _copied_by_kernel(source, sink, start, length)
    for block in _blocks(source, start + done, length - done):
        sink.write(block)


def _blocks(source: BinaryIO, start: int, length: int) -> Iterator[memoryview]:
    """Yield a range block by block; each view is valid until the next one."""
    source.seek(start)
    buffer = memoryview(bytearray(min(BLOCK_BYTES, max(length, 1))))
    while length:
        room = buffer[: min(length, len(buffer))]
        count = read_into(source, room)
        if not count:
            raise MalformedContentError("the file ends too early", offset=source.tell())
        yield room[:count]
        length -= count


def _copied_by_kernel(source: BinaryIO, sink: BinaryIO, start: int, length: int) -> int:
    """Return how many bytes were appended; the rest has to be copied by hand."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        descriptors = source.fileno(), sink.fileno()
    except (OSError, AttributeError):  # `io.UnsupportedOperation` is an OSError.
        return 0
    sink.flush()
    position, done = sink.tell(), 0
    while done < length:
        try:
            count = os.copy_file_range(
                *descriptors,
                min(length - done, _COPY_BYTES),
                offset_src=start + done,
                offset_dst=position + done,
            )
        except OSError as e:
            if e.errno not in _NOT_HERE:
                raise
            break
        if not count:  # The source ended, or a file system without lengths: see by hand.
            break
        done += count
        if isinstance(source, Counted):
            source.advance(count)
    sink.seek(position + done)
    return done
