"""Merkle tree hashes, inclusion proofs and consistency proofs.

RFC 6962 section 2.1 defines the tree; RFC 9162 sections 2.1.3.2 and 2.1.4.2 define how
proofs are checked. A leaf is H(0x00 || entry), a node H(0x01 || left || right), the empty
tree H(""): the prefixes keep a node from passing as an entry. This module knows nothing
about what the entries mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from countermark.signing.errors import MalformedTreeError

__all__ = [
    "BLAKE3",
    "SHA256",
    "RootBuilder",
    "TreeHash",
    "consistency_proof",
    "inclusion_proof",
    "root",
    "root_from_inclusion_proof",
    "root_of_leaf_hashes",
    "verify_consistency",
]

DIGEST_BYTES = 32
_BATCH = 1024
_MAX_PROOF_HASHES = 130  # A tree of 2**64 entries needs fewer; more would only burn time.


class _Hash(Protocol):
    def digest(self) -> bytes: ...


def _load_blake3() -> Callable[[bytes], _Hash]:
    # Imported late: a verifier that meets no BLAKE3 tree does not load the extension.
    from blake3 import blake3

    return blake3


class TreeHash(NamedTuple):
    """The hash function H of a tree; every digest is 32 bytes.

    Attributes:
        name: `sha256` or `blake3`.
        load: Imports H and returns its constructor. Hot loops call it once.

    """

    name: str
    load: Callable[[], Callable[[bytes], _Hash]]

    def digest(self, data: bytes) -> bytes:
        """Return H(data)."""
        return self.load()(data).digest()

    def leaf(self, entry: bytes) -> bytes:
        """Return the leaf hash of one entry."""
        return self.digest(b"\x00" + entry)

    def node(self, left: bytes, right: bytes) -> bytes:
        """Return the hash of an inner node."""
        return self.digest(b"\x01" + left + right)


SHA256 = TreeHash("sha256", lambda: hashlib.sha256)
BLAKE3 = TreeHash("blake3", _load_blake3)


class RootBuilder:
    """A tree that is fed one entry at a time and keeps O(log n) hashes."""

    __slots__ = ("_hash", "_new", "_size", "_stack")

    def __init__(self, h: TreeHash) -> None:
        self._hash = h
        self._new = h.load()
        self._size = 0
        self._stack: list[bytes] = []

    @property
    def size(self) -> int:
        """How many entries were appended."""
        return self._size

    def append(self, entry: bytes) -> None:
        """Add one entry at the end."""
        self._push(self._new(b"\x00" + entry).digest(), 1)

    def extend_leaf_hashes(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add entries whose leaf hashes are known; the fast way for many."""
        new, pending = self._new, iter(leaf_hashes)
        while True:
            # A batch never crosses a multiple of its size, so a full one is a subtree.
            room = _BATCH - self._size % _BATCH
            level = list(islice(pending, room))
            if len(level) < _BATCH:
                for leaf_hash in level:
                    self._push(leaf_hash, 1)
                if len(level) < room:
                    return
                continue
            while len(level) > 1:
                pairs = iter(level)
                level = [
                    new(b"\x01" + left + right).digest()
                    for left, right in zip(pairs, pairs, strict=True)
                ]
            self._push(level[0], _BATCH)

    def root(self) -> bytes:
        """Return the root of everything appended so far; more may follow."""
        if not self._stack:
            return self._hash.digest(b"")
        *rest, current = self._stack
        for left in reversed(rest):
            current = self._hash.node(left, current)
        return current

    def _push(self, subtree: bytes, leaves: int) -> None:
        """Add a full subtree; `leaves` is a power of two that divides the size so far."""
        new, stack = self._new, self._stack
        # A one bit of the old size is a full subtree on the stack. From `leaves` upward,
        # every bit before the first zero is one whose partner is now complete.
        bits, current = self._size // leaves, subtree
        while bits & 1:
            current = new(b"\x01" + stack.pop() + current).digest()
            bits >>= 1
        stack.append(current)
        self._size += leaves


def root(entries: Iterable[bytes], h: TreeHash) -> bytes:
    """Return the Merkle tree hash of `entries`, RFC 6962 section 2.1."""
    new = h.load()
    return root_of_leaf_hashes((new(b"\x00" + entry).digest() for entry in entries), h)


def root_of_leaf_hashes(leaf_hashes: Iterable[bytes], h: TreeHash) -> bytes:
    """Return the Merkle tree hash of the entries that have these leaf hashes."""
    builder = RootBuilder(h)
    builder.extend_leaf_hashes(leaf_hashes)
    return builder.root()


def inclusion_proof(entries: Iterable[bytes], index: int, h: TreeHash) -> tuple[bytes, ...]:
    """Return the audit path of the entry at `index`, RFC 6962 section 2.1.1.

    Raises `MalformedTreeError` if there is no such entry.
    """
    hashes = [h.leaf(entry) for entry in entries]
    if not 0 <= index < len(hashes):
        raise MalformedTreeError(f"no entry {index} in a tree of {len(hashes)}")
    path, _, _ = _descend(hashes, index, -1, h)
    return tuple(path)


def root_from_inclusion_proof(
    entry: bytes, index: int, size: int, proof: Sequence[bytes], h: TreeHash
) -> bytes:
    """Return the root that `proof` leads to; the caller compares it with a signed one.

    Args:
        entry: The entry that is claimed to be in the tree.
        index: Its position, from 0.
        size: How many entries the tree has; signed, like the root.
        proof: Audit path from the leaf up, 32 bytes each.
        h: The tree's hash function.

    Raises:
        MalformedTreeError: The proof cannot belong to this index and size.

    """
    _check_hashes(proof)
    if not 0 <= index < size:
        raise MalformedTreeError(f"no entry {index} in a tree of {size}")
    # RFC 9162 section 2.1.3.2, with its variable names.
    fn, sn, r = index, size - 1, h.leaf(entry)
    for p in proof:
        if sn == 0:
            raise MalformedTreeError("inclusion proof is too long")
        if fn & 1 or fn == sn:
            r = h.node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = h.node(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise MalformedTreeError("inclusion proof is too short")
    return r


def consistency_proof(entries: Iterable[bytes], old_size: int, h: TreeHash) -> tuple[bytes, ...]:
    """Return the proof that the first `old_size` entries still lead the tree.

    RFC 6962 section 2.1.2. The proof is empty if the old tree is empty or the whole tree.

    Raises:
        MalformedTreeError: The tree never had that size.

    """
    hashes = [h.leaf(entry) for entry in entries]
    if not 0 <= old_size <= len(hashes):
        raise MalformedTreeError(f"no old tree of {old_size} in a tree of {len(hashes)}")
    if old_size in (0, len(hashes)):
        return ()
    path, low, high = _descend(hashes, old_size - 1, old_size, h)
    if low:  # Otherwise the subtree is the old tree, whose root the verifier has.
        path.insert(0, root_of_leaf_hashes(hashes[low:high], h))
    return tuple(path)


def verify_consistency(
    old_size: int,
    old_root: bytes,
    new_size: int,
    new_root: bytes,
    proof: Sequence[bytes],
    h: TreeHash,
) -> None:
    """Check that the new tree starts with the old one.

    Sizes and roots (32 bytes) come from evidence that was trusted then and is trusted now;
    the proof, from `consistency_proof`, is hostile.

    Raises:
        MalformedTreeError: The proof is damaged, or shows no such thing.

    """
    _check_hashes((old_root, new_root, *proof))
    if not 0 <= old_size <= new_size:
        raise MalformedTreeError(f"a tree of {new_size} cannot extend one of {old_size}")
    if old_size in (0, new_size):
        expected = h.digest(b"") if old_size == 0 else new_root
        if proof or old_root != expected:
            raise MalformedTreeError("an empty or equal old tree needs its root and no proof")
        return
    # RFC 9162 section 2.1.4.2, with its variable names.
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise MalformedTreeError("consistency proof is too short")
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            raise MalformedTreeError("consistency proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = h.node(c, fr), h.node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = h.node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise MalformedTreeError("consistency proof is too short")
    if fr != old_root or sr != new_root:
        raise MalformedTreeError("the new tree does not start with the old one")


def _descend(
    hashes: Sequence[bytes], index: int, stop: int, h: TreeHash
) -> tuple[list[bytes], int, int]:
    """Walk from the root to the entry at `index`, or to the subtree that ends at `stop`.

    Returns the roots of the subtrees passed by, lowest first, and where the walk ended.
    """
    path: list[bytes] = []
    low, high = 0, len(hashes)
    while high - low > 1 and high != stop:
        middle = low + _split(high - low)
        if index < middle:
            path.append(root_of_leaf_hashes(hashes[middle:high], h))
            high = middle
        else:
            path.append(root_of_leaf_hashes(hashes[low:middle], h))
            low = middle
    return path[::-1], low, high


def _split(size: int) -> int:
    """Return the largest power of two below `size` (at least 2), RFC 6962's k."""
    return 1 << (size - 1).bit_length() - 1


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if len(hashes) > _MAX_PROOF_HASHES or any(len(item) != DIGEST_BYTES for item in hashes):
        raise MalformedTreeError(f"a proof is a few hashes of {DIGEST_BYTES} bytes")
