"""The tournament mark: no distortion over random keys, and a null that the detector knows."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import chdtrc

from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.prf import Tag, blocks, vocabulary_blocks
from countermark.watermark.sampling import Marker
from countermark.watermark.tournament import (
    MAX_LAYERS,
    TournamentDetector,
    TournamentSampler,
    layer_weights,
    tournament_sample,
    tournament_sample_batch,
)

Bits = NDArray[np.uint64]
SHARES = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.03, 0.01])


def key(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()[:16]


def words(seed: int, *shape: int) -> Bits:
    return np.random.default_rng(seed).integers(0, 1 << 64, (*shape, 2), np.uint64)


def bit(block: Bits, layer: int) -> int:
    return int(block[layer // 64]) >> layer % 64 & 1


def played(shares: NDArray[np.float64], block_bits: Bits, layers: int) -> NDArray[np.float64]:
    """The rule as the paper writes it, layer by layer."""
    odds = np.asarray(shares / shares.sum())
    for layer in range(layers):
        g = np.array([bit(block, layer) for block in block_bits], np.float64)
        odds *= 1 + g - (g * odds).sum()
    return odds


def misfit(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> float:
    """The p-value of Pearson's chi-square."""
    expected = counts.sum() * shares
    return float(chdtrc(len(shares) - 1, ((counts - expected) ** 2 / expected).sum()))


def matched(positions: NDArray[np.int64], detector: TournamentDetector, text: Documents) -> float:
    total = detector.values(text, positions).sum()
    return float(detector.log_p(np.array([total]), np.array([len(positions)]))[0])


def write(sampler: TournamentSampler, count: int, *, flat: float = 2.0) -> list[int]:
    rng = np.random.default_rng(12)
    marker = Marker(sampler, np.random.default_rng(13))
    tokens: list[int] = []
    for _ in range(count):
        logits = np.full(1000, -np.inf, np.float32)
        logits[rng.choice(1000, 100, replace=False)] = rng.normal(0, flat, 100)
        tokens.append(marker(logits, tokens))
    return tokens


@pytest.mark.parametrize("layers", [1, 30, 64, 65, 128])
def test_with_one_text_of_bits_the_draw_follows_the_rule_of_the_paper(layers: int) -> None:
    block_bits = words(1, 7)
    draws = 20_000
    rng = np.random.default_rng(2)
    chosen = tournament_sample_batch(
        np.tile(SHARES, (draws, 1)), np.tile(block_bits, (draws, 1, 1)), rng, layers=layers
    )
    expected = played(SHARES, block_bits, layers)
    counts = np.bincount(chosen, minlength=7)
    likely = expected > 1e-3
    assert counts[~likely].sum() < 0.01 * draws
    if likely.sum() > 1:
        assert misfit(counts[likely], expected[likely] / expected[likely].sum()) > 1e-4


@pytest.mark.parametrize("layers", [1, 30, 128])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_random_keys_the_drawn_tokens_have_the_given_probabilities(
    layers: int, seed: int
) -> None:
    count = 40_000
    rng = np.random.default_rng(seed)
    chosen = tournament_sample_batch(
        np.tile(SHARES, (count, 1)), words(seed, count, 7), rng, layers=layers
    )
    assert misfit(np.bincount(chosen, minlength=7), SHARES) > 1e-4


def test_the_test_of_bias_notices_a_rule_that_shifts_the_odds_too_far() -> None:
    rng = np.random.default_rng(4)
    counts = np.zeros(7, np.int64)
    for block_bits in words(4, 3000, 7):
        odds = SHARES.copy()
        for layer in range(10):
            g = np.array([bit(block, layer) for block in block_bits], np.float64)
            odds *= 1 + 2 * g * (1 - (g * odds).sum())
            odds /= odds.sum()
        counts[rng.choice(7, p=odds)] += 1
    assert misfit(counts, SHARES) < 1e-4


def test_over_random_keys_of_the_prf_the_sampler_draws_what_softmax_would() -> None:
    logits = np.full(60, -np.inf, np.float32)
    logits[10:17] = np.log(SHARES)
    context = np.array([3, 44], np.uint32)
    rng = np.random.default_rng(5)
    counts = np.zeros(60, np.int64)
    for number in range(6000):
        counts[TournamentSampler(key(number)).choose(logits, context, rng)] += 1
    assert counts[10:17].sum() == 6000
    assert misfit(counts[10:17], SHARES) > 1e-4


def test_the_same_bits_and_the_same_dice_give_the_same_token() -> None:
    shares, block_bits = np.random.default_rng(6).dirichlet(np.ones(301), 9), words(6, 9, 301)
    batch = tournament_sample_batch(shares, block_bits, np.random.default_rng(7))
    again = tournament_sample_batch(shares, block_bits, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    single = [tournament_sample(shares[i], block_bits[i], rng) for i in range(9)]
    assert batch.tolist() == again.tolist() == single
    other = tournament_sample_batch(shares, words(8, 9, 301), np.random.default_rng(7))
    assert batch.tolist() != other.tolist()


def test_a_batch_may_be_padded_with_impossible_candidates() -> None:
    shares, block_bits = np.random.default_rng(8).dirichlet(np.ones(50), 20), words(9, 20, 64)
    padded = np.zeros((20, 64))
    padded[:, :50] = shares * 1e-3  # Probabilities may come in any scale.
    chosen = tournament_sample_batch(padded, block_bits, np.random.default_rng(1))
    short = tournament_sample_batch(shares, block_bits[:, :50], np.random.default_rng(1))
    assert chosen.max() < 50
    assert chosen.tolist() == short.tolist()


def test_a_certain_token_is_drawn_whatever_the_bits() -> None:
    for seed in range(50):
        shares = np.zeros(5)
        shares[seed % 5] = 1
        rng = np.random.default_rng(seed)
        assert tournament_sample(shares, words(seed, 5), rng, layers=128) == seed % 5


@pytest.mark.parametrize(
    "shares", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [-0.1, 1.1], []], ids=str
)
def test_probabilities_that_are_none_are_refused(shares: list[float]) -> None:
    with pytest.raises(SchemeError) as caught:
        tournament_sample(np.array(shares), words(1, len(shares)), np.random.default_rng(0))
    assert caught.value.code == "scheme-parameters"


@pytest.mark.parametrize("layers", [0, MAX_LAYERS + 1])
def test_layers_beyond_a_block_are_refused(layers: int) -> None:
    with pytest.raises(SchemeError):
        TournamentDetector(key(1), layers=layers)
    with pytest.raises(SchemeError):
        TournamentSampler(key(1), layers=layers)
    with pytest.raises(SchemeError):
        tournament_sample(SHARES, words(1, 7), np.random.default_rng(0), layers=layers)


@pytest.mark.parametrize("layers", [1, 7, 8, 30, 64, 65, 128])
def test_values_are_the_weighted_bits_of_the_block(layers: int) -> None:
    rng = np.random.default_rng(10)
    documents = Documents.of([rng.integers(0, 500, 60)], vocabulary=500)
    positions = np.arange(2, 60)
    found = TournamentDetector(key(2), layers=layers).values(documents, positions)
    block_bits = blocks(key(2), Tag.TOURNAMENT, documents, positions, 2)
    weights = layer_weights(layers)
    expected = [
        sum(weight * bit(block, layer) for layer, weight in enumerate(weights))
        for block in block_bits
    ]
    assert found.tolist() == expected
    assert weights[0] == layers
    assert weights[-1] == 1


@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_detector_sees_the_bits_that_the_sampler_played_with(width: int) -> None:
    rng = np.random.default_rng(11)
    tokens = rng.integers(0, 500, 40)
    documents = Documents.of([tokens], vocabulary=500)
    for at in range(width, 40):
        context = tokens[at - width : at].astype(np.uint32)
        candidates = np.array([tokens[at]], np.uint32)
        drawn = vocabulary_blocks(key(3), Tag.TOURNAMENT, context, candidates)
        seen = blocks(key(3), Tag.TOURNAMENT, documents, np.array([at]), width)
        assert np.array_equal(drawn, seen)


def test_marked_text_is_found_by_its_key_and_no_other() -> None:
    tokens = write(TournamentSampler(key(4)), 120)
    documents = Documents.of([tokens], vocabulary=1000)
    positions = np.arange(2, 120)
    assert matched(positions, TournamentDetector(key(4)), documents) < -60
    assert matched(positions, TournamentDetector(key(5)), documents) > -8
    assert matched(positions, TournamentDetector(key(4), width=3), documents) > -8


def test_text_without_choice_carries_no_mark() -> None:
    tokens = write(TournamentSampler(key(4)), 120, flat=2000.0)
    documents = Documents.of([tokens], vocabulary=1000)
    assert matched(np.arange(2, 120), TournamentDetector(key(4)), documents) > -8


def test_p_values_under_random_keys_are_uniform() -> None:
    rng = np.random.default_rng(14)
    documents = Documents.of([rng.permutation(5000)[:202]], vocabulary=5000)
    positions = np.arange(2, 202)
    totals = np.array(
        [TournamentDetector(key(k)).values(documents, positions).sum() for k in range(10_000)]
    )
    p = np.exp(TournamentDetector(key(0)).log_p(totals, np.full(10_000, 200)))
    for level, slack in ((0.5, 0.02), (0.1, 0.012), (0.01, 0.004), (0.001, 0.0013)):
        assert (p <= level).mean() == pytest.approx(level, abs=slack)


def test_a_detector_does_not_print_its_key() -> None:
    assert "key" not in repr(TournamentDetector(key(6)))
    assert "key" not in repr(TournamentSampler(key(6)))
