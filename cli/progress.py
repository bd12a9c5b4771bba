"""A progress bar for work that takes longer than a second, if `rich` is installed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["bar"]

_PATIENCE_S = 1.0


def bar(what: str, ending: ExitStack) -> Callable[[int, int], None] | None:
    """Return a function that draws (done, total) bytes on standard error; None without rich.

    When `ending` closes, the bar goes and the cursor comes back, whatever happened.
    """
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
    except ImportError:
        return None
    progress = Progress(
        TextColumn(what),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )

    def stop() -> None:
        with _signals_held():
            progress.stop()

    ending.callback(stop)
    task = progress.add_task(what, total=None)
    started = time.monotonic()

    def draw(done: int, total: int) -> None:
        if done >= total:
            stop()
        elif time.monotonic() - started > _PATIENCE_S:
            with _signals_held():
                progress.start()
            progress.update(task, completed=done, total=total)

    return draw


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let signals that interrupt wait until the block is done; only for the main thread.

    Rich is not made to be interrupted while it takes the terminal or gives it back: it would
    be left with half of its hooks, and fail over the other half.
    """
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])
