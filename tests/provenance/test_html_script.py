"""HTML with a store in its head (C2PA 2.5 A.7)."""

import base64
import io
from html.parser import HTMLParser

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

import countermark
from countermark.provenance import html_head
from countermark.provenance.carrier import Carrier, Exclusion, Place
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.html_script import HtmlScript
from countermark.signing.verdict import Outcome
from support.signed_texts import find, outcome, signed

CARRIER = HtmlScript()
STORE = b"\0\0\0\x10jumb12345678"
ELEMENT = b'<script type="application/c2pa">' + base64.b64encode(STORE) + b"</script>"
LINK = b'<link rel="c2pa-manifest" href="https://example.com/a.c2pa">'
PAGE = (
    b"<!DOCTYPE html>\n<html lang=en>\n<head><meta charset=utf-8>\n</head>\n<body>x</body></html>\n"
)


def written(text: bytes, store: bytes = STORE) -> bytes:
    """Return a page with a store in it that nobody signed."""
    source, sink = io.BytesIO(text), io.BytesIO()
    layout = CARRIER.lay_out(source, len(store))
    CARRIER.write(source, layout, store, sink)
    data = sink.getvalue()
    place = find(CARRIER, data)
    assert place == (store, layout.exclusions, "")
    assert CARRIER.digest(io.BytesIO(data), place.exclusions, "sha256") == layout.digest
    return data


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (PAGE, PAGE.replace(b"</head>", b"S\n</head>")),
        (b"<HTML><HEAD></HEAD></HTML>", b"<HTML><HEAD>S\n</HEAD></HTML>"),
        (b"<title>x</title>\r\n<p>y", b"<title>x</title>\r\nS\r\n<p>y"),
        (b"<p>hi", b"S\n<p>hi"),
        (b"<html><body>x", b"<html>S\n<body>x"),
        (b"\xef\xbb\xbf<html><head></head>", b"\xef\xbb\xbf<html><head>S\n</head>"),
        (b"<head><script>'</head>'</script></head>", b"<head><script>'</head>'</script>S\n</head>"),
        (b"<head><!-- </head> --></head>", b"<head><!-- </head> -->S\n</head>"),
        (b"<head><title></head></title></head>", b"<head><title></head></title>S\n</head>"),
        (b"<head><meta a='</head>'></head>", b"<head><meta a='</head>'>S\n</head>"),
        (
            b"<head><script><!--<script></script></head>--></script></head>",
            b"<head><script><!--<script></script></head>--></script>S\n</head>",
        ),
        (b"<head>", b"<head>S\n"),
    ],
)
def test_a_script_goes_to_the_end_of_the_head(text: bytes, want: bytes) -> None:
    assert written(text).replace(ELEMENT, b"S") == want


def test_a_browsers_parser_finds_the_head_where_we_do() -> None:
    class Reader(HTMLParser):
        store = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.wanted = tag == "script" and ("type", "application/c2pa") in attrs

        def handle_data(self, data: str) -> None:
            self.store += data if getattr(self, "wanted", False) else ""
            self.wanted = False

    reader = Reader()
    reader.feed(written(PAGE).decode())
    assert base64.b64decode(reader.store) == STORE


@pytest.mark.parametrize(
    "element",
    [
        ELEMENT,
        ELEMENT.replace(b"script", b"SCRIPT").replace(b"type", b"TYPE"),
        ELEMENT.replace(b'"', b"'"),
        ELEMENT.replace(b'"', b""),
        ELEMENT.replace(b'="', b' = "'),
        ELEMENT.replace(b"</script>", b"\n  </script >"),
        ELEMENT.replace(b'a">', b'a">\r\n\t'),
    ],
)
def test_every_way_of_writing_the_script_is_read_and_excluded_whole(element: bytes) -> None:
    page = PAGE.replace(b"</head>", element + b"</head>")
    place = find(CARRIER, page)
    assert place == (STORE, (Exclusion(page.index(element), len(element)),), "")


def test_a_link_is_an_address_and_excludes_nothing() -> None:
    capitals = LINK.replace(b"link", b"LINK").replace(b"rel=", b"REL=").replace(b"c2pa-", b"C2PA-")
    for link in (LINK, LINK.replace(b'"', b""), capitals):
        place = find(CARRIER, PAGE.replace(b"</head>", link + b"</head>"))
        assert place == Place(b"", (), "https://example.com/a.c2pa")
    page = PAGE.replace(b"</head>", LINK.replace(b".c2pa", b".c2pa?a=1&amp;b=2") + b"</head>")
    place = find(CARRIER, page)
    assert place is not None
    assert place.url == "https://example.com/a.c2pa?a=1&b=2"


@pytest.mark.parametrize(
    "page",
    [
        PAGE,
        PAGE.replace(b"<body>", b"<body>" + ELEMENT),
        PAGE.replace(b"<body>", ELEMENT + b"<body>"),
        PAGE.replace(b"<meta", b"<p>" + ELEMENT + b"<meta"),
        PAGE.replace(b"</head>", b"<!--" + ELEMENT + b"--></head>"),
        PAGE.replace(b"</head>", b"<title>" + ELEMENT + b"</title></head>"),
        PAGE.replace(b"</head>", b"<template>" + ELEMENT + b"</template></head>"),
        PAGE.replace(b"</head>", b"<noscript>" + LINK + b"</noscript></head>"),
        PAGE.replace(b"</head>", b"<script>'" + LINK + b"'</script></head>"),
        b"text " + ELEMENT,
        b"",
        b"<",
        b"<head><script type='application/c2pa",
    ],
)
def test_elements_outside_the_head_are_none(page: bytes) -> None:
    assert find(CARRIER, page) is None


@pytest.mark.parametrize("second", [ELEMENT, LINK])
@pytest.mark.parametrize("first", [ELEMENT, LINK])
def test_several_manifest_elements_are_refused(first: bytes, second: bytes) -> None:
    page = PAGE.replace(b"</head>", first + second + b"</head>")
    with pytest.raises(MalformedContentError, match="more than one") as caught:
        find(CARRIER, page)
    assert caught.value.offset == page.index(first) + len(first)
    with pytest.raises(MalformedContentError):
        CARRIER.lay_out(io.BytesIO(page), 10)


@pytest.mark.parametrize(
    "attributes",
    [
        b'type="application/c2pa" src="https://evil"',
        b'type="text/javascript" type="application/c2pa"',
        b'type="application/c2pa" type="application/c2pa"',
        b'onload="x" type="application/c2pa"',
        b'type="application/c2pa" x',
    ],
)
def test_attributes_that_no_signature_covers_are_refused(attributes: bytes) -> None:
    element = ELEMENT.replace(b'type="application/c2pa"', attributes)
    with pytest.raises(MalformedContentError, match="attributes"):
        find(CARRIER, PAGE.replace(b"</head>", element + b"</head>"))


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (ELEMENT.removesuffix(b"</script>"), "cut off"),
        (ELEMENT.replace(b"AAAA", b"A!AA"), "not Base64"),
        (ELEMENT.replace(b"AAAA", b"AA\nAA"), "not Base64"),
        (b'<script type="application/c2pa"></script>', "empty"),
        (b'<script type="application/c2pa">AB==</script>', "second way"),
        (LINK.replace(b"https://example.com/a.c2pa", b""), "usable address"),
        (LINK.replace(b"a.c2pa", b"\xff"), "usable address"),
        (b'<link rel="c2pa-manifest">', "usable address"),
    ],
)
def test_an_element_that_cannot_be_read_is_refused(element: bytes, message: str) -> None:
    with pytest.raises(MalformedContentError, match=message):
        find(CARRIER, b"<head>" + element)


@pytest.mark.parametrize(
    "text",
    [b"", b"no markup", b"<\0", b"<!--", b"<script>", b"<title>x", b"<script>x</script", b"<!x"],
)
def test_what_is_no_html_is_not_signed(text: bytes) -> None:
    with pytest.raises(UnsupportedContentError):
        CARRIER.lay_out(io.BytesIO(text), 10)


@pytest.mark.parametrize("part", [b"<meta>", b"<!---->", b"</x>", b"<?x>"])
def test_a_head_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(html_head, "MAX_PARTS", 10)
    find(CARRIER, part * 10)
    with pytest.raises(MalformedContentError, match="parts"):
        find(CARRIER, part * 11)


def test_a_tag_of_too_many_attributes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_head, "MAX_ATTRIBUTES", 10)
    find(CARRIER, b"<link " + b"a " * 10 + b">")
    with pytest.raises(MalformedContentError, match="attributes"):
        find(CARRIER, b"<link " + b"a " * 11 + b">")


def test_a_script_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_head, "MAX_PARTS", 10)
    find(CARRIER, b"<script><!--" + b"<script>" * 11)
    with pytest.raises(MalformedContentError, match="parts"):
        find(CARRIER, b"<script><!--" + b"<script>" * 12)


def test_a_signed_page_holds_and_is_refused_when_anything_moves() -> None:
    data, tries = signed(CARRIER, PAGE)
    assert tries <= 3
    assert outcome(CARRIER, data) is Outcome.VERIFIED
    at = data.index(b"<body>x") + 6
    start, stop = data.index(b"<script"), data.index(b"</script>") + 9
    moved = data[:start] + b"\n" + data[start:stop] + data[stop + 1 :]
    for changed in (data[:at] + b"y" + data[at + 1 :], data + b"x", b" " + data, moved):
        assert outcome(CARRIER, changed) in (Outcome.TAMPERED, Outcome.MALFORMED)


def test_a_script_or_link_that_is_there_is_replaced_where_it_stands() -> None:
    once, _ = signed(CARRIER, PAGE)
    twice, _ = signed(CARRIER, once)
    assert len(once) == len(twice)
    assert outcome(CARRIER, twice) is Outcome.VERIFIED
    linked = PAGE.replace(b"</head>", LINK + b"</head>")
    assert written(linked).replace(ELEMENT, LINK) == linked


def test_the_carrier_is_one() -> None:
    assert isinstance(CARRIER, Carrier)


_PIECES = [b"<head>", b"</head>", b"<body>", b"<script", b"<script>", b"</script>", b"<!--", b"-->",
           b">", b"'", b'"', b"=", b" ", b"<title>", b"</title>", ELEMENT, LINK, b"x", b"<link ",
           b"rel=c2pa-manifest ", b"<!", b"</", b"/", b"\xef\xbb\xbf", b"\0"]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=4), max_size=20))
def test_any_bytes_give_a_place_or_our_own_error_and_what_is_written_is_found(
    pieces: list[bytes],
) -> None:
    page = b"".join(pieces)
    codes = set()
    try:
        place = find(CARRIER, page)
        if place is not None:
            CARRIER.digest(io.BytesIO(page), place.exclusions, "sha256")
        written(page)  # It looks for itself.
    except countermark.Error as e:
        codes.add(e.code)
    assert codes <= {"malformed-content", "unsupported-content"}
