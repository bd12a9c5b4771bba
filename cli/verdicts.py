"""Verdicts, as people and as programs read them."""

from __future__ import annotations

from pathlib import Path

from countermark import Error
from countermark.cli.exits import EXIT_OF
from countermark.cli.output import Output, human_bytes
from countermark.signing.names import printable
from countermark.signing.verdict import (
    Coverage,
    Finding,
    Outcome,
    Signer,
    Status,
    Verdict,
    check_document,
    failed,
)

__all__ = ["print_verdict", "unsigned", "verdict_document"]

_HEADLINES = {
    Outcome.VERIFIED: "VERIFIED",
    Outcome.NOTHING_TO_VERIFY: "UNSIGNED",
    Outcome.TAMPERED: "TAMPERED",
    Outcome.UNTRUSTED_SIGNER: "NOT TRUSTED",
    Outcome.OUTSIDE_VALIDITY: "OUT OF DATE",
    Outcome.MALFORMED: "MALFORMED",
    Outcome.INCONCLUSIVE: "INCONCLUSIVE",
    Outcome.REFUSED: "REFUSED",
}
_MAX_SHOWN = 12


def print_verdict(output: Output, verdict: Verdict) -> None:
    """Print a verdict: what failed first, then why, then what to do."""
    output.document(verdict_document(verdict))
    if output.format == "human":
        _print_human(output, verdict)
    elif output.format == "quiet" and verdict.outcome is not Outcome.VERIFIED:
        output.complaint(verdict.code, verdict.sentence)


def unsigned(model: Path, error: Error) -> Verdict:
    """Return the verdict on a model for which no signature was found."""
    check = failed(error.code, Outcome.NOTHING_TO_VERIFY, str(error), error.hint)
    return Verdict(subject=str(model), checks=(check,))


def _print_human(output: Output, verdict: Verdict) -> None:
    good = verdict.outcome is Outcome.VERIFIED
    coverage = verdict.coverage
    what = printable(verdict.subject)
    if good and coverage is not None:
        cached = f", {coverage.files_cached} cached" if coverage.files_cached else ""
        what += (
            f" ({coverage.files_checked} of {coverage.files_signed} signed files, "
            f"{human_bytes(coverage.bytes_checked)}{cached})"
        )
    elif not good:
        what += f"  [{verdict.code}]"
    output.line(_HEADLINES[verdict.outcome], what, tone="good" if good else "bad")
    failures = [check for check in verdict.checks if check.status is Status.FAILED]
    for check in failures[:_MAX_SHOWN]:
        output.line("", check.sentence, tone="bad")
    if len(failures) > _MAX_SHOWN:
        output.line("", f"… and {len(failures) - _MAX_SHOWN} more; --json shows all")
    for finding in verdict.findings[:_MAX_SHOWN]:
        for change in finding.tensors[1:_MAX_SHOWN]:
            output.line("", f"  tensor {printable(change.name)} is {change.change}")
    for signer in verdict.signers:
        output.line("signed by" if signer.trusted else "claims", _who(signer))
    if coverage is not None and coverage.digests:
        output.line("compared", ", ".join(coverage.digests))
    for check in verdict.checks:
        if check.status is Status.WARNED:
            output.note(check.sentence, check.hint)
        elif check.status is Status.NOT_CHECKED:
            output.note(f"{check.sentence} (not checked)", check.hint)
    for hint in dict.fromkeys(check.hint for check in failures[:_MAX_SHOWN]):
        output.hint(hint)


def _who(signer: Signer) -> str:
    names = ", ".join(printable(name) for name in signer.identities)
    key = f"key {signer.key_id[:16]}…" if signer.key_id else "an unnamed key"
    algorithm = f" ({signer.algorithm})" if signer.algorithm else ""
    issuer = f", certified by {printable(signer.issuer)}" if signer.issuer else ""
    return f"{names + ', ' if names else ''}{key}{algorithm}{issuer}"


def verdict_document(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as `countermark/verdict/v1` (specs/cli.md section 3)."""
    return {
        "schema": "countermark/verdict/v1",
        "verdict": verdict.outcome.value,
        "code": verdict.code,
        "exit_code": EXIT_OF[verdict.outcome],
        "subject": verdict.subject,
        "sentence": verdict.sentence,
        "hint": verdict.hint,
        "model_digest": verdict.model_digest,
        "checks": [check_document(check) for check in verdict.checks],
        "findings": [_finding(finding) for finding in verdict.findings],
        "signers": [_signer(signer) for signer in verdict.signers],
        "coverage": None if verdict.coverage is None else _coverage(verdict.coverage),
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "path": finding.path,
        "kind": finding.kind,
        "sentence": finding.sentence,
        "hint": finding.hint,
        "other_path": finding.other_path,
        "size_bytes": finding.size_bytes,
        "changed_bytes": finding.changed_bytes,
        "tensors_total": finding.tensors_total,
        "tensors": [
            {"name": change.name, "change": change.change, "size_bytes": change.size_bytes}
            for change in finding.tensors
        ],
    }


def _signer(signer: Signer) -> dict[str, object]:
    return {
        "method": signer.method,
        "key_id": signer.key_id,
        "algorithm": signer.algorithm,
        "identities": list(signer.identities),
        "issuer": signer.issuer,
        "trusted": signer.trusted,
    }


def _coverage(coverage: Coverage) -> dict[str, object]:
    return {
        "files_signed": coverage.files_signed,
        "files_checked": coverage.files_checked,
        "files_cached": coverage.files_cached,
        "bytes_checked": coverage.bytes_checked,
        "digests": list(coverage.digests),
        "uncovered": [
            {"path": item.path, "reason": item.reason, "kind": item.kind}
            for item in coverage.uncovered
        ],
        "flagged": [{"path": path, "kind": kind} for path, kind in coverage.flagged],
    }
