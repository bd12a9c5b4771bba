"""The digest cache: what it remembers, when it must not, and whom it believes."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from countermark.signing import cache as cache_module
from countermark.signing.cache import BLOCKS, MIN_CACHE_KEY_BYTES, DigestCache, read_all
from countermark.signing.digest import FileDigest, Job, Plan
from countermark.signing.errors import CacheError
from countermark.signing.trees import TreeBuilder
from countermark.signing.walk import FileIdentity, ModelFile

KEY = bytes(range(32))
NOW = 1_700_000_000_000_000_000
SETTLE = 2_000_000_000
OLD = FileIdentity(1, 2, 3, NOW - 10 * SETTLE, NOW - 10 * SETTLE)
SHA, OTHER = "ab" * 32, "cd" * 64


def clock() -> int:
    return NOW


def digest(identity: FileIdentity = OLD, algorithm: str = "sha256", value: str = SHA) -> FileDigest:
    file = ModelFile(path="w", location="/nowhere/w", identity=identity)
    return FileDigest(file=file, kind="other", algorithm=algorithm, digest=value)


def empty(path: Path) -> DigestCache:
    return DigestCache.load(path / "cache.json", KEY, clock_ns=clock)


def saved(path: Path, *digests: FileDigest) -> Path:
    cache = empty(path)
    for item in digests:
        cache.remember(item)
    cache.save()
    return path / "cache.json"


def test_a_file_that_is_not_there_is_an_empty_cache(tmp_path: Path) -> None:
    assert empty(tmp_path).lookup(OLD) == {}


def test_what_is_saved_is_known_again(tmp_path: Path) -> None:
    saved(tmp_path, digest(), digest(algorithm="blake2b", value=OTHER))
    assert empty(tmp_path).lookup(OLD) == {"sha256": SHA, "blake2b": OTHER}


@pytest.mark.parametrize("field", FileIdentity._fields)
def test_a_file_that_differs_in_anything_is_not_known(tmp_path: Path, field: str) -> None:
    saved(tmp_path, digest())
    changed = OLD._replace(**{field: getattr(OLD, field) + 1})
    assert empty(tmp_path).lookup(changed) == {}


@pytest.mark.parametrize("field", ["mtime_ns", "ctime_ns"])
def test_a_file_is_kept_two_seconds_after_its_last_change_and_not_before(
    tmp_path: Path, field: str
) -> None:
    settled = OLD._replace(**{field: NOW - SETTLE})
    for fresh in (NOW - SETTLE + 1, NOW, NOW + SETTLE):
        cache = empty(tmp_path)
        cache.remember(digest(OLD._replace(**{field: fresh})))
        assert cache.lookup(OLD._replace(**{field: fresh})) == {}
    cache = empty(tmp_path)
    cache.remember(digest(settled))
    assert cache.lookup(settled) == {"sha256": SHA}


def test_a_block_root_is_kept_beside_the_digest(tmp_path: Path) -> None:
    builder = TreeBuilder((3,))
    builder.update(b"abc")
    tree = builder.finish()
    cache = empty(tmp_path)
    cache.remember(digest(algorithm="", value="")._replace(tree=tree))
    assert cache.lookup(OLD) == {BLOCKS: tree.block_root.hex()}
    cache.remember(digest())
    assert cache.lookup(OLD) == {BLOCKS: tree.block_root.hex(), "sha256": SHA}


def test_nothing_is_written_if_nothing_is_new(tmp_path: Path) -> None:
    assert not saved(tmp_path).exists()
    file = saved(tmp_path, digest())
    file.chmod(0o400)
    before = file.stat().st_ino
    saved(tmp_path, digest())
    assert file.stat().st_ino == before


def test_the_file_is_its_owners_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = saved(tmp_path, digest())
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["cache.json"]


def test_a_key_has_32_bytes_at_least(tmp_path: Path) -> None:
    assert DigestCache(tmp_path / "c", bytes(MIN_CACHE_KEY_BYTES)).lookup(OLD) == {}
    with pytest.raises(CacheError) as caught:
        DigestCache(tmp_path / "c", bytes(MIN_CACHE_KEY_BYTES - 1))
    assert caught.value.code == "cache-unusable"


def test_another_key_or_one_changed_digit_makes_it_unusable(tmp_path: Path) -> None:
    file = saved(tmp_path, digest())
    with pytest.raises(CacheError, match="not written with this machine's cache key") as caught:
        DigestCache.load(file, bytes(32))
    assert "delete the file" in caught.value.hint
    text = file.read_text()
    file.write_text(text.replace(SHA, "ac" + SHA[2:]))
    with pytest.raises(CacheError):
        empty(tmp_path)
    file.write_text(text)
    assert empty(tmp_path).lookup(OLD) == {"sha256": SHA}


def test_a_key_that_no_mac_covers_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, digest())
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document, indent=2))
    assert empty(tmp_path).lookup(OLD) == {"sha256": SHA}
    file.write_text(json.dumps(document | {"more": 1}))
    with pytest.raises(CacheError, match="not a digest cache"):
        empty(tmp_path)


def test_the_size_limit_holds_at_n_and_refuses_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = saved(tmp_path, digest()).stat().st_size
    monkeypatch.setattr(cache_module, "MAX_CACHE_BYTES", size)
    assert empty(tmp_path).lookup(OLD) == {"sha256": SHA}
    monkeypatch.setattr(cache_module, "MAX_CACHE_BYTES", size - 1)
    with pytest.raises(CacheError, match="limit"):
        empty(tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary()
    | st.builds(
        lambda mac, entries: json.dumps(
            {"format": "countermark-digest-cache-v1", "mac": mac, "entries": entries}
        ).encode(),
        st.text() | st.none(),
        st.dictionaries(st.text(), st.dictionaries(st.text(), st.text() | st.floats())) | st.none(),
    )
)
@example(b"")
@example(b'{"format":"countermark-digest-cache-v1","mac":"","entries":{"a":1.5}}')
@example(b"[" * 100_000)
def test_any_bytes_give_our_error_and_never_an_entry(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "cache.json"
    file.write_bytes(data)
    with pytest.raises(CacheError):
        DigestCache.load(file, KEY)


@pytest.mark.parametrize("with_cache", [True, False])
def test_reading_reports_progress_and_lets_the_cache_learn(
    tmp_path: Path, *, with_cache: bool
) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    identity = FileIdentity.of(path.stat())
    cache = DigestCache(tmp_path / "c", KEY, clock_ns=lambda: identity.ctime_ns + SETTLE)
    job = Job(ModelFile(path="w", location=str(path), identity=identity), Plan("sha256"))
    seen: list[tuple[int, int]] = []
    digests = read_all(
        [job],
        mapped=False,
        cache=cache if with_cache else None,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (3, 3)
    expected = {"sha256": digests[0].digest} if with_cache else {}
    assert cache.lookup(identity) == expected
    assert read_all([job], mapped=False, cache=None, progress=None) == digests
