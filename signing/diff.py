"""Two checkpoints, or two signatures, held against each other: files and tensors.

Each side is a model on disk or the manifest in a bundle. Comparing says nothing about who
signed what; a bundle read here is not verified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from countermark.signing.bundle import MAX_BUNDLE_BYTES, parse_bundle
from countermark.signing.errors import MalformedError, MalformedStatementError
from countermark.signing.manifest import FileEntry, Manifest, Shard
from countermark.signing.places import default_signature, evidence_files
from countermark.signing.signed_trees import signed_tensors
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
from countermark.signing.statement_reader import parse_statement
from countermark.signing.trees import diff_tensors
from countermark.signing.verdict import TensorChange

__all__ = ["FileDiff", "ModelDiff", "diff_models", "load_side"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """One file that differs.

    Attributes:
        path: POSIX path, on the first side if it is there.
        change: `added`, `removed`, `changed`, `renamed`.
        other_path: The second side's name, for `renamed`.
        tensors: Which tensors differ; empty if unknown.
        tensors_total: Tensors of the first side's file; None if unknown.

    """

    path: str
    change: str
    other_path: str | None = None
    tensors: tuple[TensorChange, ...] = ()
    tensors_total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDiff:
    """What is different, and how many files are not."""

    files: tuple[FileDiff, ...]
    same: int


def load_side(path: Path, *, progress: Callable[[int, int], None] | None = None) -> Manifest:
    """Read one side: the manifest in a bundle, or a model's own.

    Raises:
        MalformedError: A bundle that cannot be read.
        ModelError: A model that cannot be digested.
        OSError: The disk refused.

    """
    if path.is_file() and _looks_like_bundle(path):
        with path.open("rb") as file:
            return parse_statement(parse_bundle(file.read(MAX_BUNDLE_BYTES + 1)).payload)
    exclude = evidence_files(default_signature(path)) if path.is_dir() else ()
    snapshot = take_snapshot(path, SnapshotOptions(), exclude=exclude, progress=progress)
    return snapshot.manifest


def diff_models(first: Manifest, second: Manifest) -> ModelDiff:
    """Compare two manifests, file by file and tensor by tensor.

    Raises:
        MalformedStatementError: The two were made with different digest algorithms, so
            nothing can be said.

    """
    if (first.hash_type, first.method, first.shard_bytes) != (
        second.hash_type,
        second.method,
        second.shard_bytes,
    ):
        raise MalformedStatementError(
            f"{first.hash_type} {first.method} cannot be compared with "
            f"{second.hash_type} {second.method}",
            hint="compare the model folders themselves",
        )
    before = {_path(first, entry): entry for entry in first.files}
    after = {_path(second, entry): entry for entry in second.files}
    diffs = [
        _changed(path, before[path], after[path])
        for path in before.keys() & after.keys()
        if _content(before[path]) != _content(after[path])
    ]
    same = len(before.keys() & after.keys()) - len(diffs)
    removed = {path: before[path] for path in before.keys() - after.keys()}
    added = {path: after[path] for path in after.keys() - before.keys()}
    twins: dict[object, list[str]] = {}
    for path in sorted(added, reverse=True):
        twins.setdefault(_content(added[path]), []).append(path)
    for path in sorted(removed):
        if same_content := twins.get(_content(removed[path])):
            twin = same_content.pop()
            del removed[path], added[twin]
            diffs.append(FileDiff(path=path, change="renamed", other_path=twin))
    diffs.extend(FileDiff(path=path, change="removed") for path in removed)
    diffs.extend(FileDiff(path=path, change="added") for path in added)
    return ModelDiff(files=tuple(sorted(diffs, key=lambda diff: diff.path)), same=same)


def _path(manifest: Manifest, entry: FileEntry) -> str:
    # Two single-file models are compared with each other, whatever they are called.
    return "." if manifest.single_file else entry.path


def _content(entry: FileEntry) -> tuple[str, tuple[Shard, ...]]:
    return entry.digest, entry.shards


def _changed(path: str, first: FileEntry, second: FileEntry) -> FileDiff:
    old, new = signed_tensors(first.trees), signed_tensors(second.trees)
    if old is None or new is None:
        return FileDiff(path=path, change="changed")
    return FileDiff(
        path=path,
        change="changed",
        tensors=diff_tensors(old, new),
        tensors_total=len(old),
    )


def _looks_like_bundle(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096).lstrip()
    if not head.startswith(b"{"):
        return False
    try:
        with path.open("rb") as file:
            parse_bundle(file.read(MAX_BUNDLE_BYTES + 1))
    except MalformedError:
        # A JSON file that is part of a model, unless it says it is a bundle.
        return b"dsseEnvelope" in head or b"mediaType" in head
    return True
