"""From the keys of a ring to what tries them."""

from collections.abc import Sequence

import pytest

from countermark.watermark.keymaking import add_key
from countermark.watermark.keyring import KeyEntry, KeyRing
from countermark.watermark.keys import Labels
from countermark.watermark.kgw import DEFAULT_TABLE_BYTES, KgwDetector
from countermark.watermark.schemes import detector_of, keyed_detectors

VOCABULARY = 30_000
LEFT, SELF = "transformers-kgw-lefthash", "transformers-kgw-selfhash"


def ring_of(schemes: Sequence[str]) -> tuple[KeyEntry, ...]:
    ring = KeyRing()
    for number, scheme in enumerate(schemes):
        integers = None if scheme.startswith("countermark") else (1000 + number,)
        ring, _ = add_key(
            ring,
            lambda count, first=number: bytes(range(first, first + count)),  # type: ignore[misc]
            scheme=scheme,
            parameters={},
            labels=Labels(),
            integers=integers,
        )
    return ring.keys


def tables_of(schemes: Sequence[str]) -> list[int]:
    tried = keyed_detectors(ring_of(schemes), vocabulary=VOCABULARY)
    return [one.detector.table_bytes for one in tried if isinstance(one.detector, KgwDetector)]


@pytest.mark.parametrize("count", [2, 7, 40])
def test_green_lists_of_all_keys_of_a_ring_share_the_memory_of_one(count: int) -> None:
    schemes = [LEFT if number % 2 else SELF for number in range(count)]
    tables = tables_of([*schemes, "countermark-gumbel-v1"])
    assert tables == [DEFAULT_TABLE_BYTES // count] * count
    assert sum(tables) <= DEFAULT_TABLE_BYTES


def test_green_lists_of_the_only_such_key_have_the_memory_for_themselves() -> None:
    assert tables_of([LEFT, "countermark-gumbel-v1"]) == [DEFAULT_TABLE_BYTES]
    (key,) = ring_of([LEFT])
    alone = detector_of(key, vocabulary=VOCABULARY)
    assert isinstance(alone, KgwDetector)
    assert alone.table_bytes == DEFAULT_TABLE_BYTES


def test_a_ring_without_keys_gives_no_detectors() -> None:
    assert keyed_detectors([], vocabulary=VOCABULARY) == []
