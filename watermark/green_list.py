"""The soft green list: a keyed share of the vocabulary is made a little more likely.

Kirchenbauer et al., "A watermark for large language models" (ICML 2023), Algorithm 2, with one
change: a token is green by a coin of its own instead of by its place in a shuffled vocabulary,
so that a detector looks at one token and not at all of them, and the count of green tokens is
binomial exactly. It distorts what the model says, and survives editing better than marks that
do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.gumbel import race
from countermark.watermark.prf import Tag, blocks, vocabulary_blocks
from countermark.watermark.statistics import log_binomial_tail

__all__ = ["GreenListDetector", "GreenListSampler"]

_WORD = 2**32


@dataclass(frozen=True, slots=True)
class GreenListDetector:
    """`countermark-greenlist-v1` with one key; `gamma` is the green share of the vocabulary."""

    key: bytes = field(repr=False)
    gamma: float = 0.25
    width: int = 1
    scheme: str = "countermark-greenlist-v1"

    def __post_init__(self) -> None:
        _threshold(self.gamma)

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return 1.0 for each green token and 0.0 for each other, float64 [M]."""
        words = blocks(self.key, Tag.GREEN_LIST, documents, positions, self.width)[:, 0]
        return (words >> np.uint64(32) < _threshold(self.gamma)).astype(np.float64)

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the binomial tail, with the share that 32-bit coins really have."""
        return log_binomial_tail(totals, counts, int(_threshold(self.gamma)) / _WORD)


@dataclass(frozen=True, slots=True)
class GreenListSampler:
    """Draws tokens for `countermark-greenlist-v1`; green ones gain `delta` on their logit."""

    key: bytes = field(repr=False)
    gamma: float = 0.25
    delta: float = 2.0
    width: int = 1

    def biased(
        self, logits: NDArray[np.float32], context: NDArray[np.uint32]
    ) -> NDArray[np.float32]:
        """Return the logits with `delta` added to each green token, float32 [V]."""
        candidates = np.arange(len(logits), dtype=np.uint32)
        words = vocabulary_blocks(self.key, Tag.GREEN_LIST, context, candidates)[:, 0]
        green = words >> np.uint64(32) < _threshold(self.gamma)
        return logits + np.float32(self.delta) * green.astype(np.float32)

    def choose(
        self,
        logits: NDArray[np.float32],
        context: NDArray[np.uint32],
        rng: np.random.Generator,
    ) -> int:
        """Return a token drawn from the softmax of the biased logits."""
        biased = self.biased(logits, context)
        candidates = np.flatnonzero(biased > -np.inf)
        return race(biased, rng.standard_exponential(len(candidates)), candidates)


def _threshold(gamma: float) -> np.uint64:
    if not 0 < gamma < 1:
        raise SchemeError(f"gamma is {gamma}; a share between 0 and 1 is expected")
    return np.uint64(round(gamma * _WORD))
