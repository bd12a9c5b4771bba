"""Block and tensor trees: the vectors, every chunking, and every way a file can differ."""

import importlib.util
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rfc8785
import safetensors.numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

import countermark
from countermark.signing.errors import FileChangedError, MalformedTreeError, VerificationError
from countermark.signing.merkle import BLAKE3, inclusion_proof, root_from_inclusion_proof
from countermark.signing.safetensors import DTYPE_BITS, SafetensorsHeader, read_header
from countermark.signing.trees import (
    BLOCK_BYTES,
    FileTree,
    TensorRoot,
    TreeBuilder,
    block_count,
    block_digest,
    block_root_of,
    blocks_of,
    diff_tensors,
    first_bad_block,
    parse_tensor_row,
    segments_of,
    tensor_entry,
    tensor_root_of,
    verify_block,
    verify_tensor,
)
from countermark.signing.verdict import Outcome, TensorChange

SPEC = Path(__file__).parents[2] / "specs/tree-v1"
TREES = sorted((SPEC / "vectors").glob("tree-*.json"))
ROWS = sorted((SPEC / "vectors").glob("row-*.json"))


def header_of(data: bytes) -> SafetensorsHeader:
    return read_header(lambda at, length: data[at : at + length], len(data))


def tree_of(data: bytes, *, is_safetensors: bool) -> FileTree:
    header = header_of(data) if is_safetensors else None
    builder = TreeBuilder(segments_of(header, len(data)), header)
    builder.update(data)
    return builder.finish()


def model(**arrays: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> bytes:
    return safetensors.numpy.save(arrays)


def a_tensor(name: str = "w", shape: tuple[int, ...] = (2,), root: bytes = bytes(32)) -> TensorRoot:
    return TensorRoot(name=name, dtype="F32", shape=shape, size_bytes=8, root=root)


def test_vectors_exist() -> None:
    assert len(TREES) >= 7
    assert len(ROWS) >= 9


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tree_v1_generate", SPEC / "generate.py")
    if spec is None or spec.loader is None:
        pytest.fail("specs/tree-v1/generate.py cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_vectors_on_disk_are_what_the_generator_writes() -> None:
    module = generator()
    on_disk = {path.stem: path.read_text() for path in (SPEC / "vectors").iterdir()}
    assert on_disk == {name: module.text_of(vector) for name, vector in module.build().items()}


@pytest.mark.parametrize("path", TREES, ids=lambda p: p.stem)
def test_tree_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    data = b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in vector["file"])
    tree = tree_of(data, is_safetensors=vector["tensors"] is not None)
    assert list(tree.segments) == vector["segments"]
    assert tree.block_digests.hex() == "".join(vector["block_digests"])
    assert tree.block_root.hex() == vector["block_root"]
    rows = [json.loads(tensor_entry(tensor)) for tensor in tree.tensors]
    assert rows == (vector["tensors"] or [])
    assert (tree.tensor_root.hex() if tree.tensor_root else None) == vector["tensor_root"]


@pytest.mark.parametrize("path", ROWS, ids=lambda p: p.stem)
def test_row_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    try:
        tensor = parse_tensor_row(vector["row"])
        assert json.loads(tensor_entry(tensor)) == vector["row"]
        outcome = "ok"
    except countermark.Error as e:
        outcome = e.code
    assert outcome == vector["expect"], vector["why"]


@pytest.mark.skipif(shutil.which("b3sum") is None, reason="the b3sum command is not installed")
@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES])
def test_a_block_digest_is_what_b3sum_prints(size: int) -> None:
    block = bytes(number % 251 for number in range(size))
    done = subprocess.run(["b3sum", "--no-names"], input=block, capture_output=True, check=True)
    assert block_digest(block).hex() == done.stdout.decode().strip()


def test_blocks_start_anew_at_each_segment_and_empty_ones_have_none() -> None:
    segments = (10, 0, BLOCK_BYTES + 1, BLOCK_BYTES)
    assert list(blocks_of(segments)) == [
        (0, 10),
        (10, BLOCK_BYTES),
        (10 + BLOCK_BYTES, 1),
        (11 + BLOCK_BYTES, BLOCK_BYTES),
    ]
    assert block_count(segments) == 4


@settings(max_examples=20)
@given(st.lists(st.integers(1, 2 * BLOCK_BYTES), min_size=1, max_size=8))
@example([BLOCK_BYTES])
@example([1])
def test_the_tree_is_the_same_whatever_the_chunks(sizes: list[int]) -> None:
    segments = (5, 0, BLOCK_BYTES, BLOCK_BYTES + 7, 3)
    content = bytes(range(256)) * (sum(segments) // 256 + 1)
    view = memoryview(content)[: sum(segments)]
    whole = TreeBuilder(segments)
    whole.update(view)
    parts, at, turn = TreeBuilder(segments), 0, 0
    while at < len(view):
        size = sizes[turn % len(sizes)]
        if size < 4096 and at > 4096:  # One small chunk at each place says as much as millions.
            size += 700_001
        parts.update(view[at : at + size])
        at, turn = at + size, turn + 1
    assert parts.finish() == whole.finish()


def test_chunks_of_other_types_are_hashed_by_their_bytes() -> None:
    numbers = np.arange(1000, dtype=np.float32)
    raw = numbers.tobytes()
    builder = TreeBuilder((len(raw),))
    builder.update(numbers.data)
    assert builder.finish() == tree_of(raw, is_safetensors=False)


def test_one_byte_more_than_declared_is_refused() -> None:
    builder = TreeBuilder((BLOCK_BYTES, 2))
    builder.update(bytes(BLOCK_BYTES + 2))
    builder.update(b"")
    with pytest.raises(FileChangedError) as caught:
        builder.update(b"\x00")
    assert caught.value.code == "changed-while-reading"


def test_one_byte_fewer_than_declared_is_refused() -> None:
    for short in (BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1):
        builder = TreeBuilder((BLOCK_BYTES, 2))
        builder.update(bytes(short))
        with pytest.raises(FileChangedError):
            builder.finish()


@pytest.mark.parametrize("segments", [(-1, 2), (2**63 - 1, 1)])
def test_segment_lengths_out_of_range_are_refused(segments: tuple[int, ...]) -> None:
    with pytest.raises(MalformedTreeError):
        TreeBuilder(segments)


def test_a_header_of_another_file_is_refused() -> None:
    data = model(w=np.zeros(4, np.float32))
    header = header_of(data)
    with pytest.raises(MalformedTreeError):
        segments_of(header, len(data) + 1)
    with pytest.raises(MalformedTreeError):
        TreeBuilder((len(data),), header)


def test_a_tensor_has_one_root_in_whatever_file_it_lies() -> None:
    w = np.arange(400_000, dtype=np.float32)
    alone = tree_of(model(w=w), is_safetensors=True)
    among = tree_of(model(a=w[:3], w=w, z=w[:9]), is_safetensors=True)
    assert alone.tensors[0] == among.tensors[1]
    assert alone.tensor_root != among.tensor_root
    assert alone.block_root != among.block_root


def test_a_plain_file_has_no_tensor_root_and_a_file_of_no_tensors_has_one() -> None:
    assert tree_of(b"{}", is_safetensors=False).tensor_root is None
    empty = tree_of((2).to_bytes(8, "little") + b"{}", is_safetensors=True)
    assert empty.tensors == ()
    assert empty.tensor_root == BLAKE3.digest(b"")


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(sorted(DTYPE_BITS)),
    st.lists(st.integers(0, 2**53 - 1), max_size=5),
)
@example('"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\U0001f600', "F32", [2**53 - 1])
def test_a_tensor_entry_is_canonical_json(name: str, dtype: str, shape: list[int]) -> None:
    tensor = TensorRoot(name=name, dtype=dtype, shape=tuple(shape), size_bytes=0, root=bytes(32))
    assert tensor_entry(tensor) == rfc8785.dumps([name, dtype, shape, "00" * 32])


def test_the_tensor_root_does_not_depend_on_order_but_on_every_field() -> None:
    first, second = a_tensor("\uffff"), a_tensor("\U0001f600")  # UTF-16 would swap these two.
    expected = tensor_root_of([first, second])
    assert tensor_root_of([second, first]) == expected
    for other in (
        replace(first, name="b"),
        replace(first, dtype="I32"),
        replace(first, shape=(2, 1)),
        replace(first, root=b"\x01" + bytes(31)),
    ):
        assert tensor_root_of([other, second]) != expected
    with pytest.raises(MalformedTreeError):
        tensor_root_of([first, first])


def test_diff_names_what_became_of_each_tensor() -> None:
    same, shape, data, gone = (a_tensor(name) for name in "abcd")
    found = [same, replace(shape, shape=(1, 2)), replace(data, root=b"\x01" * 32), a_tensor("e")]
    assert diff_tensors([gone, data, shape, same], found) == (
        TensorChange(name="b", change="reshaped", size_bytes=8),
        TensorChange(name="c", change="changed", size_bytes=8),
        TensorChange(name="d", change="missing", size_bytes=0),
        TensorChange(name="e", change="added", size_bytes=8),
    )
    assert diff_tensors(found, found) == ()


def test_diff_refuses_two_tensors_of_one_name() -> None:
    with pytest.raises(MalformedTreeError):
        diff_tensors([a_tensor()], [a_tensor(), a_tensor(shape=(2, 1))])


def test_diff_of_a_file_with_one_flipped_bit_names_one_tensor() -> None:
    data = bytearray(model(a=np.zeros(5, np.float32), b=np.zeros(5, np.float32)))
    signed = tree_of(bytes(data), is_safetensors=True)
    data[-1] ^= 1
    found = tree_of(bytes(data), is_safetensors=True)
    changes = diff_tensors(signed.tensors, found.tensors)
    assert changes == (TensorChange(name="b", change="changed", size_bytes=20),)


def test_first_bad_block_gives_the_byte_range() -> None:
    segments = (10, BLOCK_BYTES + 5)
    good = tree_of(bytes(10), is_safetensors=False).block_digests + bytes(64)
    assert first_bad_block(good, good, segments) is None
    for index, block in enumerate([(0, 10), (10, BLOCK_BYTES), (10 + BLOCK_BYTES, 5)]):
        bad = bytearray(good)
        bad[32 * index + 31] ^= 1
        assert first_bad_block(good, bytes(bad), segments) == block


def test_first_bad_block_of_a_longer_or_shorter_file() -> None:
    segments = (10, BLOCK_BYTES + 5)
    digests = bytes(96)
    assert first_bad_block(digests, digests[:64], segments) == (10 + BLOCK_BYTES, 5)
    assert first_bad_block(digests, bytes(128), segments) == (15 + BLOCK_BYTES, 0)
    with pytest.raises(MalformedTreeError):
        first_bad_block(bytes(64), bytes(64), segments)


def test_verify_block_holds_for_the_signed_bytes_and_for_no_other() -> None:
    data = bytes(BLOCK_BYTES) + b"tail"
    tree = tree_of(data, is_safetensors=False)
    tail = memoryview(data)[BLOCK_BYTES:]
    verify_block(tail, 1, segments=tree.segments, digests=tree.block_digests)
    with pytest.raises(VerificationError) as caught:
        verify_block(b"tall", 1, segments=tree.segments, digests=tree.block_digests)
    assert caught.value.verdict.outcome is Outcome.TAMPERED
    assert caught.value.verdict.code == "data-changed"


@pytest.mark.parametrize("index", [-1, 2])
def test_verify_block_refuses_a_block_that_does_not_exist(index: int) -> None:
    tree = tree_of(bytes(BLOCK_BYTES + 1), is_safetensors=False)
    with pytest.raises(MalformedTreeError):
        verify_block(b"\x00", index, segments=tree.segments, digests=tree.block_digests)


def test_verify_block_refuses_digests_that_do_not_fit_the_segments() -> None:
    with pytest.raises(MalformedTreeError):
        verify_block(b"\x00", 0, segments=(BLOCK_BYTES + 1,), digests=bytes(32))


def test_verify_tensor_holds_for_the_signed_bytes_and_for_no_other() -> None:
    w = np.arange(400_000, dtype=np.float32)
    signed = tree_of(model(w=w), is_safetensors=True).tensors[0]
    verify_tensor(w.data, signed)
    changed = bytearray(w.tobytes())
    changed[-1] ^= 1
    for wrong in (bytes(changed), w.tobytes()[:-1], w.tobytes() + b"\x00", b""):
        with pytest.raises(VerificationError) as caught:
            verify_tensor(wrong, signed)
        assert caught.value.verdict.code == "data-changed"


def test_a_single_block_is_proven_without_the_other_leaves() -> None:
    data = b"".join(bytes([number]) * BLOCK_BYTES for number in range(5))
    tree = tree_of(data, is_safetensors=False)
    leaves = [tree.block_digests[at : at + 32] for at in range(0, 160, 32)]
    proof = inclusion_proof(leaves, 3, BLAKE3)
    digest = block_digest(b"\x03" * BLOCK_BYTES)
    assert root_from_inclusion_proof(digest, 3, 5, proof, BLAKE3) == tree.block_root


def test_a_root_needs_whole_digests() -> None:
    assert block_root_of(b"") == BLAKE3.digest(b"")
    with pytest.raises(MalformedTreeError):
        block_root_of(bytes(33))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(
    st.one_of(
        json_values,
        st.tuples(st.text(), st.sampled_from(["F32", "?"]), st.lists(json_values), st.text()).map(
            list
        ),
    )
)
@example(["\ud800", "F32", [], "00" * 32])
@example(["w", "F32", [10**5000], "00" * 32])
def test_any_row_gives_a_tensor_or_our_error(row: object) -> None:
    try:
        tensor_entry(parse_tensor_row(row))
    except countermark.Error as e:
        assert isinstance(e, MalformedTreeError)  # noqa: PT017
