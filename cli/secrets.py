"""Where the command line gets its secrets: a password file, the environment, a key file."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from countermark.signing.errors import CacheError, FileExistsRefusedError, WrongPasswordError
from countermark.signing.names import printable

__all__ = ["PASSWORD_VARIABLE", "cache_key", "key_password"]

PASSWORD_VARIABLE = "COUNTERMARK_KEY_PASSWORD"  # noqa: S105 - the variable's name, not a secret
_MAX_PASSWORD_BYTES = 1024
_CACHE_KEY_BYTES = 32


def key_password(file: Path | None) -> bytes | None:
    """Return the private key's password, or None if nobody gave one.

    Raises:
        WrongPasswordError: The file is empty, or not a password.
        OSError: The file cannot be read.

    """
    if file is None:
        value = os.environ.get(PASSWORD_VARIABLE)
        return value.encode() if value else None
    with file.open("rb") as stream:
        line = stream.readline(_MAX_PASSWORD_BYTES + 1).rstrip(b"\r\n")
    if not 0 < len(line) <= _MAX_PASSWORD_BYTES:
        raise WrongPasswordError(
            f"{printable(str(file))}: the first line is not a password of 1 to "
            f"{_MAX_PASSWORD_BYTES} bytes"
        )
    return line


def cache_key() -> bytes:
    """Return this user's key for digest caches, made when it is first needed.

    It lies in `$XDG_STATE_HOME/countermark` (or `~/.local/state/countermark`), readable by
    its owner only.

    Raises:
        CacheError: The file is there and is not such a key.
        OSError: The disk refused.

    """
    from countermark.signing.atomic import write_file

    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = Path(state) / "countermark" / "cache.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsRefusedError):  # Another process's is as good.
            write_file(path, secrets.token_bytes(_CACHE_KEY_BYTES), mode=0o600, replace=False)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        key = file.read(_CACHE_KEY_BYTES + 1)
    if len(key) != _CACHE_KEY_BYTES or status.st_mode & 0o077 or status.st_uid != os.geteuid():
        raise CacheError(
            f"{printable(str(path))} is not a secret of ours: {len(key)} bytes, "
            f"mode {status.st_mode & 0o777:o}",
            hint="delete the file; digest caches start anew",
        )
    return key
