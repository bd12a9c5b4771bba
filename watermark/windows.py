"""Where in a long text the mark is: windows of doubling lengths, each with a p-value that holds.

A marked paragraph in a long document is lost in the document's mean. So every window of 32, 64,
128 … counted tokens is tested, each step a quarter of its length from the last, and each p
is corrected for the number of windows (Bonferroni), which holds however they overlap. The best
p over all windows without that correction would be no p-value at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.detector import Detector

__all__ = [
    "SHORTEST_WINDOW",
    "Stretch",
    "Windows",
    "longest_window",
    "marked_stretches",
    "try_windows",
    "window_count",
]

SHORTEST_WINDOW = 32
_STEPS_PER_WINDOW = 4
_EDGES = 96  # At most so many places are tried for each end of a stretch.


@dataclass(frozen=True, slots=True)
class Windows:
    """Every window of one document, tested.

    Attributes:
        starts: int64 [W], index of the first value.
        lengths: int64 [W], how many values.
        ln_p: float64 [W], of each window alone.

    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    ln_p: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of values that carries the mark.

    Attributes:
        start: Index of its first value; like `stop`, the best estimate.
        stop: Index after its last value.
        ln_p: Of the strongest window inside, before correction; this is what the test says.
        window: (start, length) of that window.

    """

    start: int
    stop: int
    ln_p: float
    window: tuple[int, int]


def window_count(values: int) -> int:
    """Return how many windows a document of so many counted tokens has."""
    return len(_layout(values)[0])


def longest_window(values: int) -> int:
    """Return the length of the longest window of so many counted tokens; 0 if there is none."""
    fits = values // SHORTEST_WINDOW
    return SHORTEST_WINDOW << (fits.bit_length() - 1) if fits else 0


def try_windows(values: NDArray[np.float64], detector: Detector) -> Windows:
    """Test every window of one document's values, float64 [M] in order."""
    starts, lengths = _layout(len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    totals = sums[starts + lengths] - sums[starts]
    return Windows(starts, lengths, detector.log_p(totals, lengths))


def marked_stretches(
    values: NDArray[np.float64], detector: Detector, windows: Windows, limit: float
) -> list[Stretch]:
    """Return the stretches whose best window has ln p at most `limit`, in order.

    The strongest window goes first. The ends of its stretch are moved to where they make it least
    likely by chance, which is an estimate, while the p stays that of the window; windows that
    overlap it are then settled, and the strongest of the others goes next.

    Args:
        values: float64 [M], what `windows` were made of.
        detector: Whose values they are.
        windows: From `try_windows`.
        limit: ln of the p that a window needs by itself: alpha over the number of tests.

    """
    left = np.flatnonzero(windows.ln_p <= limit)
    left = left[np.argsort(windows.ln_p[left], kind="stable")]
    taken: list[Stretch] = []
    while len(left):
        stretch = _stretch(values, detector, windows, int(left[0]), taken)
        taken.append(stretch)
        starts = windows.starts[left]
        apart = (starts >= stretch.stop) | (starts + windows.lengths[left] <= stretch.start)
        apart[0] = False
        left = left[apart]
    return sorted(taken, key=lambda stretch: stretch.start)


def _layout(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    lengths: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    length = SHORTEST_WINDOW
    while length <= count:
        first = np.arange(0, count - length + 1, length // _STEPS_PER_WINDOW, dtype=np.int64)
        starts.append(first)
        lengths.append(np.full(len(first), length, np.int64))
        length *= 2
    return np.concatenate(starts), np.concatenate(lengths)


def _stretch(
    values: NDArray[np.float64],
    detector: Detector,
    windows: Windows,
    best: int,
    taken: list[Stretch],
) -> Stretch:
    """Move the ends of a window outwards by at most its length, or inwards."""
    start, length = int(windows.starts[best]), int(windows.lengths[best])
    floor = max((s.stop for s in taken if s.stop <= start), default=0)
    ceiling = min((s.start for s in taken if s.start >= start + length), default=len(values))
    low, high = max(floor, start - length), min(ceiling, start + 2 * length)
    first, last = _ends(values, detector, low, high)
    return Stretch(first, last, float(windows.ln_p[best]), (start, length))


def _ends(values: NDArray[np.float64], detector: Detector, low: int, high: int) -> tuple[int, int]:
    """Return the part of [low, high) that is least likely by chance, on a grid of ends."""
    edges = np.unique(np.linspace(low, high, min(_EDGES, high - low + 1)).astype(np.int64))
    first, last = np.triu_indices(len(edges), k=1)
    sums = np.concatenate([[0.0], np.cumsum(values[low:high])])
    counts = edges[last] - edges[first]
    totals = sums[edges[last] - low] - sums[edges[first] - low]
    best = int(np.argmin(detector.log_p(totals, counts)))
    return int(edges[first[best]]), int(edges[last[best]])
