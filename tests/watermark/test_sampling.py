"""What is written: unbiased, once per context, and found again by the detector."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.detector import Detector
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.green_list import GreenListDetector, GreenListSampler
from countermark.watermark.gumbel import (
    DualGumbelDetector,
    DualGumbelSampler,
    GumbelDetector,
    GumbelSampler,
)
from countermark.watermark.sampling import Marker, Sampler, sample, shape_logits
from countermark.watermark.units import find_units

KEY, OTHER = bytes(range(16)), bytes(range(16, 32))
PROBABILITIES = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
LOGITS = np.log(PROBABILITIES).astype(np.float32)


def chi_square(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


def write(sampler: Sampler, tokens: int, seed: int, vocabulary: int = 1000) -> list[int]:
    """Write with a flat distribution over 64 tokens that changes with each step."""
    rng = np.random.default_rng(seed)
    marker = Marker(sampler, rng=np.random.default_rng(seed + 1))
    ids: list[int] = rng.integers(0, vocabulary, 4).tolist()
    for _ in range(tokens):
        logits = np.full(vocabulary, -np.inf, np.float32)
        logits[rng.choice(vocabulary, 64, replace=False)] = 0.0
        ids.append(marker(logits, ids))
    return ids


SAMPLERS: list[Sampler] = [GumbelSampler(KEY), DualGumbelSampler(KEY, OTHER, alpha=0.3)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: type(s).__name__)
def test_over_many_contexts_tokens_are_drawn_from_the_model_s_distribution(
    sampler: Sampler,
) -> None:
    rng = np.random.default_rng(7)
    draws = 20_000
    drawn = Counter(
        sampler.choose(LOGITS, np.array([step, step + 1], np.uint32), rng) for step in range(draws)
    )
    counts = np.array([drawn[token] for token in range(5)])
    assert chi_square(counts, draws * PROBABILITIES) < 18.5  # 0.999 quantile, 4 degrees.


def test_sample_is_a_pure_function_that_follows_the_key() -> None:
    flat = np.zeros(1000)
    first = [sample(flat, [c, 2], KEY) for c in range(50)]
    assert first == [sample(flat, [c, 2], KEY) for c in range(50)]
    assert len(set(zip(first, [sample(flat, [c, 2], OTHER) for c in range(50)], strict=True))) > 1
    assert first[5] == GumbelSampler(KEY).choose(
        np.zeros(1000, np.float32), np.array([5, 2], np.uint32), np.random.default_rng(1)
    )


def test_excluded_tokens_are_never_drawn() -> None:
    logits = np.full(1000, -np.inf)
    logits[[3, 700]] = 0.0
    assert {sample(logits, [c, 2], KEY) for c in range(40)} == {3, 700}


@pytest.mark.parametrize(
    ("sampler", "detector", "mean"),
    [
        (GumbelSampler(KEY), GumbelDetector(KEY), 4.0),
        (GumbelSampler(KEY, width=4), GumbelDetector(KEY, width=4), 4.0),
        (DualGumbelSampler(KEY, OTHER, 0.2), DualGumbelDetector(KEY, OTHER, 0.2), 2.5),
        (GreenListSampler(KEY), GreenListDetector(KEY), 0.5),
    ],
    ids=["gumbel", "gumbel-width-4", "dual", "green-list"],
)
def test_mark_is_found_with_its_key_and_not_with_another(
    sampler: Sampler, detector: Detector, mean: float
) -> None:
    documents = Documents.of([write(sampler, 200, seed=5)], vocabulary=1000)
    units = find_units(documents, detector.width)
    values = detector.values(documents, units.positions)
    count = np.array([len(values)])
    assert values.mean() > mean
    assert detector.log_p(np.array([values.sum()]), count)[0] < np.log(1e-9)
    others: dict[str, Detector] = {
        "GumbelDetector": GumbelDetector(bytes(16), width=detector.width),
        "DualGumbelDetector": DualGumbelDetector(bytes(16), bytes(15) + b"1"),
        "GreenListDetector": GreenListDetector(bytes(16)),
    }
    other = others[type(detector).__name__]
    strange = other.values(documents, units.positions)
    assert other.log_p(np.array([strange.sum()]), count)[0] > np.log(1e-3)


def test_context_is_marked_once_and_drawn_by_chance_after_that() -> None:
    marker = Marker(GumbelSampler(KEY), rng=np.random.default_rng(11))
    flat = np.zeros(1000, np.float32)
    drawn = [marker(flat, [4, 5]) for _ in range(20)]
    assert marker.marked == 1
    assert marker.drawn == 20
    assert drawn[0] == sample(flat, [4, 5], KEY)
    assert len(set(drawn[1:])) > 10


def test_too_short_a_context_is_drawn_by_chance() -> None:
    marker = Marker(GumbelSampler(KEY))
    marker(np.zeros(10, np.float32), [3])
    assert marker.marked == 0
    marker(np.zeros(10, np.float32), [3, 4])
    assert marker.marked == 1


def test_top_k_and_top_p_keep_the_likeliest() -> None:
    assert (shape_logits(LOGITS, top_k=2) > -np.inf).tolist() == [True, True, False, False, False]
    assert (shape_logits(LOGITS, top_p=0.6) > -np.inf).tolist() == [True, True, False, False, False]
    assert (shape_logits(LOGITS, top_p=0.4) > -np.inf).tolist() == [True] + [False] * 4
    assert np.allclose(shape_logits(LOGITS, temperature=2.0), LOGITS / 2)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_that_leaves_nothing_to_chance_is_refused(temperature: float) -> None:
    with pytest.raises(SchemeError):
        shape_logits(LOGITS, temperature=temperature)


@pytest.mark.parametrize("logits", [[], [-np.inf, -np.inf], [0.0, np.nan]])
def test_logits_without_a_token_to_draw_are_refused(logits: list[float]) -> None:
    with pytest.raises(SchemeError):
        shape_logits(np.array(logits))
