"""Models and keys for the interoperability tests; every test gets its own copy."""

from pathlib import Path

import pytest

from support import peer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return peer.make_model(tmp_path / "model")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return peer.make_key(tmp_path)


@pytest.fixture
def signature(tmp_path: Path) -> Path:
    """Outside the model; whoever wants it inside says so."""
    return tmp_path / "model.sig"
