"""Where evidence lies, and that opening it never waits."""

import os
from pathlib import Path

import pytest

from countermark.signing.errors import MalformedError, SignatureNotFoundError
from countermark.signing.places import (
    default_signature,
    evidence_files,
    find_signature,
    leaves_file,
    read_evidence,
    set_file,
)


def test_a_signature_lies_inside_a_folder_and_beside_a_file(tmp_path: Path) -> None:
    (tmp_path / "w.bin").touch()
    assert default_signature(tmp_path) == tmp_path / "model.sig"
    assert default_signature(tmp_path / "w.bin") == tmp_path / "model.sig"


def test_companions_are_named_after_the_signature() -> None:
    assert set_file(Path("d/model.sig")) == Path("d/model.sigs.jsonl")
    assert leaves_file(Path("d/model.sig")) == Path("d/model.sig.leaves")
    assert set_file(Path("proof")) == Path("proof.sigs.jsonl")
    names = [path.name for path in evidence_files(Path("d/model.sig"))]
    assert names == ["model.sig", "model.sigs.jsonl", "model.sig.leaves", "model.c2pa"]


def test_a_folders_own_signature_comes_before_the_one_beside_it(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    beside, inside = tmp_path / "model.sig", model / "model.sig"
    beside.touch()
    assert find_signature(model) == beside
    inside.touch()
    assert find_signature(model) == inside


def test_a_files_own_signature_comes_before_the_folders(tmp_path: Path) -> None:
    model = tmp_path / "w.bin"
    model.touch()
    (tmp_path / "model.sig").touch()
    assert find_signature(model) == tmp_path / "model.sig"
    (tmp_path / "w.bin.sig").touch()
    assert find_signature(model) == tmp_path / "w.bin.sig"


def test_no_signature_is_said_with_the_places_looked_at(tmp_path: Path) -> None:
    model = tmp_path / "m\x1b"
    model.mkdir()
    (model / "model.sig").mkdir()  # A folder of that name is none.
    with pytest.raises(SignatureNotFoundError, match=r"m\\x1b/model\.sig nor ") as caught:
        find_signature(model)
    assert caught.value.code == "signature-not-found"
    assert "--signature" in caught.value.hint


def test_evidence_is_read_one_byte_beyond_the_limit_at_most(tmp_path: Path) -> None:
    file = tmp_path / "model.sig"
    file.write_bytes(b"12345")
    assert read_evidence(file, 5) == b"12345"
    assert read_evidence(file, 3) == b"1234"


def test_evidence_that_is_not_a_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/null")):
        with pytest.raises(MalformedError, match="not a file") as caught:
            read_evidence(path, 5)
        assert caught.value.code == "malformed"
    with pytest.raises(FileNotFoundError):
        read_evidence(tmp_path / "none", 5)
