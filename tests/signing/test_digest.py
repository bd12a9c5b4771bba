"""Digests: the right ones, whatever the size, and none at all of a file that changes."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from countermark.signing import digest as digest_module
from countermark.signing.digest import FileDigest, Job, Plan, digest_files, open_unchanged
from countermark.signing.errors import FileChangedError
from countermark.signing.manifest import Shard
from countermark.signing.merkle import BLAKE3, root
from countermark.signing.walk import ModelFile, walk
from support.models import write_safetensors
from support.reads import record_reads

MIB = 1 << 20
SIZES = [0, 1, 2047, 2048, MIB - 1, MIB, MIB + 1, 3 * MIB]
REFERENCES: dict[str, Callable[[bytes], str]] = {
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "blake2b": lambda data: hashlib.blake2b(data).hexdigest(),
    "blake3": lambda data: blake3(data).hexdigest(),
}


def content(size: int) -> bytes:
    return hashlib.shake_128(b"digest tests").digest(size)


def lay(folder: Path, files: dict[str, bytes]) -> tuple[ModelFile, ...]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return walk(folder).files


def one(path: Path, plan: Plan) -> FileDigest:
    (result,) = digest_files([Job(walk(path).files[0], plan)])
    return result


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", REFERENCES)
def test_digest_equals_the_reference_at_every_size(
    tmp_path: Path, algorithm: str, size: int
) -> None:
    (tmp_path / "w").write_bytes(content(size))
    found = one(tmp_path / "w", Plan(algorithm))
    assert (found.algorithm, found.digest) == (algorithm, REFERENCES[algorithm](content(size)))
    assert (found.shards, found.tree) == ((), None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", REFERENCES)
def test_trees_in_the_same_read_leave_the_digest_as_it_is(
    tmp_path: Path, algorithm: str, size: int
) -> None:
    data = content(size)
    (tmp_path / "w.gguf").write_bytes(data)
    found = one(tmp_path / "w.gguf", Plan(algorithm, trees=True))
    blocks = [blake3(data[at : at + MIB]).digest() for at in range(0, size, MIB)]
    assert found.digest == REFERENCES[algorithm](data)
    assert found.tree is not None
    assert found.tree.block_digests == b"".join(blocks)
    assert found.tree.block_root == root(blocks, BLAKE3)
    assert (found.tree.segments, found.tree.tensor_root) == ((size,), None)


def test_trees_alone_take_no_other_digest(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"data")
    found = one(tmp_path / "w", Plan(None, trees=True))
    assert (found.algorithm, found.digest) == ("", "")
    assert found.tree is not None


@pytest.mark.parametrize("algorithm", REFERENCES)
@pytest.mark.parametrize("shard", [1000, MIB, MIB + 1, 5 * MIB])
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2 * MIB, 2 * MIB + 2])
def test_shards_are_cut_at_their_length_and_the_last_one_is_shorter(
    tmp_path: Path, algorithm: str, shard: int, size: int
) -> None:
    data = content(size)
    (tmp_path / "w").write_bytes(data)
    found = one(tmp_path / "w", Plan(algorithm, shard_bytes=shard))
    reference = REFERENCES[algorithm]
    assert found.shards == tuple(
        Shard(at, min(at + shard, size), reference(data[at : at + shard]))
        for at in range(0, size, shard)
    )
    assert found.digest == ""


def test_a_safetensors_file_has_a_tree_over_its_tensors(tmp_path: Path) -> None:
    tensors = {"b": content(MIB + 5), "a": b"\x01\x02"}
    path = write_safetensors(tmp_path / "w.safetensors", tensors)
    found = one(path, Plan(None, trees=True))
    assert found.tree is not None
    assert [tensor.name for tensor in found.tree.tensors] == ["a", "b"]
    assert found.tree.tensors[0].root == blake3(b"\x00" + blake3(b"\x01\x02").digest()).digest()
    assert found.tree.segments[1:] == (MIB + 5, 2)
    assert found.malformed == ""


def test_a_malformed_safetensors_file_is_digested_as_bytes_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 32)
    found = one(tmp_path / "w.safetensors", Plan("sha256", trees=True))
    assert found.digest == hashlib.sha256(b"\xff" * 32).hexdigest()
    assert found.tree is not None
    assert found.tree.tensor_root is None
    assert found.malformed


def test_the_kind_comes_from_the_first_bytes_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\x80\x04K\x01.")
    assert one(tmp_path / "config.json", Plan("sha256")).kind == "pickle"


def many(tmp_path: Path) -> list[Job]:
    files = lay(tmp_path, {f"{index:02}": content(index * 100_000) for index in range(24)})
    return [Job(file, Plan("sha256", trees=True)) for file in files]


def test_many_threads_give_what_one_gives_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    jobs = many(tmp_path)
    alone = digest_files(jobs, threads=1)
    assert digest_files(jobs, threads=7) == alone
    assert digest_files(jobs) == alone
    assert [found.file for found in alone] == [job.file for job in jobs]


def test_no_job_gives_no_digest() -> None:
    assert digest_files([]) == []
    assert digest_files([], progress=lambda _: None) == []


@pytest.mark.parametrize("threads", [1, 5])
def test_progress_never_goes_back_and_ends_at_the_total(tmp_path: Path, threads: int) -> None:
    jobs = many(tmp_path)
    seen: list[int] = []
    callers: set[int] = set()

    def progress(done: int) -> None:
        seen.append(done)
        callers.add(threading.get_ident())

    digest_files(jobs, threads=threads, progress=progress)
    assert seen == sorted(seen)
    assert seen[-1] == sum(job.file.identity.size_bytes for job in jobs)
    assert callers == {threading.get_ident()}


@pytest.mark.parametrize("threads", [1, 4])
def test_a_failure_in_one_file_is_the_error_that_comes_out(tmp_path: Path, threads: int) -> None:
    jobs = many(tmp_path)
    (tmp_path / "11").write_bytes(b"replaced")
    before = threading.active_count()
    with pytest.raises(FileChangedError, match=r"^11 ") as caught:
        digest_files(jobs, threads=threads)
    assert caught.value.code == "changed-while-reading"
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failure_stops_the_other_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    jobs = many(tmp_path)
    (tmp_path / "23").write_bytes(b"replaced")  # The largest, so the first to be opened.
    opened = record_reads(monkeypatch)
    with pytest.raises(FileChangedError):
        digest_files(jobs, threads=threads)
    assert "23" in opened
    assert len(opened) < len(jobs)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_the_progress_callback_raises_comes_out_and_stops_the_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    jobs = many(tmp_path)
    before = threading.active_count()
    opened: list[str] = []
    may_read = threading.Event()
    really = os.open

    def wait_and_open(path: str, flags: int) -> int:
        opened.append(path)
        may_read.wait(10)
        return really(path, flags)

    def progress(_: int) -> None:
        may_read.set()
        raise error

    monkeypatch.setattr(os, "open", wait_and_open)
    with pytest.raises(error):
        digest_files(jobs, threads=4, progress=progress)
    assert len(opened) < len(jobs)
    assert threading.active_count() == before


def test_files_are_read_largest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = lay(tmp_path, {"a": b"1", "b": b"333", "c": b"22"})
    opened = record_reads(monkeypatch)
    digest_files([Job(file, Plan("sha256")) for file in files], threads=1)
    assert opened == ["b", "c", "a"]


def replace(path: Path) -> None:
    (path.parent / "new").write_bytes(path.read_bytes())
    os.replace(path.parent / "new", path)


def truncate(path: Path) -> None:
    os.truncate(path, 10)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # Only ctime tells.


def delete(path: Path) -> None:
    path.unlink()


def swap_for_link(path: Path) -> None:
    path.rename(path.parent / "away")
    path.symlink_to(path.parent / "away")


def swap_for_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES = [replace, truncate, grow, rewrite, delete, swap_for_link, swap_for_fifo]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_a_file_that_changes_between_walk_and_read_is_refused(
    tmp_path: Path, change: Callable[[Path], None], size: int
) -> None:
    path = tmp_path / "w"
    path.write_bytes(content(size))
    (file,) = walk(path).files
    change(path)
    with pytest.raises(FileChangedError) as caught:
        digest_files([Job(file, Plan("sha256", trees=True))])
    assert caught.value.code == "changed-while-reading"
    assert caught.value.hint


@pytest.mark.parametrize("change", [truncate, grow, rewrite])
def test_a_file_that_changes_while_it_is_open_is_refused(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "w"
    path.write_bytes(content(100))
    (file,) = walk(path).files
    with pytest.raises(FileChangedError, match="while it was read"), open_unchanged(file):
        change(path)


def test_a_file_that_does_not_change_may_be_opened_and_read(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(content(100))
    (file,) = walk(path).files
    with open_unchanged(file) as descriptor:
        assert os.read(descriptor, 200) == content(100)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("change", [truncate, grow, rewrite])
@pytest.mark.parametrize("trees", [False, True])
def test_a_file_that_changes_during_the_read_is_refused(
    tmp_path: Path, change: Callable[[Path], None], trees: bool
) -> None:
    path = tmp_path / "w"
    path.write_bytes(content(9 * MIB))
    (file,) = walk(path).files
    changed: list[int] = []

    def progress(done: int) -> None:
        # Called from another thread than the reader's, at some point of its way.
        if not changed:
            changed.append(done)
            change(path)

    reader_may_finish = threading.Event()

    class Slow(digest_module._Reader):
        def _read(self, descriptor: int, job: Job) -> FileDigest:
            reader_may_finish.wait(10)
            return super()._read(descriptor, job)

    def release(done: int) -> None:
        progress(done)
        reader_may_finish.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest_module, "_Reader", Slow)
        with pytest.raises(FileChangedError) as caught:
            digest_files([Job(file, Plan("sha256", trees=trees))], progress=release)
    assert caught.value.code == "changed-while-reading"
    assert changed


@pytest.mark.parametrize("change", [truncate, grow, rewrite])
def test_a_small_file_that_changes_right_after_its_only_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "w"
    path.write_bytes(content(100))
    (file,) = walk(path).files
    really = os.read

    def read_and_change(descriptor: int, count: int) -> bytes:
        data = really(descriptor, count)
        change(path)
        return data

    monkeypatch.setattr(os, "read", read_and_change)
    with pytest.raises(FileChangedError) as caught:
        digest_files([Job(file, Plan("sha256"))])
    assert caught.value.code == "changed-while-reading"


def test_a_replaced_file_whose_descriptor_is_open_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"old")
    (file,) = walk(path).files
    # Renaming over it changes ctime of the open inode (its link count), so it is refused too.
    with pytest.raises(FileChangedError), open_unchanged(file):
        replace(path)


def test_a_file_that_cannot_be_opened_is_an_os_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"x")
    (file,) = walk(path).files

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        digest_files([Job(file, Plan("sha256"))])
