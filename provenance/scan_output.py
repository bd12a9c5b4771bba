"""The output of a scan: one JSON object a line, and where a stopped scan goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from countermark import Error
from countermark.provenance.errors import ScanError
from countermark.provenance.scan_items import ScanItem
from countermark.provenance.scan_worker import Document, heading
from countermark.signing import strict_json
from countermark.watermark import batch_output
from countermark.watermark.errors import BatchError

__all__ = ["encode_line", "open_output", "skip_finished", "sync"]

_MAX_LINE_BYTES: Final = 1 << 20
_START: Final = b'{"index":'

sync = batch_output.sync


def open_output(path: Path, *, resume: bool) -> BinaryIO:
    """Open a file that nobody else writes to: a new one, or with `resume` perhaps an old one.

    Raises:
        FileExistsRefusedError: It exists, and `resume` is False.
        ScanError: It is no regular file, or another scan has it open.
        OSError: The disk refused.

    """
    try:
        return batch_output.open_output(path, resume=resume)
    except BatchError as e:
        raise ScanError(str(e), hint=e.hint) from e


def encode_line(document: Document, job: str) -> bytes:
    """Return one line of the output."""
    line = json.dumps({**document, "job": job}, ensure_ascii=True, separators=(",", ":"))
    return line.encode() + b"\n"


def skip_finished(
    file: BinaryIO,
    items: Iterator[ScanItem],
    job: str,
    name: str,
    keep: Callable[[Document], None],
) -> int:
    """Leave `file` at the end of its last whole line, and return how many it has.

    Takes as many of `items`, and compares each; `keep` is given every line. A line without its
    end was torn, and goes.

    Raises:
        ScanError: A line is not ours, or not of these files and this job.

    """
    done = end = 0
    while (line := file.readline(_MAX_LINE_BYTES + 1)).endswith(b"\n"):
        where = f"{name}: line {done + 1}"
        keep(_same(line, next(items, None), job, where))
        done += 1
        end += len(line)
    if len(line) > _MAX_LINE_BYTES or not line.startswith(_START[: len(line)]):
        # Whatever it is, it was not torn from a line of ours, and must not be lost.
        raise ScanError(f"{name}: line {done + 1} is not the beginning of a line of ours")
    file.seek(end)
    file.truncate()
    return done


def _same(line: bytes, item: ScanItem | None, job: str, where: str) -> Document:
    try:
        document = strict_json.loads(line, what=where, max_bytes=_MAX_LINE_BYTES + 1)
    except Error as e:
        raise ScanError(f"{where} is not a line of ours: {e}") from e
    if not isinstance(document, dict):
        raise ScanError(f"{where} is not a line of ours: no object")
    if item is None:
        raise ScanError(f"{where} is about a file, but there are no more files")
    if any(document.get(key) != value for key, value in heading(item).items()):
        raise ScanError(
            f"{where} is about another file than number {item.number} now is",
            hint="the files changed: start again, with another output",
        )
    if document.get("job") != job:
        raise ScanError(
            f"{where} was made with another trust bundle, other options or another engine",
            hint="resume with the same ones, or start again, with another output",
        )
    return document
