"""The command line as a stranger runs it: in a process of its own, with nothing inherited."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.command import TIMEOUT_S, ended, started


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: its exit code and everything it printed."""

    code: int
    out: bytes
    err: bytes

    @property
    def document(self) -> dict[str, object]:
        """Return the JSON document on standard output."""
        document: dict[str, object] = json.loads(self.out)
        return document


Cli = Callable[..., Ran]


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    return kept | {"HOME": str(home), "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TERM": "xterm"}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `countermark` with these arguments, its output in pipes."""

    def run(*arguments: str | bytes | Path) -> Ran:
        return Ran(*ended(arguments, cwd=tmp_path, environment=_environment(tmp_path)))

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Cli:
    """Run `countermark` on a terminal; `out` is everything that reached it."""

    def run(*arguments: str | bytes | Path) -> Ran:
        ours, theirs = pty.openpty()
        with open(os.devnull, "rb") as nothing, open(theirs, "r+b", buffering=0) as follower:
            running = started(
                arguments,
                cwd=tmp_path,
                environment=_environment(tmp_path),
                streams=(nothing.fileno(), follower.fileno(), follower.fileno()),
            )
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        os.close(ours)
        return Ran(running.wait(TIMEOUT_S), shown, b"")

    return run


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says EIO when the other end has closed.
        return b""
