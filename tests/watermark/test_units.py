"""Which pairs count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermark.watermark.documents import MAX_TOKEN_ID, Documents
from countermark.watermark.errors import MalformedInputError
from countermark.watermark.units import CommonPairs, find_units, fingerprints

TEXTS = st.lists(st.lists(st.integers(0, 6), max_size=40), max_size=6)


def by_hand(texts: list[list[int]], width: int) -> list[list[int]]:
    """Return the indexes that count in each text, by sets of tuples."""
    kept = []
    for text in texts:
        seen: set[tuple[int, ...]] = set()
        indexes = []
        for at in range(width, len(text)):
            pair = tuple(text[at - width : at + 1])
            if pair not in seen:
                seen.add(pair)
                indexes.append(at)
        kept.append(indexes)
    return kept


@given(texts=TEXTS, width=st.integers(1, 4))
def test_first_of_equal_pairs_counts_in_each_document(texts: list[list[int]], width: int) -> None:
    documents = Documents.of(texts, vocabulary=7)
    units = find_units(documents, width)
    expected = by_hand(texts, width)
    for d, start in enumerate(documents.starts[:-1]):
        found = units.positions[units.starts[d] : units.starts[d + 1]] - start
        assert found.tolist() == expected[d]
        assert units.repeated[d] == max(0, len(texts[d]) - width) - len(expected[d])
    assert units.common.sum() == 0


@pytest.mark.parametrize("width", [1, 4])
def test_pairs_of_many_documents_are_those_of_each_alone(width: int) -> None:
    # Lengths around what is hashed at once, so that documents end before, at and after its ends.
    rng = np.random.default_rng(4)
    texts = [rng.integers(0, 7, n).tolist() for n in (700, 3, 1024, 324, 0, 2048, 1023, 5, 1100)]
    documents = Documents.of(texts, vocabulary=7)
    units = find_units(documents, width)
    expected = by_hand(texts, width)
    for d, start in enumerate(documents.starts[:-1]):
        found = units.positions[units.starts[d] : units.starts[d + 1]] - start
        assert found.tolist() == expected[d]


@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_pair_whose_fingerprint_is_zero_counts_once_like_any_other(width: int) -> None:
    text = [width] + [0] * width
    documents = Documents.of([text, text + text, text[1:]], vocabulary=7)
    assert fingerprints(documents.tokens, np.array([width]), width).tolist() == [0]
    units = find_units(documents, width)
    expected = by_hand([text, text + text, text[1:]], width)
    begins = documents.starts[:-1].tolist()
    found = [b + i for b, indexes in zip(begins, expected, strict=True) for i in indexes]
    assert units.positions.tolist() == found
    assert units.repeated.tolist() == [0, 1, 0]


def test_a_part_of_some_documents_is_those_documents() -> None:
    texts = [[1, 2], [], [3], [4, 5, 6]]
    documents = Documents.of(texts, vocabulary=10)
    for first in range(5):
        for last in range(first, 5):
            part, alone = (
                documents.part(first, last),
                Documents.of(texts[first:last], vocabulary=10),
            )
            assert part.tokens.tolist() == alone.tokens.tolist()
            assert part.starts.tolist() == alone.starts.tolist()


@given(texts=TEXTS)
def test_common_pairs_never_count(texts: list[list[int]]) -> None:
    documents = Documents.of(texts, vocabulary=7)
    everything = find_units(documents, 2)
    marks = fingerprints(documents.tokens, everything.positions, 2)
    common = CommonPairs.of(2, (marks[::2] >> np.uint64(32)).astype(np.uint32))
    left = find_units(documents, 2, common)
    remaining = fingerprints(documents.tokens, left.positions, 2)
    assert not set(remaining.tolist()) & set(marks[::2].tolist())
    total = [max(0, len(text) - 2) for text in texts]
    counted = np.diff(left.starts) + left.repeated + left.common
    assert counted.tolist() == total


def test_table_of_another_width_excludes_nothing() -> None:
    documents = Documents.of([range(100)], vocabulary=100)
    marks = fingerprints(documents.tokens, np.arange(2, 100), 2)
    common = CommonPairs.of(2, (marks >> np.uint64(32)).astype(np.uint32))
    assert len(find_units(documents, 2, common).positions) == 0
    assert len(find_units(documents, 3, common).positions) == 97


def test_pairs_across_a_border_between_documents_do_not_exist() -> None:
    documents = Documents.of([[1, 2], [3], [], [4, 5, 6]], vocabulary=10)
    assert find_units(documents, 2).positions.tolist() == [5]


def test_long_document_keeps_all_of_its_distinct_pairs() -> None:
    rng = np.random.default_rng(3)
    documents = Documents.of([rng.integers(0, MAX_TOKEN_ID, 200_000)], vocabulary=MAX_TOKEN_ID)
    assert len(find_units(documents, 2).positions) == 199_998


@pytest.mark.parametrize("bad", [[-1], [10], [1.5], [True, "a"], [[1, 2], [3, 4]], [1 << 70]])
def test_ids_that_are_none_are_refused(bad: list[object]) -> None:
    with pytest.raises(MalformedInputError) as refusal:
        Documents.of([bad], vocabulary=10)  # type: ignore[list-item]
    assert refusal.value.code == "malformed-input"


@pytest.mark.parametrize("vocabulary", [0, -5, (1 << 21) + 1])
def test_vocabulary_that_cannot_be_is_refused(vocabulary: int) -> None:
    with pytest.raises(MalformedInputError):
        Documents.of([[0]], vocabulary=vocabulary)
    assert len(Documents.of([[0]], vocabulary=1 << 21)) == 1
