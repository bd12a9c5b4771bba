"""From the four symbols of a message to the eight that are written: a Reed-Solomon code.

Symbols are elements of GF(2^16). The four of a message are the values at the points 0 to 3 of a
polynomial of degree below 4; those at 4 to 7 are written too. So any four of the eight give all,
and two messages share at most three (Reed, Solomon, "Polynomial codes over certain finite
fields", 1960): no stretch of text where the mark is faint can decide between two messages alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MESSAGE_SYMBOLS", "PLACES", "encode", "place_orders", "spread"]

MESSAGE_SYMBOLS = 4
PLACES = 8
_MODULUS = 0x1100B  # x^16 + x^12 + x^3 + x + 1, of which x is a primitive root.
_ORDER = (1 << 16) - 1


def encode(message: Sequence[int]) -> tuple[int, ...]:
    """Return the eight symbols that four are written as; they are the first four."""
    known = tuple(range(MESSAGE_SYMBOLS))
    wanted = range(MESSAGE_SYMBOLS, PLACES)
    values = [
        reduce(int.__xor__, map(_multiply, _lagrange(known, point), message)) for point in wanted
    ]
    return (*message, *values)


@lru_cache(maxsize=1)
def place_orders() -> NDArray[np.int64]:
    """Return every way to divide the places into four and the other four, int64 [70, 8]."""
    return np.array(
        [
            (*known, *(place for place in range(PLACES) if place not in known))
            for known in combinations(range(PLACES), MESSAGE_SYMBOLS)
        ],
        np.int64,
    )


def spread(symbols: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what symbols at four places add to those at the other four.

    Args:
        symbols: int64 [8, L], L for each place.

    Returns:
        int64 [70, 4, L]: for each row of `place_orders`, and each of its first four places, the
        share of each symbol in those at its last four places, 16 bits each, the first lowest.
        The symbols there are the exclusive or of four such shares.

    """
    logarithms, powers = _tables()
    factors = logarithms[_factors()]
    chosen = logarithms[symbols][place_orders()[:, :MESSAGE_SYMBOLS]]
    shares = np.zeros(chosen.shape, np.int64)
    for at in range(PLACES - MESSAGE_SYMBOLS):
        shares |= powers[factors[:, :, at, None] + chosen] << 16 * at
    return shares


@lru_cache(maxsize=1)
def _factors() -> NDArray[np.int64]:
    """Return what each of four symbols is multiplied with for each of the others, [70, 4, 4]."""
    return np.array(
        [
            np.transpose([_lagrange(tuple(order[:4]), point) for point in order[4:]])
            for order in place_orders().tolist()
        ],
        np.int64,
    )


def _lagrange(known: tuple[int, ...], point: int) -> list[int]:
    """Return the weights of the values at `known` in the value at `point`, none of them 0."""
    weights = []
    for one in known:
        others = [other for other in known if other != one]
        above = reduce(_multiply, (point ^ other for other in others))
        below = reduce(_multiply, (one ^ other for other in others))
        weights.append(_divide(above, below))
    return weights


def _multiply(a: int, b: int) -> int:
    logarithms, powers = _tables()
    return int(powers[logarithms[a] + logarithms[b]])


def _divide(a: int, b: int) -> int:
    logarithms, powers = _tables()
    return int(powers[logarithms[a] - logarithms[b] + _ORDER])


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return logarithms to the base x, and powers of x: int64 [2^16] and [4 (2^16 - 1) + 1].

    The logarithm of 0 is where powers begin to be 0, so that products with 0 need no question.
    """
    powers = np.zeros(4 * _ORDER + 1, np.int64)
    logarithms = np.full(_ORDER + 1, 2 * _ORDER, np.int64)
    value = 1
    for exponent in range(_ORDER):
        powers[exponent] = powers[exponent + _ORDER] = value
        logarithms[value] = exponent
        value <<= 1
        if value > _ORDER:
            value ^= _MODULUS
    return logarithms, powers
