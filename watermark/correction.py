"""What a p-value is worth after many tries, and how it is told. Everything is a logarithm.

specs/watermark-statistics-v1, section 8. Nothing here needs more than `math`.
"""

from __future__ import annotations

import math

from countermark.watermark.errors import MalformedInputError

__all__ = ["bonferroni", "log10_of", "log_threshold"]

_LN_10 = math.log(10)


def bonferroni(log_p: float, tests: int) -> float:
    """Return a log p-value that holds although `tests` hypotheses were tried, and the best told.

    Valid whatever the dependence between them. `tests` counts everything that was tried: keys
    times schemes times windows times normalisations.

    Raises:
        MalformedInputError: If the log p-value is NaN or above 0.
        ValueError: If `tests` is below 1.

    """
    if tests < 1:
        raise ValueError(f"{tests} tests, expected at least 1")
    if not log_p <= 0:
        raise MalformedInputError("a log p-value is above 0, or not a number")
    return min(0.0, log_p + math.log(tests))


def log_threshold(level: float, tests: int = 1) -> float:
    """Return the log p-value that one of `tests` must reach for a false positive rate of `level`.

    Raises:
        ValueError: If `level` is not above 0 and at most 1, or `tests` is below 1.

    """
    if not 0 < level <= 1 or tests < 1:
        raise ValueError(f"level {level} and {tests} tests, expected 0 to 1 and at least 1")
    return math.log(level) - math.log(tests)


def log10_of(ln: float) -> float:
    """Return the decimal logarithm of what `ln` is the natural logarithm of."""
    return ln / _LN_10
