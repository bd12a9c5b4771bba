"""Mapped reads: they end when somebody wants the file, and nothing that is done to it kills us."""

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from countermark.signing import mapping
from countermark.signing.digest import Job, Plan, digest_files
from countermark.signing.mapping import WINDOW_BYTES, leased_windows
from countermark.signing.walk import walk

MIB = 1 << 20
SIZE = 3 * WINDOW_BYTES + 12345

# Digests a mapped file and cuts it off after the first bytes, from a second thread, which
# waits in the kernel until the lease is let go.
TRUNCATE_WHILE_MAPPED = """
import os, sys, threading, time
from pathlib import Path
from countermark.signing import digest
from countermark.signing.errors import FileChangedError
from countermark.signing.walk import walk

path = Path(sys.argv[1])
started = False
locks, inode = Path("/proc/locks"), f":{path.stat().st_ino} "

def waits():
    rows = locks.read_text().splitlines() if locks.exists() else []
    return any("BREAKING" in row and inode in row for row in rows)

def cut(reader, count):
    global started
    if not started:
        started = True
        threading.Thread(target=os.truncate, args=(path, 0), daemon=True).start()
        while path.stat().st_size and not waits():
            time.sleep(0.01)

digest._Pool._on_bytes = cut
try:
    digest.digest_files([digest.Job(walk(path).files[0], digest.Plan("sha256"))], mapped=True)
except FileChangedError as e:
    print(e.code)
"""


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(MIB) * (SIZE // MIB) + b"x" * (SIZE % MIB))
    return path


def has_leases(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return next(iter(leased_windows(descriptor, path.stat().st_size)), None) is not None
    finally:
        os.close(descriptor)


@pytest.fixture
def leased_file(big_file: Path) -> Path:
    if not has_leases(big_file):
        pytest.skip("this file system grants no leases")
    return big_file


def test_leased_windows_are_the_file(leased_file: Path) -> None:
    descriptor = os.open(leased_file, os.O_RDONLY)
    try:
        content = b"".join(bytes(piece) for piece in leased_windows(descriptor, SIZE))
    finally:
        os.close(descriptor)
    assert content == leased_file.read_bytes()


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_mapped_and_copied_digests_are_equal(big_file: Path, algorithm: str, mapped: bool) -> None:
    file = walk(big_file).files[0]
    plan = Plan(algorithm, trees=True)
    [found] = digest_files([Job(file, plan)], mapped=mapped)
    [copied] = digest_files([Job(file, plan)], mapped=False)
    assert found == copied
    if algorithm == "sha256":
        assert found.digest == hashlib.sha256(big_file.read_bytes()).hexdigest()


def test_leased_windows_end_when_somebody_wants_to_write(leased_file: Path) -> None:
    descriptor = os.open(leased_file, os.O_RDONLY)
    writer = threading.Thread(target=lambda: leased_file.open("r+b").close())
    seen = 0
    for piece in leased_windows(descriptor, SIZE):
        if not seen:
            writer.start()
            while fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
                time.sleep(0.01)
        seen += len(piece)
    writer.join(10)
    os.close(descriptor)
    assert not writer.is_alive()
    assert seen == WINDOW_BYTES


def test_leased_windows_yield_nothing_while_somebody_writes(leased_file: Path) -> None:
    descriptor = os.open(leased_file, os.O_RDONLY)
    with leased_file.open("r+b"):
        assert list(leased_windows(descriptor, SIZE)) == []
    os.close(descriptor)


def test_leased_windows_yield_nothing_of_a_file_with_another_length(leased_file: Path) -> None:
    descriptor = os.open(leased_file, os.O_RDONLY)
    assert list(leased_windows(descriptor, SIZE + 1)) == []
    os.close(descriptor)


def test_leased_windows_yield_nothing_on_a_file_system_that_is_not_local(
    big_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping, "_LOCAL", frozenset())
    mapping._is_local.cache_clear()
    descriptor = os.open(big_file, os.O_RDONLY)
    assert list(leased_windows(descriptor, SIZE)) == []
    os.close(descriptor)
    mapping._is_local.cache_clear()


def test_truncation_during_a_mapped_digest_is_an_error_and_kills_nobody(big_file: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", TRUNCATE_WHILE_MAPPED, str(big_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "changed-while-reading"), run.stderr
