"""Totals of every symbol at once: a logarithm of a product is cheaper than a sum of logarithms."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.prf import SYMBOLS

__all__ = ["symbol_totals"]

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
