"""Different pairs that are one draw of the key: counted once, like equal pairs.

Some schemes of others forget part of the context before they use it. To them two pairs that
differ in the forgotten part are one coin toss, which `units.py` cannot see. Counted twice, the
p-value lies: transformers' self-hash over four tokens had 31 times too many false alarms at 1e-4
on human text that way (specs/rosetta-kgw-v1, section 5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.documents import Documents
from countermark.watermark.units import Units

__all__ = ["Draws", "OnePass", "as_one_pass", "distinct_draws", "only"]


class Draws(NamedTuple):
    """What counts of D documents, and what it scores.

    Attributes:
        units: The first pair of each draw, M in all.
        values: float64 [M], of each of them.
        totals: float64 [D], what those of each document add up to.

    """

    units: Units
    values: NDArray[np.float64]
    totals: NDArray[np.float64]


class OnePass(Protocol):
    """A forgetful detector that can count its draws while it scores them."""

    def distinct_scores(self, documents: Documents, units: Units) -> Draws | None:
        """Return what `distinct_draws`, `values` and their sums do; None where those are quick."""
        ...


def as_one_pass(detector: object) -> OnePass | None:
    """Return the detector if it is one."""
    found = callable(getattr(type(detector), "distinct_scores", None))
    return cast("OnePass", detector) if found else None


def distinct_draws(units: Units, identities: NDArray[np.uint64]) -> Units:
    """Return the units without those that are a draw the document already has.

    Args:
        units: Of D documents, M in all.
        identities: uint64 [M]; equal exactly where two values cannot differ, whatever the key's
            function says.

    """
    longest = int(np.diff(units.starts).max(initial=0))
    slots = 1 << max(4, (4 * longest).bit_length())
    positions, starts = _firsts(
        units.positions,
        identities,
        units.starts,
        np.zeros(slots, np.uint64),
        np.zeros(slots, np.int32),
    )
    return only(units, positions, starts)


def only(units: Units, positions: NDArray[np.int64], starts: NDArray[np.int64]) -> Units:
    """Return some of the units, with the others counted as repeated.

    Args:
        units: Of D documents.
        positions: int64 [M], a part of theirs.
        starts: int64 [D + 1], where those of each document begin.

    """
    lost = np.diff(units.starts) - np.diff(starts)
    return replace(units, positions=positions, starts=starts, repeated=units.repeated + lost)


@compiled
def _firsts(
    positions: NDArray[np.int64],
    identities: NDArray[np.uint64],
    starts: NDArray[np.int64],
    slots: NDArray[np.uint64],
    owners: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first positions of their kind; `slots` is emptied by a new owner's number."""
    first = np.empty(len(positions), np.int64)
    ends = np.zeros(len(starts), np.int64)
    mask = np.uint64(len(slots) - 1)
    kept = 0
    for document in range(len(starts) - 1):
        owner = np.int32(document + 1)
        for i in range(starts[document], starts[document + 1]):
            draw = identities[i]
            slot = ((draw * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
            while owners[slot] == owner and slots[slot] != draw:
                slot = (slot + np.uint64(1)) & mask
            # Written in any case, and counted if new: a branch would be guessed wrongly.
            new = owners[slot] != owner
            owners[slot] = owner
            slots[slot] = draw
            first[kept] = positions[i]
            kept += new
        ends[document + 1] = kept
    return first[:kept], ends
