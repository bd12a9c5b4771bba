"""From content to weights: what a model's evidence says, and whether content names that model."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from countermark import Error
from countermark.provenance.engine import DETACHED
from countermark.provenance.errors import ContentNotFoundError, ModelEvidenceError, ProvenanceError
from countermark.provenance.ingredients import model_types
from countermark.provenance.model_evidence import Binding
from countermark.provenance.model_link import (
    BUNDLE_TYPE,
    ModelEvidence,
    check_model,
    load_model_evidence,
    named_models,
)
from countermark.provenance.named_information import named_sha256, sha256_name
from countermark.provenance.onnx_carrier import OnnxStore
from countermark.provenance.safetensors_carrier import SafetensorsStore
from countermark.provenance.store import ManifestStore, read_store
from countermark.signing.errors import MalformedError, SignatureNotFoundError
from countermark.signing.keys import generate
from countermark.signing.snapshot import SnapshotOptions
from countermark.signing.statement import Dialect
from countermark.signing.verdict import Outcome, Status, outcome_of
from support.model_credentials import (
    bound,
    embedded,
    onnx,
    plan,
    read,
    sign_png,
    signed_model,
)
from support.models import make_model, resign_statement, sign, statement_of, write_safetensors
from support.stores import Made, data_hash, make_store


def store_naming(**request: object) -> ManifestStore:
    """Return the store of a picture whose manifest says what was asked for."""
    return read_store(sign_png(plan(media_type="image/png", title="x.png", **request))[1])


def outcomes(store: ManifestStore, evidence: ModelEvidence | None) -> list[tuple[str, Status]]:
    return [(check.code, check.status) for check in check_model(store, evidence)]


# What a model's evidence says.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"options": SnapshotOptions(algorithm="blake2b")},
        {"options": SnapshotOptions(algorithm="blake3")},
        {"options": SnapshotOptions(shard_bytes=10)},
        {"dialect": Dialect.SPEC},
    ],
    ids=["sha256", "blake2b", "blake3", "shards", "spec"],
)
def test_a_model_s_own_manifest_is_bound_to_the_digest_its_bundle_signs(
    options: dict[str, object], tmp_path: Path
) -> None:
    evidence = signed_model(tmp_path / "tiny", **options)
    subject = statement_of(tmp_path / "tiny/model.sig")["subject"]
    assert isinstance(subject, list)
    assert subject[0]["digest"]["sha256"] == evidence.digest
    assert hashlib.sha256(evidence.asset).hexdigest() == evidence.digest
    assert evidence.store is not None
    binding = read_store(evidence.store).active.data_hash
    assert binding is not None
    assert (binding.digest.hex(), binding.exclusions) == (evidence.digest, ())
    # Any reader of C2PA agrees, given 32 bytes a file.
    assert read(DETACHED, evidence.asset, store=evidence.store).failures == ()
    wrong = evidence.asset[:-1] + bytes([evidence.asset[-1] ^ 1])
    assert "assertion.dataHash.mismatch" in read(DETACHED, wrong, store=evidence.store).failures


def test_a_folder_its_signature_and_its_files_give_one_evidence(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    for path in ("tiny/model.sig", "tiny/model.safetensors", "tiny/config.json"):
        assert load_model_evidence(tmp_path / path) == evidence
    assert evidence.bundle_path == tmp_path / "tiny/model.sig"
    assert evidence.bundle_sha256 == hashlib.sha256(evidence.bundle_path.read_bytes()).hexdigest()
    assert evidence.media_type == "multipart/mixed"
    assert evidence.name == "tiny"


def test_a_manifest_may_lie_beside_the_folder_as_well(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    (tmp_path / "tiny/model.c2pa").rename(tmp_path / "tiny.c2pa")
    assert load_model_evidence(tmp_path / "tiny") == evidence


def test_a_signature_without_a_manifest_is_evidence(tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny")
    sign(model)
    evidence = load_model_evidence(model)
    assert evidence.store is None
    assert [one.digest.hex() for one in evidence.bindings] == [evidence.digest]


def test_a_single_file_may_be_bound_by_its_own_sha256(tmp_path: Path) -> None:
    file = write_safetensors(tmp_path / "w.safetensors", {"t": b"\x01\x02"})
    sign(file, signature=tmp_path / "w.safetensors.sig")
    content = file.read_bytes()
    sidecar = tmp_path / "w.safetensors.c2pa"
    sidecar.write_bytes(bound(plan(media_type="application/vnd.safetensors"), content))
    evidence = load_model_evidence(file)
    assert evidence.store == sidecar.read_bytes()
    assert evidence.bindings[1:] == (Binding("sha256", hashlib.sha256(content).digest()),)
    assert evidence.media_type == "application/vnd.safetensors"
    store = store_naming(generated_by=evidence)
    assert outcomes(store, evidence) == [("model-matches", Status.HELD)]


@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
def test_a_manifest_inside_the_model_s_file_is_evidence_without_a_signature(
    kind: str, tmp_path: Path
) -> None:
    file = tmp_path / f"w.{kind}"
    if kind == "onnx":
        file.write_bytes(embedded(OnnxStore(), onnx()))
    else:
        write_safetensors(file, {"t": b"\x01\x02"})
        file.write_bytes(embedded(SafetensorsStore(), file.read_bytes()))
    evidence = load_model_evidence(file)
    assert evidence.bundle_path is None
    assert evidence.bindings[0].exclusions
    store = store_naming(generated_by=evidence)
    assert outcomes(store, evidence) == [("model-matches", Status.HELD)]
    file.write_bytes(
        file.read_bytes().replace(b"graph", b"grapH").replace(b"\x01\x02", b"\x01\x03")
    )
    with pytest.raises(ModelEvidenceError, match="the manifest inside does not hold"):
        load_model_evidence(file)


def test_a_signature_and_a_manifest_inside_the_file_count_together(tmp_path: Path) -> None:
    file = write_safetensors(tmp_path / "w.safetensors", {"t": b"\x01\x02"})
    file.write_bytes(embedded(SafetensorsStore(), file.read_bytes()))
    alone = load_model_evidence(file)
    sign(file)
    both = load_model_evidence(file)
    assert both.store == alone.store
    assert both.bindings[-1] == alone.bindings[0]
    assert both.digest != alone.digest
    assert outcomes(store_naming(generated_by=alone), both) == [("model-matches", Status.HELD)]


def test_a_manifest_of_another_model_is_refused(tmp_path: Path) -> None:
    signed_model(tmp_path / "tiny")
    (tmp_path / "tiny/config.json").write_bytes(b"{}")
    sign(tmp_path / "tiny", replace=True, options=SnapshotOptions(ignore_paths=("model.c2pa",)))
    with pytest.raises(ModelEvidenceError, match="bound to another model") as refused:
        load_model_evidence(tmp_path / "tiny")
    assert refused.value.code == "model-evidence"
    assert "anew" in refused.value.hint
    for path in ("tiny", "tiny/model.sig", "tiny/config.json"):
        evidence = load_model_evidence(tmp_path / path, with_manifest=False)
        assert evidence.store is None


def test_a_damaged_manifest_beside_the_model_is_refused(tmp_path: Path) -> None:
    signed_model(tmp_path / "tiny")
    (tmp_path / "tiny/model.c2pa").write_bytes(b"\0\0\0\x08junk")
    with pytest.raises(ProvenanceError) as refused:
        load_model_evidence(tmp_path / "tiny")
    assert refused.value.code == "malformed-manifest"


def test_a_signature_that_says_nothing_of_the_file_is_refused(tmp_path: Path) -> None:
    signed_model(tmp_path / "tiny")
    (tmp_path / "tiny/later.bin").write_bytes(b"later")
    with pytest.raises(ModelEvidenceError, match=r"says nothing of later\.bin"):
        load_model_evidence(tmp_path / "tiny/later.bin")


def test_nothing_at_all_is_refused_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ContentNotFoundError):
        load_model_evidence(tmp_path / "absent")
    (tmp_path / "w.bin").write_bytes(b"weights")
    with pytest.raises(SignatureNotFoundError):
        load_model_evidence(tmp_path / "w.bin")
    (tmp_path / "model.sig").write_bytes(b"{}")
    with pytest.raises(MalformedError):
        load_model_evidence(tmp_path / "w.bin")


def test_a_statement_of_the_old_kind_has_no_digest_to_name(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": digest}}],
        "predicateType": "https://model_signing/Digests/v0.1",
        "predicate": {},
    }
    (tmp_path / "model.sig").write_bytes(resign_statement(statement, generate("ec-p256")))
    with pytest.raises(ModelEvidenceError, match=r"v0\.1 kind"):
        load_model_evidence(tmp_path)


@pytest.mark.parametrize(
    ("paths", "kind"),
    [
        (["config.json", "a/model-1.safetensors"], "c2pa.types.model.huggingface.transformers"),
        (["config.json", "pytorch_model.bin"], "c2pa.types.model.huggingface.transformers"),
        (["model.safetensors"], "c2pa.types.model"),
        (["m.ONNX"], "c2pa.types.model.onnx"),
        (["net.pt"], "c2pa.types.model.pytorch"),
        (["saved_model.pb", "variables/x"], "c2pa.types.model.tensorflow"),
        ([], "c2pa.types.model"),
    ],
)
def test_a_model_s_type_is_guessed_from_its_files(paths: list[str], kind: str) -> None:
    assert model_types(paths) == (kind,)


# Whether content names the model at hand.


def test_content_names_the_model_that_made_it(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    store = store_naming(generated_by=evidence)
    (check,) = check_model(store, evidence)
    assert (check.code, check.status) == ("model-matches", Status.HELD)
    assert "by its own manifest" in check.sentence
    (named,) = named_models(store)
    assert (named.title, named.binding) == ("tiny", evidence.bindings[0])


def test_content_names_a_model_without_a_manifest_by_its_digest(tmp_path: Path) -> None:
    evidence = replace(signed_model(tmp_path / "tiny"), store=None)
    (check,) = check_model(store_naming(generated_by=evidence), evidence)
    assert (check.code, check.status) == ("model-matches", Status.HELD)
    assert "by its digest" in check.sentence


@pytest.mark.parametrize("with_store", [True, False])
def test_another_model_is_refused_and_is_no_tampering(with_store: bool, tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    other_model = make_model(tmp_path / "other", {"config.json": b"{}"})
    sign(other_model)
    other = load_model_evidence(other_model)
    named = evidence if with_store else replace(evidence, store=None)
    checks = check_model(store_naming(generated_by=named), other)
    assert [check.code for check in checks] == ["model-differs"]
    assert outcome_of(checks) is Outcome.REFUSED
    assert evidence.digest in checks[0].sentence
    assert other.digest in checks[0].sentence


def test_one_bit_of_the_digest_makes_another_model(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    digest = bytearray(evidence.bindings[0].digest)
    digest[-1] ^= 1
    other = replace(evidence, bindings=(Binding("sha256", bytes(digest)),))
    assert outcomes(store_naming(generated_by=evidence), other)[0][0] == "model-differs"


def test_content_that_names_no_model_is_refused_if_one_was_asked_for(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    store = store_naming()
    assert outcomes(store, None) == [("model-not-named", Status.NOT_CHECKED)]
    checks = check_model(store, evidence)
    assert [check.code for check in checks] == ["model-not-named"]
    assert outcome_of(checks) is Outcome.REFUSED


def test_without_a_model_at_hand_nothing_is_compared(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    (check,) = check_model(store_naming(generated_by=evidence), None)
    assert (check.code, check.status) == ("model-not-at-hand", Status.NOT_CHECKED)
    assert evidence.digest in check.sentence


def test_a_model_that_is_only_named_by_title_settles_nothing(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    ingredient = {
        "title": "tiny\x1b[0m",
        "relationship": "inputTo",
        "data_types": [{"type": "c2pa.types.model.onnx"}],
    }
    store = store_naming(source_type="trainedAlgorithmicMedia", extra={"ingredients": [ingredient]})
    checks = check_model(store, evidence)
    assert [check.code for check in checks] == ["model-without-digest"]
    assert outcome_of(checks) is Outcome.INCONCLUSIVE
    assert "\x1b" not in checks[0].sentence


@pytest.mark.parametrize(
    "ingredient",
    [
        {"relationship": "componentOf", "data_types": [{"type": "c2pa.types.model"}]},
        {"relationship": "inputTo", "data_types": [{"type": "c2pa.types.dataset"}]},
        {"relationship": "inputTo"},
    ],
)
def test_other_ingredients_are_no_models(ingredient: dict[str, object]) -> None:
    store = store_naming(
        source_type="trainedAlgorithmicMedia", extra={"ingredients": [{"title": "x", **ingredient}]}
    )
    assert named_models(store) == ()


def test_one_of_several_models_is_enough(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    upscaler = {
        "title": "upscaler",
        "relationship": "inputTo",
        "instance_id": sha256_name(bytes(32)),
        "data_types": [{"type": "c2pa.types.model"}],
    }
    store = store_naming(generated_by=evidence, extra={"ingredients": [upscaler]})
    assert outcomes(store, evidence) == [("model-matches", Status.HELD)]
    assert len(named_models(store)) == 2


def test_an_edit_of_generated_content_still_names_its_model(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    generated, _ = sign_png(plan(media_type="image/png", title="a.png", generated_by=evidence))
    (tmp_path / "a.png").write_bytes(generated)
    edit, _ = sign_png(plan(media_type="image/png", edited_from=tmp_path / "a.png"), generated)
    (tmp_path / "b.png").write_bytes(edit)
    _, twice = sign_png(plan(media_type="image/png", edited_from=tmp_path / "b.png"), edit)
    store = read_store(twice)
    (check,) = check_model(store, evidence)
    assert (check.code, check.status) == ("model-matches", Status.HELD)
    assert check.sentence.startswith("what it was edited from names the model")
    assert [model.edits for model in named_models(store)] == [2]
    # Without what it was edited from, nothing is left that names it.
    orphan = replace(store, manifests=store.manifests[2:])
    assert outcomes(orphan, evidence)[0][0] == "model-not-named"


def test_a_second_manifest_over_the_same_weights_is_pointed_out(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    again = bound(plan(describes=evidence, media_type=evidence.media_type), evidence.asset)
    store = store_naming(generated_by=evidence)
    assert outcomes(store, replace(evidence, store=again)) == [
        ("model-matches", Status.HELD),
        ("model-manifest-differs", Status.WARNED),
    ]


def test_a_second_signature_over_the_same_weights_is_pointed_out(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    store = store_naming(generated_by=evidence)
    (tmp_path / "tiny/model.c2pa").rename(tmp_path / "tiny.c2pa")
    sign(tmp_path / "tiny", replace=True)
    assert outcomes(store, load_model_evidence(tmp_path / "tiny")) == [
        ("model-matches", Status.HELD),
        ("model-bundle-differs", Status.WARNED),
    ]


def test_a_manifest_that_was_exchanged_behind_the_signature_is_refused(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    store = store_naming(generated_by=evidence)
    other = signed_model(tmp_path / "other")
    assert other.store is not None
    forged = replace(read_store(other.store).active, label=store.manifests[0].label)
    exchanged = replace(store, manifests=(forged, *store.manifests[1:]))
    missing = replace(store, manifests=store.manifests[1:])
    for changed in (exchanged, missing):
        checks = check_model(changed, evidence)
        assert [check.code for check in checks] == ["model-unreadable"]
        assert outcome_of(checks) is Outcome.MALFORMED


def test_the_weights_and_the_manifest_are_not_needed_to_compare(tmp_path: Path) -> None:
    evidence = signed_model(tmp_path / "tiny")
    store = store_naming(generated_by=evidence)
    shutil.copy(tmp_path / "tiny/model.sig", tmp_path / "alone.sig")
    alone = load_model_evidence(tmp_path / "alone.sig")
    assert alone.store is None
    assert outcomes(store, alone) == [("model-matches", Status.HELD)]


# What c2pa would not write: manifests made by hand.


def made_content(model: Made | None, **ingredient: object) -> ManifestStore:
    """Return a store whose content names a hand-made model; `ingredient` replaces its fields."""
    fields: dict[str, object] = {
        "dc:title": "made",
        "relationship": "inputTo",
        "dataTypes": [{"type": "c2pa.types.model"}],
    }
    if model is not None:
        label = f"self#jumbf=/c2pa/{model.label}"
        fields["activeManifest"] = {"url": label, "hash": hashlib.sha256(model.box()[8:]).digest()}
    fields = {key: value for key, value in (fields | ingredient).items() if value is not None}
    content = Made(label="urn:c2pa:content", assertions={"c2pa.ingredient.v3": fields})
    return read_store(make_store(*([model] if model else []), content))


def made_model(**changes: object) -> Made:
    """Return a model's manifest, bound to no bytes at all unless it is changed."""
    given: dict[str, object] = {"assertions": {"c2pa.hash.data": data_hash(b"")}, **changes}
    return Made(**given)  # type: ignore[arg-type]


MADE = ModelEvidence(
    name="made",
    digest=hashlib.sha256(b"").hexdigest(),
    bindings=(Binding("sha256", hashlib.sha256(b"").digest()),),
)
TWO = {"c2pa.hash.data": data_hash(b""), "c2pa.hash.data__1": data_hash(b"")}


def test_a_hand_made_model_is_named_like_any_other() -> None:
    assert outcomes(made_content(made_model()), MADE) == [("model-matches", Status.HELD)]


@pytest.mark.parametrize(
    "store",
    [
        made_content(made_model(assertions=TWO)),
        made_content(made_model(hashes={"c2pa.hash.data": b"x" * 32})),
        made_content(made_model(created=[])),
        made_content(made_model(assertions={"c2pa.hash.data": {"alg": "sha256"}})),
        made_content(made_model(), activeManifest={"url": "self#jumbf=/c2pa/x", "hash": b"x"}),
        made_content(made_model(), activeManifest={"url": 1}),
        made_content(
            made_model(),
            activeManifest={
                "url": f"self#jumbf=/c2pa/{made_model().label}",
                "alg": "sha3-256",
                "hash": hashlib.sha3_256(made_model().box()[8:]).digest(),
            },
        ),
    ],
    ids=["two hashes", "other hash", "unclaimed", "no digest", "missing", "no address", "sha3"],
)
def test_a_model_s_manifest_that_is_not_sound_settles_nothing(store: ManifestStore) -> None:
    checks = check_model(store, MADE)
    assert [check.code for check in checks] == ["model-unreadable"]
    assert outcome_of(checks) is Outcome.MALFORMED
    assert check_model(store, None) == checks


def test_a_model_s_manifest_without_a_hash_does_not_say_which_weights() -> None:
    store = made_content(made_model(assertions={"x.y": {}}))
    assert outcomes(store, MADE) == [("model-without-digest", Status.FAILED)]


@pytest.mark.parametrize("identifier", [None, "xmp:iid:1", 7, "ni:///sha-256;short"])
def test_an_identifier_that_is_no_digest_does_not_say_which_weights(identifier: object) -> None:
    store = made_content(None, instanceID=identifier)
    assert outcomes(store, MADE) == [("model-without-digest", Status.FAILED)]


def test_after_a_redaction_the_signature_s_hash_is_enough() -> None:
    model = made_model()
    signature = read_store(make_store(model)).active.signature_hash_input
    label = f"self#jumbf=/c2pa/{model.label}"
    redacted = {
        "activeManifest": {"url": label, "hash": b"\0" * 32},
        "claimSignature": {
            "url": f"{label}/c2pa.signature",
            "hash": hashlib.sha256(signature).digest(),
        },
    }
    assert outcomes(made_content(model, **redacted), MADE) == [("model-matches", Status.HELD)]
    redacted["claimSignature"]["hash"] = b"\0" * 32
    assert outcomes(made_content(model, **redacted), MADE)[0][0] == "model-unreadable"


def test_references_to_other_things_are_no_bundles() -> None:
    references = {
        "c2pa.external-reference": {"location": {"url": "https://example.com/x"}},
        "c2pa.external-reference__1": {"location": {"url": 1, "dc:format": "text/plain"}},
        "c2pa.external-reference__2": {"location": {"url": "x", "dc:format": BUNDLE_TYPE}},
    }
    ingredient = made_content(None, instanceID=sha256_name(MADE.bindings[0].digest))
    value = ingredient.active.assertions[0].value
    content = Made(assertions={"c2pa.ingredient.v3": value, **references})
    store = read_store(make_store(content))
    evidence = replace(MADE, bundle_sha256="0" * 64)
    assert outcomes(store, evidence) == [("model-matches", Status.HELD)]


def test_a_manifest_that_is_bound_to_nothing_is_no_model_s(tmp_path: Path) -> None:
    signed_model(tmp_path / "tiny")
    (tmp_path / "tiny/model.c2pa").write_bytes(make_store(made_model(assertions={"x.y": {}})))
    with pytest.raises(ModelEvidenceError, match="not bound to any bytes"):
        load_model_evidence(tmp_path / "tiny")


# Addresses that name bytes.


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_s_address_gives_the_digest_back(digest: bytes) -> None:
    assert named_sha256(sha256_name(digest)) == digest
    assert named_sha256(sha256_name(digest) + "?ct=application/json") == digest


def test_the_example_of_rfc_6920_is_read() -> None:
    address = "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk"
    assert named_sha256(address) == hashlib.sha256(b"Hello World!").digest()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ni:///sha-256;",
        "ni:///sha-256-32;f4OxZQ",
        "ni://example.com/sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk",
        "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGl",
        "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk=",
        "ni:///sha-256;f4OxZX/x/FO5LcGBSKHWXfwtSx+j1ncoSt3SABJtkGk",
    ],
)
def test_other_addresses_name_no_digest(address: str) -> None:
    assert named_sha256(address) is None


@settings(deadline=None)  # It writes a file.
@given(st.binary(max_size=300))
def test_any_bytes_as_a_signature_give_evidence_or_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.sig"
    path.write_bytes(data)
    with pytest.raises(Error):
        load_model_evidence(path)
