"""What each C2PA status code means: for which axis, how serious, in plain words.

The codes are those of C2PA 2.4 section 15.2 and of CAWG Identity 1.2, as c2pa-rs reports them. A
failure that is not in the table is malformed evidence: what nobody can explain is not accepted.
"""

from __future__ import annotations

from typing import NamedTuple

from countermark.provenance.verdict import Axis
from countermark.signing.verdict import Outcome

__all__ = ["HOLDING", "STATUSES", "UNKNOWN", "Meaning"]


class Meaning(NamedTuple):
    """What a status says.

    Attributes:
        axis: Which question it answers.
        code: Our own stable code.
        outcome: What the verdict becomes if it is a failure.
        sentence: In plain words.
        hint: What to do; may be empty.

    """

    axis: Axis
    code: str
    outcome: Outcome
    sentence: str
    hint: str = ""


_ASK = "ask whoever published it for the file as it was signed"
_TAMPERED, _MALFORMED = Outcome.TAMPERED, Outcome.MALFORMED
_UNTRUSTED, _LATE = Outcome.UNTRUSTED_SIGNER, Outcome.OUTSIDE_VALIDITY
_OPEN = Outcome.INCONCLUSIVE

UNKNOWN = Meaning(
    Axis.SIGNATURE,
    "status-unknown",
    _MALFORMED,
    "c2pa reports a failure that is not in our table",
    "a newer countermark may know it",
)

# What must have been said for an axis to hold, and our code for it.
HOLDING = {
    "assertion.dataHash.match": (Axis.INTEGRITY, "content-matches"),
    "assertion.bmffHash.match": (Axis.INTEGRITY, "content-matches"),
    "assertion.boxesHash.match": (Axis.INTEGRITY, "content-matches"),
    "assertion.collectionHash.match": (Axis.INTEGRITY, "content-matches"),
    "claimSignature.validated": (Axis.SIGNATURE, "claim-signed"),
    "signingCredential.trusted": (Axis.SIGNER, "signer-trusted"),
    "claimSignature.insideValidity": (Axis.TIME, "signed-in-time"),
    "timeStamp.trusted": (Axis.TIME, "timestamp-trusted"),
    "cawg.identity.well-formed": (Axis.IDENTITY, "identity-well-formed"),
    "cawg.identity.trusted": (Axis.IDENTITY, "identity-trusted"),
    "cawg.ica.credential_valid": (Axis.IDENTITY, "identity-trusted"),
}


def _table(
    axis: Axis, outcome: Outcome, rows: dict[str, tuple[str, str, str]]
) -> dict[str, Meaning]:
    return {status: Meaning(axis, row[0], outcome, row[1], row[2]) for status, row in rows.items()}


_CONTENT = _table(
    Axis.INTEGRITY,
    _TAMPERED,
    {
        "assertion.dataHash.mismatch": (
            "content-changed",
            "the content is not the one that was signed",
            _ASK,
        ),
        "assertion.bmffHash.mismatch": (
            "content-changed",
            "the content is not the one that was signed",
            _ASK,
        ),
        "assertion.boxesHash.mismatch": (
            "content-changed",
            "a part of the content is not the one that was signed",
            _ASK,
        ),
        "assertion.boxesHash.unknownBox": (
            "content-added",
            "the content has a part that was not signed",
            _ASK,
        ),
        "assertion.collectionHash.mismatch": (
            "content-changed",
            "a file of the collection is not the one that was signed",
            _ASK,
        ),
        "assertion.collectionHash.incorrectFileCount": (
            "content-added",
            "the collection has more or fewer files than were signed",
            _ASK,
        ),
    },
)
_BINDING = _table(
    Axis.INTEGRITY,
    _MALFORMED,
    {
        "assertion.dataHash.malformed": ("binding-malformed", "its hash cannot be read", ""),
        "assertion.bmffHash.malformed": ("binding-malformed", "its hash cannot be read", ""),
        "assertion.boxesHash.malformed": ("binding-malformed", "its hash cannot be read", ""),
        "assertion.collectionHash.malformed": ("binding-malformed", "its hash cannot be read", ""),
        "assertion.collectionHash.invalidURI": (
            "binding-malformed",
            "it names a file outside the collection",
            "",
        ),
        "claim.hardBindings.missing": (
            "binding-missing",
            "the manifest says nothing of the content's bytes",
            "it could have been taken from anywhere: do not rely on it",
        ),
        "assertion.multipleHardBindings": (
            "binding-multiple",
            "the manifest has more than one hash of the content",
            "",
        ),
        "algorithm.unsupported": ("algorithm-unsupported", "it uses an algorithm we do not", ""),
    },
)
_MANIFEST = _table(
    Axis.SIGNATURE,
    _TAMPERED,
    {
        "claimSignature.mismatch": (
            "claim-changed",
            "the claim is not the one that was signed",
            _ASK,
        ),
        "assertion.hashedURI.mismatch": (
            "assertion-changed",
            "an assertion is not the one that was signed",
            _ASK,
        ),
        "hashedURI.mismatch": ("assertion-changed", "a part of the manifest was changed", _ASK),
        "assertion.missing": ("assertion-missing", "an assertion that was signed is gone", _ASK),
        "hashedURI.missing": ("assertion-missing", "a part of the manifest is gone", _ASK),
        "assertion.undeclared": (
            "assertion-added",
            "the manifest has an assertion that was not signed",
            _ASK,
        ),
        "assertion.outsideManifest": (
            "assertion-outside",
            "an assertion lies in another manifest",
            "",
        ),
    },
)
_CLAIM = _table(
    Axis.SIGNATURE,
    _MALFORMED,
    {
        "claimSignature.missing": ("claim-unsigned", "nobody signed the claim", ""),
        "claim.missing": ("claim-malformed", "the manifest has no claim", ""),
        "claim.multiple": ("claim-malformed", "the manifest has more than one claim", ""),
        "claim.malformed": ("claim-malformed", "the claim cannot be read", ""),
        "claim.cbor.invalid": ("claim-malformed", "the claim is no CBOR", ""),
        "assertion.cbor.invalid": ("assertion-malformed", "an assertion is no CBOR", ""),
        "assertion.json.invalid": ("assertion-malformed", "an assertion is no JSON", ""),
        "assertion.required.missing": (
            "assertion-malformed",
            "an assertion lacks what it must have",
            "",
        ),
        "assertion.cloud-data.malformed": (
            "assertion-malformed",
            "an assertion that lies elsewhere cannot be read",
            "",
        ),
        "assertion.cloud-data.hardBinding": (
            "assertion-malformed",
            "the hash of the content lies elsewhere, which it may not",
            "",
        ),
        "assertion.cloud-data.actions": (
            "assertion-malformed",
            "its history lies elsewhere, which it may not",
            "",
        ),
        "assertion.external-reference.malformed": (
            "assertion-malformed",
            "a reference to something outside cannot be read",
            "",
        ),
        "assertion.metadata.disallowed": (
            "assertion-malformed",
            "an assertion has a field that it may not have",
            "",
        ),
        "assertion.notRedacted": (
            "redaction-malformed",
            "what is said to be redacted is still there",
            "",
        ),
        "assertion.selfRedacted": (
            "redaction-malformed",
            "the manifest redacts its own assertion",
            "",
        ),
        "assertion.hardBinding.redacted": (
            "redaction-malformed",
            "the hash of the content was redacted",
            "",
        ),
        "assertion.action.malformed": (
            "action-malformed",
            "its history cannot be read, or does not begin with created or opened",
            "",
        ),
        "assertion.action.redacted": ("redaction-malformed", "an action was redacted", ""),
        "assertion.action.redactionMismatch": (
            "redaction-malformed",
            "a redaction and its action do not agree",
            "",
        ),
        "assertion.action.ingredientMismatch": (
            "action-malformed",
            "an action names an ingredient that is not there",
            "",
        ),
        "assertion.action.softBindingMissing": (
            "action-malformed",
            "an action names a watermark that is not described",
            "",
        ),
        "assertion.inaccessible": ("assertion-elsewhere", "an assertion lies elsewhere", ""),
        "assertion.timestamp.malformed": ("assertion-malformed", "a timestamp cannot be read", ""),
        "manifest.multipleParents": ("manifest-malformed", "it has more than one parent", ""),
        "manifest.update.invalid": ("manifest-malformed", "an update holds what it may not", ""),
        "manifest.update.wrongParents": (
            "manifest-malformed",
            "an update must have one parent",
            "",
        ),
        "general.error": ("manifest-malformed", "the manifest cannot be read", ""),
    },
)
_SIGNER = _table(
    Axis.SIGNER,
    _UNTRUSTED,
    {
        "signingCredential.untrusted": (
            "signer-untrusted",
            "nobody whom you trust vouches for the signer",
            "this does not say that the content was changed; name whom you trust with --trust",
        ),
        "signingCredential.invalid": (
            "signer-invalid",
            "the signer's certificate may not sign content",
            "`countermark cert lint` says which rule it breaks",
        ),
    },
)
_WHEN = _table(
    Axis.TIME,
    _LATE,
    {
        "signingCredential.expired": (
            "signer-expired",
            "the signer's certificate has expired, and no trusted timestamp says that it signed "
            "before",
            "whoever signs should have a timestamp made (--tsa-url)",
        ),
        "claimSignature.outsideValidity": (
            "signed-out-of-time",
            "it was signed outside the validity of the signer's certificate",
            "",
        ),
        "timeOfSigning.outsideValidity": (
            "signed-out-of-time",
            "it was signed outside the validity of the signer's certificate",
            "",
        ),
        "signingCredential.revoked": ("signer-revoked", "the signer's certificate is revoked", ""),
        "signingCredential.ocsp.revoked": (
            "signer-revoked",
            "the signer's certificate is revoked",
            "",
        ),
    },
)
_STAMP = _table(
    Axis.TIME,
    _LATE,
    {
        "timeStamp.mismatch": ("timestamp-mismatch", "its timestamp is of something else", ""),
        "timeStamp.malformed": ("timestamp-malformed", "its timestamp cannot be read", ""),
        "timeStamp.outsideValidity": (
            "timestamp-out-of-time",
            "the timestamp authority's certificate was not valid then",
            "",
        ),
        "timeStamp.untrusted": (
            "timestamp-not-trusted",
            "nobody whom you trust vouches for its timestamp",
            "",
        ),
    },
)
_MADE_OF = _table(
    Axis.INGREDIENTS,
    _TAMPERED,
    {
        "ingredient.manifest.mismatch": (
            "ingredient-changed",
            "an ingredient's manifest is not the one that was signed",
            _ASK,
        ),
        "ingredient.manifest.missing": (
            "ingredient-missing",
            "an ingredient's manifest is gone",
            _ASK,
        ),
        "ingredient.hashedURI.mismatch": (
            "ingredient-changed",
            "an ingredient is not the one that was signed",
            _ASK,
        ),
        "ingredient.claimSignature.mismatch": (
            "ingredient-changed",
            "an ingredient's signature is not the one that was signed",
            _ASK,
        ),
        "ingredient.claimSignature.missing": (
            "ingredient-missing",
            "an ingredient's signature is gone",
            _ASK,
        ),
        "assertion.ingredient.malformed": (
            "ingredient-malformed",
            "an ingredient cannot be read",
            "",
        ),
    },
)
_ELSEWHERE = _table(
    Axis.SIGNATURE,
    _OPEN,
    {
        "manifest.inaccessible": (
            "manifest-elsewhere",
            "the manifest lies elsewhere and was not fetched",
            "read it with --online",
        ),
        "signingCredential.ocsp.unknown": (
            "revocation-unknown",
            "whether the certificate was revoked is not known",
            "",
        ),
    },
)

STATUSES: dict[str, Meaning] = {
    **_CONTENT,
    **_BINDING,
    **_MANIFEST,
    **_CLAIM,
    **_SIGNER,
    **_WHEN,
    **_STAMP,
    **_MADE_OF,
    **_ELSEWHERE,
}
