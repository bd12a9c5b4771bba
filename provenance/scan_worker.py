"""Judging files one after the other: a plain function, and the process that runs it.

`judge_batch` is what any engine can map: it takes and returns plain values. The process keeps its
parent informed of how far it is, so that a file which hangs or kills it costs that file only. It
answers in JSON, not in pickles: what it reads is hostile, and its parent must not have to trust it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from countermark import Error
from countermark.provenance.errors import (
    ContentNotFoundError,
    MalformedContentError,
    MalformedStoreError,
)
from countermark.provenance.scan_items import ScanItem
from countermark.provenance.sources import open_regular
from countermark.signing.verdict import Outcome

if TYPE_CHECKING:
    from datetime import datetime
    from multiprocessing.connection import Connection

    from countermark.provenance.trust_bundle import TrustBundle
    from countermark.provenance.verdict import ContentVerdict

__all__ = [
    "CRASHED",
    "NOT_JUDGED",
    "TIMED_OUT",
    "ScanOptions",
    "heading",
    "judge_batch",
    "judge_item",
    "refusal",
    "work",
]

Document = dict[str, object]

_UNSENT = 256
TIMED_OUT: Final = "scan-timeout"
CRASHED: Final = "scan-crashed"
NOT_JUDGED: Final = (TIMED_OUT, CRASHED, ContentNotFoundError.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """How each file is judged.

    Attributes:
        trust: Whom to believe; None for nobody.
        prefilter: Whether files that surely carry no mark are passed over quickly.
        forensics: Whether to say what happened to broken marks in text.
        now: The present, aware, for trust bundles that may be used until a day.

    """

    trust: TrustBundle | None = None
    prefilter: bool = True
    forensics: bool = True
    now: datetime | None = None


def heading(item: ScanItem) -> Document:
    """Return what a line says of the file it is about."""
    path = item.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    said: Document = {"index": item.number, "file": path}
    return said if item.id is None else {**said, "id": item.id}


def refusal(item: ScanItem, outcome: Outcome, code: str, sentence: str) -> Document:
    """Return the line of a file that could not be judged."""
    return {**heading(item), "verdict": outcome.value, "code": code, "sentence": sentence}


def judge_batch(
    items: Sequence[ScanItem],
    options: ScanOptions | None = None,
    *,
    before: Callable[[], None] = lambda: None,
) -> list[Document]:
    """Return one JSON-ready line for each file, in order.

    Args:
        items: The files.
        options: How to judge them.
        before: Called before a file is read by more than the prefilter.

    """
    options = options or ScanOptions()
    return [judge_item(item, options, before=before) for item in items]


def judge_item(item: ScanItem, options: ScanOptions, *, before: Callable[[], None]) -> Document:
    """Return the line of one file; whatever is wrong with the file is in it."""
    from countermark.provenance.formats import HEAD_BYTES, detect_format
    from countermark.provenance.prefilter import HEAD_BYTES as FIRST_BYTES
    from countermark.provenance.prefilter import opened_may_carry

    try:
        file, size = open_regular(item.path)
        with file:
            head = file.read(FIRST_BYTES) or b""
            media_type = detect_format(item.path, head[:HEAD_BYTES]).media_type
            said: Document = {**heading(item), "size": size, "media_type": media_type}
            if options.prefilter and not os.path.exists(f"{item.path}.c2pa"):
                if not opened_may_carry(file, head):
                    nothing = Outcome.NOTHING_TO_VERIFY
                    return {**said, "verdict": nothing.value, "code": "no-manifest"}
        before()
        return {**said, **_judged(item, options)}
    except OSError as e:
        sentence = f"it cannot be read: {e.strerror or type(e).__name__}"
        return refusal(item, Outcome.INCONCLUSIVE, "content-not-found", sentence)
    except (MalformedContentError, MalformedStoreError) as e:
        return refusal(item, Outcome.MALFORMED, e.code, str(e))
    except Error as e:
        return refusal(item, Outcome.INCONCLUSIVE, e.code, str(e))
    except MemoryError:
        sentence = "it takes more memory to judge than was allowed"
        return refusal(item, Outcome.INCONCLUSIVE, CRASHED, sentence)


def _judged(item: ScanItem, options: ScanOptions) -> Document:
    from countermark.provenance.examine import ExamineOptions, examine_file

    asked = ExamineOptions(trust=options.trust, forensics=options.forensics, now=options.now)
    return _brief(examine_file(Path(item.path), asked))


def _brief(verdict: ContentVerdict) -> Document:
    """Return what a line keeps of a verdict."""
    from countermark.provenance.verdict import Axis

    said: Document = {
        "media_type": verdict.media_type,
        "verdict": verdict.outcome.value,
        "code": verdict.code,
        "sentence": verdict.sentence,
    }
    if not verdict.manifest:
        return said if not verdict.forensics else {**said, "forensics": _codes(verdict)}
    said |= {
        "carrier": verdict.carrier,
        "manifest": verdict.manifest,
        "axes": {axis.value: verdict.status_on(axis).value for axis in Axis},
        "failed": [check.code for check in verdict.flat if check.status.value == "failed"],
        "ingredients": len(verdict.ingredients),
    }
    if verdict.signer is not None:
        signer = verdict.signer._asdict()
        said["signer"] = {name: value for name, value in signer.items() if value}
    if verdict.disclosure is not None:
        disclosure = verdict.disclosure._asdict()
        said["disclosure"] = {name: value for name, value in disclosure.items() if value}
    if verdict.forensics:
        said["forensics"] = _codes(verdict)
    return said


def _codes(verdict: ContentVerdict) -> list[str]:
    return [diagnosis.code for diagnosis in verdict.forensics]


def work(connection: Connection, options: ScanOptions, memory_bytes: int) -> None:
    """Be a worker: take batches from `connection` until it ends, and answer in JSON.

    An answer is `[judging, lines]`: whether the file after the last line is now being judged,
    and the lines since the last answer.
    """
    import signal

    # Ctrl-C reaches every process of a terminal; only the one that writes may act on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(memory_bytes)
    _warm_up()
    connection.send_bytes(b"[false,[]]")  # Ready: from now on the clock counts.
    while True:
        try:
            batch = [ScanItem(*row) for row in json.loads(connection.recv_bytes())]
        except EOFError:
            return
        unsent: list[Document] = []

        def flush(judging: bool, unsent: list[Document] = unsent) -> None:
            connection.send_bytes(json.dumps([judging, unsent]).encode())
            unsent.clear()

        for item in batch:
            unsent.append(judge_item(item, options, before=lambda: flush(True)))
            if len(unsent) >= _UNSENT:
                flush(False)
        flush(False)


def _warm_up() -> None:
    """Import what the first file would otherwise have to wait for."""
    from countermark.provenance import examine  # noqa: F401
    from countermark.provenance.engine import engine_version

    engine_version()


def _limit(memory_bytes: int) -> None:
    import resource
    import sys

    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Native code that gives up says so at length; the parent says it in one line.
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
