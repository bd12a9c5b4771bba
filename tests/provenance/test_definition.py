"""Manifests from plain facts: what they say, what c2pa's reader thinks of it, what is refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.provenance import ingredients
from countermark.provenance.definition import (
    ContentRequest,
    ManifestPlan,
    load_definition,
    plan_manifest,
)
from countermark.provenance.definition_json import MAX_DEFINITION_BYTES
from countermark.provenance.engine import DETACHED
from countermark.provenance.errors import ContentNotFoundError, DefinitionError
from countermark.provenance.ingredients import MAX_PROMPT_BYTES
from countermark.provenance.model_evidence import ModelEvidence, load_model_evidence
from countermark.provenance.source_types import SOURCE_TYPES, generated_source_type
from countermark.provenance.store import read_store
from countermark.provenance.text_wrapper import TextWrapper
from support.model_credentials import bound, embedded, plan, read, sign_png, signed_model
from support.stores import picture

MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
DATA = "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
CREATED = {
    "label": "c2pa.actions.v2",
    "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": MEDIA}]},
}


@pytest.fixture
def model(tmp_path: Path) -> ModelEvidence:
    return signed_model(tmp_path / "tiny")


def assertion(store: bytes, label: str) -> dict[str, object]:
    found = read_store(store).active.assertion(label)
    assert found is not None, label
    assert found.kind == "cbor"
    value = found.value
    assert isinstance(value, dict)
    return value


def actions(store: bytes) -> list[dict[str, object]]:
    listed = assertion(store, "c2pa.actions.v2")["actions"]
    assert isinstance(listed, list)
    return listed


def signed(planned: ManifestPlan, content: bytes | None = None) -> bytes:
    """Sign a picture, let c2pa's reader judge it, and return the store."""
    data, store = sign_png(planned, content)
    found = read("image/png", data)
    assert (found.state, found.failures) == ("Trusted", ())
    return store


def image(**request: object) -> bytes:
    return signed(plan(media_type="image/png", title="x.png", **request))


def test_generated_content_says_so_and_brings_its_model_s_manifest(model: ModelEvidence) -> None:
    data, store = sign_png(plan(media_type="image/png", title="x.png", generated_by=model))
    found = read("image/png", data)
    assert (found.state, found.failures, found.manifests) == ("Trusted", (), 2)
    results = found.report["validation_results"]
    assert "ingredient.manifest.validated" in json.dumps(results)
    (created,) = actions(store)
    assert (created["action"], created["digitalSourceType"]) == ("c2pa.created", MEDIA)
    assert assertion(store, "c2pa.actions.v2")["allActionsIncluded"] is False
    disclosure = assertion(store, "c2pa.ai-disclosure")
    assert disclosure["modelType"] == "c2pa.types.model.huggingface.transformers"
    assert disclosure["modelName"] == "tiny"
    ingredient = assertion(store, "c2pa.ingredient.v3")
    assert ingredient["relationship"] == "inputTo"
    assert ingredient["instanceID"] == disclosure["modelIdentifier"]
    assert model.store is not None
    label = read_store(model.store).active.label
    assert isinstance(ingredient["activeManifest"], dict)
    assert ingredient["activeManifest"]["url"] == f"self#jumbf=/c2pa/{label}"
    assert model.store.find(read_store(store).manifests[0].signature) > 0


def test_what_the_signer_stands_for_and_what_was_gathered_are_kept_apart(
    model: ModelEvidence,
) -> None:
    store = image(generated_by=model, training_mining={"ai_training": "notAllowed"})
    claim = read_store(store).active.claim
    created = {one.url.rpartition("/")[2] for one in claim.created}
    gathered = {one.url.rpartition("/")[2] for one in claim.gathered}
    assert created >= {"c2pa.actions.v2", "c2pa.ai-disclosure", "cawg.training-mining"}
    assert "c2pa.external-reference" in gathered


def test_the_model_s_bundle_is_referred_to_by_its_sha256(model: ModelEvidence) -> None:
    reference = assertion(image(generated_by=model), "c2pa.external-reference")
    location = reference["location"]
    assert isinstance(location, dict)
    assert location["url"].startswith("ni:///sha-256;")
    assert location["dc:format"] == "application/vnd.dev.sigstore.bundle.v0.3+json"


def test_the_action_refers_to_model_and_prompt(model: ModelEvidence) -> None:
    store = image(generated_by=model, prompt="a cat, in oil")
    (created,) = actions(store)
    parameters = created["parameters"]
    assert isinstance(parameters, dict)
    urls = [one["url"] for one in parameters["ingredients"]]
    assert urls == [
        "self#jumbf=c2pa.assertions/c2pa.ingredient.v3",
        "self#jumbf=c2pa.assertions/c2pa.ingredient.v3__1",
    ]
    prompt = assertion(store, "c2pa.ingredient.v3__1")
    assert prompt["dataTypes"] == [{"type": "c2pa.types.generator.prompt"}]
    text = read_store(store).active.assertion("c2pa.embedded-data")
    assert text is not None
    assert text.value == b"a cat, in oil"


def test_a_prompt_alone_says_that_some_model_made_it() -> None:
    store = image(prompt="a cat")
    assert actions(store)[0]["digitalSourceType"] == MEDIA
    assert assertion(store, "c2pa.ai-disclosure") == {"modelType": "c2pa.types.model"}


@pytest.mark.parametrize("prompt", ["", "x" * (MAX_PROMPT_BYTES + 1)])
def test_a_prompt_that_is_empty_or_over_the_limit_is_refused(prompt: str) -> None:
    with pytest.raises(DefinitionError, match="a prompt of"):
        plan(prompt=prompt)


def test_a_prompt_of_the_limit_is_taken() -> None:
    planned = plan(prompt="x" * MAX_PROMPT_BYTES)
    assert len(planned.resources["prompt.txt"]) == MAX_PROMPT_BYTES


@pytest.mark.parametrize(
    ("media_type", "source_type"),
    [
        ("image/svg+xml", MEDIA),
        ("audio/wav", MEDIA),
        ("video/mp4", MEDIA),
        ("application/pdf", MEDIA),
        ("text/plain", MEDIA),
        ("text/markdown", MEDIA),
        ("text/html", MEDIA),
        ("text/x-python", DATA),
        ("text/csv", DATA),
        ("application/json", DATA),
        ("application/vnd.safetensors", DATA),
        ("application/octet-stream", DATA),
        ("application/zip", DATA),
    ],
)
def test_media_and_text_are_media_and_the_rest_is_data(media_type: str, source_type: str) -> None:
    assert generated_source_type(media_type) == source_type


def test_a_model_s_own_manifest_says_what_it_is(model: ModelEvidence) -> None:
    planned = plan(describes=model, media_type=model.media_type)
    assert planned.definition["title"] == "tiny"
    store = bound(planned, model.asset)
    found = read(DETACHED, model.asset, store=store)
    assert (found.state, found.failures) == ("Trusted", ())
    assert actions(store)[0]["digitalSourceType"] == DATA
    # c2pa 0.91 drops the version of the label that it was given.
    types = assertion(store, "c2pa.asset-type")
    assert types["types"] == [{"type": "c2pa.types.model.huggingface.transformers"}]
    assert "c2pa.external-reference" in json.dumps(planned.definition)


def test_a_fine_tuned_model_has_its_base_as_input(model: ModelEvidence, tmp_path: Path) -> None:
    tuned = signed_model(tmp_path / "tuned")
    store = bound(plan(describes=tuned, generated_by=model, media_type=tuned.media_type), b"x")
    assert read(DETACHED, b"x", store=store).state == "Trusted"
    assert assertion(store, "c2pa.external-reference") != assertion(
        store, "c2pa.external-reference__1"
    )


def test_content_brings_the_model_s_own_model_along(model: ModelEvidence, tmp_path: Path) -> None:
    tuned = signed_model(tmp_path / "tuned")
    planned = plan(describes=tuned, generated_by=model, media_type=tuned.media_type)
    (tmp_path / "tuned/model.c2pa").write_bytes(bound(planned, tuned.asset))
    tuned = load_model_evidence(tmp_path / "tuned")
    data, store = sign_png(plan(media_type="image/png", generated_by=tuned))
    found = read("image/png", data)
    assert (found.state, found.failures, found.manifests) == ("Trusted", (), 3)
    results = assertion(store, "c2pa.ingredient.v3")["validationResults"]
    assert isinstance(results, dict)
    (delta,) = results["ingredientDeltas"]
    assert delta["validationDeltas"]["failure"] == []


def test_an_edit_begins_with_its_parent(tmp_path: Path) -> None:
    first, _ = sign_png(plan(media_type="image/png", title="first.png"))
    (tmp_path / "first.png").write_bytes(first)
    data, store = sign_png(
        plan(media_type="image/png", title="x", edited_from=tmp_path / "first.png"), first
    )
    found = read("image/png", data)
    assert (found.state, found.failures, found.manifests) == ("Trusted", (), 2)
    assert [one["action"] for one in actions(store)] == ["c2pa.opened", "c2pa.edited"]
    assert "digitalSourceType" not in actions(store)[1]
    parent = assertion(store, "c2pa.ingredient.v3")
    assert (parent["relationship"], parent["dc:title"]) == ("parentOf", "first.png")


def test_an_edit_by_a_model_is_a_composite(model: ModelEvidence, tmp_path: Path) -> None:
    (tmp_path / "first.png").write_bytes(picture())
    store = image(edited_from=tmp_path / "first.png", generated_by=model, prompt="bluer")
    opened, edited = actions(store)
    assert edited["digitalSourceType"] == COMPOSITE
    assert "digitalSourceType" not in opened
    assert assertion(store, "c2pa.ai-disclosure")["modelName"] == "tiny"


def test_a_parent_whose_mark_only_we_can_read_brings_its_manifest(tmp_path: Path) -> None:
    text = embedded(TextWrapper(), b"some words", plan(media_type="text/plain", title="a.txt"))
    (tmp_path / "a.txt").write_bytes(text)
    planned = plan(media_type="text/plain", edited_from=tmp_path / "a.txt")
    store = bound(planned, b"other words")
    found = read(DETACHED, b"other words", store=store)
    assert (found.state, found.failures, found.manifests) == ("Trusted", (), 2)
    results = assertion(store, "c2pa.ingredient.v3")["validationResults"]
    assert "assertion.dataHash.match" in json.dumps(results)
    assert '"failure": []' in json.dumps(results)


def test_a_parent_that_does_not_hold_is_recorded_as_such(tmp_path: Path) -> None:
    text = embedded(TextWrapper(), b"some words", plan(media_type="text/plain", title="a.txt"))
    (tmp_path / "a.txt").write_bytes(text.replace(b"some", b"same"))
    store = bound(plan(media_type="text/plain", edited_from=tmp_path / "a.txt"), b"x")
    results = assertion(store, "c2pa.ingredient.v3")["validationResults"]
    assert isinstance(results, dict)
    failures = results["activeManifest"]["failure"]
    assert [one["code"] for one in failures] == ["assertion.dataHash.mismatch"]


def test_a_parent_with_a_manifest_beside_it_brings_that(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0bytes")
    sidecar = bound(plan(media_type="application/octet-stream", title="a.bin"), b"\0bytes")
    (tmp_path / "a.bin.c2pa").write_bytes(sidecar)
    planned = plan(media_type="application/octet-stream", edited_from=tmp_path / "a.bin")
    assert planned.resources["parent.c2pa"] == sidecar


def test_a_parent_without_a_manifest_is_named_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"Hello World!")
    store = bound(plan(media_type="text/plain", edited_from=tmp_path / "a.txt"), b"x")
    parent = assertion(store, "c2pa.ingredient.v3")
    assert parent["instanceID"] == "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk"
    assert "activeManifest" not in parent


def test_a_parent_that_is_not_there_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ContentNotFoundError, match=r"absent\.png"):
        plan(edited_from=tmp_path / "absent.png")
    (tmp_path / "a.png").write_bytes(picture())
    monkeypatch.setattr(ingredients, "MAX_PARENT_BYTES", len(picture()))
    plan(edited_from=tmp_path / "a.png")
    monkeypatch.setattr(ingredients, "MAX_PARENT_BYTES", len(picture()) - 1)
    with pytest.raises(DefinitionError, match="is over"):
        plan(edited_from=tmp_path / "a.png")


def test_a_model_s_manifest_that_does_not_hold_is_not_passed_on(model: ModelEvidence) -> None:
    assert model.store is not None
    damaged = bytearray(model.store)
    damaged[damaged.index(b"xmp.iid:") + 8] ^= 1
    with pytest.raises(DefinitionError, match=r"does not hold: claimSignature\.mismatch"):
        plan(generated_by=replace(model, store=bytes(damaged)))


def test_no_facts_at_all_make_no_manifest() -> None:
    with pytest.raises(DefinitionError, match="nothing says how") as refused:
        plan_manifest(ContentRequest(title="x", media_type="image/png"))
    assert refused.value.code == "manifest-definition"
    assert "--generated-by" in refused.value.hint


@pytest.mark.parametrize("name", sorted(SOURCE_TYPES))
def test_every_source_type_we_name_is_one_that_c2pa_takes(name: str) -> None:
    store = image(source_type=name)
    assert actions(store)[0]["digitalSourceType"] == SOURCE_TYPES[name]


def test_another_source_type_is_refused() -> None:
    with pytest.raises(DefinitionError, match="no digital source type"):
        plan(source_type="trainedalgorithmicmedia")


@pytest.mark.parametrize(
    ("given_", "entries"),
    [
        ({"ai_training": "notAllowed"}, {"cawg.ai_training": {"use": "notAllowed"}}),
        ({"cawg.data_mining": "allowed"}, {"cawg.data_mining": {"use": "allowed"}}),
        (
            {"ai_inference": "constrained:ask us", "ai_generative_training": "constrained"},
            {
                "cawg.ai_inference": {"use": "constrained", "constraint_info": "ask us"},
                "cawg.ai_generative_training": {"use": "constrained"},
            },
        ),
    ],
)
def test_permissions_become_what_cawg_defines(
    given_: dict[str, str], entries: dict[str, object]
) -> None:
    store = image(training_mining=given_)
    assert assertion(store, "cawg.training-mining") == {"entries": entries}


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"training": "allowed"}, "nothing to permit is called training"),
        ({"cawg.cawg.ai_training": "allowed"}, "nothing to permit"),
        ({"ai_training": "no"}, "no is not a permission"),
        ({"ai_training": "notallowed"}, "not a permission"),
        ({"ai_training": "allowed:but"}, "not a permission"),
        ({"ai_training": "allowed", "cawg.ai_training": "notAllowed"}, "said twice"),
        ({"ai_training": "constrained:" + "x" * 1001}, "over 1000 characters"),
    ],
)
def test_other_permissions_are_refused(given_: dict[str, str], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        plan(training_mining=given_)


# The JSON definition.


def test_a_definition_wins(model: ModelEvidence) -> None:
    disclosure = {"modelType": "c2pa.types.model.jax", "modelName": "other"}
    store = image(
        generated_by=model,
        extra={
            "title": "mine",
            "claim_generator_info": [{"name": "ours", "version": "9"}],
            "assertions": [
                {"label": "c2pa.ai-disclosure", "data": disclosure, "created": True},
                {"label": "org.example.note", "data": {"a": 1}},
            ],
        },
    )
    assert assertion(store, "c2pa.ai-disclosure") == disclosure
    assert assertion(store, "org.example.note") == {"a": 1}
    claim = read_store(store).active.claim
    assert (claim.title, claim.generator.split()[0]) == ("mine", "ours")
    assert read_store(store).active.assertion("c2pa.ai-disclosure__1") is None


def test_a_definition_alone_is_enough_and_its_actions_are_stood_for() -> None:
    store = image(extra={"assertions": [{"label": "x.y", "data": {}}, CREATED]})
    created = [one.url for one in read_store(store).active.claim.created]
    assert any("c2pa.actions.v2" in url for url in created)


def test_a_definition_may_open_a_parent_of_its_own() -> None:
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["it"]}}
    store = image(
        extra={
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [opened]}}],
            "ingredients": [{"title": "it", "relationship": "parentOf", "label": "it"}],
        }
    )
    assert actions(store)[0]["action"] == "c2pa.opened"


def with_actions(*listed: object) -> dict[str, object]:
    return {"assertions": [{"label": "c2pa.actions", "data": {"actions": list(listed)}}]}


PARENT = {"title": "p", "relationship": "parentOf"}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"titel": "x"}, "no key titel"),
        ({"format": "image/png"}, "no key format"),
        ({"thumbnail": {}}, "no key thumbnail"),
        ({"title": 1}, "title is not a text"),
        ({"claim_generator_info": {}}, "is not a list"),
        ({"assertions": {}}, "assertions is not a list"),
        ({"assertions": [1]}, "no object"),
        ({"assertions": [{"label": "a.b"}]}, "a label and data"),
        ({"assertions": [{"label": "", "data": {}}]}, "a label and data"),
        ({"assertions": [{"label": "a.b", "data": {}, "creatd": True}]}, "no key creatd"),
        ({"assertions": [{"label": "a.b", "data": {}, "created": 1}]}, "neither true nor false"),
        ({"assertions": [{"label": "c2pa.hash.data", "data": {}}]}, "made from the content"),
        ({"assertions": [{"label": "c2pa.ingredient.v3", "data": {}}]}, "made from the content"),
        ({"assertions": [{"label": "c2pa.thumbnail.claim", "data": {}}]}, "made from the content"),
        ({"assertions": [{"label": "c2pa.actions", "data": []}]}, "are no object"),
        ({"assertions": [CREATED] * 257}, "at most 256"),
        ({"ingredients": [{"title": "x"}]}, "relationship is one of"),
        ({"ingredients": [{**PARENT, "manifest_data": {}}]}, "no key manifest_data"),
        ({"ingredients": [PARENT, PARENT]}, "2 parents"),
        ({}, "nothing says how"),
        (with_actions(), "nothing says how"),
        (with_actions({"action": "c2pa.edited"}), "must be c2pa.created or c2pa.opened"),
        (with_actions({"action": "c2pa.created"}), "needs a digitalSourceType"),
        (with_actions({"action": "c2pa.opened"}), "go together"),
        ({"assertions": [CREATED], "ingredients": [PARENT]}, "go together"),
    ],
)
def test_what_a_definition_cannot_say_is_refused(extra: dict[str, object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as refused:
        plan(extra=extra)
    assert refused.value.code == "manifest-definition"


def test_as_many_assertions_as_the_limit_are_taken() -> None:
    extra = {"assertions": [CREATED, *[{"label": f"a.b{n}", "data": {}} for n in range(255)]]}
    assert len(load_definition(json.dumps(extra).encode())["assertions"]) == 256  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "is a JSON object"),
        (b'{"title":"a","title":"b"}', "same key twice"),
        (b'{"title":' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper"),
        (b" " * (MAX_DEFINITION_BYTES + 1), "limit"),
        (b'{"assertions":[' + b"1," * 70_000 + b"1]}", "limit"),
        (b'{"tilte":1}', "no key tilte"),
    ],
)
def test_json_that_is_no_definition_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        load_definition(data)


def test_a_definition_of_the_largest_size_is_read() -> None:
    data = json.dumps({"title": "x"}).encode()
    padded = data + b" " * (MAX_DEFINITION_BYTES - len(data))
    assert load_definition(padded) == {"title": "x"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
KEYS = ("title", "assertions", "ingredients", "label", "data", "actions", "relationship")
LIKELY = st.recursive(
    JSON | st.sampled_from(["c2pa.actions.v2", "parentOf", "c2pa.created", "c2pa.opened"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), LIKELY))
def test_any_definition_gives_a_plan_or_our_own_error(extra: Mapping[str, object]) -> None:
    try:
        planned = plan(extra=extra)
    except DefinitionError:
        return
    listed = planned.definition["assertions"]
    assert isinstance(listed, list)
    assert listed[0]["label"].startswith("c2pa.actions")
    assert listed[0]["created"] is True


@given(st.binary(max_size=200))
def test_any_bytes_give_a_definition_or_our_own_error(data: bytes) -> None:
    try:
        load_definition(data)
    except DefinitionError:
        return


@pytest.mark.usefixtures("model")
def test_a_plan_can_be_made_from_a_signature_alone(tmp_path: Path) -> None:
    (tmp_path / "tiny/model.c2pa").unlink()
    evidence = load_model_evidence(tmp_path / "tiny")
    store = image(generated_by=evidence)
    assert len(read_store(store).manifests) == 1
    assert assertion(store, "c2pa.ingredient.v3")["instanceID"]
