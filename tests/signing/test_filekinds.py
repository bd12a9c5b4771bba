"""What a file is for, from its name and its first bytes."""

import io
import pickle
import zipfile

import pytest

from countermark.signing.filekinds import HEAD_BYTES, is_weights, kind_of_head, kind_of_name


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("model.safetensors", "weights"),
        ("deep/er/MODEL.GGUF", "weights"),
        ("model.onnx_data", "weights"),
        ("weights.bin", "weights"),
        ("pytorch_model.bin", "pickle"),
        ("pytorch_model-00001-of-00002.bin", "pickle"),
        ("sub/training_args.bin", "pickle"),
        ("model.pt", "pickle"),
        ("modeling.py", "code"),
        ("chat.jinja", "code"),
        ("config.json", "config"),
        ("README.md", "config"),
        ("LICENSE", "other"),
        ("safetensors", "other"),
        ("model.safetensors/x", "other"),
        ("a.unknown", "other"),
        ("", "other"),
    ],
)
def test_kind_of_name(path: str, kind: str) -> None:
    assert kind_of_name(path) == kind


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_one_whatever_it_is_called(protocol: int) -> None:
    head = pickle.dumps([1], protocol=protocol)
    assert kind_of_head("model.safetensors", head) == "pickle"
    assert kind_of_head("model.safetensors", b"\x80\x06" + head[2:]) == "weights"
    assert kind_of_head("model.safetensors", head[1:]) == "weights"


def test_a_zip_with_a_pickle_inside_is_a_pickle_and_another_is_not() -> None:
    for name, kind in (("archive/data.pkl", "pickle"), ("archive/data.txt", "other")):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, b"x")
        assert kind_of_head("file", buffer.getvalue()[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    ("path", "head", "kind"),
    [
        ("file", b"GGUF\x03", "weights"),
        ("file.txt", b"GGUF\x03", "weights"),
        ("run", b"#!/bin/sh\n", "code"),
        ("run", b"\x7fELF\x02", "code"),
        ("run", b"MZ\x90", "code"),
        ("run", b"M", "other"),
        ("run", b"", "other"),
        ("notes.txt", b"#!/bin/sh\n", "config"),
    ],
)
def test_kind_of_head(path: str, head: bytes, kind: str) -> None:
    assert kind_of_head(path, head) == kind


def test_weights_are_weights_and_pickles_and_nothing_else() -> None:
    kinds = ("weights", "pickle", "code", "config", "other")
    assert [kind for kind in kinds if is_weights(kind)] == ["weights", "pickle"]
