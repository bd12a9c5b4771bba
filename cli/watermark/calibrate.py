"""`countermark watermark calibrate`: which commonplaces to leave out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.extras import require_watermark
from countermark.cli.options import PATH, framed, unset_by_environment, verb
from countermark.cli.output import Output, human_bytes

if TYPE_CHECKING:
    from countermark.watermark.records import Record

__all__ = ["command"]

_BATCH_RECORDS = 256
_BATCH_BYTES = 8 << 20


@verb(
    "watermark calibrate",
    short_help="Learn which commonplaces to leave out, from text that is not marked.",
    examples="""\
countermark watermark calibrate clean.jsonl --tokenizer tokenizer.json --out common.pairs
countermark watermark calibrate texts/ --tokenizer model/ --out common.pairs --min-documents 5""",
)
@click.argument("target", metavar="FILE|FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--tokenizer", type=PATH, required=True, help="tokenizer.json, or its folder.")
@click.option("--out", type=PATH, required=True, help="Where the table goes.")
@click.option(
    "--width", type=click.IntRange(1, 64), default=2, help="Context tokens of the keys' scheme."
)
@click.option(
    "--min-documents",
    type=click.IntRange(2, None),
    default=20,
    help="A pair that so many documents have is a commonplace.",
)
@click.option("--field", default="text", help="Where in a record of JSONL the text is.")
@unset_by_environment("--replace", is_flag=True, help="Replace a table that is there.")
@framed
def command(
    output: Output,
    target: Path,
    tokenizer: Path,
    out: Path,
    width: int,
    min_documents: int,
    field: str,
    replace: bool,
) -> int:
    """Read texts that carry no mark, and write a table of the phrases that many of them share.

    With a fixed key, documents that share phrases share their false alarms. `detect --common`
    leaves the table's pairs out, and the promised rate of false alarms holds for collections,
    too. The table knows no key; it belongs to one tokenizer and one context width.
    """
    require_watermark()
    from countermark.signing.atomic import write_file
    from countermark.signing.names import printable
    from countermark.watermark.common_pairs import (
        Calibration,
        PairCounter,
        dump_calibration,
    )
    from countermark.watermark.documents import Documents
    from countermark.watermark.tokenization import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    counter = PairCounter(width)
    draw = output.progress_bar("calibrating")
    total = _size(target)
    for texts, done in _batches(target, field, out):
        ids = loaded.encode_batch(texts)
        counter.add(Documents.of(ids, vocabulary=loaded.vocabulary))
        if draw is not None:
            draw(done, total)
    pairs = counter.common(min_documents)
    calibration = Calibration(
        pairs=pairs,
        vocabulary_sha256=loaded.vocabulary_sha256,
        documents=counter.documents,
        min_documents=min_documents,
    )
    data = dump_calibration(calibration)
    write_file(out, data, replace=replace)
    output.document(
        {
            "schema": "countermark/watermark-calibrate/v1",
            "verdict": "done",
            "exit_code": 0,
            "out": str(out),
            "pairs": len(pairs.table),
            "documents": counter.documents,
            "min_documents": min_documents,
            "width": width,
            "vocabulary_sha256": loaded.vocabulary_sha256,
        }
    )
    output.line("calibrated", f"{counter.documents} documents")
    output.line(
        "written", f"{printable(str(out))}: {len(pairs.table)} pairs, {human_bytes(len(data))}"
    )
    return 0


def _batches(target: Path, field: str, out: Path) -> Iterator[tuple[list[str], int]]:
    """Yield texts, and how many bytes of the input have been read."""
    from countermark.watermark.records import read_folder, read_lines

    def records() -> Iterator[Record]:
        if target.is_dir():
            yield from read_folder(target, without=out)
        else:
            with target.open("rb") as file:
                yield from read_lines(file)

    texts: list[str] = []
    done = waiting = 0
    for record in records():
        texts.append(_text(record, field))
        waiting += record.size_bytes
        if len(texts) >= _BATCH_RECORDS or waiting >= _BATCH_BYTES:
            done += waiting
            yield texts, done
            texts, waiting = [], 0
    if texts:
        yield texts, done + waiting


def _text(record: Record, field: str) -> str:
    """Return what a record says, or refuse it by its name: there may be a million of them."""
    from countermark import Error
    from countermark.signing.names import printable
    from countermark.watermark.errors import MalformedInputError
    from countermark.watermark.records import content

    name = f"line {record.line}" if record.file is None else printable(record.file)
    try:
        said = content(record, field=field).value
    except Error as e:
        raise MalformedInputError(f"{name}: {str(e).removeprefix(f'{name}: ')}") from e
    if not isinstance(said, str):
        raise MalformedInputError(f"{name}: calibration reads texts, not token ids")
    return said


def _size(target: Path) -> int:
    """Return about how many bytes there are to read."""
    if target.is_dir():
        return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return target.stat().st_size
