"""What kind of content a file is taken for, and where it may carry a manifest."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermark.provenance.errors import UnsupportedContentError
from countermark.provenance.formats import (
    HEAD_BYTES,
    Format,
    Kind,
    carriers_of,
    detect_format,
    format_named,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
SAFETENSORS = (64).to_bytes(8, "little") + b'{"__metadata__":{}}'


@pytest.mark.parametrize(
    ("name", "head", "media_type", "kind"),
    [
        ("a.png", PNG, "image/png", Kind.MEDIA),
        ("a.jpg", b"\xff\xd8\xff\xe0", "image/jpeg", Kind.MEDIA),
        ("a", b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp", Kind.MEDIA),
        ("a", b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav", Kind.MEDIA),
        ("a", b"\0\0\0\x18ftypisom", "video/mp4", Kind.MEDIA),
        ("a", b"\0\0\0\x18ftypavif", "image/avif", Kind.MEDIA),
        ("a.docx", b"PK\x03\x04", detect_format("a.docx", b"PK\x03\x04").media_type, Kind.MEDIA),
        ("a", b"PK\x03\x04", "application/zip", Kind.MEDIA),
        ("a.pdf", b"%PDF-1.7", "application/pdf", Kind.MEDIA),
        ("a.svg", b'<?xml version="1.0"?>\n<svg >', "image/svg+xml", Kind.MEDIA),
        ("a.mp3", b"\xff\xfb\x90\0", "audio/mpeg", Kind.MEDIA),
        ("w.safetensors", SAFETENSORS, "application/vnd.safetensors", Kind.MODEL),
        ("w", SAFETENSORS, "application/vnd.safetensors", Kind.MODEL),
        ("m.onnx", b"\x08\x07", "application/onnx", Kind.MODEL),
        ("a.txt", b"words", "text/plain", Kind.TEXT),
        ("", b"words", "text/plain", Kind.TEXT),
        ("a.html", b"words", "text/html", Kind.HTML),
        ("a", b"<!DOCTYPE html><p>", "text/html", Kind.HTML),
        ("a.bin", b"\x00\x01\x02", "application/octet-stream", Kind.OTHER),
        ("a.txt", b"caf\xe9 au lait", "application/octet-stream", Kind.OTHER),
    ],
)
def test_content_is_known_by_its_beginning_and_then_by_its_name(
    name: str, head: bytes, media_type: str, kind: Kind
) -> None:
    assert detect_format(name, head) == Format(media_type, kind)


def test_the_beginning_counts_more_than_the_name() -> None:
    assert detect_format("a.txt", PNG).media_type == "image/png"


def test_code_is_told_from_plain_text_by_its_name() -> None:
    assert detect_format("a.py", b"import this").kind is Kind.CODE
    assert detect_format("a.md", b"# Title").kind is Kind.CODE
    assert detect_format("Makefile", b"all:").kind is Kind.CODE
    assert detect_format("a.json", b"{}").kind is Kind.OTHER


def test_a_script_without_a_suffix_carries_a_comment_and_nothing_unseen() -> None:
    script = detect_format("run", b"#!/bin/sh\nls\n")
    assert (script.media_type, script.kind) == ("text/x-shellscript", Kind.CODE)
    assert carriers_of(script, "run")[0].name == "text-block"


@pytest.mark.parametrize("name", ["a.py", "a.yaml", "a.sql", "Makefile", "note.txt", "a.html"])
def test_a_media_type_that_was_found_means_the_same_when_it_is_named(name: str) -> None:
    found = detect_format(name, b"words\n")
    assert format_named(found.media_type, name) == found


def test_a_character_cut_by_the_end_of_the_head_is_still_text() -> None:
    whole = b"a" + "é".encode() * HEAD_BYTES
    assert detect_format("a.txt", whole[:HEAD_BYTES]).kind is Kind.TEXT
    assert detect_format("a.txt", b"short \xc3").kind is Kind.OTHER


@given(st.text(max_size=20), st.binary(max_size=200))
def test_any_bytes_are_some_kind_of_content(name: str, head: bytes) -> None:
    format_ = detect_format(name, head)
    for carrier in carriers_of(format_, name):
        assert carrier.name


@given(st.text(max_size=40))
def test_any_media_type_is_understood_or_refused(media_type: str) -> None:
    with contextlib.suppress(UnsupportedContentError):
        assert format_named(media_type, "a").media_type == media_type


@pytest.mark.parametrize(
    "name", ["", "text", "text/", "/plain", "text/plain; charset=utf-8", "a b/c"]
)
def test_what_is_no_media_type_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedContentError) as refused:
        format_named(name, "a")
    assert refused.value.code == "unsupported-content"


def test_a_head_full_of_comments_is_looked_at_once() -> None:
    head = b"<!---->" * (HEAD_BYTES // 7)
    assert detect_format("a.txt", head).kind is Kind.TEXT
