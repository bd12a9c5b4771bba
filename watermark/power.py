"""How likely a mark is to be found: what separates "not marked" from "too little text to tell".

The threshold is exact: it is where the detector's own null tail meets the level. The total of a
marked text is taken as normal, with the mean and variance of its scores. Scores of marked text are
skewed to the right, so at powers above one half this says a little less than is true: 0.986 to
0.989 for 0.99, in texts of 15 to 140 tokens. specs/watermark-statistics-v1, section 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, ndtr, polygamma

from countermark.watermark.errors import SchemeError

__all__ = [
    "GUMBEL_AT_1_8_BITS",
    "GUMBEL_AT_5_BITS",
    "MAX_TOKENS",
    "Strength",
    "Tail",
    "expected_power",
    "gumbel_strength",
    "tokens_needed",
    "total_needed",
]

MAX_TOKENS = 1 << 20
_FIRST_TRY = 16  # Shorter texts are looked at only if this one is long enough.
_GRID = 9
_ROUNDS = 7  # Eight times finer each: to 5e-7 of the total.
_STEP = 1e-4


class Tail(Protocol):
    """Whatever knows how scores of unmarked text fall; every `Detector` does."""

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(sum of `counts` null scores >= `totals`), float64 [K]."""
        ...


@dataclass(frozen=True, slots=True)
class Strength:
    """What one token of marked text scores.

    Attributes:
        mean: Expected score.
        variance: Variance of a text's total over its number of tokens. Above the variance of
            one score where neighbours are alike, as in any real text.

    Raises:
        SchemeError: If the mean is not finite, or the variance not finite and at least 0.

    """

    mean: float
    variance: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 <= self.variance < math.inf):
            raise SchemeError(f"no strength: mean {self.mean}, variance {self.variance}")


# SmolLM2-135M at temperature 1 and 0.7, where the null has mean 1 and variance 1. The means are
# the least that was measured. `gumbel_strength` of that model's distributions has variance 6.0 and
# 4.2; twice and three times as much explains the 21 to 40 and the 121 to 140 tokens after which
# 99 of 100 texts were found at 1e-6, because some texts have more entropy than others.
GUMBEL_AT_5_BITS = Strength(3.6, 12.0)
GUMBEL_AT_1_8_BITS = Strength(2.16, 12.0)


def gumbel_strength(
    probabilities: NDArray[np.float64], chances: NDArray[np.float64] | None = None
) -> Strength:
    """Return the exact law of a Gumbel-max score, for tokens sampled at these probabilities.

    The winner at probability p has u = v**p with v uniform, so 1 - u is Beta(1, 1 / p): its
    score -ln(1 - u) has mean psi(1 / p + 1) + gamma = H(1 / p), the harmonic number, and
    variance pi^2 / 6 - psi'(1 / p + 1). A certain token (p = 1) scores as unmarked text does: 1, 1.

    Args:
        probabilities: float64 [M], of tokens, at the temperature they were sampled at.
        chances: float64 [M], how often each is met; equally often if None. For the whole of a
            next-token distribution give the distribution itself.

    Raises:
        SchemeError: If there is none, one is not above 0 and at most 1, or chances do not pair.

    """
    p = np.asarray(probabilities, np.float64)
    weights = np.ones_like(p) if chances is None else np.asarray(chances, np.float64)
    # Written so that a NaN fails.
    if p.ndim != 1 or not len(p) or not bool(np.all((p > 0) & (p <= 1))):
        raise SchemeError("probabilities must be one list, each above 0 and at most 1")
    if weights.shape != p.shape or not bool(np.all(weights >= 0)) or not 0 < weights.sum() < np.inf:
        raise SchemeError("chances must be as many as probabilities, none negative, not all 0")
    means = digamma(1 / p + 1) + np.euler_gamma
    variances = math.pi**2 / 6 - polygamma(1, 1 / p + 1)
    weights = weights / weights.sum()
    mean = float(weights @ means)
    return Strength(mean, float(weights @ (variances + (means - mean) ** 2)))


def total_needed(tail: Tail, count: int, log_threshold: float) -> float:
    """Return the least total of `count` scores whose log p-value reaches the threshold.

    To a millionth, and never below it. Where totals come in steps it is the middle of the step
    that ends at the least total that will do, as a normal law in place of a discrete one wants it
    (continuity correction). Infinite if no total that can occur is enough.
    """

    def reached(totals: NDArray[np.float64]) -> NDArray[np.bool_]:
        log_p = tail.log_p(totals, np.full(len(totals), count, np.int64))
        return np.asarray(log_p <= log_threshold, np.bool_)

    low, high = 0.0, float(max(count, 1))
    while not reached(np.array([high]))[0]:
        low, high = high, 2 * high
        if high > 1e18:
            return math.inf
    low, high = _narrowed(reached, low, high)
    there, after = tail.log_p(np.array([high, high * (1 + _STEP)]), np.full(2, count, np.int64))
    if there == -math.inf:  # Only above the greatest total of all.
        return math.inf
    if after < there:
        return high

    def passed(totals: NDArray[np.float64]) -> NDArray[np.bool_]:
        log_p = tail.log_p(totals, np.full(len(totals), count, np.int64))
        return np.asarray(log_p < there, np.bool_)

    far = 2 * high
    while not passed(np.array([far]))[0]:
        far *= 2
    return (high + _narrowed(passed, high, far)[0]) / 2


def expected_power(tail: Tail, strength: Strength, count: int, log_threshold: float) -> float:
    """Return the probability that a marked text of `count` scored tokens is found.

    Args:
        tail: The detector.
        strength: What its scores are on marked text.
        count: How many scores are summed; 0 gives power 0.
        log_threshold: Log p-value to reach, after correction: `correction.log_threshold`.

    """
    if count <= 0:
        return 0.0
    needed = total_needed(tail, count, log_threshold)
    if needed == math.inf:
        return 0.0
    gap = count * strength.mean - needed
    deviation = math.sqrt(count * strength.variance)
    if deviation == 0:
        return 1.0 if gap >= 0 else 0.0
    return float(ndtr(gap / deviation))


def tokens_needed(
    tail: Tail, strength: Strength, log_threshold: float, *, power: float = 0.99
) -> int:
    """Return the number of scored tokens at which marked text is found with this power.

    One fewer is not enough. `MAX_TOKENS` if not even so many are: then the mark is too weak.

    Raises:
        SchemeError: If `power` is not between 0 and 1.

    """
    if not 0 < power < 1:
        raise SchemeError(f"power {power}, expected between 0 and 1")
    high = _FIRST_TRY
    while expected_power(tail, strength, high, log_threshold) < power:
        high *= 2
        if high >= MAX_TOKENS:
            return MAX_TOKENS
    low = 0 if high == _FIRST_TRY else high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if expected_power(tail, strength, middle, log_threshold) >= power:
            high = middle
        else:
            low = middle
    return high


class _Reached(Protocol):
    def __call__(self, totals: NDArray[np.float64]) -> NDArray[np.bool_]: ...


def _narrowed(reached: _Reached, low: float, high: float) -> tuple[float, float]:
    """Return the bracket of where `reached` turns true, a `_GRID` at a time to save calls."""
    for _ in range(_ROUNDS):
        grid = np.linspace(low, high, _GRID)
        first = int(np.argmax(reached(grid[1:]))) + 1  # It is true at the last.
        low, high = float(grid[first - 1]), float(grid[first])
    return low, high
