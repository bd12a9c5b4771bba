"""Green lists made by others: transformers' WatermarkLogitsProcessor, and lm-watermarking.

Which ids are green is recomputed bit for bit (specs/rosetta-kgw-v1); what is made of that is ours:
the exact binomial tail instead of a normal curve, and each pair once. Scheme: Kirchenbauer et
al., "A Watermark for Large Language Models" (2023), algorithm 2 (left-hash), and "On the
Reliability of Watermarks for Large Language Models" (2023), algorithm 3 (self-hash).

Nothing here makes such marks: a seed has 32 bits, whoever has some text can find it by trying.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from countermark.watermark import kgw_kernels as kernels
from countermark.watermark.documents import MAX_TOKEN_ID, Documents
from countermark.watermark.errors import MalformedInputError, SchemeError
from countermark.watermark.kgw_file import open_table
from countermark.watermark.kgw_seeds import self_hash_seeds
from countermark.watermark.kgw_table import GreenTable, LeftHash
from countermark.watermark.statistics import log_binomial_tail

__all__ = [
    "DEFAULT_KEY",
    "DEFAULT_TABLE_BYTES",
    "KgwDetector",
]

DEFAULT_KEY = 15485863  # Both peers' default. Not secret: anybody can make and remove such marks.
DEFAULT_TABLE_BYTES = 256 << 20  # Memory that no list needs is not taken.
_LM_WATERMARKING_TABLE_SEED = 2971215073
_HASH_TABLE_SIZE = 1_000_003
_MIN_ROWS = 256  # Fewer would be replaced all the time.
_MAX_WINDOW = 64
_MAX_PAIR_BYTES = 8 << 20  # A million pairs; they lie scattered, so more would only cost pages.
_LEFT_HASH = {"transformers-kgw-lefthash", "lm-watermarking-simple-1"}
_SELF_HASH = {"transformers-kgw-selfhash", "lm-watermarking-selfhash"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KgwDetector:
    """One green list scheme of somebody else with one key; a `Detector`.

    Values are 1.0 for a green token and 0.0 otherwise.

    Attributes:
        scheme: `transformers-kgw-lefthash`, `transformers-kgw-selfhash`,
            `lm-watermarking-simple-1` or `lm-watermarking-selfhash`.
        vocabulary: V as the generator had it. For transformers that is `vocab_size` of the
            *model's* configuration, which is often more than the tokenizer has; for
            lm-watermarking it is the length of the tokenizer's vocabulary.
        ratio: Green share asked for; what is had is floor(V * ratio) / V.
        key: The hashing key, an int64.
        context_width: Self-hash only: over how many tokens the minimum goes, the scored one
            included, so that one token alone decides where it is 1. Left-hash looks at one token
            before, whatever its configuration says; there it must be 1.
        table_bytes: How much memory may hold what was drawn before; 0 for none. Self-hash takes at
            most 8 MiB of it.

    """

    scheme: str
    vocabulary: int
    ratio: float = 0.25
    key: int = field(default=DEFAULT_KEY, repr=False)
    context_width: int = 1
    table_bytes: int = field(default=DEFAULT_TABLE_BYTES, compare=False)
    _inverse: NDArray[np.uint32] = field(init=False, repr=False, compare=False)
    _lists: GreenTable | None = field(init=False, repr=False, compare=False)
    _pairs: NDArray[np.uint64] = field(init=False, repr=False, compare=False)
    _hash: NDArray[np.uint32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the parameters, and make what the kernels need.

        Raises:
            SchemeError: A parameter is out of range.

        """
        self._check()
        inverse = kernels.reciprocals(self.vocabulary, self.green)
        object.__setattr__(self, "_inverse", inverse)
        object.__setattr__(self, "_lists", self._new_table())
        slots = 0 if self._is_left else min(self.table_bytes, _MAX_PAIR_BYTES) // 8
        size = 1 << (slots.bit_length() - 1) if slots else 0
        object.__setattr__(self, "_pairs", np.zeros(size, np.uint64))
        empty = np.zeros(0, np.uint32)
        object.__setattr__(self, "_hash", empty if self._is_left else _hash_table(self._hash_seed))

    def _check(self) -> None:
        if self.scheme not in _LEFT_HASH | _SELF_HASH:
            raise SchemeError(f"{ascii(self.scheme)[:80]} is no green list scheme of others")
        if not 2 <= self.vocabulary <= MAX_TOKEN_ID + 1:
            raise SchemeError(f"a vocabulary of {self.vocabulary}; 2 to {MAX_TOKEN_ID + 1}")
        # The negation refuses NaN too.
        if not 0 < self.ratio < 1 or not 0 < self.green < self.vocabulary:
            raise SchemeError(f"a green share of {self.ratio} of {self.vocabulary} ids")
        if not -(1 << 63) <= self.key < 1 << 63:
            raise SchemeError("the hashing key does not fit 64 bits with a sign")
        if not 1 <= self.context_width <= (1 if self._is_left else _MAX_WINDOW):
            raise SchemeError(f"{self.scheme}: a context of {self.context_width} tokens")
        if self.table_bytes < 0:
            raise SchemeError(f"a table of {self.table_bytes} bytes")

    @property
    def _is_left(self) -> bool:
        return self.scheme in _LEFT_HASH

    @property
    def _hash_seed(self) -> int:
        return self.key if self.scheme.startswith("transformers") else _LM_WATERMARKING_TABLE_SEED

    def _new_table(self) -> GreenTable | None:
        rows = self.table_bytes // (self.left_hash.words * 8)
        if not self._is_left or rows < min(_MIN_ROWS, self.vocabulary):
            return None
        return GreenTable(self.left_hash, max_bytes=self.table_bytes)

    @property
    def width(self) -> int:
        """How many tokens before the scored one decide whether it is green; 0 is possible."""
        return 1 if self._is_left else self.context_width - 1

    @property
    def green(self) -> int:
        """How many ids are green."""
        return int(self.vocabulary * self.ratio)

    @property
    def left_hash(self) -> LeftHash:
        """What a table of green lists needs to know."""
        return LeftHash(vocabulary=self.vocabulary, green=self.green, key=self.key)

    def with_table(self, path: Path) -> Self:
        """Return the same with all lists mapped from a file of `kgw_file.write_table`.

        Raises:
            MalformedTableError: It is another key's or vocabulary's, damaged, or no table.
            SchemeError: This is no left-hash scheme.
            OSError: It cannot be read.

        """
        if not self._is_left:
            raise SchemeError(f"{self.scheme}: its lists depend on more than one token")
        detector = replace(self, table_bytes=0)
        object.__setattr__(detector, "_lists", open_table(path, self.left_hash))
        return detector

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return 1.0 where the token is green, float64 [M].

        Args:
            documents: Where the tokens are.
            positions: int64 [M], each with `width` tokens of its own document before it.

        Raises:
            MalformedInputError: An id is not of the vocabulary.

        """
        self._check_tokens(documents)
        if self._lists is not None:
            return self._lists.flags(documents, positions)
        seeds = self._seeds(documents, positions)
        tokens = documents.tokens[positions]
        shape = (self.vocabulary, self.green, self._inverse)
        if len(self._pairs):
            return kernels.pair_flags(seeds, tokens, *shape, self._pairs)
        return kernels.green_flags(seeds, tokens, *shape)

    def identities(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return what each value is a function of besides the key, uint64 [M]: seed and token.

        Different pairs of context and token may be one draw. Self-hash takes one token of the
        context, the minimum, so two contexts that share it give the same token the same value:
        those who count must count it once.
        """
        self._check_tokens(documents)
        seeds = self._seeds(documents, positions).astype(np.uint64)
        tokens = documents.tokens[positions].astype(np.uint64)
        out: NDArray[np.uint64] = seeds << np.uint64(21) | tokens
        return out

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(at least `totals` of `counts` tokens are green), float64 [K].

        Exact for tokens after different contexts. A list has a fixed length, so tokens after
        the same context draw without replacement, which only makes the sum less spread.
        """
        return log_binomial_tail(totals, counts, self.green / self.vocabulary)

    def _seeds(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.uint32]:
        if self._is_left:
            return self.left_hash.seeds(documents.tokens[positions - 1])
        return self_hash_seeds(
            documents.tokens, positions, self.context_width, np.int64(self.key), self._hash
        )

    def _check_tokens(self, documents: Documents) -> None:
        largest = int(documents.tokens.max(initial=0))
        if largest >= self.vocabulary:
            raise MalformedInputError(
                f"token id {largest}, but the green lists are over {self.vocabulary} ids"
            )

    def __reduce__(self) -> tuple[Callable[..., KgwDetector], tuple[object, ...]]:
        """Leave what was drawn behind: another process draws, or maps the same file."""
        lists = self._lists if self._lists is not None and self._lists.is_whole else None
        about = (self.scheme, self.vocabulary, self.ratio, self.key, self.context_width)
        return _restore, (*about, self.table_bytes, lists)


def _restore(
    scheme: str,
    vocabulary: int,
    ratio: float,
    key: int,
    context_width: int,
    table_bytes: int,
    lists: GreenTable | None,
) -> KgwDetector:
    detector = KgwDetector(
        scheme=scheme,
        vocabulary=vocabulary,
        ratio=ratio,
        key=key,
        context_width=context_width,
        table_bytes=table_bytes,
    )
    if lists is not None:
        object.__setattr__(detector, "_lists", lists)
    return detector


def _hash_table(seed: int) -> NDArray[np.uint32]:
    """Return the peers' permutation of 0 to 1,000,002, uint32."""
    draws = _HASH_TABLE_SIZE - 1
    ids = np.empty(_HASH_TABLE_SIZE, np.uint32)
    work = np.empty((3, kernels.BLOCK), np.uint32)
    low = np.uint32(seed & 0xFFFFFFFF)  # Of a negative seed, torch takes the two's complement.
    kernels.shuffle(low, draws, kernels.reciprocals(_HASH_TABLE_SIZE, draws), work, ids)
    return ids
