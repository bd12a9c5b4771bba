"""TextSeal's marks: every vector of rosetta-textseal-v1, and nulls that are never too small."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.detector import Detector
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.textseal import (
    STRIDE_LATER,
    TextSealDualDetector,
    TextSealGreenListDetector,
    TextSealGumbelDetector,
    TextSealSynthidDetector,
)
from countermark.watermark.textseal_kernels import OUTPUTS, hashes

VOCABULARY = 1 << 21
SPEC = Path(__file__).parents[2] / "specs/rosetta-textseal-v1"
VECTORS = {p.stem: json.loads(p.read_text()) for p in sorted((SPEC / "vectors").glob("*.json"))}

EVERY: list[Detector] = [
    TextSealGumbelDetector(42),
    TextSealDualDetector(42, None, 0.3),
    TextSealGreenListDetector(42, 0.25),
    TextSealSynthidDetector(42),
    TextSealSynthidDetector(42, weighted=True, stride=STRIDE_LATER),
]


def text(*documents: list[int]) -> Documents:
    return Documents.of(documents, vocabulary=VOCABULARY)


def last(context: list[int], token: int) -> tuple[Documents, NDArray[np.int64]]:
    return text([*context, token]), np.array([len(context)], np.int64)


def test_vectors_exist() -> None:
    assert {"hashes", "dual", "greens", "synthid", "shared-layers"} <= VECTORS.keys()
    assert len(VECTORS["hashes"]["rows"]) >= 40


def test_hashes_and_scores_are_those_of_the_vectors() -> None:
    for row in VECTORS["hashes"]["rows"]:
        documents, at = last(row["context"], row["token"])
        width, key = len(row["context"]), int(row["key"])
        assert hashes(documents.tokens, at, width, key).tolist() == [row["hash"]]
        score = TextSealGumbelDetector(key, width).values(documents, at)
        assert score == pytest.approx([float(row["score"])], rel=1e-11)


def test_scores_under_two_keys_are_those_of_the_vectors() -> None:
    for row in VECTORS["dual"]["rows"]:
        documents, at = last(row["context"], row["token"])
        detector = TextSealDualDetector(int(row["key"]), row["second"], row["alpha"], 2)
        assert detector.values(documents, at) == pytest.approx([float(row["score"])], rel=1e-11)


def test_green_shares_are_those_of_the_vectors() -> None:
    drawn = np.arange(OUTPUTS)
    for row in VECTORS["greens"]["rows"]:
        detector = TextSealGreenListDetector(42, row["gamma"])
        one = np.array([1])
        share = np.exp(detector.log_p(np.array([1.0]), one))[0]
        assert share == pytest.approx(row["green"] / len(drawn), rel=1e-12)


def test_layers_are_those_of_the_vectors() -> None:
    for row in VECTORS["synthid"]["rows"]:
        documents, at = last(row["context"], row["token"])
        for weighted, name in ((False, "count"), (True, "weighted")):
            detector = TextSealSynthidDetector(
                int(row["key"]), row["depth"], row["gamma"], weighted, 1, row["stride"]
            )
            assert detector.values(documents, at).tolist() == [row[name]]


def test_tokens_that_share_layers_keep_them_or_get_coins_as_the_vector_says() -> None:
    vector = VECTORS["shared-layers"]
    documents = text(vector["tokens"])
    at = np.array(sorted(vector["kept"] + vector["replaced"]), np.int64)
    changed: set[int] = set()
    for key in range(60):
        detector = TextSealSynthidDetector(key, vector["depth"])
        alone = [detector.values(documents, at[i : i + 1])[0] for i in range(len(at))]
        changed.update(at[detector.values(documents, at) != alone].tolist())
    assert sorted(changed) == vector["replaced"]


def test_the_same_tokens_after_other_contexts_or_in_other_documents_keep_their_layers() -> None:
    detector = TextSealSynthidDetector(42)
    documents = text([5, 100], [5, 101], [6, 102, 7, 103])
    at = np.array([1, 3, 5, 7], np.int64)
    singly = [detector.values(documents, at[i : i + 1])[0] for i in range(4)]
    assert detector.values(documents, at).tolist() == singly


def test_coins_of_shared_layers_follow_the_key_and_not_the_batch() -> None:
    crowded = [5, 100, 5, 101, 5, 102, 5, 103]
    detector = TextSealSynthidDetector(42)
    at = np.array([1, 3, 5, 7], np.int64)
    alone = detector.values(text(crowded), at)
    assert detector.values(text([1, 2, 3], crowded), at + 3).tolist() == alone.tolist()
    assert detector.values(text(crowded), at).tolist() == alone.tolist()
    assert TextSealSynthidDetector(43).values(text(crowded), at).tolist() != alone.tolist()


def test_shared_layers_would_tie_scores_together_and_coins_do_not() -> None:
    # 20 neighbouring ids after one context, 30 layers each.
    documents = text([token for step in range(20) for token in (5, 100 + step)])
    at = np.arange(1, 40, 2, dtype=np.int64)
    later = np.isin(np.arange(40), at).astype(np.uint32)
    rng = np.random.default_rng(1)
    kept, tied = [], []
    for key in rng.integers(0, 1 << 62, 600).tolist():
        kept.append(TextSealSynthidDetector(key).values(documents, at).sum())
        shifted = [documents.tokens + np.uint32(layer) * later for layer in range(30)]
        tied.append(sum((hashes(ids, at, 1, key) < 4096).sum() for ids in shifted))
    binomial = 600 * 0.25
    assert 0.75 < np.var(kept) / binomial < 1.3
    assert np.var(tied) / binomial > 8


def discrete_tail(count: int, total: float, step: float) -> tuple[float, float]:
    """Bounds of P(sum of `count` scores >= `total`), by convolution on a grid of `step`."""
    scores = -np.log1p(-np.arange(OUTPUTS) / OUTPUTS)
    bounds = []
    for rounded in (np.floor(scores / step), np.ceil(scores / step)):
        mass = np.bincount(rounded.astype(int)) / OUTPUTS
        # Tilted towards the tail, where a transform would otherwise leave noise only.
        tilt = np.exp(np.arange(len(mass)) * step * max(0.0, 1 - count / total))
        size = 1 << (len(mass) * count).bit_length()
        law = np.fft.irfft(np.fft.rfft(mass * tilt, size) ** count, size)
        grid = np.arange(size) * step
        weights = np.exp(-grid * max(0.0, 1 - count / total))
        bounds.append(float((law * weights)[grid >= total - step / 2].sum()))
    return bounds[0], bounds[1]


@pytest.mark.parametrize(("count", "step"), [(1, 1e-3), (5, 1e-3), (50, 1e-3), (200, 2e-3)])
def test_the_gamma_tail_is_never_below_the_discrete_one_and_close_to_it(
    count: int, step: float
) -> None:
    for deviations in (1, 2, 4, 6):
        total = round((count + deviations * np.sqrt(count)) / step) * step
        low, high = discrete_tail(count, total, step)
        gamma = np.exp(TextSealGumbelDetector(1).log_p(np.array([total]), np.array([count])))[0]
        assert gamma >= low
        # Nine is the largest score there is: a few tokens reach the end of the discrete law.
        assert count < 50 or gamma <= 1.35 * high


def test_binomial_share_of_one_half_is_above_one_half() -> None:
    # 4,096 of 8,191 outputs: TextSeal's own p takes 0.5.
    detector = TextSealGreenListDetector(42, 0.5)
    assert detector.log_p(np.array([1.0]), np.array([1]))[0] > np.log(0.5)


@pytest.mark.parametrize("detector", EVERY, ids=lambda d: d.scheme)
def test_p_is_seldom_small_on_text_that_no_key_marked(detector: Detector) -> None:
    rng = np.random.default_rng(4)
    ids = rng.zipf(1.3, 60_000) % 50_000
    documents = text(*[ids[i : i + 200].tolist() for i in range(0, len(ids), 200)])
    p = []
    for document in range(len(documents)):
        first = int(documents.starts[document])
        rows = documents.tokens[first : first + 200]
        pairs = np.stack([rows[:-1], rows[1:]], axis=1)
        at = np.sort(np.unique(pairs, axis=0, return_index=True)[1]) + first + 1
        total = detector.values(documents, at).sum(keepdims=True)
        p.append(detector.log_p(total, np.array([len(at)]))[0])
    assert np.mean(np.array(p) <= np.log(0.01)) <= 0.04
    assert 0.15 < np.mean(np.array(p) <= np.log(0.5)) < 0.85


@pytest.mark.parametrize("detector", EVERY, ids=lambda d: d.scheme)
def test_no_tokens_have_no_values_and_p_of_one(detector: Detector) -> None:
    assert detector.values(text([1, 2]), np.zeros(0, np.int64)).tolist() == []
    assert detector.log_p(np.array([0.0]), np.array([0])).tolist() == [0.0]


def test_keys_widths_shares_and_layers_outside_the_limits_are_refused() -> None:
    largest = (1 << 63) - 1
    assert TextSealGumbelDetector(largest, 10).width == 10
    assert TextSealDualDetector(largest - 12345).width == 1
    assert TextSealSynthidDetector(0, 128).depth == 128
    refused: list[Callable[[], object]] = [
        lambda: TextSealGumbelDetector(largest + 1),
        lambda: TextSealGumbelDetector(-1),
        lambda: TextSealGumbelDetector(1, 0),
        lambda: TextSealGumbelDetector(1, 11),
        lambda: TextSealDualDetector(largest - 12344),
        lambda: TextSealDualDetector(1, alpha=0.0),
        lambda: TextSealGreenListDetector(1, 0.0),
        lambda: TextSealGreenListDetector(1, 1.0),
        lambda: TextSealGreenListDetector(1, 0.9999),  # All outputs are below that.
        lambda: TextSealGreenListDetector(1, float("nan")),
        lambda: TextSealSynthidDetector(1, 0),
        lambda: TextSealSynthidDetector(1, 129),
        lambda: TextSealSynthidDetector(1, stride=2),
    ]
    for make in refused:
        with pytest.raises(SchemeError) as caught:
            make()
        assert caught.value.code == "scheme-parameters"


def test_a_key_is_in_no_text_that_a_detector_or_an_error_gives_of_itself() -> None:
    secret = 1234567890123456789
    assert str(secret) not in repr(TextSealGumbelDetector(secret))
    assert str(secret) not in repr(TextSealDualDetector(1, secret))
    assert str(secret) not in repr(TextSealSynthidDetector(secret))
    with pytest.raises(SchemeError) as caught:
        TextSealGreenListDetector(secret * 100)
    assert str(secret) not in str(caught.value)
