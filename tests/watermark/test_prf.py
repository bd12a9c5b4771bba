"""The keyed function: against vectors, and the three ways to ask for it against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.green_list import GreenListDetector
from countermark.watermark.gumbel import GumbelDetector
from countermark.watermark.prf import MAX_WIDTH, Tag, blocks, symbol_sweeps, vocabulary_blocks

FOLDER = Path(__file__).parents[2] / "specs/watermark-schemes-v1/vectors"
ROWS: list[dict[str, Any]] = json.loads((FOLDER / "keyed-function.json").read_text())["rows"]
KEY = bytes(range(16))


def pair(row: dict[str, Any]) -> tuple[Documents, np.ndarray[Any, np.dtype[np.int64]]]:
    ids = [*row["context"], row["token"]]
    return Documents.of([ids], vocabulary=1 << 21), np.array([len(ids) - 1])


def test_vectors_exist() -> None:
    assert len(ROWS) == 5 * MAX_WIDTH


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"tag{r['tag']}-width{len(r['context'])}")
def test_block_is_that_of_the_vector(row: dict[str, Any]) -> None:
    documents, positions = pair(row)
    key = bytes.fromhex(row["key"])
    context = np.array(row["context"], np.uint32)
    token, symbol = np.array([row["token"]], np.uint32), np.array([row["symbol"]], np.uint32)
    (sweep,) = symbol_sweeps(key, row["tag"], documents, positions, len(context))
    assert sweep[row["symbol"]].astype("<u8").tobytes().hex() == row["output"]
    found = vocabulary_blocks(key, row["tag"], context, token, symbol=row["symbol"])
    assert found.astype("<u8").tobytes().hex() == row["output"]
    found = blocks(key, row["tag"], documents, positions, len(context), symbols=symbol)
    assert found.astype("<u8").tobytes().hex() == row["output"]
    if row["symbol"] == 0:
        found = blocks(key, row["tag"], documents, positions, len(context))
        assert found.astype("<u8").tobytes().hex() == row["output"]
        found = vocabulary_blocks(key, row["tag"], context, token)
        assert found.astype("<u8").tobytes().hex() == row["output"]


@pytest.mark.parametrize("row", [r for r in ROWS if "gumbel_score" in r])
def test_gumbel_score_is_that_of_the_vector(row: dict[str, Any]) -> None:
    detector = GumbelDetector(bytes.fromhex(row["key"]), width=len(row["context"]))
    assert detector.values(*pair(row))[0] == pytest.approx(row["gumbel_score"], rel=1e-14)


@pytest.mark.parametrize("row", [r for r in ROWS if "green" in r])
def test_green_token_is_that_of_the_vector(row: dict[str, Any]) -> None:
    for gamma, green in row["green"].items():
        detector = GreenListDetector(
            bytes.fromhex(row["key"]), gamma=float(gamma), width=len(row["context"])
        )
        assert detector.values(*pair(row))[0] == float(green)


def test_many_positions_at_once_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 1 << 21, 500)
    documents = Documents.of([ids], vocabulary=1 << 21)
    for width in (1, 2, 3, 7):
        positions = np.arange(width, 500)
        together = blocks(KEY, Tag.GUMBEL, documents, positions, width)
        for at in (width, 250, 499):
            context = documents.tokens[at - width : at]
            alone = vocabulary_blocks(KEY, Tag.GUMBEL, context, documents.tokens[at : at + 1])
            assert (together[at - width] == alone[0]).all()


@pytest.mark.parametrize("change", ["key", "tag", "width", "context", "token", "symbol"])
def test_any_change_of_an_input_changes_about_half_of_the_bits(change: str) -> None:
    context, token = np.array([5, 6], np.uint32), np.array([7], np.uint32)
    first = vocabulary_blocks(KEY, Tag.PAYLOAD, context, token)
    second = vocabulary_blocks(
        bytes(16) if change == "key" else KEY,
        Tag.GUMBEL if change == "tag" else Tag.PAYLOAD,
        np.array(
            [0, 5, 6] if change == "width" else [5, 4] if change == "context" else [5, 6], "u4"
        ),
        token + np.uint32(change == "token"),
        symbol=int(change == "symbol"),
    )
    assert 40 < sum(int(x).bit_count() for x in (first ^ second)[0]) < 88


@pytest.mark.parametrize("width", [0, MAX_WIDTH + 1])
def test_context_that_does_not_fit_is_refused(width: int) -> None:
    documents = Documents.of([range(40)], vocabulary=40)
    with pytest.raises(SchemeError) as refusal:
        blocks(KEY, Tag.GUMBEL, documents, np.array([30]), width)
    assert refusal.value.code == "scheme-parameters"


def test_key_of_another_length_is_refused() -> None:
    documents = Documents.of([range(40)], vocabulary=40)
    with pytest.raises(SchemeError):
        blocks(bytes(32), Tag.GUMBEL, documents, np.array([30]), 2)
