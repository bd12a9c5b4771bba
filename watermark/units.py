"""Which tokens count: each (context, token) pair once per document, and no commonplaces.

A keyed hash says the same thing of the same pair each time. Counting a repeated pair again
would count one coin toss many times, and a pair that half of all documents contain would tie
their false alarms together (with one key, every licence header looks marked; with the next, none
does). Both are decided here by the tokens alone, before any key is looked at, so that the
scores that remain are independent, whatever the text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.documents import Documents

__all__ = ["NO_PAIRS", "CommonPairs", "Units", "find_units", "fingerprints"]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd (Knuth, TAOCP 3, §6.4).
_SIEVE_BITS = 22
_AHEAD = 1024  # Fingerprints that are computed together: 8 KiB, which stay in the nearest cache.


@dataclass(frozen=True, slots=True)
class Units:
    """The (context, token) pairs that count.

    Attributes:
        positions: int64 [M], indexes of the tokens in `documents.tokens`, ascending.
        starts: int64 [D + 1]; those of document d are `positions[starts[d]:starts[d + 1]]`.
        repeated: int64 [D], pairs left out since the document already had them.
        common: int64 [D], pairs left out since they are commonplaces.

    """

    positions: NDArray[np.int64]
    starts: NDArray[np.int64]
    repeated: NDArray[np.int64]
    common: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CommonPairs:
    """Commonplaces of one tokenizer and context width, by fingerprint.

    Attributes:
        width: Context tokens of the pairs; a table of another width excludes nothing.
        table: uint32 [C], ascending: the upper halves of the pairs' fingerprints.
        sieve: uint8 [2^22 / 8], bit set of the lower bits of `table`, so that most look-ups
            end after one read.

    """

    width: int
    table: NDArray[np.uint32]
    sieve: NDArray[np.uint8]

    @classmethod
    def of(cls, width: int, table: NDArray[np.uint32]) -> CommonPairs:
        """Sort `table`, and build the sieve."""
        ordered = np.unique(table)
        bits = np.zeros(1 << _SIEVE_BITS, np.bool_)
        bits[ordered & np.uint32((1 << _SIEVE_BITS) - 1)] = True
        return cls(width, ordered, np.packbits(bits, bitorder="little"))


NO_PAIRS = CommonPairs.of(0, np.zeros(0, np.uint32))


def find_units(documents: Documents, width: int, common: CommonPairs = NO_PAIRS) -> Units:
    """Return the pairs of `documents` that count, for contexts of `width` tokens.

    The first `width` tokens of a document are context only. Of equal pairs the first counts. Two
    different pairs are taken for equal with a probability of 2^-64: the later one is then left
    out, which costs one token of evidence and nothing else.
    """
    if common.width != width:
        common = NO_PAIRS
    longest = int(np.diff(documents.starts).max(initial=0))
    slots = 1 << max(4, (4 * longest).bit_length())
    return Units(
        *_keep(
            documents.tokens,
            documents.starts,
            width,
            np.empty(slots, np.uint64),
            common.table,
            common.sieve,
        )
    )


@compiled
def fingerprints(
    tokens: NDArray[np.uint32], positions: NDArray[np.int64], width: int
) -> NDArray[np.uint64]:
    """Return an unkeyed 64-bit hash of each (context, token) pair, uint64 [M]."""
    out = np.empty(len(positions), np.uint64)
    for i in range(len(positions)):
        out[i] = _fingerprint(tokens, positions[i], width)
    return out


@compiled
def _fingerprint(tokens: NDArray[np.uint32], position: int, width: int) -> np.uint64:
    state = np.uint64(width)
    for at in range(position - width, position + 1):
        state = (state ^ np.uint64(tokens[at])) * _MULTIPLIER
        state ^= state >> np.uint64(32)
    return state * _MULTIPLIER


@compiled
def _fingerprints_from(
    tokens: NDArray[np.uint32], first: int, width: int, out: NDArray[np.uint64]
) -> int:
    """Write what `_fingerprint` returns for `first` and the positions after it; return their end.

    One step for all, then the next step: that way the compiler takes several at a time.
    """
    count = min(len(out), len(tokens) - first)
    for i in range(count):
        out[i] = np.uint64(width)
    for back in range(width, -1, -1):
        part = tokens[first - back : first - back + count]
        for i in range(count):
            state = (out[i] ^ np.uint64(part[i])) * _MULTIPLIER
            out[i] = state ^ (state >> np.uint64(32))
    for i in range(count):
        out[i] *= _MULTIPLIER
    return first + count


@compiled
def _keep(
    tokens: NDArray[np.uint32],
    starts: NDArray[np.int64],
    width: int,
    slots: NDArray[np.uint64],
    table: NDArray[np.uint32],
    sieve: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Walk every document once; the first of `slots` are its hash set, in which 0 is nothing."""
    count = len(starts) - 1
    positions = np.empty(len(tokens), np.int64)
    ends = np.zeros(count + 1, np.int64)
    commonplace = np.zeros(count, np.int64)
    sifted = len(table) > 0
    marks, begin, end = np.empty(_AHEAD, np.uint64), 0, 0
    kept = np.uint64(0)  # Without a sign: an index that has one is looked at for it.
    for document in range(count):
        size = 16
        while size < 4 * (starts[document + 1] - starts[document]):
            size *= 2
        slots[:size] = 0
        mask = np.uint64(size - 1)
        for position in range(starts[document] + width, starts[document + 1]):
            if position >= end:
                # It may run into the next document, whose first ones are then not looked at.
                begin, end = position, _fingerprints_from(tokens, position, width, marks)
            mark = marks[np.uint64(position - begin)]
            # The sieve is looked at here, not in a function: a call costs more than the answer.
            low = np.int64(mark >> np.uint64(32)) & ((1 << 22) - 1)
            if sifted and (sieve[low >> 3] >> (low & 7)) & 1 and _is_common(mark, table):
                commonplace[document] += 1
                continue
            # Token 0 after `width` and zeros has 0. 1 is then its mark, and nobody's but by chance.
            mark += np.uint64(mark == 0)
            slot = (mark >> np.uint64(20)) & mask
            found = slots[slot]
            while found and found != mark:
                slot = (slot + np.uint64(1)) & mask
                found = slots[slot]
            # Written in any case, and counted if new: a branch would be guessed wrongly.
            slots[slot] = mark
            positions[kept] = position
            kept += np.uint64(found == 0)
        ends[document + 1] = kept
    # np.diff takes ten times as long to compile.
    lengths, counted = starts[1:] - starts[:-1], ends[1:] - ends[:-1]
    repeated = np.maximum(0, lengths - width) - counted - commonplace
    return positions[:kept], ends, repeated, commonplace


@compiled
def _is_common(mark: np.uint64, table: NDArray[np.uint32]) -> bool:
    short = np.uint32(mark >> np.uint64(32))
    at = np.searchsorted(table, short)
    return bool(at < len(table) and table[at] == short)
