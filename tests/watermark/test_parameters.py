"""The table of schemes says what their detectors take, and what the specification says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from countermark.watermark.keymaking import add_key
from countermark.watermark.keyring import KeyRing
from countermark.watermark.keys import Labels
from countermark.watermark.parameters import SCHEMES, Choice, Scheme, Value
from countermark.watermark.schemes import detector_of

SPEC = Path(__file__).parents[2] / "specs/watermark-keyring-v1/README.md"
# It says who, not only whether: it has a decoder of its own.
DETECTED = [name for name in SCHEMES if name != "countermark-gumbel-payload-v1"]


def extremes(row: Scheme) -> Iterator[dict[str, Value]]:
    """Return parameters with one of them as far from the others as it may be."""
    yield {}
    for name, kind in row.parameters.items():
        for value in kind.options if isinstance(kind, Choice) else (kind.low, kind.high):
            yield {name: value}


def keys_of(row: Scheme) -> list[tuple[int, ...] | None]:
    kind = row.integers
    return [None] if kind is None else [None, (kind.low,), (kind.high,) * kind.most]


@pytest.mark.parametrize("scheme", DETECTED)
def test_a_detector_takes_whatever_the_table_allows(scheme: str) -> None:
    row = SCHEMES[scheme]
    for parameters in extremes(row):
        for integers in keys_of(row):
            _, key = add_key(
                KeyRing(),
                lambda count: bytes(range(7, 7 + count)),
                scheme=scheme,
                parameters=parameters,
                labels=Labels(),
                integers=integers,
            )
            assert detector_of(key, vocabulary=1000).scheme == scheme


def test_the_specification_has_a_row_for_every_scheme_with_its_parameters() -> None:
    text = SPEC.read_text(encoding="utf-8").partition("## 6. Schemes")[2]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*?) \| (.*?) \|$", text, re.M)
    assert [name for name, _, _ in rows] == list(SCHEMES)
    for name, parameters, secrets in rows:
        row = SCHEMES[name]
        if not parameters.startswith("the same"):
            limits = re.findall(r"`([a-z_]+)` (?:[\d.]|`)", parameters)
            assert sorted(limits) == sorted(row.parameters)
        assert re.findall(r"`([a-z-]+)`", secrets) == list(row.purposes)
