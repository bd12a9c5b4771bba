"""A program that signs: bytes in on its standard input, a signature on its standard output.

It may be a script around an HSM, a KMS or a smart card. It is run without a shell, in a session
of its own, with a time limit; how much it may say is limited, too, and what it says is escaped.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO

from countermark.provenance.claim_signature import MAX_SIGNATURE_BYTES
from countermark.provenance.errors import SignerRefusedError
from countermark.signing.names import printable

__all__ = ["run_signer"]

_MAX_OUTPUT_BYTES = MAX_SIGNATURE_BYTES
_MAX_COMPLAINT_BYTES = 64 << 10  # Read, so that it is not blocked; the end of it is shown.
_SHOWN_BYTES = 400
_CHUNK_BYTES = 16 << 10


def run_signer(argv: Sequence[str], message: bytes, timeout_s: float) -> bytes:
    """Run a program that signs, and return what it wrote.

    Args:
        argv: The program and its arguments.
        message: What it gets to sign.
        timeout_s: After so many seconds it, and whatever it started, is killed.

    Raises:
        SignerRefusedError: It could not be started, took too long, said too much or nothing, or
            ended with another status than 0. What it wrote to standard error is quoted.

    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the caller's own program, without a shell.
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # What was not taken must not be written again when the pipe is closed.
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        raise SignerRefusedError(
            f"the signer {_shown(argv)} cannot be started: {_reason(e)}",
            hint="name the program by its path, and its arguments after it",
        ) from e
    talk = _Talk(process, message, time.monotonic() + timeout_s)
    try:
        finished = talk.run()
    finally:
        _end(process)
    return _judged(talk, process.returncode, _shown(argv), "" if finished else f"{timeout_s:g} s")


def _judged(talk: _Talk, status: int, name: str, too_long: str) -> bytes:
    """Return what the program wrote, if it ended as it should."""
    complaint = _quoted(bytes(talk.complaint))
    if too_long:
        raise SignerRefusedError(f"the signer {name} took over {too_long}{complaint}")
    if talk.too_much:
        raise SignerRefusedError(
            f"the signer {name} wrote over {_MAX_OUTPUT_BYTES} bytes{complaint}",
            hint="its standard output has to hold the signature and nothing else",
        )
    if status != 0:
        raise SignerRefusedError(f"the signer {name} ended with {_status(status)}{complaint}")
    if not talk.output:
        raise SignerRefusedError(f"the signer {name} wrote no signature{complaint}")
    return bytes(talk.output)


class _Talk:
    """What goes to and fro between us and a program, none of it waiting for the rest."""

    def __init__(self, process: subprocess.Popen[bytes], message: bytes, deadline: float) -> None:
        self.output = bytearray()
        self.complaint = bytearray()
        self.too_much = False
        self._process = process
        self._left = memoryview(message)
        self._deadline = deadline

    def run(self) -> bool:
        """Return whether the program ended in time."""
        process = self._process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise SignerRefusedError("the signer has no pipes")
        with selectors.DefaultSelector() as selector:
            pipes: dict[int, tuple[IO[bytes], Callable[[int], bool]]] = {}
            for pipe, step in (
                (process.stdin, self._give),
                (process.stdout, self._take_output),
                (process.stderr, self._take_complaint),
            ):
                os.set_blocking(pipe.fileno(), False)
                gives = pipe is process.stdin
                selector.register(pipe, selectors.EVENT_WRITE if gives else selectors.EVENT_READ)
                pipes[pipe.fileno()] = (pipe, step)
            while selector.get_map():
                left_s = self._deadline - time.monotonic()
                if left_s <= 0 or self.too_much:
                    return self.too_much
                for key, _ in selector.select(left_s):
                    open_pipe, goes_on = pipes[key.fd]
                    if not goes_on(key.fd):
                        selector.unregister(open_pipe)
                        open_pipe.close()
        try:
            process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _give(self, descriptor: int) -> bool:
        try:
            self._left = self._left[os.write(descriptor, self._left[:_CHUNK_BYTES]) :]
        except BrokenPipeError:
            return False  # It may have read enough, or refuse: its status says which.
        return bool(self._left)

    def _take_output(self, descriptor: int) -> bool:
        data = os.read(descriptor, _CHUNK_BYTES)
        self.output += data
        self.too_much = len(self.output) > _MAX_OUTPUT_BYTES
        return bool(data)

    def _take_complaint(self, descriptor: int) -> bool:
        data = os.read(descriptor, _CHUNK_BYTES)
        self.complaint += data
        del self.complaint[:-_MAX_COMPLAINT_BYTES]
        return bool(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # Its children, too: a script's own child would go on holding the token.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _shown(argv: Sequence[str]) -> str:
    return printable(argv[0][:200]) if argv else "without a name"


def _status(code: int) -> str:
    return f"status {code}" if code >= 0 else f"signal {-code}"


def _quoted(complaint: bytes) -> str:
    text = " ".join(complaint[-_SHOWN_BYTES:].decode("utf-8", "replace").split())
    return f", and says: {printable(text)}" if text else ""


def _reason(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else printable(str(error))
