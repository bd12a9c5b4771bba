"""Strict JSON: one meaning or a refusal, within the limits, whatever the bytes."""

import json

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.signing.errors import MalformedJsonError, TooLargeError
from countermark.signing.strict_json import DEFAULT_MAX_DEPTH, dumps, loads

LIMIT = 1 << 24
# Found earlier: a string that never ends, full of escapes, made a backtracking pattern quadratic.
ENDLESS_STRING = b'{"a":[[[[["' + b'\\"' * 500_000 + b"}"
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def read(data: bytes, *, max_bytes: int = LIMIT, max_depth: int = DEFAULT_MAX_DEPTH) -> object:
    return loads(data, what="it", max_bytes=max_bytes, max_depth=max_depth)


def refusal(data: bytes) -> str:
    with pytest.raises(MalformedJsonError) as caught:
        read(data)
    assert caught.value.code == "malformed-json"
    assert str(caught.value).startswith("it: ")
    return str(caught.value)


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode) | VALUES.map(lambda v: json.dumps(v).encode()))
@example(b'{"a":[[[[["' + b'\\"' * 40_000 + b"}")
@example(b"\xef\xbb\xbf{}")
@example(b'"\\ud800"')
@example(b'"\\')
@example(b"[" * 33)
@example(b"9" * 5000)
def test_any_bytes_give_a_value_or_our_error(data: bytes) -> None:
    try:
        value = read(data)
    except MalformedJsonError:
        return
    assert value == json.loads(data)


def test_a_million_escapes_in_a_string_without_end_are_read_once() -> None:
    assert "Unterminated string" in refusal(ENDLESS_STRING)
    assert "not JSON" in refusal(b"[" * 16 + b'"' * 1_000_001 + b"[" * 17)


@settings(deadline=None)
@given(VALUES)
def test_what_we_read_is_what_json_reads(value: object) -> None:
    assert read(json.dumps(value).encode()) == value
    assert read(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@settings(deadline=None)
@given(VALUES)
def test_dumps_is_read_back_and_does_not_depend_on_the_order_of_keys(value: object) -> None:
    assert read(dumps(value)) == value
    if isinstance(value, dict):
        assert dumps(dict(reversed(value.items()))) == dumps(value)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
        # RFC 8785 sorts by UTF-16 code unit, we by code point: equal below U+E000.
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=0xD7FF)), inner)
        ),
    )
)
def test_dumps_is_rfc8785_for_what_we_write(value: object) -> None:
    assert dumps(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_dumps_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps([float("nan")])


def test_the_byte_limit_holds_at_n_and_refuses_one_more() -> None:
    assert read(b"[1]", max_bytes=3) == [1]
    with pytest.raises(TooLargeError) as caught:
        read(b"[1] ", max_bytes=3)
    assert (caught.value.code, caught.value.size, caught.value.limit) == ("too-large", 4, 3)


def test_the_item_limit_holds_at_n_and_refuses_one_more() -> None:
    assert loads(b"[[],{}]", what="it", max_bytes=99, max_items=4) == [[], {}]
    with pytest.raises(TooLargeError) as caught:
        loads(b"[[],{},1]", what="it", max_bytes=99, max_items=4)
    assert (caught.value.size, caught.value.limit) == (5, 4)
    with pytest.raises(TooLargeError):  # Text counts too: this limit is for text without any.
        loads(b'["[{,"]', what="it", max_bytes=99, max_items=3)


@pytest.mark.parametrize("limit", [1, 2, DEFAULT_MAX_DEPTH, 100])
def test_the_depth_limit_holds_at_n_and_refuses_one_more(limit: int) -> None:
    for opening, middle, closing in ((b"[", b"1", b"]"), (b'{"a":', b"1", b"}")):
        assert read(opening * limit + middle + closing * limit, max_depth=limit)
        with pytest.raises(MalformedJsonError, match=f"deeper than {limit} levels"):
            read(opening * (limit + 1) + middle + closing * (limit + 1), max_depth=limit)


def test_brackets_inside_strings_do_not_nest() -> None:
    assert read(b'["' + b"[{" * 100 + b'\\"' + b"[{" * 100 + b'"]')
    assert read(b"[" + b",".join([b"[]"] * 100) + b"]")


def test_nesting_without_end_is_refused_before_it_is_parsed() -> None:
    assert "nested deeper" in refusal(b"[" * 1_000_000)
    assert "nested deeper" in refusal(b"]" * 10 + b"[" * 1_000_000)
    assert "nested deeper" in refusal(b'{"a":' * 100_000)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"b":2,"a":3}',
        '{"x":{"a":1,"a":2}}',
        '[[{"a":{"b":[{"c":1,"c":1}]}}]]',
        '{"a":1,"\\u0061":2}',
    ],
)
def test_a_repeated_key_is_refused_at_every_level(text: str) -> None:
    assert "same key twice" in refusal(text.encode())


def test_one_key_in_different_objects_is_no_repetition() -> None:
    assert read(b'{"a":{"a":[{"a":1},{"a":2}]}}')


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(name: str) -> None:
    assert f"{name} is not JSON" in refusal(f"[{name}]".encode())


def test_a_number_beyond_a_double_is_refused_and_the_largest_is_read() -> None:
    assert "range of a double" in refusal(b"[1e999]")
    assert "range of a double" in refusal(b"-1e309")
    assert read(b"1.7976931348623157e308") == 1.7976931348623157e308
    assert read(b"1e-999") == 0


def test_an_integer_may_have_twenty_characters_and_no_more() -> None:
    assert read(b"9" * 20) == int("9" * 20)
    assert read(b"-" + b"9" * 19) == -int("9" * 19)
    assert "21 digits" in refusal(b"9" * 21)
    assert "21 digits" in refusal(b"-" + b"9" * 20)
    assert "100000 digits" in refusal(b"9" * 100_000)


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"\udfff":1}', r'[{"a":["\udc00\ud800"]}]'])
def test_a_lone_surrogate_is_refused_wherever_it_is(text: str) -> None:
    assert "lone surrogate" in refusal(text.encode())


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read(rb'{"\ud83d\ude00":"\u00e9"}') == {"😀": "é"}


def test_bytes_that_are_not_utf8_are_refused_with_their_place() -> None:
    assert "not UTF-8 at byte 1" in refusal(b'"\xff"')
    assert "not UTF-8" in refusal(
        b'"\xed\xa0\x80"'
    )  # A surrogate, written as if it were a character.


@pytest.mark.parametrize("data", [b"", b" ", b"{", b"[1,]", b"{'a':1}", b"1 2", b"\xef\xbb\xbf1"])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    assert "not JSON" in refusal(data)


def test_white_space_around_a_document_is_allowed() -> None:
    assert read(b" \r\n\t1\n") == 1
