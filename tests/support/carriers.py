"""What a carrier makes of content, without a manifest that means anything."""

from __future__ import annotations

import io

from countermark.provenance.carrier import Carrier, Exclusion

__all__ = ["STORE", "found_by", "written_by"]

STORE = bytes(range(256)) * 3


def found_by(carrier: Carrier, data: bytes) -> tuple[bytes, tuple[Exclusion, ...]] | None:
    """Return the store that a carrier finds, and what a hash leaves out for it."""
    place = carrier.find(io.BytesIO(data))
    return None if place is None else (place.store, place.exclusions)


def written_by(carrier: Carrier, data: bytes, store: bytes = STORE) -> bytes:
    """Return the content with a store in it; its hash is what the carrier said it would be."""
    source, sink = io.BytesIO(data), io.BytesIO()
    layout = carrier.refine(source, carrier.lay_out(source, 1), store)
    assert carrier.fits(layout, store)
    carrier.write(source, layout, store, sink)
    assert layout.digest == carrier.digest(sink, layout.exclusions, "sha256")
    return sink.getvalue()
