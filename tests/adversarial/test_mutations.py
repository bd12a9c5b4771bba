"""Whatever is done to a signed model or its bundle: verified means exactly what was signed."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countermark import Error
from countermark.signing.bundle import encode_bundle, parse_bundle
from countermark.signing.examination import examine
from countermark.signing.integrity import VerifyOptions
from countermark.signing.keys import generate
from countermark.signing.places import SIGNATURE_NAME
from countermark.signing.signatures import Trust
from countermark.signing.verdict import Outcome
from support.models import FILES, WEIGHTS, make_model, resign_statement, sign, statement_of, trust

PROFILE = settings(max_examples=250, deadline=None, derandomize=True, database=None)
NAMES = (*sorted(FILES), WEIGHTS)
NEW_NAMES = ("new.py", "tokenizer/new.txt", "CONFIG.json", "model.safetensors.bak", "a:b", "é")
TREE_CHANGES = ("bytes", "rename", "swap", "add", "remove", "link", "copy", "touch")
ORIGINAL = Path(tempfile.mkdtemp(prefix="countermark-mutations-"))
KEY = generate("ec-p256")
STRANGER = generate("ec-p256")

Change = Callable[[bytes], bytes]
Draw = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _original() -> Iterator[None]:
    sign(make_model(ORIGINAL / "model"), key=KEY)
    yield
    shutil.rmtree(ORIGINAL)


def contents(model: Path) -> dict[str, object]:
    """Return every name and what is there, by no code of ours; links are not followed."""
    found: dict[str, object] = {}
    for path in model.rglob("*"):
        name = path.relative_to(model).as_posix()
        if path.is_symlink():
            found[name] = ("link", path.readlink())
        elif path.is_file() and name != SIGNATURE_NAME:
            found[name] = path.read_bytes()
    return found


@st.composite
def byte_changes(draw: st.DrawFn) -> Change:
    where = draw(st.floats(0, 1, exclude_max=True))
    kind = draw(st.sampled_from(["flip", "insert", "delete", "truncate", "append", "swap"]))
    bit, byte = draw(st.integers(0, 7)), draw(st.binary(min_size=1, max_size=3))

    def change(data: bytes) -> bytes:
        at = int(where * len(data))
        head, tail = data[:at], data[at:]
        match kind:
            case "flip":
                return head + bytes([tail[0] ^ (1 << bit)]) + tail[1:] if tail else data
            case "insert":
                return head + byte + tail
            case "delete":
                return head + tail[len(byte) :]
            case "truncate":
                return head
            case "append":
                return data + byte
            case _:
                return head + tail[1:2] + tail[0:1] + tail[2:]

    return change


def _rewrite(path: Path, change: Change) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(change(data))


def mutate_tree(draw: Draw, model: Path) -> None:
    here = [name for name in NAMES if (model / name).is_file()]
    if not here:
        return
    name, new = draw(st.sampled_from(here)), draw(st.sampled_from(NEW_NAMES))
    match draw(
        st.sampled_from(["bytes", "rename", "swap", "add", "remove", "link", "copy", "touch"])
    ):
        case "bytes":
            _rewrite(model / name, draw(byte_changes()))
        case "rename":
            (model / name).rename(model / new)
        case "swap":
            other = draw(st.sampled_from(here))
            first, second = (model / name).read_bytes(), (model / other).read_bytes()
            (model / name).write_bytes(second)
            (model / other).write_bytes(first)
        case "add":
            (model / new).write_bytes(draw(st.binary(max_size=8)))
        case "remove":
            (model / name).unlink()
        case "link":
            (model / name).rename(model.parent / "moved")
            (model / name).symlink_to(model.parent / "moved")
        case "copy":
            shutil.copy2(model / name, model / new)
        case _:
            (model / name).touch()


def mutate_bundle(draw: Draw, model: Path) -> None:
    path = model / SIGNATURE_NAME
    kind = draw(st.sampled_from(["file", "payload", "statement", "signature", "resign", "layout"]))
    if kind == "file":
        _rewrite(path, draw(byte_changes()))
        return
    try:
        bundle = parse_bundle(path.read_bytes())
    except Error:  # Mutated before.
        return
    match kind:
        case "payload":
            bundle = replace(bundle, payload=draw(byte_changes())(bundle.payload))
        case "statement":  # Says the same, in other bytes.
            statement = statement_of(ORIGINAL / "model" / SIGNATURE_NAME)
            bundle = replace(bundle, payload=json.dumps(statement, indent=1).encode())
        case "signature":
            bundle = replace(bundle, signature=draw(byte_changes())(bundle.signature))
        case "resign":  # By somebody else, under the trusted key's name.
            forged = parse_bundle(
                resign_statement(statement_of(ORIGINAL / "model" / SIGNATURE_NAME), STRANGER)
            )
            bundle = replace(forged, key_hint=bundle.key_hint)
        case _:  # Means the same to every reader.
            path.write_text(json.dumps(json.loads(path.read_bytes()), indent=2) + "\n")
            return
    path.write_bytes(encode_bundle(bundle))


@PROFILE
@given(data=st.data())
def test_a_mutated_model_or_bundle_verifies_only_if_names_and_bytes_are_what_was_signed(
    data: st.DataObject,
) -> None:
    original = ORIGINAL / "model"
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        shutil.copytree(original, model)
        for _ in range(data.draw(st.integers(0, 2))):
            mutate = data.draw(st.sampled_from([mutate_tree, mutate_bundle]))
            mutate(data.draw, model)
        options = VerifyOptions(thorough=data.draw(st.booleans()))
        signature = model / SIGNATURE_NAME
        verdict = examine(model, signature, trust(KEY.public_key), options)
        same = contents(model) == contents(original)
        if verdict.outcome is Outcome.VERIFIED:
            assert same
            payload = parse_bundle((original / SIGNATURE_NAME).read_bytes()).payload
            assert parse_bundle(signature.read_bytes()).payload == payload
        elif same:
            assert signature.read_bytes() != (original / SIGNATURE_NAME).read_bytes()


@PROFILE
@given(index=st.integers(0, 1 << 16), bit=st.integers(0, 7))
def test_one_flipped_bit_in_the_signed_bytes_or_the_signature_never_verifies(
    index: int, bit: int
) -> None:
    good = parse_bundle((ORIGINAL / "model" / SIGNATURE_NAME).read_bytes())
    for field in ("payload", "signature"):
        data = bytearray(getattr(good, field))
        data[index % len(data)] ^= 1 << bit
        changed = bytes(data)
        in_payload = field == "payload"
        bent = replace(good, payload=changed) if in_payload else replace(good, signature=changed)
        with tempfile.TemporaryDirectory() as scratch:
            signature = Path(scratch) / SIGNATURE_NAME
            signature.write_bytes(encode_bundle(bent))
            verdict = examine(ORIGINAL / "model", signature, trust(KEY.public_key))
        assert verdict.outcome is Outcome.TAMPERED
        assert verdict.code == "signature-invalid"


def test_layout_of_the_outer_json_may_change_and_the_model_still_verifies(tmp_path: Path) -> None:
    signature = tmp_path / SIGNATURE_NAME
    document = json.loads((ORIGINAL / "model" / SIGNATURE_NAME).read_bytes())
    signature.write_text("\n " + json.dumps(document, indent=3, sort_keys=True) + "\n")
    verdict = examine(ORIGINAL / "model", signature, trust(KEY.public_key))
    assert verdict.outcome is Outcome.VERIFIED


def test_layout_of_the_signed_payload_may_not_change(tmp_path: Path) -> None:
    signature = tmp_path / SIGNATURE_NAME
    document = json.loads((ORIGINAL / "model" / SIGNATURE_NAME).read_bytes())
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload + b" ").decode()
    signature.write_text(json.dumps(document))
    verdict = examine(ORIGINAL / "model", signature, trust(KEY.public_key))
    assert verdict.code == "signature-invalid"


@PROFILE
@given(data=st.binary(max_size=200))
def test_any_bytes_as_a_bundle_give_a_verdict_that_is_not_verified(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        signature = Path(scratch) / SIGNATURE_NAME
        signature.write_bytes(data)
        verdict = examine(ORIGINAL / "model", signature, Trust(public_keys=(KEY.public_key,)))
    assert verdict.outcome is Outcome.MALFORMED
