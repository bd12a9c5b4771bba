"""What was checked, what held, what did not, and what was not covered.

A verdict is a value that explains itself. It is never a boolean: `bool(verdict)` raises,
so a forgotten comparison cannot turn a bad signature into a good one. Whoever wants the
content calls `verify`, which raises unless the outcome is `VERIFIED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, NoReturn


class Outcome(Enum):
    """The whole verdict in one word. Values are stable names; specs/cli.md maps exit codes."""

    VERIFIED = "verified"
    NOTHING_TO_VERIFY = "nothing-to-verify"
    TAMPERED = "tampered"
    UNTRUSTED_SIGNER = "untrusted-signer"
    OUTSIDE_VALIDITY = "outside-validity"
    MALFORMED = "malformed"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"


# The first of these among the failed checks names the verdict: what cannot be read comes
# before what does not match, and what does not match before who said it.
_PRECEDENCE = (
    Outcome.MALFORMED,
    Outcome.TAMPERED,
    Outcome.UNTRUSTED_SIGNER,
    Outcome.OUTSIDE_VALIDITY,
    Outcome.REFUSED,
    Outcome.INCONCLUSIVE,
    Outcome.NOTHING_TO_VERIFY,
)


class Status(Enum):
    """What became of one check."""

    HELD = "held"
    FAILED = "failed"
    WARNED = "warned"
    NOT_CHECKED = "not-checked"


class Check(NamedTuple):
    """One question, and its answer.

    Attributes:
        code: Stable name of the question's answer, e.g. `signature-valid`, `wrong-key`.
        status: Whether it held.
        sentence: One plain sentence: what was found, then what was expected. File names
            in it are already escaped (`names.printable`).
        hint: What to do; may be empty.
        outcome: What the verdict becomes if this check failed; ignored otherwise.

    """

    code: str
    status: Status
    sentence: str
    hint: str = ""
    outcome: Outcome = Outcome.REFUSED


def held(code: str, sentence: str) -> Check:
    """Return a check that held."""
    return Check(code=code, status=Status.HELD, sentence=sentence)


def failed(code: str, outcome: Outcome, sentence: str, hint: str = "") -> Check:
    """Return a check that failed and decides for `outcome`."""
    return Check(code=code, status=Status.FAILED, sentence=sentence, hint=hint, outcome=outcome)


def warned(code: str, sentence: str, hint: str = "") -> Check:
    """Return something the reader should know and that refuses nothing."""
    return Check(code=code, status=Status.WARNED, sentence=sentence, hint=hint)


def not_checked(code: str, sentence: str, hint: str = "") -> Check:
    """Return a question that was not asked, with the reason why."""
    return Check(code=code, status=Status.NOT_CHECKED, sentence=sentence, hint=hint)


def outcome_of(checks: Sequence[Check]) -> Outcome:
    """Return the most serious failed check's outcome; `VERIFIED` only if something held."""
    failures = {check.outcome for check in checks if check.status is Status.FAILED}
    for outcome in _PRECEDENCE:
        if outcome in failures:
            return outcome
    if any(check.status is Status.HELD for check in checks):
        return Outcome.VERIFIED
    return Outcome.NOTHING_TO_VERIFY


def decisive_check(checks: Sequence[Check]) -> Check | None:
    """Return the check that gives the outcome its name; None if nothing failed."""
    outcome = outcome_of(checks)
    for check in checks:
        if check.status is Status.FAILED and check.outcome is outcome:
            return check
    return None


class TensorChange(NamedTuple):
    """One tensor that is not the one that was signed.

    Attributes:
        name: Tensor name as in the safetensors header, unescaped.
        change: `changed`, `missing`, `added`, `reshaped` (same bytes, other dtype or shape).
        size_bytes: Length of the tensor's data in the file at hand (0 if missing).

    """

    name: str
    change: str
    size_bytes: int


class Finding(NamedTuple):
    """One file that is not as signed.

    Attributes:
        path: POSIX path below the model root, unescaped.
        kind: `changed`, `missing`, `extra`, `renamed`, `truncated`, `lfs-pointer`,
            `line-endings`, `normalisation`.
        sentence: One plain sentence about it, escaped.
        hint: What to do; may be empty.
        other_path: For `renamed` and `normalisation`: the other name, unescaped.
        tensors: For safetensors files whose tensor roots were signed.
        tensors_total: How many tensors the signed file has; None if unknown.
        changed_bytes: How many bytes are known to differ; None if unknown.
        size_bytes: Length of the signed file, or of the file at hand if that is unknown.

    """

    path: str
    kind: str
    sentence: str
    hint: str = ""
    other_path: str | None = None
    tensors: tuple[TensorChange, ...] = ()
    tensors_total: int | None = None
    changed_bytes: int | None = None
    size_bytes: int | None = None


class Uncovered(NamedTuple):
    """One path that the signature says nothing about.

    Attributes:
        path: POSIX path below the model root, unescaped; a directory ends in `/`.
        reason: `ignored-by-signer`, `ignored-by-you`, `git`, `hub-metadata`,
            `incomplete-download`, `unsigned`, `not-present`, `empty-directory`.
        kind: `weights`, `pickle`, `code`, `config`, `other` (see `filekinds`).

    """

    path: str
    reason: str
    kind: str


class Coverage(NamedTuple):
    """How much of what lies here the signature speaks for.

    Attributes:
        files_signed: Files in the signed manifest.
        files_checked: How many of them were here and were digested or found in the cache.
        files_cached: How many of those were taken from the digest cache.
        bytes_checked: Sum of their lengths in bytes.
        digests: Which signed digests were recomputed, e.g. `("sha256",)`.
        uncovered: Everything here, or named by the signer, that was not checked.
        flagged: Signed files that deserve a look, as (path, kind): pickles, code.

    """

    files_signed: int
    files_checked: int
    files_cached: int = 0
    bytes_checked: int = 0
    digests: tuple[str, ...] = ()
    uncovered: tuple[Uncovered, ...] = ()
    flagged: tuple[tuple[str, str], ...] = ()


class Signer(NamedTuple):
    """Who signed, as far as the evidence shows it.

    Attributes:
        method: `key` or `certificate`.
        key_id: sha256 of the public key's PEM text, 64 lowercase hex digits.
        algorithm: E.g. `ecdsa-p256-sha256`.
        identities: Subject alternative names of the certificate, e.g. `email:a@b.c`.
        issuer: RFC 4514 name of the certificate's issuer; empty for bare keys.
        trusted: Whether the caller's keys or roots vouch for this signer.

    """

    method: str
    key_id: str
    algorithm: str
    identities: tuple[str, ...] = ()
    issuer: str = ""
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to "may I rely on this?", with its reasons.

    Attributes:
        subject: What was examined, as the caller named it.
        checks: In the order they were made; failures decide the outcome.
        findings: One per file that is not as signed.
        coverage: What the signature speaks for; None if that was never reached.
        signers: Everybody whose signature was looked at.
        model_digest: sha256 root of the signed manifest (OMS subject), hex; empty if unread.

    """

    subject: str
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...] = ()
    coverage: Coverage | None = None
    signers: tuple[Signer, ...] = field(default=())
    model_digest: str = ""

    @property
    def outcome(self) -> Outcome:
        """The most serious failed check's outcome; `VERIFIED` only if something held."""
        return outcome_of(self.checks)

    @property
    def decisive(self) -> Check | None:
        """The check that gave the outcome its name; None if nothing failed."""
        return decisive_check(self.checks)

    @property
    def code(self) -> str:
        """Stable code of the decisive check, or the outcome's own name."""
        return self.decisive.code if self.decisive else self.outcome.value

    @property
    def sentence(self) -> str:
        """The decisive check's sentence, or a plain one for success."""
        if self.decisive:
            return self.decisive.sentence
        return "nothing was there to verify" if self.outcome is not Outcome.VERIFIED else "verified"

    @property
    def hint(self) -> str:
        """What to do about the decisive check; may be empty."""
        return self.decisive.hint if self.decisive else ""

    def __bool__(self) -> NoReturn:
        """Refuse to be a boolean."""
        raise TypeError("a Verdict is not a bool; look at .outcome, or call verify()")


def check_document(check: Check) -> dict[str, object]:
    """Return one check as JSON-ready values."""
    document: dict[str, object] = {
        "code": check.code,
        "status": check.status.value,
        "sentence": check.sentence,
    }
    if check.hint:
        document["hint"] = check.hint
    return document
