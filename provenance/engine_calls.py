"""Calls of c2pa that an interrupt can end.

Python runs signal handlers in the main thread, between two steps of whatever runs there. In a
callback of c2pa's, an exception is dropped: a read seems to have met the end of the file, a write
to have gone well, and nobody hears of Ctrl-C. So c2pa runs in a thread of its own while the main
thread waits, where an interrupt is one. The streams fail from then on, so that c2pa gives up.

Signers are called by the thread that waits: where the caller is, and where an interrupt reaches
them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import BinaryIO, Generic, TypeVar

__all__ = ["Call", "ask_caller", "interruptible"]

T = TypeVar("T")

_START_S = 1.0  # Of a thread that was asked for, and is not there yet.

_running = threading.local()  # `call`: the one that this thread works for, if it does.


def interruptible(work: Callable[[Call], T]) -> T:
    """Return what `work` does; c2pa is to read and write through `Call.stream` only."""
    call = Call()
    if threading.current_thread() is not threading.main_thread():
        return work(call)  # No signal is handled here.
    outcome: SimpleQueue[_Outcome[T]] = SimpleQueue()

    def run() -> None:
        _running.call = call
        if not call.stopped:
            outcome.put(_outcome_of(lambda: work(call)))
        call.ended.set()
        call.asked.put(None)

    # A daemon: a second interrupt need not wait for a network, and nor does the end of Python.
    thread = threading.Thread(target=run, daemon=True, name="c2pa")
    try:
        thread.start()
        call.serve()
    except BaseException:
        call.stopped = True
        call.answers.put(_Outcome(error=_stopped()))  # It may be waiting for a signature.
        # What it uses must not go before it is done. Not asked by the queue: the interrupt may
        # have come just after the last of it was taken. Nor without end if it never began.
        call.ended.wait(None if thread.ident is not None else _START_S)
        raise
    return outcome.get().result()


def ask_caller(function: Callable[[], bytes]) -> bytes:
    """Return what `function` returns, or raise what it raises, in the thread that waits."""
    call: Call | None = getattr(_running, "call", None)
    if call is None:
        return function()
    call.check()
    call.asked.put(lambda: call.answers.put(_outcome_of(function)))
    return call.answers.get().result()


class Call:
    """One call, which runs in one thread and is waited for in another."""

    def __init__(self) -> None:
        self.stopped = False
        self.ended = threading.Event()
        self.asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: it is done.
        self.answers: SimpleQueue[_Outcome[bytes]] = SimpleQueue()

    def stream(self, file: BinaryIO) -> object:
        """Return a file for c2pa that fails once nobody wants the call any more."""
        return _Stream(file, self)

    def check(self) -> None:
        """Raise unless somebody still waits."""
        if self.stopped:
            raise _stopped()

    def serve(self) -> None:
        """Do what the call asks for until it is done."""
        while (asked := self.asked.get()) is not None:
            asked()


class _Stream:
    """What c2pa wants of a file."""

    def __init__(self, file: BinaryIO, call: Call) -> None:
        self._file = file
        self._check = call.check
        if hasattr(file, "readinto"):
            self.readinto = self._readinto

    def read(self, length: int = -1) -> bytes:
        self._check()
        return self._file.read(length)

    def _readinto(self, buffer: memoryview) -> int:
        self._check()
        return self._file.readinto(buffer) or 0  # type: ignore[attr-defined]

    def write(self, data: bytes) -> int:
        self._check()
        return self._file.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._check()
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._check()
        self._file.flush()


class _Outcome(Generic[T]):
    """What a function returned or raised, on its way to another thread."""

    def __init__(self, value: T | None = None, error: BaseException | None = None) -> None:
        self._value = value
        self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # Without an error it was returned.


def _outcome_of(function: Callable[[], T]) -> _Outcome[T]:
    try:
        return _Outcome(function())
    except BaseException as e:  # noqa: BLE001 - raised again where the result is asked for.
        return _Outcome(error=e)


def _stopped() -> InterruptedError:
    return InterruptedError("nobody waits for it any more")
