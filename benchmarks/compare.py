"""Run contenders in turn and judge the ratios between them against their bars.

Nothing here knows what is measured; a benchmark describes its rows with `Row`, `Job` and `Bar`.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from measure import ChildFailedError, Usage, measure

Metric = Literal["cpu", "rss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One contender in a row.

    Attributes:
        name: Unique in its row.
        argv: The command, or None when its program is absent.
        before: Runs before each measured run, unmeasured.
        folder: Where the command runs, if that matters.

    """

    name: str
    argv: tuple[str, ...] | None
    before: Callable[[], None] | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A limit on one job, relative to another job of the row or absolute.

    Attributes:
        subject: Name of the job that is judged.
        peer: Name of the job it is divided by; None judges the subject's own figure.
        limit: Largest value that passes: a ratio, or without a peer CPU seconds or bytes.
            None shows the ratio and judges nothing.
        metric: What is compared.

    """

    subject: str
    peer: str | None
    limit: float | None
    metric: Metric = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Jobs that are run in turn, and the bars on them.

    Attributes:
        key: What `--only` takes.
        title: What the jobs work on.
        jobs: In the order they run; a later job may need what an earlier one wrote.
        bars: Shown beside their subjects.
        setup: Run once before the first round, unmeasured.
        repeat: Multiplies the rounds; more than 1 for jobs of a few milliseconds.

    """

    key: str
    title: str
    jobs: tuple[Job, ...]
    bars: tuple[Bar, ...]
    setup: tuple[Job, ...] = ()
    repeat: int = 1


class Verdict(StrEnum):
    """What became of a bar. Only MET is a pass."""

    MET = "pass"
    MISSED = "miss"
    NO_BAR = "no bar"
    SUBJECT_ABSENT = "ours absent"
    SUBJECT_FAILED = "ours failed"
    PEER_ABSENT = "peer absent"
    PEER_FAILED = "peer failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All runs of one job: samples, or the problem that left it without any."""

    samples: tuple[Usage, ...] = ()
    absent: bool = False
    failure: str = ""

    @property
    def measured(self) -> bool:
        """Whether every run succeeded and there was at least one."""
        return bool(self.samples) and not self.absent and not self.failure

    def median(self, metric: Metric) -> float:
        """Return the median CPU seconds or peak resident bytes of the runs."""
        if metric == "cpu":
            return statistics.median(usage.cpu_s for usage in self.samples)
        return statistics.median(usage.peak_rss_bytes for usage in self.samples)

    @property
    def wall_s(self) -> float:
        """Median wall seconds of the runs."""
        return statistics.median(usage.wall_s for usage in self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One bar, the value found for it (None: not measurable) and what became of it."""

    bar: Bar
    value: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A row with its results by job name and the judgements on its bars."""

    row: Row
    results: Mapping[str, Result]
    judgements: tuple[Judgement, ...]


def run_row(row: Row, rounds: int, progress: Callable[[str], None]) -> Report:
    """Run every job of `row` once per round, in turn, and judge the medians.

    A job that fails once is not run again and has no figures, so that a crash cannot pass for
    speed. Taking turns spreads a noisy neighbour's minutes over all contenders alike.
    """
    for job in row.setup:
        progress(f"{row.key}: preparing: {job.name}")
        prepared = run_job(job, Result())
        if prepared.failure:
            progress(f"{row.key}: {job.name}: {prepared.failure}")
    results = {job.name: Result() for job in row.jobs}
    for turn in range(1, rounds * row.repeat + 1):
        for job in row.jobs:
            progress(f"{row.key}: round {turn} of {rounds * row.repeat}: {job.name}")
            results[job.name] = run_job(job, results[job.name])
            if results[job.name].failure:
                progress(f"{row.key}: {job.name}: {results[job.name].failure}")
    judgements = tuple(judge(bar, results) for bar in row.bars)
    return Report(row=row, results=results, judgements=judgements)


def run_job(job: Job, earlier: Result) -> Result:
    """Return `earlier` with one more run of `job`, unless it is absent or has failed."""
    if job.argv is None:
        return Result(absent=True)
    if earlier.failure:
        return earlier
    if job.before is not None:
        job.before()
    try:
        usage = measure(job.argv, folder=job.folder)
    except ChildFailedError as e:
        return Result(failure=str(e))
    return Result(samples=(*earlier.samples, usage))


def judge(bar: Bar, results: Mapping[str, Result]) -> Judgement:
    """Compare the subject's median with the peer's, or with the limit itself."""
    subject = results[bar.subject]
    if not subject.measured:
        verdict = Verdict.SUBJECT_ABSENT if subject.absent else Verdict.SUBJECT_FAILED
        return Judgement(bar=bar, value=None, verdict=verdict)
    value = subject.median(bar.metric)
    if bar.peer is not None:
        peer = results[bar.peer]
        if not peer.measured:
            verdict = Verdict.PEER_ABSENT if peer.absent else Verdict.PEER_FAILED
            return Judgement(bar=bar, value=None, verdict=verdict)
        # A peer too quick for the kernel's clock is beaten by nothing.
        value = value / peer.median(bar.metric) if peer.median(bar.metric) > 0 else float("inf")
    if bar.limit is None:
        return Judgement(bar=bar, value=value, verdict=Verdict.NO_BAR)
    verdict = Verdict.MET if value <= bar.limit else Verdict.MISSED
    return Judgement(bar=bar, value=value, verdict=verdict)


def all_bars_met(reports: list[Report]) -> bool:
    """Return whether there is a bar, and each one was measured and met."""
    verdicts = [judgement.verdict for report in reports for judgement in report.judgements]
    judged = [verdict for verdict in verdicts if verdict is not Verdict.NO_BAR]
    return bool(judged) and all(verdict is Verdict.MET for verdict in judged)
