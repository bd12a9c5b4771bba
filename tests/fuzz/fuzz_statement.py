"""Fuzz statements: any bytes give a manifest that can be signed again, or our own error.

Run `python tests/fuzz/fuzz_statement.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys
from pathlib import Path

from countermark.signing.errors import MalformedError
from countermark.signing.statement import Dialect, encode_statement
from countermark.signing.statement_reader import parse_statement

VECTORS = Path(__file__).parents[2] / "specs/oms-extension-v1/vectors"


def seeds() -> list[bytes]:
    """Return every statement of the vectors."""
    paths = sorted(VECTORS.glob("statement-*.json"))
    texts = [json.loads(path.read_text())["statement"] for path in paths]
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def one_input(data: bytes) -> None:
    """Parse one input; what we write of it must say the same of every file."""
    try:
        manifest = parse_statement(data)
    except MalformedError:
        return
    if any(file.path == "." for file in manifest.files):
        return  # A name that was never bound is not written by us.
    dialect = Dialect.PYTHON if manifest.single_file else Dialect.SPEC
    again = parse_statement(encode_statement(manifest, dialect=dialect))
    if sorted(again.files) != sorted(manifest.files):
        raise AssertionError("a statement changes when it is written again")


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
