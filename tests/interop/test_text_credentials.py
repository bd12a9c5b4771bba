"""What other people's readers say of text, code and HTML that we signed, and we of theirs.

encypher-c2pa and c2patxt were written apart from c2pa and from this: what they call valid is.
"""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import pytest

from countermark.provenance.carrier import Exclusion, Layout
from countermark.provenance.html_script import HtmlScript
from countermark.provenance.text_wrapper import MARKER, TextWrapper, wrapped
from countermark.signing.verdict import Outcome
from support.credentials import make_credentials
from support.signed_texts import TEXT, block, find, outcome, sign_detached, signed, signed_text

pytestmark = pytest.mark.interop

CARRIER = TextWrapper()
TEXTS = {
    "two lines": TEXT,
    "empty": b"",
    "byte order mark": MARKER + b"text\r\n",
    "taken apart": unicodedata.normalize("NFD", TEXT.decode()).encode(),
    "selectors of its own": "✌️ \ufe0e x\n".encode(),
}
CODE = {
    "a.py": (b"import os\nprint(1)\n", "text/x-python"),
    "shebang.py": (b"#!/usr/bin/python\nprint(1)\n", "text/x-python"),
    "open.py": (b"#!/usr/bin/python\nprint(1)", "text/x-python"),
    "crlf.py": (b"#!/usr/bin/python\r\nprint(1)\r\n", "text/x-python"),
    "bom.py": (MARKER + b"x = 1\r\n", "text/x-python"),
    "a.md": (b"# hi\n", "text/markdown"),
    "front.md": (b"---\ntitle: x\n---\n# hi\n", "text/markdown"),
    "toml.md": (b"+++\r\ntitle='x'\r\n+++\r\n# hi\r\n", "text/markdown"),
    "a.xml": (b"<?xml version='1.0'?>\n<a/>\n", "application/xml"),
    "joined.xml": (b"<?xml version='1.0'?><a/>", "application/xml"),
    "a.css": (b'@charset "utf-8";\nbody{}', "text/css"),
    "a.yaml": (b"---\na: 1\n", "application/yaml"),
    # Of media types that this reader does not know, by way of one that it does.
    "a.vtt": (b"WEBVTT\n\n00:00.000 --> 00:01.000\nhi\n", "application/yaml"),
    "a.lua": (b"", "application/yaml"),
}
PAGES = {
    "page": b"<!DOCTYPE html>\n<html>\n<head><title>x</title>\n</head>\n<body>hi</body></html>\n",
    "no head": b"<p>hi",
    "capitals": b"<HTML><HEAD><SCRIPT>'</head>'</SCRIPT></HEAD><BODY></BODY></HTML>\r\n",
    "byte order mark": MARKER + b"<html><head></head></html>",
}


def encypher(data: bytes, media_type: str) -> tuple[str, str, str]:
    """Return what encypher-c2pa says: of the whole, of the hash, of the signature."""
    peer = pytest.importorskip("encypher_c2pa", reason="encypher-c2pa is not installed")
    ca = make_credentials().ca_pem.decode()
    report = peer.verify(data, media_type, trust_pem=ca, no_default_trust=True, telemetry=False)
    return report["validation_state"], report["hard_binding"], report["signature"]


def c2patxt_state(data: bytes) -> str:
    """Return what c2patxt says, which trusts nobody here."""
    peer = pytest.importorskip("c2patxt", reason="c2patxt is not installed")
    return str(peer.verify(data.decode()).state.value)


GOOD = ("Trusted", "match", "valid")


@pytest.mark.parametrize("name", TEXTS)
def test_encypher_trusts_text_that_we_signed(name: str) -> None:
    assert encypher(signed_text(TEXTS[name]), "text/plain") == GOOD


@pytest.mark.parametrize("name", TEXTS)
def test_c2patxt_finds_text_valid_that_we_signed(name: str) -> None:
    assert c2patxt_state(signed_text(TEXTS[name])) == "valid"


@pytest.mark.parametrize("repad", [True, False])
def test_both_accept_text_with_the_signers_own_padding_and_with_ours(repad: bool) -> None:
    data, _ = signed(CARRIER, TEXT, repad=repad)
    assert (encypher(data, "text/plain"), c2patxt_state(data)) == (GOOD, "valid")


def test_both_refuse_what_we_refuse() -> None:
    changed = signed_text().replace(b"jagen", b"fegen")
    assert outcome(CARRIER, changed) is Outcome.TAMPERED
    assert encypher(changed, "text/plain")[:2] == ("Invalid", "mismatch")
    assert c2patxt_state(changed) == "invalid"


@pytest.mark.parametrize("name", CODE)
def test_encypher_trusts_code_that_we_signed_and_refuses_a_byte_more(name: str) -> None:
    text, media_type = CODE[name]
    data, _ = signed(block(name), text)
    assert encypher(data, media_type) == GOOD
    assert encypher(data + b"x", media_type)[0] == "Invalid"


@pytest.mark.parametrize("name", PAGES)
def test_encypher_trusts_html_that_we_signed_and_refuses_a_byte_more(name: str) -> None:
    data, _ = signed(HtmlScript(), PAGES[name])
    assert encypher(data, "text/html") == GOOD
    assert encypher(data + b"x", "text/html")[0] == "Invalid"


# --- Theirs, read by us.


def test_we_find_text_as_signed_that_c2patxt_signed() -> None:
    peer = pytest.importorskip("c2patxt", reason="c2patxt is not installed")
    data = peer.embed(TEXT.decode(), c2patxt_signer(peer), disclosure(peer)).encode()
    assert outcome(CARRIER, data) is Outcome.VERIFIED
    assert outcome(CARRIER, data.replace(b"jagen", b"fegen")) is Outcome.TAMPERED


def disclosure(peer: Any) -> Any:  # noqa: ANN401 - The peer has no types that we check.
    return peer.Disclosure(media_type="text/plain", model_type=peer.ModelType.GENERIC)


def c2patxt_signer(peer: Any) -> Any:  # noqa: ANN401
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    credentials = make_credentials(key="ed25519")
    return peer.Signer(
        private_key=load_pem_private_key(credentials.key_pem, None),
        certificates=tuple(load_pem_x509_certificates(credentials.chain_pem)),
    )


@pytest.mark.parametrize("dialect", ["2.5", "c2pa-text"])
def test_we_find_padded_text_as_signed(dialect: str) -> None:
    codec = pytest.importorskip("c2pa_text", reason="c2pa-text is not installed")
    layout, store = Layout(0, (), digest(), 0), b""
    while layout.store_bytes != len(store) or not store:
        room = codec.worst_case_wrapper_byte_length(len(store))
        layout = Layout(len(store), (Exclusion(len(TEXT), room),), digest(), room)
        store = sign_detached(layout)
    room = layout.room
    if dialect == "c2pa-text":
        mark = codec.encode_wrapper_padded(store, room).encode()
    else:
        gap = room - len(wrapped(store))
        padding = "\ufe00" * ((gap - 4 * (gap % 3)) // 3) + "\U000e0100" * (gap % 3)
        mark = wrapped(store) + padding.encode()
    assert len(mark) == room
    assert outcome(CARRIER, TEXT + mark) is Outcome.VERIFIED
    assert find(CARRIER, TEXT + mark) == (store, layout.exclusions, "")


def digest() -> bytes:
    return CARRIER.digest(io.BytesIO(TEXT), (), "sha256")


def test_c2pa_text_decodes_what_we_wrote() -> None:
    codec = pytest.importorskip("c2pa_text", reason="c2pa-text is not installed")
    place = find(CARRIER, signed_text())
    assert place is not None
    store, text = codec.extract_manifest(signed_text().decode())
    assert (store, text.encode()) == (place.store, TEXT)
    code, _ = signed(block("a.py"), b"x = 1\n")
    found = find(block("a.py"), code)
    assert found is not None
    assert codec.extract_structured(code.decode()).manifest == found.store
    page, _ = signed(HtmlScript(), PAGES["page"])
    there = find(HtmlScript(), page)
    assert there is not None
    assert codec.extract_html(page.decode()).manifest == there.store
