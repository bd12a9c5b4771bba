"""Commonplaces: what is learnt, what is left out, and which files are refused."""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countermark import Error
from countermark.watermark.common_pairs import (
    Calibration,
    PairCounter,
    dump_calibration,
    load_calibration,
)
from countermark.watermark.documents import Documents
from countermark.watermark.errors import MalformedPairsError, SchemeError
from countermark.watermark.units import CommonPairs, find_units, fingerprints

VECTORS = sorted((Path(__file__).parents[2] / "specs/watermark-common-pairs-v1/vectors").glob("*"))
TOKENIZER = "a" * 64
TEXTS = st.lists(st.lists(st.integers(0, 4), max_size=30), max_size=8)


def counter_of(*batches: list[list[int]], width: int = 2, limit: int = 1 << 26) -> PairCounter:
    counter = PairCounter(width, limit=limit)
    for batch in batches:
        counter.add(Documents.of(batch, vocabulary=1 << 21))
    return counter


def marks_of(pairs: list[tuple[int, ...]]) -> set[int]:
    if not pairs:
        return set()
    documents = Documents.of(pairs, vocabulary=1 << 21)
    width = len(pairs[0]) - 1
    return {int(f) >> 32 for f in fingerprints(documents.tokens, documents.starts[1:] - 1, width)}


def calibration(table: list[int], width: int = 2) -> Calibration:
    pairs = CommonPairs.of(width, np.array(table, np.uint32))
    return Calibration(pairs=pairs, vocabulary_sha256=TOKENIZER, documents=9, min_documents=3)


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 30


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_common_pairs_v1_vector(path: Path) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    if "fingerprints" in vector:
        for row in vector["fingerprints"]:
            tokens, last = np.array(row["pair"], np.uint32), len(row["pair"]) - 1
            found = fingerprints(tokens, np.array([last]), last)
            assert f"{int(found[0]):016x}" == row["fingerprint"], vector["why"]
        return
    data = base64.b64decode(vector["file"])
    if vector["expect"] != "ok":
        with pytest.raises(Error) as refusal:
            load_calibration(data)
        assert refusal.value.code == vector["expect"], vector["why"]
        return
    read = load_calibration(data)
    assert read.pairs.table.tolist() == vector["pairs"]
    assert read.pairs.width == vector["width"]
    if "learn" in vector:
        counter = counter_of(vector["learn"], width=vector["width"])
        assert counter.common(read.min_documents).table.tolist() == vector["pairs"]
        assert dump_calibration(read) == data
        documents = Documents.of([vector["text"]], vocabulary=1 << 21)
        left = find_units(documents, vector["width"], read.pairs)
        assert left.positions.tolist() == vector["counted"]


@given(texts=TEXTS, width=st.integers(1, 3), least=st.integers(1, 4), cut=st.integers(0, 8))
def test_pairs_are_counted_once_per_document_however_they_are_batched(
    texts: list[list[int]], width: int, least: int, cut: int
) -> None:
    seen = Counter(
        pair
        for text in texts
        for pair in {tuple(text[at - width : at + 1]) for at in range(width, len(text))}
    )
    expected = marks_of([pair for pair, count in seen.items() if count >= least])
    counter = counter_of(texts[:cut], texts[cut:], width=width)
    assert set(counter.common(least).table.tolist()) == expected
    assert counter.documents == len(texts)


def test_counter_that_runs_out_of_memory_is_never_too_high_and_keeps_what_is_common() -> None:
    rng = np.random.default_rng(8)
    shared = rng.integers(0, 50_000, 12).tolist()
    batches = [
        [[*shared, *rng.integers(0, 50_000, 60).tolist()] for _ in range(20)] for _ in range(30)
    ]
    small, whole = counter_of(*batches, limit=3000), counter_of(*batches)
    for least in (2, 100, 500):
        assert set(small.common(least).table.tolist()) <= set(whole.common(least).table.tolist())
    # 600 documents share ten pairs; each of the thirty batches took one off at most.
    assert set(small.common(570).table.tolist()) == set(whole.common(600).table.tolist())
    assert len(whole.common(600).table) == 10


def test_a_pair_of_no_document_cannot_be_common() -> None:
    with pytest.raises(SchemeError) as refusal:
        counter_of([[1, 2, 3]]).common(0)
    assert refusal.value.code == "scheme-parameters"
    assert len(counter_of([[1, 2, 3]]).common(1).table) == 1


@given(table=st.sets(st.integers(0, 2**32 - 1), max_size=50), width=st.integers(1, 64))
def test_what_is_written_is_read_again(table: set[int], width: int) -> None:
    written = calibration(sorted(table), width)
    read = load_calibration(dump_calibration(written))
    assert read.pairs.table.tolist() == sorted(table)
    assert (read.pairs.sieve == written.pairs.sieve).all()
    assert (read.pairs.width, read.vocabulary_sha256) == (width, TOKENIZER)
    assert (read.documents, read.min_documents) == (9, 3)


GOOD = dump_calibration(calibration([1, 70_000, 2**32 - 1]))


@given(data=st.binary(max_size=200))
@example(data=b"")
@example(data=b"\n")
@example(data=b"{}\n")
@example(data=b"[" * 4000 + b"\n")
@example(data=GOOD.replace(b'"width":2', b'"width":1e1'))
def test_any_bytes_give_a_table_or_a_refusal(data: bytes) -> None:
    for file in (data, GOOD[: len(data)] + data, GOOD + data):
        with contextlib.suppress(MalformedPairsError):
            assert 1 <= load_calibration(file).pairs.width <= 64


def test_every_flipped_bit_of_a_file_is_noticed_or_only_says_less() -> None:
    for at in range(len(GOOD)):
        for bit in range(8):
            changed = bytearray(GOOD)
            changed[at] ^= 1 << bit
            try:
                read = load_calibration(bytes(changed))
            except MalformedPairsError:
                continue
            # Numbers and the tokenizer's digest are said, not sealed: the table is.
            assert (read.pairs.table == load_calibration(GOOD).pairs.table).all()
