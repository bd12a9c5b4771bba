"""Messages of a payload: from identifier to symbols, and back from what each symbol scores."""

from __future__ import annotations

import hmac
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.errors import SchemeError
from countermark.watermark.prf import SYMBOLS

__all__ = ["IDENTIFIER_BITS", "MAX_RANK", "POSITIONS", "best_message", "message_symbols"]

IDENTIFIER_BITS = 48
MAX_RANK = 256
POSITIONS = 4
_MAC_LABEL = b"countermark-gumbel-payload-v1\0"
_MAC_KEY_BYTES = 32


def message_symbols(mac_key: bytes, identifier: int) -> tuple[int, int, int, int]:
    """Return the four symbols of a message: the identifier, lowest bits first, and its MAC.

    Args:
        mac_key: 32 bytes.
        identifier: 0 up to 2^48.

    Raises:
        SchemeError: If one of them is out of range.

    """
    if len(mac_key) != _MAC_KEY_BYTES:
        raise SchemeError(f"a MAC key of {len(mac_key)} bytes, expected {_MAC_KEY_BYTES}")
    if isinstance(identifier, bool) or not isinstance(identifier, int):
        raise SchemeError("an identifier is an integer")
    if not 0 <= identifier < 1 << IDENTIFIER_BITS:
        raise SchemeError(f"an identifier has at most {IDENTIFIER_BITS} bits, and no sign")
    low, middle, high = (identifier >> at & SYMBOLS - 1 for at in (0, 16, 32))
    return low, middle, high, _mac(mac_key, identifier)


def _mac(mac_key: bytes, identifier: int) -> int:
    tag = hmac.digest(mac_key, _MAC_LABEL + identifier.to_bytes(6, "big"), "sha256")
    return int.from_bytes(tag[:2], "big")


def best_message(totals: NDArray[np.float64], mac_key: bytes) -> tuple[int, float, float]:
    """Return the identifier whose message scores best, its total, and that of the next best.

    Tried are the identifiers whose symbols have ranks r, s, t (from 1) in the totals of their
    positions with r s t <= MAX_RANK. Three symbols of which chance explains much have high ranks
    together, and `ln_wrong` would refuse a message of any others almost always.

    Args:
        totals: float64 [4, SYMBOLS].
        mac_key: 32 bytes.

    """
    likeliest = [_highest(row) for row in totals[: POSITIONS - 1]]
    symbols = np.stack([likeliest[at][rank] for at, rank in enumerate(_ranks())])
    identifiers = symbols[0] | symbols[1] << 16 | symbols[2] << 32
    macs = np.array([_mac(mac_key, identifier) for identifier in identifiers.tolist()])
    sums = totals[-1, macs]
    for row, chosen in zip(totals, symbols, strict=False):
        sums += row[chosen]
    second, best = np.argsort(sums, kind="stable")[-2:]
    return int(identifiers[best]), float(sums[best]), float(sums[second])


def _highest(totals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the symbols with the highest totals, int64 [MAX_RANK], highest first."""
    chosen = np.argpartition(totals, -MAX_RANK)[-MAX_RANK:]
    return chosen[np.argsort(-totals[chosen], kind="stable")]


@lru_cache(maxsize=1)
def _ranks() -> NDArray[np.int64]:
    """Return every triple of ranks that is tried, from 0, int64 [3, C]."""
    return np.array(
        [
            (r, s, t)
            for r in range(MAX_RANK)
            for s in range(MAX_RANK // (r + 1))
            for t in range(MAX_RANK // ((r + 1) * (s + 1)))
        ],
        np.int64,
    ).T
