"""TextSeal's hash, compiled: specs/rosetta-textseal-v1, section 2, in wrapping 64-bit words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = ["OUTPUTS", "hashes", "layer_totals", "too_close"]

OUTPUTS = 8191

_PRIMES: NDArray[np.uint64] = 10_000_000 + np.array(
    [19, 247, 439, 643, 747, 867, 993, 1213, 1357, 1501], np.uint64
)
_TOKEN = np.uint64(100000007)
_KEY = np.uint64(500001713)
_MIX = np.uint64(15485863 * 40499)


@compiled
def hashes(
    tokens: NDArray[np.uint32], positions: NDArray[np.int64], width: int, key: int
) -> NDArray[np.int64]:
    """Return the hash of each position's pair, 0 to 8,190, int64 [M]."""
    out = np.empty(len(positions), np.int64)
    for i in range(len(positions)):
        out[i] = _mixed(_sum(tokens, positions[i], width, key))
    return out


@compiled
def layer_totals(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    width: int,
    key: int,
    stride: int,
    weights: NDArray[np.int64],
    limit: int,
) -> NDArray[np.float64]:
    """Return the summed weights of the layers whose hash is below `limit`, float64 [M].

    Layer l hashes the token id plus l times `stride`; there are as many as weights.
    """
    out = np.empty(len(positions), np.float64)
    step = _TOKEN * np.uint64(stride)
    for i in range(len(positions)):
        total = _sum(tokens, positions[i], width, key)
        score = np.int64(0)
        for layer in range(len(weights)):
            score += weights[layer] if _mixed(total) < limit else 0
            total += step
        out[i] = score
    return out


@compiled
def _sum(tokens: NDArray[np.uint32], at: int, width: int, key: int) -> np.uint64:
    total = _KEY * np.uint64(key) + _TOKEN * np.uint64(tokens[at])
    for place in range(width):
        total += _PRIMES[place] * np.uint64(tokens[at - width + place])
    return total


@compiled
def _mixed(total: np.uint64) -> np.int64:
    mixed = np.int64(total * _MIX)
    # The shift copies the sign, so that the result is never negative.
    return (mixed ^ (mixed >> np.int64(13))) % np.int64(OUTPUTS)


@compiled
def too_close(
    order: NDArray[np.int64], new: NDArray[np.bool_], steps: NDArray[np.int64], depth: int
) -> NDArray[np.bool_]:
    """Return which of `steps` are less than `depth` above the last that is not, bool [M].

    Args:
        order: int64 [M], indexes into `steps`, ascending within each group.
        new: bool [M], where in `order` a group starts.
        steps: int64 [M].
        depth: At least 1.

    """
    out = np.zeros(len(order), np.bool_)
    kept = np.int64(0)
    for i in range(len(order)):
        step = steps[order[i]]
        if new[i] or step - kept >= depth:
            kept = step
        else:
            out[order[i]] = True
    return out
