"""Detection of SynthID-Text marks as transformers makes them (`SynthIDTextWatermarkingConfig`).

Dathathri et al., "Scalable watermarking for identifying large language model outputs", Nature 634
(2024), give the tournament; the hash is that of transformers 4.46 to 5.23 and of synthid-text up
to 0.2.1, and is specified in `specs/rosetta-synthid-v1` with vectors made by running the peer.
synthid-text's later, unreleased hash is another one, and so is that of Google's own products.

The hash has no secret but `keys`, and those only choose where a public table is read (section 3
there): whoever guesses them can forge and erase this mark. We detect it; we do not make it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from countermark.signing.errors import MalformedJsonError, TooLargeError
from countermark.signing.strict_json import loads
from countermark.watermark import synthid_kernels as kernels
from countermark.watermark.documents import Documents
from countermark.watermark.draws import Draws, only
from countermark.watermark.errors import MalformedDescriptorError, SchemeError
from countermark.watermark.statistics import log_weighted_bits_tail
from countermark.watermark.units import Units

__all__ = [
    "PeerScores",
    "SynthIdDetector",
    "linear_weights",
    "parse_synthid_config",
    "sampling_table",
]

MAX_CONFIG_BYTES = 65_536
MAX_LAYERS = 128
MAX_NGRAM = 64
MAX_TABLE = 1 << 24  # The peer's own limit.
MIN_TABLE = 1 << 12
_CHUNK = 1 << 16
# A look-up table of T sums costs as much as scoring about T / 8 tokens without one.
_TOKENS_PER_ENTRY = 8
# A set of T bits is emptied for each document, which costs as much as remembering T / 2048 tokens.
_BITS_PER_TOKEN = 2048


class PeerScores(NamedTuple):
    """The scores of synthid-text's `detector_mean`, NaN for a document with nothing to score.

    Attributes:
        mean: float64 [D], from 0 to 1.
        weighted_mean: float64 [D], likewise, with layer weights falling from 10 to 1.

    """

    mean: NDArray[np.float64]
    weighted_mean: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SynthIdDetector:
    """`transformers-synthid` with one set of layer keys.

    The null distribution is that of keys drawn uniformly from all residues modulo the table size.
    It needs each state to be counted once (`identities`), since n-grams of equal state have
    equal g-values under every key.

    Attributes:
        keys: One signed 64-bit integer for each layer.
        ngram_len: Tokens in an n-gram: the context and the token.
        sampling_table_size: Entries of the public table of bits.
        sampling_table_seed: What torch's generator was seeded with to fill it.
        context_history_size: Contexts remembered; for `peer_mask` only.
        weighted: Whether early layers count more, as in the weighted mean, or all alike.
        scheme: Name of the scheme.

    Raises:
        SchemeError: A parameter is out of range.

    """

    keys: tuple[int, ...] = field(repr=False)
    ngram_len: int = 5
    sampling_table_size: int = 1 << 16
    sampling_table_seed: int = 0
    context_history_size: int = 1024
    weighted: bool = True
    scheme: str = "transformers-synthid"

    def __post_init__(self) -> None:
        _within("the number of keys", len(self.keys), 1, MAX_LAYERS)
        _within("ngram_len", self.ngram_len, 2, MAX_NGRAM)
        # Below this the scores of different tokens are too much the same bits for the null.
        _within("sampling_table_size", self.sampling_table_size, MIN_TABLE, MAX_TABLE)
        _within("sampling_table_seed", self.sampling_table_seed, -(1 << 63), (1 << 64) - 1)
        _within("context_history_size", self.context_history_size, 0, MAX_TABLE)
        if not all(-(1 << 63) <= key < 1 << 63 for key in self.keys):
            raise SchemeError("a key beyond 64 bits with sign")

    @property
    def width(self) -> int:
        """Context tokens."""
        return self.ngram_len - 1

    @property
    def weights(self) -> tuple[int, ...]:
        """Integer weight of each layer: the peer's, times one common factor."""
        return linear_weights(len(self.keys)) if self.weighted else (1,) * len(self.keys)

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weighted sum of the g-values of each token, float64 [M], whole numbers."""
        return self._scores(documents, positions, self.weights)

    def identities(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return what of each n-gram the scheme can see, uint64 [M].

        Equal numbers mean equal g-values under every key, so only one of them is evidence. No
        key goes into it.
        """
        if _is_power_of_two(self.sampling_table_size):
            return kernels.table_states(
                documents.tokens, positions, self.width, self.sampling_table_size
            )
        return kernels.states(documents.tokens, positions, self.width)

    def distinct_scores(self, documents: Documents, units: Units) -> Draws | None:
        """Count each state once in each document, and score it; None where texts are too short."""
        tokens = len(units.positions)
        bits = self.sampling_table_size * len(documents)
        if bits > tokens * _BITS_PER_TOKEN or not self._is_tabled(tokens):
            return None
        positions, starts, values, totals = kernels.distinct_scores(
            documents.tokens, units.positions, units.starts, self.width, self._sums(self.weights)
        )
        return Draws(only(units, positions, starts), values, totals)

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(weighted sum of the g-values of `counts` distinct states >= `totals`)."""
        ones = _share_of_ones(self.sampling_table_seed, self.sampling_table_size)
        return log_weighted_bits_tail(totals, counts, self._null_weights(), ones)

    def g_values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the peer's g-values, uint8 [M, L]."""
        hashes = kernels.states(documents.tokens, positions, self.width)
        if _is_power_of_two(self.sampling_table_size):
            aligned = _aligned(self.sampling_table_seed, self.sampling_table_size)
            return kernels.offset_bits(hashes, self._offsets(), aligned)
        table = _table(self.sampling_table_seed, self.sampling_table_size)
        keys = np.array(self.keys, np.int64).view(np.uint64)
        return kernels.modulus_bits(hashes, keys, table)

    def peer_mask(self, documents: Documents, eos_token_id: int | None = None) -> NDArray[np.bool_]:
        """Return which tokens the peer scores, bool [N].

        Those with a whole context that is not among the last `context_history_size`, and before
        the document's first `eos_token_id`. It leaves repeated tokens in where the memory is
        short, and so is for comparison, not for p-values.
        """
        mask = kernels.first_contexts(
            documents.tokens, documents.starts, self.width, self.context_history_size
        )
        if eos_token_id is not None:
            # How many of the tokens up to here are the end token, less those of documents before.
            ends = np.concatenate(([0], np.cumsum(documents.tokens == eos_token_id)))
            lengths = np.diff(documents.starts)
            mask &= ends[1:] == np.repeat(ends[documents.starts[:-1]], lengths)
        return mask

    def peer_scores(self, documents: Documents, eos_token_id: int | None = None) -> PeerScores:
        """Return the mean and weighted mean score of each document, as the peer defines them."""
        positions = np.flatnonzero(self.peer_mask(documents, eos_token_id))
        document = np.searchsorted(documents.starts, positions, side="right") - 1
        counts = np.bincount(document, minlength=len(documents))
        means = []
        for weights in ((1,) * len(self.keys), linear_weights(len(self.keys))):
            scores = self._scores(documents, positions, weights)
            # Whole numbers below 2^53, so these sums are exact in any order.
            totals = np.bincount(document, weights=scores, minlength=len(documents))
            with np.errstate(invalid="ignore"):
                means.append(totals / (counts * float(sum(weights))))
        return PeerScores(*means)

    def _scores(
        self, documents: Documents, positions: NDArray[np.int64], weights: tuple[int, ...]
    ) -> NDArray[np.float64]:
        if self._is_tabled(len(positions)):
            scores = self._sums(weights)
            return kernels.table_scores(documents.tokens, positions, self.width, scores)
        out = np.empty(len(positions), np.float64)
        column = np.array(weights, np.float64)
        for first in range(0, len(positions), _CHUNK):
            bits = self.g_values(documents, positions[first : first + _CHUNK])
            out[first : first + _CHUNK] = bits.astype(np.float64) @ column
        return out

    def _is_tabled(self, tokens: int) -> bool:
        size = self.sampling_table_size
        return _is_power_of_two(size) and tokens * _TOKENS_PER_ENTRY >= size

    def _sums(self, weights: tuple[int, ...]) -> NDArray[np.int32]:
        size = self.sampling_table_size
        offsets = tuple(key % size for key in self.keys)
        return _score_table(self.sampling_table_seed, size, offsets, weights)

    def _offsets(self) -> NDArray[np.int64]:
        return np.array([key % self.sampling_table_size for key in self.keys], np.int64)

    def _null_weights(self) -> tuple[int, ...]:
        """Return the weights of the independent layers: those of equal key are one layer."""
        size = self.sampling_table_size if _is_power_of_two(self.sampling_table_size) else 1 << 64
        merged: dict[int, int] = {}
        for key, weight in zip(self.keys, self.weights, strict=True):
            merged[key % size] = merged.get(key % size, 0) + weight
        return tuple(merged.values())


def linear_weights(layers: int) -> tuple[int, ...]:
    """Return the smallest whole numbers in the ratio of `linspace(10, 1, layers)`.

    Entry l of that is 10 - 9 l / (layers - 1), so times layers - 1 it is whole. 30 layers have
    290, 281, … 29.
    """
    steps = max(layers - 1, 1)
    weights = [10 * steps - 9 * layer for layer in range(layers)]
    divisor = math.gcd(*weights)
    return tuple(weight // divisor for weight in weights)


def sampling_table(seed: int, size: int) -> NDArray[np.uint8]:
    """Return the bits that `torch.randint(0, 2, (size,))` draws on a CPU, uint8 [size].

    torch's CPU generator is MT19937 seeded with the lower 32 bits, and the remainder by two of
    each 32-bit word. Generators of other devices fill other tables.
    """
    words = np.random.RandomState(seed & 0xFFFFFFFF).randint(0, 1 << 32, size, dtype=np.uint32)
    return (words & np.uint32(1)).astype(np.uint8)


def parse_synthid_config(data: bytes, *, weighted: bool = True) -> SynthIdDetector:
    """Read the JSON that `SynthIDTextWatermarkingConfig.to_json_string` writes.

    Keys that are left out have the peer's defaults; `ngram_len` and `keys` have none.
    `skip_first_ngram_calls` and `debug_mode` change what is generated only, and are checked but
    not used.

    Raises:
        MalformedDescriptorError: It is not such a document.
        SchemeError: It is, but a parameter is out of range.

    """
    what = "SynthID configuration"
    try:
        document = loads(data, what=what, max_bytes=MAX_CONFIG_BYTES, max_depth=4)
    except (MalformedJsonError, TooLargeError) as e:
        raise MalformedDescriptorError(str(e)) from e
    match document:
        case {"keys": list(keys), "ngram_len": int(ngram_len), **rest}:
            pass
        case _:
            raise MalformedDescriptorError(f"{what}: expected an object with ngram_len and keys")
    if isinstance(ngram_len, bool) or not all(type(key) is int for key in keys):
        raise MalformedDescriptorError(f"{what}: ngram_len and every key must be integers")
    for flag in ("skip_first_ngram_calls", "debug_mode"):
        if not isinstance(rest.pop(flag, False), bool):
            raise MalformedDescriptorError(f"{what}: {flag} must be true or false")
    history, seed, size = (
        _integer(name, rest.pop(name, default))
        for name, default in (
            ("context_history_size", 1024),
            ("sampling_table_seed", 0),
            ("sampling_table_size", 1 << 16),
        )
    )
    if rest:
        raise MalformedDescriptorError(f"{what}: unknown key {ascii(min(map(str, rest)))[:80]}")
    return SynthIdDetector(tuple(keys), ngram_len, size, seed, history, weighted)


def _integer(name: str, value: object) -> int:
    if type(value) is not int:
        raise MalformedDescriptorError(f"SynthID configuration: {name} must be an integer")
    return value


@lru_cache(maxsize=4)
def _table(seed: int, size: int) -> NDArray[np.uint8]:
    table = sampling_table(seed, size)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=4)
def _aligned(seed: int, size: int) -> NDArray[np.uint8]:
    aligned = kernels.align(_table(seed, size))
    aligned.flags.writeable = False
    return aligned


@lru_cache(maxsize=4)
def _share_of_ones(seed: int, size: int) -> float:
    return float(_table(seed, size).mean())


@lru_cache(maxsize=4)
def _score_table(
    seed: int, size: int, offsets: tuple[int, ...], weights: tuple[int, ...]
) -> NDArray[np.int32]:
    aligned = _aligned(seed, size)
    return kernels.score_table(aligned, np.array(offsets, np.int64), np.array(weights, np.int32))


def _is_power_of_two(size: int) -> bool:
    return size & (size - 1) == 0


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise SchemeError(f"{name} is {value}; {low} to {high} is possible")
