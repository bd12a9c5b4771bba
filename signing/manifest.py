"""What was signed: the files of one model, their digests, and the roots over all of them.

Pure values; `statement` turns them into signed bytes and back, `walk` and `digest` compute
them from a disk, `compare` holds the two against each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from countermark.signing.tensors import TensorRoot

__all__ = [
    "DIGEST_BYTES",
    "OMS_SHARD_BYTES",
    "FileEntry",
    "Manifest",
    "Resource",
    "Shard",
    "TreeRoots",
    "dir_hash",
    "names_root",
    "oms_root",
]

# OMS algorithm registry, v1.0: identifier to digest length in bytes.
DIGEST_BYTES = {"sha256": 32, "blake2b": 64, "blake3": 32}

# The shard length of the reference implementation, in bytes (decimal giga, not GiB).
OMS_SHARD_BYTES = 1_000_000_000


class TreeRoots(NamedTuple):
    """The signed tree roots of one file (specs/tree-v1).

    Attributes:
        block_root: BLAKE3 Merkle root over the file's blocks, 64 lowercase hex digits.
        blocks: The concatenated 32-byte block digests, if they travel inside the bundle.
        segments: Segment lengths in bytes that go with `blocks`; empty without them.
        tensor_root: BLAKE3 Merkle root over the file's tensors, hex; None if the file is
            not safetensors.
        tensors: The tensor tree's entries, if they travel inside the bundle.

    """

    block_root: str
    blocks: bytes | None = None
    segments: tuple[int, ...] = ()
    tensor_root: str | None = None
    tensors: tuple[TensorRoot, ...] | None = None


class Shard(NamedTuple):
    """One signed byte range of a file: `[start, end)`, digest in lowercase hex."""

    start: int
    end: int
    digest: str


class FileEntry(NamedTuple):
    """One signed file.

    Attributes:
        path: POSIX path below the model root; for a single-file model the file's own
            name, or `.` if the signer did not bind it.
        digest: Digest over the whole content in lowercase hex; empty if `shards` speak.
        shards: Digests over byte ranges, ordered, gapless; empty in `files` manifests.
        size_bytes: Length of the file; None if the signer did not say.
        trees: Signed tree roots; None if the signer made none.

    """

    path: str
    digest: str
    shards: tuple[Shard, ...] = ()
    size_bytes: int | None = None
    trees: TreeRoots | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything one signature says about one model.

    Attributes:
        name: The model's name; informational, it binds nothing.
        method: `files` or `shards`.
        hash_type: `sha256`, `blake2b` or `blake3`; key of `DIGEST_BYTES`.
        files: In the signed order; never empty, no two with one path.
        shard_bytes: Length of a shard in bytes, for `shards`.
        allow_symlinks: Whether the signer followed symbolic links.
        ignore_paths: What the signer left out, as POSIX paths below the root.
        single_file: Whether the model is one file and not a folder.
        legacy: Whether this was read from the v0.1 predicate, which binds less.
        model_digest: The OMS root in hex as stated and checked; empty before signing.

    """

    name: str
    method: str
    hash_type: str
    files: tuple[FileEntry, ...]
    shard_bytes: int | None = None
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()
    single_file: bool = False
    legacy: bool = False
    model_digest: str = ""


class Resource(NamedTuple):
    """One row of the OMS predicate: `name`, `algorithm`, `digest` (hex)."""

    name: str
    algorithm: str
    digest: str


def oms_root(resources: Iterable[tuple[str, str, str]]) -> str:
    """Return the OMS root digest of resources in hex (OMS v1.0 section 6.5).

    It is SHA-256 over the raw digests in listed order. Names are not in it, so two models
    with swapped names share it; `names_root` is the one that tells them apart.
    """
    return hashlib.sha256(
        bytes.fromhex("".join([digest for _, _, digest in resources]))
    ).hexdigest()


def names_root(resources: Iterable[tuple[str, str, str]]) -> str:
    """Return the name-binding root of resources in hex (specs/oms-extension-v1 section 3).

    It is the RFC 6962 tree hash (SHA-256) over one entry for each resource, ordered by
    name: the RFC 8785 encoding of `[name, algorithm, digest]`.
    """
    from countermark.signing.merkle import SHA256, root

    rows = sorted(resources, key=itemgetter(0))
    # For strings this encoding equals RFC 8785 (compared with it in the tests).
    quoted = {algorithm: encode_basestring(algorithm) for _, algorithm, _ in rows}
    entries = (
        f'[{encode_basestring(name)},{quoted[algorithm]},"{digest}"]'.encode()
        for name, algorithm, digest in rows
    )
    return root(entries, SHA256).hex()


def dir_hash(files: Sequence[tuple[str, str]]) -> str | None:
    """Return in-toto's `dirHash` of (name, sha256 hex) pairs, or None if names forbid it.

    Source: in-toto DigestSet, `dirHash`: Go's `dirhash.Hash1` in lowercase hex. Anybody can
    recompute it: `sha256sum FILES | LC_ALL=C sort -k2 | sha256sum`. The format has no room
    for a line feed in a name.
    """
    text = "".join([f"{digest}  {name}\n" for name, digest in sorted(files)])
    if text.count("\n") != len(files):
        return None
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
