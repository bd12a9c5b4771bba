"""Different pairs that are one draw of the key: counted once, like equal pairs.

Some schemes of others forget part of the context before they use it. To them two pairs that
differ in the forgotten part are one coin toss, which `units.py` cannot see. Counted twice, the
p-value lies: transformers' self-hash over four tokens had 31 times too many false alarms at 1e-4
on human text that way (specs/rosetta-kgw-v1, section 5).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.units import Units

__all__ = ["distinct_draws"]


def distinct_draws(units: Units, identities: NDArray[np.uint64]) -> Units:
    """Return the units without those that are a draw the document already has.

    Args:
        units: Of D documents, M in all.
        identities: uint64 [M]; equal exactly where two values cannot differ, whatever the key's
            function says.

    """
    longest = int(np.diff(units.starts).max(initial=0))
    slots = 1 << max(4, (2 * longest).bit_length())
    keep = _firsts(identities, units.starts, np.zeros(slots, np.uint64), np.zeros(slots, np.int64))
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])
    starts = kept[units.starts]
    lost = np.diff(units.starts) - np.diff(starts)
    return replace(
        units, positions=units.positions[keep], starts=starts, repeated=units.repeated + lost
    )


@compiled
def _firsts(
    identities: NDArray[np.uint64],
    starts: NDArray[np.int64],
    slots: NDArray[np.uint64],
    owners: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Say which are the first of their kind; `slots` is emptied by a new owner's number."""
    keep = np.ones(len(identities), np.bool_)
    mask = np.uint64(len(slots) - 1)
    for document in range(len(starts) - 1):
        owner = document + 1
        for i in range(starts[document], starts[document + 1]):
            slot = ((identities[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
            while owners[slot] == owner and slots[slot] != identities[i]:
                slot = (slot + np.uint64(1)) & mask
            if owners[slot] == owner:
                keep[i] = False
            owners[slot] = owner
            slots[slot] = identities[i]
    return keep
