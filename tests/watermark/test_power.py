"""Expected power: against exact scores and against simulated marked texts."""

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.correction import log_threshold
from countermark.watermark.errors import SchemeError
from countermark.watermark.power import (
    GUMBEL_AT_1_8_BITS,
    GUMBEL_AT_5_BITS,
    MAX_TOKENS,
    Strength,
    Tail,
    expected_power,
    gumbel_strength,
    tokens_needed,
    total_needed,
)
from countermark.watermark.statistics import (
    log_binomial_tail,
    log_gamma_tail,
    log_weighted_bits_tail,
)

VECTORS = Path(__file__).parents[2] / "specs/watermark-statistics-v1/vectors"
LIMIT = log_threshold(1e-6)


class Gumbel:
    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return log_gamma_tail(totals, counts)


@dataclass(frozen=True)
class Green:
    probability: float = 0.25

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return log_binomial_tail(totals, counts, self.probability)


class Bits:
    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return log_weighted_bits_tail(totals, counts, (5, 4, 3, 2, 1))


def zipf(size: int, exponent: float) -> NDArray[np.float64]:
    p = np.arange(1.0, size + 1) ** -exponent
    return np.asarray(p / p.sum())


def test_scores_of_sampled_tokens_have_the_exact_mean_and_variance() -> None:
    found = json.loads((VECTORS / "gumbel-score.json").read_text())["cases"]
    assert len(found) >= 8
    for case in found:
        got = gumbel_strength(np.array([case["p"]]))
        assert abs(Decimal(got.mean) / Decimal(case["mean"]) - 1) < Decimal("1e-13"), case
        assert abs(Decimal(got.variance) / Decimal(case["variance"]) - 1) < Decimal("1e-13"), case


def test_a_certain_token_scores_like_unmarked_text() -> None:
    got = gumbel_strength(np.array([1.0, 1.0]))
    assert got.mean == pytest.approx(1)
    assert got.variance == pytest.approx(1)


def test_a_distribution_weighs_its_own_tokens() -> None:
    p = np.array([0.5, 0.5])
    assert gumbel_strength(p, p).mean == pytest.approx(1.5)  # H(2).
    got, lower = gumbel_strength(np.array([0.5, 1.0]), np.array([0.0, 3.0])), gumbel_strength(p)
    assert got.mean == pytest.approx(1)
    assert lower.mean > got.mean


@pytest.mark.parametrize(
    ("p", "chances"),
    [
        ([], None),
        ([0.0], None),
        ([1.1], None),
        ([math.nan], None),
        ([0.5], [1.0, 1.0]),
        ([0.5], [0.0]),
        ([0.5, 0.5], [1.0, -0.5]),
        ([0.5], [math.nan]),
        ([0.5], [math.inf]),
    ],
)
def test_what_is_no_probability_has_no_strength(
    p: list[float], chances: list[float] | None
) -> None:
    with pytest.raises(SchemeError) as caught:
        gumbel_strength(np.array(p), None if chances is None else np.array(chances))
    assert caught.value.code == "scheme-parameters"


@pytest.mark.parametrize(
    ("mean", "variance"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, -1e-9), (1.0, math.nan)]
)
def test_a_strength_refuses_what_is_no_mean_or_variance(mean: float, variance: float) -> None:
    with pytest.raises(SchemeError):
        Strength(mean, variance)


@pytest.mark.parametrize("count", [1, 20, 400, 100_000])
def test_the_needed_total_is_where_the_tail_meets_the_threshold(count: int) -> None:
    needed = total_needed(Gumbel(), count, LIMIT)
    below, at = Gumbel().log_p(np.array([needed * (1 - 2e-6), needed]), np.full(2, count))
    assert at <= LIMIT < below


def test_the_needed_total_of_steps_is_half_a_step_below_the_least_that_is_enough() -> None:
    needed = total_needed(Green(), 200, LIMIT)
    least = round(needed + 0.5)
    assert needed == pytest.approx(least - 0.5, abs=1e-3)
    before, at = Green().log_p(np.array([least - 1.0, float(least)]), np.full(2, 200))
    assert at <= LIMIT < before


def test_a_threshold_that_no_total_reaches_leaves_no_power() -> None:
    # Nine greens of nine have 0.25**9 = 4e-6; ten of ten have 1e-6 = 9.5e-7.
    sure = Strength(1.0, 0.0)
    assert total_needed(Green(), 9, LIMIT) == math.inf
    assert expected_power(Green(), sure, 9, LIMIT) == 0
    assert expected_power(Green(), sure, 10, LIMIT) == 1
    assert tokens_needed(Green(), sure, LIMIT) == 10


def test_no_token_gives_no_power() -> None:
    assert expected_power(Gumbel(), GUMBEL_AT_5_BITS, 0, 0.0) == 0


@pytest.mark.parametrize(
    ("exponent", "count", "level"),
    [(1.1, 12, 1e-6), (1.1, 10, 1e-6), (2.0, 60, 1e-6), (2.5, 90, 1e-3)],
)
def test_gumbel_power_is_that_of_simulated_texts(exponent: float, count: int, level: float) -> None:
    rng, texts = np.random.default_rng(5), 20_000
    p = zipf(500, exponent)
    # Of a Gumbel-max winner at probability q, u is v**q.
    q = p[rng.choice(len(p), size=(texts, count), p=p)]
    totals = -np.log1p(-(rng.random((texts, count)) ** q)).sum(1)
    found = Gumbel().log_p(totals, np.full(texts, count)) <= log_threshold(level)
    power = expected_power(Gumbel(), gumbel_strength(p, p), count, log_threshold(level))
    assert 0.05 < found.mean() < 0.9999
    assert power == pytest.approx(found.mean(), abs=0.03)
    if found.mean() > 0.9:
        assert power <= found.mean() + 0.002  # It errs to less.


@pytest.mark.parametrize(("tail", "weights"), [(Green(), (1,)), (Bits(), (5, 4, 3, 2, 1))])
def test_power_of_bits_is_that_of_simulated_texts(tail: Tail, weights: tuple[int, ...]) -> None:
    rng, texts, count, chance = np.random.default_rng(6), 40_000, 80, 0.62
    if len(weights) == 1:
        chance = 0.5
    ones = rng.binomial(count, chance, (texts, len(weights)))
    totals = (ones @ np.array(weights)).astype(float)
    found = tail.log_p(totals, np.full(texts, count)) <= LIMIT
    squares = sum(w * w for w in weights)
    strength = Strength(chance * sum(weights), chance * (1 - chance) * squares)
    power = expected_power(tail, strength, count, LIMIT)
    assert power == pytest.approx(found.mean(), abs=0.015)


def test_tokens_needed_are_enough_and_one_fewer_is_not() -> None:
    for tail, strength in (
        (Gumbel(), GUMBEL_AT_5_BITS),
        (Gumbel(), Strength(20.0, 1.0)),
        (Bits(), Strength(9.0, 13.75)),
    ):
        needed = tokens_needed(tail, strength, LIMIT, power=0.9)
        assert expected_power(tail, strength, needed, LIMIT) >= 0.9
        assert expected_power(tail, strength, needed - 1, LIMIT) < 0.9


def test_known_entropies_need_what_was_measured() -> None:
    # 99 of 100 texts of SmolLM2-135M at 1e-6: in steps of 20 tokens, by 40 and by 140.
    assert 20 < tokens_needed(Gumbel(), GUMBEL_AT_5_BITS, LIMIT) <= 40
    assert 120 < tokens_needed(Gumbel(), GUMBEL_AT_1_8_BITS, LIMIT) <= 140


def test_more_tests_need_more_tokens() -> None:
    few = tokens_needed(Gumbel(), GUMBEL_AT_1_8_BITS, log_threshold(1e-3))
    many = tokens_needed(Gumbel(), GUMBEL_AT_1_8_BITS, log_threshold(1e-3, 100_000))
    assert few < many < 4 * few


def test_a_mark_without_strength_is_never_found() -> None:
    assert tokens_needed(Gumbel(), Strength(1.0, 1.0), LIMIT) == MAX_TOKENS


@pytest.mark.parametrize("power", [0.0, 1.0, math.nan])
def test_a_power_outside_zero_and_one_is_refused(power: float) -> None:
    with pytest.raises(SchemeError):
        tokens_needed(Gumbel(), GUMBEL_AT_5_BITS, LIMIT, power=power)
