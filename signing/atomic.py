"""Files that are whole or absent: written beside their name, synced, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from countermark.signing.errors import FileExistsRefusedError
from countermark.signing.names import printable

__all__ = ["new_file", "write_file", "write_files"]


def write_file(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write `data` to `path` so that nobody ever sees half of it.

    The file is written under a random name in the same folder, flushed to disk, and then
    renamed (or, with `replace=False`, linked, which fails if the name is taken).

    Args:
        path: Where the file ends up.
        data: Its whole contents.
        mode: Permission bits, applied before the first byte is written.
        replace: Whether an existing file may be replaced.

    Raises:
        FileExistsRefusedError: `path` exists and `replace` is False.
        OSError: The disk refused.

    """
    temporary = _stage(path, data, mode)
    try:
        if replace:
            temporary.replace(path)
        else:
            _link_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together, each whole or not at all, replacing older ones.

    Every byte is on disk before the first file gets its name, so a disk that is full costs
    nothing that was there before. Should a rename itself fail, the files before it have
    their new contents and the others their old.

    Args:
        files: Contents by path; they get their names in this order.

    Raises:
        OSError: The disk refused.

    """
    staged: list[tuple[Path, Path]] = []
    try:
        for path, data in files.items():
            staged.append((_stage(path, data, 0o644), path))
        for temporary, path in staged:
            temporary.replace(path)
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        _sync_folder(folder)


@contextlib.contextmanager
def new_file(path: Path, *, mode: int = 0o644, replace: bool = True) -> Iterator[BinaryIO]:
    """Lend a file that gets its name only if the block ends well; as `write_file` otherwise.

    It can be read, written and sought in. If the block raises, nothing is left of it.

    Raises:
        FileExistsRefusedError: `path` exists and `replace` is False; said before the block, so
            that nobody works for nothing, and again after it.
        OSError: The disk refused.

    """
    if not replace and os.path.lexists(path):
        raise _would_be_lost(path)
    temporary, descriptor = _create(path, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            _link_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _stage(path: Path, data: bytes, mode: int) -> Path:
    """Write and sync a file under a random name beside `path`, and return that name."""
    temporary, descriptor = _create(path, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _create(path: Path, mode: int) -> tuple[Path, int]:
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        return temporary, os.open(
            temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode
        )
    except OSError as e:
        e.filename = str(path)  # The name that somebody asked for, not the one we made up.
        raise


def _link_new(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError as e:
        raise _would_be_lost(path) from e


def _would_be_lost(path: Path) -> FileExistsRefusedError:
    return FileExistsRefusedError(
        f"{printable(str(path))} exists and would be lost",
        hint="choose another name, or remove the file first",
    )


def _sync_folder(folder: Path) -> None:
    # A rename is durable only once its folder is; some file systems cannot sync folders.
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
