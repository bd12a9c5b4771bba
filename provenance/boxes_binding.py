"""Whether a hash of named parts (`c2pa.hash.boxes`) speaks for the whole file.

c2pa-rs 0.91.3 hashes the parts that the manifest lists, and does not notice what comes behind the
last of them: a file with anything appended still matches. C2PA 2.5 (15.12.3) wants every part
accounted for. So the end is looked at here, in PNG and JPEG; of other formats nothing is said.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from countermark.provenance.binding_chain import bound_manifest
from countermark.provenance.containers import jpeg_segments, png_chunks
from countermark.provenance.errors import MalformedStoreError
from countermark.provenance.manifest import Assertion, base_label
from countermark.provenance.store import ManifestStore
from countermark.provenance.window import Window
from countermark.signing.verdict import Check, Outcome, failed

__all__ = ["check_boxes"]

_LABEL = "c2pa.hash.boxes"
_EOI = 0xD9
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # With a length, but for EOI.
_MAX_MARKERS = 100_000
_BLOCK_BYTES = 4096


def check_boxes(source: BinaryIO, media_type: str, store: ManifestStore) -> Check | None:
    """Return what is wrong with a binding to named parts; None if nothing, or it is another kind.

    Args:
        source: The asset, seekable.
        media_type: What it is.
        store: What it carries.

    Raises:
        MalformedContentError: The asset cannot be read.

    """
    bound = bound_manifest(store)
    bindings = () if isinstance(bound, Check) else bound.manifest.hard_bindings
    if len(bindings) != 1 or base_label(bindings[0].label) != _LABEL:
        return None
    names = _names(bindings[0])
    window = Window(source)
    match media_type:
        case "image/png":
            chunks = list(png_chunks(window))
            last = chunks[-1]
            end = last.start + last.length + 4
            whole = names == ["PNGh", *(_png_name(one.name) for one in chunks)]
        case "image/jpeg":
            end = _jpeg_end(window)
            whole = names[-1:] == ["EOI"]
        case _:
            return failed(
                "binding-unsupported",
                Outcome.INCONCLUSIVE,
                "its hash is of named parts, and whether something was added behind the last of "
                "them is not checked in this format",
            )
    if whole and end == window.size:
        return None
    behind = window.size - end
    what = f"{behind} bytes lie behind its end" if behind > 0 else "not every part is listed"
    return failed(
        "content-added",
        Outcome.TAMPERED,
        f"the content has a part that was not signed: {what}",
        "ask whoever published it for the file as it was signed",
    )


def _names(binding: Assertion) -> list[str]:
    """Return the names of all parts, in order."""
    fields = binding.cbor
    boxes = fields.get("boxes") if isinstance(fields, dict) else None
    if not isinstance(boxes, list):
        raise MalformedStoreError("a hash of parts without parts", offset=binding.offset)
    found: list[str] = []
    for box in boxes:
        names = box.get("names") if isinstance(box, dict) else None
        if not isinstance(names, list):
            raise MalformedStoreError("a part without a name", offset=binding.offset)
        found += [name for name in names if isinstance(name, str)]
    return found


def _png_name(chunk: bytes) -> str:
    return "C2PA" if chunk == b"caBX" else chunk.decode("latin-1")


def _jpeg_end(window: Window) -> int:
    """Return where the first image ends: behind its EOI, or nowhere in the file without one."""
    at, markers = 2, 0
    for piece in jpeg_segments(window):
        at = piece.start + piece.length
    while at < window.size - 1 and markers < _MAX_MARKERS:
        block = window.some(at, _BLOCK_BYTES)
        found = _MARKER.search(block)
        if found is None:
            at += max(1, len(block) - 1)  # The last byte may begin a marker.
            continue
        markers += 1
        at += found.end()
        if found[0][1] == _EOI:
            return at
        at += window.number(at, 2)
    return window.size + 1  # No end: whatever was signed, this is not all of it.
