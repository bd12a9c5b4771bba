"""Fuzz the CBOR decoder: any bytes give a value or our own error.

Run `python tests/fuzz/fuzz_cbor.py` with atheris installed; libFuzzer options follow.
"""

import sys

from countermark.provenance.cbor import Tagged, Value, decode
from countermark.provenance.errors import MalformedStoreError

SEEDS = (
    "d28443a10126a1044131f641aa",
    "a26a6578636c7573696f6e7381a26573746172740366",
    "bf61610161629f0203ffff",
    "7f657374726561646d696e67ff",
    "fb3ff199999999999a",
)


def items(value: Value) -> int:
    """Return how many items a value has."""
    if isinstance(value, list):
        return 1 + sum(map(items, value))
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(items, value.values()))
    if isinstance(value, Tagged):
        return 1 + items(value.value)
    return 1


def one_input(data: bytes) -> None:
    """Decode one input; raise if anything but our own error comes out."""
    try:
        value = decode(data)
    except MalformedStoreError as e:
        if e.offset is None or not 0 <= e.offset <= len(data):
            raise
        return
    if items(value) > len(data):
        raise AssertionError(f"{items(value)} items in {len(data)} bytes")


def main() -> None:
    """Run the fuzzer until it finds something."""
    import atheris

    for seed in SEEDS:
        one_input(bytes.fromhex(seed))
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
