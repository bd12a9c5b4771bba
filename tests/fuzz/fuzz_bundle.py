"""Fuzz bundles and bundle sets: any bytes give bundles that encode again, or our own error.

Run `python tests/fuzz/fuzz_bundle.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys
from pathlib import Path

from countermark.signing.bundle import encode_bundle, parse_bundle, parse_bundle_lines
from countermark.signing.errors import MalformedError

VECTORS = Path(__file__).parents[2] / "specs/oms-extension-v1/vectors"


def seeds() -> list[bytes]:
    """Return every bundle and bundle set of the vectors."""
    vectors = [json.loads(path.read_text()) for path in sorted(VECTORS.glob("*.json"))]
    texts = [vector.get("bundle") or vector.get("lines") for vector in vectors]
    return [text.encode() for text in texts if text is not None]


def one_input(data: bytes) -> None:
    """Parse one input both ways; raise if anything but our own error comes out."""
    try:
        bundles = parse_bundle_lines(data)
    except MalformedError:
        bundles = ()
    try:
        bundles += (parse_bundle(data),)
    except MalformedError:
        pass
    for bundle in bundles:
        if bundle.method != "sigstore" and parse_bundle(encode_bundle(bundle)) != bundle:
            raise AssertionError("a bundle changes when it is written again")


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
