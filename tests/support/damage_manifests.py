"""Manifests that are wrong inside: claims, assertions, histories, redactions, ingredients."""

from __future__ import annotations

from collections.abc import Callable

from countermark.provenance.verdict import Axis
from countermark.signing.verdict import Outcome
from support.damage import CONTENT, Case, Subject, base_store, rebuilt, sidecar
from support.rebuilt import Rebuilt
from support.stores import sign_sidecar

__all__ = ["MANIFESTS", "in_the_cloud"]

_ACTIONS, _HASH, _INGREDIENT = "c2pa.actions.v2", "c2pa.hash.data", "c2pa.ingredient.v3"
_ELSEWHERE = "urn:c2pa:11111111-2222-4333-8444-555555555555"
_CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
_NO_RESULTS: dict[str, object] = {
    "activeManifest": {"success": [], "informational": [], "failure": []}
}


def in_the_cloud(label: str) -> dict[str, object]:
    """Return a `c2pa.cloud-data` of an assertion that lies elsewhere."""
    location = {"url": "https://cloud.invalid/", "alg": "sha256", "hash": bytes(32)}
    content = {"size": 9, "location": location, "content_type": "application/cbor"}
    return {"label": label, **content}


def _claim_edited(one: Rebuilt) -> None:
    one.claim["dc:title"] = "another"
    one.write_claim()


def _assertion_edited(one: Rebuilt) -> None:
    value = one.value(_ACTIONS)
    value["actions"][0]["digitalSourceType"] = _CAPTURE
    one.put(_ACTIONS, value)


def _action(one: Rebuilt, action: dict[str, object], *, first: bool = False) -> None:
    actions = [] if first else one.value(_ACTIONS)["actions"]
    one.put(_ACTIONS, {"actions": [*actions, action]})


def _binding(one: Rebuilt, **fields: object) -> None:
    one.put(_HASH, {**one.value(_HASH), **fields})


def _excluding(*spans: tuple[int, int]) -> Callable[[], Subject]:
    entries = [{"start": start, "length": length} for start, length in spans]
    return rebuilt(lambda one: _binding(one, exclusions=entries))


def _redacting(label: str, manifest: str = _ELSEWHERE) -> Callable[[], Subject]:
    def change(one: Rebuilt) -> None:
        where = manifest or one.manifest.label
        one.claim["redacted_assertions"] = [f"self#jumbf=/c2pa/{where}/c2pa.assertions/{label}"]

    return rebuilt(change)


def _icon(label: str) -> Callable[[], Subject]:
    icon = {"url": f"self#jumbf=c2pa.assertions/{label}", "hash": bytes(32)}
    return rebuilt(lambda one: one.claim.update(claim_generator_info={"name": "x", "icon": icon}))


def _ingredient(**fields: object) -> dict[str, object]:
    return {"dc:title": "part", "relationship": "componentOf", **fields}


def _manifest_reference(label: str, digest: bytes = bytes(32)) -> dict[str, object]:
    return {"url": f"self#jumbf=/c2pa/{label}", "hash": digest}


def _with_ingredient(**fields: object) -> Callable[[], Subject]:
    return rebuilt(lambda one: one.put(_INGREDIENT, _ingredient(**fields)))


def _flipped(part: str) -> Callable[[], Subject]:
    """Flip one bit of the store, where this part of it lies."""

    def make() -> Subject:
        store = bytearray(base_store())
        one = Rebuilt(base_store())
        inside = {
            "claim": b"dc:title\x61x",
            "assertion": one.assertions.find(_ACTIONS).children[0].payload,
            "hash": bytes(one.value(_HASH)["hash"]),
            "signature": bytes(one.cose[3]),
            "certificate": bytes(one.chain if isinstance(one.chain, bytes) else one.chain[0]),
            "padding": bytes(200),
        }[part]
        at = store.index(inside) + (len(inside) - 1 if part == "claim" else len(inside) * 9 // 10)
        store[at] ^= 1
        return sidecar(bytes(store))

    return make


def _cut(share: float) -> Callable[[], Subject]:
    return lambda: sidecar(base_store()[: int(len(base_store()) * share)])


def _without_signature(one: Rebuilt) -> None:
    one.manifest.children.remove(one.manifest.find("c2pa.signature"))


def _gathered(one: Rebuilt) -> None:
    entries = one.claim["created_assertions"]
    mine = [entry for entry in entries if entry["url"].endswith(_HASH)]
    one.claim["created_assertions"] = [entry for entry in entries if entry not in mine]
    one.claim["gathered_assertions"] = mine


def _as_update(one: Rebuilt) -> None:
    one.manifest.description = b"c2um" + one.manifest.description[4:]


def _update_of_nothing(one: Rebuilt) -> None:
    _as_update(one)
    one.remove(_HASH)


def _md5(one: Rebuilt) -> None:
    _binding(one, alg="md5")
    one.claim["alg"] = "md5"


def _algorithm(one: Rebuilt, name: str) -> None:
    one.algorithm_number = {"none": -999}[name]


_SIGNATURE, _INTEGRITY, _MADE_OF = Axis.SIGNATURE, Axis.INTEGRITY, Axis.INGREDIENTS
_TAMPERED, _MALFORMED = Outcome.TAMPERED, Outcome.MALFORMED


def _bad(make: Callable[[], Subject], code: str, *statuses: str, axis: Axis = _SIGNATURE) -> Case:
    return Case(make, axis, code, _MALFORMED, statuses)


def _changed(
    make: Callable[[], Subject], code: str, *statuses: str, axis: Axis = _SIGNATURE
) -> Case:
    return Case(make, axis, code, _TAMPERED, statuses)


MANIFESTS: dict[str, Case] = {
    # --- The store itself.
    "store cut at half": _bad(_cut(0.5), "malformed-manifest"),
    "store cut by a byte": _bad(lambda: sidecar(base_store()[:-1]), "malformed-manifest"),
    "store with a byte more": _bad(lambda: sidecar(base_store() + b"\0"), "malformed-manifest"),
    "store of one byte": _bad(lambda: sidecar(b"\0"), "malformed-manifest"),
    "claim flipped": _changed(_flipped("claim"), "claim-changed", "claimSignature.mismatch"),
    "signature flipped": _changed(
        _flipped("signature"), "claim-changed", "claimSignature.mismatch"
    ),
    "certificate flipped": _changed(
        _flipped("certificate"), "claim-changed", "claimSignature.mismatch"
    ),
    "assertion flipped": _changed(
        _flipped("assertion"), "assertion-changed", "assertion.hashedURI.mismatch"
    ),
    "hash flipped": _changed(_flipped("hash"), "assertion-changed", "assertion.hashedURI.mismatch"),
    "padding flipped": _bad(_flipped("padding"), "malformed-manifest"),
    "padding is not zeros": _bad(
        rebuilt(lambda one: one.headers.update(pad=b"x" * 99)), "malformed-manifest"
    ),
    # --- The claim.
    "claim edited, not signed again": _changed(
        rebuilt(_claim_edited, rehash=False, sign=False), "claim-changed", "claimSignature.mismatch"
    ),
    "claim gone": _bad(
        rebuilt(lambda one: one.manifest.children.remove(one.claim_node), sign=False),
        "malformed-manifest",
    ),
    "claim twice": _bad(
        rebuilt(lambda one: one.manifest.children.append(one.claim_node)), "malformed-manifest"
    ),
    "claim is no CBOR": _bad(
        rebuilt(lambda one: one.write_claim(b"\xff\xff"), sign=False), "malformed-manifest"
    ),
    "claim without a generator's name": _bad(
        rebuilt(lambda one: one.claim.update(claim_generator_info={"name": ""})),
        "claim-malformed",
        "claim.malformed",
    ),
    "claim with an assertion of another manifest": _bad(
        rebuilt(lambda one: one.refer(f"self#jumbf=/c2pa/{_ELSEWHERE}/c2pa.assertions/c2pa.x")),
        "assertion-outside",
        "assertion.outsideManifest",
        "claim.missing",
    ),
    "claim without an algorithm": _bad(
        rebuilt(lambda one: one.claim.pop("alg")), "malformed-manifest"
    ),
    "claim with another algorithm": _bad(
        rebuilt(_md5),
        "algorithm-unsupported",
        axis=_INTEGRITY,
    ),
    "signature by an unknown algorithm": _bad(
        rebuilt(lambda one: _algorithm(one, "none")),
        "malformed-manifest",
    ),
    "signature gone": _bad(rebuilt(_without_signature, sign=False), "malformed-manifest"),
    "signature elsewhere": _bad(
        rebuilt(
            lambda one: one.claim.update(signature=f"self#jumbf=/c2pa/{_ELSEWHERE}/c2pa.signature")
        ),
        "claim-unsigned",
        "claimSignature.missing",
    ),
    # --- Assertions.
    "assertion edited, claim not signed again": _changed(
        rebuilt(_assertion_edited, rehash=False, sign=False),
        "assertion-changed",
        "assertion.hashedURI.mismatch",
    ),
    "assertion removed": _changed(
        rebuilt(lambda one: one.refer("self#jumbf=c2pa.assertions/org.example.gone")),
        "assertion-missing",
        "assertion.missing",
    ),
    "assertion added": _bad(
        rebuilt(lambda one: one.put("org.example.more", {"a": 1}, listed=None)),
        "malformed-manifest",
    ),
    "icon changed": _changed(_icon(_ACTIONS), "assertion-changed", "assertion.hashedURI.mismatch"),
    "icon gone": _changed(_icon("c2pa.icon"), "assertion-missing", "assertion.missing"),
    "assertion is no CBOR": _bad(
        rebuilt(lambda one: one.put("org.example.x", b"\xff\xff")),
        "assertion-malformed",
        "assertion.cbor.invalid",
        "assertion.required.missing",
    ),
    "assertion is no JSON": _bad(
        rebuilt(lambda one: one.put("org.example.x", b"{", kind=b"json")),
        "assertion-malformed",
        "assertion.json.invalid",
    ),
    "assertion in the cloud, malformed": _bad(
        rebuilt(lambda one: one.put("c2pa.cloud-data", {"label": "x"})),
        "assertion-malformed",
        "assertion.cloud-data.malformed",
    ),
    "hash of the content in the cloud": _bad(
        rebuilt(lambda one: one.put("c2pa.cloud-data", in_the_cloud(_HASH))),
        "assertion-malformed",
        "assertion.cloud-data.hardBinding",
    ),
    "reference to something outside, malformed": _bad(
        rebuilt(lambda one: one.put("c2pa.external-reference", {"x": 1})),
        "assertion-malformed",
        "assertion.external-reference.malformed",
    ),
    "timestamp assertion is no map": _bad(
        rebuilt(lambda one: one.put("c2pa.time-stamp", [1])), "malformed-manifest"
    ),
    # --- History.
    "history gone": _bad(
        rebuilt(lambda one: one.remove(_ACTIONS)), "action-malformed", "assertion.action.malformed"
    ),
    "history does not begin": _bad(
        rebuilt(lambda one: _action(one, {"action": "c2pa.edited"}, first=True)),
        "action-malformed",
        "assertion.action.malformed",
    ),
    "created from nothing said": _bad(
        rebuilt(lambda one: _action(one, {"action": "c2pa.created"}, first=True)),
        "action-malformed",
        "assertion.action.malformed",
    ),
    "opened without an ingredient": _bad(
        rebuilt(lambda one: _action(one, {"action": "c2pa.opened"}, first=True)),
        "action-malformed",
        "assertion.action.ingredientMismatch",
    ),
    "watermarked without a soft binding": _bad(
        rebuilt(lambda one: _action(one, {"action": "c2pa.watermarked.bound"})),
        "action-malformed",
        "assertion.action.softBindingMissing",
    ),
    "history is no history": _bad(
        rebuilt(lambda one: one.put(_ACTIONS, {"x": 1})), "malformed-manifest"
    ),
    # --- Redactions.
    "redacts its own assertion": _bad(
        _redacting("org.example.x", ""), "redaction-malformed", "assertion.selfRedacted"
    ),
    "redacts what is still there": _bad(
        _redacting(_ACTIONS, ""), "redaction-malformed", "assertion.notRedacted"
    ),
    "redacts a history": _bad(
        _redacting(_ACTIONS), "redaction-malformed", "assertion.action.redacted"
    ),
    "redacts a hash": _bad(
        _redacting(_HASH), "redaction-malformed", "assertion.hardBinding.redacted"
    ),
    "redaction that leads nowhere": _bad(
        rebuilt(
            lambda one: _action(
                one,
                {
                    "action": "c2pa.redacted",
                    "reason": "c2pa.PII.present",
                    "parameters": {"redacted": f"self#jumbf=/c2pa/{_ELSEWHERE}/c2pa.assertions/x"},
                },
            )
        ),
        "redaction-malformed",
        "assertion.action.redactionMismatch",
    ),
    # --- The hash of the content.
    "no hash of the content": _bad(rebuilt(lambda one: one.remove(_HASH)), "malformed-manifest"),
    "two hashes of the content": _bad(
        rebuilt(lambda one: one.put(_HASH + "__1", one.value(_HASH))),
        "binding-multiple",
        "assertion.multipleHardBindings",
        axis=_INTEGRITY,
    ),
    "hash that was only gathered": _bad(rebuilt(_gathered), "malformed-manifest"),
    "hash that is none": _bad(rebuilt(lambda one: one.put(_HASH, [1])), "malformed-manifest"),
    "hash by another algorithm": _bad(
        rebuilt(lambda one: _binding(one, alg="sha1")), "algorithm-unsupported", axis=_INTEGRITY
    ),
    "hash that leaves content out": _bad(_excluding((0, 3)), "content-uncovered", axis=_INTEGRITY),
    "exclusions that overlap": _bad(
        _excluding((0, 5), (3, 5)), "binding-malformed", axis=_INTEGRITY
    ),
    "exclusions out of order": _bad(
        _excluding((9, 2), (0, 2)), "binding-malformed", axis=_INTEGRITY
    ),
    "exclusion beyond the end": _bad(
        _excluding((len(CONTENT), 9)), "content-uncovered", axis=_INTEGRITY
    ),
    "manifest of another file": _changed(
        lambda: sidecar(sign_sidecar(CONTENT + b"!")), "content-changed", axis=_INTEGRITY
    ),
    "content cut": _changed(
        lambda: sidecar(base_store())._replace(data=CONTENT[:-1]),
        "content-changed",
        axis=_INTEGRITY,
    ),
    "content with a byte more": _changed(
        lambda: sidecar(base_store())._replace(data=CONTENT + b"\n"),
        "content-changed",
        axis=_INTEGRITY,
    ),
    # --- Ingredients and updates.
    "ingredient whose manifest is gone": _changed(
        _with_ingredient(
            validationResults=_NO_RESULTS, activeManifest=_manifest_reference(_ELSEWHERE)
        ),
        "ingredient-missing",
        "ingredient.manifest.missing",
        axis=_MADE_OF,
    ),
    "ingredient is none": _bad(
        rebuilt(lambda one: one.put(_INGREDIENT, {"x": 1})), "malformed-manifest"
    ),
    "ingredient of itself": _bad(
        rebuilt(
            lambda one: one.put(
                _INGREDIENT,
                _ingredient(
                    validationResults=_NO_RESULTS,
                    activeManifest=_manifest_reference(one.manifest.label),
                ),
            )
        ),
        "malformed-manifest",
    ),
    "update with a hash of its own": _bad(rebuilt(_as_update), "malformed-manifest"),
    "update of nothing": _bad(rebuilt(_update_of_nothing), "malformed-manifest"),
}
