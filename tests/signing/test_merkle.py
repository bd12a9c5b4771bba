"""Merkle trees against RFC 6962's own recursion, CT's known roots, and damaged proofs."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import example, given
from hypothesis import strategies as st

import countermark
from countermark.signing.errors import MalformedTreeError
from countermark.signing.merkle import (
    BLAKE3,
    SHA256,
    RootBuilder,
    TreeHash,
    consistency_proof,
    inclusion_proof,
    root,
    root_from_inclusion_proof,
    root_of_leaf_hashes,
    verify_consistency,
)

FOLDER = Path(__file__).parents[2] / "specs/tree-v1/vectors"
ROOTS = sorted(FOLDER.glob("merkle-roots-*.json"))
PROOFS = sorted([*FOLDER.glob("inclusion-*.json"), *FOLDER.glob("consistency-*.json")])
HASHES = {"sha256": SHA256, "blake3": BLAKE3}
ORACLES: dict[str, Callable[[bytes], bytes]] = {
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "blake3": lambda data: blake3(data).digest(),
}
# The root of the eight entries that Certificate Transparency implementations share.
CT_ROOT_OF_8 = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"

hashes = st.sampled_from([SHA256, BLAKE3])
entries = st.lists(st.binary(max_size=4), max_size=40)


def naive(items: list[bytes], h: Callable[[bytes], bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not items:
        return h(b"")
    if len(items) == 1:
        return h(b"\x00" + items[0])
    k = 1
    while 2 * k < len(items):
        k *= 2
    return h(b"\x01" + naive(items[:k], h) + naive(items[k:], h))


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def test_vectors_exist() -> None:
    assert len(ROOTS) == 2
    assert len(PROOFS) >= 9


@pytest.mark.parametrize("path", ROOTS, ids=lambda p: p.stem)
def test_roots_of_the_certificate_transparency_entries(path: Path) -> None:
    vector = json.loads(path.read_text())
    items = [bytes.fromhex(text) for text in vector["entries"]]
    h = HASHES[vector["hash"]]
    assert [root(items[:n], h).hex() for n in range(9)] == vector["roots"]
    if vector["hash"] == "sha256":
        assert vector["roots"][8] == CT_ROOT_OF_8


def check_inclusion(v: dict[str, Any]) -> None:
    proof = [bytes.fromhex(text) for text in v["proof"]]
    entry = bytes.fromhex(v["entry"])
    got = root_from_inclusion_proof(entry, v["index"], v["size"], proof, HASHES[v["hash"]])
    assert got.hex() == v["root"]


def check_consistency(v: dict[str, Any]) -> None:
    old_root, new_root = bytes.fromhex(v["old_root"]), bytes.fromhex(v["new_root"])
    proof = [bytes.fromhex(text) for text in v["proof"]]
    h = HASHES[v["hash"]]
    verify_consistency(v["old_size"], old_root, v["new_size"], new_root, proof, h)


@pytest.mark.parametrize("path", PROOFS, ids=lambda p: p.stem)
def test_proof_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    check = {"inclusion": check_inclusion, "consistency": check_consistency}[vector["kind"]]
    try:
        check(vector)
        outcome = "ok"
    except countermark.Error as e:
        outcome = e.code
    assert outcome == vector["expect"], vector["why"]


@given(entries, hashes)
def test_root_equals_the_recursive_definition(items: list[bytes], h: TreeHash) -> None:
    assert root(items, h) == naive(items, ORACLES[h.name])


# Both sides of the batch in which leaf hashes are folded, and of two batches.
@pytest.mark.parametrize("count", [1023, 1024, 1025, 2047, 2048, 2049, 3000])
def test_root_of_many_entries_equals_the_recursive_definition(count: int) -> None:
    assert root(iter(numbered(count)), SHA256) == naive(numbered(count), ORACLES["sha256"])


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(1020, 1030)), max_size=4), hashes)
@example([1, 1023, 1024], SHA256)
@example([1023, 1, 1], BLAKE3)
def test_builder_gives_the_same_root_whatever_the_pieces(pieces: list[int], h: TreeHash) -> None:
    leaf_hashes = [h.leaf(entry) for entry in numbered(sum(pieces))]
    builder, at = RootBuilder(h), 0
    for piece in pieces:
        builder.extend_leaf_hashes(leaf_hashes[at : at + piece])
        at += piece
        assert builder.size == at
    assert builder.root() == naive(numbered(at), ORACLES[h.name])


def test_builder_root_does_not_end_the_tree() -> None:
    builder = RootBuilder(SHA256)
    for count, entry in enumerate(numbered(20)):
        assert builder.root() == naive(numbered(count), ORACLES["sha256"])
        builder.append(entry)
    assert builder.size == 20


def test_a_node_does_not_pass_as_an_entry() -> None:
    two = numbered(2)
    inner = SHA256.leaf(two[0]) + SHA256.leaf(two[1])
    assert root([inner], SHA256) != root(two, SHA256)
    assert root_of_leaf_hashes([SHA256.leaf(entry) for entry in two], SHA256) == root(two, SHA256)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31])
def test_every_entry_is_proven_and_no_other_position_or_entry_is(size: int) -> None:
    items = numbered(size)
    expected = root(items, SHA256)
    for index in range(size):
        proof = inclusion_proof(items, index, SHA256)
        assert root_from_inclusion_proof(items[index], index, size, proof, SHA256) == expected
        assert root_from_inclusion_proof(b"other", index, size, proof, SHA256) != expected
        for wrong in set(range(size)) - {index}:
            try:
                got = root_from_inclusion_proof(items[index], wrong, size, proof, SHA256)
            except MalformedTreeError:
                continue
            assert got != expected


@pytest.mark.parametrize("index", [-1, 3])
def test_inclusion_refuses_an_index_outside_the_tree(index: int) -> None:
    with pytest.raises(MalformedTreeError):
        inclusion_proof(numbered(3), index, SHA256)
    with pytest.raises(MalformedTreeError):
        root_from_inclusion_proof(b"", index, 3, [bytes(32)] * 2, SHA256)


@given(st.integers(0, 40), st.integers(0, 40), hashes)
def test_every_prefix_is_proven_consistent(a: int, b: int, h: TreeHash) -> None:
    old, new = sorted((a, b))
    items = numbered(new)
    proof = consistency_proof(items, old, h)
    verify_consistency(old, root(items[:old], h), new, root(items, h), proof, h)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_another_history_is_never_consistent(a: int, b: int, data: st.DataObject) -> None:
    old, new = sorted((a, b))
    items = numbered(new)
    changed = data.draw(st.integers(0, old - 1))
    before = [*items[:changed], b"other", *items[changed + 1 : old]]
    proof = consistency_proof(items, old, SHA256)
    with pytest.raises(MalformedTreeError):
        verify_consistency(old, root(before, SHA256), new, root(items, SHA256), proof, SHA256)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_one_flipped_bit_breaks_a_consistency_proof(a: int, b: int, data: st.DataObject) -> None:
    old, new = sorted((a, b))
    items = numbered(new)
    proof = list(consistency_proof(items, old, SHA256))
    if not proof:
        return
    at = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    proof[at] = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    old_root, new_root = root(items[:old], SHA256), root(items, SHA256)
    with pytest.raises(MalformedTreeError):
        verify_consistency(old, old_root, new, new_root, proof, SHA256)


def test_consistency_refuses_a_shrinking_tree_and_an_unknown_size() -> None:
    with pytest.raises(MalformedTreeError):
        verify_consistency(3, bytes(32), 2, bytes(32), [], SHA256)
    with pytest.raises(MalformedTreeError):
        consistency_proof(numbered(3), 4, SHA256)


def test_an_empty_old_tree_needs_the_empty_root_and_no_proof() -> None:
    new = root(numbered(3), SHA256)
    verify_consistency(0, SHA256.digest(b""), 3, new, [], SHA256)
    for old_root, proof in ((bytes(32), []), (SHA256.digest(b""), [new])):
        with pytest.raises(MalformedTreeError):
            verify_consistency(0, old_root, 3, new, proof, SHA256)


def test_equal_sizes_need_equal_roots() -> None:
    three = root(numbered(3), SHA256)
    verify_consistency(3, three, 3, three, [], SHA256)
    with pytest.raises(MalformedTreeError):
        verify_consistency(3, bytes(32), 3, three, [], SHA256)


def test_a_proof_is_130_hashes_at_most() -> None:
    # At the limit the reason is the tree's size, one above it the length of the proof.
    for count, message in ((130, "too long"), (131, "a few hashes")):
        with pytest.raises(MalformedTreeError, match=message):
            root_from_inclusion_proof(b"", 0, 2, [bytes(32)] * count, SHA256)


@given(
    st.binary(max_size=3),
    st.integers(-2, 2**70),
    st.integers(-2, 2**70),
    st.lists(st.one_of(st.binary(min_size=32, max_size=32), st.binary()), max_size=80),
)
def test_any_proof_gives_a_root_or_our_error(
    entry: bytes, index: int, size: int, proof: list[bytes]
) -> None:
    with contextlib.suppress(MalformedTreeError):
        assert len(root_from_inclusion_proof(entry, index, size, proof, BLAKE3)) == 32
    with pytest.raises(MalformedTreeError):
        verify_consistency(index, bytes(32), size, bytes(31), proof, BLAKE3)
