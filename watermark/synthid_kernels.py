"""The hash of SynthID-Text as transformers computes it, compiled.

All of it is one affine map, h -> (h + x) a + 1 modulo 2^64, applied to the context tokens, the
token, and then once more to the key of each layer. `specs/rosetta-synthid-v1` section 3 derives
what follows for tables whose size is a power of two, which the kernels use:

    table[((h + k) a + 1) mod T] = aligned[(h + k) mod T]     aligned[x] = table[(x a + 1) mod T]

The right-hand side knows of h only h mod T. So a token is one state of T, a layer is the aligned
table read from another start, and the score of a token is one look-up in a sum of T entries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = [
    "align",
    "distinct_scores",
    "first_contexts",
    "modulus_bits",
    "offset_bits",
    "score_table",
    "states",
    "table_scores",
    "table_states",
]

_MULTIPLIER = np.uint64(6364136223846793005)
_ONE = np.uint64(1)
_LOW_MULTIPLIER = np.uint32(6364136223846793005 & 0xFFFFFFFF)
_LOW_ONE = np.uint32(1)
_AHEAD = 512  # Hashes that are computed together; few, for positions that lie far apart.


@compiled
def _hash(tokens: NDArray[np.uint32], first: int, end: int) -> np.uint64:
    state = _ONE
    for at in range(first, end):
        state = (state + np.uint64(tokens[at])) * _MULTIPLIER + _ONE
    return state


@compiled
def _rolling(width: int) -> tuple[np.uint64, np.uint64]:
    """Return what `_roll` takes away: a^(width + 2), and what the constants grow by in one step."""
    drop = _MULTIPLIER
    constant = _ONE
    for _step in range(width + 1):
        drop *= _MULTIPLIER
        constant = constant * _MULTIPLIER + _ONE
    return drop, constant * _MULTIPLIER + _ONE - constant


@compiled
def _roll(
    tokens: NDArray[np.uint32],
    position: int,
    width: int,
    state: np.uint64,
    drop: np.uint64,
    surplus: np.uint64,
) -> np.uint64:
    """Return the hash at `position` from that at the position before it.

    The hash is a polynomial in a over the tokens, so that the oldest one can be taken out again.
    """
    gone = drop * np.uint64(tokens[position - 1 - width])
    return (state + np.uint64(tokens[position])) * _MULTIPLIER + _ONE - gone - surplus


@compiled
def states(
    tokens: NDArray[np.uint32], positions: NDArray[np.int64], width: int
) -> NDArray[np.uint64]:
    """Return the hash of each context and token before any key enters, uint64 [M]."""
    out = np.empty(len(positions), np.uint64)
    drop, surplus = _rolling(width)
    state = _ONE
    before = np.int64(-1)
    for i in range(len(positions)):
        position = positions[i]
        if i > 0 and position == before + 1:
            state = _roll(tokens, position, width, state, drop, surplus)
        else:
            state = _hash(tokens, position - width, position + 1)
        before = position
        out[i] = state
    return out


@compiled
def align(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return aligned[x] = table[(x a + 1) mod T], uint8 [T], for T a power of two."""
    mask = np.uint64(len(table) - 1)
    out = np.empty(len(table), np.uint8)
    for x in range(len(table)):
        out[x] = table[(np.uint64(x) * _MULTIPLIER + _ONE) & mask]
    return out


@compiled
def score_table(
    aligned: NDArray[np.uint8], offsets: NDArray[np.int64], weights: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return the weighted sum of all layers for each state, int32 [T].

    Args:
        aligned: uint8 [T], of `align`.
        offsets: int64 [L], the keys modulo T.
        weights: int32 [L].

    """
    size = len(aligned)
    out = np.zeros(size, np.int32)
    for layer in range(len(offsets)):
        # Two straight runs instead of one that wraps: these the compiler vectorises.
        _add(out[: size - offsets[layer]], aligned[offsets[layer] :], weights[layer])
        _add(out[size - offsets[layer] :], aligned[: offsets[layer]], weights[layer])
    return out


@compiled
def _add(out: NDArray[np.int32], bits: NDArray[np.uint8], weight: np.int32) -> None:
    for i in range(len(out)):
        out[i] += weight * np.int32(bits[i])


@compiled
def _low_words(tokens: NDArray[np.uint32], first: int, width: int, out: NDArray[np.uint32]) -> int:
    """Write the lower words of the hashes at `first` and after it; return where they end.

    They depend on lower words only. One step for all, then the next step: that way the compiler
    takes eight at a time, and computing a hash anew costs less than rolling it on.
    """
    count = min(len(out), len(tokens) - first)
    for i in range(count):
        out[i] = _LOW_ONE
    for back in range(width, -1, -1):
        part = tokens[first - back : first - back + count]
        for i in range(count):
            # Without the casts the sums would be wider.
            out[i] = np.uint32(np.uint32(np.uint32(out[i] + part[i]) * _LOW_MULTIPLIER) + _LOW_ONE)
    return first + count


@compiled
def table_states(
    tokens: NDArray[np.uint32], positions: NDArray[np.int64], width: int, size: int
) -> NDArray[np.uint64]:
    """Return what `states` returns modulo `size`, a power of two up to 2^32; uint64 [M]."""
    mask = np.uint64(size - 1)
    out = np.empty(len(positions), np.uint64)
    words, begin, end = np.empty(_AHEAD, np.uint32), 0, 0
    for i in range(len(positions)):
        position = positions[i]
        if not begin <= position < end:
            begin, end = position, _low_words(tokens, position, width, words)
        out[i] = np.uint64(words[np.uint64(position - begin)]) & mask
    return out


@compiled
def table_scores(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    width: int,
    scores: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Return `scores` at the state of each position, float64 [M]."""
    mask = np.uint64(len(scores) - 1)
    out = np.empty(len(positions), np.float64)
    words, begin, end = np.empty(_AHEAD, np.uint32), 0, 0
    for i in range(len(positions)):
        position = positions[i]
        if not begin <= position < end:
            begin, end = position, _low_words(tokens, position, width, words)
        out[i] = scores[np.uint64(words[np.uint64(position - begin)]) & mask]
    return out


@compiled
def distinct_scores(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    starts: NDArray[np.int64],
    width: int,
    scores: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what counts each state once in each document: all in one pass, hashed once.

    Args:
        tokens: uint32 [N].
        positions: int64 [M], ascending; those of document d are from `starts[d]` on.
        starts: int64 [D + 1].
        width: Context tokens.
        scores: int32 [T], of `score_table`; a set of T bits is emptied for each document.

    Returns:
        The positions that are the first of their state, int64 [K]; their starts, int64 [D + 1];
        their scores, float64 [K]; and what those of each document add up to, float64 [D].

    """
    mask, low = np.uint64(len(scores) - 1), np.uint64(63)
    first, values = np.empty(len(positions), np.int64), np.empty(len(positions), np.float64)
    ends, totals = np.zeros(len(starts), np.int64), np.empty(len(starts) - 1, np.float64)
    seen = np.empty((len(scores) + 63) // 64, np.uint64)
    words, begin, end = np.empty(_AHEAD, np.uint32), 0, 0
    kept = np.uint64(0)  # Without a sign, as all indexes here: those need no look at their sign.
    for document in range(len(starts) - 1):
        seen[:] = 0
        total = np.int64(0)
        for i in range(np.uint64(starts[document]), np.uint64(starts[document + 1])):
            position = positions[i]
            if not begin <= position < end:
                begin, end = position, _low_words(tokens, position, width, words)
            state = np.uint64(words[np.uint64(position - begin)]) & mask
            group = seen[state >> np.uint64(6)]
            seen[state >> np.uint64(6)] = group | (_ONE << (state & low))
            # Written in any case, and counted if new: a branch would be guessed wrongly.
            new = ~(group >> (state & low)) & _ONE
            score = np.int64(scores[state])
            first[kept] = position
            values[kept] = score
            total += score * np.int64(new)
            kept += new
        totals[document] = total
        ends[document + 1] = kept
    return first[:kept], ends, values[:kept], totals


@compiled
def offset_bits(
    hashes: NDArray[np.uint64], offsets: NDArray[np.int64], aligned: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the g-values of each state and layer, uint8 [M, L], for T a power of two."""
    mask = np.int64(len(aligned) - 1)
    out = np.empty((len(hashes), len(offsets)), np.uint8)
    for i in range(len(hashes)):
        state = np.int64(hashes[i]) & mask
        for layer in range(len(offsets)):
            out[i, layer] = aligned[(state + offsets[layer]) & mask]
    return out


@compiled
def modulus_bits(
    hashes: NDArray[np.uint64], keys: NDArray[np.uint64], table: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the g-values of each state and layer, uint8 [M, L], for T of any size."""
    size = np.int64(len(table))
    out = np.empty((len(hashes), len(keys)), np.uint8)
    for i in range(len(hashes)):
        for layer in range(len(keys)):
            # The peer's integers are signed, and its remainder takes the sign of the divisor.
            mixed = np.int64((hashes[i] + keys[layer]) * _MULTIPLIER + _ONE)
            out[i, layer] = table[mixed % size]
    return out


@compiled
def first_contexts(
    tokens: NDArray[np.uint32], starts: NDArray[np.int64], width: int, history: int
) -> NDArray[np.bool_]:
    """Return where the peer's memory of the last `history` contexts lacks this one, bool [N].

    False where fewer than `width` tokens come before. The peer's memory starts full of zeros, so
    a context whose hash is zero counts as seen until `history` others have pushed them out.
    """
    out = np.zeros(len(tokens), np.bool_)
    longest = 0
    for document in range(len(starts) - 1):
        longest = max(longest, starts[document + 1] - starts[document])
    size = 16
    while size < 2 * longest:
        size *= 2
    mask = np.uint64(size - 1)
    known = np.empty(size, np.uint64)
    latest = np.full(size, -1, np.int64)  # Positions; one before this document's is no entry.
    for document in range(len(starts) - 1):
        first = starts[document] + width
        for position in range(first, starts[document + 1]):
            state = _hash(tokens, position - width, position)
            slot = (state >> np.uint64(20)) & mask
            while latest[slot] >= first and known[slot] != state:
                slot = (slot + _ONE) & mask
            seen = latest[slot] >= max(first, position - history)
            blank = state == np.uint64(0) and position - first < history
            out[position] = not (seen or blank)
            known[slot] = state
            latest[slot] = position
    return out
