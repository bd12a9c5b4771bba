"""Fuzz the walk through media containers: any bytes have a store, or none, or are refused.

Whatever has a store must have passed the prefilter. Run `python tests/fuzz/fuzz_extract.py` with
atheris installed; libFuzzer options follow.
"""

import io
import sys
from pathlib import Path

from countermark.provenance.errors import MalformedContentError
from countermark.provenance.extract import find_store
from countermark.provenance.prefilter import may_carry


def seeds() -> list[bytes]:
    """Return a signed and an unsigned file of each container."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support.media import MEDIA, signed, unsigned

    return [data for name in MEDIA for data in (signed(name)[0], unsigned(name))]


def one_input(data: bytes) -> None:
    """Look for a store; raise if anything but our own error comes out, or the prefilter lied."""
    carries = may_carry(data)
    try:
        store = find_store(io.BytesIO(data))
    except MalformedContentError:
        return
    if store is not None and (len(store) > len(data) or (not carries and b"c2pa" in store)):
        raise AssertionError(f"a store of {len(store)} bytes, prefilter: {carries}")


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
