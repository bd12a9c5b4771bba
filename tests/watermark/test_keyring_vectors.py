"""Every vector of specs/watermark-keyring-v1 and -descriptor-v1: what is read, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785

import countermark
from countermark.watermark.descriptor import encode_descriptor, parse_descriptor
from countermark.watermark.keyring_json import encode_ring, parse_ring
from countermark.watermark.terms import terms_document

SPECS = Path(__file__).parents[2] / "specs"
RINGS = sorted((SPECS / "watermark-keyring-v1/vectors").glob("*.json"))
DESCRIPTORS = sorted((SPECS / "watermark-descriptor-v1/vectors").glob("*.json"))


def test_vectors_exist() -> None:
    assert len(RINGS) >= 60
    assert len(DESCRIPTORS) >= 25


@pytest.mark.parametrize("path", RINGS, ids=lambda p: p.stem)
def test_keyring_vector(path: Path) -> None:
    vector: dict[str, Any] = json.loads(path.read_text())
    if vector["expect"] != "ok":
        with pytest.raises(countermark.Error) as caught:
            parse_ring(vector["ring"].encode())
        assert caught.value.code == vector["expect"], vector["why"]
        return
    ring = parse_ring(vector["ring"].encode())
    for key, meant in zip(ring.keys, vector["keys"], strict=True):
        assert key.id == meant["id"]
        assert {p: s.hex() for p, s in key.secrets.items()} == meant["secrets_hex"]
        assert [str(i) for i in key.integers] == meant["integers"]
        assert meant.get("fields", {}).items() <= terms_document(key).items()
    assert parse_ring(encode_ring(ring)) == ring


@pytest.mark.parametrize("path", DESCRIPTORS, ids=lambda p: p.stem)
def test_descriptor_vector(path: Path) -> None:
    vector: dict[str, Any] = json.loads(path.read_text())
    data = vector["descriptor"].encode()
    if vector["expect"] != "ok":
        with pytest.raises(countermark.Error) as caught:
            parse_descriptor(data)
        assert caught.value.code == vector["expect"], vector["why"]
        return
    descriptor = parse_descriptor(data)
    assert encode_descriptor(descriptor) == data
    assert rfc8785.dumps(json.loads(data)) == data
