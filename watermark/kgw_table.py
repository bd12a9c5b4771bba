"""Green lists that were drawn once: in memory as contexts occur, or whole in a file.

After left-hash the list depends on one token, so there are no more lists than ids. A row is V bits;
one look-up replaces thousands of draws.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from countermark.watermark import kgw_kernels as kernels
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.kgw_seeds import multiple_seeds

__all__ = ["GreenTable", "LeftHash"]

Recipe = Callable[..., "GreenTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftHash:
    """Which lists: everything that the green ids after a token depend on.

    Attributes:
        vocabulary: V, how many ids are shuffled.
        green: How many are green, 1 to V - 1.
        key: The peer's hashing key, an int64.

    """

    vocabulary: int
    green: int
    key: int

    @property
    def words(self) -> int:
        """Length of a row in 64-bit words."""
        return -(-self.vocabulary // 64)

    def draw(
        self, contexts: NDArray[np.uint32], places: NDArray[np.int64], rows: NDArray[np.uint64]
    ) -> None:
        """Write the list after `contexts[i]` into `rows[places[i]]`."""
        kernels.green_rows(
            self.seeds(contexts),
            places,
            self.vocabulary,
            self.green,
            kernels.reciprocals(self.vocabulary, self.green),
            rows,
        )

    def seeds(self, contexts: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the seed that each context gives, uint32 [M]."""
        return multiple_seeds(contexts, np.uint64(abs(self.key)), self.key < 0)


class GreenTable:
    """Green lists of one key by context; at most `rows` of them, the least recently used go first.

    Safe to use from several threads. A copy in another process starts empty.
    """

    __slots__ = (
        "_contexts",
        "_filled",
        "_lists",
        "_lock",
        "_now",
        "_recipe",
        "_row_of",
        "_rows",
        "_used",
    )

    def __init__(self, lists: LeftHash, *, max_bytes: int) -> None:
        row_bytes = lists.words * 8
        capacity = min(max_bytes // row_bytes, lists.vocabulary)
        if capacity < 1:
            raise SchemeError(f"a table of {max_bytes} bytes; one row takes {row_bytes}")
        self._lists = lists
        self._lock = threading.Lock()
        # Zeros take no memory before they are written over.
        self._rows = np.zeros((capacity, lists.words), np.uint64)
        self._row_of = np.full(lists.vocabulary, kernels.ABSENT, np.int32)
        self._contexts = np.zeros(capacity, np.uint32)
        self._used = np.zeros(capacity, np.int64)
        self._filled = 0
        self._now = 0
        self._recipe: tuple[Recipe, tuple[object, ...]] = (_empty, (lists, max_bytes))

    @classmethod
    def whole(
        cls, lists: LeftHash, rows: NDArray[np.uint64], recipe: tuple[Recipe, tuple[object, ...]]
    ) -> Self:
        """Take rows that hold every list, and are never written to.

        Args:
            lists: Which lists.
            rows: uint64 [V, ceil(V / 64)].
            recipe: How another process gets the same: a function, and its arguments.

        """
        table = cls(lists, max_bytes=lists.words * 8)
        table._rows = rows
        table._row_of = np.arange(lists.vocabulary, dtype=np.int32)
        table._used = np.zeros(0, np.int64)
        table._filled = lists.vocabulary
        table._recipe = recipe
        return table

    def __reduce__(self) -> tuple[Recipe, tuple[object, ...]]:
        return self._recipe

    def __len__(self) -> int:
        """Return how many lists are there."""
        return self._filled

    def contexts(self) -> list[int]:
        """Return the contexts whose lists are there, ascending."""
        return [int(i) for i in np.flatnonzero(self._row_of >= 0)]

    @property
    def lists(self) -> LeftHash:
        """Which lists these are."""
        return self._lists

    def flags(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return 1.0 where the token is green after the one before it, float64 [M].

        Lists that lack are drawn. All ids must be below the vocabulary.
        """
        out = np.empty(len(positions), np.float64)
        if self.is_whole:
            none = np.zeros(0, np.uint32)
            self._read(documents, positions, out, none)
            return out
        # So many positions have no more contexts than there are rows, so each fits.
        step = len(self._rows)
        wanted = np.empty(min(step, len(positions)), np.uint32)
        with self._lock:
            for first in range(0, len(positions), step):
                part = slice(first, first + step)
                self._now += 1
                lacking = self._read(documents, positions[part], out[part], wanted)
                if lacking:
                    self._fill(wanted[:lacking])
                    self._read(documents, positions[part], out[part], wanted)
        return out

    @property
    def is_whole(self) -> bool:
        """Whether every list is there, and nothing is ever drawn."""
        return len(self._used) == 0

    def _read(
        self,
        documents: Documents,
        positions: NDArray[np.int64],
        out: NDArray[np.float64],
        wanted: NDArray[np.uint32],
    ) -> int:
        return kernels.row_flags(
            documents.tokens,
            positions,
            self._row_of,
            self._rows,
            self._used,
            self._now,
            out,
            wanted,
        )

    def _fill(self, contexts: NDArray[np.uint32]) -> None:
        """Draw lists, and let the least recently used go where there is no room."""
        try:
            self._place(contexts)
        except BaseException:
            # Interrupted: a context that is neither drawn nor asked for again would stay unread.
            self._row_of[contexts] = kernels.ABSENT
            raise

    def _place(self, contexts: NDArray[np.uint32]) -> None:
        fresh = np.arange(self._filled, min(self._filled + len(contexts), len(self._rows)))
        self._filled += len(fresh)
        missing = len(contexts) - len(fresh)
        places = fresh.astype(np.int64)
        if missing:
            # Rows that this part reads carry the latest number, so they are not among these.
            used = self._used.copy()
            used[fresh] = self._now
            oldest = np.argpartition(used, missing - 1)[:missing].astype(np.int64)
            self._row_of[self._contexts[oldest]] = kernels.ABSENT
            places = np.concatenate([places, oldest])
        self._lists.draw(contexts, places, self._rows)
        self._contexts[places] = contexts
        self._row_of[contexts] = places
        self._used[places] = self._now


def _empty(lists: LeftHash, max_bytes: int) -> GreenTable:
    return GreenTable(lists, max_bytes=max_bytes)
