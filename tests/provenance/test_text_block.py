"""Code and Markdown with a store in a comment (C2PA 2.5 A.9)."""

import ast
import base64
import io
from xml.parsers import expat

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

import countermark
from countermark.provenance.carrier import Carrier, Exclusion, Place
from countermark.provenance.comment_styles import style_of
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.text_block import BEGIN, END, media_type_of, text_block_for
from countermark.signing.verdict import Outcome
from support.signed_texts import block, find, outcome, signed

PYTHON = block("a.py")
STORE = b"\0\0\0\x10jumb12345678"
REFERENCE = b"data:application/c2pa;base64," + base64.b64encode(STORE)
LINE = b"# " + BEGIN + b" " + REFERENCE + b" " + END
BOM = b"\xef\xbb\xbf"


def written(name: str, text: bytes, store: bytes = STORE) -> bytes:
    """Return a file with a store in it that nobody signed."""
    carrier, source, sink = block(name), io.BytesIO(text), io.BytesIO()
    layout = carrier.lay_out(source, len(store))
    carrier.write(source, layout, store, sink)
    data = sink.getvalue()
    place = find(carrier, data)
    assert place == (store, layout.exclusions, "")
    assert carrier.digest(io.BytesIO(data), place.exclusions, "sha256") == layout.digest
    return data


def shown(name: str, text: bytes) -> bytes:
    """Return what a file becomes, with R in the place of the reference."""
    return written(name, text).replace(REFERENCE, b"R")


# --- Where a block goes.

B, E = BEGIN, END
XML = b"<?xml version='1.0'?>"


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("a.py", b"x = 1\n", b"# " + B + b" R " + E + b"\nx = 1\n"),
        ("a.py", b"", b"# " + B + b" R " + E + b"\n"),
        ("a.py", b"x\r\n", b"# " + B + b" R " + E + b"\r\nx\r\n"),
        ("a.py", BOM + b"x\n", BOM + b"# " + B + b" R " + E + b"\nx\n"),
        ("a.sh", b"#!/bin/sh\nls\n", b"#!/bin/sh\nls\n# " + B + b" R " + E + b"\n"),
        ("a.sh", b"#!/bin/sh\nls", b"#!/bin/sh\nls\n# " + B + b" R " + E),
        ("a.sh", b"#!/bin/sh\r\nls\r\n", b"#!/bin/sh\r\nls\r\n# " + B + b" R " + E + b"\r\n"),
        ("a.sh", b"#!/bin/sh\r\nls", b"#!/bin/sh\r\nls\r\n# " + B + b" R " + E),
        ("a.py", b"# x\n# coding: x\n", b"# x\n# coding: x\n# " + B + b" R " + E + b"\n"),
        ("a.css", b"a{}", b"/*! " + B + b" R " + E + b" */\na{}"),
        ("a.css", b'@charset "x";\n', b'@charset "x";\n/*! ' + B + b" R " + E + b" */\n"),
        ("a.md", b"# x\n", b"<!-- " + B + b" R " + E + b" -->\n# x\n"),
        ("a.md", b"---\na: 1\n---\n", b"---\n" + B + b"\nR\n" + E + b"\na: 1\n---\n"),
        ("a.md", b"+++\r\na=1\r\n+++\r\n",
         b"+++\r\n" + B + b"\r\nR\r\n" + E + b"\r\na=1\r\n+++\r\n"),
        ("a.md", b"---\nno end\n", b"<!-- " + B + b" R " + E + b" -->\n---\nno end\n"),
        ("a.yaml", b"---\na: 1\n---\n", b"# " + B + b" R " + E + b"\n---\na: 1\n---\n"),
        ("a.sql", b"select 1", b"-- " + B + b" R " + E + b"\nselect 1"),
        ("a.lua", b"x\n", b"-- " + B + b" R " + E + b"\nx\n"),
        ("a.tex", b"x\n", b"% " + B + b" R " + E + b"\nx\n"),
        ("a.ps", b"%!PS\n", b"%!PS\n% " + B + b" R " + E + b"\n"),
        ("a.ini", b"[x]\n", b"; " + B + b" R " + E + b"\n[x]\n"),
        ("a.toml", b"x=1\n", b"# " + B + b" R " + E + b"\nx=1\n"),
        ("a.c", b"int x;\n", b"// " + B + b" R " + E + b"\nint x;\n"),
        ("a.ml", b"let x = 1\n", b"(* " + B + b" R " + E + b" *)\nlet x = 1\n"),
        ("Dockerfile", b"# syntax=x\nFROM y\n", b"# syntax=x\nFROM y\n# " + B + b" R " + E + b"\n"),
        ("a.xml", XML + b"\n<a/>", XML + b"\n<?c2pa " + B + b" R " + E + b" ?>\n<a/>"),
        ("a.xml", XML + b"<a/>", XML + b"\n<?c2pa " + B + b" R " + E + b" ?>\n<a/>"),
        ("a.xml", XML + b"\n", XML + b"\n<?c2pa " + B + b" R " + E + b" ?>\n"),
        ("a.vtt", b"WEBVTT\n\n1\n", b"WEBVTT\n\nNOTE " + B + b" R " + E + b"\n\n1\n"),
        ("a.vtt", b"WEBVTT", b"WEBVTT\n\nNOTE " + B + b" R " + E + b"\n\n"),
        ("a.vtt", b"WEBVTT\nX: y\n\n1\n", b"WEBVTT\nX: y\n\nNOTE " + B + b" R " + E + b"\n\n1\n"),
    ],
)  # fmt: skip
def test_a_block_stands_where_the_format_allows_it(name: str, text: bytes, want: bytes) -> None:
    assert shown(name, text) == want


def test_front_matter_is_never_made() -> None:
    assert b"---\n-----" not in shown("a.md", b"# x\n---\n")


def test_code_with_a_block_is_still_the_same_code() -> None:
    source = b'"""Doc."""\nx = [1]\n'
    assert ast.dump(ast.parse(written("a.py", source))) == ast.dump(ast.parse(source))


def test_xml_with_a_block_is_still_xml() -> None:
    # In a comment, as the specification shows it, it would not be: "--" ends those.
    data = written("a.xml", b"<?xml version='1.0'?>\n<a><b/></a>\n")
    expat.ParserCreate().Parse(data, True)
    in_comment = data.replace(b"<?c2pa ", b"<!-- ").replace(b" ?>\n<a", b" -->\n<a")
    with pytest.raises(expat.ExpatError):
        expat.ParserCreate().Parse(in_comment, True)


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.html", "a.svg", "a.bat", "a.txt", "a", ""])
def test_what_has_no_comments_or_a_place_of_its_own_has_no_block(name: str) -> None:
    assert text_block_for(name) is None
    assert media_type_of(name) is None
    assert style_of(name) is None


def test_names_are_looked_up_whatever_their_case_and_folder() -> None:
    assert media_type_of("/x/A.PY") == "text/x-python"
    assert block("/x/Makefile").style.prefix == "#"
    assert isinstance(PYTHON, Carrier)
    assert (PYTHON.name, PYTHON.media_types) == ("text-block", ("text/x-python",))


# --- What is read.


@pytest.mark.parametrize(
    ("data", "start", "length"),
    [
        (LINE, 0, len(LINE)),
        (LINE + b"\nx", 0, len(LINE) + 1),
        (LINE + b"\r\nx", 0, len(LINE) + 2),
        (b"x\n" + LINE, 1, len(LINE) + 1),
        (b"x\n" + LINE + b"\n", 1, len(LINE) + 2),
        (b"x\r\n" + LINE, 2, len(LINE) + 1),  # The newline character, not the one before it.
        (b"x\n" + LINE + b"\ny\n", 2, len(LINE) + 1),
        (BOM + LINE + b"\ny", 3, len(LINE) + 1),
        (b"x\n" + B + b"\n" + REFERENCE + b"\n" + E + b"\ny", 2, len(B + REFERENCE + E) + 3),
    ],
)
def test_the_exclusion_is_that_of_the_specification(data: bytes, start: int, length: int) -> None:
    assert find(PYTHON, data) == (STORE, (Exclusion(start, length),), "")


@pytest.mark.parametrize(
    "line",
    [
        b"// " + B + b" " + REFERENCE + b" " + E,
        b"/* " + B + b" " + REFERENCE + b" " + E + b" */",
        b"<!-- " + B + b" " + REFERENCE + b" " + E + b" -->",
        b"\t#" + B + b"\t" + REFERENCE + E + b"  ",
        B + REFERENCE + E,
    ],
)
def test_anybodys_comment_style_is_read(line: bytes) -> None:
    assert find(PYTHON, line + b"\nx") == (STORE, (Exclusion(0, len(line) + 1),), "")


def test_an_address_is_found_as_such() -> None:
    line = LINE.replace(REFERENCE, b"https://example.com/a.c2pa")
    want = Place(b"", (Exclusion(0, len(line) + 1),), "https://example.com/a.c2pa")
    assert find(PYTHON, line + b"\nx") == want


@pytest.mark.parametrize(
    "line",
    [
        b"import os; " + LINE,
        LINE + b" import os",
        b"x = '''\n".strip() + LINE,
        LINE.replace(b"# ", b"#! "),
        B + b"\n" + REFERENCE + b"\n" + E + b" x",
        b"x " + B + b"\n" + REFERENCE + b"\n" + E,
        B + b"\n\n" + REFERENCE + b"\n" + E,
    ],
)
def test_code_on_the_lines_that_no_signature_covers_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedContentError, match="shares its lines"):
        find(PYTHON, line + b"\ny = 1\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LINE + b"\n" + LINE, "more than one manifest block"),
        (LINE + b"\n" + B, "more than one manifest block"),
        (LINE[: -len(E)], "cut off"),
        (E + b"\n" + LINE[: -len(E)], "cut off"),
        (LINE.replace(b"base64,AA", b"base64,A!"), "not Base64"),
        (LINE.replace(REFERENCE, REFERENCE[:40] + b"\n" + REFERENCE[40:]), "shares its lines"),
        (LINE.replace(REFERENCE, b"data:application/c2pa;base64,"), "empty"),
        (LINE.replace(REFERENCE, b"data:application/c2pa;base64,AB=="), "second way"),
        (LINE.replace(REFERENCE, b"https://a b"), "usable address"),
        (LINE.replace(REFERENCE, b"https://" + b"a" * 4089), "usable address"),
    ],
)  # fmt: skip
def test_a_block_that_cannot_be_read_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedContentError, match=message):
        find(PYTHON, data)


def test_the_longest_address_is_read() -> None:
    url = b"https://" + b"a" * 4088
    place = find(PYTHON, LINE.replace(REFERENCE, url))
    assert place is not None
    assert place.url == url.decode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x = 1\n",
        b'BEGIN = "' + B + b'"\nEND = "' + E + b'"\n',
        B,
        E + B,
        LINE.replace(REFERENCE, b"..."),
        LINE.replace(REFERENCE, b"data:text/plain;base64,AAAA"),
        LINE.replace(REFERENCE, b"file:///etc/passwd"),
    ],
)
def test_code_that_only_speaks_of_delimiters_carries_nothing(data: bytes) -> None:
    assert find(PYTHON, data) is None


def test_code_that_speaks_of_delimiters_cannot_carry_a_block_between_them() -> None:
    with pytest.raises(UnsupportedContentError, match="speaks of"):
        PYTHON.lay_out(io.BytesIO(b'x = "' + B + b'"\n'), 10)


@pytest.mark.parametrize("text", [b"a\rb\n", b"a\r", b"a\r\r\n", b"a\0b", "a".encode("utf-16")])
def test_bare_carriage_returns_and_binary_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(UnsupportedContentError):
        PYTHON.lay_out(io.BytesIO(text), 10)


# --- Round trips.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", b"x = 1\n"),
        ("a.py", b"#!/usr/bin/python\r\nx = 1\r\n"),
        ("a.md", b"---\ntitle: x\n---\n# hi\n"),
        ("a.xml", b"<?xml version='1.0'?>\n<a/>\n"),
    ],
)
def test_signed_code_holds_and_is_refused_when_anything_moves(name: str, text: bytes) -> None:
    carrier = block(name)
    data, tries = signed(carrier, text)
    assert tries <= 3
    assert outcome(carrier, data) is Outcome.VERIFIED
    at = data.index(text[-3:], len(data) - 5) if data.endswith(text[-3:]) else 3
    flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    place = find(carrier, data)
    assert place is not None
    ((start, length),) = place.exclusions
    lines = data[start : start + length]
    rest = data[:start] + data[start + length :]
    for changed in (flipped, data + b"x", b"x\n" + data, rest + b"\n" + lines.strip() + b"\n"):
        assert outcome(carrier, changed) in (Outcome.TAMPERED, Outcome.MALFORMED), changed[:80]


def test_a_block_is_replaced_where_it_stands() -> None:
    once, _ = signed(PYTHON, b"#!x\r\ny\r\n")
    twice, _ = signed(PYTHON, once)
    assert outcome(PYTHON, twice) is Outcome.VERIFIED
    assert (len(once), twice.count(B)) == (len(twice), 1)


def test_an_address_is_replaced_by_a_store() -> None:
    text = LINE.replace(REFERENCE, b"https://example.com/a.c2pa") + b"\nx\n"
    assert shown("a.py", text) == b"# " + B + b" R " + E + b"\nx\n"


def test_a_layout_of_another_text_is_not_written() -> None:
    layout = PYTHON.lay_out(io.BytesIO(b"#!x\ny\n"), len(STORE))
    with pytest.raises(MalformedContentError, match="changed"):
        PYTHON.write(io.BytesIO(b"#!x\nyy\n"), layout, STORE, io.BytesIO())


def test_a_store_of_another_length_fits_only_if_its_base64_does() -> None:
    source = io.BytesIO(b"x\n")
    layout = PYTHON.lay_out(source, 30)
    assert [n for n in range(26, 34) if PYTHON.fits(layout, bytes(n))] == [28, 29, 30]
    refined = PYTHON.refine(source, layout, bytes(31))
    assert refined == PYTHON.lay_out(source, 31)


@settings(deadline=None)
@given(
    st.sampled_from(["a.py", "a.md", "a.xml", "a.vtt", "a.css", "a.c"]),
    st.lists(st.sampled_from([b"x", b"\n", b"\r\n", b"#!", b"---", b"+++", b"WEBVTT", b"<?xml ",
                              b"?>", b" ", BOM, b"\xff", b"@charset", b"# coding:"]), max_size=8),
    st.binary(min_size=1, max_size=40),
)  # fmt: skip
def test_any_text_comes_back_with_its_store(name: str, pieces: list[bytes], store: bytes) -> None:
    text = b"".join(pieces)
    data = written(name, text, store)
    again = written(name, data, store)
    assert again == data


@settings(deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=20), st.integers(0, 140))
def test_any_bytes_around_and_in_a_block_give_a_place_or_our_own_error(
    text: bytes, noise: bytes, at: int
) -> None:
    codes = set()
    for data in (text, text + LINE, LINE + text, LINE[:at] + noise + LINE[at:]):
        try:
            place = find(PYTHON, data)
            if place is not None:
                PYTHON.digest(io.BytesIO(data), place.exclusions, "sha256")
            PYTHON.lay_out(io.BytesIO(data), 10)
        except countermark.Error as e:
            codes.add(e.code)
    assert codes <= {"malformed-content", "unsupported-content"}
