"""The output of a batch: which inputs its lines answer, and where a stopped run goes on."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from countermark import Error
from countermark.signing import strict_json
from countermark.signing.errors import FileExistsRefusedError
from countermark.signing.names import printable
from countermark.watermark.errors import BatchError
from countermark.watermark.records import Record

__all__ = ["heading", "open_output", "skip_finished", "sync"]

_MAX_LINE_BYTES: Final = 64 * 1024 * 1024


def heading(record: Record, name: str | int | None = None) -> dict[str, object]:
    """Return what a line says of the input it answers."""
    said: dict[str, object] = {"index": record.index, "input": record.sha256, **_place(record)}
    return said if name is None else {**said, "id": name}


def _place(record: Record) -> dict[str, object]:
    return {"file": record.file} if record.line is None else {"line": record.line}


def open_output(path: Path, *, resume: bool) -> BinaryIO:
    """Open a file that nobody else writes to: a new one, or with `resume` perhaps an old one.

    Raises:
        FileExistsRefusedError: It exists, and `resume` is False.
        BatchError: It is no regular file, or another run has it open.
        OSError: The disk refused.

    """
    name = printable(str(path))
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags if resume else flags | os.O_EXCL, 0o644)
    except FileExistsError as e:
        raise FileExistsRefusedError(
            f"{name} exists and would be lost",
            hint="choose another name, or go on with it: --resume",
        ) from e
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BatchError(f"{name} is a FIFO or device, not a file")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(descriptor)
        raise BatchError(f"{name}: another run is writing to it") from e
    except (BatchError, OSError):
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "r+b")


def skip_finished(file: BinaryIO, records: Iterator[Record], job: str, name: str) -> int:
    """Leave `file` at the end of its last whole line, and return how many it has.

    Takes as many of `records`, and compares each. A line without its end was torn, and goes.

    Raises:
        BatchError: A line is not ours, or not of these inputs and this job.

    """
    done = end = 0
    while (line := file.readline(_MAX_LINE_BYTES + 1)).endswith(b"\n"):
        _check_same(line, next(records, None), job, f"{name}: line {done + 1}")
        done += 1
        end += len(line)
    if len(line) > _MAX_LINE_BYTES:
        raise BatchError(f"{name}: line {done + 1} is over {_MAX_LINE_BYTES} bytes, not ours")
    file.seek(end)
    file.truncate()
    return done


def _check_same(line: bytes, record: Record | None, job: str, where: str) -> None:
    try:
        document = strict_json.loads(line, what=where, max_bytes=_MAX_LINE_BYTES + 1)
    except Error as e:
        raise BatchError(f"{where} is not a line of ours: {e}") from e
    if record is None:
        raise BatchError(f"{where} answers an input, but there are no more inputs")
    if not isinstance(document, dict):
        raise BatchError(f"{where} is not a line of ours: no object")
    expected = heading(record)
    if any(document.get(key) != value for key, value in expected.items()):
        raise BatchError(
            f"{where} answers another input than {_place(record)} now is",
            hint="the inputs changed: start again, with another output",
        )
    if document.get("job") != job:
        raise BatchError(
            f"{where} was made with other keys or options",
            hint="resume with the same ones, or start again, with another output",
        )


def sync(file: BinaryIO) -> None:
    """Put everything written so far on the disk."""
    file.flush()
    os.fsync(file.fileno())
