"""Measuring a detector on texts: how often it is wrong, and how often it finds what is there.

All trials of a card are made here, from token ids in memory; what they are counted into is in
`card`. Whatever is drawn by chance comes from the plan's seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.card import Card, CardKey, FalseAlarms, Found, Quantile, Source
from countermark.watermark.card_edits import edited_length, measure_edits, scored_after_edits
from countermark.watermark.card_notes import NOT_MEASURED, notes_on
from countermark.watermark.card_plan import TOKEN_BYTES, Plan, TextFile, Work, batches, spread
from countermark.watermark.card_trials import answers, laid_out
from countermark.watermark.errors import MalformedInputError
from countermark.watermark.prospects import KeyedDetector
from countermark.watermark.tokenization import Tokenizer
from countermark.watermark.units import CommonPairs

__all__ = ["Plan", "TextFile", "measure"]

Tokens = NDArray[np.uint32]

_QUANTILES: Final = 40
_LEAST_LOG10: Final = -1e6  # JSON has no -infinity.


def measure(
    *,
    tokenizer: Tokenizer,
    detectors: Sequence[KeyedDetector],
    common: Mapping[int, CommonPairs],
    unmarked: Sequence[TextFile],
    marked: Sequence[TextFile],
    others: Sequence[TextFile],
    plan: Plan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Card:
    """Measure detectors on texts, and return their card.

    Args:
        tokenizer: Whose ids the texts are.
        detectors: The keys that are tried together; at least one.
        common: Commonplaces to leave out, by context width.
        unmarked: Texts that carry none of the keys' marks.
        marked: Texts that carry one of them.
        others: Texts that other models marked with these keys; each file is one model.
        plan: What is measured.
        progress: Called with (done, total) bytes of token ids scored.

    Raises:
        MalformedInputError: No unmarked text has a passage's length, or no marked text the
            shortest length that is looked at.

    """
    plan = plan or Plan()
    passages = {length: _passages(unmarked, length, plan) for length in plan.passage_lengths}
    texts = _texts(marked)
    length = edited_length(texts, plan)
    base = spread([text[:length] for text in texts if len(text) >= length], plan.max_edited)
    work = Work(
        detectors=list(detectors),
        common=common,
        tokenizer=tokenizer,
        plan=plan,
        pool=laid_out(_texts(unmarked)).tokens,
        progress=progress,
    )
    work.total = TOKEN_BYTES * _amount(work, passages, [*texts, *_texts(others)], base)
    alarms, quantiles = _false_alarms(work, unmarked, passages)
    found = _found(work, "", texts)
    for other in others:
        found += _found(work, other.name, other.texts)
    alarms += _scanned(work)
    edited, left_out = measure_edits(work, base)
    work.finish()
    missing = _missing(work, found, others)
    return Card(
        tokenizer_sha256=tokenizer.sha256,
        keys=_keys(detectors),
        common_pairs={width: len(pairs.table) for width, pairs in common.items()},
        seed=plan.seed,
        sources=_sources(unmarked, marked, others),
        false_alarms=tuple(alarms),
        quantiles=quantiles,
        found=tuple(found),
        edited=tuple(edited),
        not_measured=(*NOT_MEASURED, *left_out, *missing),
        notes=notes_on([one.detector.scheme for one in detectors]),
    )


def _keys(detectors: Sequence[KeyedDetector]) -> tuple[CardKey, ...]:
    return tuple(
        CardKey(id=one.key_id, scheme=one.detector.scheme, width=one.detector.width)
        for one in detectors
    )


def _texts(files: Sequence[TextFile]) -> list[Tokens]:
    return [text for file in files for text in file.texts]


def _sources(
    unmarked: Sequence[TextFile], marked: Sequence[TextFile], others: Sequence[TextFile]
) -> tuple[Source, ...]:
    return tuple(
        Source(
            role=role,
            name=file.name,
            sha256=file.sha256,
            texts=len(file.texts),
            tokens=sum(map(len, file.texts)),
        )
        for role, files in (("unmarked", unmarked), ("marked", marked), ("other-model", others))
        for file in files
    )


# Unmarked text.


def _passages(files: Sequence[TextFile], length: int, plan: Plan) -> list[list[Tokens]]:
    """Return passages that do not overlap, for each file."""
    cut = [
        (number, text[begin : begin + length])
        for number, file in enumerate(files)
        for text in file.texts
        for begin in range(0, len(text) - length + 1, length)
    ]
    if not cut:
        raise MalformedInputError(f"no unmarked text has {length} tokens")
    by_file: list[list[Tokens]] = [[] for _ in files]
    for number, passage in spread(cut, plan.max_passages):
        by_file[number].append(passage)
    return by_file


def _false_alarms(
    work: Work, files: Sequence[TextFile], passages: Mapping[int, list[list[Tokens]]]
) -> tuple[list[FalseAlarms], tuple[Quantile, ...]]:
    rows: list[FalseAlarms] = []
    quantiles: tuple[Quantile, ...] = ()
    for length, by_file in passages.items():
        ln_p = np.concatenate(
            [
                work.ln_p(laid_out(some))
                for some in batches([passage for of_file in by_file for passage in of_file])
            ],
            axis=1,
        )
        rows += _alarms_of_length(work, files, length, [len(some) for some in by_file], ln_p)
        quantiles = quantiles or _quantiles(ln_p)
    return rows, quantiles


def _alarms_of_length(
    work: Work,
    files: Sequence[TextFile],
    length: int,
    counts: list[int],
    ln_p: NDArray[np.float64],
) -> list[FalseAlarms]:
    """Count one length's alarms, pooled in each of four ways; `ln_p` is float64 [K, P]."""
    groups = [("keys-and-files", "", ln_p), ("answers", "", answers(ln_p)[None])]
    if len(work.detectors) > 1:
        groups += [
            ("files", one.key_id, row[None]) for one, row in zip(work.detectors, ln_p, strict=True)
        ]
    if len(files) > 1:
        ends = np.cumsum(counts)
        parts = np.split(ln_p, ends[:-1], axis=1)
        named = zip(files, parts, strict=True)
        groups += [("keys", file.name, part) for file, part in named if part.shape[1]]
    return [
        FalseAlarms(
            length=length,
            pooled=pooled,
            name=name,
            passages=some.shape[1],
            rates=work.false_rates(some.ravel()),
        )
        for pooled, name, some in groups
    ]


def _scanned(work: Work) -> list[FalseAlarms]:
    """Scan stretches of unmarked text, end to end; no row if there is not one of them."""
    stretches = _stretches(work)
    if not stretches:
        return []
    ln_p = np.concatenate([work.scanned(laid_out(some)) for some in batches(stretches)])
    return [
        FalseAlarms(
            length=work.plan.scanned_length,
            pooled="scan",
            name="",
            passages=len(stretches),
            rates=work.false_rates(ln_p),
        )
    ]


def _stretches(work: Work) -> list[Tokens]:
    length = work.plan.scanned_length
    limit = max(1, work.plan.max_passages * work.plan.passage_lengths[0] // length)
    begins = range(0, len(work.pool) - length + 1, length)
    return spread([work.pool[begin : begin + length] for begin in begins], limit)


def _quantiles(ln_p: NDArray[np.float64]) -> tuple[Quantile, ...]:
    ordered = np.sort(ln_p.ravel())
    ranks = np.unique(np.geomspace(1, len(ordered), _QUANTILES).round().astype(np.int64))
    log10 = np.maximum(ordered[ranks - 1] / np.log(10), _LEAST_LOG10)
    return tuple(
        Quantile(expected=rank / (len(ordered) + 1), log10_observed=observed)
        for rank, observed in zip(ranks.tolist(), log10.tolist(), strict=True)
    )


# Marked text.


def _found(work: Work, model: str, texts: Sequence[Tokens]) -> list[Found]:
    rows = []
    for length in work.plan.text_lengths:
        cut = [text[:length] for text in texts if len(text) >= length]
        if cut:
            ln_p = np.concatenate([answers(work.ln_p(laid_out(some))) for some in batches(cut)])
            rows.append(Found(model=model, length=length, rates=work.found_rates(ln_p)))
    return rows


def _missing(work: Work, found: Sequence[Found], others: Sequence[TextFile]) -> list[str]:
    """Return sentences about what these files were too few or too short for."""
    plan = work.plan
    sentences = []
    if len(work.pool) < plan.scanned_length:
        sentences.append("False alarms of `scan`, for want of unmarked text.")
    own = {row.length for row in found if not row.model}
    absent = [str(length) for length in plan.text_lengths if length not in own]
    if absent:
        sentences.append(f"Marked texts of {', '.join(absent)} tokens: none is so long.")
    if not others:
        sentences.append("Text that other models marked with the same key.")
    measured = {row.model for row in found}
    sentences += [
        f"Model {other.name}: its texts are too short."
        for other in others
        if other.name not in measured
    ]
    return sentences


def _amount(
    work: Work,
    passages: Mapping[int, list[list[Tokens]]],
    texts: Sequence[Tokens],
    base: Sequence[Tokens],
) -> int:
    """Return about how many tokens will be scored."""
    cut = sum(length * sum(map(len, by_file)) for length, by_file in passages.items())
    by_length = sum(n for text in texts for n in work.plan.text_lengths if len(text) >= n)
    scanned = sum(map(len, _stretches(work)))
    return cut + by_length + scanned + scored_after_edits(work.plan) * sum(map(len, base)) + 1
