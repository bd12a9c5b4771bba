"""Many inputs to one line of JSON each: in order, in bounded memory, and resumable.

The output is the only state. Each line names the input it answers and that input's digest, so a
run that was stopped anywhere finds out from its output where to go on, and refuses to if the
inputs are no longer the same. What scores the texts is given as plain callables, so that a
process pool (this one, Ray's or Spark's) can map them.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from countermark import Error
from countermark.signing import strict_json
from countermark.signing.names import printable
from countermark.watermark.batch_output import heading, open_output, skip_finished, sync
from countermark.watermark.errors import BatchError, MalformedInputError
from countermark.watermark.records import Content, Record, content

__all__ = ["BatchOptions", "Core", "Document", "Summary", "answer", "answers", "run"]

Document = dict[str, object]
T = TypeVar("T")

_SYNC_RECORDS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What answers a list of inputs with a list of JSON-ready objects, one for each.

    Picklable if what it holds is. Both may raise `countermark.Error` for an input they refuse.

    Attributes:
        texts: For texts.
        ids: For token ids; None if none can be judged.

    """

    texts: Callable[[list[str]], list[Document]]
    ids: Callable[[list[list[int]]], list[Document]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How a batch runs; nothing here changes an answer, except `field`.

    Attributes:
        field: The name that a JSON line has its text under.
        processes: Worker processes; 0 does the work in this one.
        batch_records: Most inputs in one call of the core.
        batch_bytes: Most bytes in one call, unless one input alone has more.

    """

    field: str = "text"
    processes: int = 0
    batch_records: int = 64
    batch_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        records: Lines in the output now.
        resumed: How many of them were there before.
        errors: How many of the new ones say that an input was refused.

    """

    records: int
    resumed: int
    errors: int


def run(
    records: Iterable[Record],
    core: Core,
    output: Path,
    *,
    options: BatchOptions,
    job: str,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Append one line for each record to `output`.

    A line has `index`, `line` or `file`, `input` (the record's sha256), `job`, `id` if the record
    has one, and what the core said or `error` with `code` and `message`. Lines are on disk every
    1,024 records and whenever this returns or raises, KeyboardInterrupt included.

    Args:
        records: From the first, also when resuming.
        core: What answers.
        output: A file of ours, or none yet.
        options: How to run.
        job: What the answers depend on besides the inputs, such as a digest of keys and options.
        resume: Go on where an existing `output` ends; a torn last line is made again.
        progress: Told the number of lines in the output, after each.

    Raises:
        FileExistsRefusedError: `output` exists and `resume` is False.
        BatchError: `output` is not of these inputs and this job, another run is writing to it,
            or a worker process died.
        OSError: The disk refused.

    """
    remaining = iter(records)
    errors = 0
    with open_output(output, resume=resume) as file:
        resumed = done = skip_finished(file, remaining, job, printable(str(output)))
        try:
            with closing(answers(remaining, core, options=options)) as documents:
                for document in documents:
                    errors += "error" in document
                    file.write(strict_json.dumps({**document, "job": job}) + b"\n")
                    done += 1
                    if done % _SYNC_RECORDS == 0:
                        sync(file)
                    if progress is not None:
                        progress(done)
        finally:
            sync(file)
    return Summary(records=done, resumed=resumed, errors=errors)


def answers(
    records: Iterable[Record], core: Core, *, options: BatchOptions
) -> Generator[Document, None, None]:
    """Yield the answer to each record, in order, while holding only a few batches of them.

    Raises:
        BatchError: A worker process died.

    """
    if options.processes == 0:
        for batch in _batches(records, options):
            yield from answer(batch, core, field=options.field)
        return
    # Not fork: a child would inherit the tokenizer's threads as locks that nobody releases.
    pool = ProcessPoolExecutor(
        options.processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(core, options.field),
    )
    try:
        waiting: deque[Future[list[Document]]] = deque()
        for batch in _batches(records, options):
            waiting.append(pool.submit(_work, batch))
            if len(waiting) > 2 * options.processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as e:
        raise BatchError(
            "a worker process died, perhaps of too little memory",
            hint="run again with --resume, and with fewer processes or smaller batches",
        ) from e
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def answer(batch: list[Record], core: Core, *, field: str = "text") -> list[Document]:
    """Return the answer to each record of a batch; a record that is refused gets an `error`."""
    documents: dict[int, Document] = {}
    texts: dict[int, str] = {}
    ids: dict[int, list[int]] = {}
    names: dict[int, str | int] = {}
    for place, record in enumerate(batch):
        try:
            said = content(record, field=field)
        except Error as e:
            documents[place] = _refusal(e)
            continue
        if said.id is not None:
            names[place] = said.id
        _sort(said, place, texts, ids)
    documents.update(_ask(core.texts, texts))
    documents.update(_ask(core.ids or _no_ids, ids))
    return [
        documents[place] | heading(record, names.get(place)) for place, record in enumerate(batch)
    ]


def _sort(said: Content, place: int, texts: dict[int, str], ids: dict[int, list[int]]) -> None:
    if isinstance(said.value, str):
        texts[place] = said.value
    else:
        ids[place] = said.value


def _ask(
    core: Callable[[list[T]], list[Document]], inputs: Mapping[int, T]
) -> Iterator[tuple[int, Document]]:
    """Yield the answer to each input by its place; whatever is refused is asked alone."""
    if not inputs:
        return
    try:
        said = core(list(inputs.values()))
    except Error as e:
        if len(inputs) == 1:
            yield from ((place, _refusal(e)) for place in inputs)
            return
        for place, value in inputs.items():
            yield from _ask(core, {place: value})
        return
    yield from zip(inputs, said, strict=True)


def _no_ids(ids: list[list[int]]) -> list[Document]:
    raise MalformedInputError(f"{len(ids[0])} token ids, but only texts can be judged here")


def _refusal(error: Error) -> Document:
    return {"error": {"code": error.code, "message": str(error)}}


def _batches(records: Iterable[Record], options: BatchOptions) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size_bytes = 0
    for record in records:
        more = len(record.data or b"")
        full = len(batch) >= options.batch_records or size_bytes + more > options.batch_bytes
        if batch and full:
            yield batch
            batch, size_bytes = [], 0
        batch.append(record)
        size_bytes += more
    if batch:
        yield batch


# What a worker process answers with: set once, because a tokenizer is too large for every task.
_worker: list[tuple[Core, str]] = []


def _start_worker(core: Core, field: str) -> None:
    # Ctrl-C reaches every process of a terminal; only the one that writes may act on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker[:] = [(core, field)]


def _work(batch: list[Record]) -> list[Document]:
    core, field = _worker[0]
    return answer(batch, core, field=field)
