"""What a detector may say of a text, and how sure it is.

There are three answers and none is "a human wrote this": who has not the key that marked a text
finds nothing in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from countermark.watermark.correction import log10_of

__all__ = ["WRONG_LIMIT", "Answer", "Detection", "Evidence", "Payload", "Span"]

WRONG_LIMIT = 1e-4


class Answer(StrEnum):
    """The three answers; their values are what JSON says and never change."""

    FOUND = "mark-found"
    NOT_FOUND = "no-mark-found"
    NOT_ENOUGH = "not-enough-evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of one document.

    Attributes:
        start: Index of its first token in the document (the variant's own tokens).
        stop: Index after its last token.

    """

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The message that suits a text best (specs/watermark-payload-v1).

    Attributes:
        identifier: 48 bits.
        ln_p: Natural logarithm of the p-value that the text has a message at all: of texts without
            a mark of this key, at most that share suits any message as well.
        ln_wrong: Natural logarithm of another: of texts that carry another message, or one under
            another MAC key, at most that share lets a message that is not theirs look as good.
        scored: How many (context, token) pairs counted.
        symbol_ln_p: For each of the eight symbols, how often any symbol would suit as well by
            chance: at most 0; near 0 where the symbol would be a guess without the others.

    """

    identifier: int
    ln_p: float
    ln_wrong: float
    scored: int
    symbol_ln_p: tuple[float, ...]

    @property
    def readable(self) -> bool:
        """Whether the message may be told, given that there is one."""
        return self.ln_wrong <= math.log(WRONG_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The outcome of one hypothesis: this key, on this variant of the text.

    Attributes:
        key_id: The key, by its public name.
        scheme: Name and version of the scheme.
        variant: Which normalisation of the text was scored; "as-is" for none.
        scored: How many (context, token) pairs counted.
        repeated: How many were left out since the document already had them.
        common: How many were left out as commonplaces.
        mean: Mean score of a pair; what unmarked text has on average depends on the scheme.
        ln_p: Natural logarithm of the p-value of this test alone, at most 0.
        ln_corrected_p: The same, corrected for every test made on this text.
        window: The stretch that gave this p, or None for the whole document.
        payload: The message, if the scheme carries one, the mark was found, and it can be told.

    """

    key_id: str
    scheme: str
    variant: str
    scored: int
    repeated: int
    common: int
    mean: float
    ln_p: float
    ln_corrected_p: float
    window: Span | None = None
    payload: Payload | None = None

    @property
    def log10_p(self) -> float:
        """Decimal logarithm of this test's own p-value."""
        return log10_of(self.ln_p)

    @property
    def log10_corrected_p(self) -> float:
        """Decimal logarithm of the corrected p-value."""
        return log10_of(self.ln_corrected_p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The answer for one text, and everything it rests on.

    Attributes:
        answer: One of three.
        alpha: The share of unmarked texts for which "mark found" would be said, at most.
        tests: How many hypotheses were tried on this text; every p is corrected for all.
        tokens: How many tokens the text has.
        keys: How many keys were tried.
        evidence: The best of each key, smallest p first: all that hold, and at least five.
        power: The probability that a text of this length would have been found had it been marked
            by the key that was least likely to show, under `assumption`.
        tokens_needed: How many counted tokens would give a power of 0.99 under `assumption`.
        assumption: What the marked text is taken to be like, in words.

    """

    answer: Answer
    alpha: float
    tests: int
    tokens: int
    keys: int
    evidence: tuple[Evidence, ...]
    power: float
    tokens_needed: int
    assumption: str

    def __bool__(self) -> NoReturn:
        raise TypeError("a detection has three answers: look at `.answer`")

    @property
    def found(self) -> tuple[Evidence, ...]:
        """The evidence that holds at `alpha` after correction."""
        limit = math.log(self.alpha)
        return tuple(e for e in self.evidence if e.ln_corrected_p <= limit)
