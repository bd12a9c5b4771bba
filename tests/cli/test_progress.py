"""The bar and the signals that arrive while it is being put up or taken down."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import pytest

from countermark.cli import progress

rich_progress = pytest.importorskip("rich.progress", reason="the bar is the extra 'progress'")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_start_waits_until_the_bar_stands(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rich_progress.Progress.start
    stood: list[bool] = []

    def start(self: object) -> None:
        signal.raise_signal(number)  # Where rich would be left with half of its hooks.
        real(self)
        stood.append(True)

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rich_progress.Progress, "start", start)
    monkeypatch.setattr(progress, "_PATIENCE_S", -1.0)
    before = signal.signal(number, interrupt)
    try:
        with ExitStack() as ending:
            draw = progress.bar("reading", ending)
            assert draw is not None
            with pytest.raises(KeyboardInterrupt):
                draw(1, 2)
        assert stood == [True]
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
