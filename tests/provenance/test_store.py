"""Manifest stores: real ones as c2pa reads them, and hand-made ones with one thing wrong."""

import base64
import contextlib
import hashlib
import sys
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.provenance import compressed, store
from countermark.provenance.carrier import Exclusion
from countermark.provenance.claim import parse_claim
from countermark.provenance.errors import (
    MalformedStoreError,
    ProvenanceError,
    UnsupportedContentError,
)
from countermark.provenance.jumbf import Budget
from countermark.provenance.store import Claim, ManifestStore, read_store
from support.credentials import make_credentials
from support.stores import (
    KEY,
    TAIL,
    Made,
    Signed,
    box,
    data_hash,
    make_store,
    read_crjson,
    sign_png,
    sign_sidecar,
    sign_wav,
    silence,
    superbox,
    update_png,
)

CONTENT = b"hello world"
LABEL = "urn:c2pa:F9168C5E-CEB2-4FAA-B6BF-329BF39FA1E4"
OTHER = "urn:c2pa:00000000-CEB2-4FAA-B6BF-329BF39FA1E4"


def real_stores() -> dict[str, tuple[str, Signed]]:
    plain = sign_wav()
    wavs = {
        "plain": plain,
        "thumbnail": sign_wav(thumbnail=b"\xff\xd8\xff\xe0 not looked at"),
        "claim v1": sign_wav(claim_version=1),
        "ingredients": sign_wav(parts=[plain.asset, sign_wav(parts=[plain.asset]).asset]),
    }
    picture = sign_png()
    pngs = {
        "picture": picture,
        "update": update_png(picture.asset),
        "update of an update": update_png(update_png(picture.asset).asset),
    }
    sidecars = {
        f"sidecar {algorithm} {key}": Signed(
            sign_sidecar(CONTENT, algorithm=algorithm, key=key, exclusions=exclusions), CONTENT
        )
        for algorithm, key, exclusions in (
            ("sha256", "ec-p256", ()),
            ("sha384", "ec-p384", ((2, 3),)),
            ("sha512", "ed25519", ((0, 1), (4, 2))),
        )
    }
    return {
        **{name: ("audio/wav", signed) for name, signed in wavs.items()},
        **{name: ("image/png", signed) for name, signed in pngs.items()},
        **{name: ("application/octet-stream", signed) for name, signed in sidecars.items()},
    }


@pytest.fixture(scope="module")
def stores() -> dict[str, tuple[str, Signed]]:
    return real_stores()


def _bytes_of(value: object) -> object:
    """Undo how crJSON writes byte strings."""
    if isinstance(value, str) and value.startswith("b64'"):
        return base64.b64decode(value[4:-1])
    if isinstance(value, dict):
        return {key: _bytes_of(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_bytes_of(inner) for inner in value]
    return value


def test_real_stores_are_read_as_c2pa_reads_them(stores: Mapping[str, tuple[str, Signed]]) -> None:
    assert len(stores) == 10
    for name, (media_type, signed) in stores.items():
        sidecar = signed.store if name.startswith("sidecar") else None
        theirs: Any = _bytes_of(read_crjson(media_type, signed.asset, sidecar))
        ours = read_store(signed.store)
        told = {entry["label"]: entry for entry in theirs["manifests"]}
        assert {one.label for one in ours.manifests} == set(told), name
        assert ours.active.label == theirs["manifests"][0]["label"], name
        for manifest in ours.manifests:
            entry = told[manifest.label]
            assert not manifest.problem
            assert entry["isUpdateManifest"] == (manifest.kind == "update"), name
            assert entry["isCompressedManifest"] is False
            assert {one.label for one in manifest.assertions} == set(entry["assertions"]), name
            _compare_claim(manifest.claim, entry)
            _compare_data_hash(manifest, entry)


def _compare_claim(claim: Claim, entry: dict[str, Any]) -> None:
    v2 = "claim.v2" in entry
    fields = entry["claim.v2" if v2 else "claim"]
    assert claim.version == (2 if v2 else 1)
    for ours, theirs in (
        (claim.created, fields["created_assertions" if v2 else "assertions"]),
        (claim.gathered, fields.get("gathered_assertions", [])),
    ):
        # Of version 1 the Reader shows absolute addresses, whatever is written.
        names = [(one.url.rpartition("/")[2], one.hash) for one in ours]
        assert names == [(one["url"].rpartition("/")[2], one["hash"]) for one in theirs]
    assert claim.instance_id == fields["instanceID"]
    assert claim.algorithm == fields["alg"] == "sha256"
    assert claim.signature == fields["signature"]
    assert claim.title == "x"
    assert claim.generator == "countermark 0.1"


def _compare_data_hash(manifest: store.Manifest, entry: dict[str, Any]) -> None:
    fields = entry["assertions"].get("c2pa.hash.data")
    found = manifest.data_hash
    if fields is None:
        assert found is None
        return
    assert found is not None
    assert (found.algorithm, found.digest) == (fields["alg"], fields["hash"])
    theirs = [Exclusion(one["start"], one["length"]) for one in fields.get("exclusions", [])]
    assert list(found.exclusions) == theirs


def test_every_reference_of_a_real_claim_has_the_hash_of_its_box(
    stores: Mapping[str, tuple[str, Signed]],
) -> None:
    seen = 0
    for _, signed in stores.values():
        for manifest in read_store(signed.store).manifests:
            for reference in manifest.claim.references:
                assertion = manifest.assertion(reference.url.rpartition("/")[2])
                assert assertion is not None
                digest = hashlib.new(reference.algorithm, assertion.box_hash_input).digest()
                assert digest == reference.hash
                seen += 1
    assert seen > 20


def test_the_signers_certificates_are_found(stores: Mapping[str, tuple[str, Signed]]) -> None:
    made = make_credentials(key=KEY)
    for name in ("plain", "claim v1", "update", "sidecar sha256 ec-p256"):
        chain = read_store(stores[name][1].store).active.certificates
        assert chain[0] == made.leaf_der, name


def test_values_of_assertions_are_decoded(stores: Mapping[str, tuple[str, Signed]]) -> None:
    active = read_store(stores["thumbnail"][1].store).active
    thumbnail = active.assertion("c2pa.thumbnail.claim")
    assert thumbnail is not None
    assert (thumbnail.kind, thumbnail.media_type) == ("bidb", "image/jpeg")
    assert thumbnail.value == b"\xff\xd8\xff\xe0 not looked at"
    actions = active.assertion("c2pa.actions.v2")
    assert actions is not None
    assert isinstance(actions.value, dict)
    assert actions.value["actions"][0]["action"] == "c2pa.created"
    assert active.assertion("c2pa.hash.boxes") is None


def test_a_compressed_manifest_is_refused_without_brotli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    packed = sign_png(compressed=True)
    with pytest.raises(UnsupportedContentError) as caught:
        read_store(packed.store)
    assert caught.value.code == "unsupported-content"
    assert "brotli" in caught.value.hint


def test_a_compressed_manifest_of_c2pa_is_read_with_brotli() -> None:
    pytest.importorskip("brotli", "1.2")
    packed = sign_png(compressed=True)
    active = read_store(packed.store).active
    assert active.kind == "standard"
    assert len(active.hard_bindings) == 1
    assert active.box_hash_input.nbytes < len(packed.store)
    entry: Any = read_crjson("image/png", packed.asset)
    assert entry["manifests"][0]["isCompressedManifest"] is True
    assert entry["manifests"][0]["label"] == active.label


def test_what_is_not_one_whole_brotli_stream_is_refused() -> None:
    brotli = pytest.importorskip("brotli", "1.2")
    good = brotli.compress(made().box())
    assert _packed(good).active.data_hash is not None
    assert _packed(good).active.kind == "standard"
    reasons = {
        good[:-1]: "ends early",
        b"": "ends early",
        good + b"x": "is no Brotli",
        b"\xff" + good[1:]: "is no Brotli",
        brotli.compress(made(label=OTHER).box()): "is none, or another",
        brotli.compress(superbox(b"c2cm", LABEL, box(b"brob", good))): "is none, or another",
        brotli.compress(made().box() + b"x"): "after the end",
        brotli.compress(bytes(65 << 20), quality=1): "more than 67108864 bytes",
    }
    for data, reason in reasons.items():
        with pytest.raises(MalformedStoreError, match=reason):
            _packed(data)


def _packed(data: bytes) -> ManifestStore:
    return read_store(superbox(b"c2pa", "c2pa", superbox(b"c2cm", LABEL, box(b"brob", data))))


class _Brotli:
    """Stands for the package: every byte put in gives a mebibyte of zeros."""

    made_bytes = 0

    class error(Exception):  # noqa: N801, N818
        pass

    class Decompressor:
        def __init__(self) -> None:
            self._left = 0

        def process(self, data: bytes, output_buffer_limit: int) -> bytes:
            self._left += len(data) << 20
            piece = min(self._left, output_buffer_limit)
            self._left -= piece
            _Brotli.made_bytes += piece
            return bytes(piece)

        def can_accept_more_data(self) -> bool:
            return self._left == 0

        def is_finished(self) -> bool:
            return False


def test_a_decompression_bomb_is_refused_and_many_cost_no_more_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", _Brotli)
    bombs = [
        superbox(b"c2cm", f"urn:c2pa:{number}", box(b"brob", bytes(10_000))) for number in range(50)
    ]
    good = Made(assertions={"c2pa.hash.data": data_hash(CONTENT)}).box()
    made_before = _Brotli.made_bytes
    found = read_store(superbox(b"c2pa", "c2pa", *bombs, good))
    # One step over the limit for the first, and at most one for each of the others.
    assert _Brotli.made_bytes - made_before <= (64 << 20) + 50 * (64 << 10)
    assert found.active.problem == ""
    assert {one.problem.partition(",")[0] for one in found.manifests[:-1]} == {
        "a store of more than 67108864 bytes"
    }
    with pytest.raises(MalformedStoreError, match="more than 67108864 bytes"):
        read_store(superbox(b"c2pa", "c2pa", bombs[0]))


def test_the_budget_of_decompression_ends_at_its_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", _Brotli)
    with pytest.raises(MalformedStoreError, match="ends early"):
        compressed.decompress(memoryview(b"."), budget=Budget(bytes_left=1 << 20), offset=0)
    with pytest.raises(MalformedStoreError, match="more than"):
        compressed.decompress(memoryview(b"."), budget=Budget(bytes_left=(1 << 20) - 1), offset=0)


def made(**fields: Any) -> Made:  # noqa: ANN401
    return Made(**{"assertions": {"c2pa.hash.data": data_hash(CONTENT)}, **fields})


def refused(data: bytes) -> str:
    with pytest.raises(MalformedStoreError) as caught:
        read_store(data)
    return str(caught.value)


def test_a_hand_made_store_is_read() -> None:
    found = read_store(make_store(made(label=OTHER), made(kind=b"c2md", extra=box(b"free", b""))))
    assert [one.label for one in found.manifests] == [OTHER, LABEL]
    assert [one.kind for one in found.manifests] == ["standard", "standard"]
    assert found.active.certificates == (b"leaf",)
    assert found.manifest(OTHER) is found.manifests[0]
    assert found.manifest("urn:c2pa:1") is None


def test_boxes_of_other_types_are_skipped() -> None:
    extra = superbox(b"c2vc", "c2pa.credentials", box(b"json", b"{}")) + box(b"what", b"")
    inner = made(extra=extra).box()
    data = superbox(b"c2pa", "c2pa", extra, inner, extra)
    assert read_store(data).active.label == LABEL


def test_what_is_no_manifest_store_is_refused() -> None:
    assert "no C2PA manifest store" in refused(superbox(b"c2pa", "c2pb", made().box()))
    assert "no C2PA manifest store" in refused(superbox(b"c2ma", "c2pa", made().box()))
    assert "without a manifest" in refused(superbox(b"c2pa", "c2pa"))
    assert "without a manifest" in refused(superbox(b"c2pa", "c2pa", superbox(b"c2as", "a")))


def test_two_things_of_one_name_are_refused() -> None:
    assert "two boxes are called urn:c2pa" in refused(make_store(made(), made()))
    twice = superbox(b"cbor", "c2pa.hash.data", box(b"cbor", b"\1")) * 2
    manifest = made(assertions={}).box()
    empty = superbox(b"c2as", "c2pa.assertions")
    replaced = manifest[8:].replace(empty, superbox(b"c2as", "c2pa.assertions", twice))
    assert "two boxes are called c2pa.hash.data" in refused(
        superbox(b"c2pa", "c2pa", box(b"jumb", replaced))
    )


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (superbox(b"c2cl", "c2pa.claim", box(b"cbor", b"\1")), "2 claims"),
        (superbox(b"c2as", "c2pa.assertions"), "exactly one c2pa.assertions"),
        (superbox(b"c2as", "x"), "exactly one c2pa.assertions"),
        (superbox(b"what", "c2pa.assertions"), "exactly one c2pa.assertions"),
        (superbox(b"c2cs", "c2pa.signature", box(b"cbor", b"\1")), "exactly one c2pa.signature"),
    ],
)
def test_a_second_claim_store_or_signature_is_refused(extra: bytes, reason: str) -> None:
    assert reason in refused(make_store(made(extra=extra)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"instanceID": None}, "instanceID is absent"),
        ({"signature": None}, "signature is absent"),
        ({"created_assertions": None}, "created_assertions is no list"),
        ({"claim_generator_info": None}, "claim_generator_info is no map"),
        ({"claim_generator_info": {}}, "name is absent"),
        ({"alg": 1}, "alg is no text"),
        ({"created_assertions": [{"url": "x"}]}, "a reference without address or hash"),
        ({"gathered_assertions": [{"url": 1, "hash": b""}]}, "a reference without"),
        ({"gathered_assertions": {}}, "gathered_assertions is no list"),
        ({"redacted_assertions": [1]}, "a redacted assertion that is no address"),
        ({"redacted_assertions": 1}, "redacted_assertions is no list"),
    ],
)
def test_a_claim_without_its_fields_is_refused(fields: Mapping[str, object], reason: str) -> None:
    assert reason in refused(make_store(made(claim=fields)))


def test_a_claim_that_is_no_map_is_refused_and_names_its_byte() -> None:
    with pytest.raises(MalformedStoreError, match="no map") as caught:
        parse_claim(memoryview(b"\1"), version=2, offset=7)
    assert caught.value.offset == 7


def test_a_claim_under_another_name_is_refused() -> None:
    assert "a claim called c2pa.claim.v3" in refused(make_store(made(claim_label="c2pa.claim.v3")))


@pytest.mark.parametrize(
    ("fields", "generator"),
    [
        ({"claim_generator": "agent/1"}, "agent/1"),
        ({"claim_generator": "agent/1", "claim_generator_info": []}, "agent/1"),
        ({"claim_generator_info": [{"name": "a", "version": "1"}, {"name": "b"}]}, "a 1"),
    ],
)
def test_version_1_names_its_generator_in_two_ways(
    fields: dict[str, object], generator: str
) -> None:
    claim = {"claim_generator_info": None, **fields}
    found = read_store(make_store(made(claim_label="c2pa.claim", claim=claim)))
    assert found.active.claim.generator == generator


def test_redacted_assertions_and_everything_claimed_are_listed() -> None:
    urls = ["self#jumbf=/c2pa/x/c2pa.assertions/c2pa.metadata"]
    both = {"c2pa.hash.data": data_hash(CONTENT), "c2pa.metadata": {}}
    one = made(
        assertions=both,
        created=["c2pa.hash.data"],
        gathered=["c2pa.metadata"],
        claim={"redacted_assertions": urls},
    )
    claim = read_store(make_store(one)).active.claim
    assert claim.redacted == tuple(urls)
    assert [len(claim.created), len(claim.gathered), len(claim.references)] == [1, 1, 2]


def test_a_manifest_without_a_label_is_refused() -> None:
    nameless = box(b"jumb", box(b"jumd", b"c2ma" + TAIL + b"\0"))
    assert "manifest without a label" in refused(superbox(b"c2pa", "c2pa", nameless))


def test_a_brotli_that_cannot_be_bounded_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        Decompressor = object

    monkeypatch.setitem(sys.modules, "brotli", Old)
    with pytest.raises(UnsupportedContentError, match="brotli"):
        _packed(b"x")


def test_an_unreadable_ingredient_is_a_problem_and_no_reason_to_refuse() -> None:
    found = read_store(make_store(made(label=OTHER, claim={"signature": None}), made()))
    assert found.manifests[0].problem.startswith("signature is absent")
    assert found.manifests[0].claim.version == 0
    assert found.manifests[0].data_hash is None
    assert found.active.problem == ""


def test_claims_are_limited_in_length(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_store(made(label=OTHER), made())
    both = 2 * len(cbor2.dumps(_claim(data)))
    monkeypatch.setattr(store, "MAX_CLAIMS_BYTES", both)
    assert read_store(data).active.label == LABEL
    monkeypatch.setattr(store, "MAX_CLAIMS_BYTES", both - 1)
    assert "claims of more than" in refused(data)


def _claim(data: bytes) -> object:
    at = data.rindex(b"c2pa.claim.v2\0") + len(b"c2pa.claim.v2\0")
    length = int.from_bytes(data[at : at + 4], "big")
    return cbor2.loads(data[at + 8 : at + length])


def test_the_nearest_algorithm_counts() -> None:
    plain = data_hash(CONTENT, alg=None)
    assert _algorithm(made(assertions={"c2pa.hash.data": plain})) == "sha256"
    assert _algorithm(made(assertions={"c2pa.hash.data": plain}, claim={"alg": None})) == ""
    own = data_hash(CONTENT, alg="sha512")
    assert _algorithm(made(assertions={"c2pa.hash.data": own})) == "sha512"


def _algorithm(one: Made) -> str:
    found = read_store(make_store(one)).active.data_hash
    assert found is not None
    return found.algorithm


@pytest.mark.parametrize(
    "wrong",
    [
        {"hash": None},
        {"hash": "text"},
        {"alg": 1},
        {"name": 1},
        {"exclusions": 1},
        {"exclusions": [1]},
        {"exclusions": [{"start": 1}]},
        {"exclusions": [{"start": -1, "length": 1}]},
        {"exclusions": [{"start": 1, "length": -1}]},
        {"exclusions": [{"start": True, "length": 1}]},
        {"exclusions": [{"start": 0, "length": 1.0}]},
    ],
)
def test_a_malformed_data_hash_is_refused_where_it_is_asked_for(wrong: dict[str, object]) -> None:
    value = data_hash(CONTENT, **wrong)
    active = read_store(make_store(made(assertions={"c2pa.hash.data": value}))).active
    with pytest.raises(MalformedStoreError):
        _ = active.data_hash


def test_an_assertion_with_two_contents_has_no_value() -> None:
    inner = superbox(b"cbor", "c2pa.hash.data", box(b"cbor", b"\1"), box(b"cbor", b"\2"))
    empty = superbox(b"c2as", "c2pa.assertions")
    manifest = made(assertions={}).box()[8:]
    replaced = manifest.replace(empty, superbox(b"c2as", "c2pa.assertions", inner))
    (found,) = read_store(superbox(b"c2pa", "c2pa", box(b"jumb", replaced))).active.assertions
    assert found.kind == "mixed"
    with pytest.raises(MalformedStoreError, match="several contents"):
        _ = found.value
    with pytest.raises(MalformedStoreError, match="no CBOR"):
        _ = found.cbor


@pytest.mark.parametrize(
    ("content", "value"), [(b'{"a": 1}', {"a": 1}), (b'{"a":1,"a":2}', None), (b"{", None)]
)
def test_json_assertions_are_read_strictly(content: bytes, value: object) -> None:
    inner = superbox(b"json", "stds.schema-org", box(b"json", content))
    empty = superbox(b"c2as", "c2pa.assertions")
    replaced = (
        made(assertions={}).box()[8:].replace(empty, superbox(b"c2as", "c2pa.assertions", inner))
    )
    (found,) = read_store(superbox(b"c2pa", "c2pa", box(b"jumb", replaced))).active.assertions
    if value is not None:
        assert found.value == value
        return
    with pytest.raises(MalformedStoreError, match="an assertion"):
        _ = found.value


def _cose(protected: object, unprotected: object, *, tag: int | None = 18) -> object:
    value = [cbor2.dumps(protected), unprotected, None, b"sig"]
    return value if tag is None else cbor2.CBORTag(tag, value)


@pytest.mark.parametrize(
    ("signature", "chain"),
    [
        (_cose({33: b"a"}, {}), (b"a",)),
        (_cose({33: [b"a", b"b"]}, {}), (b"a", b"b")),
        (_cose({}, {"x5chain": [b"a"]}), (b"a",)),
        (_cose({1: -7}, {33: b"a"}, tag=None), (b"a",)),
        (cbor2.CBORTag(18, [b"", {33: b"a"}, None, b""]), (b"a",)),
    ],
)
def test_certificates_are_read_wherever_they_may_be(
    signature: object, chain: tuple[bytes, ...]
) -> None:
    assert read_store(make_store(made(signature=signature))).active.certificates == chain


@pytest.mark.parametrize(
    "signature",
    [
        _cose({}, {}),
        _cose({33: b"a"}, {33: b"a"}),
        _cose({33: b"a", "x5chain": b"a"}, {}),
        _cose({33: []}, {}),
        _cose({33: [b"a"] * 33}, {}),
        _cose({33: [b"a", "b"]}, {}),
        _cose({33: b""}, {}),
        _cose([33], {}),
        _cose({33: b"a"}, {}, tag=17),
        cbor2.CBORTag(18, [b"\xff", {33: b"a"}, None, b""]),
        [b"", {33: b"a"}, None],
        b"sig",
        7,
    ],
)
def test_a_signature_without_exactly_one_chain_has_no_certificates(signature: object) -> None:
    active = read_store(make_store(made(signature=signature))).active
    with pytest.raises(MalformedStoreError) as caught:
        _ = active.certificates
    assert caught.value.code == "malformed-manifest"


def read_everything(data: bytes) -> ManifestStore | None:
    """Read a store and all its values; None if our own error said no."""
    try:
        found = read_store(data)
    except ProvenanceError:
        return None
    for manifest in found.manifests:
        _ask(manifest, "certificates")
        _ask(manifest, "data_hash")
        for assertion in manifest.assertions:
            _ask(assertion, "value")
    return found


def _ask(of: object, name: str) -> None:
    with contextlib.suppress(MalformedStoreError):
        getattr(of, name)


def test_every_changed_byte_of_a_real_store_gives_a_store_or_our_own_error() -> None:
    data = sign_sidecar(CONTENT)
    assert read_everything(data) is not None
    for at in range(len(data)):
        for byte in (data[at] ^ 1, 0xFF):
            read_everything(data[:at] + bytes([byte]) + data[at + 1 :])


def test_every_cut_of_a_real_store_is_refused() -> None:
    data = sign_sidecar(CONTENT)
    for length in range(len(data)):
        with pytest.raises(MalformedStoreError):
            read_store(data[:length])


_SMALL = make_store(
    Made(label=OTHER, assertions={"c2pa.hash.data": data_hash(CONTENT)}),
    Made(assertions={"c2pa.hash.data": data_hash(CONTENT)}),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(_SMALL) - 1), st.binary(min_size=1, max_size=4))))
def test_any_changes_give_a_store_or_our_own_error(changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(_SMALL)
    for at, new in changes:
        data[at : at + len(new)] = new
    read_everything(bytes(data))


def test_silence_carries_no_store() -> None:
    with pytest.raises(MalformedStoreError):
        read_store(silence())
