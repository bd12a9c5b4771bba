"""Answers, as people and as programs read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from countermark.cli.output import Output
from countermark.cli.watermark.trial import Prepared

if TYPE_CHECKING:
    from countermark.watermark.verdict import Answer, Detection

__all__ = ["exit_of", "print_answers", "readable_p"]

_EXITS = {"mark-found": 0, "no-mark-found": 10, "not-enough-evidence": 15}
_HEADLINES = {
    "mark-found": ("MARK FOUND", "good"),
    "no-mark-found": ("NO MARK", "bad"),
    "not-enough-evidence": ("NOT ENOUGH", "note"),
}


def exit_of(answers: Sequence[Answer]) -> int:
    """Return the exit code: 0 if any text is marked, 10 if each was tried in vain, else 15."""
    codes = {_EXITS[answer.value] for answer in answers}
    return 0 if 0 in codes else 10 if codes == {10} else 15


def print_answers(
    output: Output, target: Path, detections: Sequence[Detection], prepared: Prepared
) -> int:
    """Print the answer for each text, and return the exit code."""
    from countermark.signing.names import printable
    from countermark.watermark.texts import detection_document

    code = exit_of([detection.answer for detection in detections])
    verdict = next(name for name, exit_code in _EXITS.items() if exit_code == code)
    output.document(
        {
            "schema": "countermark/watermark-detect/v1",
            "verdict": verdict,
            "exit_code": code,
            "subject": str(target),
            "detections": [detection_document(detection) for detection in detections],
            "keys_of_other_tokenizers": list(prepared.skipped),
        }
    )
    for number, detection in enumerate(detections, 1):
        _print_one(output, detection, number if len(detections) > 1 else 0)
    if prepared.skipped:
        output.note(f"{len(prepared.skipped)} keys are for another tokenizer and were not tried")
    if code and output.format == "quiet":
        output.complaint(verdict, printable(str(target)))
    return code


def _print_one(output: Output, detection: Detection, number: int) -> None:
    headline, tone = _HEADLINES[detection.answer.value]
    where = f"text {number}: " if number else ""
    best = detection.evidence[0] if detection.evidence else None
    match detection.answer.value:
        case "mark-found" if best is not None:
            sentence = f"by key {best.key_id}, p = {readable_p(best.log10_corrected_p)}"
        case "no-mark-found":
            tried = (
                "the one key that was tried"
                if detection.keys == 1
                else f"any of the {detection.keys} keys that were tried"
            )
            sentence = f"by {tried}; nothing is said of others"
        case _:
            sentence = f"to tell: {detection.tokens} tokens, about {detection.tokens_needed} needed"
    output.line(headline, where + sentence, tone=tone)
    for evidence in detection.found or detection.evidence[:1]:
        place = (
            ""
            if evidence.window is None
            else (f" in tokens {evidence.window.start} to {evidence.window.stop}")
        )
        output.line(
            "  evidence",
            f"{evidence.key_id} ({evidence.scheme}){place}: {evidence.scored} tokens counted, "
            f"{evidence.repeated} repeated and {evidence.common} common left out; "
            f"mean score {evidence.mean:.3f}; text {evidence.variant}",
        )
        if evidence.payload is not None:
            output.line("  message", f"{evidence.payload.identifier:012x}", tone="good")
    output.line(
        "  tests",
        f"{detection.tests} tried, p corrected for all; at most {detection.alpha:g} of unmarked "
        "texts are called marked",
    )
    output.line("  power", f"{detection.power:.3f} for {detection.assumption}")


def readable_p(log10: float) -> str:
    """Return a p-value for people, from its decimal logarithm; it may be below any float."""
    if log10 > -4:
        return f"{10**log10:.2g}"
    whole = math.floor(log10)
    tenths = math.ceil(10 ** (log10 - whole) * 10 - 1e-3)  # Never less than it is.
    return f"{tenths / 10:.1f}e{whole}" if tenths < 100 else f"1.0e{whole + 1}"
