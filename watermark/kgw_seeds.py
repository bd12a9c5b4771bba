"""From a key and tokens to the seed of a green list, with the peers' overflows.

A seed is a Python integer modulo 2^64 - 1, of which torch's CPU generator uses the low 32 bits
(specs/rosetta-kgw-v1, section 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = ["multiple_seeds", "self_hash_seeds"]


@compiled
def multiple_seeds(
    tokens: NDArray[np.uint32], magnitude: np.uint64, negative: bool
) -> NDArray[np.uint32]:
    """Return the low half of (key * token) mod (2^64 - 1), uint32 [M]; 2^64 is 1 there.

    Args:
        tokens: uint32 [M].
        magnitude: |key|, at most 2^63.
        negative: Whether the key is.

    """
    out = np.empty(len(tokens), np.uint32)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    top = np.uint64(0xFFFFFFFFFFFFFFFF)
    for i in range(len(tokens)):
        token = np.uint64(tokens[i])
        lower = (magnitude & low) * token
        upper = (magnitude >> half) * token + (lower >> half)
        word = (upper << half) | (lower & low)
        seed = word + (upper >> half)
        if seed < word:  # The carry out of 64 bits is one more.
            seed += np.uint64(1)
        if seed == top:
            seed = np.uint64(0)
        if negative and seed != np.uint64(0):
            seed = top - seed
        out[i] = np.uint32(seed & low)
    return out


@compiled
def self_hash_seeds(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    window: int,
    key: np.int64,
    table: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Return the low half of min(key * h(x) * h(last)) mod (2^64 - 1), uint32 [M].

    Args:
        tokens: uint32 [N].
        positions: int64 [M], of the last tokens.
        window: Over how many tokens the minimum goes, the last one included.
        key: It and the products are int64, and wrap.
        table: uint32 [T], a permutation; h(x) is `table[x % T] + 1`.

    """
    out = np.empty(len(positions), np.uint32)
    size = np.uint32(len(table))
    for i in range(len(positions)):
        last = positions[i]
        scale = np.int64(table[tokens[last] % size]) + 1
        least = np.int64(0x7FFFFFFFFFFFFFFF)
        for at in range(last - window + 1, last + 1):
            least = min(least, np.int64(key * (np.int64(table[tokens[at] % size]) + 1) * scale))
        # A negative one is 2^64 - 1 larger, so its low half is one less.
        out[i] = np.uint32((least - 1 if least < 0 else least) & 0xFFFFFFFF)
    return out
