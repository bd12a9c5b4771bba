"""What a detector card's measurement does, on which texts, and what all its steps need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.card import Rate
from countermark.watermark.card_trials import hits, log_p_values, scan_answers
from countermark.watermark.documents import Documents
from countermark.watermark.prospects import KeyedDetector
from countermark.watermark.tokenization import Tokenizer
from countermark.watermark.units import CommonPairs

__all__ = ["BATCH_TOKENS", "TOKEN_BYTES", "Plan", "TextFile", "Work", "batches", "spread"]

Tokens = NDArray[np.uint32]
_Floats = NDArray[np.float64]
_Alphas = tuple[float, ...]
_T = TypeVar("_T")

BATCH_TOKENS: Final = 1 << 21
TOKEN_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextFile:
    """The texts of one file, as token ids, and what it is called."""

    name: str
    sha256: str
    texts: tuple[Tokens, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        passage_lengths: Unmarked texts are cut into passages of each of these many tokens.
        text_lengths: Marked texts are cut to each of these many tokens.
        false_alphas: Levels for unmarked text.
        found_alphas: Levels for marked text.
        dilutions: Unmarked tokens to each marked one.
        scanned_length: Unmarked text is scanned in stretches of so many tokens.
        max_passages: At most so many passages of each length, evenly spread over the texts.
        max_edited: At most so many marked texts are edited.
        seed: Of whatever is drawn.

    """

    passage_lengths: tuple[int, ...] = (200,)
    text_lengths: tuple[int, ...] = (25, 50, 75, 100, 150, 200, 300, 400)
    false_alphas: _Alphas = (1e-2, 1e-3, 1e-4)
    found_alphas: _Alphas = (1e-2, 1e-3, 1e-6)
    dilutions: tuple[int, ...] = (5, 20, 80, 320)
    scanned_length: int = 16_000
    max_passages: int = 100_000
    max_edited: int = 500
    seed: int = 0


@dataclass(slots=True, kw_only=True)
class Work:
    """What every step needs, and how much is done.

    Attributes:
        detectors: The keys that are tried together.
        common: Commonplaces to leave out, by context width.
        tokenizer: Whose ids the texts are.
        plan: What is measured.
        pool: uint32 [N], all unmarked tokens.
        progress: Called with (done, total) bytes of token ids scored.
        total: How many bytes that will be, about.
        done: How many it was.

    """

    detectors: list[KeyedDetector]
    common: Mapping[int, CommonPairs]
    tokenizer: Tokenizer
    plan: Plan
    pool: Tokens
    progress: Callable[[int, int], None] | None
    total: int = 0
    done: int = 0

    def ln_p(self, documents: Documents) -> _Floats:
        """Return ln p of each whole document by each key alone, float64 [K, D]."""
        keys = [one.detector for one in self.detectors]
        result = log_p_values(documents, keys, self.common)
        self._advance(documents)
        return result

    def scanned(self, documents: Documents) -> _Floats:
        """Return the least ln p of a window of each document, corrected, float64 [D]."""
        result = scan_answers(documents, [one.detector for one in self.detectors], self.common)
        self._advance(documents)
        return result

    def finish(self) -> None:
        """Say that all is done."""
        if self.progress is not None:
            self.progress(self.total, self.total)

    def _advance(self, documents: Documents) -> None:
        self.done += TOKEN_BYTES * len(documents.tokens)
        if self.progress is not None:
            self.progress(min(self.done, self.total - 1), self.total)

    def false_rates(self, ln_p: _Floats) -> tuple[Rate, ...]:
        """Return how many trials on unmarked text reach each level."""
        return _rates(ln_p, self.plan.false_alphas)

    def found_rates(self, ln_p: _Floats) -> tuple[Rate, ...]:
        """Return how many trials on marked text reach each level."""
        return _rates(ln_p, self.plan.found_alphas)


def _rates(ln_p: _Floats, alphas: _Alphas) -> tuple[Rate, ...]:
    return tuple(Rate(alpha=alpha, hits=hits(ln_p, alpha), trials=len(ln_p)) for alpha in alphas)


def spread(items: Sequence[_T], limit: int) -> list[_T]:
    """Return at most `limit` of the items, evenly spread, in order."""
    if len(items) <= limit:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, limit).round().astype(int).tolist()]


def batches(texts: Sequence[Tokens]) -> list[Sequence[Tokens]]:
    """Return the texts in runs of about `BATCH_TOKENS`."""
    longest = max((len(text) for text in texts), default=1)
    step = max(1, BATCH_TOKENS // max(1, longest))
    return [texts[first : first + step] for first in range(0, len(texts), step)]
