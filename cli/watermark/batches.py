"""Many texts at once: JSONL or a folder in, JSONL out, resumable."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from countermark.cli.output import Output
from countermark.cli.watermark.trial import Prepared

if TYPE_CHECKING:
    from countermark.watermark.judgement import DetectOptions
    from countermark.watermark.prospects import KeyedDetector
    from countermark.watermark.records import Record

__all__ = ["run_batch"]


def run_batch(
    output: Output,
    prepared: Prepared,
    target: Path,
    out: Path,
    *,
    field: str,
    resume: bool,
    normalise: bool,
    processes: int,
) -> int:
    """Answer every text of a JSONL file or folder, one line of `out` for each."""
    from countermark.signing.names import printable
    from countermark.watermark.batch import BatchOptions, Core, run
    from countermark.watermark.texts import detect_texts

    core = Core(
        texts=_refuse_texts
        if prepared.loaded is None
        else functools.partial(
            detect_texts,
            tokenizer=prepared.loaded,
            detectors=prepared.detectors,
            options=prepared.options,
            normalise=normalise,
        ),
        ids=functools.partial(
            _detect_ids,
            vocabulary=prepared.vocabulary,
            detectors=prepared.detectors,
            options=prepared.options,
        ),
    )
    with _records(target, out) as records:
        summary = run(
            records,
            core,
            out,
            options=BatchOptions(field=field, processes=processes),
            job=_job(prepared, field=field, normalise=normalise),
            resume=resume,
        )
    output.document(
        {
            "schema": "countermark/watermark-batch/v1",
            "verdict": "done",
            "exit_code": 0,
            "out": str(out),
            "records": summary.records,
            "resumed": summary.resumed,
            "errors": summary.errors,
            "keys_of_other_tokenizers": list(prepared.skipped),
        }
    )
    output.line("answers", f"{summary.records} in {printable(str(out))}", tone="good")
    if summary.resumed:
        output.line("  resumed", f"{summary.resumed} were there before")
    if summary.errors:
        output.line("  refused", f"{summary.errors} inputs, each with its reason", tone="note")
    return 0


def _refuse_texts(texts: list[str]) -> list[dict[str, object]]:
    from countermark.watermark.errors import MalformedInputError

    raise MalformedInputError(f"a text of {len(texts[0])} characters, and no --tokenizer")


def _detect_ids(
    ids: list[list[int]],
    *,
    vocabulary: int,
    detectors: list[KeyedDetector],
    options: DetectOptions,
) -> list[dict[str, object]]:
    from countermark.watermark.documents import Documents
    from countermark.watermark.judgement import detect_ids
    from countermark.watermark.texts import detection_document

    detections = detect_ids(Documents.of(ids, vocabulary=vocabulary), detectors, options)
    return [detection_document(detection) for detection in detections]


@contextlib.contextmanager
def _records(target: Path, out: Path) -> Iterator[Iterator[Record]]:
    from countermark.watermark.records import read_folder, read_lines

    if target.is_dir():
        yield read_folder(target, without=out)
    else:
        with target.open("rb") as file:
            yield read_lines(file)


def _job(prepared: Prepared, *, field: str, normalise: bool) -> str:
    """Name everything the answers depend on besides the inputs; no secret goes in."""
    from countermark.signing import strict_json

    tables = {
        str(width): hashlib.sha256(pairs.table.tobytes()).hexdigest()
        for width, pairs in prepared.options.common.items()
    }
    facts = {
        "alpha": prepared.options.alpha,
        "common": tables,
        "field": field,
        "keys": [keyed.key_id for keyed in prepared.detectors],
        "normalise": normalise,
        "tokenizer": None if prepared.loaded is None else prepared.loaded.sha256,
        "vocabulary": prepared.vocabulary,
        "windows_from": prepared.options.windows_from,
    }
    return hashlib.sha256(strict_json.dumps(facts)).hexdigest()
