"""Text, code and HTML with real credentials in them, signed with c2pa alone."""

from __future__ import annotations

import io
from functools import cache

import c2pa

from countermark.provenance.carrier import Carrier, Layout, Place
from countermark.provenance.hard_binding import examine_binding
from countermark.provenance.html_script import HtmlScript
from countermark.provenance.store import read_store
from countermark.provenance.text_block import TextBlock, text_block_for
from countermark.provenance.text_wrapper import TextWrapper
from countermark.signing.verdict import Outcome, outcome_of
from support.credentials import make_credentials

__all__ = ["TEXT", "block", "find", "outcome", "sign_detached", "signed", "signed_text"]

# NFC, with characters of one, two and three bytes, two lines, and a space at a line's end.
TEXT = "Zwölf Boxkämpfer jagen\n漢字 & <b>été</b> \n".encode()
MAX_TRIES = 100
_CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
}


@cache
def _engine() -> tuple[c2pa.Context, c2pa.Signer]:
    credentials = make_credentials()
    settings = credentials.settings | {
        "verify": {"verify_after_sign": False, "remote_manifest_fetch": False}
    }
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(b"es256", credentials.chain_pem, credentials.key_pem, None)
    )
    return c2pa.Context(c2pa.Settings.from_dict(settings)), signer


def sign_detached(layout: Layout) -> bytes:
    """Return a store whose data hash is that of a layout."""
    context, signer = _engine()
    binding = {
        "alg": "sha256",
        "hash": list(layout.digest),
        "name": "jumbf manifest",
        "exclusions": [{"start": start, "length": length} for start, length in layout.exclusions],
        "pad": [],
    }
    builder = c2pa.Builder(
        {
            "claim_generator_info": [{"name": "countermark-tests", "version": "1"}],
            "title": "text",
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [_CREATED]}, "created": True},
                {"label": "c2pa.hash.data", "data": binding, "created": True},
            ],
        },
        context,
    )
    builder.set_no_embed()
    return bytes(builder.sign(signer, "application/octet-stream", io.BytesIO(b"x"), io.BytesIO()))


def signed(
    carrier: TextWrapper | TextBlock | HtmlScript, text: bytes, *, repad: bool = True
) -> tuple[bytes, int]:
    """Return a text with credentials in it, and how many signatures that took."""
    source = io.BytesIO(text)
    layout = carrier.lay_out(source, 1700)
    for tries in range(1, MAX_TRIES + 1):
        store = sign_detached(layout)
        if repad:
            store = carrier.repad(layout, store)
        if carrier.fits(layout, store):
            sink = io.BytesIO()
            carrier.write(source, layout, store, sink)
            return sink.getvalue(), tries
        layout = carrier.refine(source, layout, store)
    raise AssertionError(f"no store fitted in {MAX_TRIES} tries")


@cache
def signed_text(text: bytes = TEXT) -> bytes:
    """Return plain text with credentials in it; the same for every caller."""
    return signed(TextWrapper(), text)[0]


def block(name: str) -> TextBlock:
    """Return the carrier for files of this name."""
    carrier = text_block_for(name)
    assert carrier is not None
    return carrier


def find(carrier: Carrier, data: bytes) -> Place | None:
    """Return what a carrier finds in bytes."""
    return carrier.find(io.BytesIO(data))


def outcome(carrier: Carrier, data: bytes) -> Outcome:
    """Return whether the hard binding holds; signature and trust are not looked at."""
    place = find(carrier, data)
    if place is None:
        return Outcome.NOTHING_TO_VERIFY
    checks = examine_binding(io.BytesIO(data), carrier, place, read_store(place.store))
    return outcome_of(checks)
