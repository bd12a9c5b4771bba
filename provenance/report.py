"""What c2pa's Reader reports, read into values: its crJSON and the label of the active manifest.

The report is made by a library from hostile bytes, so it is read like any other input: what is
not of the expected type is left out, and what is left out cannot make a verdict better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from countermark.provenance.verdict import ContentSigner, Disclosure
from countermark.signing.names import printable

__all__ = [
    "ReadIngredient",
    "ReadManifest",
    "Report",
    "Status",
    "disclosure_of",
    "read_crjson",
    "signer_of",
]

_MAX_TEXT = 200
_INGREDIENTS = ("c2pa.ingredient", "c2pa.ingredient.v2", "c2pa.ingredient.v3")
_ACTIONS = ("c2pa.actions", "c2pa.actions.v2")
_DISCLOSURE = "c2pa.ai-disclosure"


class Status(NamedTuple):
    """One status: `kind` is `success`, `informational` or `failure`."""

    kind: str
    code: str
    explanation: str
    url: str


class ReadIngredient(NamedTuple):
    """An ingredient assertion, and what became of it.

    Attributes:
        title: Escaped.
        relationship: As written; escaped.
        manifest: Label of its manifest; empty if it has none.
        recorded: What the signer says it saw when it was taken in.
        seen: What differs from that now.

    """

    title: str
    relationship: str
    manifest: str
    recorded: tuple[Status, ...]
    seen: tuple[Status, ...]


class ReadManifest(NamedTuple):
    """One manifest of a report.

    Attributes:
        label: As written.
        assertions: By label.
        claim: Its fields.
        signature: Its fields.
        statuses: Of this manifest.
        ingredients: In order.

    """

    label: str
    assertions: Mapping[str, object]
    claim: Mapping[str, object]
    signature: Mapping[str, object]
    statuses: tuple[Status, ...]
    ingredients: tuple[ReadIngredient, ...]


class Report(NamedTuple):
    """A report: the active manifest, and every manifest by label."""

    active: ReadManifest
    manifests: Mapping[str, ReadManifest]


def read_crjson(document: object) -> Report | None:
    """Return a report as values; None if it names no manifest.

    The active manifest is the first one (crJSON 2.4, "manifests").
    """
    manifests = [_manifest(one) for one in _list(_map(document).get("manifests"))]
    if not manifests:
        return None
    return Report(manifests[0], {manifest.label: manifest for manifest in manifests})


def signer_of(manifest: ReadManifest, *, trusted_by: str, timestamp: str) -> ContentSigner:
    """Return who signed a manifest, as its certificate says."""
    certificate = _map(manifest.signature.get("certificateInfo"))
    subject, issuer = _map(certificate.get("subject")), _map(certificate.get("issuer"))
    validity = _map(certificate.get("validity"))
    return ContentSigner(
        common_name=_text(subject.get("CN")),
        organization=_text(subject.get("O")),
        issuer=_text(issuer.get("CN")) or _text(issuer.get("O")),
        serial=_text(certificate.get("serialNumber")),
        algorithm=_text(manifest.signature.get("algorithm")).lower(),
        not_before=_text(validity.get("notBefore")),
        not_after=_text(validity.get("notAfter")),
        timestamp=timestamp,
        trusted_by=trusted_by,
    )


def disclosure_of(manifest: ReadManifest) -> Disclosure:
    """Return what a manifest says of how the content came about."""
    said = _map(next(iter(_assertions(manifest, (_DISCLOSURE,))), None))
    generator = manifest.claim.get("claim_generator_info")
    info = _map(generator[0] if isinstance(generator, list) and generator else generator)
    name = " ".join(filter(None, (_text(info.get("name")), _text(info.get("version")))))
    return Disclosure(
        digital_source_type=_source_type(manifest),
        model_name=_text(said.get("modelName")),
        model_identifier=_text(said.get("modelIdentifier")),
        generator=name,
    )


def _source_type(manifest: ReadManifest) -> str:
    for actions in _assertions(manifest, _ACTIONS):
        for action in _list(_map(actions).get("actions")):
            source = _text(_map(action).get("digitalSourceType"))
            if source:
                return source.rpartition("/")[2]
    return ""


def _assertions(manifest: ReadManifest, labels: Sequence[str]) -> Iterator[object]:
    """Yield assertions by label, those with an instance number (`__1`) included."""
    for label, value in manifest.assertions.items():
        if label.partition("__")[0] in labels:
            yield value


def _manifest(document: object) -> ReadManifest:
    fields = _map(document)
    assertions = _map(fields.get("assertions"))
    deltas = {
        _text(_map(delta).get("ingredientAssertionURI")).rpartition("/")[2]: _statuses(
            _map(delta).get("validationDeltas")
        )
        for delta in _list(fields.get("ingredientDeltas"))
    }
    ingredients = tuple(
        _ingredient(_map(value), deltas.get(label, ()))
        for label, value in assertions.items()
        if label.partition("__")[0] in _INGREDIENTS
    )
    claim = fields.get("claim.v2", fields.get("claim"))
    return ReadManifest(
        label=str(fields.get("label", "")),
        assertions=assertions,
        claim=_map(claim),
        signature=_map(fields.get("signature")),
        statuses=_statuses(fields.get("validationResults")),
        ingredients=ingredients,
    )


def _ingredient(fields: Mapping[str, object], seen: tuple[Status, ...]) -> ReadIngredient:
    reference = fields.get("activeManifest", fields.get("c2pa_manifest"))
    return ReadIngredient(
        title=_text(fields.get("dc:title")),
        relationship=_text(fields.get("relationship")),
        manifest=str(_map(reference).get("url", "")).rpartition("/")[2],
        recorded=_statuses(_map(fields.get("validationResults")).get("activeManifest")),
        seen=seen,
    )


def _statuses(document: object) -> tuple[Status, ...]:
    fields = _map(document)
    return tuple(
        Status(
            kind,
            str(_map(one).get("code", "")),
            _text(_map(one).get("explanation")),
            str(_map(one).get("url", "")),
        )
        for kind in ("success", "informational", "failure")
        for one in _list(fields.get(kind))
    )


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _text(value: object) -> str:
    return printable(value[:_MAX_TEXT]) if isinstance(value, str) else ""
