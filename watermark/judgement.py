"""The decision: is this text marked by one of these keys, and how sure may one be?

Each key is tried on each normalised variant of the text, on the whole and, in long texts,
on windows. Every such trial counts: half of `alpha` is shared by the trials on whole texts and
half by the windows (Bonferroni; Dunn, "Multiple comparisons among means", 1961), so that of
unmarked texts at most a share `alpha` is ever called marked, whatever is tried together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.detector import as_carrier, as_forgetful
from countermark.watermark.documents import Documents
from countermark.watermark.draws import distinct_draws
from countermark.watermark.errors import SchemeError
from countermark.watermark.power import expected_power
from countermark.watermark.prospects import SHARED_PROSPECTS, WANTED_POWER, KeyedDetector
from countermark.watermark.units import NO_PAIRS, CommonPairs, Units, find_units
from countermark.watermark.verdict import Answer, Detection, Evidence, Payload, Span
from countermark.watermark.windows import (
    longest_window,
    marked_stretches,
    try_windows,
    window_count,
)

__all__ = [
    "DetectOptions",
    "MarkedSpan",
    "detect_ids",
    "scan_ids",
    "scan_power",
]

_AS_IS = "as-is"
_EVIDENCE_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectOptions:
    """What is asked of a detection.

    Attributes:
        alpha: The share of unmarked texts for which "mark found" may be said.
        common: Commonplaces by context width, from `calibrate`.
        windows_from: Texts with at least so many counted pairs are also tried window by window;
            None never does.

    """

    alpha: float = 1e-6
    common: Mapping[int, CommonPairs] = field(default_factory=dict)
    windows_from: int | None = 512

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise SchemeError(f"alpha is {self.alpha}; a rate between 0 and 1 is expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedSpan:
    """A marked stretch of a document.

    Attributes:
        key_id: By which key.
        scheme: Of which scheme.
        span: Where; its ends are estimates.
        window: The window that was tested, inside or around the span.
        ln_p: Of that window alone.
        ln_corrected_p: Corrected for every window of every key: of unmarked texts at most this
            share gives any such span.

    """

    key_id: str
    scheme: str
    span: Span
    window: Span
    ln_p: float
    ln_corrected_p: float


@dataclass(frozen=True, slots=True)
class _Scored:
    """The values of one key on every document of a batch."""

    documents: Documents
    keyed: KeyedDetector
    units: Units
    values: NDArray[np.float64]
    counts: list[int]
    totals: list[float]
    ln_p: list[float]
    payloads: list[Payload | None]  # Empty if the scheme carries none.

    def length(self, document: int) -> int:
        return int(self.documents.starts[document + 1] - self.documents.starts[document])

    def of(self, document: int) -> NDArray[np.float64]:
        return self.values[self.units.starts[document] : self.units.starts[document + 1]]


def detect_ids(
    documents: Documents,
    keyed: Sequence[KeyedDetector],
    options: DetectOptions,
    *,
    variants: Sequence[Sequence[str]] | None = None,
) -> list[Detection]:
    """Judge texts given as token ids.

    Args:
        documents: The texts' variants, those of one text next to each other.
        keyed: Every key that is tried.
        options: What is asked.
        variants: The names of each text's variants; without it each document is a text.

    Returns:
        One detection for each text.

    """
    names = variants if variants is not None else [(_AS_IS,)] * len(documents)
    if sum(map(len, names)) != len(documents):
        raise SchemeError("there must be one document for each variant of each text")
    scored = _score(documents, keyed, options)
    detections = []
    first = 0
    for of_text in names:
        detections.append(_judge(scored, options, first, of_text))
        first += len(of_text)
    return detections


def scan_ids(
    documents: Documents, keyed: Sequence[KeyedDetector], options: DetectOptions
) -> list[list[MarkedSpan]]:
    """Find the marked stretches of each document, by every key, in order of their start."""
    scored = _score(documents, keyed, options)
    found = []
    for document in range(len(documents)):
        tests = sum(window_count(s.counts[document]) for s in scored)
        spans = [span for s in scored for span in _spans(s, document, options, tests)]
        found.append(sorted(spans, key=lambda span: span.span.start))
    return found


def scan_power(
    documents: Documents, keyed: Sequence[KeyedDetector], options: DetectOptions
) -> list[float]:
    """Return how likely each document, marked throughout, would show a stretch in its scan.

    By the key that is least likely to show; 0 where no window could be tried.
    """
    scored = _score(documents, keyed, options)
    powers = []
    for document in range(len(documents)):
        tests = sum(window_count(s.counts[document]) for s in scored)
        limit = math.log(options.alpha) - math.log(max(tests, 1))
        chances = [
            expected_power(
                s.keyed.detector, s.keyed.strength, longest_window(s.counts[document]), limit
            )
            for s in scored
        ]
        powers.append(min(chances, default=0.0))
    return powers


def _score(
    documents: Documents, keyed: Iterable[KeyedDetector], options: DetectOptions
) -> list[_Scored]:
    by_width: dict[int, tuple[Units, NDArray[np.int64], NDArray[np.int64]]] = {}
    scored = []
    for one in keyed:
        width = one.detector.width
        if width not in by_width:
            found = find_units(documents, width, options.common.get(width, NO_PAIRS))
            by_width[width] = (found, *_shares(found))
        counted, counts, owners = by_width[width]
        forgetful = as_forgetful(one.detector)
        if forgetful is not None:
            draws = forgetful.identities(documents, counted.positions)
            counted = distinct_draws(counted, draws)
            counts, owners = _shares(counted)
        payloads: list[Payload | None] = []
        carrier = as_carrier(one.detector)
        if carrier is not None:
            values, payloads = carrier.read(documents, counted.positions)
        else:
            values = one.detector.values(documents, counted.positions)
        sums = np.bincount(owners, weights=values, minlength=len(documents))
        totals = sums.astype(np.float64, copy=False)
        ln_p = one.detector.log_p(totals, counts)
        # Lists: a number of an array costs ten times as much to look at.
        lists = counts.tolist(), totals.tolist(), ln_p.tolist()
        scored.append(_Scored(documents, one, counted, values, *lists, payloads))
    return scored


def _shares(units: Units) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many units each document has, int64 [D], and whose each unit is, int64 [M]."""
    counts = np.diff(units.starts)
    return counts, np.repeat(np.arange(len(counts)), counts)


def _judge(
    scored: Sequence[_Scored],
    options: DetectOptions,
    first: int,
    variants: Sequence[str],
) -> Detection:
    numbers = range(first, first + len(variants))
    long = _long_enough(scored, numbers, options)
    wholes = len(scored) * len(variants)
    windows = sum(window_count(s.counts[d]) for s in scored for d in numbers) if long else 0
    share = 2 if windows else 1  # Half of alpha for each kind of test, when there are both.
    best: list[Evidence] = []
    for one in scored:
        tried = []
        for name, document in zip(variants, numbers, strict=True):
            tried.append(_whole(one, document, name, wholes * share))
            if windows and one.counts[document]:
                tried += _best_window(one, document, name, windows * share)
        if tried:
            strongest = min(tried, key=lambda e: (e.ln_corrected_p, e.ln_p))
            document = first + list(variants).index(strongest.variant)
            best.append(_with_payload(one, strongest, document, options))
    best.sort(key=lambda e: (e.ln_corrected_p, e.ln_p))
    return _answer(scored, options, first, tuple(best), (wholes + windows, wholes * share))


def _answer(
    scored: Sequence[_Scored],
    options: DetectOptions,
    first: int,
    evidence: tuple[Evidence, ...],
    trials: tuple[int, int],
) -> Detection:
    """Give the answer; `trials` is (how many there were, what a whole text's p is times)."""
    tests, divisor = trials
    limit = math.log(options.alpha) - math.log(max(divisor, 1))
    prospect = SHARED_PROSPECTS.of([(one.keyed, one.counts[first]) for one in scored], limit)
    held = sum(one.ln_corrected_p <= math.log(options.alpha) for one in evidence)
    if held:
        answer = Answer.FOUND
    else:
        answer = Answer.NOT_FOUND if prospect.power >= WANTED_POWER else Answer.NOT_ENOUGH
    return Detection(
        answer=answer,
        alpha=options.alpha,
        tests=tests,
        tokens=scored[0].length(first) if scored else 0,
        keys=len(scored),
        evidence=evidence[: max(held, _EVIDENCE_SHOWN)],
        power=prospect.power,
        tokens_needed=prospect.tokens_needed,
        assumption=prospect.assumption,
    )


def _long_enough(scored: Sequence[_Scored], numbers: range, options: DetectOptions) -> bool:
    longest = max((s.counts[d] for s in scored for d in numbers), default=0)
    return options.windows_from is not None and longest >= options.windows_from


def _whole(one: _Scored, document: int, variant: str, tests: int) -> Evidence:
    count = one.counts[document]
    ln_p = one.ln_p[document]
    return Evidence(
        key_id=one.keyed.key_id,
        scheme=one.keyed.detector.scheme,
        variant=variant,
        scored=count,
        repeated=int(one.units.repeated[document]),
        common=int(one.units.common[document]),
        mean=one.totals[document] / count if count else 0.0,
        ln_p=ln_p,
        ln_corrected_p=min(0.0, ln_p + math.log(tests)),
    )


def _best_window(one: _Scored, document: int, variant: str, tests: int) -> list[Evidence]:
    values = one.of(document)
    windows = try_windows(values, one.keyed.detector)
    if not len(windows):
        return []
    best = int(np.argmin(windows.ln_p))
    start, length = int(windows.starts[best]), int(windows.lengths[best])
    ln_p = float(windows.ln_p[best])
    return [
        Evidence(
            key_id=one.keyed.key_id,
            scheme=one.keyed.detector.scheme,
            variant=variant,
            scored=length,
            repeated=int(one.units.repeated[document]),
            common=int(one.units.common[document]),
            mean=float(values[start : start + length].mean()),
            ln_p=ln_p,
            ln_corrected_p=min(0.0, ln_p + math.log(tests)),
            window=_span(one, document, start, start + length),
        )
    ]


def _with_payload(
    one: _Scored, evidence: Evidence, document: int, options: DetectOptions
) -> Evidence:
    payload = one.payloads[document] if one.payloads else None
    if payload is None or not payload.readable or evidence.ln_corrected_p > math.log(options.alpha):
        return evidence
    return replace(evidence, payload=payload)


def _spans(one: _Scored, document: int, options: DetectOptions, tests: int) -> list[MarkedSpan]:
    if not tests:
        return []
    values = one.of(document)
    windows = try_windows(values, one.keyed.detector)
    limit = math.log(options.alpha) - math.log(tests)
    return [
        MarkedSpan(
            key_id=one.keyed.key_id,
            scheme=one.keyed.detector.scheme,
            span=_span(one, document, stretch.start, stretch.stop),
            window=_span(one, document, stretch.window[0], sum(stretch.window)),
            ln_p=stretch.ln_p,
            ln_corrected_p=min(0.0, stretch.ln_p + math.log(tests)),
        )
        for stretch in marked_stretches(values, one.keyed.detector, windows, limit)
    ]


def _span(one: _Scored, document: int, start: int, stop: int) -> Span:
    """Return where values [start, stop) of a document lie among its tokens."""
    positions = one.units.positions[one.units.starts[document] :]
    origin = int(one.documents.starts[document])
    return Span(start=int(positions[start]) - origin, stop=int(positions[stop - 1]) - origin + 1)
