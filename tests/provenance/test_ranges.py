"""Byte ranges of files: read, hashed, and copied with and without the kernel's help."""

import errno
import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermark.provenance import ranges
from countermark.provenance.carrier import Exclusion
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.ranges import copy_range, hash_range, read_at, rest_of

DATA = bytes(range(256)) * 64


class Plain:
    """A stream with nothing but what it needs, that returns less than it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def seek(self, position: int) -> int:
        return self._inner.seek(position)

    def tell(self) -> int:
        return self._inner.tell()

    def read(self, size: int) -> bytes:
        return self._inner.read(min(size, 1000))


def copied(source: BinaryIO, folder: Path, start: int, length: int) -> bytes:
    """Copy a range behind three bytes that are there already."""
    path = folder / "sink"
    with path.open("w+b") as sink:
        sink.write(b"abc")
        copy_range(source, sink, start, length)
        sink.write(b"xyz")
    return path.read_bytes()


def from_file(folder: Path, start: int, length: int) -> bytes:
    (folder / "source").write_bytes(DATA)
    with (folder / "source").open("rb") as source:
        return copied(source, folder, start, length)


def test_the_kernel_copies_where_it_can(tmp_path: Path) -> None:
    assert from_file(tmp_path, 5, 9000) == b"abc" + DATA[5:9005] + b"xyz"


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP])
def test_where_the_kernel_cannot_we_copy(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(code, "not here")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    assert from_file(tmp_path, 5, 9000) == b"abc" + DATA[5:9005] + b"xyz"


def test_a_kernel_that_stops_halfway_is_helped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.copy_file_range, iter((100, 0))

    def some(source: int, sink: int, count: int, **offsets: int) -> int:
        wanted = min(count, next(calls))
        return real(source, sink, wanted, **offsets) if wanted else 0

    monkeypatch.setattr(os, "copy_file_range", some)
    assert from_file(tmp_path, 5, 9000) == b"abc" + DATA[5:9005] + b"xyz"


def test_without_the_call_we_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    assert from_file(tmp_path, 5, 9000) == b"abc" + DATA[5:9005] + b"xyz"


def test_a_full_disk_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    with pytest.raises(OSError, match="full"):
        from_file(tmp_path, 5, 9000)


def test_any_stream_that_can_seek_and_read_is_enough(tmp_path: Path) -> None:
    source = cast("BinaryIO", Plain(DATA))
    assert copied(source, tmp_path, 5, 9000) == b"abc" + DATA[5:9005] + b"xyz"
    hasher = hashlib.sha256()
    hash_range(hasher, source, 5, 9000)
    assert hasher.digest() == hashlib.sha256(DATA[5:9005]).digest()


@pytest.mark.parametrize("over", [0, 1])
def test_a_range_ends_with_its_file_and_not_behind_it(over: int, tmp_path: Path) -> None:
    length = len(DATA) - 5 + over
    calls = (
        lambda: from_file(tmp_path, 5, length),
        lambda: read_at(io.BytesIO(DATA), 5, length),
        lambda: hash_range(hashlib.sha256(), io.BytesIO(DATA), 5, length),
    )
    for call in calls:
        if not over:
            call()
            continue
        with pytest.raises(MalformedContentError, match="ends too early") as refused:
            call()
        assert refused.value.offset == len(DATA)


def test_long_ranges_go_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "BLOCK_BYTES", 100)
    hasher = hashlib.sha256()
    hash_range(hasher, io.BytesIO(DATA), 0, len(DATA))
    assert hasher.digest() == hashlib.sha256(DATA).digest()


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(0, 20))
def test_the_rest_is_everything_but_the_exclusions(steps: list[int], tail: int) -> None:
    position, exclusions = 0, []
    for gap, length in zip(steps[::2], steps[1::2], strict=False):
        exclusions.append(Exclusion(position + gap, length))
        position += gap + length
    data = os.urandom(position + tail)
    without = bytearray(data)
    for start, length in reversed(exclusions):
        del without[start : start + length]
    kept = list(rest_of(len(data), exclusions))
    assert b"".join(data[start : start + length] for start, length in kept) == bytes(without)
    assert all(length > 0 for _, length in kept)
