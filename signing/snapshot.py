"""A model as it lies on disk, turned into the manifest that somebody may sign.

The one place where `walk` and `digest` meet `manifest`; signing and comparing two
checkpoints both start here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from countermark.signing.cache import DigestCache, read_all
from countermark.signing.digest import FileDigest, Job, Plan
from countermark.signing.errors import EmptyModelError
from countermark.signing.filekinds import is_weights, kind_of_name
from countermark.signing.leaves import FileLeaves
from countermark.signing.manifest import FileEntry, Manifest, TreeRoots
from countermark.signing.names import printable
from countermark.signing.trees import BLOCK_BYTES, FileTree
from countermark.signing.verdict import Check, warned
from countermark.signing.walk import GIT_NAMES, HUB_METADATA, Layout, ModelFile, ModelTree, walk

__all__ = ["Previous", "Snapshot", "SnapshotOptions", "has_tree", "take_snapshot"]

# Above these, leaves go to the leaves file: the bundle stays small enough to be logged.
MAX_INLINE_BLOCKS = 1024
MAX_INLINE_TENSORS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotOptions:
    """How a model is turned into a manifest.

    Attributes:
        algorithm: `sha256`, `blake2b` or `blake3`.
        shard_bytes: Digest ranges of this many bytes instead of whole files (OMS shards).
        trees: Also compute block and tensor trees.
        ignore_paths: POSIX paths below the root to leave out, and to say so.
        allow_symlinks: Follow links to files inside the model.
        skip_git: Leave out git's own files at the top, as OMS does.
        mapped: Map files under a read lease instead of copying them (see `mapping`).

    """

    algorithm: str = "sha256"
    shard_bytes: int | None = None
    trees: bool = True
    ignore_paths: tuple[str, ...] = ()
    allow_symlinks: bool = False
    skip_git: bool = True
    mapped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was found.

    Attributes:
        manifest: Ready to be signed.
        leaves: Block digests by path, where they are too many to travel inside.
        tree: The enumeration the manifest was made from.
        notes: What the signer should know: pickles, ignored weights, odd headers.
        files_reused: How many files were not read, as the previous signature knew them.

    """

    manifest: Manifest
    leaves: Mapping[str, FileLeaves]
    tree: ModelTree
    notes: tuple[Check, ...]
    files_reused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """An earlier manifest, for files that did not change since.

    Attributes:
        manifest: Out of a signature that was verified.
        leaves: Its block digests by path, checked against its roots.
        cache: Knows which files are still the ones that were digested then.

    """

    manifest: Manifest
    leaves: Mapping[str, FileLeaves]
    cache: DigestCache


def take_snapshot(
    model: Path,
    options: SnapshotOptions,
    *,
    exclude: Sequence[Path] = (),
    cache: DigestCache | None = None,
    previous: Previous | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Snapshot:
    """Walk and digest a model.

    Args:
        model: Folder, file or Hub snapshot.
        options: What to leave out and which digests to take.
        exclude: Evidence files, which are not part of the model.
        cache: Learns what is read.
        previous: Files that it knows and its cache has seen are not read again.
        progress: Called with (bytes read, bytes to read).

    Raises:
        ModelError: See `walk` and `digest_files`.
        EmptyModelError: No file is left.

    """
    tree = walk(
        model,
        ignored=[(path, "ignored-by-signer") for path in options.ignore_paths],
        allow_symlinks=options.allow_symlinks,
        exclude=exclude,
        skip_git=options.skip_git,
    )
    if not tree.files:
        raise EmptyModelError(f"{printable(str(model))}: no file to sign")
    entries, leaves = _reuse(tree.files, options, previous) if previous else ({}, {})
    reused = len(entries)
    jobs = [Job(file, _plan(file, options)) for file in tree.files if file.path not in entries]
    digests = read_all(jobs, cache=cache, progress=progress, mapped=options.mapped)
    inline = _Inline.of(tree.files, digests)
    for digest in digests:
        entries[digest.file.path] = _entry(digest, inline)
        if digest.tree is not None and not inline.blocks:
            leaves[digest.file.path] = FileLeaves(
                segments=digest.tree.segments, block_digests=digest.tree.block_digests
            )
    manifest = Manifest(
        name=tree.name,
        method="shards" if options.shard_bytes else "files",
        hash_type=options.algorithm,
        files=tuple(entries[file.path] for file in tree.files),
        shard_bytes=options.shard_bytes,
        allow_symlinks=options.allow_symlinks,
        ignore_paths=_recorded_ignores(tree, options, exclude),
        single_file=tree.layout is Layout.FILE,
    )
    return Snapshot(
        manifest=manifest,
        leaves=leaves,
        tree=tree,
        notes=tuple(_notes(tree, digests)),
        files_reused=reused,
    )


def has_tree(path: str, size_bytes: int) -> bool:
    """Return whether a file gets trees (specs/tree-v1 section 2)."""
    return path.endswith(".safetensors") or size_bytes > BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class _Inline:
    """Which leaves are few enough to travel inside the bundle."""

    blocks: bool
    tensors: bool

    @classmethod
    def of(cls, files: Sequence[ModelFile], digests: Sequence[FileDigest]) -> _Inline:
        bytes_total = sum(file.identity.size_bytes for file in files)
        tensors = sum(len(digest.tree.tensors) for digest in digests if digest.tree)
        return cls(bytes_total <= MAX_INLINE_BLOCKS * BLOCK_BYTES, tensors <= MAX_INLINE_TENSORS)


def _plan(file: ModelFile, options: SnapshotOptions) -> Plan:
    trees = options.trees and has_tree(file.path, file.identity.size_bytes)
    return Plan(options.algorithm, options.shard_bytes, trees)


def _entry(digest: FileDigest, inline: _Inline) -> FileEntry:
    return FileEntry(
        path=digest.file.path,
        digest=digest.digest,
        shards=digest.shards,
        size_bytes=digest.file.identity.size_bytes,
        trees=_tree_roots(digest.tree, inline) if digest.tree is not None else None,
    )


def _tree_roots(tree: FileTree, inline: _Inline) -> TreeRoots:
    return TreeRoots(
        block_root=tree.block_root.hex(),
        blocks=tree.block_digests if inline.blocks else None,
        segments=tree.segments if inline.blocks else (),
        tensor_root=tree.tensor_root.hex() if tree.tensor_root is not None else None,
        tensors=tree.tensors if tree.tensor_root is not None and inline.tensors else None,
    )


def _reuse(
    files: Sequence[ModelFile], options: SnapshotOptions, previous: Previous
) -> tuple[dict[str, FileEntry], dict[str, FileLeaves]]:
    """Return the entries of files that the cache saw with the very digest then signed."""
    signed = {file.path: file for file in previous.manifest.files}
    entries: dict[str, FileEntry] = {}
    leaves: dict[str, FileLeaves] = {}
    comparable = (
        previous.manifest.hash_type == options.algorithm
        and previous.manifest.method == "files"
        and not options.shard_bytes
    )
    for file in files if comparable else ():
        entry = signed.get(file.path)
        known = previous.cache.lookup(file.identity)
        if entry is None or known.get(options.algorithm) != entry.digest:
            continue
        if _plan(file, options).trees != (entry.trees is not None):
            continue
        if entry.trees is not None and entry.trees.blocks is None:
            if file.path not in previous.leaves:
                continue
            leaves[file.path] = previous.leaves[file.path]
        entries[file.path] = entry._replace(size_bytes=file.identity.size_bytes)
    return entries, leaves


def _recorded_ignores(
    tree: ModelTree, options: SnapshotOptions, exclude: Sequence[Path]
) -> tuple[str, ...]:
    """Return what a verifier must know was left out, as POSIX paths below the root."""
    paths = set(options.ignore_paths)
    if tree.layout is not Layout.FILE:
        if options.skip_git:
            paths |= GIT_NAMES
        if any(item.reason == "hub-metadata" for item in tree.skipped):
            paths.add(HUB_METADATA)
        for path in exclude:
            below = os.path.relpath(
                os.path.join(os.path.realpath(path.parent), path.name), tree.root
            )
            if not below.startswith(".."):
                paths.add(Path(below).as_posix())
    return tuple(sorted(paths))


def _notes(tree: ModelTree, digests: Sequence[FileDigest]) -> Iterator[Check]:
    """Yield what a signer should know before the world relies on the signature."""
    for item in tree.skipped:
        kind = kind_of_name(item.path.rstrip("/"))
        if item.reason == "ignored-by-signer" and is_weights(kind):
            yield warned(
                "weights-not-covered",
                f"{printable(item.path)} holds weights and is left out of the signature",
                "verifiers will refuse the model; sign it too, or move it out of the folder",
            )
    for digest in digests:
        name = printable(digest.file.path)
        if digest.malformed:
            yield warned("malformed-safetensors", f"{name}: {digest.malformed}")
        if digest.kind == "pickle":
            yield warned(
                "pickle-signed",
                f"{name} is a pickle: loading it can run code",
                "convert it to safetensors",
            )
