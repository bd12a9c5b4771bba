"""One small model, signed once; every test gets a copy of its own."""

import json
import shutil
from pathlib import Path

import pytest

from countermark.signing.keys import generate
from countermark.signing.places import default_signature, evidence_files
from countermark.signing.sign import Identity, sign_snapshot, write_signed
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
from support.extras import need_watermark
from support.models import make_model


@pytest.fixture(scope="session")
def _signed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = tmp_path_factory.mktemp("desk")
    model = make_model(desk / "model")
    for name in ("release", "stranger"):
        key = generate("ec-p256")
        (desk / f"{name}.key").write_bytes(key.pem(None))
        (desk / f"{name}.pub").write_bytes(key.public_key.pem)
        if name == "release":
            signature = default_signature(model)
            options = SnapshotOptions()
            snapshot = take_snapshot(model, options, exclude=evidence_files(signature))
            write_signed(sign_snapshot(snapshot, [Identity(key=key)]), signature)
    return desk


@pytest.fixture
def desk(_signed_once: Path, tmp_path: Path) -> Path:
    """Return a folder with a signed `model`, `release.key`, `release.pub` and a stranger's pair."""
    return Path(shutil.copytree(_signed_once, tmp_path / "desk", symlinks=True))


@pytest.fixture(scope="session")
def _marked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_watermark()
    # Here, since most tests of the command line need none of it.
    from countermark.watermark.keyring import KeyRing
    from countermark.watermark.keyring_files import save_ring
    from countermark.watermark.tokenization import load_tokenizer
    from support.marked import make_tokenizer, new_key, words_of, written

    folder = tmp_path_factory.mktemp("marked")
    tokenizer = make_tokenizer(folder / "tokenizer.json")
    digest = load_tokenizer(tokenizer).sha256
    key = new_key(seed=1, tokenizer_sha256=digest)
    ids_key = new_key(seed=2)
    save_ring(KeyRing(keys=(key,)), folder / "words.ring")
    save_ring(KeyRing(keys=(ids_key,)), folder / "ids.ring")
    (folder / "marked.txt").write_text(words_of(tokenizer, 150, seed=3, key=key))
    (folder / "plain.txt").write_text(words_of(tokenizer, 300, seed=4))
    (folder / "short.txt").write_text(words_of(tokenizer, 30, seed=5))
    for name, tokens, by in (("marked", 120, ids_key), ("plain", 300, None), ("short", 20, None)):
        ids = written(tokens, seed=6, key=by).tolist()
        (folder / f"{name}.ids").write_text(json.dumps(ids) + "\n")
    return folder


@pytest.fixture
def texts(_marked_once: Path, tmp_path: Path) -> Path:
    """Return a folder with `marked`, `plain` and `short` (`.txt`, `.ids`), and their rings.

    `words.ring` has the key of `marked.txt`, which is of `tokenizer.json`; `ids.ring` that of
    `marked.ids`.
    """
    return Path(shutil.copytree(_marked_once, tmp_path / "texts"))
