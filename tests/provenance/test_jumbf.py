"""JUMBF boxes: lengths, descriptions, limits."""

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.provenance import jumbf
from countermark.provenance.errors import MalformedStoreError
from countermark.provenance.jumbf import MAX_BOXES, MAX_BYTES, MAX_DEPTH, Budget, Superbox
from countermark.provenance.jumbf import read_superbox as read_with
from support.stores import TAIL, box, superbox

SALT = box(b"c2sh", bytes(16))


def read(data: bytes) -> Superbox:
    return read_with(data, Budget())


def description(toggles: int, rest: bytes) -> bytes:
    return box(b"jumb", box(b"jumd", b"cbor" + TAIL + bytes([toggles]) + rest))


def test_a_superbox_is_read_with_its_label_salt_and_children() -> None:
    inner = superbox(b"c2cl", "b", box(b"cbor", b"\1"), salt=SALT)
    data = superbox(b"c2ma", "a", box(b"free", b"0000"), inner, box(b"json", b"{}", wide=True))
    found = read(data)
    assert (found.label, found.uuid) == ("a", b"c2ma" + TAIL)
    assert bytes(found.content) == data[8:]
    assert [one.kind for one in found.boxes] == [b"json"]
    assert bytes(found.boxes[0].content) == b"{}"
    assert found.boxes[0].offset == len(data) - 2
    (child,) = found.superboxes
    assert bytes(child.salt) == SALT
    assert bytes(child.content) == inner[8:]
    assert data[child.offset :].startswith(inner[8:])


def test_a_box_with_a_wide_length_is_hashed_without_its_longer_header() -> None:
    content = superbox(b"c2ma", "a")[8:]
    assert bytes(read(box(b"jumb", content, wide=True)).content) == content


def test_identifier_and_signature_of_a_description_are_skipped() -> None:
    found = read(description(0x1F, b"a\0" + bytes(4) + bytes(32) + SALT))
    assert (found.label, bytes(found.salt)) == ("a", SALT)


GOOD = superbox(b"c2ma", "a", box(b"cbor", b"\1"))
REFUSED = {
    b"": "0 bytes where a box begins",
    GOOD[:7]: "7 bytes where a box begins",
    GOOD[:-1]: "a box of 44 bytes where 43 are left",
    GOOD + b"\0": "1 bytes after the end",
    b"\0\0\0\0" + GOOD[4:]: "a box of 0 bytes",
    b"\0\0\0\7" + GOOD[4:]: "a box of 7 bytes",
    b"\0\0\0\1" + GOOD[4:12]: "ends within its length",
    b"\0\0\0\1jumb" + bytes(7) + b"\x0f" + GOOD: "a box of 15 bytes",
    b"\0\0\0\1jumb" + b"\xff" * 8 + GOOD: "where 60 are left",
    box(b"jumd", b""): "not a JUMBF superbox",
    box(b"jumb", b""): "0 bytes where a box begins",
    box(b"jumb", box(b"cbor", b"")): "without a description",
    box(b"jumb", box(b"jumd", bytes(16))): "without type and toggles",
    superbox(b"c2ma", "a", box(b"jumd", b"c2ma" + TAIL + b"\3b\0")): "two descriptions",
    superbox(b"c2ma", "a", b"\0\0\0"): "3 bytes where a box begins",
    description(0x03, b"a"): "does not end within 1024 bytes",
    description(0x03, b"\0"): "a label no URI can name",
    description(0x03, b"a/b\0"): "a label no URI can name",
    description(0x03, b"a\x1f\0"): "a label no URI can name",
    description(0x03, b"a\xc2\x85\0"): "a label no URI can name",
    description(0x03, b"\xef\xbb\xbfa\0"): "a label no URI can name",
    description(0x03, b"\xff\0"): "a label that is not UTF-8",
    description(0x03, b"a\0b"): "bytes of no meaning",
    description(0x13, b"a\0"): "0 bytes where a box begins",
    description(0x13, b"a\0" + SALT + SALT): "bytes of no meaning",
    description(0x23, b"a\0"): "reserved toggles 0x23",
    description(0x07, b"a\0\0\0\0"): "a description ends early",
    description(0x0B, b"a\0" + bytes(31)): "a description ends early",
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.items(), ids=range(len(REFUSED)))
def test_boxes_that_lie_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedStoreError, match=reason) as caught:
        read(data)
    assert caught.value.offset is not None
    assert 0 <= caught.value.offset <= len(data)


def test_a_child_may_not_reach_beyond_its_parent() -> None:
    longer = bytearray(superbox(b"c2ma", "a", superbox(b"c2cl", "b"), box(b"free", bytes(8))))
    at = bytes(longer).index(superbox(b"c2cl", "b"))
    longer[at + 3] += 17
    with pytest.raises(MalformedStoreError, match="are left"):
        read(bytes(longer))


def test_labels_are_limited_in_length() -> None:
    assert read(superbox(b"c2ma", "a" * 1024)).label == "a" * 1024
    with pytest.raises(MalformedStoreError, match="does not end within 1024 bytes"):
        read(superbox(b"c2ma", "a" * 1025))


def nested(levels: int) -> bytes:
    data = superbox(b"c2ma", "a")
    for _ in range(levels - 1):
        data = superbox(b"c2ma", "a", data)
    return data


def test_depth_is_limited() -> None:
    assert read(nested(MAX_DEPTH)).label == "a"
    with pytest.raises(MalformedStoreError, match="nested more than 32 deep"):
        read(nested(MAX_DEPTH + 1))
    with pytest.raises(MalformedStoreError, match="nested more than 32 deep"):
        read(nested(1000))


def test_the_number_of_boxes_is_limited() -> None:
    free = box(b"free", b"")
    assert len(read(superbox(b"c2ma", "a", free * (MAX_BOXES - 2))).children) == MAX_BOXES - 2
    with pytest.raises(MalformedStoreError, match="more than 100000 boxes"):
        read(superbox(b"c2ma", "a", free * (MAX_BOXES - 1)))


def test_the_length_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_BYTES == 64 << 20
    monkeypatch.setattr(jumbf, "MAX_BYTES", len(GOOD))
    assert read(GOOD).label == "a"
    with pytest.raises(MalformedStoreError, match="limit 44"):
        read(superbox(b"c2ma", "ab", box(b"cbor", b"\1")))


def test_the_limits_of_one_budget_are_shared() -> None:
    budget = Budget(boxes_left=5)
    assert read_with(GOOD, budget).label == "a"
    with pytest.raises(MalformedStoreError, match="boxes"):
        read_with(GOOD, budget)


@settings(max_examples=300)
@given(st.binary(max_size=100))
def test_any_bytes_give_a_box_or_our_own_error(data: bytes) -> None:
    try:
        read(data)
    except MalformedStoreError:
        pass


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_box_or_our_own_error(at: int, byte: int) -> None:
    try:
        read(GOOD[:at] + bytes([byte]) + GOOD[at + 1 :])
    except MalformedStoreError:
        pass
