"""Bytes to digests: one read of each file feeds every digest that is wanted of it.

Files are read largest first by more threads than there are cores (both hash libraries
release the GIL), through a buffer whose size does not depend on the file's. Each file is
opened without following links and must be the very one the walk saw; it is looked at again
when the last byte is read, so a file that changes meanwhile is an error and not a digest.

Reads copy, as a mapped file that is truncated kills the process; `mapping` says when
mapping is safe enough to be asked for.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from countermark.signing.errors import FileChangedError, MalformedSafetensorsError
from countermark.signing.filekinds import HEAD_BYTES, kind_of_head
from countermark.signing.manifest import Shard
from countermark.signing.names import printable
from countermark.signing.walk import ModelFile, identity_fields

if TYPE_CHECKING:
    from countermark.signing.trees import FileTree, TreeBuilder

__all__ = ["FileDigest", "Job", "Plan", "digest_files", "open_unchanged"]

_BUFFER_BYTES = 256 << 10
_INLINE_BYTES = 8 << 20
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_SMALL_BYTES = 64 << 10
_MAPPED_BYTES = 4 << 20
_POLL_S = 0.1


class _Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


class Plan(NamedTuple):
    """Which digests to take of a file.

    Attributes:
        algorithm: `sha256`, `blake2b` or `blake3` over the whole file; None for none.
        shard_bytes: Digest ranges of this length instead of the whole file.
        trees: Also build the block tree, and for safetensors the tensor tree.

    """

    algorithm: str | None
    shard_bytes: int | None = None
    trees: bool = False


class Job(NamedTuple):
    """One file to digest, and how."""

    file: ModelFile
    plan: Plan


class FileDigest(NamedTuple):
    """What one read of one file gave.

    Attributes:
        file: The file that was read.
        kind: As `filekinds` sees it, name and first bytes.
        algorithm: Of `digest` and `shards`; empty if neither was planned.
        digest: Whole-file digest in lowercase hex; empty if not planned.
        shards: Range digests; empty if not planned.
        tree: Block and tensor tree; None if not planned.
        malformed: Why the file's safetensors header was refused; empty if it was not.

    """

    file: ModelFile
    kind: str
    algorithm: str = ""
    digest: str = ""
    shards: tuple[Shard, ...] = ()
    tree: FileTree | None = None
    malformed: str = ""


def digest_files(
    jobs: Sequence[Job],
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    mapped: bool = False,
) -> list[FileDigest]:
    """Digest files, in parallel where that pays; results are in the order of `jobs`.

    Args:
        jobs: What to read.
        threads: How many readers; default twice the cores, at most one per file.
        progress: Called from the calling thread with the total of bytes read so far.
        mapped: Map large files under a read lease instead of copying them (see `mapping`);
            only for processes that may die of a broken disk.

    Raises:
        FileChangedError: A file is not, or does not stay, the one the walk saw.
        OSError: A file cannot be read.

    """
    pool = _Pool(jobs, mapped=mapped)
    small = pool.total_bytes <= _INLINE_BYTES
    count = min(len(jobs), threads or 2 * (os.cpu_count() or 1))
    if (small or count == 1) and progress is None:
        pool.work()
    elif count:
        pool.run(count, progress)
    return pool.results()


class _Pool:
    """Readers that take the largest remaining file each, until one of them fails."""

    def __init__(self, jobs: Sequence[Job], *, mapped: bool) -> None:
        sizes = [job.file.identity.size_bytes for job in jobs]
        order = sorted(range(len(jobs)), key=sizes.__getitem__, reverse=True)
        self.total_bytes = sum(sizes)
        self._jobs = jobs
        self._mapped = mapped
        self._pending = deque(order)
        self._results: list[FileDigest | None] = [None] * len(jobs)
        self._stop = False
        self._done_bytes = 0

    def run(self, count: int, progress: Callable[[int], None] | None) -> None:
        from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

        with ThreadPoolExecutor(count) as executor:
            try:
                pending = {executor.submit(self.work) for _ in range(count)}
                while pending:
                    timeout = _POLL_S if progress else None
                    done, pending = wait(pending, timeout, return_when=FIRST_EXCEPTION)
                    if progress:
                        progress(self._done_bytes)
                    for worker in done:
                        worker.result()
            finally:
                self._stop = True  # Neither a failure nor an interrupt leaves readers behind.

    def work(self) -> None:
        reader = _Reader(self._on_bytes, mapped=self._mapped)
        while not self._stop:
            try:
                index = self._pending.popleft()
            except IndexError:
                return
            self._results[index] = reader.digest(self._jobs[index])

    def results(self) -> list[FileDigest]:
        return [result for result in self._results if result is not None]

    def _on_bytes(self, count: int) -> None:
        # Progress only: two threads may lose an update to each other, and that is fine.
        self._done_bytes += count
        if self._stop:
            raise InterruptedError("another file failed, or the user did not want to wait")


class _Reader:
    """One thread's buffer, and the loop that fills it."""

    def __init__(self, on_bytes: Callable[[int], None], *, mapped: bool) -> None:
        self._view = memoryview(bytearray(_BUFFER_BYTES))
        self._on_bytes = on_bytes
        self._mapped = mapped

    def digest(self, job: Job) -> FileDigest:
        file, (algorithm, shard_bytes, trees) = job
        if not trees and not shard_bytes and algorithm is not None:
            small = self._read_small(file, algorithm)
            if small is not None:
                return small
        with open_unchanged(file) as descriptor:
            return self._read(descriptor, job)

    def _read_small(self, file: ModelFile, algorithm: str) -> FileDigest | None:
        """Digest in one read, if that is enough: opening costs more than hashing then."""
        size = file.identity.size_bytes
        if size > _SMALL_BYTES:
            return None
        descriptor = _open(file)
        try:
            data = os.read(descriptor, size + 1)
            # One look, after the read, is as good as two: what is now as the walk saw it was
            # so all the time in between.
            _check_identity(descriptor, file, "was written or replaced before it was read")
        finally:
            os.close(descriptor)
        if len(data) != size:
            return None  # Some file systems return less than they have.
        self._on_bytes(size)
        digest = _digest_of(data, algorithm)
        return FileDigest(file, kind_of_head(file.path, data[:HEAD_BYTES]), algorithm, digest)

    def _read(self, descriptor: int, job: Job) -> FileDigest:
        file, plan = job.file, job.plan
        head = b""
        builder, malformed = _tree_builder(descriptor, file) if plan.trees else (None, "")
        whole = _hasher(plan.algorithm) if plan.algorithm and not plan.shard_bytes else None
        ranges = _Ranges(plan) if plan.shard_bytes else None
        for chunk in self._chunks(descriptor, file):
            head = head or bytes(chunk[:HEAD_BYTES])
            if whole is not None:
                whole.update(chunk)
            if ranges is not None:
                ranges.update(chunk)
            if builder is not None:
                builder.update(chunk)
            self._on_bytes(len(chunk))
        return FileDigest(
            file=file,
            kind=kind_of_head(file.path, head),
            algorithm=plan.algorithm or "",
            digest=whole.hexdigest() if whole is not None else "",
            shards=ranges.finish() if ranges is not None else (),
            tree=builder.finish() if builder is not None else None,
            malformed=malformed,
        )

    def _chunks(self, descriptor: int, file: ModelFile) -> Iterator[memoryview]:
        """Yield the file's bytes; each view is valid until the next one."""
        position, size = 0, file.identity.size_bytes
        if self._mapped and size >= _MAPPED_BYTES:
            from countermark.signing.mapping import leased_windows

            for window in leased_windows(descriptor, size):
                position += len(window)
                yield window
        while position < size:
            room = self._view[: min(size - position, _BUFFER_BYTES)]
            count = os.preadv(descriptor, [room], position)
            if not count:
                raise _changed(file, "was truncated while it was read")
            position += count
            yield room[:count]


@contextmanager
def open_unchanged(file: ModelFile) -> Iterator[int]:
    """Open the very file that the walk saw, and make sure it is still that at the end.

    Yields:
        A file descriptor for reading; closed on exit.

    Raises:
        FileChangedError: The file was replaced, written, truncated or removed.

    """
    descriptor = _open(file)
    try:
        _check_identity(descriptor, file, "was written or replaced before it was read")
        yield descriptor
        _check_identity(descriptor, file, "was written while it was read")
    finally:
        os.close(descriptor)


def _open(file: ModelFile) -> int:
    try:
        return os.open(file.location, _OPEN_FLAGS)
    except FileNotFoundError as e:
        raise _changed(file, "vanished before it was read") from e
    except OSError as e:
        if e.errno == errno.ELOOP:
            raise _changed(file, "became a symbolic link before it was read") from e
        raise


def _check_identity(descriptor: int, file: ModelFile, what: str) -> None:
    if identity_fields(os.fstat(descriptor)) != file.identity:
        raise _changed(file, what)


class _Ranges:
    """Digests over consecutive ranges of equal length (OMS v1.0 section 6.3.2)."""

    def __init__(self, plan: Plan) -> None:
        self._algorithm = plan.algorithm or "sha256"
        self._length = plan.shard_bytes or 0
        self._hasher = _hasher(self._algorithm)
        self._start = self._position = 0
        self._shards: list[Shard] = []

    def update(self, chunk: memoryview) -> None:
        while chunk:
            room = self._start + self._length - self._position
            part, chunk = chunk[:room], chunk[room:]
            self._hasher.update(part)
            self._position += len(part)
            if len(part) == room:
                self._close()

    def finish(self) -> tuple[Shard, ...]:
        if self._position > self._start:
            self._close()
        return tuple(self._shards)

    def _close(self) -> None:
        self._shards.append(Shard(self._start, self._position, self._hasher.hexdigest()))
        self._start = self._position
        self._hasher = _hasher(self._algorithm)


def _tree_builder(descriptor: int, file: ModelFile) -> tuple[TreeBuilder, str]:
    """Return the builder for a file's trees, and why its header was refused, if it was."""
    from countermark.signing.safetensors import read_header
    from countermark.signing.trees import TreeBuilder, segments_of

    size = file.identity.size_bytes
    header, malformed = None, ""
    if file.path.endswith(".safetensors"):
        try:
            header = read_header(lambda offset, count: os.pread(descriptor, count, offset), size)
        except MalformedSafetensorsError as e:
            malformed = str(e)
    return TreeBuilder(segments_of(header, size), header), malformed


def _digest_of(data: bytes, algorithm: str) -> str:
    if algorithm == "sha256":
        return hashlib.sha256(data).hexdigest()
    hasher = _hasher(algorithm)
    hasher.update(memoryview(data))
    return hasher.hexdigest()


def _hasher(algorithm: str) -> _Hasher:
    if algorithm == "blake3":
        from blake3 import blake3

        return blake3()
    return hashlib.new(algorithm, usedforsecurity=True)


def _changed(file: ModelFile, what: str) -> FileChangedError:
    return FileChangedError(
        f"{printable(file.path)} {what}",
        hint="make sure that nothing writes to the model, then try again",
    )
