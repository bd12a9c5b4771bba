"""Exact tails of the null laws that scores fall by when nobody marked the text.

Everything is the natural logarithm of a probability, so that 1e-2000 is a number like another.
`specs/watermark-statistics-v1` has the laws, how each is computed, how its error is bounded, and
vectors. What is refused: totals that are not numbers, and parameters that name no law.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from countermark.watermark import statistics_kernels as kernels
from countermark.watermark.errors import MalformedInputError, SchemeError
from countermark.watermark.weighted_bits import lattice, weighted_bits_tails

__all__ = [
    "MAX_BITS",
    "MAX_COUNT",
    "MAX_WEIGHT",
    "log_binomial_tail",
    "log_gamma_tail",
    "log_two_gamma_tail",
    "log_weighted_bits_tail",
]

MAX_COUNT = 1 << 32  # Scores in one total. Beyond, a tail near its mean takes milliseconds.
MAX_BITS = 1024  # Weights per token.
MAX_WEIGHT = 1 << 20  # All bits of one token together.
_QUADRATURE_NODES = 72
_ON_A_STEP = (1e-9, 1e-14)  # Absolute, relative: far below a step at every count allowed.

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def log_gamma_tail(totals: Floats, counts: Counts) -> Floats:
    """Return ln P(Gamma(n, 1) >= x): the null of a sum of n scores -ln(1 - u), u uniform.

    Args:
        totals: float64 [K], x; infinities are allowed, NaN is not.
        counts: int64 [K], n, 0 to `MAX_COUNT`; where it is 0 the answer is 0.

    Returns:
        float64 [K], at most 0.

    Raises:
        MalformedInputError: If shapes differ, a total is NaN, or a count is out of range.

    """
    return kernels.gamma_tails(*_checked(totals, counts))


def log_binomial_tail(successes: Floats, trials: Counts, probability: float) -> Floats:
    """Return ln P(Binomial(n, probability) >= k): the null of n bits, as of a green list.

    Args:
        successes: float64 [K], k. A value less than 1e-9, or 1e-14 of itself, above an integer
            is that integer: the rounding of a sum must not skip a step.
        trials: int64 [K], n, 0 to `MAX_COUNT`; where it is 0 the answer is 0.
        probability: Of one success, above 0 and below 1.

    Returns:
        float64 [K], at most 0; minus infinity where k is above n.

    Raises:
        MalformedInputError: As `log_gamma_tail`.
        SchemeError: If `probability` is not between 0 and 1.

    """
    successes, trials = _checked(successes, trials)
    _check_probability(probability)
    return kernels.binomial_tails(_whole(successes), trials, float(probability))


def log_weighted_bits_tail(
    totals: Floats, counts: Counts, weights: tuple[int, ...], probability: float = 0.5
) -> Floats:
    """Return ln P(S >= x), S the sum over n tokens of sum_l w_l B_l: as of a tournament.

    Args:
        totals: float64 [K], x, rounded as in `log_binomial_tail`.
        counts: int64 [K], n, 0 to `MAX_COUNT`; where it is 0 the answer is 0.
        weights: Of the bits of one token: integers of at least 0, together 1 to `MAX_WEIGHT`.
        probability: That a bit B_l is 1, above 0 and below 1.

    Returns:
        float64 [K], at most 0; minus infinity where no total is as large.

    Raises:
        MalformedInputError: As `log_gamma_tail`.
        SchemeError: If the weights or the probability are out of range.

    """
    totals, counts = _checked(totals, counts)
    _check_probability(probability)
    if not 0 < len(weights) <= MAX_BITS:
        raise SchemeError(f"{len(weights)} weights, expected 1 to {MAX_BITS}")
    if any(type(w) is not int or w < 0 for w in weights) or not 0 < sum(weights) <= MAX_WEIGHT:
        raise SchemeError(f"weights must be integers of at least 0, together 1 to {MAX_WEIGHT}")
    on = lattice(tuple(sorted(weights)))
    if on.weights[-1] == 1:  # After division by the step: all are equal.
        bits = counts * len(on.weights)
        return kernels.binomial_tails(_whole(totals / on.step), bits, float(probability))
    return weighted_bits_tails(_whole(totals / on.step), counts, on, float(probability))


def log_two_gamma_tail(totals: Floats, counts: Counts, first: float, second: float) -> Floats:
    """Return ln P(first * Gamma(n, 1) + second * Gamma(n, 1) >= x): the null of two keys mixed.

    Args:
        totals: float64 [K], x.
        counts: int64 [K], n, 0 to `MAX_COUNT`; where it is 0 the answer is 0.
        first: Scale of one part, finite and at least 0.
        second: Scale of the other; not both are 0.

    Returns:
        float64 [K], at most 0.

    Raises:
        MalformedInputError: As `log_gamma_tail`.
        SchemeError: If a scale is out of range.

    """
    totals, counts = _checked(totals, counts)
    small, large = sorted((float(first), float(second)))
    if not (small >= 0 and 0 < large < math.inf):
        raise SchemeError(f"scales {first} and {second}, expected finite ones, not both 0")
    if small == 0:
        return kernels.gamma_tails(totals / large, counts)
    if small == large:
        return kernels.gamma_tails(totals / large, 2 * counts)
    return kernels.two_gamma_tails(totals, counts, (large, small), *_quadrature())


def _checked(totals: Floats, counts: Counts) -> tuple[Floats, Counts]:
    """Return both as the arrays that kernels take, or refuse them."""
    totals = np.ascontiguousarray(totals, np.float64)
    counts = np.ascontiguousarray(counts)
    if totals.ndim != 1 or totals.shape != counts.shape:
        raise MalformedInputError(f"totals {totals.shape} and counts {counts.shape} do not pair")
    if counts.dtype.kind not in "iu" and len(counts):
        raise MalformedInputError(f"counts are {counts.dtype}, expected integers")
    counts = counts.astype(np.int64, copy=False)
    numbers, in_range = kernels.are_sound(totals, counts, MAX_COUNT)
    if not numbers:
        raise MalformedInputError("a total is not a number")
    if not in_range:
        raise MalformedInputError(f"counts must be from 0 to {MAX_COUNT}")
    return totals, counts


def _check_probability(probability: float) -> None:
    if not 0 < probability < 1:
        raise SchemeError(f"probability {probability}, expected between 0 and 1")


def _whole(totals: Floats) -> Floats:
    """Return the least whole total at or above each, forgiving what rounding may have added."""
    return kernels.whole(totals, *_ON_A_STEP)


@lru_cache(maxsize=1)
def _quadrature() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE_NODES)
    return nodes, weights
