"""Commands without their start-up: each is a fork of a process that has imported, and run nothing.

A fork is like a new process in all that a command can ask for: arguments, environment, folder,
standard streams, threads and functions that Python waits for at the end. It is not in what happens
before `main` (Python's own start, and hashes, whose seed all forks of a server share), nor after
all that: modules are not taken apart. Tests of those start a process, and tests/cli/test_forks.py
compares both.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from support.fork_server import HEADER

__all__ = ["CAN_FORK", "Fork", "ForkServer", "communicate"]

# Elsewhere the system's libraries start threads, and the kernel does not count them for us.
CAN_FORK = sys.platform == "linux"

_CODE = """\
import sys
sys.path.append({path!r})
from support.fork_server import leave_with, serve
sys.path.remove({path!r})
del sys
serve({control}, {modules!r})
del serve
try:
    {code}
except SystemExit as e:
    leave_with(e.code)
    raise
else:
    leave_with(None)
"""


@dataclass(frozen=True, slots=True)
class Fork:
    """A process that runs; the next one starts when somebody has waited for this one."""

    pid: int
    server: ForkServer

    def wait(self, timeout_s: float) -> int:
        """Return its exit code, or minus the signal that ended it.

        Raises:
            subprocess.TimeoutExpired: If it had to be killed.

        """
        return self.server.wait(self.pid, timeout_s)


class ForkServer:
    """A process that has imported `modules`, and runs a line of code in a fork for each request."""

    def __init__(self, modules: Sequence[str], code: str, environment: Mapping[str, str]) -> None:
        path = str(Path(__file__).parents[1])
        self._turn = threading.Lock()
        self._channel, theirs = socket.socketpair()
        with theirs:
            control = theirs.fileno()
            code = _CODE.format(path=path, control=control, modules=tuple(modules), code=code)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                pass_fds=[control],
                # Libraries of linear algebra would start a thread for each core.
                env={**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        atexit.register(self.close)
        self._answer()

    def start(
        self,
        arguments: Sequence[str | bytes | Path],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
    ) -> Fork:
        """Start a process whose standard streams are these descriptors; they stay the caller's."""
        request = {
            "arguments": [os.fsdecode(argument) for argument in arguments],
            "environment": dict(environment),
            "cwd": str(cwd),
        }
        data = json.dumps(request).encode("ascii")  # What is not UTF-8 is escaped.
        self._turn.acquire()
        socket.send_fds(self._channel, [HEADER.pack(len(data))], streams)
        self._channel.sendall(data)
        return Fork(self._answer(), self)

    def wait(self, pid: int, timeout_s: float) -> int:
        """Do what `Fork.wait` says."""
        try:
            self._channel.settimeout(timeout_s)
            return self._answer()
        except TimeoutError as e:
            os.kill(pid, signal.SIGKILL)
            self._channel.settimeout(None)
            self._answer()
            raise subprocess.TimeoutExpired("a fork", timeout_s) from e
        finally:
            self._channel.settimeout(None)
            self._turn.release()

    def close(self) -> None:
        """End it."""
        atexit.unregister(self.close)
        self._channel.close()
        with self._process:
            pass  # Closes the pipes and waits.

    def _answer(self) -> int:
        data = self._channel.recv(HEADER.size, socket.MSG_WAITALL)
        if not data:
            _, err = self._process.communicate()
            raise RuntimeError(f"the fork server ended: {err.decode()}")
        number: int
        (number,) = HEADER.unpack(data)
        return number


def communicate(
    server: ForkServer,
    arguments: Sequence[str | bytes | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    given: bytes,
    timeout_s: float,
) -> tuple[int, bytes, bytes]:
    """Run a fork that reads `given` from a pipe; return its exit code and what it printed."""
    pipes = [os.pipe() for _ in range(3)]
    theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
    try:
        fork = server.start(arguments, cwd=cwd, environment=environment, streams=theirs)
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    with ThreadPoolExecutor(3) as pool:  # Each pipe holds 64 KiB, then its writer waits.
        pool.submit(_write_all, pipes[0][1], given)
        read = [pool.submit(_read_all, pipe[0]) for pipe in pipes[1:]]
        code = fork.wait(timeout_s)
        out, err = (future.result() for future in read)
    return code, out, err


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as pipe:
        return pipe.read()


def _write_all(descriptor: int, data: bytes) -> None:
    try:
        with open(descriptor, "wb", buffering=0) as pipe:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[pipe.write(remaining) :]
    except BrokenPipeError:
        pass  # It did not want to know.
