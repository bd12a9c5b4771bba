"""What other projects make of models and content that we signed: encypher-c2pa, onnx, safetensors.

encypher-c2pa is an engine of its own, in another language than c2pa's. It does not know model
files, so what it judges of them is the store, beside content it does know.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from countermark.provenance.onnx_carrier import OnnxStore
from countermark.provenance.safetensors_carrier import SafetensorsStore
from countermark.provenance.text_wrapper import TextWrapper
from support.credentials import make_credentials
from support.model_credentials import codes, embedded, plan, sign_png, signed_model

pytestmark = pytest.mark.interop


def ask(path: Path, media_type: str) -> dict[str, Any]:
    """Let encypher-c2pa judge, without its network and its telemetry."""
    encypher = pytest.importorskip("encypher_c2pa")
    report: dict[str, Any] = encypher.verify(
        path,
        media_type,
        trust_pem=make_credentials().ca_pem.decode(),
        no_default_trust=True,
        telemetry=False,
        online=False,
    )
    return report


def test_generated_media_with_their_model_are_trusted_by_another_engine(tmp_path: Path) -> None:
    model = signed_model(tmp_path / "tiny")
    planned = plan(
        media_type="image/png",
        title="x.png",
        generated_by=model,
        prompt="a cat",
        training_mining={"ai_training": "notAllowed", "data_mining": "constrained:ask"},
    )
    data, _ = sign_png(planned)
    path = tmp_path / "x.png"
    path.write_bytes(data)
    report = ask(path, "image/png")
    assert (report["hard_binding"], report["signature"]) == ("match", "valid")
    assert report["validation_state"] == "Trusted"
    assert report["validation_results"]["failure"] == []
    assert "ingredient.manifest.validated" in json.dumps(report["validation_results"]["success"])
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    assert ask(path, "image/png")["hard_binding"] == "mismatch"


def test_an_edit_by_a_model_is_trusted_by_another_engine(tmp_path: Path) -> None:
    model = signed_model(tmp_path / "tiny")
    first, _ = sign_png(plan(media_type="image/png", title="first.png"))
    (tmp_path / "first.png").write_bytes(first)
    data, _ = sign_png(
        plan(media_type="image/png", edited_from=tmp_path / "first.png", generated_by=model), first
    )
    path = tmp_path / "x.png"
    path.write_bytes(data)
    report = ask(path, "image/png")
    assert report["validation_state"] == "Trusted"
    assert report["validation_results"]["failure"] == []


def test_generated_text_with_its_model_is_trusted_by_another_engine(tmp_path: Path) -> None:
    model = signed_model(tmp_path / "tiny")
    planned = plan(media_type="text/plain", title="x.txt", generated_by=model)
    path = tmp_path / "x.txt"
    path.write_bytes(embedded(TextWrapper(), b"Some words that a model wrote.\n", planned))
    report = ask(path, "text/plain")
    assert report["validation_state"] == "Trusted"
    assert report["hard_binding"] == "match"


def test_onnx_checks_and_loads_a_signed_model(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    ends = [helper.make_tensor_value_info(name, 1, [3]) for name in "xy"]
    weights = onnx.numpy_helper.from_array(np.arange(3, dtype=np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights]
    )
    plain = helper.make_model(graph, producer_name="tests")
    helper.set_model_props(plain, {"author": "tests", "c2pa:manifest": "cXVpdGUgYW5vdGhlcg=="})
    path = tmp_path / "signed.onnx"
    path.write_bytes(embedded(OnnxStore(), plain.SerializeToString()))
    assert codes(OnnxStore(), path.read_bytes()) == ("binding-signed", "content-matches")
    signed = onnx.load(path)
    onnx.checker.check_model(signed, full_check=True)
    assert signed.graph == plain.graph
    props = {entry.key: entry.value for entry in signed.metadata_props}
    assert props.keys() == {"author", "c2pa:manifest"}
    place = OnnxStore().find(io.BytesIO(path.read_bytes()))
    assert place is not None
    # Written anew by onnx, the entry stands elsewhere or not: what is found is what is there.
    anew = tmp_path / "anew.onnx"
    onnx.save(signed, anew)
    found = OnnxStore().find(io.BytesIO(anew.read_bytes()))
    assert found is not None
    assert found.store == place.store


def test_safetensors_opens_a_signed_model_that_it_wrote(tmp_path: Path) -> None:
    tensors = {f"layer.{n}": np.full((n, 3), n, dtype=np.float16) for n in range(5)}
    path = tmp_path / "signed.safetensors"
    path.write_bytes(
        embedded(SafetensorsStore(), safetensors.numpy.save(tensors, metadata={"format": "np"}))
    )
    loaded = safetensors.numpy.load_file(path)
    assert loaded.keys() == tensors.keys()
    assert all((loaded[name] == tensor).all() for name, tensor in tensors.items())
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata().keys() == {"format", "c2pa:manifest"}
    assert codes(SafetensorsStore(), path.read_bytes()) == ("binding-signed", "content-matches")
