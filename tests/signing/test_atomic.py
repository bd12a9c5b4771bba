"""Files are whole or absent, whatever fails and whoever writes at once."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from countermark.signing.atomic import write_file, write_files
from countermark.signing.errors import FileExistsRefusedError

REAL_FSYNC = os.fsync


def failing_fsync(times_it_works: int) -> Callable[[int], None]:
    left = times_it_works

    def fsync(descriptor: int) -> None:
        nonlocal left
        if left == 0:
            raise OSError(28, "No space left on device")
        left -= 1
        REAL_FSYNC(descriptor)

    return fsync


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    write_file(tmp_path / "a", b"newer")
    assert (tmp_path / "a").read_bytes() == b"newer"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_disk_that_fails_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, replace: bool
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", failing_fsync(0))
    for name in ("a", "b"):
        with pytest.raises(OSError, match="No space left"):
            write_file(tmp_path / name, b"new", replace=replace)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_that_cannot_be_synced_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing_fsync(1))  # The file is synced, its folder is not.
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_replace_false_keeps_the_old_file_and_says_so(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"old", replace=False)
    with pytest.raises(FileExistsRefusedError) as caught:
        write_file(tmp_path / "a", b"new", replace=False)
    assert caught.value.code == "file-exists"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_replace_false_does_not_write_through_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsRefusedError):
        write_file(tmp_path / "a", b"new", replace=False)
    assert names(tmp_path) == ["a"]


def test_a_link_is_replaced_and_what_it_names_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "a").symlink_to("target")
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "target").read_bytes() == b"old"
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("replace", [True, False])
def test_permissions_are_the_ones_asked_for_less_the_umask(
    tmp_path: Path, mode: int, *, replace: bool
) -> None:
    before = os.umask(0o022)
    try:
        write_file(tmp_path / "a", b"", mode=mode, replace=replace)
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode
        os.umask(0o077)
        write_file(tmp_path / "b", b"", mode=mode, replace=replace)
        assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_secret_that_replaces_an_open_file_is_not_open(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"", mode=0o644)
    write_file(tmp_path / "a", b"secret", mode=0o600)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_file(tmp_path / "none" / "a", b"")
    assert caught.value.filename == str(tmp_path / "none" / "a")


def test_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: write_file(tmp_path / "a", data), contents))
    assert (tmp_path / "a").read_bytes() in contents
    assert names(tmp_path) == ["a"]


def test_of_writers_at_once_who_may_not_replace_exactly_one_wins(tmp_path: Path) -> None:
    def attempt(number: int) -> int | None:
        try:
            write_file(tmp_path / "a", bytes([number]), replace=False)
        except FileExistsRefusedError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(attempt, range(16)) if number is not None]
    assert len(winners) == 1
    assert (tmp_path / "a").read_bytes() == bytes(winners)


def test_files_that_belong_together_are_written_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"old")
    write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b"2"


@pytest.mark.parametrize("works", [0, 1])
def test_a_disk_that_fails_costs_none_of_the_files_that_belong_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: int
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", failing_fsync(works))
    with pytest.raises(OSError, match="No space left"):
        write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_that_may_not_be_read_is_still_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def no_reading(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == tmp_path:
            raise PermissionError(13, "Permission denied")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", no_reading)
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
