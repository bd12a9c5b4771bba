"""Many files to one line of JSON each: in order, in bounded memory, in parallel, and resumable.

The output is the only state. Files that surely carry no mark are passed over in microseconds; the
rest is judged in processes that can be killed, so that one file costs at most its own time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from countermark.provenance.scan_items import (
    ScanItem,
    items_of_folder,
    items_of_lines,
    items_of_list,
)
from countermark.provenance.scan_output import encode_line, open_output, skip_finished, sync
from countermark.provenance.scan_pool import PoolOptions, judge_all
from countermark.provenance.scan_summary import ScanSummary, Tally
from countermark.provenance.scan_worker import ScanOptions, judge_batch
from countermark.signing import strict_json
from countermark.signing.names import printable

if TYPE_CHECKING:
    from countermark.provenance.scan_worker import Document

__all__ = [
    "PoolOptions",
    "ScanItem",
    "ScanOptions",
    "ScanSummary",
    "items_of_folder",
    "items_of_lines",
    "items_of_list",
    "job_of",
    "judge_batch",
    "scan",
]

_SYNC_LINES: Final = 1024


def scan(
    items: Iterable[ScanItem],
    output: Path,
    *,
    options: ScanOptions | None = None,
    pool: PoolOptions | None = None,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ScanSummary:
    """Append one line for each file to `output`, and return what was found.

    Lines are on disk every 1,024 files and whenever this returns or raises, KeyboardInterrupt
    included; a line is whole or absent.

    Args:
        items: From the first, also when resuming.
        output: A file of ours, or none yet.
        options: How to judge each file.
        pool: How to run.
        resume: Go on where an existing `output` ends; a torn last line is made again. What it
            has is not judged again, even if a file changed since.
        progress: Told the number of lines in the output, after each.
        clock: Seconds that only go forward; deadlines are counted by it.

    Raises:
        FileExistsRefusedError: `output` exists and `resume` is False.
        ScanError: `output` is not of these files and options, another scan is writing to it, a
            list cannot be read, or no worker could start.
        OSError: The disk refused.

    """
    options, pool = options or ScanOptions(), pool or PoolOptions()
    remaining = iter(items)
    job = job_of(options, pool)
    tally = Tally()
    with open_output(output, resume=resume) as file:
        resumed = skip_finished(file, remaining, job, printable(str(output)), tally.add)
        try:
            with closing(judge_all(remaining, options, pool, clock=clock)) as lines:
                for done, line in enumerate(lines, resumed + 1):
                    file.write(encode_line(line, job))
                    tally.add(line)
                    if done % _SYNC_LINES == 0:
                        sync(file)
                    if progress is not None:
                        progress(done)
        finally:
            sync(file)
    return tally.summary(resumed=resumed)


def job_of(options: ScanOptions, pool: PoolOptions) -> str:
    """Return a digest of all that verdicts depend on besides the files."""
    from countermark.provenance.engine import engine_version

    facts: Document = {
        "engine": engine_version(),
        "forensics": options.forensics,
        "memory_bytes": pool.memory_bytes,
        "prefilter": options.prefilter,
        "timeout_ms": round(pool.timeout_s * 1000),
        "trust": None if options.trust is None else options.trust.sha256,
    }
    return hashlib.sha256(strict_json.dumps(facts)).hexdigest()
