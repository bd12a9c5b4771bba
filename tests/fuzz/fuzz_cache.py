"""Fuzz the digest cache: bytes that were not written with the key never give an entry.

Run `python tests/fuzz/fuzz_cache.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys
import tempfile
from pathlib import Path

from countermark.signing.cache import DigestCache
from countermark.signing.errors import CacheError

VECTORS = Path(__file__).parents[2] / "specs/digest-cache-v1/vectors"
KEY = b"a key that no vector was made with"
FILE = Path(tempfile.mkdtemp(prefix="fuzz_cache.")) / "cache.json"


def seeds() -> list[bytes]:
    """Return every cache file of the vectors."""
    paths = sorted(VECTORS.glob("*.json"))
    return [json.loads(path.read_text())["cache"].encode() for path in paths]


def one_input(data: bytes) -> None:
    """Load one input; raise if it is believed."""
    FILE.write_bytes(data)
    try:
        DigestCache.load(FILE, KEY)
    except CacheError:
        return
    raise AssertionError("a cache that nobody authenticated was believed")


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
