"""One small model, signed once; every test gets a copy of its own."""

import shutil
from pathlib import Path

import pytest

from countermark.signing.keys import generate
from countermark.signing.places import default_signature, evidence_files
from countermark.signing.sign import Identity, sign_snapshot, write_signed
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
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
