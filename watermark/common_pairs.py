"""Commonplaces: (context, token) pairs that many unmarked documents share, learnt and stored.

Over random keys a p-value holds whatever the text. With one fixed key the documents of a
collection share phrases, and a phrase that happens to score well in that key scores well in all of
them: false alarms then come in swarms. Leaving shared pairs out ends that. The table is learnt
from text that is known to carry no mark, by tokens alone; it knows no key and tells nothing of one.

File (specs/watermark-common-pairs-v1): a line of JSON, then the table as little-endian uint32.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countermark.signing import strict_json
from countermark.signing.errors import MalformedError
from countermark.watermark.documents import Documents
from countermark.watermark.errors import MalformedPairsError, SchemeError
from countermark.watermark.units import CommonPairs, find_units, fingerprints

__all__ = ["MAX_PAIRS", "Calibration", "PairCounter", "dump_calibration", "load_calibration"]

MAX_PAIRS = 1 << 24
_MAX_HEADER_BYTES = 4096
_FORMAT = "countermark-common-pairs-v1"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A table of common pairs, and what it was learnt from.

    Attributes:
        pairs: The table.
        vocabulary_sha256: Whose ids the pairs are made of: `Tokenizer.vocabulary_sha256`.
        documents: How many documents were read.
        min_documents: A pair is common if at least so many documents have it.

    """

    pairs: CommonPairs
    vocabulary_sha256: str
    documents: int
    min_documents: int


class PairCounter:
    """Counts in how many documents each pair occurs, batch by batch.

    Memory is 16 bytes for each distinct pair, up to `limit` of them. Beyond that one is taken off
    every count, and what has none left is forgotten (Misra, Gries, "Finding repeated elements",
    1982), so a count may be too low by as many as there were such rounds, and is never too high.
    """

    def __init__(self, width: int, *, limit: int = 1 << 26) -> None:
        self.documents = 0
        self._width = width
        self._limit = limit
        self._marks = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)

    def add(self, documents: Documents) -> None:
        """Count the pairs of more documents, each pair once per document."""
        units = find_units(documents, self._width)
        marks = fingerprints(documents.tokens, units.positions, self._width)
        new, counts = np.unique(marks, return_counts=True)
        self._merge(new, counts)
        self.documents += len(documents)
        while len(self._marks) > self._limit:
            kept = self._counts > 1
            self._marks, self._counts = self._marks[kept], self._counts[kept] - 1

    def common(self, min_documents: int) -> CommonPairs:
        """Return the pairs that at least so many documents have.

        Raises:
            SchemeError: There are more than `MAX_PAIRS` of them.

        """
        if min_documents < 1:
            raise SchemeError(f"a pair cannot be common in {min_documents} documents")
        chosen = self._marks[self._counts >= min_documents]
        if len(chosen) > MAX_PAIRS:
            raise SchemeError(
                f"{len(chosen)} common pairs, limit {MAX_PAIRS}",
                hint="ask for pairs of more documents",
            )
        return CommonPairs.of(self._width, (chosen >> np.uint64(32)).astype(np.uint32))

    def _merge(self, marks: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        both = np.concatenate([self._marks, marks])
        order = np.argsort(both, kind="stable")  # Two ascending runs: merged, not sorted.
        both = both[order]
        amounts = np.concatenate([self._counts, counts])[order]
        first = np.flatnonzero(np.concatenate([[True], both[1:] != both[:-1]])[: len(both)])
        self._marks = both[first]
        self._counts = np.add.reduceat(amounts, first) if len(first) else amounts


def dump_calibration(calibration: Calibration) -> bytes:
    """Return the file's bytes."""
    table = calibration.pairs.table.astype("<u4").tobytes()
    header = {
        "documents": calibration.documents,
        "format": _FORMAT,
        "min_documents": calibration.min_documents,
        "pairs": len(calibration.pairs.table),
        "sha256": hashlib.sha256(table).hexdigest(),
        "vocabulary_sha256": calibration.vocabulary_sha256,
        "width": calibration.pairs.width,
    }
    return strict_json.dumps(header) + b"\n" + table


def load_calibration(data: bytes) -> Calibration:
    """Read a file's bytes.

    Raises:
        MalformedPairsError: They are not what `dump_calibration` writes.

    """
    line, newline, table = data[: _MAX_HEADER_BYTES + 1].partition(b"\n")
    if not newline:
        raise MalformedPairsError("there is no header line")
    table = memoryview(data)[len(line) + 1 :].tobytes()
    try:
        header = strict_json.loads(line, what="the header", max_bytes=_MAX_HEADER_BYTES)
    except MalformedError as e:
        raise MalformedPairsError(f"the header is no JSON: {e}") from e
    match header:
        case {
            "documents": int(documents),
            "format": "countermark-common-pairs-v1",
            "min_documents": int(min_documents),
            "pairs": int(pairs),
            "sha256": str(digest),
            "vocabulary_sha256": str(tokenizer),
            "width": int(width),
            **rest,
        } if not rest:
            numbers = (documents, min_documents, pairs, width)
        case _:
            raise MalformedPairsError(f"the header is not that of {_FORMAT}")
    if any(isinstance(n, bool) or n < 0 for n in numbers) or not (
        min_documents and 1 <= width <= 64
    ):
        raise MalformedPairsError("a number in the header is out of range")
    if not _SHA256.fullmatch(tokenizer):
        raise MalformedPairsError("the tokenizer's digest is not 64 lowercase hex digits")
    if pairs > MAX_PAIRS or len(table) != 4 * pairs:
        raise MalformedPairsError(f"{len(table)} bytes of table for {pairs} pairs of 4 bytes")
    if hashlib.sha256(table).hexdigest() != digest:
        raise MalformedPairsError("the table is not the one the header names: a byte was changed")
    marks = np.frombuffer(table, "<u4").astype(np.uint32)
    if (marks[1:] <= marks[:-1]).any():
        raise MalformedPairsError("the table is not in ascending order")
    return Calibration(
        pairs=CommonPairs.of(width, marks),
        vocabulary_sha256=tokenizer,
        documents=documents,
        min_documents=min_documents,
    )
