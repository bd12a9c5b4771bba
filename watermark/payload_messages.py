"""Messages of a payload: from identifier to symbols, and back from what each symbol scores."""

from __future__ import annotations

import hmac

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.errors import SchemeError
from countermark.watermark.payload_code import encode, place_orders, spread
from countermark.watermark.payload_kernels import best_words
from countermark.watermark.prf import SYMBOLS

__all__ = ["IDENTIFIER_BITS", "MAX_RANK", "best_message", "message_symbols"]

IDENTIFIER_BITS = 48
MAX_RANK = 512
MAX_WORDS = 64
_MAC_LABEL = b"countermark-gumbel-payload-v1\0"
_MAC_KEY_BYTES = 32


def message_symbols(mac_key: bytes, identifier: int) -> tuple[int, ...]:
    """Return the eight symbols of a message.

    The first three are the identifier, lowest bits first, and the fourth is its MAC; the others
    repeat them in another form (`payload_code`).

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
    return encode((low, middle, high, _mac(mac_key, identifier)))


def _mac(mac_key: bytes, identifier: int) -> int:
    tag = hmac.digest(mac_key, _MAC_LABEL + identifier.to_bytes(6, "big"), "sha256")
    return int.from_bytes(tag[:2], "big")


def best_message(totals: NDArray[np.float64], mac_key: bytes) -> int:
    """Return the identifier whose message scores best, of those that are tried.

    Tried are all words of the code of which some four symbols have ranks (from 1) in the totals of
    their places whose product is at most MAX_RANK, and of these the MAX_WORDS that score best: a
    message that so many words beat is one that `ln_wrong` refuses. If no MAC fits, it is the
    identifier of the best word, whose message then suits the text as well as any other.

    Args:
        totals: float64 [8, SYMBOLS].
        mac_key: 32 bytes.

    """
    likeliest = np.stack([_highest(row) for row in totals])
    words: list[int] = best_words(
        place_orders(), likeliest, spread(likeliest), totals, MAX_WORDS
    ).tolist()
    mask = (1 << IDENTIFIER_BITS) - 1
    tried = [(word & mask, word >> IDENTIFIER_BITS & SYMBOLS - 1) for word in words]
    fitting = (identifier for identifier, mac in tried if _mac(mac_key, identifier) == mac)
    return next(fitting, tried[0][0])


def _highest(totals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the symbols with the highest totals, int64 [MAX_RANK], highest first."""
    chosen = np.argpartition(totals, -MAX_RANK)[-MAX_RANK:]
    return chosen[np.argsort(-totals[chosen], kind="stable")]
