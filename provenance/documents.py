"""Verdicts on content as JSON-ready values: `countermark/content-verdict/v1` (specs/cli.md)."""

from __future__ import annotations

from collections.abc import Mapping

from countermark.provenance.verdict import Axis, ContentVerdict, Diagnosis, IngredientReport
from countermark.signing.verdict import check_document

__all__ = ["content_document"]


def content_document(verdict: ContentVerdict) -> dict[str, object]:
    """Return a verdict as JSON-ready values, without an exit code."""
    return {
        "verdict": verdict.outcome.value,
        "code": verdict.code,
        "subject": verdict.subject,
        "sentence": verdict.sentence,
        "hint": verdict.hint,
        "media_type": verdict.media_type,
        "carrier": verdict.carrier,
        "manifest": verdict.manifest,
        "manifest_bytes": verdict.manifest_bytes,
        "axes": {axis.value: _axis(verdict, axis) for axis in Axis},
        "signer": None if verdict.signer is None else verdict.signer._asdict(),
        "disclosure": None if verdict.disclosure is None else verdict.disclosure._asdict(),
        "ingredients": [_ingredient(one) for one in verdict.ingredients],
        "trust": None if verdict.trust is None else verdict.trust._asdict(),
        "engines": list(verdict.engines),
        "forensics": [_diagnosis(one) for one in verdict.forensics],
    }


def _axis(verdict: ContentVerdict, axis: Axis) -> Mapping[str, object]:
    return {
        "status": verdict.status_on(axis).value,
        "checks": [check_document(check) for check in verdict.on(axis)],
    }


def _ingredient(one: IngredientReport) -> Mapping[str, object]:
    return {
        "title": one.title,
        "relationship": one.relationship,
        "manifest": one.manifest,
        "verdict": one.outcome.value,
        "checks": [check_document(check) for check in one.checks],
    }


def _diagnosis(one: Diagnosis) -> Mapping[str, object]:
    return {
        "code": one.code,
        "sentence": one.sentence,
        "repair": one.repair,
        "repaired_verdict": None if one.repaired_outcome is None else one.repaired_outcome.value,
    }
