"""Detector cards: what was measured of a detector on its user's own texts, as values and as JSON.

specs/watermark-card-v1 says what each figure means. A card holds counts; rates and their
intervals follow from these, so that nobody has to take them on trust. It holds no secret and no
text, and no date: the same texts and keys give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from countermark.signing import strict_json
from countermark.watermark.errors import SchemeError

__all__ = [
    "CONFIDENCE",
    "FORMAT",
    "AfterEdit",
    "Card",
    "CardKey",
    "FalseAlarms",
    "Found",
    "Quantile",
    "Rate",
    "Source",
    "card_document",
    "encode_card",
    "exact_interval",
]

FORMAT = "countermark-detector-card-v1"
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often the detector said "marked" at one level.

    Attributes:
        alpha: The level: of unmarked texts at most this share should be called marked.
        hits: How often it did.
        trials: How often it was asked.

    """

    alpha: float
    hits: int
    trials: int

    @property
    def observed(self) -> float:
        """Share of the trials that were hits."""
        return self.hits / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate, as if the trials were independent."""
        return exact_interval(self.hits, self.trials)

    @property
    def exceeds(self) -> bool:
        """Whether on unmarked text this is more than was promised: all of the interval is."""
        return self.interval[0] > self.alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file of texts that was measured.

    Attributes:
        role: `unmarked`, `marked` or `other-model`.
        name: What its user calls it; untrusted text.
        sha256: Of the file, 64 lowercase hex digits.
        texts: How many texts it has.
        tokens: How many tokens these have.

    """

    role: str
    name: str
    sha256: str
    texts: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardKey:
    """A key that was tried, by its public name, its scheme, and that scheme's context width."""

    id: str
    scheme: str
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """How often unmarked passages of one length were called marked.

    Attributes:
        length: Tokens of each passage.
        pooled: `keys-and-files`: each passage with each key is a trial. `keys`: those of one file.
            `files`: those with one key. `answers`: each passage is one trial with all keys at
            once, corrected for them, which is what `detect` answers. `scan`: the same, by windows,
            on stretches of the files laid end to end.
        name: Which file or key; empty if neither is meant.
        passages: How many different passages there were.
        rates: One for each level.

    """

    length: int
    pooled: str
    name: str
    passages: int
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How often marked texts, cut to one length, were found: answers, corrected for all keys.

    Attributes:
        model: The other model that wrote them; empty for the one the card is about.
        length: Tokens of each text.
        rates: One for each level; texts that are shorter do not count.

    """

    model: str
    length: int
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterEdit:
    """How often marked texts were found after an edit.

    Attributes:
        edit: Its name in `edits`; `dilution` for text inside unmarked text.
        strength: The share of places that were touched; for dilution how many unmarked tokens
            there were to each marked one.
        on: `tokens`, or `text` that was tokenized again.
        judged: `as-is`; `normalised`, as well, corrected for each variant; or `scan`, by windows.
        length: Tokens of each text before the edit.
        rates: One for each level.

    """

    edit: str
    strength: float
    on: str
    judged: str
    length: int
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """One point of the comparison of p-values with what they should be.

    Attributes:
        expected: The `rank`-th smallest of so many uniform p-values, on average.
        log10_observed: Decimal logarithm of the `rank`-th smallest that was observed.

    """

    expected: float
    log10_observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything that was measured.

    Attributes:
        tokenizer_sha256: Of the tokenizer's file.
        keys: What was tried.
        common_pairs: How many commonplaces were left out, by context width.
        seed: Of the edits.
        sources: What was read.
        false_alarms: On unmarked text.
        quantiles: p-values of the unmarked passages of the first length, each key by itself.
        found: On marked text, by length.
        edited: On marked text that was changed.
        not_measured: Sentences: what nobody may read out of this card.
        notes: Sentences about each scheme, by its name.

    """

    tokenizer_sha256: str
    keys: tuple[CardKey, ...]
    common_pairs: Mapping[int, int]
    seed: int
    sources: tuple[Source, ...]
    false_alarms: tuple[FalseAlarms, ...]
    quantiles: tuple[Quantile, ...]
    found: tuple[Found, ...]
    edited: tuple[AfterEdit, ...]
    not_measured: tuple[str, ...]
    notes: Mapping[str, tuple[str, ...]]


def exact_interval(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Clopper, Pearson, Biometrika 26, 1934).

    Of intervals made so at least 95 % hold the true rate, whatever it is.

    Raises:
        SchemeError: There are no trials, or more hits than trials.

    """
    from scipy.special import betaincinv

    if not 0 <= hits <= trials or trials < 1:
        raise SchemeError(f"{hits} hits in {trials} trials are no rate")
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, 1 - tail))
    return low, high


def encode_card(card: Card) -> bytes:
    """Return a card's file: strict JSON, one value to one encoding."""
    return strict_json.dumps(card_document(card)) + b"\n"


def card_document(card: Card) -> dict[str, object]:
    """Return a card as JSON-ready values (specs/watermark-card-v1/card.schema.json)."""
    return {
        "format": FORMAT,
        "confidence": CONFIDENCE,
        "tokenizer_sha256": card.tokenizer_sha256,
        "keys": [asdict(key) for key in card.keys],
        "common_pairs": {str(width): count for width, count in sorted(card.common_pairs.items())},
        "seed": card.seed,
        "sources": [asdict(source) for source in card.sources],
        "false_alarms": [_with_rates(row) for row in card.false_alarms],
        "quantiles": [
            {"expected": _short(one.expected), "log10_observed": _short(one.log10_observed)}
            for one in card.quantiles
        ],
        "found": [_with_rates(row) for row in card.found],
        "edited": [_with_rates(row) for row in card.edited],
        "not_measured": list(card.not_measured),
        "notes": {scheme: list(notes) for scheme, notes in card.notes.items()},
    }


def _with_rates(row: FalseAlarms | Found | AfterEdit) -> dict[str, object]:
    return {**asdict(row), "rates": _rates(row.rates)}


def _rates(rates: tuple[Rate, ...]) -> list[dict[str, object]]:
    return [
        {
            "alpha": rate.alpha,
            "hits": rate.hits,
            "trials": rate.trials,
            "observed": _short(rate.observed),
            "low": _short(rate.interval[0]),
            "high": _short(rate.interval[1]),
        }
        for rate in rates
    ]


def _short(number: float) -> float:
    """Return six significant digits: more would differ from machine to machine."""
    return float(f"{number:.6g}")
