"""Plain text with a store in invisible characters (C2PA 2.5 A.8)."""

import hashlib
import io
import sys
import unicodedata

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import example, given, settings
from hypothesis import strategies as st

import countermark
from countermark.provenance import cose_padding, text_source
from countermark.provenance.carrier import Carrier, Exclusion
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.selectors import (
    decode_selectors,
    encode_selectors,
    encoded_bytes,
    run_end,
    selector_count,
)
from countermark.provenance.store import read_store
from countermark.provenance.text_wrapper import MAX_WRITTEN_BYTES, TextWrapper, wrapped
from countermark.signing.verdict import Outcome
from support.signed_texts import TEXT, find, outcome, sign_detached, signed, signed_text

CARRIER = TextWrapper()
MARKER = "\ufeff".encode()
STORE = b"\0\0\0\x20jumb" + bytes(range(24))  # It begins as a store does.


def selector(byte: int) -> str:
    """Encode one byte as A.8.3.1 says it, character by character."""
    return chr(0xFE00 + byte) if byte < 16 else chr(0xE0100 + byte - 16)


def wrapper(store: bytes, padding: bytes = b"", *, version: int = 1, length: int = -1) -> bytes:
    declared = len(store) if length < 0 else length
    body = b"C2PATXT\0" + bytes([version]) + declared.to_bytes(4, "big") + store + padding
    return ("\ufeff" + "".join(map(selector, body))).encode()


def padding_2_5(store: bytes) -> bytes:
    """Pad as A.8.5 says it: 3 (13 + M) * 4 + 6 bytes in all, zeros, then 0x10."""
    gap = 3 + (13 + len(store)) * 4 + 6 - len(wrapper(store))
    return bytes((gap - 4 * (gap % 3)) // 3) + b"\x10" * (gap % 3)


# --- The code of selectors.


def test_the_magic_number_is_the_code_points_of_the_specification() -> None:
    points = [f"{ord(c):X}" for c in encode_selectors(b"C2PATXT\0").decode()]
    assert points == "E0133 E0122 E0140 E0131 E0144 E0148 E0144 FE00".split()


@pytest.mark.parametrize(
    ("byte", "utf8"), [(0, "efb880"), (15, "efb88f"), (16, "f3a08480"), (255, "f3a087af")]
)
def test_the_encoding_example_of_the_specification(byte: int, utf8: str) -> None:
    assert encode_selectors(bytes([byte])).hex() == utf8


@settings(deadline=None)
@given(st.binary(max_size=600))
@example(bytes(range(256)))
def test_selectors_are_those_of_the_formula_and_come_back(data: bytes) -> None:
    run = encode_selectors(data)
    assert run.decode() == "".join(map(selector, data))
    assert decode_selectors(run) == data
    assert (len(run), selector_count(run)) == (encoded_bytes(data), len(data))


@settings(deadline=None)
@given(st.text(alphabet="a\ufe00\ufe0f\ufe10\U000e0100\U000e01ef\U000e01f0\ufeff", max_size=20))
def test_a_run_ends_at_the_first_character_that_is_no_selector(text: str) -> None:
    length = next((i for i, c in enumerate(text) if not 0xFE00 <= ord(c) <= 0xFE0F
                   and not 0xE0100 <= ord(c) <= 0xE01EF), len(text))  # fmt: skip
    data = text.encode()
    assert data[: run_end(data, 0)].decode() == text[:length]


@pytest.mark.parametrize("count", [63, 64, 65, 85, 86, 5000, 400_000])
@pytest.mark.parametrize("one", ["\ufe00", "\U000e01ef"])
def test_a_long_run_ends_where_it_ends_however_it_falls_into_pieces(count: int, one: str) -> None:
    run = (one * count).encode()
    for after in (b"", b"x", "\ufeff".encode(), b"\xff", run[:2]):
        assert run_end(b"ab" + run + after, 2) == 2 + len(run)


# --- Reading.


@pytest.mark.parametrize(
    "padding",
    [b"", padding_2_5(STORE), b"\0" * 7 + b"\xff" * 2, b"\xff" * 9, b"\0" * 3, b"\x10" * 2],
    ids=["none", "2.5", "c2pa-text", "c2pa-text-long", "zeros", "tens"],
)
def test_every_dialect_of_padding_is_read_and_belongs_to_the_exclusion(padding: bytes) -> None:
    mark = wrapper(STORE, padding)
    place = find(CARRIER, TEXT + mark)
    assert place == (STORE, (Exclusion(len(TEXT), len(mark)),), "")


def test_the_padding_of_the_specification_has_the_length_of_its_formula() -> None:
    mark = wrapper(STORE, padding_2_5(STORE))
    assert len(mark) == 3 + (13 + len(STORE)) * 4 + 6
    assert wrapped(STORE) == wrapper(STORE)


@pytest.mark.parametrize("padding", [b"\1", b"\x10\0", b"\xff\x10", b"\0hidden", b"\0\xff\0"])
def test_hidden_text_in_the_place_of_padding_is_refused(padding: bytes) -> None:
    with pytest.raises(MalformedContentError, match="no padding") as caught:
        find(CARRIER, TEXT + wrapper(STORE, padding))
    assert (caught.value.code, caught.value.offset) == ("malformed-content", len(TEXT))


def test_text_without_a_mark_has_none() -> None:
    for text in (b"", TEXT, MARKER + TEXT, "✌️ a\ufe0f".encode(), encode_selectors(b"C2PATXT\0")):
        assert find(CARRIER, text) is None


@pytest.mark.parametrize("kept", range(9, 45))
def test_a_mark_that_is_cut_off_is_refused_and_says_how_much_is_left(kept: int) -> None:
    mark = wrapper(STORE).decode()[: 1 + kept].encode()
    with pytest.raises(MalformedContentError, match="cut off") as caught:
        find(CARRIER, TEXT + mark)
    assert caught.value.offset == len(TEXT)
    if kept == 29:
        assert "16 of 32 bytes, 50 %" in str(caught.value)


def test_a_mark_cut_off_inside_a_character_is_refused() -> None:
    with pytest.raises(MalformedContentError):
        find(CARRIER, (TEXT + wrapper(STORE))[:-1])


def test_another_version_is_refused() -> None:
    with pytest.raises(MalformedContentError, match="version 2"):
        find(CARRIER, wrapper(STORE, version=2))


def test_a_length_beyond_the_end_is_refused() -> None:
    assert find(CARRIER, wrapper(STORE, length=32)) is not None
    with pytest.raises(MalformedContentError, match="32 of 33 bytes"):
        find(CARRIER, wrapper(STORE, length=33))
    with pytest.raises(MalformedContentError, match="0 %"):
        find(CARRIER, wrapper(STORE, length=2**32 - 1))


def test_two_marks_are_refused_as_nobody_knows_which_one_counts() -> None:
    with pytest.raises(MalformedContentError, match="more than one text mark") as caught:
        find(CARRIER, TEXT + wrapper(STORE) + b"x" + wrapper(STORE[:-1] + b"y"))
    assert caught.value.offset == len(TEXT + wrapper(STORE)) + 1


@pytest.mark.parametrize(
    "decoy", [wrapper(b""), wrapper(b"decoy"), wrapper(STORE, version=9), wrapper(STORE)[:40]]
)
def test_a_decoy_that_holds_no_store_does_not_hide_the_mark(decoy: bytes) -> None:
    for text in (decoy + b"x" + wrapper(STORE), wrapper(STORE) + b"x" + decoy):
        place = find(CARRIER, text)
        assert place is not None
        assert place.store == STORE


def test_a_mark_at_the_very_beginning_is_not_taken_for_a_byte_order_mark() -> None:
    place = find(CARRIER, wrapper(STORE) + TEXT)
    assert place is not None
    assert place.exclusions == (Exclusion(0, len(wrapper(STORE))),)


def test_text_that_is_not_utf_8_is_refused_at_the_byte_where_that_shows() -> None:
    text = TEXT + b"\xff" + wrapper(STORE)
    place = find(CARRIER, text)
    assert place is not None
    with pytest.raises(MalformedContentError, match="not UTF-8") as caught:
        CARRIER.digest(io.BytesIO(text), place.exclusions, "sha256")
    assert caught.value.offset == len(TEXT)
    with pytest.raises(MalformedContentError, match="not UTF-8"):
        CARRIER.lay_out(io.BytesIO(b"\xff"), 100)


def test_text_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.BytesIO(b"x" * 1000)
    assert text_source.read_text_source(text, 1000) == b"x" * 1000
    with pytest.raises(MalformedContentError, match="more than 999 bytes"):
        text_source.read_text_source(text, 999)
    room = CARRIER.lay_out(text, 500).room
    monkeypatch.setattr(text_source, "MAX_TEXT_BYTES", 1000 + room)
    assert CARRIER.lay_out(text, 500).room == room
    monkeypatch.setattr(text_source, "MAX_TEXT_BYTES", 999 + room)
    with pytest.raises(UnsupportedContentError, match="with its mark"):
        CARRIER.lay_out(text, 500)


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_around_and_in_a_mark_give_a_place_or_our_own_error(
    text: bytes, noise: bytes, at: int
) -> None:
    mark, codes = wrapper(STORE), set()
    for data in (text, text + mark, mark[:at] + noise + mark[at:], text + mark[:at]):
        try:
            place = find(CARRIER, data)
            if place is not None:
                CARRIER.digest(io.BytesIO(data), place.exclusions, "sha256")
        except countermark.Error as e:
            codes.add(e.code)
    assert codes <= {"malformed-content"}


# --- Hashing.


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4), st.integers(1, 30))
@example(["e", "\u0301", "a\u0301\n"], 1)
@example(["\u1100", "\u1161\u11a8"], 2)
def test_the_digest_is_that_of_the_normal_form_however_the_text_is_cut(
    texts: list[str], piece: int
) -> None:
    whole = "".join(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_source, "_PIECE_BYTES", piece)
        parts = [memoryview(text.encode("utf-8", "replace")) for text in texts]
        digest = text_source.nfc_digest(parts, "sha256")
    data = whole.encode("utf-8", "replace").decode()
    assert digest == hashlib.sha256(unicodedata.normalize("NFC", data).encode()).digest()


def test_excluded_bytes_are_removed_before_the_rest_is_normalised() -> None:
    # U+FEFF keeps a mark from composing with the letter before it; without the wrapper, it does.
    mark = wrapper(STORE)
    text = b"a" + mark + "\u0301".encode()
    exclusions = (Exclusion(1, len(mark)),)
    want = hashlib.sha256("á".encode()).digest()
    assert CARRIER.digest(io.BytesIO(text), exclusions, "sha256") == want


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_every_algorithm_of_the_specification_is_computed(algorithm: str) -> None:
    want = hashlib.new(algorithm, TEXT).digest()
    assert CARRIER.digest(io.BytesIO(TEXT), (), algorithm) == want


def test_more_combining_marks_than_stream_safe_text_has_are_refused() -> None:
    for marks in (30, 31):
        text = ("é" + "\u0301\u0316" * marks)[: 1 + marks].encode()
        if marks == 30:
            CARRIER.digest(io.BytesIO(text), (), "sha256")
            continue
        with pytest.raises(MalformedContentError, match="30 combining marks") as caught:
            CARRIER.digest(io.BytesIO(text), (), "sha256")
        assert caught.value.offset == 2 + 2 * 30


def test_every_combining_character_is_in_the_class_that_is_searched_for() -> None:
    for point in range(sys.maxunicode + 1):
        if unicodedata.combining(chr(point)):
            assert text_source._PERHAPS_COMBINING.fullmatch(chr(point)), hex(point)


# --- Writing.


@pytest.mark.parametrize(
    "text",
    [TEXT, b"", b"x", "\ufeffwith a byte order mark\r\n".encode(), "cafe\u0301 NFD".encode()],
    ids=["text", "empty", "letter", "bom", "nfd"],
)
def test_what_is_signed_is_the_text_with_a_mark_behind_it_and_holds(text: bytes) -> None:
    data = signed_text(text)
    place = find(CARRIER, data)
    assert place is not None
    assert data.startswith(text)
    assert data[len(text) :] == wrapper(place.store)  # No padding.
    assert outcome(CARRIER, data) is Outcome.VERIFIED


@pytest.mark.parametrize("at", [0, 20, len(TEXT) - 1])
def test_one_changed_letter_is_refused(at: int) -> None:
    data = signed_text()
    assert data[at] < 0x80
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    assert outcome(CARRIER, changed) is Outcome.TAMPERED


@pytest.mark.parametrize("more", [b"x", b"\n", "\ufe00".encode()])
def test_one_appended_character_is_refused(more: bytes) -> None:
    assert outcome(CARRIER, signed_text() + more) in (Outcome.TAMPERED, Outcome.MALFORMED)


def test_a_moved_mark_is_refused() -> None:
    data = signed_text()
    moved = TEXT[:5] + data[len(TEXT) :] + TEXT[5:]
    assert outcome(CARRIER, moved) in (Outcome.TAMPERED, Outcome.MALFORMED)


def test_a_mark_in_the_text_is_replaced() -> None:
    again, _ = signed(CARRIER, signed_text())
    assert again.startswith(TEXT + MARKER)
    assert again.count(MARKER) == 1
    assert outcome(CARRIER, again) is Outcome.VERIFIED


@pytest.mark.parametrize("broken", [wrapper(STORE)[:60], wrapper(STORE) + b"x" + wrapper(STORE)])
def test_a_broken_mark_is_not_signed_over(broken: bytes) -> None:
    with pytest.raises(MalformedContentError):
        CARRIER.lay_out(io.BytesIO(TEXT + broken), 100)


def test_a_layout_of_another_text_is_not_written() -> None:
    source = io.BytesIO(TEXT)
    layout = CARRIER.refine(source, CARRIER.lay_out(source, len(STORE)), STORE)
    layout = layout._replace(room=len(wrapped(STORE)))
    layout = layout._replace(exclusions=(Exclusion(len(TEXT), layout.room),))
    CARRIER.write(source, layout, STORE, sink := io.BytesIO())
    assert sink.getvalue() == TEXT + wrapper(STORE)
    with pytest.raises(MalformedContentError, match="changed"):
        CARRIER.write(io.BytesIO(TEXT + b"x"), layout, STORE, io.BytesIO())


def test_no_store_is_written_that_another_reader_would_find_too_long() -> None:
    assert len(wrapped(bytes(MAX_WRITTEN_BYTES))) > 3 * MAX_WRITTEN_BYTES
    with pytest.raises(UnsupportedContentError, match="limit 2097152"):
        wrapped(bytes(MAX_WRITTEN_BYTES + 1))
    with pytest.raises(UnsupportedContentError):
        CARRIER.lay_out(io.BytesIO(TEXT), MAX_WRITTEN_BYTES + 1)


def test_the_carrier_is_one() -> None:
    assert isinstance(CARRIER, Carrier)


# --- The length that is signed.


def test_without_changing_padding_the_loop_still_ends() -> None:
    data, tries = signed(CARRIER, TEXT, repad=False)
    assert outcome(CARRIER, data) is Outcome.VERIFIED
    assert tries < 100


def test_changed_padding_saves_signatures_and_text() -> None:
    tries = sorted(signed(CARRIER, f"text {number}".encode())[1] for number in range(12))
    assert tries[len(tries) // 2] <= 4
    plain, _ = signed(CARRIER, TEXT, repad=False)
    assert len(signed_text()) < 0.8 * len(plain)


def layout_for(room: int) -> bytes:
    layout = CARRIER.lay_out(io.BytesIO(TEXT), 1000)
    return sign_detached(layout._replace(room=room, exclusions=(Exclusion(len(TEXT), room),)))


def test_padding_changes_nothing_that_is_signed() -> None:
    store = layout_for(6500)
    before = read_store(store).active
    rooms = set()
    usual = encoded_bytes(cose_padding.repadded(store, encoded_bytes, 0))
    for room in range(usual - 150, usual + 250):
        changed = cose_padding.repadded(store, encoded_bytes, room)
        if encoded_bytes(changed) != room:
            continue
        rooms.add(room)
        after = read_store(changed).active
        assert (after.label, after.claim, after.certificates) == (
            before.label,
            before.claim,
            before.certificates,
        )
        assert after.signature[-64:] == before.signature[-64:]
    assert len(rooms) > 150  # Of 400 lengths, by two or three kinds of padding.


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(0, 255))
def test_a_store_with_any_byte_changed_is_padded_or_left_alone(at: int, value: int) -> None:
    store = bytearray(layout_for_once())
    store[at % len(store)] = value
    changed = cose_padding.repadded(bytes(store), len, 1700)
    assert changed == bytes(store) or len(changed) <= len(store) + 100


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_is_no_store_is_left_alone(data: bytes) -> None:
    assert cose_padding.repadded(data, len, len(data) + 1) == data


_STORES: list[bytes] = []


def layout_for_once() -> bytes:
    if not _STORES:
        _STORES.append(layout_for(6500))
    return _STORES[0]
