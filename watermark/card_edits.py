"""Marked texts that were changed in each of the ways of `edits`, and how often they were found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.card import AfterEdit
from countermark.watermark.card_plan import BATCH_TOKENS, Plan, Work, batches
from countermark.watermark.card_trials import answers, laid_out
from countermark.watermark.edits import (
    TEXT_EDITS,
    TOKEN_EDITS,
    TextEdit,
    dilute,
    edit_rng,
)
from countermark.watermark.errors import MalformedInputError
from countermark.watermark.normalise import STEPS, variants

__all__ = ["edited_length", "measure_edits", "scored_after_edits"]

Tokens = NDArray[np.uint32]

_SHARE_REACHED: Final = 0.5


def edited_length(texts: Sequence[Tokens], plan: Plan) -> int:
    """Return the length to which texts are cut before they are edited.

    As long as the first length of passages, if half of the texts are; or the next shorter one.
    """
    shortest = min(plan.text_lengths)
    lengths = np.array([len(text) for text in texts], np.int64)
    if not np.any(lengths >= shortest):
        raise MalformedInputError(f"no marked text has {shortest} tokens")
    wanted = {*plan.text_lengths, plan.passage_lengths[0]}
    fit = [
        length
        for length in sorted(wanted)
        if length <= plan.passage_lengths[0] and np.mean(lengths >= length) >= _SHARE_REACHED
    ]
    return fit[-1] if fit else shortest


def scored_after_edits(plan: Plan) -> int:
    """Return about how many times a text's tokens are scored here."""
    dilutions = sum(ratio + 1 for ratio in plan.dilutions)
    return len(TOKEN_EDITS) + 3 * len(TEXT_EDITS) + dilutions


def measure_edits(work: Work, base: Sequence[Tokens]) -> tuple[list[AfterEdit], list[str]]:
    """Edit the texts in each way; return the rows, and sentences about what could not be done."""
    length = len(base[0])
    plan = work.plan
    rows = []
    for edit in TOKEN_EDITS:
        done = [
            edit(text, work.pool, edit_rng(plan.seed, edit.name, edit.strength, number))
            for number, text in enumerate(base)
        ]
        ln_p = np.concatenate([answers(work.ln_p(laid_out(some))) for some in batches(done)])
        rows.append(_row(edit.name, edit.strength, "tokens", "as-is", length, work, ln_p))
    originals = [work.tokenizer.decode(text) for text in base]
    for text_edit in TEXT_EDITS:
        rows += _edited_text(work, text_edit, originals, length)
    left_out = []
    for ratio in plan.dilutions:
        if len(work.pool) < ratio * length:
            left_out.append(f"Dilution 1:{ratio}, for want of unmarked text.")
            continue
        rows.append(_diluted(work, base, ratio, length))
    return rows, left_out


def _edited_text(
    work: Work, edit: TextEdit, originals: Sequence[str], length: int
) -> list[AfterEdit]:
    """Return two rows: for the text as it is, and with its normalised variants tried as well."""
    as_is, normalised = [], []
    seed = work.plan.seed
    per_batch = max(1, BATCH_TOKENS // (len(STEPS) * length))
    for first in range(0, len(originals), per_batch):
        tried = [
            variants(edit(text, edit_rng(seed, edit.name, edit.strength, first + number)))
            for number, text in enumerate(originals[first : first + per_batch])
        ]
        ids = work.tokenizer.encode_batch([one.text for of_text in tried for one in of_text])
        ln_p = work.ln_p(laid_out(ids))
        sizes = [len(of_text) for of_text in tried]
        as_is.append(answers(ln_p[:, np.cumsum(sizes) - sizes]))
        normalised.append(answers(ln_p, sizes))
    judged = (("as-is", as_is), ("normalised", normalised))
    return [
        _row(edit.name, edit.strength, "text", how, length, work, np.concatenate(ln_p))
        for how, ln_p in judged
    ]


def _diluted(work: Work, base: Sequence[Tokens], ratio: int, length: int) -> AfterEdit:
    per_batch = max(1, BATCH_TOKENS // ((ratio + 1) * length))
    ln_p = []
    for first in range(0, len(base), per_batch):
        done = [
            dilute(text, ratio, work.pool, edit_rng(work.plan.seed, "dilution", ratio, number))
            for number, text in enumerate(base[first : first + per_batch], first)
        ]
        ln_p.append(work.scanned(laid_out(done)))
    return _row("dilution", float(ratio), "tokens", "scan", length, work, np.concatenate(ln_p))


def _row(
    edit: str,
    strength: float,
    on: str,
    judged: str,
    length: int,
    work: Work,
    ln_p: NDArray[np.float64],
) -> AfterEdit:
    return AfterEdit(
        edit=edit,
        strength=strength,
        on=on,
        judged=judged,
        length=length,
        rates=work.found_rates(ln_p),
    )
