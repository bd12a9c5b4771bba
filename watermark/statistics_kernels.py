"""Logarithms of Poisson, binomial and gamma tails: one point mass times a series.

Each tail is the mass of its first term (Loader, "Fast and accurate computation of binomial
probabilities", 2000) times a sum of positive terms, so nothing cancels and nothing underflows.
Everything is natural logarithms. Numbers of trials come as float64, which is exact below 2**53.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = ["are_sound", "binomial_tails", "gamma_tails", "two_gamma_tails", "whole"]

_ENOUGH = 1e-15  # A term this small against the sum ends a series: see spec section 6.
_HALF_LOG_TWO_PI = 0.91893853320467274178
_WINDOW = 9.5  # Standard deviations either side; a normal law has 1e-21 beyond.
_WINDOW_LOG = 46.0  # An exponential law has e**-46, 1e-20, beyond so many means.

# ln m! minus Stirling's formula, where the series below is too short.
_STIRLING = np.array(
    [0.0]
    + [
        math.log(math.factorial(m)) - (m + 0.5) * math.log(m) + m - _HALF_LOG_TWO_PI
        for m in range(1, 16)
    ]
)


@compiled
def _stirling(m: float) -> float:
    """Return ln m! - ((m + 1/2) ln m - m + ln(2 pi) / 2), for an integer m of at least 1."""
    if m < 16:
        return float(_STIRLING[int(m)])
    r = 1 / (m * m)
    return (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / m


@compiled
def _deviance(m: float, x: float) -> float:
    """Return m ln(m / x) + x - m, at least 0, without cancellation where m is near x."""
    d = (x - m) / m
    if abs(d) > 0.4:
        return m * math.log(m / x) + (x - m)
    # d - ln(1 + d), with ln(1 + d) as 2 artanh(d / (2 + d)).
    r = d / (2 + d)
    square, power, odd, total = r * r, 1.0, 3.0, 0.0
    while power > 1e-17:
        total += power / odd
        power *= square
        odd += 2
    return m * (r * d - 2 * r * square * total)


@compiled
def log_poisson(m: float, x: float) -> float:
    """Return ln of the mass at m of a Poisson law with mean x > 0."""
    if m == 0:
        return -x
    return -_deviance(m, x) - _stirling(m) - _HALF_LOG_TWO_PI - 0.5 * math.log(m)


@compiled
def log_gamma_tail(n: float, x: float) -> float:
    """Return ln P(Gamma(n, 1) >= x) for an integer n of at least 1."""
    if x <= 0:
        return 0.0
    if x == math.inf:
        return -math.inf
    term, total = 1.0, 1.0
    if x >= n:  # As many Poisson events below n: from n - 1 downwards.
        j, inverse = n - 1, 1 / x
        while j > 0 and term > _ENOUGH * total:
            term *= j * inverse
            total += term
            j -= 1
        return min(0.0, log_poisson(n - 1, x) + math.log(total))
    j = n + 1  # The complement, from n upwards.
    while term > _ENOUGH * total:
        term *= x / j
        total += term
        j += 1
    return math.log1p(-math.exp(log_poisson(n, x) + math.log(total)))


@compiled
def _log_binomial(k: float, n: float, p: float) -> float:
    """Return ln of the mass at k, 0 <= k <= n, of a binomial law."""
    if k == 0:
        return n * math.log1p(-p)
    if k == n:
        return n * math.log(p)
    corrections = _stirling(n) - _stirling(k) - _stirling(n - k)
    deviances = _deviance(k, n * p) + _deviance(n - k, n * (1 - p))
    return corrections - deviances + 0.5 * math.log(n / (k * (n - k))) - _HALF_LOG_TWO_PI


@compiled
def log_binomial_tail(k: float, n: float, p: float) -> float:
    """Return ln P(Binomial(n, p) >= k) for integers n >= 0 and k."""
    if k <= 0:
        return 0.0
    if k > n:
        return -math.inf
    term, total = 1.0, 1.0
    if k >= n * p:
        j, odds = k, p / (1 - p)
        while j < n and term > _ENOUGH * total:
            term *= (n - j) / (j + 1) * odds
            total += term
            j += 1
        return min(0.0, _log_binomial(k, n, p) + math.log(total))
    j, odds = k - 1, (1 - p) / p
    while j > 0 and term > _ENOUGH * total:
        term *= j / (n - j + 1) * odds
        total += term
        j -= 1
    return math.log1p(-math.exp(_log_binomial(k - 1, n, p) + math.log(total)))


@compiled
def log_two_gamma_tail(
    n: float, x: float, a: float, b: float, nodes: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Return ln P(a Gamma(n) + b Gamma(n) >= x) for a > b > 0: over the smaller part, exactly.

    The part b Y alone reaches x, or Y is y < x / b and a Gamma(n) makes up the rest. The second
    is an integral of a positive, log-concave, analytic function of y. Its bulk lies where the
    tilted law of Y does, whose mean makes that of the sum be x.

    `nodes` and `weights` are those of Gauss-Legendre quadrature from -1 to 1.
    """
    if x <= 0:
        return 0.0
    if x == math.inf:
        return -math.inf
    excess, stretch = x - n * (a + b), 1.0
    if excess > 0:  # The tilt solves n a / (1 - a t) + n b / (1 - b t) = x.
        half = x * (a + b) - 2 * n * a * b
        tilt = 2 * excess / (half + math.hypot(x * (a - b), 2 * n * a * b))
        stretch = 1 / (1 - b * tilt)
    reach = _WINDOW * math.sqrt(n)
    low = max(0.0, n - reach) * stretch
    high = min((n + reach + _WINDOW_LOG) * stretch, x / b)
    alone = log_gamma_tail(n, x / b)
    if high <= low:
        return alone
    middle, radius = (low + high) / 2, (high - low) / 2
    logs = np.empty(len(nodes))
    for i in range(len(nodes)):
        y = middle + radius * nodes[i]
        logs[i] = log_poisson(n - 1, y) + log_gamma_tail(n, (x - b * y) / a)
    top = max(alone, logs.max())
    total = math.exp(alone - top) + radius * np.sum(weights * np.exp(logs - top))
    log_p: float = top + math.log(total)
    return min(0.0, log_p)


@compiled
def are_sound(
    totals: NDArray[np.float64], counts: NDArray[np.int64], most: int
) -> tuple[bool, bool]:
    """Return whether no total is NaN, and whether every count is from 0 to `most`."""
    numbers, in_range = True, True
    for i in range(len(totals)):
        numbers = numbers and not math.isnan(totals[i])
        in_range = in_range and 0 <= counts[i] <= most
    return numbers, in_range


@compiled
def whole(totals: NDArray[np.float64], absolute: float, relative: float) -> NDArray[np.float64]:
    """Return each total rounded up, unless it is that little above a whole one; infinities stay."""
    out = totals.copy()
    for i in range(len(totals)):
        if math.isfinite(totals[i]):
            out[i] = np.ceil(totals[i] - max(absolute, relative * abs(totals[i])))
    return out


@compiled
def gamma_tails(totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Apply `log_gamma_tail` to each pair; 0 where the count is 0."""
    out = np.zeros(len(totals))
    for i in range(len(totals)):
        if counts[i] > 0:
            out[i] = log_gamma_tail(float(counts[i]), totals[i])
    return out


@compiled
def binomial_tails(
    successes: NDArray[np.float64], trials: NDArray[np.int64], probability: float
) -> NDArray[np.float64]:
    """Apply `log_binomial_tail` to each pair; 0 where there is no trial."""
    out = np.zeros(len(successes))
    for i in range(len(successes)):
        if trials[i] > 0:
            out[i] = log_binomial_tail(successes[i], float(trials[i]), probability)
    return out


@compiled
def two_gamma_tails(
    totals: NDArray[np.float64],
    counts: NDArray[np.int64],
    scales: tuple[float, float],
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Apply `log_two_gamma_tail` to each pair; 0 where the count is 0."""
    out = np.zeros(len(totals))
    for i in range(len(totals)):
        if counts[i] > 0:
            out[i] = log_two_gamma_tail(
                float(counts[i]), totals[i], scales[0], scales[1], nodes, weights
            )
    return out
