"""Measure one child process: CPU seconds, wall seconds and peak resident memory.

Linux only. `ru_maxrss` of a child starts at the peak of whatever process called `execve`,
so a child started by this interpreter could never seem smaller than the interpreter (vfork
and posix_spawn do not help). Here a small shell forks the child and exits; this process,
a *subreaper* for that moment, adopts the orphan and reaps it with `wait4`. The floor is then
the shell's, about 2 MiB. A pipe holds the child back until it is ours and the clock runs.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_STDERR_TAIL_CHARS = 300

# A shell gives background jobs /dev/null as stdin, so the gate has to be on descriptor 3.
_LAUNCHER = """
exec 3<&0
{ read -r _ && exec "$@" </dev/null 3<&-; } <&3 >/dev/null 2>"$0" &
echo $!
"""


class ChildFailedError(Exception):
    """A measured command did not exit with status 0."""

    def __init__(self, argv: Sequence[str], *, status: int, stderr: str) -> None:
        tail = " ".join(stderr.split())[-_STDERR_TAIL_CHARS:]
        super().__init__(f"{Path(argv[0]).name} exited with {status}: {tail or 'no message'}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one run of a command cost.

    Attributes:
        cpu_s: User plus system seconds of the child and of the children it reaped.
        wall_s: Seconds from the moment the child may start to its end.
        peak_rss_bytes: Largest resident set; pages of mapped files count.

    """

    cpu_s: float
    wall_s: float
    peak_rss_bytes: int


def measure(argv: Sequence[str], *, folder: Path | None = None) -> Usage:
    """Run `argv` once in `folder`, its output thrown away, and return what it cost.

    Raises:
        ChildFailedError: Its exit status is not 0 (127: there is no such program).

    """
    with _adopting_orphans(), tempfile.NamedTemporaryFile(prefix="stderr-") as stderr:
        pid, gate = _launch(argv, folder, stderr.name)
        try:
            started = time.perf_counter()
            os.write(gate, b"\n")
            _, status, usage = os.wait4(pid, 0)
            wall_s = time.perf_counter() - started
        except BaseException:  # Ctrl-C: background jobs of a shell ignore SIGINT.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        finally:
            os.close(gate)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise ChildFailedError(argv, status=code, stderr=stderr.read().decode(errors="replace"))
    return Usage(
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=wall_s,
        peak_rss_bytes=usage.ru_maxrss * 1024,
    )


def _launch(argv: Sequence[str], folder: Path | None, stderr_path: str) -> tuple[int, int]:
    """Return the pid of a child that waits for a newline, and the descriptor to write it to."""
    held_back, gate = os.pipe()
    try:
        shell = subprocess.run(
            ["/bin/sh", "-c", _LAUNCHER, stderr_path, *argv],
            cwd=folder,
            stdin=held_back,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    except BaseException:
        os.close(gate)  # The child, if any, reads end of file and never runs `argv`.
        raise
    finally:
        os.close(held_back)
    return int(shell.stdout), gate


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Make this process the parent of its orphaned descendants, then stop being so."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
