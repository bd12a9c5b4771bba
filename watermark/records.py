"""The inputs of a batch, one at a time: lines of a JSONL file, or files of a folder.

Reading never holds more than one input, and no more of it than the limit. What an input says is
parsed later, where the work is done, so that a resumed run skips what is finished at the speed
of hashing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from countermark.signing import strict_json
from countermark.watermark.errors import MalformedInputError

__all__ = ["MAX_RECORD_BYTES", "Content", "Record", "content", "read_folder", "read_lines"]

MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
_MAX_ITEMS: Final = 1 << 22
_MAX_ID_CHARACTERS: Final = 1024
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One input, unparsed.

    Attributes:
        index: Its number among the inputs, from 0.
        line: The number of its line, from 1; None for a file.
        file: Its path below the folder, with "/"; None for a line.
        sha256: Of all its bytes (a line's without its end), 64 lowercase hex digits.
        size_bytes: How many those are.
        data: The bytes; None if there are more than the limit.

    """

    index: int
    line: int | None = None
    file: str | None = None
    sha256: str
    size_bytes: int
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a record says: a text or token ids.

    Attributes:
        value: Which of the two it is, is its type.
        id: What its writer calls it: the value of "id", if that is a string or an integer.

    """

    value: str | list[int]
    id: str | int | None = None


def read_lines(file: BinaryIO, *, max_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the lines of a file that are not blank."""
    index = line = 0
    while True:
        line += 1
        reader = _Reader(max_bytes)
        ended = False
        while not ended and (chunk := file.readline(_CHUNK_BYTES)):
            ended = chunk.endswith(b"\n")
            reader.take(chunk[:-1] if ended else chunk)
        if not ended and not reader.size_bytes:
            return
        if reader.data is None or reader.data.strip():
            yield reader.record(index, line=line)
            index += 1


def read_folder(
    folder: Path, *, max_bytes: int = MAX_RECORD_BYTES, without: Path | None = None
) -> Iterator[Record]:
    """Yield the regular files below a folder, in order of their paths as bytes.

    Names that start with a dot are passed over, and so are symbolic links, devices and FIFOs.

    Args:
        folder: Where to look.
        max_bytes: Of larger files only the digest is kept.
        without: A file that is no input although it may be there: the batch's own output.

    Raises:
        OSError: The disk refused, or a file is gone.

    """
    skipped = _identity(without.stat()) if without is not None and without.exists() else None
    index = 0
    for name in sorted(_files(folder)):
        path = os.path.join(os.fsencode(folder), name)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or _identity(status) == skipped:
                continue
            reader = _Reader(max_bytes)
            while chunk := file.read(_CHUNK_BYTES):
                reader.take(chunk)
        yield reader.record(index, file=name.decode("utf-8", "backslashreplace"))
        index += 1


def content(record: Record, *, field: str = "text") -> Content:
    """Return what a record says.

    A file is UTF-8 text. A line is an object with a string under `field`, or with a list of
    token ids under "ids"; or it is that list.

    Raises:
        MalformedInputError: It says neither, or both, is over the limit, or not UTF-8.
        MalformedJsonError: It is a line, and not strict JSON.

    """
    if record.data is None:
        raise MalformedInputError(f"{record.size_bytes} bytes, over the limit of a record")
    if record.line is None:
        return Content(value=_utf8(record.data))
    value = strict_json.loads(
        record.data, what=f"line {record.line}", max_bytes=len(record.data), max_items=_MAX_ITEMS
    )
    if isinstance(value, list):
        return Content(value=_ids(value))
    if not isinstance(value, dict):
        raise MalformedInputError("expected an object, or a list of token ids")
    name = value.get("id")
    known = (isinstance(name, str) and len(name) <= _MAX_ID_CHARACTERS) or type(name) is int
    match value.get(field), value.get("ids"):
        case str(text), None:
            return Content(value=text, id=name if known else None)
        case None, list(ids):
            return Content(value=_ids(ids), id=name if known else None)
    raise MalformedInputError(f"expected a string {field!r}, or a list 'ids', and not both")


class _Reader:
    """Hashes an input and keeps it while it is within the limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._chunks: list[bytes] = []
        self.size_bytes = 0

    def take(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.size_bytes += len(chunk)
        if self.size_bytes <= self._max_bytes:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    @property
    def data(self) -> bytes | None:
        return b"".join(self._chunks) if self.size_bytes <= self._max_bytes else None

    def record(self, index: int, *, line: int | None = None, file: str | None = None) -> Record:
        return Record(
            index=index,
            line=line,
            file=file,
            sha256=self._hash.hexdigest(),
            size_bytes=self.size_bytes,
            data=self.data,
        )


def _files(folder: Path) -> Iterator[bytes]:
    """Yield paths relative to `folder`; depth is the file system's, so no recursion."""
    pending = [b""]
    while pending:
        parent = pending.pop()
        with os.scandir(os.path.join(os.fsencode(folder), parent)) as entries:
            for entry in entries:
                name = os.path.join(parent, entry.name)
                if entry.name.startswith(b"."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(name)
                elif entry.is_file(follow_symlinks=False):
                    yield name


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise MalformedInputError(f"not UTF-8 at byte {e.start}") from e


def _ids(values: list[object]) -> list[int]:
    ids = [value for value in values if type(value) is int]
    if len(ids) != len(values):
        raise MalformedInputError("token ids must be integers")
    return ids
