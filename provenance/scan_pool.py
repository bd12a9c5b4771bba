"""Worker processes that can be killed: a file that hangs or crashes one costs that file only."""

from __future__ import annotations

import json
import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import connection as connections
from typing import TYPE_CHECKING, Final

from countermark.provenance.errors import ScanError
from countermark.provenance.scan_items import ScanItem
from countermark.provenance.scan_worker import (
    CRASHED,
    TIMED_OUT,
    Document,
    ScanOptions,
    heading,
    refusal,
    work,
)
from countermark.signing.verdict import Outcome

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

__all__ = ["PoolOptions", "judge_all"]

_WAITING_BATCHES: Final = 8  # For each worker: how far the others may run ahead of a slow file.
_STARTING_S: Final = 60.0  # A new process has to import before it can answer.


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """How a scan runs; nothing here changes a verdict on a file that can be judged in time.

    Attributes:
        jobs: Worker processes.
        timeout_s: Most seconds for one file.
        memory_bytes: Most address space of a worker; 0 for no limit.
        batch: Files that are given to a worker at once.

    """

    jobs: int = 1
    timeout_s: float = 30.0
    memory_bytes: int = 4 << 30
    batch: int = 64


@dataclass(slots=True)
class _Worker:
    """A process, and what it has still to answer.

    Attributes:
        process: The process.
        connection: To it and back.
        left: Files that it was given and has not answered, the one it is at first.
        since: When it last answered, in seconds of the clock.
        judging: Whether it said that it is now judging the first of them.
        answered: Whether it ever answered.

    """

    process: SpawnProcess
    connection: Connection
    left: deque[ScanItem] = field(default_factory=deque)
    since: float = 0.0
    judging: bool = False
    answered: bool = False


def judge_all(
    items: Iterable[ScanItem],
    options: ScanOptions,
    pool: PoolOptions,
    *,
    clock: Callable[[], float],
) -> Generator[Document, None, None]:
    """Yield the line of each file, in order, while holding only a few batches of them.

    Args:
        items: With indices that count up by one.
        options: How to judge.
        pool: How to run.
        clock: Seconds that only go forward, such as `time.monotonic`.

    """
    run = _Run(iter(items), options, pool, clock)
    try:
        yield from run.lines()
    finally:
        run.stop()


class _Run:
    def __init__(
        self,
        items: Iterator[ScanItem],
        options: ScanOptions,
        pool: PoolOptions,
        clock: Callable[[], float],
    ) -> None:
        self._items = items
        self._options = options
        self._pool = pool
        self._clock = clock
        self._workers: list[_Worker] = []
        self._again: deque[list[ScanItem]] = deque()
        self._done: dict[int, Document] = {}
        self._order: deque[int] = deque()
        self._exhausted = False

    def lines(self) -> Iterator[Document]:
        while True:
            self._feed()
            busy = [worker for worker in self._workers if worker.left]
            if not busy and not self._order:
                return
            self._listen(busy)
            while self._order and self._order[0] in self._done:
                yield self._done.pop(self._order.popleft())

    def stop(self) -> None:
        for worker in self._workers:
            self._kill(worker)
        self._workers.clear()

    def _feed(self) -> None:
        """Give every idle worker a batch, starting workers as long as there is work for them."""
        while True:
            idle = next((worker for worker in self._workers if not worker.left), None)
            if idle is None and len(self._workers) >= self._pool.jobs:
                return
            batch = self._next_batch()
            if not batch:
                return
            worker = idle or self._start()
            worker.left.extend(batch)
            worker.since, worker.judging = self._clock(), False
            try:
                worker.connection.send_bytes(json.dumps(batch).encode())
            except OSError:  # It died while it was idle.
                self._replace(worker)

    def _next_batch(self) -> list[ScanItem]:
        if self._again:
            return self._again.popleft()
        if self._exhausted or len(self._order) >= (
            _WAITING_BATCHES * self._pool.batch * self._pool.jobs
        ):
            return []
        batch = list(islice(self._items, self._pool.batch))
        self._exhausted = len(batch) < self._pool.batch
        self._order.extend(item.number for item in batch)
        return batch

    def _start(self) -> _Worker:
        # Not fork: what c2pa keeps does not survive one.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work, args=(theirs, self._options, self._pool.memory_bytes), daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _listen(self, busy: list[_Worker]) -> None:
        """Wait until somebody answers, dies or has taken too long."""
        deadlines = [worker.since + self._patience(worker) for worker in busy]
        wait_s = max(min(deadlines) - self._clock(), 0.0)
        ready = connections.wait([worker.connection for worker in busy], wait_s)
        for worker in busy:
            if worker.connection in ready:
                self._answer(worker)
        now = self._clock()
        for worker in busy:
            if worker.left and now - worker.since >= self._patience(worker):
                if not worker.connection.poll():
                    limit = f"{self._pool.timeout_s:g} seconds"
                    self._trouble(worker, TIMED_OUT, f"it was not judged within {limit}")

    def _patience(self, worker: _Worker) -> float:
        return self._pool.timeout_s + (0.0 if worker.answered else _STARTING_S)

    def _answer(self, worker: _Worker) -> None:
        try:
            judging, lines = json.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            self._ended(worker)
            return
        worker.since, worker.judging, worker.answered = self._clock(), judging, True
        for line in lines:
            item = worker.left.popleft()
            self._done[item.number] = {**line, **heading(item)}

    def _ended(self, worker: _Worker) -> None:
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not worker.answered:
            raise ScanError(
                f"a worker process could not start ({how})",
                hint="allow it more memory, or ask for fewer at a time",
            )
        sentence = f"the process that judged it ended ({how}), perhaps of too little memory"
        self._trouble(worker, CRASHED, sentence)

    def _trouble(self, worker: _Worker, code: str, sentence: str) -> None:
        """Blame one file, and give the rest to another process."""
        if worker.judging or len(worker.left) == 1:
            item = worker.left.popleft()
            self._done[item.number] = refusal(item, Outcome.INCONCLUSIVE, code, sentence)
            if worker.left:
                self._again.append(list(worker.left))
        else:
            # Any of them may be it: one at a time they can be told apart.
            self._again.extend([item] for item in worker.left)
        worker.left.clear()
        self._kill(worker)
        self._workers.remove(worker)

    def _replace(self, worker: _Worker) -> None:
        self._again.append(list(worker.left))
        self._kill(worker)
        self._workers.remove(worker)

    @staticmethod
    def _kill(worker: _Worker) -> None:
        worker.connection.close()
        worker.process.kill()
        worker.process.join()
        worker.process.close()
