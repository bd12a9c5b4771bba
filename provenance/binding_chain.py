"""Which manifest's hard binding speaks for an asset (C2PA 2.5 11.3.3, 14.10.1.3, 14.12).

A standard manifest's own. An update manifest has none: it says something more about an asset
whose bytes stay as they are, and the binding is that of the manifest it updates, its one
`parentOf` ingredient, and so on. Each step is followed only if the reference's hash is that of
the manifest we read: then whoever signed the update vouches for every byte of its parent. A
parent from which something was redacted has another hash by design, and would need its own
signature verified; it is not followed, and the verdict says so.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from countermark.provenance.byte_ranges import ALGORITHMS
from countermark.provenance.cbor import Key, Value
from countermark.provenance.claim import HashedUri, parse_hashed_uri, text_field
from countermark.provenance.errors import MalformedStoreError
from countermark.provenance.manifest import HARD_BINDINGS, Assertion, Manifest, base_label
from countermark.provenance.store import ManifestStore
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed

__all__ = ["Bound", "bound_manifest", "check_reference", "claimed_label"]

_PREFIX = "self#jumbf="
_INGREDIENTS = ("c2pa.ingredient", "c2pa.ingredient.v2", "c2pa.ingredient.v3")
_NOT_IN_UPDATES = HARD_BINDINGS | {"c2pa.hash.multi-asset"}  # C2PA 2.5 14.10.1.3.


class Bound(NamedTuple):
    """The manifest whose binding counts, and how many update manifests lie over it."""

    manifest: Manifest
    updates: int


def bound_manifest(store: ManifestStore) -> Bound | Check:
    """Return the manifest that is bound to the asset's bytes, or the check that failed."""
    manifest, updates = store.active, 0
    # This ends: a loop of manifests that hold each other's hashes cannot be made.
    while manifest.kind == "update":
        parent = _parent(store, manifest)
        if isinstance(parent, Check):
            return parent
        manifest, updates = parent, updates + 1
    return Bound(manifest, updates)


def claimed_label(url: str, manifest: Manifest) -> str | None:
    """Return the label of the assertion of this manifest that `url` names; None for others."""
    # C2PA 2.5 9.4.2.1: from the store if it begins with a slash, else from the manifest.
    for prefix in (
        f"{_PREFIX}/c2pa/{manifest.label}/c2pa.assertions/",
        f"{_PREFIX}c2pa.assertions/",
    ):
        if url.startswith(prefix):
            return url.removeprefix(prefix)
    return None


def check_reference(
    manifest: Manifest, assertion: Assertion, references: tuple[HashedUri, ...]
) -> Check | None:
    """Return what is wrong with a claim's references to an assertion; None if they hold.

    At least one of `references` must name the assertion, and all that do must hold its hash.
    """
    label = printable(assertion.label)
    found = [one for one in references if claimed_label(one.url, manifest) == assertion.label]
    if not found:
        return failed(
            "assertion-added",
            Outcome.TAMPERED,
            f"the manifest holds {label}, and its claim does not list it",
        )
    for reference in found:
        if reference.algorithm not in ALGORITHMS:
            return unsupported(f"the claim's hash of {label}", reference.algorithm)
        if hashlib.new(reference.algorithm, assertion.box_hash_input).digest() != reference.hash:
            return failed(
                "assertion-changed",
                Outcome.TAMPERED,
                f"{label} is not the one that was signed: "
                f"its {reference.algorithm} is not the one the claim lists",
            )
    return None


def unsupported(what: str, algorithm: str) -> Check:
    """Return the failed check of a hash that is made with an algorithm C2PA does not allow."""
    named = f"is made with {printable(algorithm[:64])}" if algorithm else "names no algorithm"
    return failed(
        "algorithm-unsupported",
        Outcome.MALFORMED,
        f"{what} {named}; C2PA allows sha256, sha384 and sha512",
    )


def _parent(store: ManifestStore, update: Manifest) -> Manifest | Check:
    if any(base_label(one.label) in _NOT_IN_UPDATES for one in update.assertions):
        return failed(
            "manifest-malformed",
            Outcome.MALFORMED,
            "an update manifest has a hash of the content, as only standard manifests may",
        )
    ingredients = update.labelled(*_INGREDIENTS)
    if len(ingredients) != 1:
        return _wrong_parent(f"it has {len(ingredients)} ingredients, not one")
    refused = check_reference(update, ingredients[0], update.claim.references)
    if refused is not None:
        return refused
    try:
        address, signature = _parent_addresses(ingredients[0], update.claim.algorithm)
    except MalformedStoreError as e:
        return _wrong_parent(str(e))
    prefix = f"{_PREFIX}/c2pa/"
    parent = store.manifest(address.url.removeprefix(prefix))
    if parent is None or not address.url.startswith(prefix):
        return failed(
            "ingredient-missing",
            Outcome.TAMPERED,
            "the manifest that was updated is gone, and with it the hash of the content",
        )
    return _check_parent(parent, address, signature)


def _parent_addresses(ingredient: Assertion, algorithm: str) -> tuple[HashedUri, HashedUri | None]:
    fields, offset = ingredient.cbor, ingredient.offset
    if not isinstance(fields, dict) or fields.get("relationship") != "parentOf":
        raise MalformedStoreError("its ingredient is not its parent", offset=offset)
    algorithm = text_field(fields, "alg", offset) or algorithm
    address = _address(fields, ("activeManifest", "c2pa_manifest"), algorithm, offset)
    if address is None:
        raise MalformedStoreError("its parent has no manifest", offset=offset)
    return address, _address(fields, ("claimSignature",), algorithm, offset)


def _address(
    fields: dict[Key, Value], names: tuple[str, ...], algorithm: str, offset: int
) -> HashedUri | None:
    found = [fields[name] for name in names if fields.get(name) is not None]
    if len(found) > 1:
        raise MalformedStoreError("its parent has two manifests", offset=offset)
    return parse_hashed_uri(found[0], algorithm, offset) if found else None


def _check_parent(
    parent: Manifest, address: HashedUri, signature: HashedUri | None
) -> Manifest | Check:
    if address.algorithm not in ALGORITHMS:
        return unsupported("the hash of the manifest that was updated", address.algorithm)
    if hashlib.new(address.algorithm, parent.box_hash_input).digest() == address.hash:
        if not parent.problem:
            return parent
        return failed(
            "ingredient-unreadable",
            Outcome.INCONCLUSIVE,
            f"the manifest that was updated cannot be read: {parent.problem}",
        )
    # C2PA 2.5 14.11.3.3.1. Only its signature is vouched for, and nobody here can verify that.
    if signature is not None and signature.algorithm in ALGORITHMS:
        got = hashlib.new(signature.algorithm, parent.signature_hash_input).digest()
        if got == signature.hash:
            return failed(
                "update-not-followed",
                Outcome.INCONCLUSIVE,
                "something was redacted from the manifest that was updated, so that its hash of "
                "the content cannot be relied on here",
                "ask the publisher for the content with its first manifest",
            )
    return failed(
        "ingredient-changed",
        Outcome.TAMPERED,
        "the manifest that was updated is not the one that the update was made of",
    )


def _wrong_parent(reason: str) -> Check:
    return failed(
        "manifest-malformed",
        Outcome.MALFORMED,
        f"an update manifest must have one parent: {reason}",
    )
