"""Fuzz our key of a resource: any JSON value gives an extension, nothing, or our own error.

Run `python tests/fuzz/fuzz_extension.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys
from pathlib import Path

from countermark.signing import strict_json
from countermark.signing.errors import MalformedError
from countermark.signing.extension import encode_extension, parse_extension
from countermark.signing.manifest import FileEntry

VECTORS = Path(__file__).parents[2] / "specs/oms-extension-v1/vectors"


def seeds() -> list[bytes]:
    """Return every extension of the vectors."""
    paths = sorted(VECTORS.glob("extension-*.json"))
    return [json.dumps(json.loads(path.read_text())["extension"]).encode() for path in paths]


def one_input(data: bytes) -> None:
    """Parse one input; raise if anything but our own error comes out."""
    try:
        found = parse_extension(strict_json.loads(data, what="input", max_bytes=1 << 20))
    except MalformedError:
        return
    if found is None:
        return
    entry = FileEntry(
        path=found.file or "", digest="", size_bytes=found.size_bytes, trees=found.trees
    )
    made = encode_extension(entry, bind_name=found.file is not None, empty=found.empty)
    again = parse_extension(made)
    if again is None or again._replace(empty=()) != found._replace(empty=()):
        raise AssertionError("an extension changes when it is written again")
    if sorted(again.empty) != sorted(found.empty):
        raise AssertionError("empty files change when they are written again")


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
