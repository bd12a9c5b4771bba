"""The leaves under signed roots, from wherever they travel, and only if they give the root.

Block digests come from inside the bundle or from the leaves file beside it; tensor entries
only from inside. They explain and localise. No verdict rests on them, so leaves that do not
give their root are treated as not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from countermark.signing import leaves as leaves_format
from countermark.signing.errors import MalformedError
from countermark.signing.leaves import FileLeaves
from countermark.signing.manifest import FileEntry, TreeRoots
from countermark.signing.places import leaves_file, read_evidence
from countermark.signing.trees import TensorRoot, tensor_root_of

__all__ = ["signed_leaves", "signed_tensors"]


def signed_leaves(signature: Path, entries: Iterable[FileEntry]) -> dict[str, FileLeaves]:
    """Return block digests by path, for every entry whose leaves are there and give its root.

    Raises:
        OSError: The leaves file is there and cannot be read.

    """
    beside = _read_beside(signature)
    result = {}
    for entry in entries:
        if entry.trees is None:
            continue
        if entry.trees.blocks is not None:
            found = FileLeaves(segments=entry.trees.segments, block_digests=entry.trees.blocks)
        elif entry.path in beside:
            found = beside[entry.path]
        else:
            continue
        try:
            leaves_format.check(found, bytes.fromhex(entry.trees.block_root))
        except MalformedError:
            continue
        result[entry.path] = found
    return result


def signed_tensors(trees: TreeRoots | None) -> tuple[TensorRoot, ...] | None:
    """Return a file's signed tensor entries; None if there are none that give its root."""
    if trees is None or trees.tensors is None or trees.tensor_root is None:
        return None
    try:
        found = tensor_root_of(trees.tensors)
    except MalformedError:
        return None
    return trees.tensors if found.hex() == trees.tensor_root else None


def _read_beside(signature: Path) -> dict[str, FileLeaves]:
    try:
        data = read_evidence(leaves_file(signature), leaves_format.MAX_LEAVES_BYTES)
        return leaves_format.decode(data)
    except (FileNotFoundError, MalformedError):
        return {}
