"""Every vector of specs/digest-cache-v1: what a cache says, or why it is not believed."""

import json
from pathlib import Path

import pytest

from countermark.signing.cache import DigestCache
from countermark.signing.errors import CacheError
from countermark.signing.walk import FileIdentity

VECTORS = sorted((Path(__file__).parents[2] / "specs/digest-cache-v1/vectors").glob("*.json"))


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 20


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_digest_cache_vector(path: Path, tmp_path: Path) -> None:
    vector = json.loads(path.read_text())
    file = tmp_path / "cache.json"
    file.write_text(vector["cache"], encoding="utf-8")
    key = bytes.fromhex(vector["key_hex"])
    if vector["expect"] != "ok":
        with pytest.raises(CacheError) as caught:
            DigestCache.load(file, key)
        assert caught.value.code == vector["expect"], vector["why"]
        return
    cache = DigestCache.load(file, key)
    for name, digests in vector["entries"].items():
        identity = FileIdentity(*map(int, name.split(":")))
        assert cache.lookup(identity) == digests
        assert cache.lookup(identity._replace(ctime_ns=identity.ctime_ns + 1)) == {}
