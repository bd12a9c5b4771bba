"""Totals of every symbol at once, and the words of the code that score best by them.

A logarithm of a product is cheaper than a sum of logarithms.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.prf import SYMBOLS

__all__ = ["best_words", "symbol_totals"]

# A factor is at least 2^-53, and a double holds down to 2^-1022.
_FACTORS = 16


def symbol_totals(sweeps: Iterable[NDArray[np.uint64]]) -> NDArray[np.float64]:
    """Return the sum of -ln(1 - u) under every symbol, float64 [SYMBOLS].

    Args:
        sweeps: From `prf.symbol_sweeps`; each is read before the next one is asked for.

    """
    totals = np.zeros(SYMBOLS)
    product = np.ones(SYMBOLS)
    factors = 0
    for words in sweeps:
        _multiply(product, words)
        factors += 1
        if factors == _FACTORS:
            totals -= np.log(product)
            product.fill(1.0)
            factors = 0
    totals -= np.log(product)
    return totals


@compiled
def _multiply(product: NDArray[np.float64], words: NDArray[np.uint64]) -> None:
    """Multiply each product by 1 - u; u is that of `gumbel.scores`."""
    for symbol in range(len(product)):
        upper = np.int64(~words[symbol, 0] >> np.uint64(12))
        product[symbol] *= (np.float64(upper) + 0.5) * 2.0**-52


@compiled
def best_words(
    orders: NDArray[np.int64],
    symbols: NDArray[np.int64],
    spread: NDArray[np.int64],
    totals: NDArray[np.float64],
    count: int,
) -> NDArray[np.int64]:
    """Return the words that score best, best first, as their first four symbols, int64 [count].

    Tried are those of which some four symbols have ranks that multiply to at most L.

    Args:
        orders: int64 [70, 8], from `payload_code.place_orders`.
        symbols: int64 [8, L], of each place, highest total first.
        spread: int64 [70, 4, L], from `payload_code.spread`.
        totals: float64 [8, SYMBOLS], none below 0.
        count: How many.

    """
    words = np.zeros(count, np.int64)
    sums = np.full(count, -np.inf)
    levels, step = _levels(totals)
    listed = np.empty(symbols.shape, np.float64)
    for at in range(len(symbols)):
        listed[at] = totals[at][symbols[at]]
    limit = symbols.shape[1]
    for at in range(len(orders)):
        order, shares = orders[at], spread[at]
        a, b, c, d, e, f, g, h = order
        for i in range(limit):
            for j in range(limit // (i + 1)):
                for k in range(limit // ((i + 1) * (j + 1))):
                    three = listed[a, i] + listed[b, j] + listed[c, k]
                    mixed = shares[0, i] ^ shares[1, j] ^ shares[2, k]
                    for m in range(limit // ((i + 1) * (j + 1) * (k + 1))):
                        others = mixed ^ shares[3, m]
                        w, x = others & 0xFFFF, others >> 16 & 0xFFFF
                        y, z = others >> 32 & 0xFFFF, others >> 48 & 0xFFFF
                        four = three + listed[d, m]
                        most = np.int64(levels[e, w]) + levels[f, x] + levels[g, y] + levels[h, z]
                        if four + most * step <= sums[-1]:
                            continue  # As almost always.
                        total = four + totals[e, w] + totals[f, x] + totals[g, y] + totals[h, z]
                        if total > sums[-1]:
                            known = symbols[a, i] | symbols[b, j] << 16
                            known |= symbols[c, k] << 32 | symbols[d, m] << 48
                            _keep(words, sums, _message(order, known, others), total)
    return words


@compiled
def _levels(totals: NDArray[np.float64]) -> tuple[NDArray[np.uint8], float]:
    """Return a byte and a step for each total, whose product is at least the total.

    Bytes of all symbols fit into the cache, where the totals do not.
    """
    step = max(totals.max(), 1e-300) / 254  # And not 255: rounding may lift the highest by one.
    return np.ceil(totals / step).astype(np.uint8), step


@compiled
def _message(order: NDArray[np.int64], known: int, others: int) -> int:
    """Return the symbols of places 0 to 3, the first lowest, from those in another order."""
    message = np.int64(0)
    for at in range(4):
        if order[at] < 4:
            message |= (known >> 16 * at & 0xFFFF) << 16 * order[at]
        if order[4 + at] < 4:
            message |= (others >> 16 * at & 0xFFFF) << 16 * order[4 + at]
    return int(message)


@compiled
def _keep(words: NDArray[np.int64], sums: NDArray[np.float64], word: int, total: float) -> None:
    """Put a word where it belongs, once, and let the last one go."""
    place = len(words) - 1
    for at in range(len(words)):
        if words[at] == word and sums[at] > -np.inf:
            return  # Any four places with low ranks lead to it: most words come up many times.
    while place > 0 and sums[place - 1] < total:
        words[place], sums[place] = words[place - 1], sums[place - 1]
        place -= 1
    words[place], sums[place] = word, total
