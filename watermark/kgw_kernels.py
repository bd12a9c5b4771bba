"""Green lists as torch draws them on a CPU, without torch.

A seed fills an mt19937 (Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8, 1998, as
revised in 2002); its outputs drive a Fisher-Yates shuffle of the ids 0 to V-1 (Knuth, TAOCP 2,
§3.4.2, algorithm P, upwards); the first ids are green. Whoever asks about one id need not shuffle:
only the draws matter that touch its place. Every loop over 624 outputs is written so that
the compiler can do eight or sixteen of them at a time; an index with an offset in it, or a signed
integer, would prevent that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled

__all__ = [
    "ABSENT",
    "BLOCK",
    "green_flags",
    "green_rows",
    "pair_flags",
    "reciprocals",
    "row_flags",
    "shuffle",
]

ABSENT = -1  # A context without a row.
_WANTED = -2  # The same, and already on the list of rows to fill.
BLOCK = 624  # Words that the generator makes at a time.
_SHIFT = 397


def reciprocals(vocabulary: int, draws: int) -> NDArray[np.uint32]:
    """Return floor(2^32 / (V - i)) for each draw i, zero-padded to whole blocks, uint32.

    With it a remainder costs two multiplications: for r < 2^32 the quotient r * that / 2^32 is
    the true one or one less, since the error is r / 2^32 < 1 times what the floor cut off. The
    last divisor must be 2 or more, as 2^32 / 1 does not fit.
    """
    blocks = -(-draws // BLOCK)
    padded = np.zeros(blocks * BLOCK, np.uint32)
    padded[:draws] = (np.uint64(1) << np.uint64(32)) // (
        np.uint64(vocabulary) - np.arange(draws, dtype=np.uint64)
    )
    return padded


@compiled
def _fill(state: NDArray[np.uint32], seed: np.uint32) -> None:
    word = seed
    state[0] = word
    for i in range(1, BLOCK):
        word = np.uint32(np.uint32(1812433253) * (word ^ (word >> np.uint32(30))) + np.uint32(i))
        state[i] = word


@compiled
def _twist(old: NDArray[np.uint32], new: NDArray[np.uint32]) -> None:
    """Advance by 624 words, from one array to another: in place, the compiler sees hazards."""
    upper, lower = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
    matrix, one = np.uint32(0x9908B0DF), np.uint32(1)
    for i in range(BLOCK - _SHIFT):
        y = (old[i] & upper) | (old[i + 1] & lower)
        new[i] = old[i + _SHIFT] ^ (y >> one) ^ ((y & one) * matrix)
    for i in range(_SHIFT - 1):
        y = (old[i + BLOCK - _SHIFT] & upper) | (old[i + BLOCK - _SHIFT + 1] & lower)
        new[i + BLOCK - _SHIFT] = new[i] ^ (y >> one) ^ ((y & one) * matrix)
    y = (old[BLOCK - 1] & upper) | (new[0] & lower)
    new[BLOCK - 1] = new[_SHIFT - 1] ^ (y >> one) ^ ((y & one) * matrix)


@compiled
def _partners(
    state: NDArray[np.uint32],
    inverse: NDArray[np.uint32],
    left: np.uint32,
    partners: NDArray[np.uint32],
) -> None:
    """Write where draw i swaps place i to, of `left` places counted from the block's first."""
    for i in range(BLOCK):
        y = state[i]
        y = np.uint32(y ^ (y >> np.uint32(11)))
        y = np.uint32(y ^ (np.uint32(y << np.uint32(7)) & np.uint32(0x9D2C5680)))
        y = np.uint32(y ^ (np.uint32(y << np.uint32(15)) & np.uint32(0xEFC60000)))
        y = np.uint32(y ^ (y >> np.uint32(18)))
        divisor = np.uint32(left - np.uint32(i))
        quotient = np.uint32((np.uint64(y) * np.uint64(inverse[i])) >> np.uint64(32))
        rest = np.uint32(y - np.uint32(quotient * divisor))
        # One too many left over: less the divisor; otherwise that wraps to something huge.
        rest = min(rest, np.uint32(rest - divisor))
        partners[i] = np.uint32(rest + np.uint32(i))


@compiled
def _holds(partners: NDArray[np.uint32], place: np.uint32) -> bool:
    nearest = np.uint32(0xFFFFFFFF)
    for i in range(len(partners)):
        nearest = min(nearest, np.uint32(partners[i] ^ place))
    return bool(nearest == np.uint32(0))


@compiled
def _is_green(
    seed: np.uint32,
    token: np.uint32,
    vocabulary: int,
    green: int,
    inverse: NDArray[np.uint32],
    work: NDArray[np.uint32],
) -> bool:
    """Follow one id through the first `green` draws; it is green once a draw picks its place."""
    state, spare, partners = work[0], work[1], work[2]
    _fill(state, seed)
    place = int(token)
    for first in range(0, green, BLOCK):
        _twist(state, spare)
        state, spare = spare, state
        _partners(state, inverse[first : first + BLOCK], np.uint32(vocabulary - first), partners)
        end = min(BLOCK, green - first)
        begin = 0
        while begin < end:
            # Draw i swaps place i away: until then the id stays where it is.
            own = place - first
            stop = own if begin <= own < end else end
            if _holds(partners[begin:stop], np.uint32(own)):
                return True
            if stop < end:
                if partners[stop] == np.uint32(own):
                    return True
                place = first + int(partners[stop])
            begin = stop + 1
    return False


@compiled
def green_flags(
    seeds: NDArray[np.uint32],
    tokens: NDArray[np.uint32],
    vocabulary: int,
    green: int,
    inverse: NDArray[np.uint32],
) -> NDArray[np.float64]:
    """Return 1.0 where the token is on its seed's green list, float64 [M], nothing remembered.

    Args:
        seeds: uint32 [M].
        tokens: uint32 [M], each below `vocabulary`.
        vocabulary: V, how many ids are shuffled.
        green: How many of them are green, 1 to V-1.
        inverse: `reciprocals(vocabulary, green)`.

    """
    out = np.empty(len(seeds), np.float64)
    work = np.empty((3, BLOCK), np.uint32)
    for i in range(len(seeds)):
        out[i] = _is_green(seeds[i], tokens[i], vocabulary, green, inverse, work)
    return out


@compiled
def pair_flags(
    seeds: NDArray[np.uint32],
    tokens: NDArray[np.uint32],
    vocabulary: int,
    green: int,
    inverse: NDArray[np.uint32],
    memory: NDArray[np.uint64],
) -> NDArray[np.float64]:
    """Return what `green_flags` does, remembering pairs in `memory`, uint64 [2^k].

    A word holds seed, token, whether it is green, and a bit that says so much is known: any pair
    has one place, and the last one that came there keeps it.
    """
    out = np.empty(len(seeds), np.float64)
    work = np.empty((3, BLOCK), np.uint32)
    mask = np.uint64(len(memory) - 1)
    for i in range(len(seeds)):
        pair = (np.uint64(seeds[i]) << np.uint64(23)) | (np.uint64(tokens[i]) << np.uint64(2))
        slot = ((pair * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(24)) & mask
        if memory[slot] | np.uint64(2) != pair | np.uint64(3):
            flag = _is_green(seeds[i], tokens[i], vocabulary, green, inverse, work)
            memory[slot] = pair | np.uint64(1) | (np.uint64(flag) << np.uint64(1))
        out[i] = np.float64((memory[slot] >> np.uint64(1)) & np.uint64(1))
    return out


@compiled
def green_rows(
    seeds: NDArray[np.uint32],
    places: NDArray[np.int64],
    vocabulary: int,
    green: int,
    inverse: NDArray[np.uint32],
    rows: NDArray[np.uint64],
) -> None:
    """Write whole green lists: bit t % 64 of `rows[places[i], t // 64]` is id t under seed i.

    Args:
        seeds: uint32 [K].
        places: int64 [K], which row each becomes.
        vocabulary: V.
        green: How many ids are green.
        inverse: `reciprocals(vocabulary, green)`.
        rows: uint64 [R, ceil(V / 64)].

    """
    work = np.empty((3, BLOCK), np.uint32)
    ids = np.empty(vocabulary, np.uint32)
    for i in range(len(seeds)):
        bits = rows[places[i]]
        bits[:] = np.uint64(0)
        shuffle(seeds[i], green, inverse, work, ids)
        for j in range(green):
            token = np.uint64(ids[j])
            bits[token >> np.uint64(6)] |= np.uint64(1) << (token & np.uint64(63))


@compiled
def shuffle(
    seed: np.uint32,
    draws: int,
    inverse: NDArray[np.uint32],
    work: NDArray[np.uint32],
    ids: NDArray[np.uint32],
) -> None:
    """Write the permutation of 0 to V-1, whose first `draws` places are final, into `ids`.

    Args:
        seed: Of the generator.
        draws: How many places; V-1 gives the whole permutation.
        inverse: `reciprocals(V, draws)`.
        work: uint32 [3, 624], to be written over.
        ids: uint32 [V], the result.

    """
    for i in range(len(ids)):
        ids[i] = np.uint32(i)
    state, spare, partners = work[0], work[1], work[2]
    _fill(state, seed)
    for first in range(0, draws, BLOCK):
        _twist(state, spare)
        state, spare = spare, state
        _partners(state, inverse[first : first + BLOCK], np.uint32(len(ids) - first), partners)
        here = ids[first:]
        for i in range(min(BLOCK, draws - first)):
            other = partners[i]
            here[i], here[other] = here[other], here[i]


@compiled
def row_flags(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    row_of: NDArray[np.int32],
    rows: NDArray[np.uint64],
    used: NDArray[np.int64],
    now: int,
    out: NDArray[np.float64],
    wanted: NDArray[np.uint32],
) -> int:
    """Write 1.0 where the token is green after the one before it; return how many rows lack.

    Args:
        tokens: uint32 [N].
        positions: int64 [M], each at least 1.
        row_of: int32 [V], the row of each context, or `ABSENT`; those that lack are written to
            `wanted`, once each, and marked so.
        rows: uint64 [R, W], green lists.
        used: int64 [R], set to `now` for rows that were read; empty if nobody counts.
        now: A number that grows.
        out: float64 [M]; where a row lacks, nothing is written.
        wanted: uint32 [>= M] or, if no row can lack, empty.

    """
    lacking = 0
    for i in range(len(positions)):
        context = tokens[positions[i] - 1]
        row = row_of[context]
        if row >= 0:
            token = np.uint64(tokens[positions[i]])
            word = rows[row, token >> np.uint64(6)]
            out[i] = np.float64((word >> (token & np.uint64(63))) & np.uint64(1))
            if len(used):
                used[row] = now
        elif row == ABSENT:
            row_of[context] = _WANTED
            wanted[lacking] = context
            lacking += 1
    return lacking
