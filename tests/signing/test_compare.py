"""Signed names against names on disk, and signed digests against found ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from countermark.signing.cache import DigestCache
from countermark.signing.compare import Pair, bytes_of, is_as_signed, match_files, plan_jobs
from countermark.signing.digest import FileDigest, Plan, digest_files
from countermark.signing.errors import MalformedStatementError
from countermark.signing.manifest import FileEntry, Manifest
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
from countermark.signing.walk import walk
from support.models import WEIGHTS, make_model


def manifest_of(model: Path, *, shard_bytes: int | None = None) -> Manifest:
    return take_snapshot(model, SnapshotOptions(shard_bytes=shard_bytes)).manifest


def names(pairs: tuple[Pair, ...]) -> list[str]:
    return [pair.entry.path for pair in pairs]


def listing(*paths: str, single_file: bool = False) -> Manifest:
    files = tuple(FileEntry(path=path, digest="0" * 64) for path in paths)
    return Manifest(
        name="m", method="files", hash_type="sha256", files=files, single_file=single_file
    )


def test_files_are_paired_by_name_and_the_rest_is_missing_or_extra(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"a": b"", "b": b""}, tensors=None)
    matching = match_files(listing("a", "c"), walk(model))
    assert names(matching.pairs) == ["a"]
    assert [entry.path for entry in matching.missing] == ["c"]
    assert [file.path for file in matching.extra] == ["b"]
    assert not matching.renamed


def test_names_that_differ_in_case_are_different_names(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"A": b""}, tensors=None)
    assert match_files(listing("a"), walk(model)).pairs == ()


def test_a_nameless_single_file_is_not_a_folder(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    with pytest.raises(MalformedStatementError) as caught:
        match_files(listing(".", single_file=True), walk(model))
    assert caught.value.code == "malformed-statement"


def test_a_nameless_single_file_matches_any_name_and_says_so(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    matching = match_files(listing(".", single_file=True), walk(model / WEIGHTS))
    assert (names(matching.pairs), matching.name_unbound, matching.renamed) == (["."], True, False)


def test_a_named_single_file_under_its_name_or_another(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    tree = walk(model / WEIGHTS)
    same = match_files(listing(WEIGHTS, single_file=True), tree)
    other = match_files(listing("other", single_file=True), tree)
    assert (same.renamed, same.name_unbound) == (False, False)
    assert (other.renamed, other.name_unbound) == (True, False)


def test_a_file_of_a_folder_is_found_by_its_name_among_the_signed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    matching = match_files(listing("a", WEIGHTS), walk(model / WEIGHTS))
    assert names(matching.pairs) == [WEIGHTS]
    assert [entry.path for entry in matching.missing] == ["a"]
    with pytest.raises(MalformedStatementError):
        match_files(listing("a", "b"), walk(model / WEIGHTS))


def pairs_of(model: Path, manifest: Manifest) -> tuple[Pair, ...]:
    return match_files(manifest, walk(model)).pairs


def test_a_signed_block_root_is_recomputed_alone_unless_thorough(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    manifest = manifest_of(model)
    for thorough, weights in ((False, Plan(None, None, True)), (True, Plan("sha256", None, True))):
        jobs, cached = plan_jobs(pairs_of(model, manifest), manifest, cache=None, thorough=thorough)
        plans = {job.file.path: job.plan for job in jobs}
        assert plans.pop(WEIGHTS) == weights
        assert set(plans.values()) == {Plan("sha256", None, False)}
        assert cached == []


def test_what_the_cache_knows_is_not_read_unless_something_else_was_signed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    cache = DigestCache(tmp_path / "cache", b"k" * 32, clock_ns=lambda: 2**62)
    manifest = take_snapshot(model, SnapshotOptions(), cache=cache).manifest
    pairs = pairs_of(model, manifest)
    jobs, cached = plan_jobs(pairs, manifest, cache=cache, thorough=True)
    assert (jobs, len(cached)) == ([], 4)
    other = [pair._replace(entry=pair.entry._replace(digest="0" * 64)) for pair in pairs]
    jobs, cached = plan_jobs(other, manifest, cache=cache, thorough=True)
    assert (len(jobs), cached) == (4, [])
    jobs, _ = plan_jobs(other, manifest, cache=cache, thorough=False)
    assert len(jobs) == 3  # The signed block root of the weights is still the one known.


def found_of(model: Path, manifest: Manifest, path: str) -> tuple[FileEntry, FileDigest]:
    jobs, _ = plan_jobs(pairs_of(model, manifest), manifest, cache=None, thorough=True)
    (job,) = [job for job in jobs if job.file.path == path]
    (entry,) = [entry for entry in manifest.files if entry.path == path]
    return entry, digest_files([job])[0]


@pytest.mark.parametrize("shard_bytes", [None, 10])
def test_every_planned_digest_must_agree(tmp_path: Path, shard_bytes: int | None) -> None:
    model = make_model(tmp_path / "m")
    manifest = manifest_of(model, shard_bytes=shard_bytes)
    entry, found = found_of(model, manifest, WEIGHTS)
    assert entry.trees is not None
    assert is_as_signed(entry, found)
    assert not is_as_signed(entry._replace(digest="0" * 64), found)
    assert not is_as_signed(entry._replace(shards=entry.shards[1:], digest="1"), found)
    wrong_root = entry.trees._replace(block_root="0" * 64)
    assert not is_as_signed(entry._replace(trees=wrong_root), found)


def test_a_digest_that_compares_nothing_proves_nothing(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    entry, found = found_of(model, manifest_of(model), WEIGHTS)
    assert not is_as_signed(entry, found._replace(algorithm="", digest="", tree=None))
    assert not is_as_signed(entry._replace(trees=None), found._replace(algorithm="", digest=""))


@pytest.mark.parametrize("lie", ["tensors", "length"])
def test_a_signer_who_contradicts_his_own_digests_is_malformed(tmp_path: Path, lie: str) -> None:
    model = make_model(tmp_path / "m")
    entry, found = found_of(model, manifest_of(model), WEIGHTS)
    assert entry.trees is not None
    if lie == "tensors":
        entry = entry._replace(trees=entry.trees._replace(tensor_root="0" * 64))
    else:
        entry = entry._replace(size_bytes=found.file.identity.size_bytes + 1)
    with pytest.raises(MalformedStatementError) as caught:
        is_as_signed(entry, found)
    assert caught.value.code == "malformed-statement"


def test_bytes_are_summed_over_files(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"a": b"123", "b": b"4"}, tensors=None)
    assert bytes_of(walk(model).files) == 4
    assert bytes_of([]) == 0
