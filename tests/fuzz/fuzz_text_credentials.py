"""Fuzz marks in text, code and HTML: any bytes are refused, or are written and found again.

Run `python tests/fuzz/fuzz_text_credentials.py` with atheris installed; libFuzzer options follow.
"""

import io
import sys

from countermark.provenance.carrier import Carrier
from countermark.provenance.cose_padding import repadded
from countermark.provenance.errors import ProvenanceError
from countermark.provenance.forensics import diagnose
from countermark.provenance.html_script import HtmlScript
from countermark.provenance.text_block import text_block_for
from countermark.provenance.text_wrapper import TextWrapper, wrapped
from countermark.signing.verdict import Outcome

STORE = b"\0\0\0\x10jumb12345678"
NAMES = ("a.py", "a.md", "a.xml", "a.vtt", "a.css")


def carriers() -> list[Carrier]:
    """Return every carrier of text."""
    blocks = [text_block_for(name) for name in NAMES]
    return [TextWrapper(), HtmlScript(), *(block for block in blocks if block is not None)]


CARRIERS = carriers()


def written(carrier: Carrier, text: bytes) -> bytes:
    """Return a text with a store in it, and check that it is found there."""
    source, sink = io.BytesIO(text), io.BytesIO()
    layout = carrier.lay_out(source, len(STORE))
    while not carrier.fits(layout, STORE):
        layout = carrier.refine(source, layout, STORE)
    carrier.write(source, layout, STORE, sink)
    place = carrier.find(sink)
    assert place is not None
    assert (place.store, place.exclusions) == (STORE, layout.exclusions)
    assert carrier.digest(sink, place.exclusions, "sha256") == layout.digest
    return sink.getvalue()


def seeds() -> list[bytes]:
    """Return one text of every kind, with and without a mark, whole and damaged."""
    texts = [
        "Zwölf\n".encode(),
        b"#!/bin/sh\r\nls\r\n",
        b"---\ntitle: x\n---\n# x\n",
        b"<?xml version='1.0'?>\n<a/>\n",
        b"WEBVTT\n\n1\n",
        b"<!doctype html><head><script><!--<script></script>--></script><title>x</title></head>",
    ]
    marked = [written(carrier, text) for carrier in CARRIERS for text in texts if b"<" in text]
    return [*texts, *marked, *(data[: len(data) // 2] for data in marked), wrapped(STORE)[3:]]


def one_input(data: bytes) -> None:
    """Read, diagnose and sign one input with every carrier."""
    for carrier in CARRIERS:
        try:
            place = carrier.find(io.BytesIO(data))
            if place is not None:
                carrier.digest(io.BytesIO(data), place.exclusions, "sha256")
            again = written(carrier, data)
            assert written(carrier, again) == again
        except ProvenanceError:
            pass
    diagnose(data, lambda _: Outcome.TAMPERED)
    repadded(data, len, len(data) + 9)


def main() -> None:
    """Run the fuzzer until it finds something."""
    import atheris

    for seed in seeds():
        one_input(seed)
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
