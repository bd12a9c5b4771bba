"""`countermark watermark detect`: does this text carry the mark of one of these keys?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.options import PATH, framed, unset_by_environment, verb
from countermark.cli.output import Output
from countermark.cli.watermark.rings import unlocking_options
from countermark.cli.watermark.trial import trial_options

if TYPE_CHECKING:
    from countermark.watermark.verdict import Detection

__all__ = ["command"]


@verb(
    "watermark detect",
    short_help="Say whether a text carries the mark of one of these keys.",
    examples="""\
countermark watermark detect answer.txt --keys ring.json --tokenizer tokenizer.json
countermark watermark detect ids.jsonl --ids --vocabulary 49152 --keys ring.json --json
countermark watermark detect many.jsonl --keys ring.json --tokenizer t.json --out answers.jsonl""",
)
@click.argument("target", metavar="FILE|-", type=click.Path(allow_dash=True, path_type=Path))
@trial_options
@click.option("--ids", is_flag=True, help="FILE holds token ids: a JSON list on each line.")
@click.option("--no-normalise", is_flag=True, help="Score the text as it is, and nothing else.")
@click.option("--out", type=PATH, help="Many texts (JSONL or a folder): answers go here, as JSONL.")
@click.option("--field", default="text", help="Where in a record of JSONL the text is.")
@click.option(
    "--processes", type=click.IntRange(0, 256), default=0, help="Worker processes for --out."
)
@unset_by_environment("--resume", is_flag=True, help="Go on with an --out that was interrupted.")
@unlocking_options
@framed
def command(
    output: Output,
    /,
    target: Path,
    ids: bool,
    no_normalise: bool,
    out: Path | None,
    field: str,
    processes: int,
    resume: bool,
    **trial: object,
) -> int:
    """Detect in FILE the mark of any key of a ring; `-` reads standard input.

    There are three answers: a mark was found, no mark was found by these keys, or there is not
    enough text to tell. None says that a human wrote it. Every key, every normalised variant and,
    in long texts, every window that is tried counts when p-values are corrected.
    """
    from countermark.cli.watermark.answers import print_answers
    from countermark.cli.watermark.trial import prepare, read_ids, read_text
    from countermark.watermark.judgement import detect_ids
    from countermark.watermark.texts import detect_many

    prepared = prepare(output, with_text=not ids, **trial)  # type: ignore[arg-type]
    if out is not None:
        from countermark.cli.watermark.batches import run_batch

        return run_batch(
            output,
            prepared,
            target,
            out,
            field=field,
            resume=resume,
            normalise=not no_normalise,
            processes=processes,
        )
    detections: list[Detection]
    if ids:
        documents = read_ids(target, prepared.vocabulary)
        detections = detect_ids(documents, prepared.detectors, prepared.options)
    else:
        detections = detect_many(
            [read_text(target)],
            tokenizer=prepared.tokenizer,
            detectors=prepared.detectors,
            options=prepared.options,
            normalise=not no_normalise,
        )
    return print_answers(output, target, detections, prepared)
