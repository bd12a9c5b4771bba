"""Sigstore bundles: round trips, limits, and any bytes at all (vectors: tests/specs)."""

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.signing import bundle as bundle_module
from countermark.signing.bundle import (
    BUNDLE_MEDIA_TYPE,
    MAX_BUNDLE_BYTES,
    MAX_BUNDLES,
    Bundle,
    encode_bundle,
    parse_bundle,
    parse_bundle_lines,
)
from countermark.signing.errors import MalformedBundleError, MalformedError, TooLargeError

KEYED = Bundle(payload=b"{}", signature=b"s", method="key", key_hint="ab")
CHAINED = Bundle(payload=b"{}", signature=b"s", method="certificate", certificates=(b"leaf", b"ca"))

BUNDLES = st.builds(
    Bundle,
    payload=st.binary(),
    signature=st.binary(),
    method=st.just("key"),
    key_hint=st.none() | st.text(min_size=1),
    timestamps=st.lists(st.binary(), max_size=3).map(tuple),
) | st.builds(
    Bundle,
    payload=st.binary(),
    signature=st.binary(),
    method=st.just("certificate"),
    certificates=st.lists(st.binary(), min_size=1, max_size=3).map(tuple),
    timestamps=st.lists(st.binary(), max_size=3).map(tuple),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "AA==", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
PATHS: list[tuple[str | int, ...]] = [
    ("mediaType",),
    ("verificationMaterial",),
    ("verificationMaterial", "publicKey"),
    ("verificationMaterial", "x509CertificateChain"),
    ("verificationMaterial", "certificate"),
    ("verificationMaterial", "tlogEntries"),
    ("verificationMaterial", "timestampVerificationData"),
    ("dsseEnvelope",),
    ("dsseEnvelope", "payload"),
    ("dsseEnvelope", "payloadType"),
    ("dsseEnvelope", "signatures"),
    ("dsseEnvelope", "signatures", 0),
    ("dsseEnvelope", "more"),
]


def document(bundle: Bundle = KEYED) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(encode_bundle(bundle))
    return made


def refusal(made: object) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        parse_bundle(json.dumps(made).encode())
    return caught.value


@settings(deadline=None)
@given(BUNDLES)
def test_what_is_encoded_is_parsed_again(bundle: Bundle) -> None:
    assert parse_bundle(encode_bundle(bundle)) == bundle


def test_a_bundle_is_written_as_released_tools_expect_it() -> None:
    assert document() == {
        "mediaType": BUNDLE_MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": "ab"}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": "e30=",
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": "cw==", "keyid": ""}],
        },
    }
    chain = document(CHAINED)["verificationMaterial"]["x509CertificateChain"]["certificates"]
    assert [base64.b64decode(item["rawBytes"]) for item in chain] == [b"leaf", b"ca"]
    assert b" " not in encode_bundle(CHAINED)


@settings(deadline=None)
@given(st.binary() | st.sampled_from(PATHS).flatmap(lambda p: st.tuples(st.just(p), JSON)))
@example(b"{}")
@example(b"[]")
@example(b"null")
@example((("dsseEnvelope", "signatures"), [None]))
@example((("verificationMaterial", "x509CertificateChain"), {"certificates": [1]}))
@example((("verificationMaterial", "timestampVerificationData"), {"rfc3161Timestamps": [{}]}))
def test_any_bytes_and_any_value_anywhere_give_a_bundle_or_our_error(
    case: bytes | tuple[tuple[str | int, ...], object],
) -> None:
    if isinstance(case, bytes):
        data = case
    else:
        made = inner = document()
        path, value = case
        for key in path[:-1]:
            inner = inner[key]  # type: ignore[index]
        inner[path[-1]] = value  # type: ignore[index]
        data = json.dumps(made).encode()
    try:
        parsed = parse_bundle(data)
    except MalformedError:
        return
    assert isinstance(parsed.payload, bytes)
    assert parsed.method in ("key", "certificate", "sigstore")


def test_a_keyless_bundle_is_read_as_such() -> None:
    made = document()
    made["verificationMaterial"] = {"certificate": {"rawBytes": "AAEC"}, "tlogEntries": [{"x": 1}]}
    assert parse_bundle(json.dumps(made).encode()) == Bundle(
        payload=b"{}", signature=b"s", method="sigstore", certificates=(b"\x00\x01\x02",)
    )


def test_a_copy_of_the_key_in_the_bundle_is_not_used_not_even_as_a_hint() -> None:
    made = document()
    made["verificationMaterial"]["publicKey"] = {"rawBytes": "AAEC", "keyDetails": "PKIX"}
    assert parse_bundle(json.dumps(made).encode()).key_hint is None


@pytest.mark.parametrize("hint", [None, ""])
def test_a_hint_that_is_not_set_is_none(hint: str | None) -> None:
    made = document()
    made["verificationMaterial"]["publicKey"] = {"hint": hint}
    assert parse_bundle(json.dumps(made).encode()).key_hint is None


def test_a_blob_signature_is_refused_with_advice() -> None:
    error = refusal({"mediaType": BUNDLE_MEDIA_TYPE, "messageSignature": {}})
    assert isinstance(error, MalformedBundleError)
    assert (error.code, "cosign sign-blob" in error.hint) == ("malformed-bundle", True)


def test_several_signatures_are_refused_with_advice() -> None:
    made = document()
    made["dsseEnvelope"]["signatures"] *= 2
    error = refusal(made)
    assert "2 signatures" in str(error)
    assert "model.sigs.jsonl" in error.hint


def test_names_from_the_bundle_are_escaped_and_cut_in_messages() -> None:
    made = document() | {"\x1b[31m" + "x" * 200: 1}
    text = str(refusal(made))
    assert "\\x1b[31m" in text
    assert len(text) < 150


@pytest.mark.parametrize("count", [16, 17])
def test_sixteen_certificates_and_timestamps_are_read_and_no_more(count: int) -> None:
    chained = Bundle(payload=b"", signature=b"", method="certificate", certificates=(b"c",) * count)
    stamped = Bundle(payload=b"", signature=b"", method="key", timestamps=(b"t",) * count)
    for bundle, code in ((chained, "malformed-bundle"), (stamped, "too-large")):
        data = encode_bundle(bundle)
        if count == 16:
            assert parse_bundle(data) == bundle
            continue
        with pytest.raises(MalformedError) as caught:
            parse_bundle(data)
        assert caught.value.code == code


def test_the_byte_limit_holds_at_n_and_refuses_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_bundle(KEYED)
    monkeypatch.setattr(bundle_module, "MAX_BUNDLE_BYTES", len(data))
    assert parse_bundle(data) == KEYED
    assert parse_bundle_lines(data) == (KEYED,)
    assert encode_bundle(KEYED) == data
    monkeypatch.setattr(bundle_module, "MAX_BUNDLE_BYTES", len(data) - 1)
    for refused in (
        lambda: parse_bundle(data),
        lambda: parse_bundle_lines(data),
        lambda: encode_bundle(KEYED),
    ):
        with pytest.raises(TooLargeError):
            refused()


def test_more_bytes_than_any_bundle_has_are_refused_unparsed() -> None:
    with pytest.raises(TooLargeError) as caught:
        parse_bundle(bytes(MAX_BUNDLE_BYTES + 1))
    assert (caught.value.code, caught.value.limit) == ("too-large", MAX_BUNDLE_BYTES)


def test_few_bytes_that_hold_many_values_are_refused_unparsed() -> None:
    with pytest.raises(TooLargeError, match="values"):
        parse_bundle(b"[" + b"[]," * 1_000_000 + b"[]]")


@settings(deadline=None)
@given(st.lists(BUNDLES, max_size=4), st.sampled_from([b"\n", b"\r\n", b"\n \n", b"\n\n"]))
def test_a_set_is_one_bundle_a_line(bundles: list[Bundle], between: bytes) -> None:
    lines = between.join(encode_bundle(bundle) for bundle in bundles)
    assert parse_bundle_lines(lines) == tuple(bundles)
    assert parse_bundle_lines(lines + b"\n") == tuple(bundles)


@settings(deadline=None)
@given(
    st.binary()
    | st.lists(st.sampled_from([b"\n", b" ", b"{}", encode_bundle(KEYED)])).map(b"".join)
)
@example(b"\n" * 100_000)
def test_any_bytes_give_a_set_or_our_error(data: bytes) -> None:
    try:
        found = parse_bundle_lines(data)
    except MalformedError:
        return
    assert len(found) <= MAX_BUNDLES


def test_a_set_of_256_bundles_is_read_and_one_of_257_refused() -> None:
    line = encode_bundle(KEYED) + b"\n"
    assert len(parse_bundle_lines(line * MAX_BUNDLES)) == MAX_BUNDLES
    with pytest.raises(TooLargeError) as caught:
        parse_bundle_lines(line * MAX_BUNDLES + b"\n\n" + line)
    assert (caught.value.size, caught.value.limit) == (MAX_BUNDLES + 1, MAX_BUNDLES)


def test_one_bad_line_refuses_the_set() -> None:
    good = encode_bundle(KEYED)
    with pytest.raises(MalformedBundleError):
        parse_bundle_lines(good + b"\n{}\n" + good)
