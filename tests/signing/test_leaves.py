"""The leaves file: vectors, round trips, limits, and that it proves nothing by itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import example, given
from hypothesis import strategies as st

import countermark
from countermark.signing.errors import MalformedTreeError, TooLargeError, UnsafeNameError
from countermark.signing.leaves import (
    MAX_FILES,
    MAX_LEAVES_BYTES,
    FileLeaves,
    check,
    decode,
    encode,
)
from countermark.signing.trees import BLOCK_BYTES, block_root_of

VECTORS = sorted((Path(__file__).parents[2] / "specs/tree-v1/vectors").glob("leaves-*.json"))

A = FileLeaves(segments=(3, BLOCK_BYTES + 1), block_digests=b"a" * 96)
B = FileLeaves(segments=(0,), block_digests=b"")


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 14


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_leaves_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    data = bytes.fromhex(vector["leaves_hex"])
    if vector["expect"] != "ok":
        with pytest.raises(countermark.Error) as caught:
            decode(data)
        assert caught.value.code == vector["expect"], vector["why"]
        return
    files = decode(data)
    assert encode(files) == data
    for name, want in vector["files"].items():
        assert list(files[name].segments) == want["segments"]
        assert files[name].block_digests.hex() == want["block_digests"]
        check(files[name], bytes.fromhex(vector["block_roots"][name]))


def test_a_round_trip_keeps_everything_and_does_not_depend_on_order() -> None:
    files = {"b#segments/x.bin": A, "a.safetensors": B, "ünï/w": A}
    data = encode(files)
    assert decode(data) == files
    assert encode(dict(reversed(files.items()))) == data


def test_no_two_paths_collide() -> None:
    files = {"x": A, "blocks/x": B, "segments/x": A, "x#segments": B}
    assert decode(encode(files)) == files


def test_a_single_file_model_is_named_dot() -> None:
    assert decode(encode({".": A})) == {".": A}


def test_no_file_at_all_is_a_leaves_file() -> None:
    assert decode(encode({})) == {}


def test_the_file_is_a_container_that_the_safetensors_library_reads() -> None:
    data = encode({"w.bin": A})
    theirs = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    assert theirs["blocks/w.bin"]["shape"] == [3, 32]
    lengths = np.frombuffer(theirs["segments/w.bin"]["data"], dtype="<u8")
    assert tuple(lengths.tolist()) == A.segments


@pytest.mark.parametrize("path", ["", "../x", "/x", "a//b", "a/./b", "a\\b", "..", "a\x00"])
def test_a_path_that_is_not_below_the_model_is_refused(path: str) -> None:
    with pytest.raises(UnsafeNameError) as caught:
        encode({path: A})
    assert caught.value.code == "unsafe-name"


@pytest.mark.parametrize(
    "file",
    [
        FileLeaves(segments=(3,), block_digests=b""),
        FileLeaves(segments=(3,), block_digests=bytes(64)),
        FileLeaves(segments=(3,), block_digests=bytes(31)),
        FileLeaves(segments=(), block_digests=b""),
        FileLeaves(segments=(-1, 1), block_digests=bytes(32)),
        FileLeaves(segments=(2**63,), block_digests=b""),
    ],
)
def test_digests_that_do_not_fit_their_segments_are_refused(file: FileLeaves) -> None:
    with pytest.raises(MalformedTreeError):
        encode({"w": file})
    with pytest.raises(MalformedTreeError):
        check(file, block_root_of(b""))


def test_check_holds_for_the_signed_root_and_for_no_other() -> None:
    signed = block_root_of(A.block_digests)
    check(A, signed)
    flipped = bytes([A.block_digests[0] ^ 1]) + A.block_digests[1:]
    with pytest.raises(MalformedTreeError) as caught:
        check(FileLeaves(segments=A.segments, block_digests=flipped), signed)
    assert caught.value.code == "malformed-tree"
    with pytest.raises(MalformedTreeError):
        check(A, signed[:31])


def test_the_file_limit_holds_at_n_and_refuses_one_more() -> None:
    files = {str(number): B for number in range(MAX_FILES)}
    assert encode(files)
    with pytest.raises(TooLargeError):
        encode(files | {"more": B})


def test_the_size_limit_holds_at_n_and_refuses_one_more() -> None:
    with pytest.raises(MalformedTreeError):  # Not a leaves file, but not too large either.
        decode(bytes(MAX_LEAVES_BYTES))
    with pytest.raises(TooLargeError) as caught:
        decode(bytes(MAX_LEAVES_BYTES + 1))
    assert (caught.value.size, caught.value.limit) == (MAX_LEAVES_BYTES + 1, MAX_LEAVES_BYTES)


def test_leaves_over_the_size_limit_are_not_written() -> None:
    blocks = MAX_LEAVES_BYTES // 32
    file = FileLeaves(segments=(blocks * BLOCK_BYTES,), block_digests=bytes(32 * blocks))
    with pytest.raises(TooLargeError):
        encode({"w": file})


paths = st.from_regex(r"[a-z#\u00e0-\u00ef]{1,4}(/[a-z.]{0,2}[a-z]){0,2}", fullmatch=True)
files = st.lists(st.integers(0, 3 * BLOCK_BYTES), min_size=1, max_size=4).map(
    lambda lengths: FileLeaves(
        segments=tuple(lengths),
        block_digests=b"\x07" * (32 * sum(-(-n // BLOCK_BYTES) for n in lengths)),
    )
)


@given(st.dictionaries(paths, files, max_size=4))
def test_every_mapping_survives_a_round_trip(leaves: dict[str, FileLeaves]) -> None:
    assert decode(encode(leaves)) == leaves


GOOD = encode({"w": A})


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@example(0, 0)
def test_one_changed_byte_gives_other_leaves_or_our_error(at: int, byte: int) -> None:
    data = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    try:
        decoded = decode(data)
    except countermark.Error as e:
        assert e.code in {"malformed-tree", "unsafe-name"}  # noqa: PT017
        return
    assert data == GOOD or decoded != {"w": A}


@given(st.binary(max_size=300))
def test_any_bytes_give_leaves_or_our_error(data: bytes) -> None:
    try:
        decode(data)
    except countermark.Error as e:
        assert e.code in {"malformed-tree", "unsafe-name"}  # noqa: PT017
