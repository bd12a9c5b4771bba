"""What was found out about a piece of content, axis by axis.

One question per axis, so that "changed since it was signed", "signed by somebody nobody vouches
for" and "signed with a certificate that has expired" are never the same answer. The outcome is
derived from the checks that failed (`signing.verdict`); a verdict is never a boolean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, NoReturn

from countermark.signing.verdict import Check, Outcome, Status, decisive_check, outcome_of

__all__ = [
    "Axis",
    "AxisCheck",
    "ContentSigner",
    "ContentVerdict",
    "Diagnosis",
    "Disclosure",
    "IngredientReport",
    "TrustUsed",
]


class Axis(Enum):
    """One question that is asked of every piece of content."""

    INTEGRITY = "integrity"  # Are these the bytes that were signed?
    SIGNATURE = "signature"  # Is the claim whole, and signed by the key of its certificate?
    SIGNER = "signer"  # Does somebody whom the reader trusts vouch for the certificate?
    TIME = "time"  # Was it valid when it signed, and who says when that was?
    INGREDIENTS = "ingredients"  # What it was made from: did that hold?
    IDENTITY = "identity"  # CAWG: who says they made it?
    DISCLOSURE = "disclosure"  # Does it say that a model made it?
    MODEL = "model"  # Is the model it names the one at hand?


class AxisCheck(NamedTuple):
    """A check, and which question it belongs to."""

    axis: Axis
    check: Check


class ContentSigner(NamedTuple):
    """Who signed the active manifest, as its certificate says.

    Attributes:
        common_name: Of the certificate's subject; escaped.
        organization: Of the certificate's subject; escaped.
        issuer: Common name of the certificate's issuer; escaped.
        serial: Serial number, lowercase hex.
        algorithm: COSE algorithm in small letters, e.g. `es256`.
        not_before: ISO 8601 with offset; empty if unread.
        not_after: ISO 8601 with offset; empty if unread.
        timestamp: Time of a trusted timestamp, ISO 8601 with offset; empty without one.
        trusted_by: Name of the trust list that vouches for it; empty if none does.

    """

    common_name: str = ""
    organization: str = ""
    issuer: str = ""
    serial: str = ""
    algorithm: str = ""
    not_before: str = ""
    not_after: str = ""
    timestamp: str = ""
    trusted_by: str = ""


class Disclosure(NamedTuple):
    """What the manifest says of how the content came about. Nothing here was verified.

    Attributes:
        digital_source_type: Last part of the IPTC address, e.g. `trainedAlgorithmicMedia`.
        model_name: From `c2pa.ai-disclosure`; escaped.
        model_identifier: From `c2pa.ai-disclosure`, e.g. a package URL; escaped.
        generator: Name and version of the claim generator; escaped.

    """

    digital_source_type: str = ""
    model_name: str = ""
    model_identifier: str = ""
    generator: str = ""


class IngredientReport(NamedTuple):
    """What the content was made from, and whether its own credentials held.

    Attributes:
        title: As the signer named it; escaped.
        relationship: `parentOf`, `componentOf` or `inputTo`.
        manifest: Label of its manifest; empty if it has none.
        checks: What was checked of it.

    """

    title: str
    relationship: str
    manifest: str
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """The ingredient's own verdict."""
        return outcome_of(self.checks)


class TrustUsed(NamedTuple):
    """Which trust bundle a verdict rests on, so that it can be reproduced.

    Attributes:
        name: The bundle's own name; escaped.
        dated: Its date, ISO 8601.
        sha256: Of the bundle's file, 64 lowercase hex digits.

    """

    name: str
    dated: str
    sha256: str


class Diagnosis(NamedTuple):
    """What seems to have happened to a broken mark.

    Attributes:
        code: Stable name, e.g. `marker-removed`.
        sentence: What was found, in plain words.
        repair: What would make the mark whole again; empty if nothing would.
        repaired_outcome: What a verdict on the repaired content says; None if it was not tried.

    """

    code: str
    sentence: str
    repair: str = ""
    repaired_outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentVerdict:
    """The answer to "where does this come from, and is it as it was signed?", with reasons.

    Attributes:
        subject: What was examined, as the caller named it.
        media_type: IANA media type the content was read as.
        carrier: How the manifest came: `embedded`, `text-wrapper`, `text-block`, `html-script`,
            `safetensors`, `onnx`, `sidecar`, `remote`; empty if there was none.
        checks: Every check that was made, with its axis, in the order of `Axis`.
        manifest: Label of the active manifest; empty if unread.
        manifest_bytes: Length of the manifest store.
        signer: Of the active manifest; None if unread.
        disclosure: What it says of its making; None if unread.
        ingredients: In the manifest's order.
        trust: Name and sha256 of the trust bundle that was used; None without one.
        engines: Name and version of what judged it, e.g. `c2pa-rs 0.91.3`.
        forensics: What happened to a broken mark, and what would repair it. It never changes
            the outcome.

    """

    subject: str
    media_type: str
    carrier: str = ""
    checks: tuple[AxisCheck, ...] = ()
    manifest: str = ""
    manifest_bytes: int = 0
    signer: ContentSigner | None = None
    disclosure: Disclosure | None = None
    ingredients: tuple[IngredientReport, ...] = ()
    trust: TrustUsed | None = None
    engines: tuple[str, ...] = ()
    forensics: tuple[Diagnosis, ...] = ()

    @property
    def flat(self) -> tuple[Check, ...]:
        """The checks without their axes."""
        return tuple(check for _, check in self.checks)

    @property
    def outcome(self) -> Outcome:
        """The most serious failed check's outcome."""
        return outcome_of(self.flat)

    @property
    def decisive(self) -> Check | None:
        """The check that gave the outcome its name; None if nothing failed."""
        return decisive_check(self.flat)

    @property
    def code(self) -> str:
        """Stable code of the decisive check, or the outcome's own name."""
        return self.decisive.code if self.decisive else self.outcome.value

    @property
    def sentence(self) -> str:
        """The decisive check's sentence, or a plain one for success."""
        if self.decisive:
            return self.decisive.sentence
        return "as signed" if self.outcome is Outcome.VERIFIED else "no manifest was found"

    @property
    def hint(self) -> str:
        """What to do about the decisive check; may be empty."""
        return self.decisive.hint if self.decisive else ""

    def on(self, axis: Axis) -> tuple[Check, ...]:
        """Return the checks of one axis."""
        return tuple(check for of, check in self.checks if of is axis)

    def status_on(self, axis: Axis) -> Status:
        """Return an axis in one word: failed if any check failed, else held if any held."""
        statuses = {check.status for check in self.on(axis)}
        for status in (Status.FAILED, Status.HELD, Status.WARNED):
            if status in statuses:
                return status
        return Status.NOT_CHECKED

    def __bool__(self) -> NoReturn:
        """Refuse to be a boolean."""
        raise TypeError("a ContentVerdict is not a bool; look at .outcome, or call verify()")
