"""The distribution tape is what its README says, and walking it draws from it."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest
from scipy.special import digamma

from countermark.watermark.documents import Documents
from countermark.watermark.gumbel import GumbelDetector, GumbelSampler
from countermark.watermark.sampling import Marker
from support.tape import (
    TAPE_FILE,
    from_logits,
    load_tape,
    simulate,
    temperature_for,
    unmarked,
)

README = TAPE_FILE.with_name("README.md").read_text()
LIMIT_BYTES = 5_000_000
LOW_BITS = 1.8


def _documented(line: str) -> float:
    """Return the number in the README's table row that starts with `line`."""
    found = re.search(rf"^\| {re.escape(line)} \| ([\d.,]+)", README, re.MULTILINE)
    assert found is not None, line
    return float(found[1].replace(",", ""))


def test_tape_file_is_within_five_megabytes_and_holds_plain_arrays() -> None:
    assert TAPE_FILE.stat().st_size <= LIMIT_BYTES
    with np.load(TAPE_FILE, allow_pickle=False) as arrays:
        assert arrays["ids"].dtype == np.uint16
        assert arrays["probabilities"].dtype == np.float16
    with zipfile.ZipFile(TAPE_FILE) as archive:
        assert {e.date_time for e in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_tape_has_the_documented_shape_and_no_candidate_twice_in_a_step() -> None:
    tape = load_tape()
    assert tape.candidates.shape == tape.probabilities.shape == (5280, 256)
    assert len(tape) == _documented("steps")
    assert tape.vocabulary == 49_152
    ordered = np.sort(tape.candidates, axis=1)
    assert (np.diff(ordered.astype(np.int64), axis=1) > 0).all()
    assert ordered.max() < tape.vocabulary


def test_tape_rows_are_distributions_that_fall_and_hold_most_of_the_mass() -> None:
    tape = load_tape()
    np.testing.assert_allclose(tape.probabilities.sum(1), 1, rtol=1e-12)
    assert (np.diff(tape.probabilities, axis=1) <= 0).all()
    # float16 may round a certain token up to 1 and the rest add a little.
    assert tape.mass.min() > 0.3
    assert tape.mass.max() < 1.001
    assert tape.mass.mean() == pytest.approx(_documented("mean mass of the 256"), abs=5e-4)


def test_tape_is_read_only_since_all_tests_share_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_tape().probabilities[0, 0] = 0


def test_entropy_at_temperature_one_is_the_documented_one() -> None:
    tape = load_tape()
    assert tape.entropy_bits().mean() == pytest.approx(
        _documented("entropy of the 256 at temperature 1, bits"), abs=5e-4
    )
    assert tape.full_entropy_bits.mean() == pytest.approx(
        _documented("entropy of the whole distributions, bits"), abs=5e-4
    )


@pytest.mark.parametrize("bits", [LOW_BITS, 5.0])
def test_documented_temperatures_give_the_entropies_that_goals_are_stated_for(bits: float) -> None:
    tape = load_tape()
    temperature = temperature_for(tape, bits)
    assert temperature == pytest.approx(_documented(f"temperature for {bits} bits"), abs=5e-4)
    assert tape.entropy_bits(temperature).mean() == pytest.approx(bits, abs=1e-3)


@pytest.mark.parametrize("bits", [0.0, 8.0])
def test_temperature_for_refuses_an_entropy_that_256_candidates_cannot_have(bits: float) -> None:
    with pytest.raises(ValueError, match="cannot have"):
        temperature_for(load_tape(), bits)


@pytest.mark.parametrize("bits", [LOW_BITS, 5.0])
def test_simulate_draws_tokens_as_surprising_as_their_entropy_says(bits: float) -> None:
    tape = load_tape()
    temperature = temperature_for(tape, bits)
    surprises = []
    draw = unmarked(np.random.default_rng(1))

    def watch(p: np.ndarray, candidates: np.ndarray, context: list[int]) -> int:
        token = draw(p, candidates, context)
        surprises.append(-np.log2(p[candidates == token][0]))
        return token

    simulate(tape, watch, 20_000, np.random.default_rng(2), temperature)
    error = np.std(surprises) / np.sqrt(len(surprises))
    assert abs(np.mean(surprises) - bits) < 5 * error


def test_simulate_gives_the_sampler_everything_written_so_far() -> None:
    tape = load_tape()
    seen: list[list[int]] = []

    def first(_: np.ndarray, candidates: np.ndarray, context: list[int]) -> int:
        seen.append(list(context))
        return int(candidates[0])

    tokens = simulate(tape, first, 20, np.random.default_rng(3))
    assert tokens.dtype == np.uint32
    assert seen == [tokens[:i].tolist() for i in range(20)]


def test_simulate_repeats_itself_with_the_same_generators_and_not_with_others() -> None:
    tape = load_tape()
    runs = [
        simulate(tape, unmarked(np.random.default_rng(a)), 50, np.random.default_rng(b)).tolist()
        for a, b in [(1, 2), (1, 2), (3, 2), (1, 4)]
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0] != runs[3]


def test_from_logits_lets_only_the_candidates_of_the_step_be_chosen() -> None:
    tape = load_tape()
    allowed: list[np.ndarray] = []

    def choose(logits: np.ndarray, _: object) -> int:
        allowed.append(np.flatnonzero(logits > -np.inf))
        return int(np.argmax(logits))

    sampler = from_logits(choose, tape.vocabulary)
    for step in (0, 1, 2):
        token = sampler(tape.probabilities[step], tape.candidates[step], [])
        assert token == tape.candidates[step, 0]
        np.testing.assert_array_equal(allowed[-1], np.sort(tape.candidates[step]))


@pytest.mark.parametrize("bits", [LOW_BITS, 5.0])
def test_gumbel_marks_on_the_tape_score_what_theory_expects(bits: float) -> None:
    # The u of a token drawn at probability p is Beta(1/p, 1): -ln(1 - u) has the mean H(1/p).
    tape = load_tape()
    temperature = temperature_for(tape, bits)
    p = tape.probabilities ** (1 / temperature)
    p /= p.sum(1, keepdims=True)
    p = np.maximum(p, 1e-300)
    expected = (p * (digamma(1 / p + 1) + np.euler_gamma)).sum(1).mean()

    key = bytes(range(16))
    marker = Marker(GumbelSampler(key), np.random.default_rng(5))
    sampler = from_logits(marker, tape.vocabulary)
    tokens = simulate(tape, sampler, 6_000, np.random.default_rng(6), temperature)
    # Where the context was new, for only those tokens were marked.
    pairs = np.stack([tokens[:-2], tokens[1:-1]], axis=1)
    fresh = np.sort(np.unique(pairs, axis=0, return_index=True)[1]) + 2
    documents = Documents.of([tokens], vocabulary=tape.vocabulary)
    values = GumbelDetector(key).values(documents, fresh)
    assert len(fresh) == marker.marked
    assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(len(values))
