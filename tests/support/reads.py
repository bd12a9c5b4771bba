"""Which model files a test's code really opens, whatever its own counters say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["record_reads"]


def record_reads(patch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a file's name whenever that file is opened to be digested."""
    names: list[str] = []
    really = os.open

    def recorded(path: str | Path, flags: int, *rest: int) -> int:
        if flags & os.O_NOFOLLOW:  # As the readers of model files open them, and nobody else.
            names.append(os.path.basename(path))
        return really(path, flags, *rest)

    patch.setattr(os, "open", recorded)
    return names
