"""The verdict's checks from what c2pa reports and what we checked ourselves.

Nothing holds because nothing failed: each axis that decides needs to have been said to hold. Where
we check the hard binding (text, code, HTML, models, sidecars), our answer stands in place of
c2pa's, which looks for the manifest where such content does not have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from countermark.provenance.report import ReadIngredient, ReadManifest, Report, Status
from countermark.provenance.statuses import HOLDING, STATUSES, UNKNOWN
from countermark.provenance.verdict import Axis, AxisCheck, Disclosure, IngredientReport
from countermark.signing.verdict import (
    Check,
    Outcome,
    failed,
    held,
    not_checked,
    warned,
)
from countermark.signing.verdict import (
    Status as Answer,
)

__all__ = [
    "disclosure_check",
    "ingredient_checks",
    "ingredient_reports",
    "judge_report",
    "timestamp_of",
    "without_echoes",
]

# What c2pa says of a data hash whose manifest lies where it does not look.
_OURS_TO_JUDGE = frozenset({"assertion.dataHash.match", "assertion.dataHash.mismatch"})
_HELD_SENTENCES = {
    "content-matches": "the content is the one that was signed",
    "claim-signed": "the claim is whole, and signed by the key of its certificate",
    "signer-trusted": "somebody whom you trust vouches for the signer",
    "signed-in-time": "the signer's certificate was valid when it signed",
    "timestamp-trusted": "an authority whom you trust says when it was signed",
    "identity-well-formed": "an identity assertion can be read; nobody vouches for it here",
    "identity-trusted": "the identity assertion holds",
}


def judge_report(
    report: Report, *, binding: Sequence[Check] | None, has_trust: bool
) -> Iterator[AxisCheck]:
    """Yield the checks of the active manifest.

    Args:
        report: What c2pa reports.
        binding: Our own checks of the hard binding; None where c2pa's stand.
        has_trust: Whether anybody was named who may be trusted.

    """
    statuses = report.active.statuses
    if binding is not None:
        yield from (AxisCheck(Axis.INTEGRITY, check) for check in binding)
        statuses = tuple(s for s in statuses if s.code not in _OURS_TO_JUDGE)
    checks = list(_checks(statuses, has_trust))
    yield from checks
    answers = {(axis, check.status) for axis, check in checks}
    if binding is None:
        yield from _unless_answered(
            answers,
            Axis.INTEGRITY,
            failed("binding-missing", Outcome.MALFORMED, _MISSING[Axis.INTEGRITY]),
        )
    yield from _unless_answered(
        answers,
        Axis.SIGNATURE,
        failed("claim-not-shown", Outcome.MALFORMED, _MISSING[Axis.SIGNATURE]),
    )
    yield from _unless_answered(
        answers,
        Axis.SIGNER,
        failed("signer-untrusted", Outcome.UNTRUSTED_SIGNER, _MISSING[Axis.SIGNER]),
    )
    yield from _unless_answered(
        answers,
        Axis.TIME,
        failed("time-not-shown", Outcome.INCONCLUSIVE, _MISSING[Axis.TIME]),
    )
    if not any(axis is Axis.IDENTITY for axis, _ in answers):
        yield AxisCheck(
            Axis.IDENTITY, not_checked("identity-absent", "nobody says who they are (CAWG)")
        )


_MISSING = {
    Axis.INTEGRITY: "nothing in the manifest speaks for the content's bytes",
    Axis.SIGNATURE: "nothing says that the claim's signature holds",
    Axis.SIGNER: "nothing says that anybody vouches for the signer",
    Axis.TIME: "nothing says that the certificate was valid when it signed",
}


def without_echoes(checks: Sequence[AxisCheck]) -> list[AxisCheck]:
    """Leave out that the signer is not trusted where all that is wrong is when it signed.

    c2pa says so of every certificate that is not valid at the time in question, whoever vouches
    for it. If our own look at its CA says that somebody does, the failure is on the axis of time,
    and stays there.
    """
    answers = {(one.axis, one.check.code, one.check.status) for one in checks}
    vouched = {"signer-listed", "signer-allowed"}
    late = (Axis.TIME, "signer-expired", Answer.FAILED) in answers
    if not late or not any((Axis.SIGNER, code, Answer.HELD) in answers for code in vouched):
        return list(checks)
    return [one for one in checks if one.check.code != "signer-untrusted"]


def disclosure_check(disclosure: Disclosure) -> AxisCheck:
    """Return what the manifest says of its making, as a check that never fails."""
    match disclosure.digital_source_type:
        case "":
            check = not_checked("source-undisclosed", "it does not say how it was made")
        case (
            "trainedAlgorithmicMedia"
            | "trainedAlgorithmicData"
            | "compositeWithTrainedAlgorithmicMedia"
        ) as source:
            by = f" by {disclosure.model_name}" if disclosure.model_name else ""
            check = held("ai-disclosed", f"its signer says that a model made it{by} ({source})")
        case source:
            check = held("source-disclosed", f"its signer says how it was made: {source}")
    return AxisCheck(Axis.DISCLOSURE, check)


def ingredient_reports(report: Report) -> tuple[IngredientReport, ...]:
    """Return what became of each ingredient of the active manifest."""
    return tuple(_ingredient(one) for one in report.active.ingredients)


def ingredient_checks(ingredients: Sequence[IngredientReport]) -> Iterator[AxisCheck]:
    """Yield what ingredients mean for the content: a changed manifest fails it, the rest warns."""
    if not ingredients:
        yield AxisCheck(
            Axis.INGREDIENTS, not_checked("ingredients-absent", "it names no ingredients")
        )
    for one in ingredients:
        name = one.title or "an ingredient"
        for check in one.checks:
            named = check._replace(sentence=f"{name}: {check.sentence}")
            if check.status is Answer.FAILED and check.outcome is not Outcome.TAMPERED:
                named = warned(check.code, named.sentence, check.hint)
            yield AxisCheck(Axis.INGREDIENTS, named)


def timestamp_of(manifest: ReadManifest) -> str:
    """Return the time of a trusted timestamp, as reported; empty without one."""
    said = {(status.kind, status.code) for status in manifest.statuses}
    if not {("success", "timeStamp.trusted"), ("success", "timeStamp.validated")} <= said:
        return ""
    stamp = manifest.signature.get("timeStampInfo")
    moment = stamp.get("timestamp") if isinstance(stamp, dict) else None
    return moment[:40] if isinstance(moment, str) else ""


def _checks(statuses: Sequence[Status], has_trust: bool) -> Iterator[AxisCheck]:
    seen: set[tuple[Axis, str]] = set()
    for status in statuses:
        one = _check(status, has_trust)
        if one is not None and (one.axis, one.check.code) not in seen:
            seen.add((one.axis, one.check.code))
            yield one


def _check(status: Status, has_trust: bool) -> AxisCheck | None:
    if status.kind == "success":
        if status.code not in HOLDING:
            return None
        axis, code = HOLDING[status.code]
        return AxisCheck(axis, held(code, _HELD_SENTENCES[code]))
    if status.kind == "failure":
        return _failure(status, has_trust)
    if status.code.endswith("additionalExclusionsPresent"):
        sentence = "the hash leaves out more of the file than the manifest itself"
        return AxisCheck(Axis.INTEGRITY, warned("exclusions-additional", sentence))
    if status.code == "algorithm.deprecated":
        sentence = "it uses an algorithm that should no longer be used"
        return AxisCheck(Axis.SIGNATURE, warned("algorithm-deprecated", sentence))
    meaning = STATUSES.get(status.code)
    if meaning is None:
        return None
    return AxisCheck(meaning.axis, warned(meaning.code, meaning.sentence, meaning.hint))


def _failure(status: Status, has_trust: bool) -> AxisCheck:
    if status.code == "signingCredential.untrusted" and not has_trust:
        return AxisCheck(
            Axis.SIGNER,
            failed(
                "no-trust-given",
                Outcome.UNTRUSTED_SIGNER,
                "you named nobody whom you trust to vouch for signers",
                "this does not say that the content was changed; name a trust bundle with --trust",
            ),
        )
    if status.code.startswith("cawg."):
        return AxisCheck(
            Axis.IDENTITY,
            warned(
                "identity-not-shown",
                f"who says they made it is not shown ({status.code})",
                "the signer of the content is another question",
            ),
        )
    meaning = STATUSES.get(status.code, UNKNOWN)
    sentence = f"{meaning.sentence} ({status.code})" if meaning is UNKNOWN else meaning.sentence
    return AxisCheck(meaning.axis, failed(meaning.code, meaning.outcome, sentence, meaning.hint))


def _unless_answered(
    answers: set[tuple[Axis, Answer]], axis: Axis, check: Check
) -> Iterator[AxisCheck]:
    if not {(axis, Answer.HELD), (axis, Answer.FAILED)} & answers:
        yield AxisCheck(axis, check)


def _ingredient(one: ReadIngredient) -> IngredientReport:
    checks: list[Check] = []
    shown = {s.code for s in one.seen if s.kind == "success"}
    if not one.manifest:
        checks.append(not_checked("ingredient-bare", "it has no credentials of its own"))
    elif "ingredient.manifest.validated" in shown:
        checks.append(held("ingredient-whole", "its manifest is the one that was taken in"))
    codes = dict.fromkeys(s.code for s in (*one.seen, *one.recorded) if s.kind == "failure")
    for code in codes:
        meaning = STATUSES.get(code, UNKNOWN)
        outcome = meaning.outcome
        if code not in {s.code for s in one.seen}:
            # It was broken when it was taken in, and the signer said so.
            checks.append(warned(meaning.code, f"{meaning.sentence}, as its signer recorded"))
            continue
        checks.append(failed(meaning.code, outcome, meaning.sentence, meaning.hint))
    if one.manifest and not checks:
        checks.append(
            failed(
                "ingredient-not-shown",
                Outcome.TAMPERED,
                "nothing says that its manifest is the one that was taken in",
            )
        )
    return IngredientReport(one.title, one.relationship, one.manifest, tuple(checks))
