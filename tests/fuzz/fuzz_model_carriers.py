"""Fuzz manifests in model files: any bytes give a place that holds together, or our own error.

Run `python tests/fuzz/fuzz_model_carriers.py` with atheris installed; libFuzzer options follow.
"""

import base64
import io
import json
import sys

from countermark.provenance.carrier import Carrier
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.onnx_carrier import OnnxStore
from countermark.provenance.safetensors_carrier import SafetensorsStore

CARRIERS: tuple[Carrier, ...] = (SafetensorsStore(), OnnxStore())
STORE = b"a store of some length"


def seeds() -> list[bytes]:
    """Return a file of each kind, without and with a manifest."""
    entry = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}
    found = []
    for metadata in ({}, {"a": "b"}, {"c2pa:manifest": "QUJD", "\u00e9": '"'}):
        header = json.dumps({"__metadata__": metadata, "t": entry}).encode()
        found.append(len(header).to_bytes(8, "little") + header + b"\1\2")
    graph = b"\x08\x0a\x3a\x03\x12\x01g"
    found += [graph, graph + b"\x72\x15\x0a\x0dc2pa:manifest\x12\x04QUJD"]
    return found


def one_input(data: bytes) -> None:
    """Find, and write, a manifest; raise if anything but our own error comes out."""
    for carrier in CARRIERS:
        source = io.BytesIO(data)
        try:
            place = carrier.find(source)
        except MalformedContentError:
            continue
        if place is not None:
            ((start, length),) = place.exclusions
            if base64.b64decode(data[start : start + length]) != place.store:
                raise AssertionError("the exclusion does not hold the store")
        try:
            layout = carrier.refine(source, carrier.lay_out(source, 1), STORE)
        except UnsupportedContentError:
            continue
        sink = io.BytesIO()
        carrier.write(source, layout, STORE, sink)
        if carrier.find(sink) != place_of(layout.exclusions):
            raise AssertionError("what was written is not found again")
        if carrier.digest(sink, layout.exclusions, "sha256") != layout.digest:
            raise AssertionError("what was written has another hash")


def place_of(exclusions: tuple[object, ...]) -> object:
    """Return the place of the one store that is written here."""
    return STORE, exclusions, ""


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
