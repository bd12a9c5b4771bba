"""Null tails: against exact vectors, against each other, and against draws of the law."""

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from countermark.watermark import statistics
from countermark.watermark.correction import bonferroni, log10_of, log_threshold
from countermark.watermark.errors import MalformedInputError, SchemeError
from countermark.watermark.statistics import (
    MAX_BITS,
    MAX_COUNT,
    MAX_WEIGHT,
    log_binomial_tail,
    log_gamma_tail,
    log_two_gamma_tail,
    log_weighted_bits_tail,
)
from countermark.watermark.weighted_bits import lattice
from countermark.watermark.weighted_bits_kernels import lone_tail

VECTORS = Path(__file__).parents[2] / "specs/watermark-statistics-v1/vectors"
Floats = NDArray[np.float64]
Tail = Callable[[Floats, NDArray[np.int64]], Floats]

LINEAR_30 = tuple(290 - 9 * layer for layer in range(30))
TAILS: dict[str, Tail] = {
    "gamma": log_gamma_tail,
    "binomial": lambda x, n: log_binomial_tail(x, n, 0.25),
    "five-bits": lambda x, n: log_weighted_bits_tail(x, n, (5, 4, 3, 2, 1)),
    "thirty-bits": lambda x, n: log_weighted_bits_tail(x, n, LINEAR_30),
    "two-gamma": lambda x, n: log_two_gamma_tail(x, n, 0.8, 0.2),
}
MOMENTS = {  # Mean and variance of one score.
    "gamma": (1.0, 1.0),
    "binomial": (0.25, 0.1875),
    "five-bits": (7.5, 13.75),
    "thirty-bits": (2392.5, sum(w * w for w in LINEAR_30) / 4),
    "two-gamma": (1.0, 0.68),
}
each_tail = pytest.mark.parametrize("name", TAILS)


def one(tail: Tail, total: float, count: int) -> float:
    return float(tail(np.array([total]), np.array([count]))[0])


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())["cases"]
    return found


def tail_of(case: dict[str, Any]) -> Tail:
    match case:
        case {"weights": weights, "probability": p}:
            return lambda x, n: log_weighted_bits_tail(x, n, tuple(weights), p)
        case {"probability": p}:
            return lambda x, n: log_binomial_tail(x, n, p)
        case {"first": a, "second": b}:
            return lambda x, n: log_two_gamma_tail(x, n, a, b)
        case _:
            return log_gamma_tail


@pytest.mark.parametrize(
    ("name", "least"),
    [("gamma", 90), ("binomial", 150), ("two-gamma", 180), ("weighted-bits", 200)],
)
def test_every_vector_is_met_to_nine_digits_of_the_p_value(name: str, least: int) -> None:
    found = cases(name)
    assert len(found) >= least
    for case in found:
        got = one(tail_of(case), float(case["total"]), case["count"])
        # An error of ln p is a relative error of p.
        assert abs(Decimal(got) - Decimal(case["ln_p"])) < Decimal("1e-9"), case


@each_tail
def test_a_tail_never_rises_with_the_total_and_is_one_below_the_support(name: str) -> None:
    mean, variance = MOMENTS[name]
    for count in (1, 2, 13, 14, 40, 200):
        spread = math.sqrt(count * variance)
        totals = np.linspace(-spread, count * mean + 12 * spread, 400)
        log_p = TAILS[name](totals, np.full(400, count))
        assert np.all(log_p[totals <= 0] == 0)
        assert np.all(log_p <= 0)
        assert np.all(log_p[1:] <= log_p[:-1] + 1e-11)


@each_tail
def test_no_scores_say_nothing(name: str) -> None:
    totals = np.array([-math.inf, 0.0, 1e9, math.inf])
    assert TAILS[name](totals, np.zeros(4, np.int64)).tolist() == [0, 0, 0, 0]


@each_tail
def test_infinite_totals_have_the_limits_of_a_tail(name: str) -> None:
    assert one(TAILS[name], math.inf, 7) == -math.inf
    assert one(TAILS[name], -math.inf, 7) == 0


@each_tail
def test_nothing_gives_nothing(name: str) -> None:
    assert TAILS[name](np.zeros(0), np.zeros(0, np.int64)).shape == (0,)


@each_tail
def test_a_total_that_is_not_a_number_is_refused(name: str) -> None:
    with pytest.raises(MalformedInputError) as caught:
        one(TAILS[name], math.nan, 7)
    assert caught.value.code == "malformed-input"


@each_tail
@pytest.mark.parametrize("count", [-1, MAX_COUNT + 1])
def test_a_count_out_of_range_is_refused(name: str, count: int) -> None:
    with pytest.raises(MalformedInputError):
        one(TAILS[name], 1.0, count)


def test_the_greatest_count_is_answered() -> None:
    assert one(log_gamma_tail, float(MAX_COUNT), MAX_COUNT) == pytest.approx(
        math.log(0.5), abs=1e-4
    )


@pytest.mark.parametrize(
    ("totals", "counts"),
    [
        (np.zeros(2), np.ones(3, np.int64)),
        (np.zeros((1, 1)), np.ones((1, 1), np.int64)),
        (np.zeros(2), np.ones(2)),
    ],
)
def test_arrays_that_do_not_pair_and_counts_that_are_no_integers_are_refused(
    totals: Floats, counts: NDArray[np.int64]
) -> None:
    with pytest.raises(MalformedInputError):
        log_gamma_tail(totals, counts)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, math.nan, math.inf])
def test_a_probability_outside_zero_and_one_is_refused(p: float) -> None:
    with pytest.raises(SchemeError) as caught:
        log_binomial_tail(np.ones(1), np.ones(1, np.int64), p)
    assert caught.value.code == "scheme-parameters"
    with pytest.raises(SchemeError):
        log_weighted_bits_tail(np.ones(1), np.ones(1, np.int64), (1, 2), p)


@pytest.mark.parametrize(
    "weights", [(), (0, 0), (1, -1), (MAX_WEIGHT, 1), (1,) * (MAX_BITS + 1), (True, 2), (1.5, 2)]
)
def test_weights_that_name_no_law_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(SchemeError):
        log_weighted_bits_tail(np.ones(1), np.ones(1, np.int64), weights)


@pytest.mark.parametrize("weights", [(MAX_WEIGHT - 1, 1), (1,) * MAX_BITS, (0, 2)])
def test_weights_at_their_limits_are_answered(weights: tuple[int, ...]) -> None:
    total = np.array([float(sum(weights))])
    got = log_weighted_bits_tail(total, np.ones(1, np.int64), weights)
    assert got[0] == pytest.approx(-sum(w > 0 for w in weights) * math.log(2), rel=1e-12)


@pytest.mark.parametrize(
    ("first", "second"), [(0.0, 0.0), (-0.1, 1.0), (math.nan, 1.0), (1.0, math.inf)]
)
def test_scales_that_name_no_law_are_refused(first: float, second: float) -> None:
    with pytest.raises(SchemeError):
        log_two_gamma_tail(np.ones(1), np.ones(1, np.int64), first, second)


@given(st.integers(1, 5000), st.floats(-6, 60), st.floats(1e-3, 1e3))
def test_a_second_scale_of_zero_is_one_scaled_gamma(n: int, z: float, scale: float) -> None:
    x = n + z * math.sqrt(n)
    want = one(log_gamma_tail, x * scale / scale, n)
    for pair in ((scale, 0.0), (0.0, scale)):
        got = one(lambda t, c, p=pair: log_two_gamma_tail(t, c, *p), x * scale, n)  # type: ignore[misc]
        assert got == pytest.approx(want, rel=1e-11, abs=1e-11)


@settings(deadline=None)
@given(st.integers(1, 300), st.floats(-4, 30), st.sampled_from([1e-12, 1e-6]))
def test_two_gammas_lie_where_their_scales_go(n: int, z: float, gap: float) -> None:
    x = 2 * n + z * math.sqrt(2 * n)
    equal = one(lambda t, c: log_two_gamma_tail(t, c, 1.0, 1.0), x, n)
    assert equal == one(log_gamma_tail, x, 2 * n)
    nearly = one(lambda t, c: log_two_gamma_tail(t, c, 1.0, 1.0 - gap), x, n)
    # The tail falls with the scale, by no more than x gap times the slope, at most 1.
    assert equal - max(x, 0.0) * gap - 1e-10 <= nearly <= equal + 1e-10


@settings(deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 12),
    st.integers(1, 9),
    st.sampled_from([0.5, 0.25, 0.9]),
    st.floats(0, 1.01),
)
def test_equal_weights_are_one_binomial(n: int, bits: int, w: int, p: float, part: float) -> None:
    k = math.ceil(n * bits * part)
    got = one(lambda t, c: log_weighted_bits_tail(t, c, (w,) * bits, p), float(k * w), n)
    assert got == one(lambda t, c: log_binomial_tail(t, c, p), float(k), n * bits)


@pytest.mark.parametrize("n", [12, 14, 25, 40])
def test_contour_and_convolution_agree_on_thirty_bits(n: int) -> None:
    # Numbers of tokens on both sides of the switch; the convolution here is this test's own.
    mass = np.ones(1)
    for _ in range(n):
        for w in LINEAR_30:
            longer = np.zeros(len(mass) + w)
            longer[: len(mass)] += mass / 2
            longer[w:] += mass / 2
            mass = longer
    tail = np.cumsum(mass[::-1])[::-1]
    totals = np.linspace(1, len(mass) - 1, 90).astype(np.int64)
    if n == 40:  # 2**-1200 is no float64.
        totals = totals[tail[totals] > 1e-280]
    got = log_weighted_bits_tail(totals.astype(float), np.full(len(totals), n), LINEAR_30)
    np.testing.assert_allclose(got, np.log(tail[totals]), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("count", "total", "want"),
    [
        (400, 961_861, -1.1758102928489843),
        (400, 1_054_224, -53.343413476918681),
        (400, 1_345_896, -836.43470365680964),
        (10_000, 28_591_762, -4653.1446665977011),
        (1_000_000, 2_392_743_060, -1.175909258171305),
        (1_000_000, 2_439_167_628, -4613.8729001188879),
    ],
)
def test_thirty_bits_of_many_tokens_have_the_tail_of_a_finer_integral(
    count: int, total: int, want: float
) -> None:
    # Summed with 30 digits at another tilt and a step a fifth of ours, by mpmath.
    assert one(TAILS["thirty-bits"], float(total), count) == pytest.approx(want, rel=0, abs=1e-10)


def test_a_tail_does_not_depend_on_what_was_asked_before() -> None:
    # Series are remembered by number of tokens; 512 apart they have the same place.
    counts = np.array([40, 552, 40, 1064, 552, 40])
    totals = np.array([97_000.0, 1_330_000.0, 101_000.0, 2_545_000.0, 1_300_000.0, 93_000.0])
    together = TAILS["thirty-bits"](totals, counts)
    for order in (slice(None, None, -1), slice(1, None, 2), slice(3, 4)):
        assert (
            TAILS["thirty-bits"](totals[order], counts[order]).tolist() == together[order].tolist()
        )


def test_threads_that_ask_for_tails_at_once_get_what_one_gets() -> None:
    rng = np.random.default_rng(6)
    counts = rng.integers(14, 3000, 2000)
    totals = np.floor(2392.5 * counts + 486 * np.sqrt(counts) * rng.normal(0, 2, 2000))
    expected = TAILS["thirty-bits"](totals, counts)
    with ThreadPoolExecutor(4) as pool:
        orders = [rng.permutation(2000) for _ in range(4)]
        found = pool.map(lambda at: TAILS["thirty-bits"](totals[at], counts[at]), orders)
        assert all(
            log_p.tolist() == expected[at].tolist() for log_p, at in zip(found, orders, strict=True)
        )


@pytest.mark.parametrize("p", [0.5, 0.4996, 0.1, 0.9])
@pytest.mark.parametrize("weights", [LINEAR_30, (5, 4, 3, 2, 1), (64, 1), (1000, 999, 3)])
def test_a_shared_series_says_what_an_integral_of_its_own_says(
    weights: tuple[int, ...], p: float
) -> None:
    on = lattice(tuple(sorted(weights)))
    for count in (40, 400, 6000):
        mean = count * p * sum(weights)
        own = math.sqrt(count * p * (1 - p) * sum(w * w for w in weights))
        if count * sum(weights) <= 1 << 16:
            continue  # A table answers.
        # On both sides of the borders between stations, and beyond the last.
        for z in (0.001, 1.5, 2.999, 3.001, 4.2, 4.999, 5.001, 6.999, 7.001, 8.999, 9.001, 12.0):
            total = float(math.ceil(mean + z * own))
            if total >= count * sum(weights):
                continue
            law = (float(count), on.weights, p, own, on.floors, on.rests)
            alone = lone_tail(total, *law, -math.inf)
            shared = one(lambda x, n: log_weighted_bits_tail(x, n, weights, p), total, count)
            assert shared == pytest.approx(alone, rel=0, abs=1e-11)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.sampled_from([(3, 1), (7, 5, 2), (64, 1), (2, 4, 6, 9)]))
@example(60, (64, 1))
def test_masses_from_differences_of_a_tail_add_up_to_the_mean(
    n: int, weights: tuple[int, ...]
) -> None:
    # E[S] is the sum over k >= 1 of P(S >= k).
    totals = np.arange(1.0, n * sum(weights) + 1)
    p = np.exp(log_weighted_bits_tail(totals, np.full(len(totals), n), weights, 0.25))
    assert p.sum() == pytest.approx(n * sum(weights) / 4, rel=1e-11)


@pytest.mark.parametrize("excess", [9e-12, -9e-12, 1e-13])
def test_rounding_of_a_sum_does_not_skip_a_step(excess: float) -> None:
    def tail(x: Floats, n: NDArray[np.int64]) -> Floats:
        return log_binomial_tail(x, n, 0.25)

    assert one(tail, 100 * (1 + excess), 300) == one(tail, 100, 300)
    assert one(tail, 100 * (1 + 2e-11), 300) == one(tail, 101, 300)
    far = 2e9  # Where 1e-9 of the total would be two steps.
    assert one(tail, far + 1, 1 << 32) < one(tail, far, 1 << 32)


@each_tail
def test_p_values_of_null_draws_are_uniform_or_above(name: str) -> None:
    rng = np.random.default_rng(20)
    draws, count = 40_000, 60
    uniform: Callable[[], Floats] = lambda: rng.gamma(count, size=draws)  # noqa: E731
    match name:
        case "gamma":
            totals = uniform()
        case "two-gamma":
            totals = 0.8 * uniform() + 0.2 * uniform()
        case "binomial":
            totals = rng.binomial(count, 0.25, draws).astype(float)
        case _:
            weights = LINEAR_30 if name == "thirty-bits" else (5, 4, 3, 2, 1)
            ones = rng.binomial(count, 0.5, (draws, len(weights)))
            totals = (ones @ np.array(weights)).astype(float)
    p = np.exp(TAILS[name](totals, np.full(draws, count)))
    for level in (0.5, 0.1, 0.01, 0.001):
        hits, error = np.mean(p <= level), 4.5 * math.sqrt(level * (1 - level) / draws)
        assert hits <= level + error  # Valid, ...
        if name != "binomial":
            assert hits >= level * 0.97 - error  # ... and, in fine steps, exact.


def test_the_probability_of_one_in_1e2000_is_a_number() -> None:
    log_p = one(log_gamma_tail, 5000.0, 17)
    assert -2200 < log10_of(log_p) < -2000


def test_a_correction_multiplies_and_never_exceeds_one() -> None:
    log_p = [-math.inf, -5000.0, math.log(1e-3), 0.0]
    want = [-math.inf, -5000 + math.log(50), math.log(0.05), 0.0]
    np.testing.assert_allclose([bonferroni(one, 50) for one in log_p], want, rtol=1e-14)
    assert [bonferroni(one, 1) for one in log_p] == log_p
    assert bonferroni(-1e3, 10**400) == pytest.approx(-1e3 + 400 * math.log(10))


@pytest.mark.parametrize("log_p", [math.nan, 1e-9])
def test_a_correction_refuses_what_is_no_probability(log_p: float) -> None:
    with pytest.raises(MalformedInputError):
        bonferroni(log_p, 1)


def test_a_threshold_is_the_level_over_the_tests() -> None:
    assert log_threshold(0.01) == math.log(0.01)
    assert log_threshold(1e-6, 1000) == pytest.approx(math.log(1e-9))
    for level, tests in ((0.0, 1), (1.1, 1), (math.nan, 1), (0.1, 0)):
        with pytest.raises(ValueError, match="expected"):
            log_threshold(level, tests)
    with pytest.raises(ValueError, match="expected at least 1"):
        bonferroni(0.0, 0)


def test_what_is_public_exists() -> None:
    assert all(hasattr(statistics, name) for name in statistics.__all__)
