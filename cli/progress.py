"""A progress bar for work that takes longer than a second, if `rich` is installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

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
    ending.callback(progress.stop)
    task = progress.add_task(what, total=None)
    started = time.monotonic()

    def draw(done: int, total: int) -> None:
        if done >= total:
            progress.stop()
        elif time.monotonic() - started > _PATIENCE_S:
            progress.start()
            progress.update(task, completed=done, total=total)

    return draw
