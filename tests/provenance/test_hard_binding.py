"""Are these the bytes that were signed? For sidecars, for places in a file, for updates."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, cast

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from countermark.provenance.byte_ranges import digest_outside
from countermark.provenance.carrier import Carrier, Exclusion, Place
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.hard_binding import examine_binding
from countermark.provenance.store import read_store
from countermark.signing.verdict import Check, Outcome, Status, outcome_of
from support.stores import (
    Made,
    box,
    box_of,
    data_hash,
    make_store,
    png_exclusion,
    read_crjson,
    sign_detached,
    sign_png,
    sign_sidecar,
    sign_wav,
    silence,
    superbox,
    update_png,
    wav_exclusion,
)

CONTENT = b"Once upon a time there was a model."
PARENT = "urn:c2pa:00000000-CEB2-4FAA-B6BF-329BF39FA1E4"
HARD = "c2pa.hash.data"


class Raw:
    """A carrier that hashes the bytes as they are. A binding asks it for nothing else."""

    def digest(self, source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        return digest_outside(source, exclusions, algorithm)


class Caseless(Raw):
    """A carrier whose format says that case does not matter, and that "?" cannot be."""

    def digest(self, source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        ((start, length),) = exclusions
        source.seek(0)
        data = source.read()
        if b"?" in data:
            raise MalformedContentError("a question mark", offset=data.index(b"?"))
        return hashlib.new(algorithm, (data[:start] + data[start + length :]).lower()).digest()


def examine(
    content: bytes,
    store: bytes,
    *places: tuple[int, int],
    carrier: Raw | None = None,
) -> tuple[Check, ...]:
    place = Place(store, tuple(Exclusion(*place) for place in places))
    used = cast("Carrier | None", carrier or (Raw() if places else None))
    return examine_binding(io.BytesIO(content), used, place, read_store(store))


def code_and_outcome(checks: Sequence[Check]) -> tuple[str, Outcome]:
    return checks[-1].code, outcome_of(checks)


def made(**fields: Any) -> bytes:  # noqa: ANN401
    return make_store(Made(**{"assertions": {HARD: data_hash(CONTENT)}, **fields}))


CHANGED = ("content-changed", Outcome.TAMPERED)
UNCOVERED = ("content-uncovered", Outcome.MALFORMED)
MALFORMED = ("binding-malformed", Outcome.MALFORMED)
UNSUPPORTED = ("algorithm-unsupported", Outcome.MALFORMED)
HOLDS = ("content-matches", Outcome.VERIFIED)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_sidecar_speaks_for_every_byte(algorithm: str) -> None:
    store = sign_sidecar(CONTENT, algorithm=algorithm)
    checks = examine(CONTENT, store)
    assert [(one.code, one.status) for one in checks] == [
        ("binding-signed", Status.HELD),
        ("content-matches", Status.HELD),
    ]
    assert checks[-1].sentence == f"all 35 bytes are as signed ({algorithm})"
    for wrong in (CONTENT + b".", CONTENT[:-1], b"o" + CONTENT[1:], b""):
        checks = examine(wrong, store)
        assert code_and_outcome(checks) == CHANGED
        assert f"of all {len(wrong)} bytes is another" in checks[-1].sentence
        assert "another file" in checks[-1].hint


@pytest.mark.parametrize("content", [b"x", CONTENT, bytes(3_000_000)])
def test_c2pa_judges_a_sidecar_as_we_do(content: bytes) -> None:
    """The sidecar is hashed by c2pa here, and read by it."""
    store = sign_detached(content)
    for asset in (content, content + b"x", content[1:] or b"y"):
        theirs = str(read_crjson("application/octet-stream", asset, store))
        ours = code_and_outcome(examine(asset, store))
        assert ours == (HOLDS if asset == content else CHANGED)
        assert ("'assertion.dataHash.match'" in theirs) == (asset == content)
        assert ("'assertion.dataHash.mismatch'" in theirs) == (asset != content)


def test_an_empty_file_can_have_a_sidecar() -> None:
    store = sign_sidecar(b"")
    assert code_and_outcome(examine(b"", store)) == HOLDS
    assert code_and_outcome(examine(b"x", store)) == CHANGED


def test_a_sidecar_may_leave_nothing_out() -> None:
    store = sign_sidecar(CONTENT, exclusions=[(5, 4)])
    checks = examine(CONTENT, store)
    assert code_and_outcome(checks) == UNCOVERED
    assert "4 bytes of the file, where nothing may be left out" in checks[-1].sentence
    place = Place(store, (Exclusion(5, 4),))
    checks = examine_binding(io.BytesIO(CONTENT), None, place, read_store(store))
    assert code_and_outcome(checks) == UNCOVERED


def test_a_placeholder_of_no_length_leaves_nothing_out() -> None:
    value = data_hash(CONTENT, exclusions=[{"start": 0, "length": 0}])
    assert code_and_outcome(examine(CONTENT, made(assertions={HARD: value}))) == HOLDS
    one = data_hash(CONTENT[1:], exclusions=[{"start": 0, "length": 1}])
    assert code_and_outcome(examine(CONTENT, made(assertions={HARD: one}))) == UNCOVERED


def test_a_place_in_a_file_is_left_out_and_nothing_else() -> None:
    store = sign_sidecar(CONTENT, exclusions=[(5, 6)])
    checks = examine(CONTENT, store, (5, 6))
    assert code_and_outcome(checks) == HOLDS
    assert "all 29 bytes outside the manifest's 6" in checks[-1].sentence
    for at in range(len(CONTENT)):
        changed = CONTENT[:at] + bytes([CONTENT[at] ^ 1]) + CONTENT[at + 1 :]
        inside = 5 <= at < 11
        assert code_and_outcome(examine(changed, store, (5, 6))) == (HOLDS if inside else CHANGED)
    assert code_and_outcome(examine(CONTENT + b".", store, (5, 6))) == CHANGED


@pytest.mark.parametrize(
    ("place", "expected", "words"),
    [
        ((7, 6), CHANGED, "2 bytes more lie before the manifest"),
        ((4, 6), CHANGED, "1 bytes fewer lie before the manifest"),
        ((5, 7), CHANGED, "its manifest took 6 bytes at 5 when it was signed, and takes 7 at 5"),
        ((9, 4), CHANGED, "its manifest took 6 bytes at 5"),
        ((6, 5), UNCOVERED, "6 bytes at 5, and the manifest takes 5 at 6"),
        ((5, 5), UNCOVERED, "6 bytes at 5, and the manifest takes 5 at 5"),
    ],
)
def test_a_manifest_in_another_place_is_said_to_be_so(
    place: tuple[int, int], expected: tuple[str, Outcome], words: str
) -> None:
    store = made(assertions={HARD: data_hash(CONTENT, exclusions=[{"start": 5, "length": 6}])})
    checks = examine(CONTENT, store, place)
    assert code_and_outcome(checks) == expected
    assert words in checks[-1].sentence


def test_more_or_fewer_places_than_the_carrier_has_are_refused() -> None:
    two = [{"start": 5, "length": 6}, {"start": 20, "length": 1}]
    store = made(assertions={HARD: data_hash(CONTENT, exclusions=two)})
    checks = examine(CONTENT, store, (5, 6))
    assert code_and_outcome(checks) == UNCOVERED
    assert "2 places, and the manifest lies in 1" in checks[-1].sentence
    assert code_and_outcome(examine(CONTENT, made(), (5, 6))) == UNCOVERED


def test_a_file_that_ends_before_the_place_it_was_signed_with_was_cut() -> None:
    store = made(assertions={HARD: data_hash(CONTENT, exclusions=[{"start": 30, "length": 6}])})
    checks = examine(CONTENT, store, (5, 6))
    assert code_and_outcome(checks) == CHANGED
    assert "ends at byte 35, and reached to byte 36 at least" in checks[-1].sentence


def test_a_moved_manifest_around_equal_content_is_said_to_be_so() -> None:
    was, now = b"abc<store>", b"ABC.<store>"
    value = data_hash(b"abc", exclusions=[{"start": 3, "length": 7}])
    store = made(assertions={HARD: value})
    assert code_and_outcome(examine(was, store, (3, 7), carrier=Caseless())) == HOLDS
    checks = examine(now, store, (4, 7), carrier=Caseless())
    assert code_and_outcome(checks) == CHANGED
    assert "itself is as signed" not in checks[-1].sentence
    moved = made(assertions={HARD: data_hash(b"abc.", exclusions=[{"start": 3, "length": 7}])})
    checks = examine(now, moved, (4, 7), carrier=Caseless())
    assert code_and_outcome(checks) == CHANGED
    assert "read as its format does, the content itself is as signed" in checks[-1].sentence


def test_content_its_format_cannot_read_is_malformed_wherever_the_manifest_lies() -> None:
    store = made(assertions={HARD: data_hash(b"abc", exclusions=[{"start": 3, "length": 7}])})
    checks = examine(b"a?c<store>", store, (3, 7), carrier=Caseless())
    assert code_and_outcome(checks) == ("malformed-content", Outcome.MALFORMED)
    assert checks[-1].sentence == "a question mark, at byte 1"
    checks = examine(b"a?cd<store>", store, (4, 7), carrier=Caseless())
    assert code_and_outcome(checks) == CHANGED


@pytest.mark.parametrize(
    "exclusions",
    [
        [{"start": 10, "length": 2}, {"start": 5, "length": 2}],
        [{"start": 5, "length": 3}, {"start": 7, "length": 2}],
        [{"start": 5, "length": 2}, {"start": 5, "length": 2}],
        [{"start": -5, "length": 2}],
        [{"start": 5}],
        "all of it",
    ],
)
def test_exclusions_without_order_are_malformed(exclusions: object) -> None:
    store = made(assertions={HARD: data_hash(CONTENT, exclusions=exclusions)})
    assert code_and_outcome(examine(CONTENT, store, (5, 2))) == MALFORMED


def test_exclusions_that_touch_each_other_are_in_order() -> None:
    two = [{"start": 5, "length": 2}, {"start": 7, "length": 2}]
    kept = CONTENT[:5] + CONTENT[9:]
    store = made(assertions={HARD: data_hash(kept, exclusions=two)})
    assert code_and_outcome(examine(CONTENT, store, (5, 2), (7, 2))) == HOLDS


@pytest.mark.parametrize("value", [b"\xff", b"\x01", cbor2.dumps({"alg": "sha256"})])
def test_a_data_hash_that_cannot_be_read_is_malformed(value: bytes) -> None:
    assert code_and_outcome(examine(CONTENT, made(assertions={HARD: value}))) == MALFORMED


@pytest.mark.parametrize("algorithm", ["sha1", "md5", "sha3-256", "SHA256", "\x1b[2J", "a" * 9999])
def test_algorithms_c2pa_does_not_allow_are_refused(algorithm: str) -> None:
    store = made(assertions={HARD: data_hash(CONTENT, alg=algorithm)})
    checks = examine(CONTENT, store)
    assert code_and_outcome(checks) == UNSUPPORTED
    assert "\x1b" not in checks[-1].sentence
    assert len(checks[-1].sentence) < 200
    assert code_and_outcome(examine(CONTENT, made(claim={"alg": algorithm}))) == UNSUPPORTED


def test_a_hash_without_an_algorithm_is_refused() -> None:
    checks = examine(CONTENT, made(claim={"alg": None}))
    assert code_and_outcome(checks) == UNSUPPORTED
    assert "names no algorithm" in checks[-1].sentence


def test_the_claims_algorithm_counts_where_no_other_is_named() -> None:
    store = made(assertions={HARD: data_hash(CONTENT, alg=None)})
    assert code_and_outcome(examine(CONTENT, store)) == HOLDS


def test_a_manifest_without_a_hard_binding_is_refused() -> None:
    for labels in ([], ["c2pa.hash.multi-asset"], ["c2pa.hash.data.part"]):
        checks = examine(CONTENT, made(assertions=dict.fromkeys(labels, 0)))
        assert code_and_outcome(checks) == ("binding-missing", Outcome.MALFORMED)


@pytest.mark.parametrize("second", [HARD + "__1", "c2pa.hash.boxes", "c2pa.hash.bmff.v3"])
def test_a_second_hard_binding_is_refused_whether_it_is_claimed_or_not(second: str) -> None:
    both = {HARD: data_hash(CONTENT), second: data_hash(CONTENT)}
    for created in (None, [HARD]):
        checks = examine(CONTENT, made(assertions=both, created=created))
        assert code_and_outcome(checks) == ("binding-multiple", Outcome.MALFORMED)
        assert second in checks[-1].sentence


def test_another_kind_of_hard_binding_is_inconclusive() -> None:
    checks = examine(CONTENT, made(assertions={"c2pa.hash.boxes": {}}))
    assert code_and_outcome(checks) == ("binding-unsupported", Outcome.INCONCLUSIVE)
    assert checks[-1].sentence.endswith("c2pa.hash.boxes")


def test_a_hard_binding_the_signer_does_not_stand_for_is_missing() -> None:
    checks = examine(CONTENT, made(created=[], gathered=[HARD]))
    assert code_and_outcome(checks) == ("binding-missing", Outcome.MALFORMED)
    assert "gathered" in checks[-1].sentence
    assert code_and_outcome(examine(CONTENT, made(created=[HARD], gathered=[HARD]))) == HOLDS


def test_a_hard_binding_nobody_claims_was_added() -> None:
    checks = examine(CONTENT, made(created=[]))
    assert code_and_outcome(checks) == ("assertion-added", Outcome.TAMPERED)


def test_a_hard_binding_with_another_hash_than_the_claim_lists_was_changed() -> None:
    checks = examine(CONTENT, made(hashes={HARD: bytes(32)}))
    assert code_and_outcome(checks) == ("assertion-changed", Outcome.TAMPERED)
    assert "c2pa.hash.data" in checks[-1].sentence


def test_every_reference_to_the_hard_binding_must_hold() -> None:
    true = hashlib.sha256(_box_content(made())).digest()
    url = f"self#jumbf=c2pa.assertions/{HARD}"
    for second, expected in ((true, HOLDS), (bytes(32), ("assertion-changed", Outcome.TAMPERED))):
        references = [{"url": url, "hash": true}, {"url": url, "hash": second}]
        checks = examine(CONTENT, made(claim={"created_assertions": references}))
        assert code_and_outcome(checks) == expected


def _box_content(store: bytes) -> bytes:
    found = read_store(store).active.assertion(HARD)
    assert found is not None
    return bytes(found.box_hash_input)


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        (f"self#jumbf=c2pa.assertions/{HARD}", True),
        (f"self#jumbf=/c2pa/{Made().label}/c2pa.assertions/{HARD}", True),
        (f"self#jumbf=/c2pa/{PARENT}/c2pa.assertions/{HARD}", False),
        (f"self#jumbf=c2pa.databoxes/{HARD}", False),
        (f"c2pa.assertions/{HARD}", False),
        (f"https://example.com/#jumbf=c2pa.assertions/{HARD}", False),
    ],
)
def test_only_addresses_in_the_same_manifest_count(url: str, holds: bool) -> None:
    digest = hashlib.sha256(_box_content(made())).digest()
    claim = {"created_assertions": [{"url": url, "hash": digest}]}
    expected = HOLDS if holds else ("assertion-added", Outcome.TAMPERED)
    assert code_and_outcome(examine(CONTENT, made(claim=claim))) == expected


def test_version_1_has_one_list() -> None:
    assert code_and_outcome(examine(CONTENT, made(claim_label="c2pa.claim"))) == HOLDS
    changed = made(claim_label="c2pa.claim", hashes={HARD: bytes(32)})
    assert examine(CONTENT, changed)[-1].code == "assertion-changed"


# --- What c2pa signed, in its own carrier.


def test_wav_files_of_c2pa_hold_and_their_changes_do_not() -> None:
    for signed in (sign_wav(), sign_wav(claim_version=1), sign_wav(parts=[sign_wav().asset])):
        place = wav_exclusion(signed.asset)
        assert code_and_outcome(examine(signed.asset, signed.store, place)) == HOLDS
        for at in (3, 50, place[0] - 1):
            changed = bytearray(signed.asset)
            changed[at] ^= 1
            assert code_and_outcome(examine(bytes(changed), signed.store, place)) == CHANGED


def test_updates_of_c2pa_lead_to_the_binding_they_rest_on() -> None:
    first = sign_png()
    once = update_png(first.asset)
    twice = update_png(once.asset)
    lengths = {png_exclusion(signed.asset)[1] for signed in (first, once, twice)}
    assert len(lengths) == 3
    for signed in (first, once, twice):
        assert (read_store(signed.store).active.kind == "update") == (signed is not first)
        assert "assertion.dataHash.match'" in str(read_crjson("image/png", signed.asset))
        place = png_exclusion(signed.asset)
        assert code_and_outcome(examine(signed.asset, signed.store, place)) == HOLDS
        changed = signed.asset[:-1] + b"?"
        assert code_and_outcome(examine(changed, signed.store, place)) == CHANGED
    # The longer store in the place of the first is no longer what the first said of its place.
    assert code_and_outcome(examine(once.asset, first.store, png_exclusion(once.asset))) == CHANGED


def test_an_update_of_a_sidecar_holds_and_its_changes_do_not() -> None:
    store = updated()
    assert code_and_outcome(examine(CONTENT, store)) == HOLDS
    assert code_and_outcome(examine(CONTENT + b".", store)) == CHANGED


def test_an_update_may_lengthen_the_place_it_is_in_but_not_move_it() -> None:
    value = data_hash(CONTENT[:5] + CONTENT[11:], exclusions=[{"start": 5, "length": 3}])
    longer = updated(parent={"assertions": {HARD: value}})
    assert code_and_outcome(examine(CONTENT, longer, (5, 6))) == HOLDS
    assert code_and_outcome(examine(CONTENT, longer, (6, 6)))[0] == "content-changed"
    without = make_store(Made(assertions={HARD: value}))
    assert code_and_outcome(examine(CONTENT, without, (5, 6))) == CHANGED


def updated(
    *,
    parent: Mapping[str, Any] | None = None,
    ingredient: Mapping[str, object] | None = None,
    update: Mapping[str, Any] | None = None,
    stored_parent: Made | None = None,
) -> bytes:
    """Return a store with an update manifest, and what a test wants different in it."""
    first = Made(**{"label": PARENT, "assertions": {HARD: data_hash(CONTENT)}, **(parent or {})})
    fields: dict[str, object] = {
        "relationship": "parentOf",
        "activeManifest": {
            "url": f"self#jumbf=/c2pa/{PARENT}",
            "hash": hashlib.sha256(box_of(first)).digest(),
        },
        **(ingredient or {}),
    }
    value = {key: value for key, value in fields.items() if value is not None}
    second = Made(
        **{"kind": b"c2um", "assertions": {"c2pa.ingredient.v3": value}, **(update or {})}
    )
    return make_store(stored_parent or first, second)


WRONG_PARENT = ("manifest-malformed", Outcome.MALFORMED)


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"update": {"assertions": {}}}, WRONG_PARENT, "0 ingredients"),
        ({"ingredient": {"relationship": "inputTo"}}, WRONG_PARENT, "is not its parent"),
        ({"ingredient": {"relationship": None}}, WRONG_PARENT, "is not its parent"),
        ({"ingredient": {"activeManifest": None}}, WRONG_PARENT, "no manifest"),
        ({"ingredient": {"activeManifest": 1}}, WRONG_PARENT, "a reference without"),
        (
            {"ingredient": {"c2pa_manifest": {"url": "self#jumbf=/c2pa/x", "hash": b""}}},
            WRONG_PARENT,
            "two manifests",
        ),
        (
            {"ingredient": {"activeManifest": {"url": "self#jumbf=/c2pa/x", "hash": b""}}},
            ("ingredient-missing", Outcome.TAMPERED),
            "is gone",
        ),
        (
            {"ingredient": {"activeManifest": {"url": PARENT, "hash": b""}}},
            ("ingredient-missing", Outcome.TAMPERED),
            "is gone",
        ),
        (
            {"stored_parent": Made(label=PARENT, assertions={HARD: data_hash(b"other")})},
            ("ingredient-changed", Outcome.TAMPERED),
            "is not the one that the update was made of",
        ),
        (
            {
                "stored_parent": Made(label=PARENT, assertions={HARD: data_hash(b"other")}),
                "ingredient": {"claimSignature": {"url": "self#jumbf=x", "hash": bytes(32)}},
            },
            ("ingredient-changed", Outcome.TAMPERED),
            "is not the one that the update was made of",
        ),
        ({"update": {"claim": {"alg": None}}}, UNSUPPORTED, "names no algorithm"),
        ({"ingredient": {"alg": "md5"}}, UNSUPPORTED, "is made with md5"),
        (
            {"update": {"hashes": {"c2pa.ingredient.v3": bytes(32)}}},
            ("assertion-changed", Outcome.TAMPERED),
            "c2pa.ingredient.v3",
        ),
        (
            {"update": {"created": []}},
            ("assertion-added", Outcome.TAMPERED),
            "c2pa.ingredient.v3",
        ),
        ({"parent": {"assertions": {}}}, ("binding-missing", Outcome.MALFORMED), "nothing"),
        (
            {"parent": {"claim": {"signature": None}}},
            ("ingredient-unreadable", Outcome.INCONCLUSIVE),
            "signature is absent",
        ),
    ],
)
def test_an_update_that_does_not_lead_to_a_binding_is_refused(
    changes: dict[str, Any], expected: tuple[str, Outcome], words: str
) -> None:
    checks = examine(CONTENT, updated(**changes))
    assert code_and_outcome(checks) == expected
    assert words in checks[-1].sentence


@pytest.mark.parametrize("label", [HARD, "c2pa.hash.boxes", "c2pa.hash.multi-asset"])
def test_an_update_with_a_hash_of_its_own_is_refused(label: str) -> None:
    first = Made(label=PARENT, assertions={HARD: data_hash(CONTENT)})
    second = Made(kind=b"c2um", assertions={label: data_hash(CONTENT)})
    checks = examine(CONTENT, make_store(first, second))
    assert code_and_outcome(checks) == WRONG_PARENT
    assert "a hash of the content" in checks[-1].sentence


def test_an_ingredient_of_an_earlier_version_is_followed() -> None:
    first = Made(label=PARENT, assertions={HARD: data_hash(CONTENT)})
    for label in ("c2pa.ingredient", "c2pa.ingredient.v2"):
        value = {
            "relationship": "parentOf",
            "c2pa_manifest": {
                "url": f"self#jumbf=/c2pa/{PARENT}",
                "alg": "sha512",
                "hash": hashlib.sha512(box_of(first)).digest(),
            },
        }
        second = Made(kind=b"c2um", assertions={label: value})
        assert code_and_outcome(examine(CONTENT, make_store(first, second))) == HOLDS


def test_a_redacted_parent_is_not_followed() -> None:
    whole = Made(label=PARENT, assertions={HARD: data_hash(CONTENT), "c2pa.metadata": {}})
    redacted = Made(
        label=PARENT, assertions={HARD: data_hash(CONTENT)}, created=[HARD], signature=7
    )
    signature = superbox(b"c2cs", "c2pa.signature", box(b"cbor", cbor2.dumps(7)))[8:]
    reference = {
        "url": f"self#jumbf=/c2pa/{PARENT}/c2pa.signature",
        "hash": hashlib.sha256(signature).digest(),
    }
    assert whole.box() != redacted.box()
    store = updated(
        ingredient={
            "activeManifest": {
                "url": f"self#jumbf=/c2pa/{PARENT}",
                "hash": hashlib.sha256(box_of(whole)).digest(),
            },
            "claimSignature": reference,
        },
        stored_parent=redacted,
    )
    checks = examine(CONTENT, store)
    assert code_and_outcome(checks) == ("update-not-followed", Outcome.INCONCLUSIVE)
    assert "redacted" in checks[-1].sentence


def test_an_update_of_itself_is_refused() -> None:
    own = Made().label
    # No hash of a box can be inside of it, so this loop can only be made of two broken links.
    value = {
        "relationship": "parentOf",
        "activeManifest": {"url": f"self#jumbf=/c2pa/{own}", "hash": b""},
    }
    checks = examine(
        CONTENT, make_store(Made(kind=b"c2um", assertions={"c2pa.ingredient.v3": value}))
    )
    assert code_and_outcome(checks) == ("ingredient-changed", Outcome.TAMPERED)


def test_a_long_chain_of_updates_is_followed() -> None:
    chain = [Made(label="urn:c2pa:0", assertions={HARD: data_hash(CONTENT)})]
    for number in range(1, 200):
        value = {
            "relationship": "parentOf",
            "activeManifest": {
                "url": f"self#jumbf=/c2pa/{chain[-1].label}",
                "hash": hashlib.sha256(box_of(chain[-1])).digest(),
            },
        }
        chain.append(
            Made(
                label=f"urn:c2pa:{number}",
                kind=b"c2um",
                assertions={"c2pa.ingredient.v3": value},
            )
        )
    assert code_and_outcome(examine(CONTENT, make_store(*chain))) == HOLDS
    assert code_and_outcome(examine(CONTENT + b".", make_store(*chain))) == CHANGED


# --- The hash itself.


@given(
    st.binary(max_size=100),
    st.lists(st.integers(0, 100), max_size=8).map(sorted),
    st.sampled_from(["sha256", "sha384", "sha512"]),
)
def test_the_hash_is_that_of_what_is_left(data: bytes, cuts: list[int], algorithm: str) -> None:
    cuts = [min(cut, len(data)) for cut in cuts][: len(cuts) // 2 * 2]
    exclusions = tuple(
        Exclusion(start, end - start) for start, end in zip(cuts[::2], cuts[1::2], strict=True)
    )
    kept, at = b"", 0
    for start, length in exclusions:
        kept, at = kept + data[at:start], start + length
    source = io.BytesIO(data)
    source.seek(len(data) // 2)
    expected = hashlib.new(algorithm, kept + data[at:]).digest()
    assert digest_outside(source, exclusions, algorithm) == expected
    assert digest_outside(_OnlyRead(data), exclusions, algorithm) == expected


class _OnlyRead(io.BytesIO):
    """A stream without readinto, which gives fewer bytes than it is asked for."""

    readinto = None  # type: ignore[assignment]

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 7))


def test_the_hash_of_many_blocks_is_that_of_the_file() -> None:
    data = bytes(range(256)) * 9000
    source = io.BytesIO(data)
    expected = hashlib.sha256(data[:7] + data[-9:]).digest()
    assert digest_outside(source, (Exclusion(7, len(data) - 16),), "sha256") == expected
    assert digest_outside(source, (), "sha256") == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    "exclusions",
    [((5, 1), (4, 1)), ((2, 4), (5, 1)), ((-1, 2),), ((3, -1),)],
)
def test_exclusions_that_are_not_in_order_are_a_programming_error(
    exclusions: tuple[tuple[int, int], ...],
) -> None:
    with pytest.raises(ValueError, match="exclusion of"):
        digest_outside(
            io.BytesIO(bytes(11)), tuple(Exclusion(*one) for one in exclusions), "sha256"
        )
    with pytest.raises(ValueError, match="hash algorithm"):
        digest_outside(io.BytesIO(bytes(11)), (), "md5")


@pytest.mark.parametrize("last", [(3, 9), (12, 0)])
def test_a_file_that_ends_before_its_exclusions_do_is_an_error(last: tuple[int, int]) -> None:
    with pytest.raises(MalformedContentError, match="ends too early") as refused:
        digest_outside(io.BytesIO(bytes(11)), (Exclusion(*last),), "sha256")
    assert refused.value.offset == 11
    assert digest_outside(io.BytesIO(bytes(12)), (Exclusion(*last),), "sha256")


def test_a_file_that_shrinks_while_it_is_read_is_an_error() -> None:
    class Shrinking(io.BytesIO):
        def seek(self, at: int, whence: int = 0, /) -> int:
            return super().seek(at, whence) + (1 if whence == io.SEEK_END else 0)

    with pytest.raises(MalformedContentError, match="ends too early"):
        digest_outside(Shrinking(b"abc"), (), "sha256")


def test_silence_is_a_file_like_any_other() -> None:
    assert code_and_outcome(examine(silence(), sign_sidecar(silence()))) == HOLDS
