"""From content to weights: is the model that a manifest names the one at hand?

The manifest of generated content names its model as an `inputTo` ingredient. The ingredient's own
manifest is bound to the digest that the model's OMS bundle signs (`model_evidence`), so that
comparing two digests answers the question, and no weights are needed. Without a manifest of its
own, the ingredient's identifier names the digest, which only the content's signer vouches for.

That the ingredient's manifest is whole and signed is asked on the axis of ingredients, that the
weights are those of the bundle by `countermark verify`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from countermark.provenance.binding_chain import check_reference
from countermark.provenance.byte_ranges import ALGORITHMS
from countermark.provenance.cbor import Key, Value
from countermark.provenance.claim import HashedUri, parse_hashed_uri
from countermark.provenance.errors import MalformedStoreError
from countermark.provenance.manifest import Assertion, Manifest
from countermark.provenance.model_evidence import Binding, ModelEvidence, load_model_evidence
from countermark.provenance.named_information import named_sha256
from countermark.provenance.store import ManifestStore, read_store
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed, held, not_checked, warned

__all__ = ["ModelEvidence", "NamedModel", "check_model", "load_model_evidence", "named_models"]

INGREDIENTS = ("c2pa.ingredient", "c2pa.ingredient.v2", "c2pa.ingredient.v3")
EXTERNAL_REFERENCE = "c2pa.external-reference"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

# C2PA 2.5 tables 7 and 8: what takes part as a model.
_MODEL_TYPES = ("c2pa.types.model", "c2pa.types.tensorflow.")
_OTHER_TYPES = frozenset({"c2pa.types.classifier", "c2pa.types.cluster", "c2pa.types.regressor"})
_MANIFEST_PREFIX = "self#jumbf=/c2pa/"
_MAX_TITLE = 200


class NamedModel(NamedTuple):
    """A model that a manifest names.

    Attributes:
        title: As the signer called it; escaped; may be empty.
        manifest: Label of its own manifest; empty without one.
        binding: What identifies it; None if only its title does.
        edits: How many edits ago: 0 if the content's own manifest names it, 1 if that of what it
            was edited from does, and so on.

    """

    title: str
    manifest: str
    binding: Binding | None
    edits: int = 0

    @property
    def sentence_name(self) -> str:
        """Title and digest, for a sentence."""
        title = self.title or "a model without a name"
        if self.binding is None:
            return title
        return f"{title} ({self.binding.algorithm} {self.binding.digest.hex()})"


def named_models(store: ManifestStore) -> tuple[NamedModel, ...]:
    """Return the models that content, and what it was edited from, name as input.

    Raises:
        MalformedStoreError: An ingredient cannot be read, or its manifest is not the one that
            the content's signer put in.

    """
    models = []
    for manifest, edits in _lineage(store):
        for assertion in manifest.labelled(*INGREDIENTS):
            fields = assertion.cbor
            if isinstance(fields, dict) and _is_model(fields):
                models.append(_named(store, manifest, assertion, fields)._replace(edits=edits))
    return tuple(models)


def check_model(store: ManifestStore, evidence: ModelEvidence | None) -> tuple[Check, ...]:
    """Compare the models that content names with the one at hand.

    Another model is no tampering: the content is what its signer signed, and not what the reader
    asked for. So it is refused, as is content that names no model when one was asked for.

    Args:
        store: The content's manifest store.
        evidence: The model at hand; None if there is none, so that nothing can be compared.

    """
    try:
        models = named_models(store)
        if evidence is None:
            return (_without_evidence(models),)
        return _compare(store, models, evidence)
    except MalformedStoreError as e:
        return (failed("model-unreadable", Outcome.MALFORMED, f"what it says of its model: {e}"),)


def _compare(
    store: ManifestStore, models: tuple[NamedModel, ...], evidence: ModelEvidence
) -> tuple[Check, ...]:
    wanted = f"{printable(evidence.name)[:_MAX_TITLE]} (sha256 {evidence.digest})"
    matching = [model for model in models if model.binding in evidence.bindings]
    if matching:
        model = matching[0]
        how = "by its own manifest" if model.manifest else "by its digest"
        who = "what it was edited from" if model.edits else "it"
        check = held("model-matches", f"{who} names the model at hand {how}: {wanted}")
        return (check, *_differences(store, model, evidence))
    if not models:
        return (
            failed(
                "model-not-named",
                Outcome.REFUSED,
                f"it names no model, so that nothing says that {wanted} made it",
            ),
        )
    if all(model.binding is None for model in models):
        return (
            failed(
                "model-without-digest",
                Outcome.INCONCLUSIVE,
                f"it names {_listed(models)}, and does not say which weights that is",
            ),
        )
    return (
        failed(
            "model-differs",
            Outcome.REFUSED,
            f"it names another model than the one at hand: {_listed(models)}, and not {wanted}",
            "the content is not said to be changed: look for the model that it names",
        ),
    )


def _without_evidence(models: tuple[NamedModel, ...]) -> Check:
    if not models:
        return not_checked("model-not-named", "it names no model")
    return not_checked(
        "model-not-at-hand",
        f"it names {_listed(models)}, and no model is at hand to compare it with",
        "--model MODEL compares it with a signed model",
    )


def _listed(models: tuple[NamedModel, ...]) -> str:
    shown = ", ".join(model.sentence_name for model in models[:3])
    return shown if len(models) <= 3 else f"{shown} and {len(models) - 3} more"


def _differences(
    store: ManifestStore, model: NamedModel, evidence: ModelEvidence
) -> tuple[Check, ...]:
    """Return what differs around a digest that is the same."""
    checks = []
    if model.manifest and evidence.store is not None:
        named, own = store.manifest(model.manifest), read_store(evidence.store).active
        if named is None or named.signature != own.signature:
            checks.append(
                warned(
                    "model-manifest-differs",
                    "the model's manifest in the content is not the one beside the model",
                    "the same weights were given a manifest twice, or by two signers",
                )
            )
    bundles = {digest for one, _ in _lineage(store) for digest in _bundles(one)}
    if bundles and evidence.bundle_sha256 and evidence.bundle_sha256 not in bundles:
        checks.append(
            warned(
                "model-bundle-differs",
                "the model's signature at hand is another one over the same digest",
                "the model was signed anew since, or by somebody else",
            )
        )
    return tuple(checks)


def _lineage(store: ManifestStore) -> Iterator[tuple[Manifest, int]]:
    """Yield the content's manifest, those of what it was edited from, and how many edits ago."""
    manifest: Manifest | None = store.active
    edits, seen = 0, set()
    while manifest is not None and manifest.label not in seen:
        seen.add(manifest.label)
        yield manifest, edits
        edits += manifest.kind != "update"  # Which says more of the same bytes.
        manifest = _parent(store, manifest)


def _parent(store: ManifestStore, manifest: Manifest) -> Manifest | None:
    for assertion in manifest.labelled(*INGREDIENTS):
        fields = assertion.cbor
        if isinstance(fields, dict) and fields.get("relationship") == "parentOf":
            try:
                return _manifest_of(store, manifest, assertion, fields)
            except MalformedStoreError:
                return None  # It says nothing then, of models or of anything.
    return None


def _is_model(fields: Mapping[Key, Value]) -> bool:
    if fields.get("relationship") != "inputTo":
        return False
    listed = fields.get("dataTypes", fields.get("data_types"))
    types = [
        entry.get("type")
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict)
    ]
    return any(
        isinstance(kind, str) and (kind.startswith(_MODEL_TYPES) or kind in _OTHER_TYPES)
        for kind in types
    )


def _named(
    store: ManifestStore, manifest: Manifest, assertion: Assertion, fields: dict[Key, Value]
) -> NamedModel:
    title = fields.get("dc:title")
    shown = printable(title)[:_MAX_TITLE] if isinstance(title, str) else ""
    own = _manifest_of(store, manifest, assertion, fields)
    if own is not None:
        return NamedModel(shown, own.label, _binding(own, shown))
    identifier = fields.get("instanceID")
    digest = named_sha256(identifier) if isinstance(identifier, str) else None
    return NamedModel(shown, "", Binding("sha256", digest) if digest else None)


def _manifest_of(
    store: ManifestStore, manifest: Manifest, assertion: Assertion, fields: dict[Key, Value]
) -> Manifest | None:
    """Return an ingredient's manifest if it is the one that was put in; None without one."""
    address = fields.get("activeManifest", fields.get("c2pa_manifest"))
    if address is None:
        return None
    default = manifest.claim.algorithm
    reference = parse_hashed_uri(address, default, assertion.offset)
    own = store.manifest(reference.url.removeprefix(_MANIFEST_PREFIX))
    if own is None or own.problem:
        raise MalformedStoreError("its manifest is missing or damaged", offset=assertion.offset)
    signature = fields.get("claimSignature")
    signed = parse_hashed_uri(signature, default, assertion.offset) if signature else None
    # After a redaction only the signature's hash is left to hold (C2PA 2.5 14.11.3.3.1).
    if not _hashes_to(reference, own.box_hash_input) and not (
        signed and _hashes_to(signed, own.signature_hash_input)
    ):
        raise MalformedStoreError(
            "its manifest is not the one that was put in", offset=assertion.offset
        )
    return own


def _binding(own: Manifest, shown: str) -> Binding | None:
    """Return the one data hash that a model's manifest claims; None without one."""
    bindings = own.hard_bindings
    if len(bindings) > 1 or any(
        check_reference(own, binding, own.claim.references) for binding in bindings
    ):
        raise MalformedStoreError(f"its manifest does not claim one hash: {shown}")
    bound = own.data_hash
    return Binding(bound.algorithm, bound.digest, bound.exclusions) if bound else None


def _hashes_to(reference: HashedUri, data: memoryview) -> bool:
    if reference.algorithm not in ALGORITHMS:
        return False
    return hashlib.new(reference.algorithm, data).digest() == reference.hash


def _bundles(manifest: Manifest) -> list[str]:
    """Return the sha256 of each OMS bundle that a manifest refers to, in hex."""
    names = []
    for assertion in manifest.labelled(EXTERNAL_REFERENCE):
        match assertion.value:
            case {"location": {"url": str(url), "dc:format": str(kind)}} if kind == BUNDLE_TYPE:
                names.append(named_sha256(url))
    return [digest.hex() for digest in names if digest is not None]
