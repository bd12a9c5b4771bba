"""Every vector of specs/content-trust-v1: what is read, or refused, and who may sign."""

import json
from pathlib import Path
from typing import Any

import pytest

import countermark
from countermark.provenance.trust import check_leaf, dump_trust, load_trust
from countermark.signing.x509_loading import load_pem_certificates

VECTORS = sorted((Path(__file__).parents[2] / "specs/content-trust-v1/vectors").glob("*.json"))
LEAVES = [path for path in VECTORS if path.stem.startswith("leaf-")]
FILES = [path for path in VECTORS if path not in LEAVES]


def test_vectors_exist() -> None:
    assert len(FILES) >= 50
    assert len(LEAVES) >= 15


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_bundle_vector(path: Path) -> None:
    vector: dict[str, Any] = json.loads(path.read_text())
    data = vector["bundle"].encode()
    if vector["expect"] != "ok":
        with pytest.raises(countermark.Error) as caught:
            load_trust(data)
        assert caught.value.code == vector["expect"], vector["why"]
        return
    bundle = load_trust(data)
    assert load_trust(dump_trust(bundle)) == bundle


@pytest.mark.parametrize("path", LEAVES, ids=lambda p: p.stem)
def test_signer_vector(path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    vector: dict[str, Any] = json.loads(path.read_text())
    chain = [
        load_pem_certificates(text.encode())[0].public_bytes(Encoding.DER)
        for text in vector["chain"]
    ]
    checks = check_leaf(load_trust(vector["bundle"].encode()), chain)
    assert "+".join(check.code for check in checks) == vector["expect"], vector["why"]
