"""Manifests inside ONNX models, and the walk over a protobuf message's outermost fields."""

import base64
import io
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import example, given
from hypothesis import strategies as st

from countermark.provenance import onnx_carrier
from countermark.provenance.carrier import Carrier, Exclusion
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.onnx_carrier import OnnxStore
from countermark.provenance.protobuf import encode_varint, fields_between
from support.carriers import STORE, found_by, written_by
from support.model_credentials import (
    chunk,
    codes,
    embedded,
    onnx,
    refusal,
    varint,
    with_claim_changed,
)

CARRIER = OnnxStore()
KEY = b"c2pa:manifest"
TEXT = base64.b64encode(STORE)


find = partial(found_by, CARRIER)
written = partial(written_by, CARRIER)


def entry(*parts: bytes) -> bytes:
    return onnx() + chunk(14, b"".join(parts))


def test_the_carrier_keeps_its_contract() -> None:
    assert isinstance(CARRIER, Carrier)


@pytest.mark.parametrize("before", [(), ((b"a", b"b"),), ((b"a", b"b"), (KEY, TEXT))])
def test_a_signed_model_verifies(before: tuple[tuple[bytes, bytes], ...]) -> None:
    signed = embedded(CARRIER, onnx(before))
    assert codes(CARRIER, signed) == ("binding-signed", "content-matches")
    # Nothing that was there has moved.
    kept = onnx([one for one in before if one[0] != KEY])
    assert signed.startswith(kept)


def test_signing_again_replaces_the_manifest_and_changes_nothing_else() -> None:
    once = embedded(CARRIER, onnx([(b"a", b"b")]))
    twice = embedded(CARRIER, once)
    assert len(once) == len(twice)
    assert twice.count(KEY) == 1
    assert codes(CARRIER, twice) == ("binding-signed", "content-matches")


def test_an_entry_in_the_middle_is_taken_out_and_put_at_the_end() -> None:
    plain = onnx([(KEY, TEXT), (b"a", b"b")])
    data = written(plain, b"other")
    assert data.startswith(onnx([(b"a", b"b")]))
    assert find(data) == (b"other", (Exclusion(len(data) - 8, 8),))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def moved(data: bytes) -> bytes:
    """Put the manifest's entry before the graph: the same model, other places."""
    start = data.index(KEY) - 2
    while data[start : start + 1] != b"\x72":
        start -= 1
    return data[:2] + data[start:] + data[2:start]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: flipped(data, 1), "content-changed"),
        (lambda data: flipped(data, data.index(b"graph")), "content-changed"),
        (lambda data: flipped(data, data.index(KEY)), "no-manifest"),
        (lambda data: with_claim_changed(CARRIER, data), "claimSignature.mismatch"),
        (lambda data: data + b"\0", "malformed-content"),
        (lambda data: data + b"\x08\x0a", "content-changed"),
        (lambda data: data[:-1], "malformed-content"),
        (moved, "content-changed"),
        (lambda data: data + chunk(14, chunk(1, KEY) + chunk(2, TEXT)), "malformed-content"),
    ],
    ids="version graph key claim appended field cut moved second".split(),
)
def test_a_changed_model_is_refused(change: Callable[[bytes], bytes], code: str) -> None:
    signed = embedded(CARRIER, onnx([(b"a", b"b")]))
    assert refusal(CARRIER, signed) == ""
    assert refusal(CARRIER, change(signed)) == code


@pytest.mark.parametrize(
    "data",
    [
        onnx([(KEY, TEXT)]),
        entry(chunk(2, TEXT), chunk(1, KEY)),
        onnx([(b"c2pa:manifest2", b"x"), (KEY, TEXT), (b"c2pa", KEY)]),
        onnx([(KEY, TEXT)], before=chunk(14, chunk(1, b"key") * 3)),
    ],
    ids=["plain", "value first", "others", "other has three keys"],
)
def test_the_value_is_found_wherever_its_entry_stands(data: bytes) -> None:
    assert find(data) == (STORE, (Exclusion(data.index(TEXT), len(TEXT)),))


def test_a_model_without_the_entry_has_no_manifest() -> None:
    assert find(onnx([(b"c2pa", TEXT), (b"x", KEY)])) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (onnx([(KEY, TEXT), (KEY, TEXT)]), "2 entries"),
        (entry(chunk(1, KEY)), "one key and one value"),
        (entry(chunk(1, KEY), chunk(2, TEXT), chunk(2, b"QUJD")), "one key and one value"),
        (entry(chunk(1, KEY), chunk(1, b"x"), chunk(2, TEXT)), "one key and one value"),
        (entry(chunk(1, KEY), chunk(2, TEXT), chunk(3, b"hidden")), "one key and one value"),
        (entry(chunk(1, KEY), chunk(2, TEXT), b"\x10\x01"), "one key and one value"),
        (entry(chunk(1, KEY), b"\x10\x01"), "one key and one value"),
        (onnx([(KEY, b"")]), "is empty"),
        (onnx([(KEY, b"QUI")]), "not Base64"),
        (onnx([(KEY, b"QUJ=")]), "second way"),
        (entry(chunk(1, KEY), chunk(2, TEXT)[:-1]), "beyond the end"),
        (entry(b"\x08\x01" * 65), "more than 64 fields"),
    ],
)
def test_an_entry_with_no_or_two_meanings_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedContentError, match=message) as refused:
        find(data)
    assert refused.value.code == "malformed-content"
    assert refused.value.offset is not None


def test_an_entry_of_as_many_fields_as_the_limit_is_read() -> None:
    assert find(entry(b"\x08\x01" * 64)) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\x08\x0a", chunk(7, b"x"), b"\x0a\x01x" + chunk(7, b"x"), b"PK\x03\x04", b"\x93NUMPY"],
    ids=["empty", "no graph", "no version", "version is text", "zip", "numpy"],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedContentError):
        find(data)
    with pytest.raises(MalformedContentError):
        CARRIER.lay_out(io.BytesIO(data), 100)


def test_a_manifest_grows_to_its_limit_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_carrier, "MAX_VALUE_BYTES", len(TEXT))
    assert find(onnx([(KEY, TEXT)])) is not None
    with pytest.raises(MalformedContentError, match=f"limit {len(TEXT)}"):
        find(onnx([(KEY, TEXT + b"AAAA")]))


def test_a_model_grows_to_protobuf_s_limit_and_no_further() -> None:
    source = io.BytesIO(onnx())
    around = len(written(onnx(), b"123")) - 4 + 2 * 4  # Lengths take five bytes then, not one.
    most = (onnx_carrier.MAX_MODEL_BYTES - around) // 4 * 3
    assert CARRIER.lay_out(source, most).room <= onnx_carrier.MAX_MODEL_BYTES - around
    with pytest.raises(UnsupportedContentError, match="limit 2147483647") as refused:
        CARRIER.lay_out(source, most + 3)
    assert "sidecar" in refused.value.hint


def test_a_first_layout_fits_nothing_so_that_no_unhashed_digest_is_signed() -> None:
    layout = CARRIER.lay_out(io.BytesIO(onnx()), len(STORE))
    assert layout.digest == bytes(32)
    assert not CARRIER.fits(layout, STORE)


def test_a_place_that_moved_since_the_layout_is_not_written() -> None:
    source = io.BytesIO(onnx())
    layout = CARRIER.refine(source, CARRIER.lay_out(source, 1), STORE)
    for other, store in ((onnx([(b"a", b"b")]), STORE), (onnx(), STORE + b"xxx")):
        with pytest.raises(MalformedContentError, match="changed while it was signed"):
            CARRIER.write(io.BytesIO(other), layout, store, io.BytesIO())


def test_a_large_model_is_read_and_copied_in_blocks(tmp_path: Path) -> None:
    plain, signed = tmp_path / "plain.onnx", tmp_path / "signed.onnx"
    plain.write_bytes(onnx(before=chunk(7, bytes(48 << 20))))
    tracemalloc.start()
    with plain.open("rb") as source, signed.open("w+b") as sink:
        layout = CARRIER.refine(source, CARRIER.lay_out(source, 1), STORE)
        CARRIER.write(source, layout, STORE, sink)
        found = CARRIER.find(sink)
        digest = CARRIER.digest(sink, layout.exclusions, "sha256")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 << 20
    assert found is not None
    assert found.exclusions == layout.exclusions
    assert digest == layout.digest


@given(st.binary(max_size=200))
@example(b"\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
@example(onnx() + b"\x73")
@example(onnx() + b"\x72\x05\x0a\xff\xff\xff\x7f")
def test_any_bytes_give_a_place_or_our_own_error(data: bytes) -> None:
    for whole in (data, onnx() + data, onnx() + chunk(14, data)):
        offset = 0
        try:
            CARRIER.find(io.BytesIO(whole))
        except MalformedContentError as e:
            offset = e.offset or 0
        assert 0 <= offset <= len(whole)


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=4),
    st.binary(min_size=1, max_size=60),
)
def test_any_metadata_stay_and_the_store_comes_back(
    entries: list[tuple[bytes, bytes]], store: bytes
) -> None:
    plain = onnx([one for one in entries if one[0] != KEY])
    data = written(plain, store)
    assert data.startswith(plain)
    found = find(data)
    assert found is not None
    assert found[0] == store


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_as_protobuf_writes_it(value: int) -> None:
    assert encode_varint(value) == varint(value)


def walk(data: bytes, limit: int = 10) -> list[tuple[int, int, int, int]]:
    fields = fields_between(io.BytesIO(data), 0, len(data), max_fields=limit)
    return [(f.number, f.wire_type, f.content, f.length) for f in fields]


def test_fields_of_every_wire_type_are_walked() -> None:
    data = b"\x08\x96\x01" + b"\x11" + bytes(8) + chunk(3, b"abc") + b"\x25" + bytes(4)
    assert walk(data) == [(1, 0, 1, 2), (2, 1, 4, 8), (3, 2, 14, 3), (4, 5, 18, 4)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x01", "without a number"),
        (b"\x0b", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x80", "without an end"),
        (b"\x08" + b"\xff" * 10, "without an end"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "without an end"),
        (varint(2**32) + b"\x01", "without a number"),
        (b"\x11" + bytes(7), "beyond the end"),
        (b"\x0a\x02x", "beyond the end"),
        (b"\x08\x01" * 11, "more than 10 fields"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedContentError, match=message):
        walk(data)


def test_the_largest_varint_and_the_last_field_are_read() -> None:
    assert walk(b"\x08" + b"\xff" * 9 + b"\x01") == [(1, 0, 1, 10)]
    assert len(walk(b"\x08\x01" * 10)) == 10
