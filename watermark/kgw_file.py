"""A file with all green lists of one key, to be mapped: one build, then no draws at all.

The file is the key's whole function, and as secret as the key. Its layout is section 6 of
specs/rosetta-kgw-v1.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import BinaryIO

import blake3
import numpy as np
from numpy.typing import NDArray

from countermark.watermark.errors import MalformedTableError, SchemeError
from countermark.watermark.kgw_table import GreenTable, LeftHash

__all__ = ["HEADER_BYTES", "MAX_TABLE_BYTES", "open_table", "table_bytes", "write_table"]

HEADER_BYTES = 4096  # A page, so that the rows of a mapped file are aligned.
MAX_TABLE_BYTES = (8 << 30) + HEADER_BYTES  # 262,144 ids.
_MAGIC = b"countermark-kgw1"
_FIELDS = struct.Struct("<16sII32s32s")
_CHUNK_BYTES = 4 << 20


def table_bytes(lists: LeftHash) -> int:
    """Return the length of the file.

    Raises:
        SchemeError: It would be longer than `MAX_TABLE_BYTES`.

    """
    size = HEADER_BYTES + lists.vocabulary * lists.words * 8
    if size > MAX_TABLE_BYTES:
        raise SchemeError(f"a table of {size} bytes, limit {MAX_TABLE_BYTES}")
    return size


def write_table(path: Path, lists: LeftHash) -> None:
    """Draw every list into a file, replacing it once all are there; only its owner may read it.

    Drawing 49,152 lists takes seconds, 128,256 about half a minute. A few MiB are held in memory.

    Raises:
        SchemeError: The vocabulary is too large for a file.
        OSError: The disk refused.

    """
    table_bytes(lists)
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, lists)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(file: BinaryIO, lists: LeftHash) -> None:
    file.seek(HEADER_BYTES)
    hasher = blake3.blake3()
    step = max(1, _CHUNK_BYTES // (lists.words * 8))
    for first in range(0, lists.vocabulary, step):
        contexts = np.arange(first, min(first + step, lists.vocabulary), dtype=np.uint32)
        rows = np.empty((len(contexts), lists.words), np.uint64)
        lists.draw(contexts, np.arange(len(contexts), dtype=np.int64), rows)
        data = np.ascontiguousarray(rows, "<u8").view(np.uint8).data
        hasher.update(data)
        file.write(data)
    file.seek(0)
    file.write(_header(lists, hasher.digest()))


def _header(lists: LeftHash, body_digest: bytes) -> bytes:
    name = struct.pack("<IIq", lists.vocabulary, lists.green, lists.key)
    fields = _FIELDS.pack(
        _MAGIC,
        lists.vocabulary,
        lists.green,
        blake3.blake3(_MAGIC + name).digest(),
        body_digest,
    )
    return fields.ljust(HEADER_BYTES, b"\0")


def open_table(path: Path, lists: LeftHash) -> GreenTable:
    """Map a file that `write_table` made, after reading it once to check its digest.

    The digest finds damage, not malice: whoever may write to the file decides what is green. A
    file that is cut short while it is mapped ends the process.

    Args:
        path: The file.
        lists: Which lists are expected.

    Raises:
        MalformedTableError: It is another key's or vocabulary's, damaged, or no table.
        SchemeError: No file can hold a vocabulary of this size.
        OSError: It cannot be read.

    """
    expected = table_bytes(lists)
    # A pipe would block the open, and has no length.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != expected:
            raise MalformedTableError(
                f"a table of {status.st_size} bytes; this vocabulary's has {expected}"
            )
        header = file.read(HEADER_BYTES)
        shape = (lists.vocabulary, lists.words)
        rows: NDArray[np.uint64] = np.memmap(file, "<u8", "r", HEADER_BYTES, shape)
    if header[: _FIELDS.size - 32] != _header(lists, b"")[: _FIELDS.size - 32]:
        raise MalformedTableError("a table of another key or green list size, or no table")
    if header != _header(lists, blake3.blake3(rows.view(np.uint8).data).digest()):
        raise MalformedTableError("the table's digest is not that of its rows: it is damaged")
    return GreenTable.whole(lists, np.asarray(rows), (open_table, (path, lists)))
