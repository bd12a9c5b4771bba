"""Token ids of many texts in one array, which is how everything here is scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.errors import MalformedInputError

__all__ = ["MAX_TOKEN_ID", "Documents"]

# Three ids of 21 bits pack into one word; no tokenizer in use has two million entries.
MAX_TOKEN_ID = (1 << 21) - 1


@dataclass(frozen=True, slots=True)
class Documents:
    """Token ids of D documents, end to end.

    Attributes:
        tokens: uint32 [N], each at most `MAX_TOKEN_ID`.
        starts: int64 [D + 1]; document d is `tokens[starts[d]:starts[d + 1]]`.

    """

    tokens: NDArray[np.uint32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, first: int, last: int) -> Self:
        """Return documents [first, last); the tokens are not copied."""
        begin, end = int(self.starts[first]), int(self.starts[last])
        return type(self)(self.tokens[begin:end], self.starts[first : last + 1] - begin)

    @classmethod
    def of(
        cls, documents: Iterable[Sequence[int] | NDArray[np.integer]], *, vocabulary: int
    ) -> Self:
        """Lay documents end to end.

        Args:
            documents: Token ids of each.
            vocabulary: How many ids the tokenizer has; an id at or above it is refused.

        Raises:
            MalformedInputError: If an id is not an integer from 0 up to `vocabulary`.

        """
        if not 0 < vocabulary <= MAX_TOKEN_ID + 1:
            raise MalformedInputError(f"a vocabulary of {vocabulary}, limit {MAX_TOKEN_ID + 1}")
        arrays = [_ids(document, vocabulary) for document in documents]
        starts = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(a) for a in arrays], out=starts[1:])
        tokens = np.concatenate(arrays) if arrays else np.zeros(0, np.uint32)
        return cls(tokens, starts)


def _ids(document: Sequence[int] | NDArray[np.integer], vocabulary: int) -> NDArray[np.uint32]:
    if len(document) == 0:
        return np.zeros(0, np.uint32)
    try:
        ids = np.asarray(document)
    except (ValueError, OverflowError) as e:  # Ragged lists, or integers beyond 64 bits.
        raise MalformedInputError("token ids must be one list of integers") from e
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise MalformedInputError("token ids must be one list of integers")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocabulary:
        wrong = low if low < 0 else high
        raise MalformedInputError(f"token id {wrong}, but the vocabulary has {vocabulary} ids")
    return np.ascontiguousarray(ids, np.uint32)
