"""What a scheme and a key together can say about tokens, whoever made the scheme.

Everything that decides (de-duplication, common pairs, windows, correction, verdicts) is written
once, over this protocol. A detector only scores pairs, and knows how scores of unmarked text fall.
"""

from __future__ import annotations

import functools
from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.verdict import Payload

__all__ = ["Carrier", "Detector", "Forgetful", "as_carrier", "as_forgetful"]


class Detector(Protocol):
    """One scheme with one key.

    Under the null hypothesis, that whoever wrote the text did not know the key, the values of
    distinct (context, token) pairs are independent draws of one known distribution: the
    randomness is the key's, so nothing is assumed about the text.
    """

    @property
    def scheme(self) -> str:
        """Name and version of the scheme, as descriptors write it."""
        ...

    @property
    def width(self) -> int:
        """How many tokens before the scored one are its context."""
        ...

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the score of the token at each position, float64 [M]; larger means marked.

        Args:
            documents: Where the tokens are.
            positions: int64 [M], indexes into `documents.tokens`. Whoever calls guarantees that
                the `width` tokens before each are of the same document.

        """
        ...

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(sum of `counts` null values >= `totals`), float64 [K]; 0 where counts is 0.

        Exact: the true tail of the null, to about nine digits, however small.
        """
        ...


@runtime_checkable
class Forgetful(Protocol):
    """A detector whose scheme forgets part of a pair, so that different pairs may be one draw."""

    def identities(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return what each value depends on, uint64 [M]; equal numbers are one draw."""
        ...


@runtime_checkable
class Carrier(Protocol):
    """A detector whose scheme carries a message."""

    def read(
        self, documents: Documents, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], list[Payload | None]]:
        """Return what `values` does, and each document's message: None where it has no position."""
        ...


def as_forgetful(detector: Detector) -> Forgetful | None:
    """Return the detector if it is forgetful."""
    return cast("Forgetful", detector) if _has(type(detector), "identities") else None


def as_carrier(detector: Detector) -> Carrier | None:
    """Return the detector if it is a carrier."""
    return cast("Carrier", detector) if _has(type(detector), "read") else None


@functools.cache
def _has(kind: type, method: str) -> bool:
    # Asking a protocol costs 100 us; with a thousand keys that is longer than the scoring.
    return callable(getattr(kind, method, None))
