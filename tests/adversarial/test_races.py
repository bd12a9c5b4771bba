"""A model that changes while it is read: real files, real writes, at chosen moments."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from countermark.cli.exits import EXIT_OF
from countermark.signing.digest import FileDigest, Job, Plan, digest_files
from countermark.signing.errors import FileChangedError
from countermark.signing.examination import examine
from countermark.signing.integrity import VerifyOptions
from countermark.signing.keys import PublicKey
from countermark.signing.verdict import Outcome, Verdict
from countermark.signing.walk import ModelFile, walk
from support.models import make_model, sign, trust
from support.races import later_than, overwrite

SIZE = 3 << 20
LONG_AGO_NS = 1_000_000_000 * 1_000_000_000


class OnRead:
    """Does something once, right after the first large read of one file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        self._inode = file.stat().st_ino
        self._action: Callable[[], object] = lambda: None
        self.happened = False
        for name in ("read", "readv", "pread", "preadv"):
            monkeypatch.setattr(os, name, self._wrap(getattr(os, name)))

    def do(self, action: Callable[[], object]) -> None:
        self._action = action

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(descriptor: int, *arguments: Any) -> Any:  # noqa: ANN401 - as os.read and its like
            result = call(descriptor, *arguments)
            size = result if isinstance(result, int) else len(result)
            large = size >= 1 << 16
            if large and not self.happened and os.fstat(descriptor).st_ino == self._inode:
                self.happened = True
                self._action()
            return result

        return wrapped


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = make_model(tmp_path / "model", {"w.bin": bytes(SIZE), "README.md": b"x"}, tensors=None)
    for file in made.iterdir():  # The kernel's clock ticks in milliseconds; be far from now.
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return made


@pytest.fixture(params=[False, True], ids=["blocks", "thorough"])
def options(request: pytest.FixtureRequest) -> VerifyOptions:
    return VerifyOptions(thorough=bool(request.param))


@pytest.fixture
def signed(model: Path, tmp_path: Path) -> tuple[Path, PublicKey]:
    return sign(model, signature=tmp_path / "model.sig")


def expect_changed(verdict: Verdict, name: str = "w.bin") -> None:
    assert EXIT_OF[verdict.outcome] == 11
    assert verdict.code == "changed-while-reading"
    assert name in verdict.sentence


@pytest.mark.parametrize("offset", [0, SIZE - 4], ids=["head", "tail"])
@pytest.mark.parametrize("keep_mtime", [False, True], ids=["plain", "mtime-restored"])
def test_row_23_a_file_overwritten_while_it_is_verified_is_refused(
    model: Path,
    signed: tuple[Path, PublicKey],
    options: VerifyOptions,
    monkeypatch: pytest.MonkeyPatch,
    offset: int,
    keep_mtime: bool,
) -> None:
    signature, key = signed
    moment = OnRead(monkeypatch, model / "w.bin")
    moment.do(lambda: overwrite(model / "w.bin", offset, keep_mtime=keep_mtime))
    verdict = examine(model, signature, trust(key), options)
    assert moment.happened
    expect_changed(verdict)


def test_row_23_the_same_read_without_a_writer_verifies(
    model: Path,
    signed: tuple[Path, PublicKey],
    options: VerifyOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signature, key = signed
    moment = OnRead(monkeypatch, model / "w.bin")
    assert examine(model, signature, trust(key), options).outcome is Outcome.VERIFIED
    assert moment.happened


@pytest.mark.parametrize("length", [0, 1 << 20, SIZE - 1])
def test_row_24_a_file_truncated_while_it_is_read_is_refused_and_kills_nobody(
    model: Path,
    signed: tuple[Path, PublicKey],
    options: VerifyOptions,
    monkeypatch: pytest.MonkeyPatch,
    length: int,
) -> None:
    signature, key = signed
    moment = OnRead(monkeypatch, model / "w.bin")
    moment.do(lambda: os.truncate(model / "w.bin", length))
    verdict = examine(model, signature, trust(key), options)
    assert moment.happened
    expect_changed(verdict)


def test_row_24_a_truncated_file_is_not_signed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OnRead(monkeypatch, model / "w.bin").do(lambda: os.truncate(model / "w.bin", 5))
    with pytest.raises(FileChangedError) as refusal:
        sign(model, signature=tmp_path / "model.sig")
    assert refusal.value.code == "changed-while-reading"
    assert not (tmp_path / "model.sig").exists()


def test_a_file_that_grows_while_it_is_read_is_refused(
    model: Path,
    signed: tuple[Path, PublicKey],
    options: VerifyOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signature, key = signed
    OnRead(monkeypatch, model / "w.bin").do(lambda: os.truncate(model / "w.bin", SIZE + 1))
    expect_changed(examine(model, signature, trust(key), options))


def test_a_file_replaced_by_rename_while_it_is_read_was_at_least_the_signed_one(
    model: Path,
    signed: tuple[Path, PublicKey],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The open file lost its name, which changes its ctime: noticed, though its bytes are right.
    signature, key = signed
    other = model.parent / "other"
    other.write_bytes(b"evil" * (SIZE // 4))
    later_than((model / "w.bin").stat().st_ctime_ns, other)
    OnRead(monkeypatch, model / "w.bin").do(lambda: other.replace(model / "w.bin"))
    expect_changed(examine(model, signature, trust(key)))


def found(model: Path, name: str = "w.bin") -> ModelFile:
    return next(file for file in walk(model).files if file.path == name)


def digest(file: ModelFile) -> list[FileDigest]:
    return digest_files([Job(file, Plan("sha256"))])


def test_a_file_swapped_for_a_link_between_walk_and_read_is_refused(model: Path) -> None:
    file = found(model)
    (model / "w.bin").rename(model.parent / "moved")
    (model / "w.bin").symlink_to(model.parent / "moved")
    with pytest.raises(FileChangedError, match="symbolic link"):
        digest(file)


def test_a_file_swapped_for_a_fifo_between_walk_and_read_is_refused_without_waiting(
    model: Path,
) -> None:
    file = found(model)
    (model / "w.bin").unlink()
    os.mkfifo(model / "w.bin")
    with pytest.raises(FileChangedError, match="replaced"):
        digest(file)


def test_a_file_removed_between_walk_and_read_is_refused(model: Path) -> None:
    file = found(model)
    (model / "w.bin").unlink()
    with pytest.raises(FileChangedError, match="vanished"):
        digest(file)


def test_a_parent_folder_swapped_for_a_link_between_walk_and_read_is_refused(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "model", {"sub/w.bin": b"good"}, tensors=None)
    file = found(model, "sub/w.bin")
    make_model(tmp_path / "outside", {"w.bin": b"good"}, tensors=None)
    (model / "sub").rename(tmp_path / "away")
    (model / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(FileChangedError, match="replaced"):
        digest(file)


def test_a_parent_folder_replaced_by_a_file_between_walk_and_read_never_verifies(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "model", {"sub/w.bin": b"good"}, tensors=None)
    file = found(model, "sub/w.bin")
    (model / "sub").rename(tmp_path / "away")
    (model / "sub").write_bytes(b"good")
    with pytest.raises(NotADirectoryError):
        digest(file)
