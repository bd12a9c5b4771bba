"""A command in a process of its own: on a terminal, or interrupted while it reads a file."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import COMMAND, environment

__all__ = ["HUGE_BYTES", "interrupted", "needs_proc", "on_terminal"]

HUGE_BYTES = 64 << 30  # Sparse; nobody reads all of it before the tests give up.

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="looks at open files in /proc"
)


def interrupted(
    folder: Path, words: list[str], number: signal.Signals, *, reading: Callable[[str], bool]
) -> tuple[int, bytes, bytes]:
    """Run a command until it has a file open whose name is `reading`, and send it a signal.

    Returns:
        Its exit code, and what it printed.

    """
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 60
        while not any(map(reading, _open_files(process))):
            assert process.poll() is None, "it ended before it read the file"
            assert time.monotonic() < deadline, "it never read the file"
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def _open_files(process: subprocess.Popen[bytes]) -> set[str]:
    names = set()
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            names.add(os.path.basename(os.readlink(link)))
        except OSError:
            continue
    return names


def on_terminal(folder: Path, *words: str, variables: dict[str, str] | None = None) -> bytes:
    """Return what a terminal would have been sent; a bar that appears is interrupted."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(folder, **{"TERM": "xterm", **(variables or {})}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    ) as process:
        os.close(follower)
        sent = bytearray()
        stopped = False
        while True:
            ready, _, _ = select.select([leader], [], [], 60)
            assert ready, "nothing was printed for a minute"
            try:
                data = os.read(leader, 65536)
            except OSError:  # Linux says EIO when the other end is closed.
                break
            if not data:
                break
            sent += data
            if not stopped and b"\x1b[?25l" in sent:
                process.send_signal(signal.SIGINT)
                stopped = True
        process.wait(timeout=60)
    os.close(leader)
    return bytes(sent)
