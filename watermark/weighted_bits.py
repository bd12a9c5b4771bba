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

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = ["Lattice", "lattice", "weighted_bits_tails"]

_SMALL = 46.0  # e**-46 is 1e-20.
_LEAST_TILT = 3.0  # Of 1 / sd: what keeps the pole at 0 away costs e**4.5, two digits.
_SLACK = 0.05  # Of the lower bounds of a lattice, which are from 0 to the number of bits.
_GRID = 1 << 26  # Sines that a lattice may cost.
_TABLE_TOTALS = 1 << 16  # Above, a table costs more than it saves.
_LARGEST_EXPONENT = 700.0
_TABLE_LOG = 640.0  # -ln of the least mass in a table; float64 ends at 708.


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


def weighted_bits_tails(
    totals: NDArray[np.float64], counts: NDArray[np.int64], on: Lattice, probability: float
) -> NDArray[np.float64]:
    """Return ln P(sum of `counts` tokens >= `totals`), float64 [K]; totals are integers / step."""
    out = _contour_tails(totals, counts, on.weights, probability, on.floors, on.rests)
    # What the kernel left: few tokens, where a table is quick and every term is positive.
    for count in np.unique(counts[np.isnan(out)]):
        rows = np.isnan(out) & (counts == count)
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
def _tilt(weights: NDArray[np.float64], p: float, mean: float) -> float:
    """Return t such that one token, tilted by e**(t total), has this mean; above its own mean.

    Newton steps inside a shrinking bracket. Any tilt gives the right tail; a better one only
    keeps more digits, so 1e-6 of a standard deviation is plenty.
    """
    odds = p / (1 - p)
    low, high, t = 0.0, math.inf, 0.0
    for _ in range(200):
        at, variance = 0.0, 0.0
        for w in weights:
            miss = 1 / (1 + odds * math.exp(min(t * w, _LARGEST_EXPONENT)))
            at += w * (1 - miss)
            variance += w * w * miss * (1 - miss)
        gap = mean - at
        if abs(gap) <= 1e-6 * math.sqrt(variance):
            break
        if gap > 0:
            low = t
        else:
            high = t
        t += gap / variance if variance > 0 else math.inf
        if not low < t < high:
            t = (low + high) / 2 if high < math.inf else 2 * low + 1 / weights.max()
    return t


@compiled
def _tail(
    k: float,
    n: float,
    weights: NDArray[np.float64],
    p: float,
    floors: NDArray[np.float64],
    rests: NDArray[np.float64],
    least: float,
) -> float:
    """Return ln P(sum of n tokens >= k) for k above the mean; NaN where a table is better.

    If it is below `least`, an upper bound of it instead, also below `least`.
    """
    bits, largest = len(weights), weights.sum()
    if k > n * largest - 0.5:
        return n * bits * math.log(p) if k <= n * largest else -math.inf
    if n * largest <= _TABLE_TOTALS and -n * bits * math.log(min(p, 1 - p)) < _TABLE_LOG:
        return math.nan
    own = math.sqrt(n * p * (1 - p)) * math.sqrt((weights * weights).sum())
    t = max(_tilt(weights, p, k / n), _LEAST_TILT / own)
    log_factor: float = -t * (k - n * p * largest)
    mean, variance = 0.0, 0.0
    q, miss = np.empty(bits), np.empty(bits)
    for i in range(bits):
        w = weights[i]
        growth = p * math.expm1(min(t * w, _LARGEST_EXPONENT))
        q[i], miss[i] = (p + growth) / (1 + growth), (1 - p) / (1 + growth)
        log_factor += n * (math.log1p(growth) - t * w * p)
        mean += n * w * q[i]
        variance += n * w * w * q[i] * miss[i]
    if log_factor < least:  # Chernoff's bound.
        return log_factor
    third = float(weights[-1]) * _SMALL / 3
    reach = third + math.sqrt(third * third + 2 * _SMALL * variance)
    period = math.ceil(reach + max(0.0, mean - k) + _SMALL / t + 2)
    tail: float = _integral(k, n, weights, q, miss, t, period, floors, rests)
    log_p: float = log_factor + math.log(tail)
    return min(0.0, log_p)


@compiled
def _integral(
    k: float,
    n: float,
    weights: NDArray[np.float64],
    q: NDArray[np.float64],
    miss: NDArray[np.float64],
    t: float,
    period: float,
    floors: NDArray[np.float64],
    rests: NDArray[np.float64],
) -> float:
    """Return sum over d >= 0 of e**(-t d) P(tilted sum = k + d), by the trapezoid rule."""
    # |characteristic function|^2 is the product of 1 - 4 q (1 - q) sin^2(w u / 2), so that its
    # power n is at most exp(-2 n min(q (1 - q)) g(u)): a proof that most steps do not matter.
    needed = _SMALL / (2 * n * (q * miss).min())
    cell = math.pi / len(floors)
    monotone = math.pi / weights[-1]  # Every sine rises up to here.
    sine, cosine = np.zeros(len(q)), np.ones(len(q))
    turn_sine, turn_cosine = np.sin(weights * math.pi / period), np.cos(weights * math.pi / period)
    total, j, known = 1 / -math.expm1(-t), 1, 0
    while 2 * j <= period:
        u = 2 * math.pi * j / period
        at = min(int(u / cell), len(floors) - 1)
        if rests[at] > needed:
            break
        if floors[at] > needed:
            while floors[at] > needed:  # Ends before the last cell, because of `rests`.
                at += 1
            j = max(j + 1, math.ceil(at * cell * period / (2 * math.pi)))
            continue
        if known != j - 1 or j % 64 == 0:  # After a jump, and before rounding adds up.
            sine, cosine = np.sin(weights * (u / 2)), np.cos(weights * (u / 2))
        else:
            _turn(sine, cosine, turn_sine, turn_cosine)
        known = j
        log_size, angle = _characteristic(q, miss, sine, cosine)
        if n * log_size >= -_SMALL:
            part = math.exp(n * log_size) * _over_pole(n * angle - k * u, t, u)
            total += part if 2 * j == period else 2 * part
        elif u < monotone:
            j = max(j, int(monotone * period / (2 * math.pi)) - 1)
        j += 1
    return total / period


@compiled
def _turn(
    sine: NDArray[np.float64],
    cosine: NDArray[np.float64],
    by_sine: NDArray[np.float64],
    by_cosine: NDArray[np.float64],
) -> None:
    """Add to each angle, in place."""
    for i in range(len(sine)):
        s, c = sine[i], cosine[i]
        sine[i] = s * by_cosine[i] + c * by_sine[i]
        cosine[i] = c * by_cosine[i] - s * by_sine[i]


@compiled
def _over_pole(angle: float, t: float, u: float) -> float:
    """Return the real part of e**(i angle) / (1 - e**-(t + i u))."""
    x, y = 1 - math.exp(-t) * math.cos(u), math.exp(-t) * math.sin(u)
    return (math.cos(angle) * x + math.sin(angle) * y) / (x * x + y * y)


@compiled
def _characteristic(
    q: NDArray[np.float64],
    miss: NDArray[np.float64],
    sine: NDArray[np.float64],
    cosine: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the logarithm of the modulus, and the angle, of prod_l (1 - q_l + q_l e**(i w_l u)).

    Args:
        q: float64 [L].
        miss: float64 [L], 1 - q without its cancellation.
        sine: float64 [L], of w_l u / 2.
        cosine: The same.

    """
    lost, re, im = 0.0, 1.0, 0.0
    for i in range(len(q)):
        s = sine[i]
        x, y = 1 - 2 * q[i] * s * s, 2 * q[i] * s * cosine[i]
        re, im = re * x - im * y, re * y + im * x
        d = 4 * q[i] * miss[i] * s * s
        lost += d - lost * d  # A difference from 1, because n multiplies its error.
    size = 0.5 * math.log1p(-lost) if lost < 1 else -math.inf
    return size, math.atan2(im, re)


@compiled
def _contour_tails(
    totals: NDArray[np.float64],
    counts: NDArray[np.int64],
    weights: NDArray[np.float64],
    p: float,
    floors: NDArray[np.float64],
    rests: NDArray[np.float64],
) -> NDArray[np.float64]:
    out = np.zeros(len(totals))
    largest = weights.sum()
    for i in range(len(totals)):
        k, n = totals[i], float(counts[i])
        if n == 0 or k <= 0:
            continue
        if k > n * p * largest:
            out[i] = _tail(k, n, weights, p, floors, rests, -math.inf)
        else:  # The complement, as the tail of the bits that are 0.
            below = _tail(n * largest - k + 1, n, weights, 1 - p, floors, rests, -_SMALL)
            out[i] = math.log1p(-math.exp(below))
    return out
