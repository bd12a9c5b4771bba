"""Two models, or two signatures, or one of each: what differs, by file and by tensor."""

from __future__ import annotations

from pathlib import Path

import pytest

from countermark.signing.diff import FileDiff, ModelDiff, diff_models, load_side
from countermark.signing.errors import (
    MalformedJsonError,
    MalformedStatementError,
    ModelNotFoundError,
)
from countermark.signing.manifest import FileEntry, Manifest
from countermark.signing.snapshot import SnapshotOptions
from countermark.signing.verdict import TensorChange
from support.models import FILES, TENSORS, WEIGHTS, make_model, sign, write_safetensors


def diff(first: Path, second: Path) -> ModelDiff:
    return diff_models(load_side(first), load_side(second))


def summary(result: ModelDiff) -> list[tuple[str, str, str | None]]:
    return [(item.path, item.change, item.other_path) for item in result.files]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two models: the second has one tensor changed, one file renamed, added and removed."""
    first = make_model(tmp_path / "a")
    files = {
        "README2.md": FILES["README.md"],
        "config.json": FILES["config.json"],
        "new.txt": b"new",
    }
    second = make_model(tmp_path / "b", files)
    write_safetensors(
        second / WEIGHTS, {**TENSORS, "head.bias": ("F32", (2,), bytes(8)), "more": b"1"}
    )
    return first, second


EXPECTED = [
    ("README.md", "renamed", "README2.md"),
    (WEIGHTS, "changed", None),
    ("new.txt", "added", None),
    ("tokenizer/vocab.txt", "removed", None),
]


def test_a_model_does_not_differ_from_its_copy(tmp_path: Path) -> None:
    result = diff(make_model(tmp_path / "a"), make_model(tmp_path / "b"))
    assert result == ModelDiff(files=(), same=4)


def test_models_differ_by_file_and_by_tensor(two: tuple[Path, Path]) -> None:
    result = diff(*two)
    assert summary(result) == EXPECTED
    assert result.same == 1
    weights = result.files[1]
    assert weights.tensors_total == 3
    assert weights.tensors == (
        TensorChange(name="head.bias", change="changed", size_bytes=8),
        TensorChange(name="more", change="added", size_bytes=1),
    )


def test_bundles_and_models_in_any_mixture_give_the_same_difference(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = two
    bundles = [
        sign(model, signature=tmp_path / f"{model.name}.sig")[0] for model in (first, second)
    ]
    expected = diff(first, second)
    assert diff(bundles[0], bundles[1]) == expected
    assert diff(first, bundles[1]) == expected
    assert diff(bundles[0], second) == expected
    assert diff(bundles[0], first) == ModelDiff(files=(), same=4)


def test_the_default_signature_inside_a_model_is_not_part_of_it(tmp_path: Path) -> None:
    first, second = make_model(tmp_path / "a"), make_model(tmp_path / "b")
    sign(first)
    assert diff(first, second).files == ()


def test_the_other_direction_is_the_opposite(two: tuple[Path, Path]) -> None:
    first, second = two
    assert summary(diff(second, first)) == [
        ("README2.md", "renamed", "README.md"),
        (WEIGHTS, "changed", None),
        ("new.txt", "removed", None),
        ("tokenizer/vocab.txt", "added", None),
    ]


def test_a_retensored_file_lists_missing_and_reshaped_tensors(tmp_path: Path) -> None:
    first, second = make_model(tmp_path / "a", {}), make_model(tmp_path / "b", {})
    tensors = {
        "layer.0.weight": ("F32", (16,), bytes(range(64))),
        "layer.1.weight": TENSORS["layer.1.weight"],
    }
    write_safetensors(second / WEIGHTS, tensors)
    (item,) = diff(first, second).files
    assert [(change.name, change.change) for change in item.tensors] == [
        ("head.bias", "missing"),
        ("layer.0.weight", "reshaped"),
    ]


def test_tensors_are_unknown_where_a_signer_made_no_trees(two: tuple[Path, Path]) -> None:
    first, second = two
    signature, _ = sign(first, options=SnapshotOptions(trees=False))
    (weights,) = [item for item in diff(signature, second).files if item.path == WEIGHTS]
    assert weights == FileDiff(path=WEIGHTS, change="changed")


def test_two_single_files_are_compared_whatever_they_are_called(two: tuple[Path, Path]) -> None:
    first, second = two
    (second / WEIGHTS).rename(second / "other.safetensors")
    (item,) = diff(first / WEIGHTS, second / "other.safetensors").files
    assert (item.change, len(item.tensors)) == ("changed", 2)
    same = diff(first / "README.md", second / "README2.md")
    assert same == ModelDiff(files=(), same=1)


@pytest.mark.parametrize(
    "options",
    [
        SnapshotOptions(algorithm="blake3"),
        SnapshotOptions(shard_bytes=10),
    ],
)
def test_digests_of_different_kinds_cannot_be_compared(
    two: tuple[Path, Path], options: SnapshotOptions
) -> None:
    first, second = two
    signature, _ = sign(first, options=options)
    with pytest.raises(MalformedStatementError) as caught:
        diff(signature, second)
    assert "cannot be compared" in str(caught.value)
    assert caught.value.hint


def test_equal_files_are_renamed_one_to_one_in_order_of_their_names() -> None:
    first, second = listing("a", "b", "c"), listing("x", "y", "c")
    assert summary(diff_models(first, second)) == [("a", "renamed", "x"), ("b", "renamed", "y")]
    assert summary(diff_models(first, listing("x", "c"))) == [
        ("a", "renamed", "x"),
        ("b", "removed", None),
    ]


def listing(*paths: str) -> Manifest:
    files = tuple(FileEntry(path=path, digest="0" * 64) for path in paths)
    return Manifest(name="m", method="files", hash_type="sha256", files=files)


def test_a_moved_folder_of_many_equal_files_is_compared_in_one_pass() -> None:
    count = 20_000  # Pair by pair, this would take hours.
    old = listing(*(f"a/{index}" for index in range(count)))
    new = listing(*(f"b/{index}" for index in range(count)))
    assert {item.change for item in diff_models(old, new).files} == {"renamed"}


def test_a_json_file_of_a_model_is_a_model(tmp_path: Path) -> None:
    first = make_model(tmp_path / "a")
    assert load_side(first / "config.json").single_file
    (first / "config.json").write_bytes(b'{"mediaType": "x"')
    with pytest.raises(MalformedJsonError) as caught:  # It says that it is a bundle.
        load_side(first / "config.json")
    assert caught.value.code == "malformed-json"


def test_a_side_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        load_side(tmp_path / "no")
    assert caught.value.code == "model-not-found"


def test_progress_is_reported_for_models(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_side(make_model(tmp_path / "a"), progress=lambda done, all_: seen.append((done, all_)))
    assert seen[-1][0] == seen[-1][1] > 0
