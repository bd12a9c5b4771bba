"""Verdicts on content, as people and as programs read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countermark.cli.exits import EXIT_OF
from countermark.cli.output import Output
from countermark.signing.names import printable
from countermark.signing.verdict import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countermark.provenance.cross_check import SecondOpinion
    from countermark.provenance.verdict import ContentSigner, ContentVerdict
    from countermark.signing.verdict import Check

__all__ = ["print_verdict"]

_HEADLINES = {
    Outcome.VERIFIED: "VERIFIED",
    Outcome.NOTHING_TO_VERIFY: "NO MANIFEST",
    Outcome.TAMPERED: "CHANGED",
    Outcome.UNTRUSTED_SIGNER: "NOT TRUSTED",
    Outcome.OUTSIDE_VALIDITY: "OUT OF DATE",
    Outcome.MALFORMED: "MALFORMED",
    Outcome.INCONCLUSIVE: "INCONCLUSIVE",
    Outcome.REFUSED: "REFUSED",
}
_TONES = {Status.HELD: "good", Status.FAILED: "bad", Status.WARNED: "note"}


def print_verdict(
    output: Output, verdict: ContentVerdict, second: SecondOpinion | None = None
) -> None:
    """Print a verdict: the answer, then each question with its own."""
    from countermark.provenance.documents import content_document

    output.document(
        {
            "schema": "countermark/content-verdict/v1",
            "exit_code": EXIT_OF[verdict.outcome],
            **content_document(verdict),
            "second_opinion": None if second is None else _second_document(second),
        }
    )
    if output.format == "quiet" and verdict.outcome is not Outcome.VERIFIED:
        output.complaint(verdict.code, verdict.sentence)
    if output.format != "human":
        return
    _print_human(output, verdict)
    if second is not None:
        _print_second(output, second)


def _print_human(output: Output, verdict: ContentVerdict) -> None:
    from countermark.provenance.verdict import Axis

    good = verdict.outcome is Outcome.VERIFIED
    what = printable(verdict.subject) + ("" if good else f"  [{verdict.code}]")
    output.line(_HEADLINES[verdict.outcome], what, tone="good" if good else "bad")
    if not verdict.manifest:
        output.line("", verdict.sentence)
    for axis in Axis if verdict.manifest else ():
        for check in _telling(verdict.on(axis)):
            output.line(axis.value, check.sentence, tone=_TONES[check.status])
    if verdict.signer is not None:
        output.line("signed by", _who(verdict.signer))
    if verdict.disclosure is not None and verdict.disclosure.generator:
        output.line("made with", verdict.disclosure.generator)
    for diagnosis in verdict.forensics:
        output.line("mark", diagnosis.sentence, tone="note")
        if diagnosis.repair:
            after = diagnosis.repaired_outcome
            then = f" (then: {after.value})" if after is not None else ""
            output.line("repair", f"{diagnosis.repair}{then}", tone="note")
    for check in verdict.flat:
        if check.status is Status.NOT_CHECKED and check.hint:
            output.note(f"{check.sentence} (not checked)", check.hint)
    failures = [check for check in verdict.flat if check.status is Status.FAILED]
    for hint in dict.fromkeys(check.hint for check in failures):
        output.hint(hint)


def _telling(checks: Sequence[Check]) -> list[Check]:
    """Return what decides an axis: what failed, else the last that held; and every warning."""
    failures = [check for check in checks if check.status is Status.FAILED]
    held = [check for check in checks if check.status is Status.HELD]
    warnings = [check for check in checks if check.status is Status.WARNED]
    return (failures or held[-1:]) + warnings


def _who(signer: ContentSigner) -> str:
    name = ", ".join(filter(None, (signer.common_name, signer.organization))) or "nobody named"
    issuer = f", certified by {signer.issuer}" if signer.issuer else ""
    listed = f", found in {signer.trusted_by}" if signer.trusted_by else ""
    when = f", timestamp {signer.timestamp}" if signer.timestamp else ""
    return f"{name} ({signer.algorithm}){issuer}{listed}{when}"


def _print_second(output: Output, second: SecondOpinion) -> None:
    output.line("second", second.sentence, tone="good" if second.agrees else "bad")


def _second_document(second: SecondOpinion) -> dict[str, object]:
    return {**second._asdict(), "sentence": second.sentence}
