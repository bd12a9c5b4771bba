"""`countermark watermark scan`: where in this text is the mark?"""

from __future__ import annotations

from pathlib import Path

import click

from countermark.cli.options import framed, verb
from countermark.cli.output import Output
from countermark.cli.watermark.rings import unlocking_options
from countermark.cli.watermark.trial import trial_options

__all__ = ["command"]

_WANTED_POWER = 0.99


@verb(
    "watermark scan",
    short_help="Find the marked stretches of a long text.",
    examples="""\
countermark watermark scan report.txt --keys ring.json --tokenizer tokenizer.json
countermark watermark scan report.txt --keys ring.json --tokenizer model/ --alpha 1e-3 --json""",
)
@click.argument("target", metavar="FILE|-", type=click.Path(allow_dash=True, path_type=Path))
@trial_options
@click.option("--ids", is_flag=True, help="FILE holds token ids: a JSON list on one line.")
@unlocking_options
@framed
def command(output: Output, /, target: Path, ids: bool, **trial: object) -> int:
    """Find the stretches of FILE that carry the mark of any key of a ring.

    Windows of doubling lengths are tested, and each p-value is corrected for all of them and for
    every key: of unmarked texts at most --alpha show any stretch at all. The ends of a stretch
    are estimates.
    """
    import numpy as np

    from countermark.cli.watermark.trial import prepare, read_ids, read_text
    from countermark.signing.names import printable
    from countermark.watermark.documents import Documents
    from countermark.watermark.errors import MalformedInputError
    from countermark.watermark.judgement import scan_ids, scan_power
    from countermark.watermark.texts import span_document

    prepared = prepare(output, with_text=not ids, **trial)  # type: ignore[arg-type]
    offsets = None
    if ids:
        documents = read_ids(target, prepared.vocabulary)
        if len(documents) != 1:
            raise MalformedInputError(f"{len(documents)} lists of ids; scan takes one")
    else:
        tokens, offsets = prepared.tokenizer.encode_with_offsets(read_text(target))
        documents = Documents(tokens, np.array([0, len(tokens)]))
    spans = scan_ids(documents, prepared.detectors, prepared.options)[0]
    length = len(documents.tokens)
    power = scan_power(documents, prepared.detectors, prepared.options)[0]
    short = power < _WANTED_POWER
    code = 0 if spans else 15 if short else 10
    verdict = "mark-found" if spans else "not-enough-evidence" if short else "no-mark-found"
    rows = []
    for span in spans:
        row = span_document(span)
        place = f"tokens {span.span.start} to {span.span.stop}"
        if offsets is not None:
            first = int(offsets[span.span.start, 0])
            last = int(offsets[span.span.stop - 1, 1])
            row["characters"] = {"start": first, "stop": last}
            place += f", characters {first} to {last}"
        rows.append(row)
        p = f"log10 p {row['log10_corrected_p']:.1f}"
        output.line("MARK FOUND", f"{place}: key {span.key_id}, {p}", tone="good")
    output.document(
        {
            "schema": "countermark/watermark-scan/v1",
            "verdict": verdict,
            "exit_code": code,
            "subject": str(target),
            "alpha": prepared.options.alpha,
            "tokens": length,
            "power": round(power, 6),
            "spans": rows,
            "keys_of_other_tokenizers": list(prepared.skipped),
        }
    )
    if not spans:
        what = "too few for a scan to tell" if short else "no stretch that these keys marked"
        output.line("NOT ENOUGH" if short else "NO MARK", f"{length} tokens: {what}", tone="note")
    if code and output.format == "quiet":
        output.complaint(verdict, printable(str(target)))
    return code
