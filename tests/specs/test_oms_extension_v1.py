"""Every vector of specs/oms-extension-v1: accepted as written, or refused for the stated reason."""

import json
from pathlib import Path
from typing import Any

import pytest

import countermark
from countermark.signing.bundle import encode_bundle, parse_bundle, parse_bundle_lines
from countermark.signing.dsse import PAYLOAD_TYPE, pae
from countermark.signing.extension import parse_extension
from countermark.signing.keys import BadSignatureError, load_public_key
from countermark.signing.manifest import FileEntry, Resource, dir_hash, names_root, oms_root
from countermark.signing.statement_reader import parse_statement
from countermark.signing.tensors import tensor_entry

VECTORS = sorted((Path(__file__).parents[2] / "specs/oms-extension-v1/vectors").glob("*.json"))
Vector = dict[str, Any]


def of_kind(kind: str) -> list[Any]:
    found = [(path.stem, json.loads(path.read_text())) for path in VECTORS]
    return [pytest.param(v, id=name) for name, v in found if v["kind"] == kind]


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 170
    assert all(of_kind(k) for k in ("statement", "extension", "bundle", "bundle-lines", "roots"))


def facts_of(file: FileEntry) -> Vector:
    trees = file.trees
    return {
        "path": file.path,
        "digest": file.digest,
        "shards": [list(shard) for shard in file.shards],
        "size": file.size_bytes,
        "block_root": trees.block_root if trees else None,
        "tensor_root": trees.tensor_root if trees else None,
        "tensors": [json.loads(tensor_entry(t)) for t in trees.tensors]
        if trees and trees.tensors is not None
        else None,
    }


@pytest.mark.parametrize("vector", of_kind("statement"))
def test_statement_vector(vector: Vector) -> None:
    data = vector["statement"].encode("utf-8", "surrogatepass")
    if vector["expect"] != "ok":
        with pytest.raises(countermark.Error) as caught:
            parse_statement(data)
        assert caught.value.code == vector["expect"], vector["why"]
        return
    manifest, want = parse_statement(data), vector["manifest"]
    assert [facts_of(file) for file in manifest.files] == want["files"]
    assert manifest.method == want["method"]
    assert manifest.hash_type == want["hash_type"]
    assert manifest.single_file is want["single_file"]
    assert manifest.legacy is want["legacy"]
    assert manifest.shard_bytes == want["shard_size"]
    assert list(manifest.ignore_paths) == want["ignore_paths"]


@pytest.mark.parametrize("vector", of_kind("extension"))
def test_extension_vector(vector: Vector) -> None:
    try:
        outcome = "ok" if parse_extension(vector["extension"]) is not None else "ignored"
    except countermark.Error as e:
        outcome = e.code
    assert outcome == vector["expect"], vector["why"]


@pytest.mark.parametrize("vector", of_kind("bundle"))
def test_bundle_vector(vector: Vector) -> None:
    data = vector["bundle"].encode()
    if vector["expect"] != "ok":
        with pytest.raises(countermark.Error) as caught:
            parse_bundle(data)
        assert caught.value.code == vector["expect"], vector["why"]
        return
    bundle = parse_bundle(data)
    assert (bundle.method, bundle.key_hint) == (vector["method"], vector["hint"])
    key = load_public_key(vector["public_key"].encode())
    assert vector["hint"] in (key.key_id, None)
    key.check(bundle.signature, pae(PAYLOAD_TYPE, bundle.payload))
    with pytest.raises(BadSignatureError):
        key.check(bundle.signature, pae(PAYLOAD_TYPE, bundle.payload + b" "))
    assert parse_statement(bundle.payload).files
    assert parse_bundle(encode_bundle(bundle)) == bundle


@pytest.mark.parametrize("vector", of_kind("bundle-lines"))
def test_bundle_lines_vector(vector: Vector) -> None:
    try:
        count: int | str = len(parse_bundle_lines(vector["lines"].encode()))
    except countermark.Error as e:
        count = e.code
    assert count == vector.get("count", vector["expect"]), vector["why"]


@pytest.mark.parametrize("vector", of_kind("roots"))
def test_roots_vector(vector: Vector) -> None:
    rows = [Resource(*row) for row in vector["rows"]]
    for count, (names, oms) in enumerate(
        zip(vector["names_roots"], vector["oms_roots"], strict=True), start=1
    ):
        assert names_root(rows[:count]) == names
        assert oms_root(rows[:count]) == oms


@pytest.mark.parametrize("vector", of_kind("dir-hash"))
def test_dir_hash_vector(vector: Vector) -> None:
    files = [(name, digest) for name, digest in vector["files"]]
    for count, want in enumerate(vector["hashes"], start=1):
        assert dir_hash(files[:count]) == want
