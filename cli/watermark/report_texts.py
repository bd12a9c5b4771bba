"""The files of texts that `report` measures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from countermark.cli.output import Output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from countermark.watermark.card_plan import TextFile
    from countermark.watermark.tokenization import Tokenizer

__all__ = ["read_files"]

_BATCH_RECORDS = 256
_BATCH_BYTES = 8 << 20


def read_files(
    output: Output, named: Sequence[tuple[str, Path]], tokenizer: Tokenizer, field: str
) -> list[TextFile]:
    """Return the texts of JSONL files as token ids.

    Raises:
        MalformedInputError: A record is neither a text nor token ids of this tokenizer; the
            message names file and line.
        OSError: A file cannot be read.

    """
    from countermark.watermark.card_plan import TextFile

    draw = output.progress_bar("reading")
    total = sum(path.stat().st_size for _, path in named)
    files: list[TextFile] = []
    before = 0
    for name, path in named:
        texts: list[NDArray[np.uint32]] = []
        for contents, done in _batches(path, field, tokenizer.vocabulary):
            texts += _encoded(contents, tokenizer)
            if draw is not None:
                draw(min(before + done, total - 1), total)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        before += path.stat().st_size
        files.append(TextFile(name=name, sha256=digest, texts=tuple(texts)))
    if draw is not None:
        draw(total, total)
    return files


def _encoded(
    contents: Sequence[str | NDArray[np.uint32]], tokenizer: Tokenizer
) -> list[NDArray[np.uint32]]:
    encoded = iter(tokenizer.encode_batch([one for one in contents if isinstance(one, str)]))
    return [next(encoded) if isinstance(one, str) else one for one in contents]


def _batches(
    path: Path, field: str, vocabulary: int
) -> Iterator[tuple[list[str | NDArray[np.uint32]], int]]:
    """Yield texts, or the ids of those that come as ids, and how many bytes have been read."""
    from countermark.signing.names import printable
    from countermark.watermark.documents import Documents
    from countermark.watermark.errors import MalformedInputError
    from countermark.watermark.records import content, read_lines

    contents: list[str | NDArray[np.uint32]] = []
    done = waiting = 0
    with path.open("rb") as file:
        for record in read_lines(file):
            try:
                said = content(record, field=field).value
                ids = said if isinstance(said, str) else Documents.of([said], vocabulary=vocabulary)
            except MalformedInputError as e:
                place = f"{printable(str(path))}, line {record.line}"
                raise MalformedInputError(f"{place}: {e}") from e
            contents.append(ids if isinstance(ids, str) else ids.tokens)
            waiting += record.size_bytes
            if len(contents) >= _BATCH_RECORDS or waiting >= _BATCH_BYTES:
                done += waiting
                yield contents, done
                contents, waiting = [], 0
    if contents:
        yield contents, done + waiting
