"""One tilted law of a weighted sum of bits, and the integral over its characteristic function.

`weighted_bits.py` says what for. A station is a stretch of totals of one count that share a tilt:
their tails are one short Fourier series, read at different places, so that after the first of them
each costs a hundredth.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = [
    "LEAST_TILT",
    "NODES",
    "ROW",
    "SMALL",
    "STATIONS",
    "lone_tail",
    "series_tail",
    "station",
    "station_of",
]

SMALL = 46.0  # e**-46 is 1e-20.
LEAST_TILT = 3.0  # Of 1 / sd: what keeps the pole at 0 away costs e**4.5, two digits.
STATIONS = 4  # On each side: up to 3, 5, 7 and 9 standard deviations from the mean.
NODES = 64  # Most terms of a station's series; 43 to 50 where no two weights resonate.
ROW = 6 + 2 * NODES  # Numbers of a station: see `station`.
_STRIDE = 2.0  # Standard deviations between stations.
_FARTHEST = 12.0  # Squared tilted standard deviations to the tilted mean: at most e**-6 is lost.
_LARGEST_EXPONENT = 700.0

Floats = NDArray[np.float64]


@compiled
def _tilted(
    n: float, weights: Floats, p: float, t: float, q: Floats, miss: Floats
) -> tuple[float, float, float]:
    """Write each bit's tilted law into `q` and `miss`, its complement without cancellation.

    Returns:
        ln E[e**(t (S - E S))], and mean and variance of the tilted sum.

    """
    log_growth, mean, variance = 0.0, 0.0, 0.0
    for i in range(len(weights)):
        w = weights[i]
        growth = p * math.expm1(min(t * w, _LARGEST_EXPONENT))
        q[i], miss[i] = (p + growth) / (1 + growth), (1 - p) / (1 + growth)
        log_growth += n * (math.log1p(growth) - t * w * p)
        mean += n * w * q[i]
        variance += n * w * w * q[i] * miss[i]
    return log_growth, mean, variance


@compiled
def _period(largest_weight: float, variance: float, away: float, t: float) -> float:
    """Return how many nodes leave less than 3 e**-46: spec section 5.3."""
    third = largest_weight * SMALL / 3
    reach = third + math.sqrt(third * third + 2 * SMALL * variance)
    return float(math.ceil(reach + away + SMALL / t + 2))


@compiled
def lone_tail(
    k: float,
    n: float,
    weights: Floats,
    p: float,
    own: float,
    floors: Floats,
    rests: Floats,
    least: float,
) -> float:
    """Return ln P(sum of n tokens >= k) for k above the mean and below the largest total.

    If it is below `least`, an upper bound of it instead, also below `least`. `own` is the standard
    deviation of the sum.
    """
    t = max(_tilt(weights, p, k / n), LEAST_TILT / own)
    q, miss = np.empty(len(weights)), np.empty(len(weights))
    log_growth, mean, variance = _tilted(n, weights, p, t, q, miss)
    log_factor: float = log_growth - t * (k - n * p * weights.sum())
    if log_factor < least:  # Chernoff's bound.
        return log_factor
    period = _period(float(weights[-1]), variance, max(0.0, mean - k), t)
    tail, _ = _integral(k, n, weights, q, miss, t, period, floors, rests, np.empty((0, 2)))
    log_p: float = log_factor + math.log(tail)
    return min(0.0, log_p)


@compiled
def station_of(z: float) -> int:
    """Return which station a total belongs to that lies z standard deviations above the mean."""
    if z <= LEAST_TILT:
        return 0
    return 1 + int(min(math.ceil((z - LEAST_TILT) / _STRIDE) - 1, STATIONS))


@compiled
def station(
    number: int,
    n: float,
    weights: Floats,
    p: float,
    own: float,
    floors: Floats,
    rests: Floats,
    row: Floats,
) -> None:
    """Write what `series_tail` needs for the totals of one station, `number` below `STATIONS`.

    Args:
        number: 0 reaches from the mean to 3 standard deviations above it; the others follow.
        n: Tokens.
        weights: float64 [L], ascending.
        p: That a bit is 1.
        own: Standard deviation of the sum.
        floors: Of the lattice.
        rests: Of the lattice.
        row: float64 [ROW]: how many terms there are, or -1 if these totals have to be computed
            one by one; the tilt; ln of the factor at the mean; a total; the angle that one less
            turns the first term by; the period; then the terms at that total, real and imaginary.

    """
    row[0] = -1.0
    centre = n * p * weights.sum()
    high = centre + (LEAST_TILT + _STRIDE * number) * own
    low = centre if number == 0 else high - _STRIDE * own
    if high >= n * weights.sum():
        return
    t = LEAST_TILT / own
    if number:
        t = max(t, _tilt(weights, p, high / n))
    q, miss = np.empty(len(weights)), np.empty(len(weights))
    log_growth, mean, variance = _tilted(n, weights, p, t, q, miss)
    away = max(mean - low, high - mean)
    if away * away > _FARTHEST * variance:
        return
    period = _period(float(weights[-1]), variance, away, t)
    k, terms = float(math.ceil(low)), row[6:].reshape(NODES, 2)
    _, used = _integral(k, n, weights, q, miss, t, period, floors, rests, terms)
    row[0], row[1], row[2], row[3] = used, t, log_growth, k
    row[4], row[5] = 2 * math.pi / period, period


@compiled
def series_tail(k: float, centre: float, row: Floats) -> float:
    """Return ln P(sum >= k) from the station of k."""
    angle = row[4] * (row[3] - k)
    turn_re, turn_im = math.cos(angle), math.sin(angle)
    re, im, total = turn_re, turn_im, 0.0
    for at in range(6, 6 + 2 * int(row[0]), 2):
        total += row[at] * re - row[at + 1] * im
        re, im = re * turn_re - im * turn_im, re * turn_im + im * turn_re
    tail = (1 / -math.expm1(-row[1]) + 2 * total) / row[5]
    log_p: float = row[2] - row[1] * (k - centre) + math.log(tail)
    return min(0.0, log_p)


@compiled
def _tilt(weights: Floats, p: float, mean: float) -> float:
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
def _integral(
    k: float,
    n: float,
    weights: Floats,
    q: Floats,
    miss: Floats,
    t: float,
    period: float,
    floors: Floats,
    rests: Floats,
    terms: Floats,
) -> tuple[float, int]:
    """Return sum over d >= 0 of e**(-t d) P(tilted sum = k + d), by the trapezoid rule.

    Also writes the terms into `terms`, float64 [T, 2], and returns how many there are: those of
    nodes 1, 2, … without a gap, or -1 if they are others or too many.
    """
    # |characteristic function|^2 is the product of 1 - 4 q (1 - q) sin^2(w u / 2), so that its
    # power n is at most exp(-2 n min(q (1 - q)) g(u)): a proof that most steps do not matter.
    needed = SMALL / (2 * n * (q * miss).min())
    cell = math.pi / len(floors)
    monotone = math.pi / weights[-1]  # Every sine rises up to here.
    sine, cosine = np.zeros(len(q)), np.ones(len(q))
    turn_sine, turn_cosine = np.sin(weights * math.pi / period), np.cos(weights * math.pi / period)
    total, j, known, used = 1 / -math.expm1(-t), 1, 0, 0
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
        if n * log_size >= -SMALL:
            re, im = _over_pole(math.exp(n * log_size), n * angle - k * u, t, u)
            total += re if 2 * j == period else 2 * re
            if used == j - 1 and j <= len(terms) and 2 * j < period:
                terms[used, 0], terms[used, 1] = re, im
                used = j
            else:
                used = -1
        elif u < monotone:
            j = max(j, int(monotone * period / (2 * math.pi)) - 1)
        j += 1
    return total / period, used


@compiled
def _turn(
    sine: Floats,
    cosine: Floats,
    by_sine: Floats,
    by_cosine: Floats,
) -> None:
    """Add to each angle, in place."""
    for i in range(len(sine)):
        s, c = sine[i], cosine[i]
        sine[i] = s * by_cosine[i] + c * by_sine[i]
        cosine[i] = c * by_cosine[i] - s * by_sine[i]


@compiled
def _over_pole(size: float, angle: float, t: float, u: float) -> tuple[float, float]:
    """Return size e**(i angle) / (1 - e**-(t + i u)), real and imaginary part."""
    x, y = 1 - math.exp(-t) * math.cos(u), math.exp(-t) * math.sin(u)
    re, im = math.cos(angle), math.sin(angle)
    scale = size / (x * x + y * y)
    return scale * (re * x + im * y), scale * (im * x - re * y)


@compiled
def _characteristic(
    q: Floats,
    miss: Floats,
    sine: Floats,
    cosine: Floats,
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
