"""Evidence on disk: who signs, in which order files appear, and that none is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from countermark.signing import snapshot as snapshot_module
from countermark.signing.bundle import parse_bundle, parse_bundle_lines
from countermark.signing.dsse import PAYLOAD_TYPE, pae
from countermark.signing.errors import EmptyModelError, FileExistsRefusedError, KeyMaterialError
from countermark.signing.examination import examine
from countermark.signing.keys import generate
from countermark.signing.leaves import decode
from countermark.signing.places import leaves_file, set_file
from countermark.signing.sign import Identity, Signed, sign_snapshot, write_signed
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
from countermark.signing.verdict import Outcome
from support.models import OPTIONS, make_model, sign, trust

EVIDENCE = ["model.sig", "model.sig.leaves", "model.sigs.jsonl"]


def evidence_in(folder: Path) -> list[str]:
    """Every file that is not the model's own, temporary ones included."""
    return sorted(p.name for p in folder.iterdir() if "sig" in p.name)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in evidence_in(folder)}


def test_every_signer_signs_the_same_statement_in_a_bundle_of_his_own(tmp_path: Path) -> None:
    keys = [generate("ec-p256"), generate("ed25519"), generate("ml-dsa-65")]
    snapshot = take_snapshot(make_model(tmp_path / "m"), OPTIONS)
    signed = sign_snapshot(snapshot, [Identity(key=key) for key in keys])
    bundles = [parse_bundle(data) for data in (signed.bundle, *signed.further)]
    assert len({bundle.payload for bundle in bundles}) == 1
    for bundle, key in zip(bundles, keys, strict=True):
        assert (bundle.method, bundle.key_hint) == ("key", key.public_key.key_id)
        key.public_key.check(bundle.signature, pae(PAYLOAD_TYPE, bundle.payload))


def test_a_chain_takes_the_place_of_the_key_hint(tmp_path: Path) -> None:
    snapshot = take_snapshot(make_model(tmp_path / "m"), OPTIONS)
    signed = sign_snapshot(snapshot, [Identity(key=generate("ec-p256"), chain=(b"der",))])
    bundle = parse_bundle(signed.bundle)
    assert (bundle.method, bundle.key_hint, bundle.certificates) == ("certificate", None, (b"der",))


def test_nobody_cannot_sign(tmp_path: Path) -> None:
    snapshot = take_snapshot(make_model(tmp_path / "m"), OPTIONS)
    with pytest.raises(KeyMaterialError) as caught:
        sign_snapshot(snapshot, [])
    assert caught.value.code == "key-unusable"


def test_a_model_of_empty_files_cannot_be_signed_in_shards(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {"empty": b""}, tensors=None)
    snapshot = take_snapshot(model, SnapshotOptions(shard_bytes=10))
    with pytest.raises(EmptyModelError) as caught:
        sign_snapshot(snapshot, [Identity(key=generate("ec-p256"))])
    assert caught.value.code == "empty-model"


def test_one_signer_of_a_small_model_writes_one_file(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, _ = sign(model)
    assert evidence_in(model) == ["model.sig"]
    assert parse_bundle(signature.read_bytes()).method == "key"


def test_further_signers_and_many_leaves_get_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 0)
    model = make_model(tmp_path / "m")
    signature, _ = sign(model, further=[generate("ed25519"), generate("ec-p384")])
    assert evidence_in(model) == EVIDENCE
    assert len(parse_bundle_lines(set_file(signature).read_bytes())) == 2
    assert list(decode(leaves_file(signature).read_bytes())) == ["model.safetensors"]


def test_what_was_written_is_returned_with_the_signature_first(tmp_path: Path) -> None:
    target = tmp_path / "a.sig"
    everything = Signed(bundle=b"b", further=(b"1", b"2"), leaves=b"l")
    written = write_signed(everything, target)
    assert written[0] == target
    assert sorted(path.name for path in written) == ["a.sig", "a.sig.leaves", "a.sigs.jsonl"]
    assert (tmp_path / "a.sigs.jsonl").read_bytes() == b"1\n2\n"
    assert write_signed(Signed(bundle=b"b"), tmp_path / "b.sig") == (tmp_path / "b.sig",)


def test_the_signature_gets_its_name_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    really = Path.replace

    def watched(self: Path, target: Path) -> Path:
        order.append(target.name)
        return really(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_signed(Signed(bundle=b"b", further=(b"1",), leaves=b"l"), tmp_path / "model.sig")
    assert sorted(order) == EVIDENCE
    assert order[-1] == "model.sig"


@pytest.mark.parametrize("name", EVIDENCE)
@pytest.mark.parametrize("as_link", [False, True])
def test_signing_refuses_to_overwrite_any_of_the_evidence(
    tmp_path: Path, name: str, as_link: bool
) -> None:
    model = make_model(tmp_path / "m")
    if as_link:
        (model / name).symlink_to("nowhere")
    else:
        (model / name).write_bytes(b"precious")
    with pytest.raises(FileExistsRefusedError) as caught:
        write_signed(Signed(bundle=b"b"), model / "model.sig")
    assert caught.value.code == "file-exists"
    assert evidence_in(model) == [name]
    assert as_link or (model / name).read_bytes() == b"precious"


def test_replacing_removes_companions_that_belong_to_the_old_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "m")
    with monkeypatch.context() as patch:
        patch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 0)
        sign(model, further=[generate("ed25519")])
    assert evidence_in(model) == EVIDENCE
    signature, key = sign(model, replace=True)
    assert evidence_in(model) == ["model.sig"]
    assert examine(model, signature, trust(key)).outcome is Outcome.VERIFIED


def test_signing_again_needs_leave_to_replace(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    sign(model)
    before = contents(model)
    with pytest.raises(FileExistsRefusedError):
        sign(model)
    assert contents(model) == before
    sign(model, replace=True)
    assert contents(model) != before


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("survives", [0, 1, 2])
def test_a_disk_that_fails_half_way_loses_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool, survives: int
) -> None:
    model = make_model(tmp_path / "m")
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 0)
    if replace:
        sign(model, further=[generate("ed25519")])
    before = contents(model)
    really, synced = os.fsync, []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > survives:
            raise OSError(errno.ENOSPC, "No space left on device")
        really(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            sign(model, further=[generate("ec-p256")], replace=replace)
    assert contents(model) == before
    sign(model, further=[generate("ec-p256")], replace=replace)  # And nothing is in the way.


def test_an_interrupt_half_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_signed(Signed(bundle=b"b", leaves=b"l"), tmp_path / "model.sig")
    assert list(tmp_path.iterdir()) == []


def test_evidence_in_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_signed(Signed(bundle=b"b"), tmp_path / "no" / "model.sig")
