"""Marks that TextSeal makes (facebookresearch/textseal, PyPI 0.0.5), as far as a key decides them.

specs/rosetta-textseal-v1 states the contract. One hash serves every scheme: a weighted sum of
context, token and key, one multiplication, one shift, and a remainder modulo 8,191. Its outputs
are recomputed exactly. The null takes them for independent draws of those 8,191 values, not
of a continuum, and is never below the tail of that. Whether they look independent depends on the
hash, which is no pseudorandom function: at most a moderate claim should rest on it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.philox import words
from countermark.watermark.statistics import (
    log_binomial_tail,
    log_gamma_tail,
    log_two_gamma_tail,
    log_weighted_bits_tail,
)
from countermark.watermark.textseal_kernels import OUTPUTS, hashes, layer_totals, too_close
from countermark.watermark.units import fingerprints

__all__ = [
    "MAX_WIDTH",
    "STRIDE_LATER",
    "STRIDE_RELEASED",
    "TextSealDualDetector",
    "TextSealGreenListDetector",
    "TextSealGumbelDetector",
    "TextSealSynthidDetector",
]

MAX_WIDTH = 10
SECOND_KEY_OFFSET = 12345
STRIDE_RELEASED = 1  # Layers of SynthID lie this many token ids apart: in 0.0.5,
STRIDE_LATER = 659101  # and in the repository since.
MAX_DEPTH = 128

_KEY_LIMIT = 1 << 63
# The score of output k: -ln(1 - k / 8191). At most an Exp(1) draw: k / 8191 <= U in its cell.
_SCORES: NDArray[np.float64] = -np.log1p(-np.arange(OUTPUTS) / OUTPUTS)
_NOISE = b"countermark textseal shared layers v1"


@dataclass(frozen=True, slots=True)
class TextSealGumbelDetector:
    """`gumbelmax` with one key; `width` is its `ngram`."""

    key: int = field(repr=False)
    width: int = 1
    scheme: str = field(default="textseal-gumbel", init=False)

    def __post_init__(self) -> None:
        _check(self.key, self.width)

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return -ln(1 - k / 8191) for the hash k of each token, float64 [M]."""
        return _scores(documents, positions, self.width, self.key)

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(Gamma(counts, 1) >= totals), which is never below the discrete tail."""
        return log_gamma_tail(totals, counts)


@dataclass(frozen=True, slots=True)
class TextSealDualDetector:
    """`textseal`, of the repository after 0.0.5: each token counts under two keys.

    Attributes:
        key: Key A.
        second: Key B; None for TextSeal's default, which is key A + 12345.
        alpha: `mixing_alpha`: the weight of key A. Key B has the rest.
        width: `ngram`.

    """

    key: int = field(repr=False)
    second: int | None = field(default=None, repr=False)
    alpha: float = 0.5
    width: int = 1
    scheme: str = field(default="textseal-dual", init=False)

    def __post_init__(self) -> None:
        _check(self.key, self.width)
        _check(self._second(), self.width)
        if not 0 < self.alpha < 1:
            raise SchemeError(f"alpha is {self.alpha}; a share between 0 and 1 is expected")

    def _second(self) -> int:
        return self.key + SECOND_KEY_OFFSET if self.second is None else self.second

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return alpha a + (1 - alpha) b for the scores a and b under keys A and B."""
        a = _scores(documents, positions, self.width, self.key)
        b = _scores(documents, positions, self.width, self._second())
        a *= self.alpha
        b *= 1 - self.alpha
        a += b
        return a

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the tail of two Gamma variables, which is never below the discrete tail."""
        return log_two_gamma_tail(totals, counts, self.alpha, 1 - self.alpha)


@dataclass(frozen=True, slots=True)
class TextSealGreenListDetector:
    """`greenlist`, and `dipmark`, `morphmark` and `watermax`, which are detected as it is."""

    key: int = field(repr=False)
    gamma: float = 0.5
    width: int = 1
    scheme: str = field(default="textseal-greenlist", init=False)

    def __post_init__(self) -> None:
        _check(self.key, self.width)
        _green(self.gamma)

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return 1.0 for each green token and 0.0 for each other, float64 [M]."""
        drawn = hashes(documents.tokens, positions, self.width, self.key)
        return (drawn < _green(self.gamma)).astype(np.float64)

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the binomial tail for the share of the 8,191 outputs that is green."""
        return log_binomial_tail(totals, counts, _green(self.gamma) / OUTPUTS)


@dataclass(frozen=True, slots=True)
class TextSealSynthidDetector:
    """`synthid` and `synthid-weighted`: as many green lists as there are layers.

    Attributes:
        key: The key.
        depth: Layers; layer l of token t is the green list's answer for id t + l * stride.
        gamma: Green share of each layer.
        weighted: Whether early layers count up to ten times as much as the last.
        width: `ngram`.
        stride: `STRIDE_RELEASED` or `STRIDE_LATER`.

    """

    key: int = field(repr=False)
    depth: int = 30
    gamma: float = 0.5
    weighted: bool = False
    width: int = 1
    stride: int = STRIDE_RELEASED
    scheme: str = field(default="textseal-synthid", init=False)

    def __post_init__(self) -> None:
        _check(self.key, self.width)
        _green(self.gamma)
        if not 1 <= self.depth <= MAX_DEPTH or self.stride not in (STRIDE_RELEASED, STRIDE_LATER):
            raise SchemeError(f"{self.depth} layers {self.stride} ids apart")

    @property
    def weights(self) -> tuple[int, ...]:
        """Weight of each layer; TextSeal's own are these times `depth / sum(weights)`."""
        if not self.weighted or self.depth == 1:
            return (1,) * self.depth
        return tuple(10 * (self.depth - 1) - 9 * layer for layer in range(self.depth))

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weighted number of green layers of each token, float64 [M].

        Two tokens with fewer than `depth` ids between them share layers after one context.
        Of such tokens in one document, only some keep their own layers. The others get coins
        that nobody can have marked, so that all values are independent.
        """
        fresh = ~_overlaps(documents, positions, self.width, self.depth, self.stride)
        total = layer_totals(
            documents.tokens,
            positions,
            self.width,
            self.key,
            self.stride,
            np.array(self.weights, np.int64),
            _green(self.gamma),
        )
        total[~fresh] = self._coins(documents, positions[~fresh])
        return total

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact tail of the sum of weighted coins."""
        share = _green(self.gamma) / OUTPUTS
        if not self.weighted:
            return log_binomial_tail(totals, counts * self.depth, share)
        return log_weighted_bits_tail(totals, counts, self.weights, share)

    def _coins(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        digest = hashlib.sha256(_NOISE + self.key.to_bytes(8, "big")).digest()
        places = positions - documents.starts[_owners(documents, positions)]
        pairs = np.empty((len(positions), self.depth, 2), np.uint32)
        pairs[:, :, 0] = places[:, None]
        pairs[:, :, 1] = np.arange(self.depth)
        flat = pairs.reshape(-1)
        targets = np.arange(1, len(flat), 2, dtype=np.int64)
        master = np.uint64(int.from_bytes(digest[:8], "big"))
        drawn = words(flat, targets, np.zeros(0, np.int64), 1, master)
        # Rounded down: the coins are green with at most the share that the null assumes.
        green = drawn < (_green(self.gamma) << 32) // OUTPUTS
        coins: NDArray[np.float64] = green.reshape(-1, self.depth) @ np.array(self.weights, float)
        return coins


def _overlaps(
    documents: Documents, positions: NDArray[np.int64], width: int, depth: int, stride: int
) -> NDArray[np.bool_]:
    """Return which positions share a layer with one that keeps its own, bool [M]."""
    owners = _owners(documents, positions)
    contexts = fingerprints(documents.tokens, positions - 1, width - 1)
    ids = documents.tokens[positions].astype(np.int64)
    order = np.lexsort((ids // stride, ids % stride, contexts, owners))
    new = np.ones(len(order), np.bool_)
    for column in (owners, contexts, ids % stride):
        arranged = column[order]
        new[1:] &= arranged[1:] == arranged[:-1]
    new[1:] = ~new[1:]
    return too_close(order, new, ids // stride, depth)


def _scores(
    documents: Documents, positions: NDArray[np.int64], width: int, key: int
) -> NDArray[np.float64]:
    return np.take(_SCORES, hashes(documents.tokens, positions, width, key))


def _owners(documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(documents.starts, positions, side="right") - 1


def _green(gamma: float) -> int:
    """Return how many of the 8,191 outputs are green; TextSeal compares them in float32."""
    count = 0
    if 0 < gamma < 1:
        outputs = np.arange(OUTPUTS, dtype=np.float32) / np.float32(OUTPUTS)
        count = int(np.searchsorted(outputs, np.float32(gamma), side="left"))
    if not 0 < count < OUTPUTS:
        raise SchemeError(f"gamma is {gamma}; a share between 0 and 1 is expected")
    return count


def _check(key: int, width: int) -> None:
    if not 0 <= key < _KEY_LIMIT:
        raise SchemeError("a TextSeal key does not fit 63 bits")
    if not 1 <= width <= MAX_WIDTH:
        raise SchemeError(f"a context of {width} tokens; 1 to {MAX_WIDTH} are possible")
