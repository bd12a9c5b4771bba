"""A signed manifest held against a model on disk: file by file, what is not as signed.

Pure bookkeeping over what `walk` and `digest` found; `explain` finds out why a file
differs, `examine` turns the result into checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from countermark.signing.cache import BLOCKS, DigestCache
from countermark.signing.digest import FileDigest, Job, Plan
from countermark.signing.errors import MalformedStatementError
from countermark.signing.manifest import FileEntry, Manifest
from countermark.signing.names import is_below, printable
from countermark.signing.walk import Layout, ModelFile, ModelTree

__all__ = ["Matching", "Pair", "is_as_signed", "match_files", "plan_jobs"]


class Pair(NamedTuple):
    """One signed file, and the file on disk that claims to be it."""

    entry: FileEntry
    file: ModelFile


class Matching(NamedTuple):
    """Signed names against names on disk.

    Attributes:
        pairs: Both sides have it.
        missing: Signed, and not on disk.
        extra: On disk, and not signed.
        ignored: Signed, and not looked at, as the caller wished.
        renamed: A single-file model that lies here under another name.
        name_unbound: A single-file model whose signer bound no name.

    """

    pairs: tuple[Pair, ...]
    missing: tuple[FileEntry, ...] = ()
    extra: tuple[ModelFile, ...] = ()
    ignored: tuple[FileEntry, ...] = ()
    renamed: bool = False
    name_unbound: bool = False


def match_files(manifest: Manifest, tree: ModelTree, *, ignored: Sequence[str] = ()) -> Matching:
    """Pair the manifest's files with the tree's, by name.

    Args:
        manifest: What was signed.
        tree: What lies on disk.
        ignored: POSIX paths that the caller does not want looked at, with all below.

    Raises:
        MalformedStatementError: The signature is about a file without a name and a folder is
            at hand, or about many files and another file is.

    """
    if tree.layout is Layout.FILE:
        return _match_single(manifest, tree.files[0])
    if "." in [entry.path for entry in manifest.files]:
        raise MalformedStatementError(
            "the signature is about a single file, and this is a folder",
            hint="name the file itself instead of its folder",
        )
    on_disk = {file.path: file for file in tree.files}
    pairs = []
    absent: list[FileEntry] = []
    for entry in manifest.files:
        file = on_disk.pop(entry.path, None)
        if file is None:
            absent.append(entry)
        else:
            pairs.append(Pair(entry, file))
    unwanted = {
        entry.path for entry in absent if any(is_below(entry.path, path) for path in ignored)
    }
    return Matching(
        pairs=tuple(pairs),
        missing=tuple(entry for entry in absent if entry.path not in unwanted),
        extra=tuple(on_disk.values()),
        ignored=tuple(entry for entry in absent if entry.path in unwanted),
    )


def _match_single(manifest: Manifest, file: ModelFile) -> Matching:
    by_name = {entry.path: entry for entry in manifest.files}
    if len(manifest.files) > 1:
        entry = by_name.pop(file.path, None)
        if entry is None:
            raise MalformedStatementError(
                f"the signature covers {len(manifest.files)} files, none called "
                f"{printable(file.path)}",
                hint="verify the model's folder instead of one file in it",
            )
        if any(path.endswith(f"/{file.path}") for path in by_name):
            # Which of them this is, its own name does not tell; one could pass for the other.
            raise MalformedStatementError(
                f"the signature covers several files called {printable(file.path)}",
                hint="verify the model's folder instead of one file in it",
            )
        return Matching(pairs=(Pair(entry, file),), missing=tuple(by_name.values()))
    entry = manifest.files[0]
    unbound = entry.path == "."
    return Matching(
        pairs=(Pair(entry, file),),
        renamed=not unbound and entry.path != file.path,
        name_unbound=unbound,
    )


def plan_jobs(
    pairs: Sequence[Pair], manifest: Manifest, *, cache: DigestCache | None, thorough: bool
) -> tuple[list[Job], list[Pair]]:
    """Return what must be read, and what the cache already knows to be as signed.

    A file whose block root was signed is checked by that alone, at BLAKE3's speed; with
    `thorough`, by everything that was signed about it.
    """
    jobs, cached = [], []
    by_blocks = Plan(None, trees=True)
    by_digest = Plan(manifest.hash_type, manifest.shard_bytes)
    by_both = by_digest._replace(trees=True)
    for pair in pairs:
        entry, file = pair
        if cache is not None:
            known = cache.lookup(file.identity)
            if _is_known(entry, manifest, known, thorough=thorough):
                cached.append(pair)
                continue
        # Where blocks end depends on the name's suffix, so under another name only the plain
        # digest can tell whether these are the signed bytes.
        if entry.trees is None or entry.path != file.path:
            jobs.append(Job(file, by_digest))
        else:
            jobs.append(Job(file, by_both if thorough else by_blocks))
    return jobs, cached


def _is_known(
    entry: FileEntry, manifest: Manifest, known: Mapping[str, str], *, thorough: bool
) -> bool:
    by_blocks = entry.trees is not None and known.get(BLOCKS) == entry.trees.block_root
    by_digest = bool(entry.digest) and known.get(manifest.hash_type) == entry.digest
    if thorough:
        return by_digest and (by_blocks or entry.trees is None)
    return by_blocks or by_digest


def is_as_signed(entry: FileEntry, found: FileDigest) -> bool:
    """Return whether every digest that was planned and signed agrees.

    Raises:
        MalformedStatementError: What the signer says of the length or of the tensors
            contradicts the digests he signed.

    """
    file, _, algorithm, digest, shards, tree, _ = found
    compared = 0
    if algorithm:
        compared += 1
        if digest != entry.digest or shards != entry.shards:
            return False
    if tree is not None and entry.trees is not None:
        compared += 1
        if tree.block_root.hex() != entry.trees.block_root:
            return False
        root = tree.tensor_root
        if entry.trees.tensor_root is not None and (
            root is None or root.hex() != entry.trees.tensor_root
        ):
            raise MalformedStatementError(
                f"{printable(entry.path)}: the signed tensor root is not that of the signed bytes"
            )
    if compared and entry.size_bytes not in (None, file.identity.size_bytes):
        raise MalformedStatementError(
            f"{printable(entry.path)}: the signed length is not that of the signed bytes"
        )
    return compared > 0


def bytes_of(files: Iterable[ModelFile]) -> int:
    """Return the sum of the files' lengths in bytes."""
    return sum([file.identity.size_bytes for file in files])
