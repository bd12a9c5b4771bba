"""Files that are whole or absent: written beside their name, synced, then renamed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from countermark.signing.errors import FileExistsRefusedError
from countermark.signing.names import printable

__all__ = ["write_file"]


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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            _link_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _link_new(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError as e:
        raise FileExistsRefusedError(
            f"{printable(str(path))} exists and would be lost",
            hint="choose another name, or remove the file first",
        ) from e


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
