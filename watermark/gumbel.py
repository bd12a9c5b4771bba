"""The Gumbel-max mark: the token is drawn as always, only the dice are the key's.

Aaronson ("Watermarking of large language models", Simons Institute, 2022): each candidate token
i with probability p_i gets a keyed uniform u_i, and the one with the largest u_i^(1/p_i) is
taken. Over random keys that is a draw from p exactly, so nothing is distorted as long as no
context is used twice. The detector sees large u where the mark is: -ln(1 - u) has mean 1 on any
other text, and is Exp(1) there, so a sum over n distinct pairs is Gamma(n, 1) exactly.

The dual-key form draws each token with the first of two keys, or with the second in a share
`alpha` of all tokens, so that equal prompts do not give equal answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.prf import Tag, blocks, vocabulary_blocks
from countermark.watermark.statistics import log_gamma_tail, log_two_gamma_tail

__all__ = [
    "DualGumbelDetector",
    "DualGumbelSampler",
    "GumbelDetector",
    "GumbelSampler",
    "exponentials",
    "race",
    "scores",
]

_HALF = 0.5
_UNIT = 2.0**-52
_NO_BIT = np.uint64(0)
_EVERY_BIT = ~_NO_BIT


@dataclass(frozen=True, slots=True)
class GumbelDetector:
    """`countermark-gumbel-v1` with one key."""

    key: bytes = field(repr=False)
    width: int = 2
    scheme: str = "countermark-gumbel-v1"

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return -ln(1 - u) of each token, float64 [M]; Exp(1) where the key was not used."""
        return scores(blocks(self.key, Tag.GUMBEL, documents, positions, self.width)[:, 0])

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(Gamma(counts, 1) >= totals)."""
        return log_gamma_tail(totals, counts)


@dataclass(frozen=True, slots=True)
class DualGumbelDetector:
    """`countermark-gumbel-dual-v1`: tokens of either key count, each by its share."""

    first: bytes = field(repr=False)
    second: bytes = field(repr=False)
    alpha: float = 0.1
    width: int = 2
    scheme: str = "countermark-gumbel-dual-v1"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise SchemeError(f"alpha is {self.alpha}; a share between 0 and 1 is expected")

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (1 - alpha) a + alpha b for the scores a and b under the two keys."""
        a = scores(blocks(self.first, Tag.GUMBEL, documents, positions, self.width)[:, 0])
        b = scores(blocks(self.second, Tag.GUMBEL, documents, positions, self.width)[:, 0])
        a *= 1 - self.alpha
        b *= self.alpha
        a += b
        return a

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact tail of the sum of two Gamma variables of different scales."""
        return log_two_gamma_tail(totals, counts, 1 - self.alpha, self.alpha)


@dataclass(frozen=True, slots=True)
class GumbelSampler:
    """Draws tokens for `countermark-gumbel-v1`."""

    key: bytes = field(repr=False)
    width: int = 2

    def choose(
        self,
        logits: NDArray[np.float32],
        context: NDArray[np.uint32],
        rng: np.random.Generator,
    ) -> int:
        """Return the token that the key draws from softmax(`logits`) after `context`."""
        return _choose(self.key, logits, context)


@dataclass(frozen=True, slots=True)
class DualGumbelSampler:
    """Draws tokens for `countermark-gumbel-dual-v1`."""

    first: bytes = field(repr=False)
    second: bytes = field(repr=False)
    alpha: float = 0.1
    width: int = 2

    def choose(
        self,
        logits: NDArray[np.float32],
        context: NDArray[np.uint32],
        rng: np.random.Generator,
    ) -> int:
        """Return the token that one of the keys draws; the second with probability `alpha`."""
        key = self.second if rng.random() < self.alpha else self.first
        return _choose(key, logits, context)


def _choose(key: bytes, logits: NDArray[np.float32], context: NDArray[np.uint32]) -> int:
    candidates = np.flatnonzero(logits > -np.inf)
    words = vocabulary_blocks(key, Tag.GUMBEL, context, candidates.astype(np.uint32))
    return race(logits, exponentials(words[:, 0]), candidates)


def scores(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return -ln(1 - u) for the u of `exponentials`; 1 - u is that of the word's complement."""
    return _negative_logs(_uniforms(words, _EVERY_BIT))


def exponentials(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return -ln(u) for u = (x + 1/2) / 2^52, where x is the upper 52 bits of a word.

    With 52 bits every u is a double exactly, on any device, and none is 0 or 1.
    """
    return _negative_logs(_uniforms(words, _NO_BIT))


@compiled
def _uniforms(words: NDArray[np.uint64], flipped: np.uint64) -> NDArray[np.float64]:
    out = np.empty(len(words))
    for i in range(len(words)):
        out[i] = (np.float64((words[i] ^ flipped) >> np.uint64(12)) + _HALF) * _UNIT
    return out


def _negative_logs(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    # numpy's logarithm, here and in every sampler: another one may differ in the last bit.
    np.log(uniform, out=uniform)
    return np.negative(uniform, out=uniform)


def race(
    logits: NDArray[np.float32], noise: NDArray[np.float64], candidates: NDArray[np.int64]
) -> int:
    """Return the candidate with the largest logit - ln(noise): a draw from softmax(logits).

    `noise` is Exp(1), float64 [C], and is overwritten. This is argmax of u^(1/p) without
    the softmax: Maddison, Tarlow, Minka, "A* sampling" (2014), §2.
    """
    np.log(noise, out=noise)
    every = len(candidates) == len(logits)  # The usual case, and half a megabyte less to copy.
    np.subtract(logits if every else logits[candidates], noise, out=noise)
    return int(candidates[np.argmax(noise)])
