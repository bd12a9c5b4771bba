"""Digests that anybody can recompute with sha256sum, sort and b3sum."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from support.peer import WEIGHTS, countermark, tool

MIB = 2**20


def statement_of(signature: Path) -> dict[str, object]:
    envelope = json.loads(signature.read_bytes())["dsseEnvelope"]
    statement: dict[str, object] = json.loads(base64.b64decode(envelope["payload"]))
    return statement


def sign(model: Path, signature: Path, private: Path, *options: str) -> dict[str, object]:
    ran = countermark("sign", model, "--private-key", private, "--signature", signature, *options)
    assert ran.code == 0, ran.err
    return statement_of(signature)


def resources_of(statement: dict[str, object]) -> dict[str, dict[str, object]]:
    predicate = statement["predicate"]
    assert isinstance(predicate, dict)
    return {row["name"]: row for row in predicate["resources"]}


def b3sum(data: bytes) -> bytes:
    return bytes.fromhex(tool("b3sum", "--no-names", stdin=data).decode())


def b3sum_root(digests: list[bytes]) -> bytes:
    """RFC 6962 section 2.1 with b3sum for its hash, by its recursive definition."""
    if not digests:
        return b3sum(b"")
    if len(digests) == 1:
        return b3sum(b"\x00" + digests[0])
    split = 1
    while split * 2 < len(digests):
        split *= 2
    return b3sum(b"\x01" + b3sum_root(digests[:split]) + b3sum_root(digests[split:]))


def test_sha256sum_and_sort_recompute_the_dir_hash(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    subject = sign(model, signature, keys[0])["subject"]
    assert isinstance(subject, list)
    names = [path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()]
    lines = tool("sha256sum", *names, cwd=model)
    lines = tool("sort", "-k2", stdin=lines)
    want = tool("sha256sum", stdin=lines).decode().split()[0]
    assert subject[0]["digest"]["dirHash"] == want

    (model / "a-b").rename(model / "a-c")  # Same bytes: OMS's own root does not notice.
    again = sign(model, signature, keys[0], "--replace")["subject"]
    assert isinstance(again, list)
    assert again[0]["digest"]["sha256"] == subject[0]["digest"]["sha256"]
    assert again[0]["digest"]["dirHash"] != want


@pytest.mark.parametrize(
    ("algorithm", "command"), [("sha256", "sha256sum"), ("blake3", "b3sum"), ("blake2b", "b2sum")]
)
def test_the_tools_recompute_every_files_digest(
    model: Path, signature: Path, keys: tuple[Path, Path], algorithm: str, command: str
) -> None:
    statement = sign(model, signature, keys[0], "--digest", algorithm)
    for name, row in resources_of(statement).items():
        assert row["digest"] == tool(command, model / name).decode().split()[0]


def block_sizes(extension: dict[str, object]) -> tuple[list[int], list[bytes], str]:
    """Return block lengths in bytes, block digests, and their root in hex, as signed."""
    blocks = extension["blocks"]
    assert isinstance(blocks, dict)
    sizes = []
    for segment in blocks["segments"]:
        sizes += [MIB] * (segment // MIB) + [segment % MIB] * bool(segment % MIB)
    leaves = base64.b64decode(blocks["leaves"])
    return sizes, [leaves[i : i + 32] for i in range(0, len(leaves), 32)], blocks["root"]


def test_b3sum_recomputes_the_block_tree_of_weights(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    row = resources_of(sign(model, signature, keys[0]))[WEIGHTS]
    extension = row["countermark"]
    assert isinstance(extension, dict)
    sizes, digests, root = block_sizes(extension)
    data = (model / WEIGHTS).read_bytes()
    assert sum(sizes) == len(data)
    got = []
    for size in sizes:
        got.append(b3sum(data[:size]))
        data = data[size:]
    assert got == digests
    assert b3sum_root(got).hex() == root


@pytest.mark.parametrize("size", [MIB + 1, 2 * MIB, 5 * MIB // 2])
def test_b3sum_recomputes_the_block_tree_of_any_other_large_file(
    tmp_path: Path, signature: Path, keys: tuple[Path, Path], size: int
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(bytes(range(256)) * (size // 256) + b"\x01" * (size % 256))
    extension = resources_of(sign(file, signature, keys[0]))["."]["countermark"]
    assert isinstance(extension, dict)
    _, digests, root = block_sizes(extension)
    data = file.read_bytes()
    blocks = [data[i : i + MIB] for i in range(0, size, MIB)]
    assert [b3sum(block) for block in blocks] == digests
    assert b3sum_root(digests).hex() == root


def test_a_file_of_one_block_has_no_tree_as_its_digest_says_it_all(
    tmp_path: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"\x01" * MIB)
    extension = resources_of(sign(file, signature, keys[0]))["."]["countermark"]
    assert isinstance(extension, dict)
    assert "blocks" not in extension
