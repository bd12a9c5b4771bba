"""Tails of weighted sums of independent bits, to full precision and without a table of the sum.

One token scores sum_l w_l B_l: integer weights, bits that are 1 with probability p. The tail of n
tokens is an integral over one period of the characteristic function of the *tilted* law, in
which totals near the observed one are the likely ones, so a probability of 1e-2000 is a number of
ordinary size times a known factor. The trapezoid rule on a periodic analytic function is exact but
for aliases of the density one period away; the step is chosen so that those are below e**-46
(Bernstein's inequality, which is a bound and no approximation). Steps are left out only where
the integrand is proved to be below e**-46. specs/watermark-statistics-v1, section 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from countermark.watermark import weighted_bits_kernels as kernels
from countermark.watermark.compiled import compiled

__all__ = ["Lattice", "lattice", "weighted_bits_tails"]

_SLACK = 0.05  # Of the lower bounds of a lattice, which are from 0 to the number of bits.
_GRID = 1 << 26  # Sines that a lattice may cost.
_TABLE_TOTALS = 1 << 16  # Above, a table costs more than it saves.
_TABLE_LOG = 640.0  # -ln of the least mass in a table; float64 ends at 708.
_ROWS = 1 << 12  # Stations that are remembered for one law: 4.4 MB, when all are in use.


@dataclass(frozen=True, slots=True)
class Lattice:
    """Weights without their common divisor, and where their characteristic function is small.

    For u from 0 to pi, g(u) is sum_l sin^2(w_l u / 2). Cells of equal width cover 0 to pi.

    Attributes:
        step: Greatest common divisor of the weights: totals are multiples of it.
        weights: float64 [L], weights over `step`, none 0, in ascending order.
        floors: float64 [C], a lower bound of g in each cell.
        rests: float64 [C], a lower bound of g in each cell and all after it.

    """

    step: int
    weights: NDArray[np.float64]
    floors: NDArray[np.float64]
    rests: NDArray[np.float64]


@lru_cache(maxsize=32)
def lattice(weights: tuple[int, ...]) -> Lattice:
    """Prepare weights, integers of at least 0 of which one is not 0."""
    step = math.gcd(*weights)
    reduced = np.array(sorted(w // step for w in weights if w), np.float64)
    # |g''| is at most M, the sum of w_l^2 / 2, so that between two points h apart g lies at
    # most M h^2 / 8 below the lower one.
    curvature = float(reduced @ reduced) / 2
    cells = min(1 + int(math.pi * math.sqrt(curvature / (8 * _SLACK))), _GRID // len(reduced))
    u = np.linspace(0.0, math.pi, cells + 1)
    g = np.zeros_like(u)
    for w in reduced:
        g += np.sin(u * (w / 2)) ** 2
    floors = np.minimum(g[:-1], g[1:]) - curvature * (math.pi / cells) ** 2 / 8
    rests = np.minimum.accumulate(floors[::-1])[::-1].copy()
    return Lattice(step, reduced, floors, rests)


class _Memory:
    """Stations of one law; any station has one place, and the last one that came keeps it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.names = np.zeros(_ROWS, np.int64)
        self.rows = np.zeros((_ROWS, kernels.ROW))


@lru_cache(maxsize=16)
def _memory(_weights: bytes, _probability: float) -> _Memory:
    return _Memory()


def weighted_bits_tails(
    totals: NDArray[np.float64], counts: NDArray[np.int64], on: Lattice, probability: float
) -> NDArray[np.float64]:
    """Return ln P(sum of `counts` tokens >= `totals`), float64 [K]; totals are integers / step."""
    memory = _memory(on.weights.tobytes(), probability)
    with memory.lock:
        out = _contour_tails(
            totals,
            counts,
            on.weights,
            probability,
            on.floors,
            on.rests,
            memory.names,
            memory.rows,
        )
    # What the kernel left: few tokens, where a table is quick and every term is positive.
    lacking = np.isnan(out)
    for count in np.unique(counts[lacking]):
        rows = lacking & (counts == count)
        table = _table(tuple(on.weights), int(count), probability)
        out[rows] = table[totals[rows].astype(np.int64)]
    return out


@lru_cache(maxsize=64)
def _table(weights: tuple[float, ...], count: int, probability: float) -> NDArray[np.float64]:
    """Return ln P(S >= k) for each k from 0 to the largest total, by convolution."""
    mass = _masses(np.array(weights), count, probability)
    tail = np.cumsum(mass[::-1])[::-1]
    logs: NDArray[np.float64] = np.minimum(0.0, np.log(tail))
    logs.setflags(write=False)
    return logs


@compiled
def _masses(weights: NDArray[np.float64], count: int, p: float) -> NDArray[np.float64]:
    """Return the law of the sum of `count` tokens: float64 [total + 1]."""
    largest = int(weights.sum()) * count
    mass, before = np.zeros(largest + 1), np.zeros(largest + 1)
    mass[0], top = 1.0, 0
    for _ in range(count):
        for weight in weights:
            w = int(weight)
            before[: top + 1] = mass[: top + 1]
            mass[: top + 1] *= 1 - p
            mass[w : top + w + 1] += p * before[: top + 1]
            top += w
    return mass


@compiled
def _tail(
    k: float,
    n: float,
    weights: NDArray[np.float64],
    p: float,
    floors: NDArray[np.float64],
    rests: NDArray[np.float64],
    least: float,
    names: NDArray[np.int64],
    rows: NDArray[np.float64],
) -> float:
    """Return ln P(sum of n tokens >= k) for k above the mean; NaN where a table is better.

    If it is below `least`, an upper bound of it may be returned instead, also below `least`.
    """
    bits, largest = len(weights), weights.sum()
    if k > n * largest - 0.5:
        return n * bits * math.log(p) if k <= n * largest else -math.inf
    if n * largest <= _TABLE_TOTALS and -n * bits * math.log(min(p, 1 - p)) < _TABLE_LOG:
        return math.nan
    centre, square = n * p * largest, 0.0
    for w in weights:
        square += w * w
    own = math.sqrt(n * p * (1 - p) * square)
    number = kernels.station_of((k - centre) / own)
    if number < kernels.STATIONS:
        # The tails of the complement are of another law, which has places of its own.
        name = (np.int64(n) << 3) | (number << 1) | (least > -math.inf)
        row = rows[name & (_ROWS - 1)]
        if names[name & (_ROWS - 1)] != name:
            kernels.station(number, n, weights, p, own, floors, rests, row)
            names[name & (_ROWS - 1)] = name
        if row[0] >= 0:
            return kernels.series_tail(k, centre, row)
    return kernels.lone_tail(k, n, weights, p, own, floors, rests, least)


@compiled
def _contour_tails(
    totals: NDArray[np.float64],
    counts: NDArray[np.int64],
    weights: NDArray[np.float64],
    p: float,
    floors: NDArray[np.float64],
    rests: NDArray[np.float64],
    names: NDArray[np.int64],
    rows: NDArray[np.float64],
) -> NDArray[np.float64]:
    out = np.zeros(len(totals))
    largest = weights.sum()
    for i in range(len(totals)):
        k, n = totals[i], float(counts[i])
        if n == 0 or k <= 0:
            continue
        if k > n * p * largest:
            out[i] = _tail(k, n, weights, p, floors, rests, -math.inf, names, rows)
        else:  # The complement, as the tail of the bits that are 0.
            k = n * largest - k + 1
            below = _tail(k, n, weights, 1 - p, floors, rests, -kernels.SMALL, names, rows)
            out[i] = math.log1p(-math.exp(below))
    return out
