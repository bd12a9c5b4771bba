"""`countermark content scan`: judge many files, one line for each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.content.counter import file_counter
from countermark.cli.content.trusting import TrustGiven, read_trust_given, trust_options
from countermark.cli.exits import EXIT_OF
from countermark.cli.extras import require_c2pa
from countermark.cli.options import PATH, framed, unset_by_environment, verb
from countermark.cli.output import Output
from countermark.signing.verdict import Outcome

if TYPE_CHECKING:
    from countermark.provenance.scan import ScanItem, ScanSummary
    from countermark.provenance.scan_summary import Count
    from countermark.provenance.trust import TrustBundle

__all__ = ["command"]

_JSON_LINES = (".jsonl", ".ndjson")
_WORST_FIRST = (
    Outcome.MALFORMED,
    Outcome.TAMPERED,
    Outcome.UNTRUSTED_SIGNER,
    Outcome.OUTSIDE_VALIDITY,
    Outcome.REFUSED,
    Outcome.INCONCLUSIVE,
    Outcome.NOTHING_TO_VERIFY,
)
_TONES = {"verified": "good", "nothing-to-verify": "", "inconclusive": "note"}


@verb(
    "content scan",
    short_help="Judge many files: one line for each, and a summary.",
    examples="""\
countermark content scan uploads/ --trust trust.json --out results.jsonl --report page.html
countermark content scan files.txt --out results.jsonl --jobs 8 --timeout 10
countermark content scan rows.jsonl --out results.jsonl --resume
countermark content scan release/ --trust trust.json --out r.jsonl --fail-on tampered""",
)
@click.argument("target", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=PATH, required=True, help="Where the lines go (JSONL).")
@click.option("--report", type=PATH, help="Where a page with the summary goes (HTML).")
@trust_options
@click.option(
    "--jobs", type=click.IntRange(1, 1024), help="Worker processes.  [default: one for each core]"
)
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), default=30.0, help="Most seconds for one file."
)
@click.option(
    "--memory",
    type=click.IntRange(512, 1 << 20),
    default=4096,
    help="Most address space of a worker, in MiB.",
)
@unset_by_environment("--resume", is_flag=True, help="Go on where --out ends.")
@unset_by_environment("--replace", is_flag=True, help="Replace a report that is there.")
@click.option(
    "--prefilter/--no-prefilter", default=True, help="Pass over files that surely carry no mark."
)
@click.option(
    "--fail-on",
    type=click.Choice([outcome.value for outcome in _WORST_FIRST]),
    multiple=True,
    metavar="VERDICT",
    help="End with this verdict's exit code if a file gets it, e.g. tampered. May be given again.",
)
@framed
def command(
    output: Output,
    /,
    target: Path,
    out: Path,
    report: Path | None,
    trust: TrustGiven,
    jobs: int | None,
    timeout: float,
    memory: int,
    resume: bool,
    replace: bool,
    prefilter: bool,
    fail_on: tuple[str, ...],
) -> int:
    """Judge every file of TARGET: a folder, a list with a path on each line, or JSONL with paths.

    Names in a list are relative to where it lies. A file that hangs or crashes a worker costs
    only its own time, and is reported as not judged; the exit code is then 15. Verdicts on files
    do not change it, unless --fail-on names them.
    """
    require_c2pa()
    from countermark.provenance.scan import PoolOptions, ScanOptions, scan

    _refuse_existing(out, report, replace)
    bundle = read_trust_given(trust)
    counted = file_counter(output, "scanning")
    lines = 0

    def progress(done: int) -> None:
        nonlocal lines
        lines = done
        if counted is not None:
            counted(done)

    try:
        with _items(target, out, report) as items:
            summary = scan(
                items,
                out,
                options=ScanOptions(trust=bundle, prefilter=prefilter, now=datetime.now(UTC)),
                pool=PoolOptions(
                    jobs=jobs or os.cpu_count() or 1, timeout_s=timeout, memory_bytes=memory << 20
                ),
                resume=resume,
                progress=progress,
            )
    except KeyboardInterrupt:
        output.note(f"{lines:,} lines are whole", "go on with the same command and --resume")
        raise
    code = _exit_code(summary, fail_on)
    if report is not None:
        _write_report(report, summary, target, bundle)
    output.document(_document(summary, code, out, report, bundle))
    _tell(output, summary, out, report)
    return code


def _refuse_existing(out: Path, report: Path | None, replace: bool) -> None:
    """Refuse before the work what would be refused after it."""
    from countermark.signing.errors import FileExistsRefusedError
    from countermark.signing.names import printable

    if report is None:
        return
    if report.absolute() == out.absolute():
        raise click.UsageError("--out and --report name the same file")
    if report.exists() and not replace:
        raise FileExistsRefusedError(
            f"{printable(str(report))} exists and would be lost",
            hint="choose another name, or add --replace",
        )


@contextlib.contextmanager
def _items(target: Path, out: Path, report: Path | None) -> Iterator[Iterator[ScanItem]]:
    from countermark.provenance.scan import items_of_folder, items_of_lines, items_of_list

    if target.is_dir():
        # The output is there by the time the folder is read.
        yield items_of_folder(target, without=(out, *((report,) if report else ())))
        return
    read = items_of_lines if target.suffix.lower() in _JSON_LINES else items_of_list
    with target.open("rb") as file:
        yield read(file, beside=target.parent)


def _exit_code(summary: ScanSummary, fail_on: Sequence[str]) -> int:
    for outcome in _WORST_FIRST:
        if outcome.value in fail_on and summary.of(outcome.value):
            return EXIT_OF[outcome]
    return EXIT_OF[Outcome.INCONCLUSIVE] if _not_judged(summary) else 0


def _not_judged(summary: ScanSummary) -> int:
    from countermark.provenance.scan_worker import NOT_JUDGED

    return sum(count.files for count in summary.codes if count.name in NOT_JUDGED)


def _write_report(
    report: Path, summary: ScanSummary, target: Path, bundle: TrustBundle | None
) -> None:
    from countermark.provenance.scan_report import scan_page
    from countermark.provenance.verdict import TrustUsed
    from countermark.signing.atomic import write_file

    used = None
    if bundle is not None:
        used = TrustUsed(bundle.name, bundle.dated.isoformat(), bundle.sha256)
    page = scan_page(summary, subject=str(target), trust=used)
    write_file(report, page.encode("utf-8", "backslashreplace"))


def _document(
    summary: ScanSummary, code: int, out: Path, report: Path | None, bundle: TrustBundle | None
) -> dict[str, object]:
    return {
        "schema": "countermark/content-scan/v1",
        "verdict": "done" if code == 0 else _verdict_of(code),
        "exit_code": code,
        "out": str(out),
        "report": None if report is None else str(report),
        "files": summary.files,
        "resumed": summary.resumed,
        "not_judged": _not_judged(summary),
        "verdicts": _counts(summary.verdicts),
        "codes": _counts(summary.codes),
        "signers": _counts(summary.signers),
        "sources": _counts(summary.sources),
        "models": _counts(summary.models),
        "media_types": _counts(summary.media_types),
        "trust": None
        if bundle is None
        else {"name": bundle.name, "dated": bundle.dated.isoformat(), "sha256": bundle.sha256},
    }


def _verdict_of(code: int) -> str:
    return next(outcome.value for outcome, number in EXIT_OF.items() if number == code)


def _counts(counts: Sequence[Count]) -> list[dict[str, object]]:
    return [{"name": count.name, "files": count.files} for count in counts]


def _tell(output: Output, summary: ScanSummary, out: Path, report: Path | None) -> None:
    from countermark.signing.names import printable

    output.line("files", f"{summary.files:,}, one line for each in {printable(str(out))}")
    if summary.resumed:
        output.line("  resumed", f"{summary.resumed:,} were there before")
    for count in summary.verdicts:
        output.line("", f"{count.files:>9,}  {count.name}", tone=_TONES.get(count.name, "bad"))
    for label, counts in (("signers", summary.signers), ("sources", summary.sources)):
        for place, count in enumerate(counts[:5]):
            output.line("" if place else label, f"{count.files:>9,}  {count.name}")
        if len(counts) > 5:
            output.line("", f"           and {len(counts) - 5:,} more")
    if report is not None:
        output.line("written", printable(str(report)))
    not_judged = _not_judged(summary)
    if not_judged:
        output.note(
            f"{not_judged:,} files could not be judged: too slow, too much, or unreadable",
            "their lines say why; try them by themselves, with more --timeout or --memory",
        )
