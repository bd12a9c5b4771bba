"""The other side of `support.forks`: it imports, waits, and becomes each command by forking.

Only the standard library is imported here: whatever this needs, each command finds loaded.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import socket
import struct
import sys
from collections.abc import Sequence

__all__ = ["DESCRIPTORS", "HEADER", "leave_with", "serve"]

# A request: how many bytes of JSON follow, with the three standard streams beside it. Its answer:
# the process, at once, and how it ended, later.
HEADER = struct.Struct(">q")
DESCRIPTORS = 3

_exit_code = 1  # Python's own for an exception that nobody caught.


def serve(control: int, modules: Sequence[str]) -> None:
    """Import `modules`; then return in a new process for each request, and never in this one."""
    atexit.register(_leave)  # The first to be registered is the last to be called.
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as e:
            if e.name == name:
                raise  # Otherwise it needs an extra: whoever uses it is told.
    if "numba" in sys.modules:
        _load_the_compiler()
    channel = socket.socket(fileno=control)
    channel.sendall(HEADER.pack(os.getpid()))
    while True:
        header, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, DESCRIPTORS)
        if not header:
            os._exit(0)  # The tests are over.
        (size,) = HEADER.unpack(header)
        request = channel.recv(size, socket.MSG_WAITALL)
        _expect_one_thread()
        child = os.fork()
        if child == 0:
            channel.close()
            _become(json.loads(request), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(HEADER.pack(child))
        _, status = os.waitpid(child, 0)
        channel.sendall(HEADER.pack(os.waitstatus_to_exitcode(status)))


def leave_with(code: object) -> None:
    """Remember what this process called `sys.exit` with: None or a number."""
    global _exit_code  # noqa: PLW0603
    match code:
        case None:
            _exit_code = 0
        case int():
            _exit_code = code
        case _:
            raise TypeError(f"not an exit code: {code!r}")


def _leave() -> None:
    # Here Python has joined its threads and called every other function that waits for the end.
    # It would flush and then take all modules apart, which takes longer than most commands.
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # Python meets the same, and says what it says.
    os._exit(_exit_code)


def _load_the_compiler() -> None:
    # Numba knows its types and functions only after the first call of anything compiled; each
    # process would learn them anew. What we compile is not touched.
    import numba

    numba.njit()(_same)(0)


def _same(value: int) -> int:
    return value


def _expect_one_thread() -> None:
    # A fork has the thread that forks and every other's locks, held for ever.
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        raise RuntimeError(f"{threads} threads; only a process with one may fork")


def _become(request: dict[str, object], descriptors: list[int]) -> None:
    match request:
        case {"arguments": list(arguments), "environment": dict(variables), "cwd": str(cwd)}:
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(variables)
            sys.argv[1:] = arguments
        case _:
            raise ValueError("not a request")
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # The streams were made for pipes; on a terminal Python sets one thing otherwise.
    if os.isatty(1):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
