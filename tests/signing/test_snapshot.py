"""Models turned into manifests: what is recorded, what is noted, what is not read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from countermark.signing import snapshot as snapshot_module
from countermark.signing.cache import DigestCache
from countermark.signing.errors import EmptyModelError, SymlinkError
from countermark.signing.places import evidence_files
from countermark.signing.snapshot import (
    Previous,
    Snapshot,
    SnapshotOptions,
    has_tree,
    take_snapshot,
)
from countermark.signing.verdict import Status
from countermark.signing.walk import GIT_NAMES
from support.models import WEIGHTS, make_hub_snapshot, make_local_dir, make_model
from support.reads import record_reads

MIB = 1 << 20
PLAIN = SnapshotOptions()


def codes(snapshot: Snapshot) -> list[str]:
    return [note.code for note in snapshot.notes]


def test_a_snapshot_lists_every_file_with_its_digest_and_length(tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny")
    manifest = take_snapshot(model, PLAIN).manifest
    assert (manifest.name, manifest.method, manifest.hash_type) == ("tiny", "files", "sha256")
    assert not manifest.single_file
    assert {entry.path: (entry.digest, entry.size_bytes) for entry in manifest.files} == {
        str(path.relative_to(model)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
        )
        for path in model.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
def test_a_snapshot_takes_the_digest_it_is_told_to(tmp_path: Path, algorithm: str) -> None:
    model = make_model(tmp_path / "m")
    manifest = take_snapshot(model, SnapshotOptions(algorithm=algorithm)).manifest
    assert manifest.hash_type == algorithm
    assert {len(entry.digest) for entry in manifest.files} == {
        128 if algorithm == "blake2b" else 64
    }


def test_shards_are_recorded_instead_of_digests(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"a": b"x" * 25, "empty": b""}, tensors=None)
    manifest = take_snapshot(model, SnapshotOptions(shard_bytes=10)).manifest
    assert (manifest.method, manifest.shard_bytes) == ("shards", 10)
    a, empty = manifest.files
    assert [(shard.start, shard.end) for shard in a.shards] == [(0, 10), (10, 20), (20, 25)]
    assert (a.digest, empty.digest, empty.shards, empty.size_bytes) == ("", "", (), 0)


def test_the_names_of_git_and_of_the_evidence_are_recorded_as_ignored(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    exclude = evidence_files(model / "model.sig")
    recorded = take_snapshot(model, PLAIN, exclude=exclude).manifest.ignore_paths
    evidence = {"model.c2pa", "model.sig", "model.sigs.jsonl", "model.sig.leaves"}
    assert recorded == tuple(sorted({*GIT_NAMES, *evidence}))


def test_evidence_outside_the_model_is_not_recorded(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    exclude = evidence_files(tmp_path / "model.sig")
    options = SnapshotOptions(skip_git=False)
    assert take_snapshot(model, options, exclude=exclude).manifest.ignore_paths == ()


def test_hub_metadata_is_recorded_only_where_there_is_some(tmp_path: Path) -> None:
    with_it = take_snapshot(make_local_dir(tmp_path / "a"), PLAIN).manifest
    without = take_snapshot(make_model(tmp_path / "b"), PLAIN).manifest
    assert ".cache/huggingface" in with_it.ignore_paths
    assert ".cache/huggingface" not in without.ignore_paths
    assert with_it.files == without.files


def test_gits_files_are_signed_if_they_are_not_to_be_skipped(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {".gitattributes": b"* -text"}, tensors=None)
    manifest = take_snapshot(model, SnapshotOptions(skip_git=False)).manifest
    assert [entry.path for entry in manifest.files] == [".gitattributes"]
    with pytest.raises(EmptyModelError):
        take_snapshot(model, PLAIN)


def test_ignored_files_are_left_out_and_recorded(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    options = SnapshotOptions(ignore_paths=("tokenizer",), skip_git=False)
    manifest = take_snapshot(model, options).manifest
    assert manifest.ignore_paths == ("tokenizer",)
    assert not any(entry.path.startswith("tokenizer") for entry in manifest.files)


def test_a_folder_without_files_cannot_be_signed(tmp_path: Path) -> None:
    (tmp_path / "m/empty").mkdir(parents=True)
    with pytest.raises(EmptyModelError) as caught:
        take_snapshot(tmp_path / "m", PLAIN)
    assert caught.value.code == "empty-model"


def test_links_are_followed_only_if_allowed_and_that_is_recorded(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    (model / "link").symlink_to("config.json")
    with pytest.raises(SymlinkError):
        take_snapshot(model, PLAIN)
    manifest = take_snapshot(model, SnapshotOptions(allow_symlinks=True)).manifest
    assert manifest.allow_symlinks
    assert "link" in [entry.path for entry in manifest.files]


def test_a_hub_snapshot_has_the_manifest_of_the_plain_folder(tmp_path: Path) -> None:
    plain = take_snapshot(make_model(tmp_path / "m"), PLAIN).manifest
    cached = take_snapshot(make_hub_snapshot(tmp_path / "hub"), PLAIN).manifest
    assert cached.files == plain.files
    assert not cached.allow_symlinks


def test_a_single_file_is_a_model_of_its_own(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    manifest = take_snapshot(model / WEIGHTS, PLAIN, exclude=[model / "model.sig"]).manifest
    assert (manifest.single_file, manifest.ignore_paths) == (True, ())
    assert [entry.path for entry in manifest.files] == [WEIGHTS]


def test_trees_are_made_of_safetensors_and_of_large_files_only(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"big.gguf": bytes(MIB + 1), "small.gguf": bytes(MIB)})
    trees = {entry.path: entry.trees for entry in take_snapshot(model, PLAIN).manifest.files}
    assert trees["small.gguf"] is None
    assert trees["big.gguf"] is not None
    assert trees["big.gguf"].tensor_root is None
    weights = trees[WEIGHTS]
    assert weights is not None
    assert weights.tensors is not None
    assert [tensor.name for tensor in weights.tensors] == [
        "head.bias",
        "layer.0.weight",
        "layer.1.weight",
    ]
    assert not has_tree("w.bin", MIB)
    assert has_tree("w.bin", MIB + 1)
    assert has_tree("w.safetensors", 0)


def test_no_trees_are_made_if_nobody_wants_them(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"big.gguf": bytes(MIB + 1)})
    snapshot = take_snapshot(model, SnapshotOptions(trees=False))
    assert {entry.trees for entry in snapshot.manifest.files} == {None}
    assert snapshot.leaves == {}


def test_few_leaves_travel_inside_and_many_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "m", {"big.gguf": bytes(2 * MIB)}, tensors=None)
    inside = take_snapshot(model, PLAIN)
    (entry,) = inside.manifest.files
    assert entry.trees is not None
    assert entry.trees.blocks is not None
    assert (len(entry.trees.blocks), entry.trees.segments) == (64, (2 * MIB,))
    assert inside.leaves == {}
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 2)  # Just enough.
    assert take_snapshot(model, PLAIN).leaves == {}
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 1)
    beside = take_snapshot(model, PLAIN)
    (other,) = beside.manifest.files
    assert other.trees is not None
    assert (other.trees.blocks, other.trees.segments) == (None, ())
    assert other.trees.block_root == entry.trees.block_root
    assert beside.leaves["big.gguf"].block_digests == entry.trees.blocks
    assert beside.leaves["big.gguf"].segments == entry.trees.segments


def test_too_many_tensors_do_not_travel_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "m", {})
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_TENSORS", 3)
    (entry,) = take_snapshot(model, PLAIN).manifest.files
    assert entry.trees is not None
    assert entry.trees.tensors is not None
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_TENSORS", 2)
    (other,) = take_snapshot(model, PLAIN).manifest.files
    assert other.trees is not None
    assert (other.trees.tensors, other.trees.tensor_root) == (None, entry.trees.tensor_root)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.pt", b"anything"),
        ("pytorch_model.bin", b""),
        ("weights.dat", b"\x80\x02}q\x00."),
        ("config.json", b"\x80\x05K\x01."),
        ("renamed.safetensors", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl"),
    ],
)
def test_a_pickle_is_noted_whatever_it_is_called(tmp_path: Path, name: str, data: bytes) -> None:
    model = make_model(tmp_path / "m", {name: data, "a": b"x"}, tensors=None)
    notes = [note for note in take_snapshot(model, PLAIN).notes if note.code == "pickle-signed"]
    assert len(notes) == 1
    assert notes[0].status is Status.WARNED
    assert name in notes[0].sentence


def test_a_model_of_plain_files_has_no_notes(tmp_path: Path) -> None:
    assert take_snapshot(make_model(tmp_path / "m"), PLAIN).notes == ()


def test_weights_that_the_signer_leaves_out_are_noted(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    assert codes(take_snapshot(model, SnapshotOptions(ignore_paths=(WEIGHTS,)))) == [
        "weights-not-covered"
    ]
    assert codes(take_snapshot(model, SnapshotOptions(ignore_paths=("config.json",)))) == []


def test_a_malformed_safetensors_file_is_noted_and_signed_all_the_same(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"bad.safetensors": b"\x00" * 20}, tensors=None)
    snapshot = take_snapshot(model, PLAIN)
    assert codes(snapshot) == ["malformed-safetensors"]
    assert len(snapshot.manifest.files) == 1


def test_names_in_notes_are_escaped(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"\x1b[2J.pt": b"x"}, tensors=None)
    (note,) = take_snapshot(model, PLAIN).notes
    assert "\x1b" not in note.sentence


def test_progress_counts_bytes_and_ends_at_the_total(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    seen: list[tuple[int, int]] = []
    take_snapshot(model, PLAIN, progress=lambda done, total: seen.append((done, total)))
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    assert seen[-1] == (size, size)
    assert {total for _, total in seen} == {size}


# What an earlier snapshot and its cache spare.


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file that is read, by name."""
    return record_reads(monkeypatch)


def patient_cache(folder: Path) -> DigestCache:
    """A cache whose clock is far ahead, so that no file is too fresh to be remembered."""
    return DigestCache(folder / "cache", b"k" * 32, clock_ns=lambda: 2**62)


def again(
    model: Path, options: SnapshotOptions = PLAIN, *, first: SnapshotOptions = PLAIN
) -> Callable[[], Snapshot]:
    """Return a function that takes a second snapshot on the ground of one taken now."""
    cache = patient_cache(model.parent)
    before = take_snapshot(model, first, cache=cache)
    previous = Previous(manifest=before.manifest, leaves=before.leaves, cache=cache)
    return lambda: take_snapshot(model, options, cache=cache, previous=previous)


def test_nothing_is_read_again_if_nothing_changed(tmp_path: Path, opened: list[str]) -> None:
    model = make_model(tmp_path / "m")
    second = again(model)
    opened.clear()
    snapshot = second()
    assert (opened, snapshot.files_reused) == ([], 4)
    assert snapshot.manifest == take_snapshot(model, PLAIN).manifest


def test_only_the_edited_readme_is_read_again(tmp_path: Path, opened: list[str]) -> None:
    model = make_model(tmp_path / "m")
    second = again(model)
    (model / "README.md").write_text("# edited\n")
    opened.clear()
    snapshot = second()
    assert (opened, snapshot.files_reused) == (["README.md"], 3)
    assert snapshot.manifest == take_snapshot(model, PLAIN).manifest


def test_a_file_that_was_rewritten_with_its_old_times_is_read_again(
    tmp_path: Path, opened: list[str]
) -> None:
    model = make_model(tmp_path / "m")
    second = again(model)
    status = (model / "config.json").stat()
    (model / "config.json").write_bytes(bytes(status.st_size))
    os.utime(model / "config.json", ns=(status.st_atime_ns, status.st_mtime_ns))
    opened.clear()
    snapshot = second()
    assert opened == ["config.json"]
    assert snapshot.manifest == take_snapshot(model, PLAIN).manifest


def test_new_and_renamed_files_are_read(tmp_path: Path, opened: list[str]) -> None:
    model = make_model(tmp_path / "m")
    second = again(model)
    (model / "config.json").rename(model / "renamed.json")
    (model / "new").write_bytes(b"new")
    opened.clear()
    assert second().files_reused == 3
    assert sorted(opened) == ["new", "renamed.json"]


@pytest.mark.parametrize(
    "options",
    [
        SnapshotOptions(algorithm="blake3"),
        SnapshotOptions(shard_bytes=MIB),
    ],
)
def test_nothing_is_reused_for_another_kind_of_digest(
    tmp_path: Path, options: SnapshotOptions
) -> None:
    model = make_model(tmp_path / "m")
    assert again(model, options)().manifest == take_snapshot(model, options).manifest
    assert again(model, options)().files_reused == 0


def test_shards_are_never_reused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    shards = SnapshotOptions(shard_bytes=MIB)
    assert again(model, shards, first=shards)().files_reused == 0


@pytest.mark.parametrize("before", [False, True])
def test_files_are_read_again_if_trees_are_wanted_now_or_no_more(
    tmp_path: Path, opened: list[str], before: bool
) -> None:
    model = make_model(tmp_path / "m")
    now = SnapshotOptions(trees=not before)
    second = again(model, now, first=SnapshotOptions(trees=before))
    opened.clear()
    snapshot = second()
    assert opened == [WEIGHTS]
    assert snapshot.manifest == take_snapshot(model, now).manifest


def test_leaves_beside_are_reused_with_their_file(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 1)
    model = make_model(tmp_path / "m", {"big.gguf": bytes(2 * MIB), "README.md": b"x"})
    second = again(model)
    (model / "README.md").write_bytes(b"y")
    opened.clear()
    snapshot = second()
    assert opened == ["README.md"]
    fresh = take_snapshot(model, PLAIN)
    assert snapshot.files_reused == 2
    assert (snapshot.manifest, snapshot.leaves) == (fresh.manifest, fresh.leaves)


def test_a_file_whose_leaves_are_lost_is_read_again(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 1)
    model = make_model(
        tmp_path / "m", {"big.gguf": bytes(2 * MIB), "README.md": b"x"}, tensors=None
    )
    cache = patient_cache(tmp_path)
    before = take_snapshot(model, PLAIN, cache=cache)
    previous = Previous(manifest=before.manifest, leaves={}, cache=cache)
    opened.clear()
    snapshot = take_snapshot(model, PLAIN, cache=cache, previous=previous)
    assert opened == ["big.gguf"]
    assert snapshot.leaves == before.leaves
