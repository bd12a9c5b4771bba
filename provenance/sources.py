"""Content as it is read: from one file that nobody writes to meanwhile, its bytes counted."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from countermark import Error
from countermark.provenance.errors import ContentNotFoundError
from countermark.signing.errors import FileChangedError
from countermark.signing.names import printable
from countermark.signing.walk import FileIdentity

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = [
    "Counted",
    "Progress",
    "counted",
    "open_regular",
    "opened",
    "read_into",
    "unchanged",
    "unreadable",
]

Progress = Callable[[int, int], None]  # Bytes done, and bytes to do.


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open content for reading.

    Raises:
        ContentNotFoundError: There is no such file, or it cannot be read, or is no regular one.

    """
    try:
        source, _ = open_regular(str(path), buffering=-1)
    except OSError as e:
        raise unreadable(path, e) from e
    with source:
        yield source


def open_regular(path: str, *, buffering: int = 0) -> tuple[BinaryIO, int]:
    """Open a regular file, and return it with its length; anything else could make us wait.

    Raises:
        OSError: It cannot be opened, or is a FIFO, a device or a folder.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(0, "not a regular file", path)
    return os.fdopen(descriptor, "rb", buffering=buffering), status.st_size


def unreadable(path: Path, error: OSError) -> ContentNotFoundError:
    """Return what the operating system said of content as one of our errors."""
    name = printable(str(error.filename or path))
    return ContentNotFoundError(f"{name}: {error.strerror or type(error).__name__}")


@contextmanager
def unchanged(source: BinaryIO, name: str) -> Iterator[None]:
    """Make sure that a file is at the end of the block what it was at its beginning.

    It is read more than once, by us and by c2pa: a hash and a copy, or a manifest and the bytes
    it speaks for, must be of the same content. What is no file cannot be written by others.

    Raises:
        FileChangedError: It was written, truncated, replaced or removed.

    """
    before = _identity(source)
    try:
        yield
    except Error as e:  # Half of one content and half of another may be anything.
        if _identity(source) != before:
            raise _changed(name) from e
        raise
    if _identity(source) != before:
        raise _changed(name)


def _changed(name: str) -> FileChangedError:
    return FileChangedError(
        f"{printable(name)} was written or replaced while it was read",
        hint="make sure that nothing writes to it, then try again",
    )


def _identity(source: BinaryIO) -> FileIdentity | None:
    try:
        descriptor = source.fileno()
    except (OSError, AttributeError):  # `io.UnsupportedOperation` is an OSError.
        return None
    return FileIdentity.of(os.fstat(descriptor))


def read_into(source: BinaryIO, room: memoryview) -> int:
    """Fill a buffer, or some of it, and return how many bytes were read; 0 at the end."""
    # Not every binary file has `readinto`, and it is not among what a BinaryIO promises.
    readinto: Callable[[memoryview], int | None] | None = getattr(source, "readinto", None)
    if readinto is not None:
        return readinto(room) or 0
    data = source.read(len(room))
    room[: len(data)] = data
    return len(data)


def counted(source: BinaryIO, progress: Progress | None, *, passes: int = 1) -> BinaryIO:
    """Return the source, or one that tells `progress` how much was read.

    Args:
        source: Seekable.
        progress: Told (bytes done, bytes to do); None if nobody wants to know.
        passes: How often all of it is going to be read.

    """
    if progress is None:
        return source
    return Counted(source, progress, passes * source.seek(0, io.SEEK_END))


class Counted(io.BufferedReader):
    """A source that tells how much was read of it."""

    def __init__(self, source: BinaryIO, progress: Progress, total_bytes: int) -> None:
        self._counter = _Counter(source, progress, total_bytes)
        super().__init__(self._counter)

    def advance(self, count: int) -> None:
        """Count bytes that went another way: the kernel copied them."""
        self._counter.advance(count)


class _Counter(io.RawIOBase):
    def __init__(self, source: BinaryIO, progress: Progress, total_bytes: int) -> None:
        self._source = source
        self._progress = progress
        self._total_bytes = total_bytes
        self._done_bytes = 0

    def advance(self, count: int) -> None:
        self._done_bytes = min(self._done_bytes + count, self._total_bytes)
        self._progress(self._done_bytes, self._total_bytes)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._source.fileno()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._source.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = read_into(self._source, memoryview(buffer))
        self.advance(count)
        return count
