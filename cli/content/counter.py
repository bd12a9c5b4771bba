"""How many files were done so far, on one line of a terminal that goes when the work is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from countermark.cli.output import Output

__all__ = ["file_counter"]

_EVERY_S = 0.2


def file_counter(output: Output, what: str) -> Callable[[int], None] | None:
    """Return a function that shows a count on standard error; None if nobody looks."""
    if output.format != "human" or output.bars is None or not sys.stderr.isatty():
        return None
    last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY_S:
            last = now
            sys.stderr.write(f"\r\x1b[K{what}: {done:,} files")
            sys.stderr.flush()

    def clear() -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    output.bars.callback(clear)
    return show
