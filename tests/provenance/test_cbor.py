"""CBOR: what is read, what is refused, and that cbor2 agrees."""

import math

import pytest

pytest.importorskip("cbor2", reason="cbor2, which ours is compared with, is not installed")

import cbor2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.provenance import cbor
from countermark.provenance.cbor import MAX_DEPTH, MAX_ITEMS, Simple, Tagged, decode, untagged
from countermark.provenance.errors import MalformedStoreError

# RFC 8949 appendix A, as far as its values exist here.
EXAMPLES: dict[str, object] = {
    "00": 0,
    "17": 23,
    "1818": 24,
    "1903e8": 1000,
    "1bffffffffffffffff": 2**64 - 1,
    "20": -1,
    "3bffffffffffffffff": -(2**64),
    "f93c00": 1.0,
    "f97c00": math.inf,
    "fa47c35000": 100000.0,
    "fb3ff199999999999a": 1.1,
    "f4": False,
    "f5": True,
    "f6": None,
    "f7": Simple(23),
    "f0": Simple(16),
    "f8ff": Simple(255),
    "c074323031332d30332d32315432303a30343a30305a": Tagged(0, "2013-03-21T20:04:00Z"),
    "c11a514b67b0": Tagged(1, 1363896240),
    "40": b"",
    "4401020304": b"\1\2\3\4",
    "62c3bc": "\u00fc",
    "80": [],
    "8301820203820405": [1, [2, 3], [4, 5]],
    "a0": {},
    "a201020304": {1: 2, 3: 4},
    "a26161016162820203": {"a": 1, "b": [2, 3]},
    "5f42010243030405ff": b"\1\2\3\4\5",
    "7f657374726561646d696e67ff": "streaming",
    "9fff": [],
    "9f018202039f0405ffff": [1, [2, 3], [4, 5]],
    "bf61610161629f0203ffff": {"a": 1, "b": [2, 3]},
    "1800": 0,  # Longer than it need be.
}


@pytest.mark.parametrize(("encoded", "value"), EXAMPLES.items())
def test_the_examples_of_the_standard_are_read(encoded: str, value: object) -> None:
    found = decode(bytes.fromhex(encoded))
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read() -> None:
    value = decode(bytes.fromhex("f97e00"))
    assert isinstance(value, float)
    assert math.isnan(value)


REFUSED = {
    "": "CBOR ends early",
    "18": "CBOR ends early",
    "1c": "reserved CBOR length 28",
    "1f": "indefinite length",
    "3f": "indefinite length",
    "df00ff": "indefinite length",
    "0000": "1 bytes after the end",
    "41": "CBOR ends early",
    "5bffffffffffffffff": "CBOR ends early",
    "9bffffffffffffffff": "values in 0 bytes",
    "bbffffffffffffffff": "keys and values in 0 bytes",
    "8301": "values in 1 bytes",
    "a101": "keys and values in 1 bytes",
    "9f01": "CBOR ends early",
    "bf01ff": "a CBOR break that ends nothing",
    "ff": "a CBOR break that ends nothing",
    "fc": "reserved CBOR type",
    "f818": "simple CBOR value 24 in two bytes",
    "5f6161ff": "a piece of a CBOR string that is no string",
    "5f5f4100ffff": "a piece of a CBOR string that is no string",
    "7f62c3bc61c3ff": "not UTF-8",
    "62c328": "not UTF-8",
    "63eda080": "not UTF-8",
    "a201020103": "the same key twice",
    "bf01020103ff": "the same key twice",
    "a180f6": "neither an integer nor a string",
    "a1f4f6": "neither an integer nor a string",
    "a1f93c00f6": "neither an integer nor a string",
    "a1c001f6": "neither an integer nor a string",
}


@pytest.mark.parametrize(("encoded", "reason"), REFUSED.items())
def test_what_is_not_well_formed_or_ambiguous_is_refused(encoded: str, reason: str) -> None:
    with pytest.raises(MalformedStoreError, match=reason) as caught:
        decode(bytes.fromhex(encoded))
    assert caught.value.code == "malformed-manifest"


def test_an_error_names_the_byte_of_the_store() -> None:
    with pytest.raises(MalformedStoreError) as caught:
        decode(bytes.fromhex("8201ff"), offset=100)
    assert caught.value.offset == 103


def test_equal_keys_of_different_types_are_different_keys() -> None:
    assert decode(bytes.fromhex("a34161016161026131f6")) == {b"a": 1, "a": 2, "1": None}


@pytest.mark.parametrize("opening", [b"\x81", b"\x9f", b"\xc0", b"\xa1\x01", b"\xbf\x01"])
def test_nesting_is_limited(opening: bytes) -> None:
    closing = b"\xff" if opening[0] & 31 == 31 else b""
    whole = opening * (MAX_DEPTH - 1) + b"\x01" + closing * (MAX_DEPTH - 1)
    assert decode(whole) is not None
    with pytest.raises(MalformedStoreError, match="nested more than 32 deep"):
        decode(opening + whole + closing)
    with pytest.raises(MalformedStoreError, match="nested more than 32 deep"):
        decode(opening * 100_000)


def test_items_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ITEMS == 1_000_000
    monkeypatch.setattr(cbor, "MAX_ITEMS", 100)
    assert decode(b"\x98\x63" + bytes(99)) == [0] * 99
    with pytest.raises(MalformedStoreError, match="more than 100 CBOR items"):
        decode(b"\x98\x64" + bytes(100))
    with pytest.raises(MalformedStoreError, match="more than 100 CBOR items"):
        decode(b"\x9f" + bytes(100) + b"\xff")


def test_untagged_takes_every_tag_off() -> None:
    assert untagged(Tagged(18, Tagged(0, "x"))) == "x"
    assert untagged([1]) == [1]


def _same(ours: object, theirs: object) -> bool:
    if isinstance(ours, Tagged):
        return (
            isinstance(theirs, cbor2.CBORTag)
            and ours.number == theirs.tag
            and _same(ours.value, theirs.value)
        )
    if isinstance(ours, Simple):
        return theirs is cbor2.undefined or theirs == cbor2.CBORSimpleValue(ours.number)
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(map(_same, ours.values(), theirs.values()))
    return ours == theirs or (ours != ours and theirs != theirs)


_KEYS = st.one_of(st.integers(-(2**64), 2**64 - 1), st.text(), st.binary())
_TAGS = st.sampled_from([24, 32, 500])  # cbor2 turns dates and numbers into objects of its own.
_VALUES = st.recursive(
    st.one_of(_KEYS, st.booleans(), st.none(), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(_KEYS, inner, max_size=5),
        st.builds(lambda tag, value: cbor2.CBORTag(tag, [value]), _TAGS, inner),
    ),
    max_leaves=20,
)


@given(_VALUES)
def test_what_cbor2_writes_is_read_as_it_was_written(value: object) -> None:
    assert _same(decode(cbor2.dumps(value)), value)


@settings(max_examples=500)
@given(st.one_of(st.binary(max_size=40), _VALUES.map(cbor2.dumps)), st.data())
def test_any_bytes_give_what_cbor2_reads_or_our_own_error(data: bytes, draw: st.DataObject) -> None:
    if data:
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]
    try:
        ours = decode(data)
    except MalformedStoreError:
        return
    if _has_tag(ours):  # cbor2 interprets tags, and refuses what they may not stand on.
        return
    assert _same(ours, cbor2.loads(data))


def _has_tag(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_has_tag, value))
    if isinstance(value, dict):
        return any(map(_has_tag, value.values()))
    return isinstance(value, Tagged)


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b"\x9b\x00\x00\x00\x01\x00\x00\x00\x00")
@example(b"\xd8\x1c\x80")
def test_any_bytes_give_a_value_or_our_own_error(data: bytes) -> None:
    try:
        decode(data)
    except MalformedStoreError as e:
        offset = e.offset
    else:
        return
    assert offset is not None
    assert 0 <= offset <= len(data)
