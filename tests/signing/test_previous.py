"""Earlier signatures as the ground to sign on: only if the right people signed them."""

from __future__ import annotations

from pathlib import Path

import pytest

from countermark.signing import snapshot as snapshot_module
from countermark.signing.cache import DigestCache
from countermark.signing.errors import MalformedBundleError, VerificationError
from countermark.signing.keys import generate
from countermark.signing.places import leaves_file
from countermark.signing.previous import load_previous
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
from support.models import make_model, sign

BIG = {"big.gguf": bytes(2 << 20), "README.md": b"hello"}


def cache_in(folder: Path) -> DigestCache:
    return DigestCache(folder / "cache", b"k" * 32, clock_ns=lambda: 2**62)


def test_a_previous_signature_gives_its_manifest(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    previous = load_previous(signature, [key], cache_in(tmp_path))
    assert [entry.path for entry in previous.manifest.files] == [
        entry.path
        for entry in take_snapshot(model, SnapshotOptions(), exclude=[signature]).manifest.files
    ]


def test_a_previous_signature_by_another_key_is_refused(tmp_path: Path) -> None:
    signature, _ = sign(make_model(tmp_path / "m"))
    with pytest.raises(VerificationError) as caught:
        load_previous(signature, [generate("ec-p256").public_key], cache_in(tmp_path))
    assert caught.value.verdict.code == "wrong-key"


def test_a_previous_signature_is_refused_if_nobody_is_named(tmp_path: Path) -> None:
    signature, _ = sign(make_model(tmp_path / "m"))
    with pytest.raises(VerificationError) as caught:
        load_previous(signature, [], cache_in(tmp_path))
    assert caught.value.verdict.code == "no-trust-given"


def test_all_the_keys_must_have_signed_the_previous_signature(tmp_path: Path) -> None:
    second = generate("ed25519")
    signature, first = sign(make_model(tmp_path / "m"), further=[second])
    load_previous(signature, [first, second.public_key], cache_in(tmp_path))
    with pytest.raises(VerificationError):
        load_previous(signature, [first, generate("ed25519").public_key], cache_in(tmp_path))


def test_a_previous_signature_that_cannot_be_read_is_malformed(tmp_path: Path) -> None:
    signature, key = sign(make_model(tmp_path / "m"))
    signature.write_bytes(b"{}")
    with pytest.raises(MalformedBundleError) as caught:
        load_previous(signature, [key], cache_in(tmp_path))
    assert caught.value.code == "malformed-bundle"


def test_a_previous_signature_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_previous(tmp_path / "no.sig", [generate("ec-p256").public_key], cache_in(tmp_path))


@pytest.mark.parametrize("damage", ["none", "lost", "garbage", "other"])
def test_only_leaves_that_give_their_signed_root_are_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 1)
    model = make_model(tmp_path / "m", BIG, tensors=None)
    signature, key = sign(model)
    beside = leaves_file(signature)
    if damage == "lost":
        beside.unlink()
    elif damage == "garbage":
        beside.write_bytes(b"\xff" * 64)
    elif damage == "other":
        data = bytearray(beside.read_bytes())
        data[-40] ^= 1  # In the digests or the lengths, which lie at the end.
        beside.write_bytes(data)
    previous = load_previous(signature, [key], cache_in(tmp_path))
    assert list(previous.leaves) == (["big.gguf"] if damage == "none" else [])


@pytest.mark.parametrize("trees", [False, True])
def test_a_readme_edit_is_signed_again_on_the_ground_of_the_previous_signature(
    tmp_path: Path, trees: bool
) -> None:
    options = SnapshotOptions(trees=trees)
    model = make_model(tmp_path / "m", BIG)
    signature, key = sign(model, signature=tmp_path / "old.sig", options=options)
    cache = cache_in(tmp_path)
    take_snapshot(model, options, cache=cache)
    (model / "README.md").write_bytes(b"edited")
    previous = load_previous(signature, [key], cache)
    snapshot = take_snapshot(model, options, cache=cache, previous=previous)
    assert snapshot.files_reused == 2
    assert snapshot.manifest == take_snapshot(model, options).manifest
