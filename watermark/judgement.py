"""The decision: is this text marked by one of these keys, and how sure may one be?

Each key is tried on each normalised variant of the text, on the whole and, in long texts,
on windows. Every such trial counts: half of `alpha` is shared by the trials on whole texts and
half by the windows (Bonferroni; Dunn, "Multiple comparisons among means", 1961), so that of
unmarked texts at most a share `alpha` is ever called marked, whatever is tried together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from countermark.watermark.correction import bonferroni, log_threshold
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.power import expected_power
from countermark.watermark.prospects import SHARED_PROSPECTS, WANTED_POWER, KeyedDetector, Prospect
from countermark.watermark.scoring import Scores, parts, score
from countermark.watermark.units import CommonPairs
from countermark.watermark.verdict import Answer, Detection, Evidence, Span
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """The values of one key on every document of a batch. Lists, since they are read one by one."""

    keyed: KeyedDetector
    scores: Scores
    counts: list[int]
    ln_p: list[float]


# One test: its corrected and its own ln p, the place of its key and of its variant, and start and
# length of the window, 0 and 0 for the whole. The least of several is the strongest.
_Trial = tuple[float, float, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Some documents, scored by every key.

    Attributes:
        documents: The documents.
        lengths: How many tokens each has.
        limit: What a corrected ln p must reach.
        scored: By key, in the order that they were given in.
        laws: One of each law and set of counted pairs: what the prospects depend on.
        prospects: Those that were asked for, by counts and limit.

    """

    documents: Documents
    lengths: list[int]
    limit: float
    scored: list[_Scored]
    laws: list[_Scored]
    prospects: dict[tuple[tuple[int, ...], float], Prospect] = field(default_factory=dict)

    @classmethod
    def of(
        cls, documents: Documents, keyed: Sequence[KeyedDetector], options: DetectOptions
    ) -> Self:
        everything = score(documents, (one.detector for one in keyed), options.common)
        scored = [
            _Scored(
                keyed=one,
                scores=scores,
                counts=scores.counts.tolist(),
                ln_p=scores.log_p().tolist(),
            )
            for one, scores in zip(keyed, everything, strict=True)
        ]
        laws = {(s.keyed.detector.scheme, s.keyed.strength, id(s.scores.counts)): s for s in scored}
        return cls(
            documents=documents,
            lengths=np.diff(documents.starts).tolist(),
            limit=log_threshold(options.alpha),
            scored=scored,
            laws=list(laws.values()),
        )

    def prospect(self, document: int, limit: float) -> Prospect:
        """Return what could be expected of the key that is least likely to show in a document."""
        counts = tuple([one.counts[document] for one in self.laws])
        prospect = self.prospects.get((counts, limit))
        if prospect is None:
            tried = [(one.keyed, count) for one, count in zip(self.laws, counts, strict=True)]
            prospect = self.prospects[counts, limit] = SHARED_PROSPECTS.of(tried, limit)
        return prospect


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
    if not all(names) or sum(map(len, names)) != len(documents):
        raise SchemeError("there must be one document for each variant of each text")
    detections = []
    text = 0
    for part, texts in parts(documents, [len(of_text) for of_text in names]):
        batch = _Batch.of(part, keyed, options)
        first = 0
        for of_text in names[text : text + texts]:
            detections.append(_judge(batch, options, first, of_text))
            first += len(of_text)
        text += texts
    return detections


def scan_ids(
    documents: Documents, keyed: Sequence[KeyedDetector], options: DetectOptions
) -> list[list[MarkedSpan]]:
    """Find the marked stretches of each document, by every key, in order of their start."""
    found = []
    for part, count in parts(documents, [1] * len(documents)):
        batch = _Batch.of(part, keyed, options)
        for document in range(count):
            tests = sum(window_count(s.counts[document]) for s in batch.scored)
            spans = [
                span for s in batch.scored for span in _spans(batch, s, document, options, tests)
            ]
            found.append(sorted(spans, key=lambda span: span.span.start))
    return found


def scan_power(
    documents: Documents, keyed: Sequence[KeyedDetector], options: DetectOptions
) -> list[float]:
    """Return how likely each document, marked throughout, would show a stretch in its scan.

    By the key that is least likely to show; 0 where no window could be tried.
    """
    powers = []
    for part, count in parts(documents, [1] * len(documents)):
        scored = _Batch.of(part, keyed, options).scored
        for document in range(count):
            tests = sum(window_count(s.counts[document]) for s in scored)
            limit = log_threshold(options.alpha, max(tests, 1))
            chances = [
                expected_power(
                    s.keyed.detector, s.keyed.strength, longest_window(s.counts[document]), limit
                )
                for s in scored
            ]
            powers.append(min(chances, default=0.0))
    return powers


def _judge(batch: _Batch, options: DetectOptions, first: int, variants: Sequence[str]) -> Detection:
    numbers = range(first, first + len(variants))
    scored = batch.scored
    windows = 0
    if options.windows_from is not None:
        longest = max([s.counts[d] for s in scored for d in numbers], default=0)
        if longest >= options.windows_from:
            windows = sum(window_count(s.counts[d]) for s in scored for d in numbers)
    wholes = len(scored) * len(variants)
    share = 2 if windows else 1  # Half of alpha for each kind of test, when there are both.
    best: list[_Trial] = []
    for key, one in enumerate(scored):
        tried = []
        for variant, document in enumerate(numbers):
            ln_p = one.ln_p[document]
            tried.append((bonferroni(ln_p, wholes * share), ln_p, key, variant, 0, 0))
            if windows and one.counts[document]:
                tried += _best_window(one, document, (key, variant), windows * share)
        best.append(min(tried))
    best.sort()
    held = sum([trial[0] <= batch.limit for trial in best])
    prospect = batch.prospect(first, log_threshold(options.alpha, max(wholes * share, 1)))
    if held:
        answer = Answer.FOUND
    else:
        answer = Answer.NOT_FOUND if prospect.power >= WANTED_POWER else Answer.NOT_ENOUGH
    return Detection(
        answer=answer,
        alpha=options.alpha,
        tests=wholes + windows,
        tokens=batch.lengths[first] if scored else 0,
        keys=len(scored),
        evidence=tuple(
            [
                _evidence(batch, trial, variants, first)
                for trial in best[: max(held, _EVIDENCE_SHOWN)]
            ]
        ),
        power=prospect.power,
        tokens_needed=prospect.tokens_needed,
        assumption=prospect.assumption,
    )


def _best_window(one: _Scored, document: int, at: tuple[int, int], tests: int) -> list[_Trial]:
    windows = try_windows(one.scores.of(document), one.keyed.detector)
    if not len(windows):
        return []
    best = int(np.argmin(windows.ln_p))
    ln_p = float(windows.ln_p[best])
    window = int(windows.starts[best]), int(windows.lengths[best])
    return [(bonferroni(ln_p, tests), ln_p, *at, *window)]


def _evidence(batch: _Batch, trial: _Trial, variants: Sequence[str], first: int) -> Evidence:
    ln_corrected_p, ln_p, key, variant, start, length = trial
    one, document = batch.scored[key], first + variant
    scores = one.scores
    total, scored = float(scores.totals[document]), one.counts[document]
    if length:
        total, scored = float(scores.of(document)[start : start + length].sum()), length
    # A message may be told only where the mark was found.
    payload = (
        scores.payloads[document] if scores.payloads and ln_corrected_p <= batch.limit else None
    )
    return Evidence(
        key_id=one.keyed.key_id,
        scheme=one.keyed.detector.scheme,
        variant=variants[variant],
        scored=scored,
        repeated=int(scores.units.repeated[document]),
        common=int(scores.units.common[document]),
        mean=total / scored if scored else 0.0,
        ln_p=ln_p,
        ln_corrected_p=ln_corrected_p,
        window=_span(batch, one, document, start, start + length) if length else None,
        payload=payload if payload is not None and payload.readable else None,
    )


def _spans(
    batch: _Batch, one: _Scored, document: int, options: DetectOptions, tests: int
) -> list[MarkedSpan]:
    if not tests:
        return []
    values = one.scores.of(document)
    windows = try_windows(values, one.keyed.detector)
    limit = log_threshold(options.alpha, tests)
    return [
        MarkedSpan(
            key_id=one.keyed.key_id,
            scheme=one.keyed.detector.scheme,
            span=_span(batch, one, document, stretch.start, stretch.stop),
            window=_span(batch, one, document, stretch.window[0], sum(stretch.window)),
            ln_p=stretch.ln_p,
            ln_corrected_p=bonferroni(stretch.ln_p, tests),
        )
        for stretch in marked_stretches(values, one.keyed.detector, windows, limit)
    ]


def _span(batch: _Batch, one: _Scored, document: int, start: int, stop: int) -> Span:
    """Return where values [start, stop) of a document lie among its tokens."""
    positions = one.scores.units.positions[one.scores.units.starts[document] :]
    origin = int(batch.documents.starts[document])
    return Span(start=int(positions[start]) - origin, stop=int(positions[stop - 1]) - origin + 1)
