"""Statements: what is written is read again, in both dialects, for any manifest."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.signing import statement as statement_module
from countermark.signing import statement_reader
from countermark.signing.errors import EmptyModelError, TooLargeError
from countermark.signing.manifest import DIGEST_BYTES, FileEntry, Manifest, Shard, TreeRoots
from countermark.signing.safetensors import DTYPE_BITS
from countermark.signing.statement import (
    MAX_STATEMENT_BYTES,
    NAMES_ROOT_KEY,
    Dialect,
    encode_statement,
)
from countermark.signing.statement_reader import parse_statement
from countermark.signing.tensors import TensorRoot

SIZES = st.integers(0, 2**62)
ROOTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
# Letters that clash with the syntax around names: colons, dots, quotes, line feeds.
PARTS = st.text(st.sampled_from("ab.:0-\n\"'é😀"), min_size=1, max_size=6).filter(
    lambda part: part not in (".", "..") and part != "a:"
)
PLAIN_NAMES = PARTS.filter(lambda part: not part.startswith(("a:", "b:")))
PATHS = st.lists(PLAIN_NAMES, min_size=1, max_size=3).map("/".join)
TENSORS = st.builds(
    lambda name, dtype, shape, root: TensorRoot(
        name=name, dtype=dtype, shape=tuple(shape), size_bytes=-1, root=root
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\\/:"), min_size=1, max_size=5),
    st.sampled_from([dtype for dtype, bits in DTYPE_BITS.items() if bits % 8 == 0]),
    st.lists(st.integers(0, 9), max_size=3),
    st.binary(min_size=32, max_size=32),
).filter(lambda tensor: tensor.name != "..")


def sized(tensor: TensorRoot) -> TensorRoot:
    size = DTYPE_BITS[tensor.dtype] // 8
    for dim in tensor.shape:
        size *= dim
    return replace(tensor, size_bytes=size)


@st.composite
def trees(draw: st.DrawFn) -> TreeRoots:
    inside = draw(st.booleans())
    rows = st.lists(TENSORS.map(sized), max_size=3, unique_by=lambda tensor: tensor.name)
    tensor_root = draw(st.none() | ROOTS)
    return TreeRoots(
        block_root=draw(ROOTS),
        blocks=b"".join(draw(st.lists(st.binary(min_size=32, max_size=32)))) if inside else None,
        segments=tuple(draw(st.lists(SIZES))) if inside else (),
        tensor_root=tensor_root,
        tensors=draw(st.none() | rows.map(tuple)) if tensor_root else None,
    )


def without_clashes(paths: list[str]) -> bool:
    return not any(other.startswith(path + "/") for path in paths for other in paths)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    hash_type = draw(st.sampled_from(sorted(DIGEST_BYTES)))
    digests = st.binary(min_size=DIGEST_BYTES[hash_type], max_size=DIGEST_BYTES[hash_type])
    shard_bytes = draw(st.none() | st.integers(1, 2**62))
    single = draw(st.booleans())
    paths = st.lists(PATHS, min_size=1, max_size=5, unique=True).filter(without_clashes)
    files = []
    for path in draw(PLAIN_NAMES.map(lambda name: [name]) if single else paths):
        tree = draw(st.none() | trees())
        if shard_bytes is None:
            size, digest = draw(st.none() | SIZES), draw(digests).hex()
            files.append(FileEntry(path=path, digest=digest, size_bytes=size, trees=tree))
            continue
        ends = sorted(draw(st.sets(st.integers(1, 10**9), min_size=not files, max_size=3)))
        starts = [0, *ends[:-1]]
        shards = tuple(Shard(s, e, draw(digests).hex()) for s, e in zip(starts, ends, strict=False))
        size = ends[-1] if ends else 0
        tree = tree if ends else None  # A file of no bytes has no row to carry one.
        files.append(FileEntry(path=path, digest="", shards=shards, size_bytes=size, trees=tree))
    return Manifest(
        name=draw(st.text()),
        method="files" if shard_bytes is None else "shards",
        hash_type=hash_type,
        files=tuple(files),
        shard_bytes=shard_bytes,
        allow_symlinks=draw(st.booleans()),
        ignore_paths=tuple(draw(st.lists(st.text()))),
        single_file=single,
    )


def comparable(manifest: Manifest) -> Manifest:
    """Leave out what reading adds or orders anew."""
    files = tuple(sorted(manifest.files, key=lambda file: file.path))
    ignored = tuple(sorted(manifest.ignore_paths))
    return replace(manifest, files=files, ignore_paths=ignored, model_digest="")


A = FileEntry(path="a", digest="aa" * 32, size_bytes=5)
B = FileEntry(path="b", digest="bb" * 32, size_bytes=0)
FOLDER = Manifest(name="m", method="files", hash_type="sha256", files=(B, A))
SHARDED = replace(
    FOLDER,
    method="shards",
    shard_bytes=3,
    files=(
        FileEntry("a", "", (Shard(0, 3, "aa" * 32), Shard(3, 5, "bb" * 32)), 5),
        FileEntry("e", "", (), 0),
    ),
)


def read(manifest: Manifest, dialect: Dialect = Dialect.PYTHON) -> Any:  # noqa: ANN401
    return json.loads(encode_statement(manifest, dialect=dialect))


@settings(deadline=None)
@given(manifests(), st.sampled_from(Dialect))
@example(replace(FOLDER, files=(A, B._replace(path=".:x"))), Dialect.PYTHON)
@example(replace(FOLDER, files=(A, B._replace(path="a:0:5"))), Dialect.SPEC)
@example(SHARDED, Dialect.PYTHON)
@example(replace(SHARDED, files=(SHARDED.files[0]._replace(path=".:"),)), Dialect.SPEC)
def test_what_is_written_is_read_again(manifest: Manifest, dialect: Dialect) -> None:
    found = parse_statement(encode_statement(manifest, dialect=dialect))
    if dialect is Dialect.SPEC:  # OMS's text knows no difference between a file and its folder.
        manifest = replace(manifest, single_file=False)
    assert comparable(found) == comparable(manifest)
    assert found.model_digest


@given(manifests(), st.sampled_from(Dialect))
@settings(deadline=None)
def test_one_manifest_has_one_encoding_whatever_the_order_of_its_files(
    manifest: Manifest, dialect: Dialect
) -> None:
    backwards = replace(manifest, ignore_paths=manifest.ignore_paths[::-1])
    if manifest.method == "files":
        backwards = replace(backwards, files=manifest.files[::-1])
    encoded = encode_statement(manifest, dialect=dialect)
    assert encode_statement(backwards, dialect=dialect) == encoded


def test_rows_are_in_code_point_order_and_roots_follow_them() -> None:
    document = read(FOLDER)
    assert [row["name"] for row in document["predicate"]["resources"]] == ["a", "b"]
    digests = document["subject"][0]["digest"]
    want = hashlib.sha256(bytes.fromhex("aa" * 32 + "bb" * 32)).hexdigest()
    assert digests["sha256"] == want
    assert set(digests) == {"sha256", NAMES_ROOT_KEY, "dirHash"}


def test_the_dialects_differ_in_the_single_name_and_the_shard_algorithm_only() -> None:
    single = replace(FOLDER, files=(A,), single_file=True)
    names = [read(single, dialect)["predicate"]["resources"][0]["name"] for dialect in Dialect]
    assert names == [".", "a"]
    bound = [read(single, d)["predicate"]["resources"][0]["countermark"] for d in Dialect]
    assert bound == [{"v": 1, "size": 5, "file": "a"}, 5]
    rows = [read(SHARDED, dialect)["predicate"]["resources"][0] for dialect in Dialect]
    assert [row["algorithm"] for row in rows] == ["sha256-sharded-3", "sha256"]
    assert read(FOLDER, Dialect.PYTHON) == read(FOLDER, Dialect.SPEC)


def test_shard_size_is_there_for_shards_and_an_integer() -> None:
    assert read(SHARDED)["predicate"]["serialization"]["shard_size"] == 3
    assert b'"shard_size":3}' in encode_statement(SHARDED)
    assert "shard_size" not in read(FOLDER)["predicate"]["serialization"]


def test_empty_files_beside_shards_are_said_once_and_sorted() -> None:
    more = tuple(FileEntry(path, "", (), 0) for path in ("z", "d"))
    rows = read(replace(SHARDED, files=(*more, *SHARDED.files)))["predicate"]["resources"]
    assert [row.get("countermark", {}).get("empty") for row in rows] == [["d", "e", "z"], None]


@pytest.mark.parametrize(
    "manifest",
    [
        replace(FOLDER, hash_type="blake3"),
        SHARDED,
        replace(FOLDER, files=(A._replace(path="a\nb"),)),
    ],
)
def test_dir_hash_is_left_out_where_it_has_no_meaning(manifest: Manifest) -> None:
    assert "dirHash" not in read(manifest)["subject"][0]["digest"]


@pytest.mark.parametrize("files", [(), (SHARDED.files[1],)])
def test_a_model_without_a_byte_is_not_signed(files: tuple[FileEntry, ...]) -> None:
    with pytest.raises(EmptyModelError) as caught:
        encode_statement(replace(SHARDED, files=files))
    assert caught.value.code == "empty-model"


def test_the_row_limit_holds_for_signer_and_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode_statement(FOLDER)
    for module, action in (
        (statement_module, lambda: encode_statement(FOLDER)),
        (statement_reader, lambda: parse_statement(encoded)),
    ):
        monkeypatch.setattr(module, "MAX_RESOURCES", 2)
        assert action()
        monkeypatch.setattr(module, "MAX_RESOURCES", 1)
        with pytest.raises(TooLargeError) as caught:
            action()
        assert (caught.value.code, caught.value.size) == ("too-large", 2)
        monkeypatch.undo()


def test_the_byte_limit_holds_for_signer_and_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode_statement(FOLDER)
    for module, action in (
        (statement_module, lambda: encode_statement(FOLDER)),
        (statement_reader, lambda: parse_statement(encoded)),
    ):
        monkeypatch.setattr(module, "MAX_STATEMENT_BYTES", len(encoded))
        assert action()
        monkeypatch.setattr(module, "MAX_STATEMENT_BYTES", len(encoded) - 1)
        with pytest.raises(TooLargeError):
            action()
        monkeypatch.undo()


def test_the_largest_statement_fits_into_a_bundle() -> None:
    from countermark.signing.bundle import MAX_BUNDLE_BYTES

    assert -(-MAX_STATEMENT_BYTES // 3) * 4 + 100_000 < MAX_BUNDLE_BYTES
