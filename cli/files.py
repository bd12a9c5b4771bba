"""Small files named on the command line: keys and certificates."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_bounded"]


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes, at most one more than allowed, so that its parser refuses it.

    A pipe is as good as a file: secrets are often handed over through one.

    Raises:
        OSError: It cannot be read.

    """
    with path.open("rb") as file:
        return file.read(max_bytes + 1)
