"""Fuzz the leaves file: any bytes give leaves that encode again, or our own error.

Run `python tests/fuzz/fuzz_leaves.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys
from pathlib import Path

from countermark.signing.errors import MalformedError
from countermark.signing.leaves import decode, encode

VECTORS = Path(__file__).parents[2] / "specs/tree-v1/vectors"


def seeds() -> list[bytes]:
    """Return every leaves file of the tree-v1 vectors."""
    paths = sorted(VECTORS.glob("leaves-*.json"))
    return [bytes.fromhex(json.loads(path.read_text())["leaves_hex"]) for path in paths]


def one_input(data: bytes) -> None:
    """Decode one input; raise if anything but our own error comes out."""
    try:
        leaves = decode(data)
    except MalformedError:
        return
    if decode(encode(leaves)) != leaves:
        raise AssertionError("leaves change when they are written again")


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
