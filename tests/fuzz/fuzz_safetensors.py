"""Fuzz the safetensors header reader: any bytes give a header or our own error.

Run `python tests/fuzz/fuzz_safetensors.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys
from pathlib import Path

from countermark.signing.errors import MalformedSafetensorsError
from countermark.signing.safetensors import read_header

VECTORS = Path(__file__).parents[2] / "specs/tree-v1/vectors"


def seeds() -> list[bytes]:
    """Return every header and file of the tree-v1 vectors as a whole file."""
    result = []
    for path in sorted([*VECTORS.glob("header-*.json"), *VECTORS.glob("file-*.json")]):
        vector = json.loads(path.read_text())
        if "file_hex" in vector:
            result.append(bytes.fromhex(vector["file_hex"]))
        else:
            header = vector["header"].encode()
            result.append(len(header).to_bytes(8, "little") + header + bytes(vector["data_bytes"]))
    return result


def one_input(data: bytes) -> None:
    """Read one input; raise if anything but our own error comes out."""
    try:
        header = read_header(lambda at, length: data[at : at + length], len(data))
    except MalformedSafetensorsError as e:
        if not e.reason:
            raise
        return
    covered = header.header_bytes + sum(t.end - t.begin for t in header.tensors)
    if covered != len(data):
        raise AssertionError(f"{covered} of {len(data)} bytes are covered")


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
