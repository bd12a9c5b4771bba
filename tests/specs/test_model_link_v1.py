"""Every vector of model-link-v1, run through our code."""

import hashlib
import json
from pathlib import Path

import pytest

from countermark.provenance.model_link import load_model_evidence
from countermark.provenance.named_information import named_sha256, sha256_name
from countermark.signing.keys import generate
from support.models import resign_statement

VECTORS = sorted((Path(__file__).parents[2] / "specs/model-link-v1/vectors").glob("*.json"))


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 8


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_model_link_v1_vector(path: Path, tmp_path: Path) -> None:
    vector = json.loads(path.read_text())
    if "address" in vector:
        digest = named_sha256(vector["address"])
        assert (digest.hex() if digest else "") == vector["sha256"], vector["why"]
        return
    bundle = resign_statement(vector["statement"], generate("ec-p256"))
    (tmp_path / "model.sig").write_bytes(bundle)
    evidence = load_model_evidence(tmp_path)
    assert evidence.asset.hex() == vector["asset_hex"], vector["why"]
    assert evidence.digest == vector["sha256"], vector["why"]
    assert hashlib.sha256(evidence.asset).hexdigest() == vector["sha256"]
    assert sha256_name(bytes.fromhex(evidence.digest)) == vector["name"]
