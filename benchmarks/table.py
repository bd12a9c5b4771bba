"""Show measured rows to people (one Markdown table) and to programs (JSON)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from compare import Job, Judgement, Report, Result

SCHEMA = "countermark-benchmark/1"

_HEADER = (
    "row / contender", "CPU s", "min..max", "wall s", "RSS MiB",
    "ratio", "of", "bar", "verdict",
)  # fmt: skip
_NUMERIC = frozenset({1, 2, 3, 4, 5, 7})
_MIB = 1 << 20


def render(reports: Sequence[Report]) -> str:
    """Return all rows as one Markdown table, readable as plain text too."""
    lines: list[tuple[str, ...]] = [_HEADER]
    for report in reports:
        title = (f"**{report.row.key}**: {report.row.title}", *[""] * (len(_HEADER) - 1))
        lines.append(title)
        for job in report.row.jobs:
            lines.extend(_job_lines(report, job))
    # Titles may stick out: they would make the first column too wide for a terminal.
    widths = [
        max(len(line[column]) for line in lines if not line[0].startswith("**"))
        for column in range(len(_HEADER))
    ]
    rule = "|" + "|".join(
        "-" * (width + 1) + (":" if column in _NUMERIC else "-")
        for column, width in enumerate(widths)
    )
    text = [_line(line, widths) for line in lines]
    return "\n".join([text[0], rule + "|", *text[1:]])


def to_json(reports: Sequence[Report], about: Mapping[str, str]) -> dict[str, object]:
    """Return every sample and judgement; seconds and bytes, ratios unrounded."""
    return {"schema": SCHEMA, "about": dict(about), "rows": [_row_json(r) for r in reports]}


def _row_json(report: Report) -> dict[str, object]:
    return {
        "key": report.row.key,
        "title": report.row.title,
        "results": {name: asdict(result) for name, result in report.results.items()},
        "judgements": [
            {**asdict(j.bar), "value": j.value, "verdict": str(j.verdict)}
            for j in report.judgements
        ],
    }


def _job_lines(report: Report, job: Job) -> list[tuple[str, ...]]:
    """Return the job's figures beside its first judgement, and a line per further one."""
    figures = (job.name, *_figures(report.results[job.name]))
    blank = ("",) * len(figures)
    judged = [_judged(j) for j in report.judgements if j.bar.subject == job.name]
    first, *others = judged or [("", "", "", "")]
    return [figures + first, *[blank + other for other in others]]


def _figures(result: Result) -> tuple[str, str, str, str]:
    if not result.measured:
        return ("absent" if result.absent else "failed", "", "", "")
    cpu = [usage.cpu_s for usage in result.samples]
    return (
        _seconds(result.median("cpu")),
        f"{_seconds(min(cpu))}..{_seconds(max(cpu))}",
        _seconds(result.wall_s),
        f"{result.median('rss') / _MIB:.0f}",
    )


def _judged(judgement: Judgement) -> tuple[str, str, str, str]:
    bar, value = judgement.bar, judgement.value
    limit = "" if bar.limit is None else f"<= {bar.limit:g}"
    if bar.peer is None:
        return ("", "itself, seconds", limit, str(judgement.verdict))
    ratio = "" if value is None else f"{value:.3f}"
    peer = bar.peer if bar.metric == "cpu" else f"RSS of {bar.peer}"
    return (ratio, peer, limit, str(judgement.verdict))


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column in _NUMERIC else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"
