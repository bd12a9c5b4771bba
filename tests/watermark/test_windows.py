"""Windows and stretches."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.gumbel import GumbelDetector
from countermark.watermark.windows import (
    SHORTEST_WINDOW,
    marked_stretches,
    try_windows,
    window_count,
)

DETECTOR = GumbelDetector(bytes(16))


def values(length: int, seed: int, marked: slice = slice(0, 0)) -> NDArray[np.float64]:
    """Return null scores, with those of a mark at 1.8 bits per token in one place."""
    rng = np.random.default_rng(seed)
    out = rng.standard_exponential(length)
    out[marked] = rng.gamma(1.6, 1.4, len(out[marked]))
    return out


@pytest.mark.parametrize("count", [0, 1, SHORTEST_WINDOW - 1])
def test_text_shorter_than_a_window_has_none(count: int) -> None:
    assert window_count(count) == 0
    assert len(try_windows(values(count, 1), DETECTOR)) == 0


@pytest.mark.parametrize("count", [SHORTEST_WINDOW, 33, 1000, 4096])
def test_every_window_lies_inside_and_has_the_p_of_its_own_sum(count: int) -> None:
    v = values(count, 2)
    windows = try_windows(v, DETECTOR)
    assert len(windows) == window_count(count) > 0
    assert (windows.starts + windows.lengths <= count).all()
    for i in range(0, len(windows), 37):
        part = v[windows.starts[i] : windows.starts[i] + windows.lengths[i]]
        alone = DETECTOR.log_p(np.array([part.sum()]), np.array([len(part)]))[0]
        assert windows.ln_p[i] == pytest.approx(alone, rel=1e-9, abs=1e-12)


def test_false_alarms_over_all_windows_are_at_most_the_promised_share() -> None:
    trials, alarms = 400, 0
    for seed in range(trials):
        windows = try_windows(values(2000, 1000 + seed), DETECTOR)
        alarms += windows.ln_p.min() + np.log(len(windows)) <= np.log(0.05)
    assert alarms <= 34  # Binomial(400, 0.05) exceeds this with probability 0.001.


def test_marked_stretch_is_found_where_it_is() -> None:
    hit = 0
    for seed in range(20):
        v = values(64_000, seed, slice(30_000, 30_200))
        windows = try_windows(v, DETECTOR)
        limit = np.log(1e-3) - np.log(len(windows))
        stretches = marked_stretches(v, DETECTOR, windows, limit)
        if len(stretches) == 1:
            found = stretches[0]
            hit += 29_940 <= found.start <= 30_060
            hit += 30_140 <= found.stop <= 30_260
    assert hit >= 38


def test_two_marked_stretches_are_two() -> None:
    v = values(20_000, 3, slice(2_000, 2_400))
    v[9_000:9_300] = values(300, 4, slice(0, 300))
    windows = try_windows(v, DETECTOR)
    limit = np.log(1e-6) - np.log(len(windows))
    found = marked_stretches(v, DETECTOR, windows, limit)
    assert [round(s.start, -3) for s in found] == [2000, 9000]
    assert all(s.ln_p <= limit for s in found)


def test_unmarked_text_has_no_stretch() -> None:
    v = values(64_000, 5)
    windows = try_windows(v, DETECTOR)
    assert marked_stretches(v, DETECTOR, windows, np.log(1e-6) - np.log(len(windows))) == []
