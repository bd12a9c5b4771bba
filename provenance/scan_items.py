"""What a scan looks at: the files of a folder, or those that a list names; in a stable order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from countermark import Error
from countermark.provenance.errors import ScanError
from countermark.signing import strict_json
from countermark.signing.names import printable

__all__ = ["MAX_LINE_BYTES", "ScanItem", "items_of_folder", "items_of_lines", "items_of_list"]

MAX_LINE_BYTES: Final = 1 << 16
_SIDECAR = ".c2pa"
_MAX_DEPTH = 256


class ScanItem(NamedTuple):
    """One file that is to be judged.

    Attributes:
        number: Its place in the scan, from 0.
        path: Where it is; lone surrogates stand for bytes that are not UTF-8.
        id: What its list calls it; None if it does not.

    """

    number: int
    path: str
    id: str | int | None = None


def items_of_folder(folder: Path, *, without: tuple[Path, ...] = ()) -> Iterator[ScanItem]:
    """Yield every regular file below a folder, sorted by name in each of its folders.

    Links are not followed, and a manifest beside the file that it is about is not a file of its
    own.

    Args:
        folder: Where to start.
        without: Files to leave out, such as the output of the scan.

    Raises:
        ScanError: Folders nested deeper than 256.
        OSError: A folder cannot be read.

    """
    left_out = {(s.st_dev, s.st_ino) for s in (p.stat() for p in without if p.exists())}
    for index, path in enumerate(_files(os.fspath(folder), left_out, 0)):
        yield ScanItem(index, path)


def _files(folder: str, left_out: set[tuple[int, int]], depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ScanError(f"{printable(folder)[:200]}: folders nested deeper than {_MAX_DEPTH}")
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    names = {entry.name for entry in entries}
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, left_out, depth + 1)
        elif entry.is_file(follow_symlinks=False):
            if entry.name.endswith(_SIDECAR) and entry.name.removesuffix(_SIDECAR) in names:
                continue
            if left_out:
                status = entry.stat(follow_symlinks=False)
                if (status.st_dev, status.st_ino) in left_out:
                    continue
            yield entry.path


def items_of_list(source: BinaryIO, *, beside: Path) -> Iterator[ScanItem]:
    """Yield the files that a text names, one on each line; empty lines are skipped.

    Args:
        source: The list.
        beside: What relative names start from.

    Raises:
        ScanError: A line that cannot be a name.

    """
    index = 0
    for number, line in _lines(source):
        if line:
            if b"\0" in line:
                raise ScanError(f"line {number} of the list holds a NUL")
            yield ScanItem(index, os.path.join(beside, os.fsdecode(line)))
            index += 1


def items_of_lines(source: BinaryIO, *, beside: Path) -> Iterator[ScanItem]:
    """Yield the files that the lines of a JSONL file name: objects with `path`, perhaps `id`.

    Other members are skipped: such files come out of databases.

    Raises:
        ScanError: A line that is no such object.

    """
    index = 0
    for number, line in _lines(source):
        if not line:
            continue
        where = f"line {number} of the list"
        try:
            document = strict_json.loads(line, what=where, max_bytes=MAX_LINE_BYTES)
        except Error as e:
            raise ScanError(str(e)) from e
        match document:
            case {"path": str(path), **rest} if path and "\0" not in path:
                name = rest.get("id")
                if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
                    raise ScanError(f"{where}: the id is neither a text nor an integer")
                yield ScanItem(index, os.path.join(beside, path), name)
                index += 1
            case _:
                raise ScanError(f"{where}: no object with a path")


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise ScanError(f"line {number} of the list has over {MAX_LINE_BYTES} bytes")
        yield number, line.rstrip(b"\r\n")
