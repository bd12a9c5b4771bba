"""`countermark content verify`: where does this come from, and is it as it was signed?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.content.trusting import TrustGiven, read_trust_given, trust_options
from countermark.cli.exits import EXIT_OF
from countermark.cli.extras import require_c2pa
from countermark.cli.files import read_bounded
from countermark.cli.options import EXISTING_FILE, framed, verb
from countermark.cli.output import Output

if TYPE_CHECKING:
    from countermark.provenance.examine import ExamineOptions
    from countermark.provenance.model_evidence import ModelEvidence
    from countermark.provenance.verdict import ContentVerdict

__all__ = ["command"]


@verb(
    "content verify",
    short_help="Judge a file's content credentials.",
    examples="""\
countermark content verify cat.signed.png --trust dev/trust.json
countermark content verify cat.signed.png --trust trust.json --model model/ --json
countermark content verify data.bin --manifest data.bin.c2pa --trust trust.json
curl -s https://example.org/a.png | countermark content verify - --trust trust.json""",
)
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@trust_options
@click.option("--manifest", type=EXISTING_FILE, help="The manifest.  [default: inside, FILE.c2pa]")
@click.option(
    "--model",
    type=click.Path(exists=True, path_type=Path),
    help="The signed model that it should name.",
)
@click.option("--media-type", metavar="TYPE", help="What FILE is.  [default: look]")
@click.option("--online", is_flag=True, help="Fetch a manifest that is only referred to.")
@click.option("--cross-check", is_flag=True, help="Ask encypher-c2pa, too, and show both.")
@framed
def command(
    output: Output,
    /,
    file: Path,
    trust: TrustGiven,
    manifest: Path | None,
    model: Path | None,
    media_type: str | None,
    online: bool,
    cross_check: bool,
) -> int:
    """Judge the content credentials of FILE; - is standard input, a folder is a signed model.

    Nothing is fetched unless you say --online, and nothing is executed. Without --trust nobody
    is believed: what was signed can be shown to be unchanged, but not by whom.
    """
    if cross_check and not file.is_file():
        raise click.UsageError("--cross-check needs a file")
    require_c2pa()
    from countermark.cli.content.verdicts import print_verdict
    from countermark.provenance.examine import (
        MAX_STORE_BYTES,
        ExamineOptions,
        examine_file,
        examine_model,
    )

    options = ExamineOptions(
        trust=read_trust_given(trust),
        model=_model(model),
        media_type=media_type or "",
        manifest=None if manifest is None else read_bounded(manifest, MAX_STORE_BYTES),
        online=online,
        now=datetime.now(UTC),
    )
    if str(file) == "-":
        verdict = _standard_input(options)
    elif file.is_dir():
        verdict = examine_model(file, options)
    else:
        verdict = examine_file(file, options, progress=output.progress_bar("verifying"))
    second = None
    if cross_check:
        from countermark.provenance.cross_check import ask_second_engine

        second = ask_second_engine(file, verdict, options.trust, manifest=manifest)
    print_verdict(output, verdict, second)
    return EXIT_OF[verdict.outcome]


def _model(path: Path | None) -> ModelEvidence | None:
    if path is None:
        return None
    from countermark.provenance.model_evidence import load_model_evidence

    return load_model_evidence(path)


def _standard_input(options: ExamineOptions) -> ContentVerdict:
    """Judge what comes on standard input, which can be read only once."""
    import shutil
    import sys
    import tempfile

    from countermark.provenance.examine import examine

    with tempfile.TemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        return examine(kept, "standard input", options)
