"""Philox4x32-10 as vLLM keys it: one 32-bit word for a (context, token) pair.

The generator is that of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3" (SC 2011, §3.3). How contexts and tokens enter it is vLLM's `philox4x32-10-v1`, which
specs/rosetta-vllm-v1 states with vectors. It is fast, and it is no cryptographic function:
whoever sees enough marked text may learn the key.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = ["gumbel_scores", "philox4x32_10", "words"]

_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint32(0x9E3779B9)
_W1 = np.uint32(0xBB67AE85)
_CONTEXT_DOMAIN = np.uint32(0x574D4358)
_TOKEN_DOMAIN = np.uint32(0x574D544B)
_NOTHING = np.uint32(0xFFFFFFFF)
_BLOCK = 4
_LANES = 64  # Pairs at once: their counters and keys stay in the first-level cache.


@compiled
def philox4x32_10(counter: NDArray[np.uint32], key: NDArray[np.uint32]) -> None:
    """Replace each lane's counter, a column of uint32 [4, `_LANES`], by its four output words.

    The inner loop runs over lanes, not rounds, so that it becomes vector instructions.

    Args:
        counter: uint32 [4, `_LANES`], overwritten.
        key: uint32 [2, `_LANES`].

    """
    c0, c1, c2, c3 = counter[0], counter[1], counter[2], counter[3]
    k0, k1 = key[0], key[1]
    bump0, bump1 = np.uint32(0), np.uint32(0)
    for _ in range(10):
        for j in range(_LANES):
            p0 = _M0 * np.uint64(c0[j])
            p1 = _M1 * np.uint64(c2[j])
            c0[j] = np.uint32(p1 >> _HALF) ^ c1[j] ^ np.uint32(k0[j] + bump0)
            c1[j] = np.uint32(p1 & _MASK)
            c2[j] = np.uint32(p0 >> _HALF) ^ c3[j] ^ np.uint32(k1[j] + bump1)
            c3[j] = np.uint32(p0 & _MASK)
        bump0 = np.uint32(bump0 + _W0)
        bump1 = np.uint32(bump1 + _W1)


@compiled
def words(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    firsts: NDArray[np.int64],
    width: int,
    master: np.uint64,
) -> NDArray[np.uint32]:
    """Return the keyed word of the token at each position, uint32 [M].

    Args:
        tokens: uint32 [N].
        positions: int64 [M], indexes into `tokens`.
        firsts: int64 [M], where the document of each position starts: context tokens before it
            count as -1 (rosetta-vllm-v1 section 2). Empty if no context reaches that far.
        width: Context tokens, at least 1.
        master: The key, all 64 bits.

    """
    count = len(positions)
    out = np.empty(count, np.uint32)
    counter = np.zeros((4, _LANES), np.uint32)
    key = np.empty((2, _LANES), np.uint32)
    low, high = np.uint32(master & _MASK), np.uint32(master >> _HALF)
    for begin in range(0, count, _LANES):
        lanes = positions[begin : begin + _LANES]
        _absorb_contexts(counter, key, tokens, lanes, firsts[begin : begin + _LANES], width, master)
        for j in range(len(lanes)):
            key[0, j] = low ^ counter[3, j]
            key[1, j] = high ^ _TOKEN_DOMAIN
            counter[3, j] = counter[2, j]
            counter[2, j] = counter[1, j]
            counter[1, j] = counter[0, j]
            counter[0, j] = tokens[lanes[j]] >> np.uint32(2)
        philox4x32_10(counter, key)
        for j in range(len(lanes)):
            out[begin + j] = counter[tokens[lanes[j]] & np.uint32(3), j]
    return out


@compiled
def _absorb_contexts(
    counter: NDArray[np.uint32],
    key: NDArray[np.uint32],
    tokens: NDArray[np.uint32],
    lanes: NDArray[np.int64],
    firsts: NDArray[np.int64],
    width: int,
    master: np.uint64,
) -> None:
    """Leave in `counter` the state of each lane's context, section 2."""
    low, high = np.uint32(master & _MASK), np.uint32(master >> _HALF)
    counter[0] = _CONTEXT_DOMAIN
    counter[1] = np.uint32(width)
    counter[2] = 0
    counter[3] = 0
    for offset in range(0, width, _BLOCK):
        key[0] = low ^ np.uint32(offset)
        key[1] = high
        for word in range(_BLOCK):
            place = offset + word
            if place >= width:
                counter[word] ^= _NOTHING - np.uint32(word)
                continue
            for j in range(len(lanes)):
                source = lanes[j] - width + place
                outside = len(firsts) > 0 and source < firsts[j]
                counter[word, j] ^= _NOTHING if outside else tokens[source]
        philox4x32_10(counter, key)


@compiled
def gumbel_scores(drawn: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return -ln(1 - u) of each word, float64 [M], for u of rosetta-vllm-v1 section 4.

    u is (m + 1) / (2^24 + 1), where m is the word's upper 24 bits, rounded to float32. Then
    1 - u is exact in float64, and its plain logarithm loses nothing.
    """
    out = np.empty(len(drawn), np.float64)
    for i in range(len(drawn)):
        mantissa = np.float64(drawn[i] >> np.uint32(8))
        uniform = np.float32((mantissa + 1.0) / 16777217.0)
        out[i] = -math.log(1.0 - np.float64(uniform))
    return out
