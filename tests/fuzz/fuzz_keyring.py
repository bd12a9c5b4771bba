"""Fuzz key rings and descriptors: any bytes are refused, or are read back as they were written.

Run `python tests/fuzz/fuzz_keyring.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys
from pathlib import Path

from countermark.watermark.descriptor import encode_descriptor, parse_descriptor
from countermark.watermark.errors import MalformedDescriptorError, MalformedRingError
from countermark.watermark.keyring_json import encode_ring, parse_ring

SPECS = Path(__file__).parents[2] / "specs"
FOLDERS = {"ring": "watermark-keyring-v1", "descriptor": "watermark-descriptor-v1"}


def seeds() -> list[bytes]:
    """Return every ring and descriptor of the vectors."""
    return [
        json.loads(path.read_text())[name].encode()
        for name, folder in FOLDERS.items()
        for path in sorted((SPECS / folder / "vectors").glob("*.json"))
    ]


def one_input(data: bytes) -> None:
    """Parse one input as both; raise if it does not come out as it went in."""
    try:
        ring = parse_ring(data)
        assert parse_ring(encode_ring(ring)) == ring
    except MalformedRingError:
        pass
    try:
        assert encode_descriptor(parse_descriptor(data)) == data
    except MalformedDescriptorError:
        pass


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
