"""SynthID-Text marks of transformers: every vector, and a null that holds for random keys."""

import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from countermark.watermark import synthid_kernels as kernels
from countermark.watermark.documents import Documents
from countermark.watermark.draws import distinct_draws
from countermark.watermark.errors import (
    MalformedDescriptorError,
    SchemeError,
    WatermarkError,
)
from countermark.watermark.scoring import score
from countermark.watermark.synthid import (
    SynthIdDetector,
    linear_weights,
    parse_synthid_config,
    sampling_table,
)
from countermark.watermark.tournament import tournament_sample
from countermark.watermark.units import find_units

VECTORS = sorted((Path(__file__).parents[2] / "specs/rosetta-synthid-v1/vectors").glob("*.json"))
SIZE = 1 << 16
VOCABULARY = 1 << 18


def keys(seed: int, count: int = 30) -> tuple[int, ...]:
    return tuple(int(k) for k in np.random.default_rng(seed).integers(0, 1 << 62, count))


def lay(*documents: NDArray[np.int64] | list[int]) -> Documents:
    return Documents.of(documents, vocabulary=VOCABULARY)


def scored(documents: Documents, width: int) -> NDArray[np.int64]:
    return np.concatenate(
        [
            np.arange(start + width, max(start + width, end))
            for start, end in zip(documents.starts[:-1], documents.starts[1:], strict=True)
        ]
    )


def distinct(detector: SynthIdDetector, documents: Documents) -> NDArray[np.int64]:
    positions = scored(documents, detector.width)
    first = np.unique(detector.identities(documents, positions), return_index=True)[1]
    return positions[np.sort(first)]


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 25


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_rosetta_synthid_v1_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    if vector["expect"] != "ok":
        with pytest.raises(WatermarkError) as caught:
            parse_synthid_config(vector["config"].encode())
        assert caught.value.code == vector["expect"], vector["why"]
        return
    detector = parse_synthid_config(vector["config"].encode())
    documents = lay(*vector["documents"])
    positions = scored(documents, detector.width)
    bits = [[int(digit) for digit in row] for document in vector["g_values"] for row in document]
    assert detector.g_values(documents, positions).tolist() == bits
    weights = np.array(detector.weights)
    assert detector.values(documents, positions).tolist() == (np.array(bits) @ weights).tolist()
    mask = detector.peer_mask(documents, vector["eos_token_id"])
    assert "".join(str(int(m)) for m in mask[positions]) == "".join(vector["mask"])
    scores = detector.peer_scores(documents, vector["eos_token_id"])
    check(scores.mean, vector["mean"])
    check(scores.weighted_mean, vector["weighted_mean"])


def check(found: NDArray[np.float64], expected: list[str | None]) -> None:
    for one, fraction in zip(found, expected, strict=True):
        if fraction is None:
            assert np.isnan(one)
        else:
            assert abs(Fraction(float(one)) - Fraction(fraction)) <= Fraction(5, 10**16)


@pytest.mark.parametrize("size", [1 << 12, 1 << 16, 1 << 18, 40_000])
def test_values_are_weighted_g_values_whether_a_table_of_sums_is_used_or_not(size: int) -> None:
    rng = np.random.default_rng(3)
    documents = lay(rng.integers(0, VOCABULARY, size // 8 + 50))
    detector = SynthIdDetector(keys(1), 4, sampling_table_size=size)
    positions = scored(documents, 3)
    many = detector.values(documents, positions)
    few = np.concatenate(
        [detector.values(documents, part) for part in np.split(positions, [9, 70])]
    )
    assert np.array_equal(many, few)
    expected = detector.g_values(documents, positions) @ np.array(detector.weights)
    assert np.array_equal(many, expected)


def test_values_are_the_same_for_positions_in_any_order() -> None:
    rng = np.random.default_rng(4)
    documents = lay(rng.integers(0, VOCABULARY, 20_000))
    detector = SynthIdDetector(keys(2))
    positions = scored(documents, 4)
    order = rng.permutation(len(positions))
    shuffled = detector.values(documents, positions[order])
    assert np.array_equal(shuffled, detector.values(documents, positions)[order])
    gaps = positions[rng.random(len(positions)) < 0.7]
    assert np.array_equal(
        detector.identities(documents, gaps),
        np.concatenate([detector.identities(documents, gaps[i : i + 1]) for i in range(len(gaps))]),
    )


def test_lower_words_of_hashes_are_those_of_whole_hashes_for_positions_in_any_order() -> None:
    rng = np.random.default_rng(8)
    documents = lay(rng.integers(0, 50_000, 3000))
    for positions in (np.arange(4, 3000), rng.permutation(np.arange(4, 3000))[:700]):
        whole = kernels.states(documents.tokens, positions, 4)
        for size in (1 << 12, 1 << 16, 1 << 24):
            lower = kernels.table_states(documents.tokens, positions, 4, size)
            assert np.array_equal(lower, whole & np.uint64(size - 1))


def test_equal_identities_have_equal_g_values_under_every_key_and_unequal_ones_do_not() -> None:
    rng = np.random.default_rng(5)
    documents = lay(rng.integers(0, VOCABULARY, 3000))
    detector = SynthIdDetector(keys(3, 128))
    positions = scored(documents, 4)
    identities = detector.identities(documents, positions)
    rows = detector.g_values(documents, positions)
    _, first, inverse = np.unique(identities, return_index=True, return_inverse=True)
    assert len(first) < len(positions)  # By chance some 68 of 3,000 share one of 65,536 states.
    assert np.array_equal(rows, rows[first][inverse])
    assert len(np.unique(rows, axis=0)) == len(first)


def test_a_table_of_another_size_is_known_by_the_whole_hash() -> None:
    documents = lay(np.random.default_rng(5).integers(0, VOCABULARY, 3000))
    detector = SynthIdDetector(keys(3), sampling_table_size=50_000)
    identities = detector.identities(documents, scored(documents, 4))
    assert len(np.unique(identities)) == len(identities)


def uneven_documents() -> Documents:
    """Some 38,000 tokens whose states repeat, in documents that are long, short and empty."""
    rng = np.random.default_rng(14)
    lengths = (400, 0, 3, 30_000, 511, 4, 512, 513, 1, 1024, 5000, 0)
    return lay(*[rng.zipf(1.3, n) % VOCABULARY for n in lengths])


@pytest.mark.parametrize("size", [1 << 12, 1 << 16, 1 << 18])
@pytest.mark.parametrize("weighted", [True, False])
def test_one_pass_counts_and_scores_what_three_passes_do(size: int, weighted: bool) -> None:
    documents = uneven_documents()
    detector = SynthIdDetector(keys(5), sampling_table_size=size, weighted=weighted)
    pairs = find_units(documents, detector.width)
    found = detector.distinct_scores(documents, pairs)
    assert found is not None
    expected = distinct_draws(pairs, detector.identities(documents, pairs.positions))
    for name in ("positions", "starts", "repeated", "common"):
        assert np.array_equal(getattr(found.units, name), getattr(expected, name)), name
    assert len(found.units.positions) < len(pairs.positions)
    values = detector.values(documents, expected.positions)
    assert np.array_equal(found.values, values)
    sums = [part.sum() for part in np.split(values, expected.starts[1:-1])]
    assert np.array_equal(found.totals, sums)


@pytest.mark.parametrize("size", [1 << 12, 1 << 16, 1 << 18, 40_000])
def test_scores_of_many_documents_are_those_of_each_alone(size: int) -> None:
    documents = uneven_documents()
    detector = SynthIdDetector(keys(5), sampling_table_size=size)
    (together,) = score(documents, [detector], {})
    for d in range(len(documents)):  # Most of them are too short for one pass.
        (alone,) = score(documents.part(d, d + 1), [detector], {})
        assert np.array_equal(together.of(d), alone.values)
        assert (together.counts[d], together.totals[d]) == (alone.counts[0], alone.totals[0])
        assert together.log_p()[d] == alone.log_p()[0]
        assert together.units.repeated[d] == alone.units.repeated[0]


@pytest.mark.parametrize(
    ("size", "documents", "tokens", "one_pass"),
    [
        (1 << 12, 256, 512, True),
        (1 << 12, 255, 511, False),  # A table of sums would cost more than it saves.
        (1 << 12, 257, 513, False),  # So would emptying a set of all states so often.
        (1 << 16, 1, 8192, True),
        (1 << 16, 256, 8192, True),
        (1 << 16, 257, 8192, False),
        (100_000, 1, 1 << 15, False),
    ],
)
def test_one_pass_is_for_long_documents_and_tables_of_a_power_of_two(
    size: int, documents: int, tokens: int, one_pass: bool
) -> None:
    # Each document has four tokens more than pairs.
    laid = lay(*np.array_split(np.arange(tokens + 4 * documents), documents))
    detector = SynthIdDetector(keys(5), sampling_table_size=size)
    pairs = find_units(laid, 4)
    assert len(pairs.positions) == tokens
    assert (detector.distinct_scores(laid, pairs) is not None) == one_pass


def test_linear_weights_have_the_ratios_of_ten_to_one_in_whole_numbers() -> None:
    assert linear_weights(1) == (1,)
    assert linear_weights(2) == (10, 1)
    assert linear_weights(10) == tuple(range(10, 0, -1))
    assert linear_weights(30)[:2] + linear_weights(30)[-1:] == (290, 281, 29)
    for layers in range(2, 129):
        weights = linear_weights(layers)
        assert all(type(w) is int for w in weights)
        assert np.gcd.reduce(weights) == 1
        scaled = np.array(weights) * 10 / weights[0]
        assert np.abs(scaled - np.linspace(10, 1, layers)).max() < 1e-13


def shift_law(states: NDArray[np.int64], aligned: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many of `states` have a 1 in a layer, for every key modulo the table size."""
    hist = np.bincount(states, minlength=len(aligned))
    spectrum = np.fft.rfft(aligned) * np.conj(np.fft.rfft(hist))
    return np.rint(np.fft.irfft(spectrum, len(aligned))).astype(np.int64)


def aligned_table() -> NDArray[np.uint8]:
    at = (np.arange(SIZE, dtype=np.uint64) * np.uint64(6364136223846793005) + np.uint64(1)) % SIZE
    return np.asarray(sampling_table(0, SIZE)[at])


def test_over_all_keys_a_layer_of_distinct_states_has_the_mean_and_spread_of_the_null() -> None:
    rng = np.random.default_rng(6)
    documents = lay(rng.integers(0, VOCABULARY, 400))
    detector = SynthIdDetector(keys(4))
    states = detector.identities(documents, distinct(detector, documents)).astype(np.int64)
    ones = sampling_table(0, SIZE).mean()
    counts = shift_law(states, aligned_table())
    assert counts.mean() == pytest.approx(len(states) * ones, rel=1e-12)
    assert counts.var() == pytest.approx(len(states) * ones * (1 - ones), rel=0.05)


def test_under_random_keys_p_values_of_one_text_are_uniform() -> None:
    rng = np.random.default_rng(7)
    # Words as in a language: few that are frequent, and n-grams that come back.
    documents = lay((rng.pareto(1.0, 400) * 20).astype(np.int64) % VOCABULARY)
    some = SynthIdDetector(keys(0))
    positions = distinct(some, documents)
    totals = np.array(
        [SynthIdDetector(keys(k)).values(documents, positions).sum() for k in range(10_000)]
    )
    p = np.exp(some.log_p(totals, np.full(len(totals), len(positions))))
    for level, slack in ((0.5, 0.02), (0.1, 0.012), (0.01, 0.004), (0.001, 0.0013)):
        assert (p <= level).mean() == pytest.approx(level, abs=slack)


def same_state_text() -> list[int]:
    """200 different n-grams that end in one state: anyone can make such a text, without a key."""
    rng = np.random.default_rng(8)
    tokens = [int(t) for t in rng.integers(0, 1 << 16, 4)]
    while len(tokens) < 1000:
        tokens += [int(t) for t in rng.integers(0, 1 << 16, 4)]
        detector = SynthIdDetector((0,))
        documents = lay([*tokens, 0])
        state = int(detector.identities(documents, np.array([len(tokens)]))[0])
        # One more token adds its id times the multiplier, which has an inverse modulo 2^16.
        inverse = pow(6364136223846793005, -1, SIZE)
        tokens.append((4711 - state) * inverse % SIZE)
    return tokens


def test_a_text_of_one_state_is_one_piece_of_evidence_once_states_are_counted_once() -> None:
    documents = lay(same_state_text())
    some = SynthIdDetector(keys(0))
    positions = scored(documents, 4)[4::5]
    everything = positions[some.identities(documents, positions) == 4711]
    assert len(everything) == 200
    smallest = []
    for kept in (everything, everything[:1]):
        totals = [SynthIdDetector(keys(k)).values(documents, kept).sum() for k in range(300)]
        counts = np.full(len(totals), len(kept))
        smallest.append(float(some.log_p(np.array(totals), counts).min()))
    assert smallest[0] < -100 * np.log(10)  # The forger's gain where n-grams are counted instead.
    assert smallest[1] > -4 * np.log(10)


def marked_text(secret: tuple[int, ...], count: int) -> Documents:
    """Text of 1,000 words, each drawn from 100 by the tournament that this hash feeds."""
    rng = np.random.default_rng(10)
    detector = SynthIdDetector(secret)
    tokens = rng.integers(0, 1000, 4).tolist()
    for _ in range(count):
        candidates = rng.choice(1000, 100, replace=False)
        grams = lay(*[[*tokens[-4:], int(c)] for c in candidates])
        bits = detector.g_values(grams, np.arange(4, 500, 5)).astype(np.uint64)
        words = np.zeros((100, 2), np.uint64)
        words[:, 0] = (bits << np.arange(30, dtype=np.uint64)).sum(1)
        shares = np.exp(rng.normal(0, 1.5, 100))
        tokens.append(int(candidates[tournament_sample(shares, words, rng)]))
    return lay(tokens)


def test_a_thousand_marked_tokens_give_all_keys_away_and_unmarked_ones_none() -> None:
    # What section 6 of the specification says of this scheme's security; ours has no such table.
    secret = keys(11)
    documents = marked_text(secret, 1000)
    detector = SynthIdDetector((0,))  # Whoever attacks needs no key for this.
    for text, found in ((documents, 30), (lay(np.random.default_rng(1).permutation(1004)), 0)):
        states = detector.identities(text, distinct(detector, text)).astype(np.int64)
        best = np.argsort(-shift_law(states, aligned_table()))[:30]
        assert len(set(best.tolist()) & {k % SIZE for k in secret}) == found


def test_layers_of_equal_key_are_one_layer_of_the_null() -> None:
    twice = SynthIdDetector((5, 5 + SIZE, 9), weighted=False)
    assert twice.weights == (1, 1, 1)
    totals, counts = np.array([3.0, 2.0, 1.0, 0.0]), np.ones(4, np.int64)
    q = sampling_table(0, SIZE).mean()
    expected = [q * q, q, q + (1 - q) * q, 1]
    assert np.exp(twice.log_p(totals, counts)) == pytest.approx(expected, rel=1e-9)
    other = SynthIdDetector((5, 6 + SIZE, 9), weighted=False)
    assert np.exp(other.log_p(totals[:1], counts[:1])) == pytest.approx([q**3], rel=1e-9)


def test_ids_equal_modulo_the_table_size_are_the_same_to_the_scheme() -> None:
    tokens = np.random.default_rng(9).integers(0, SIZE, 300)
    detector = SynthIdDetector(keys(5))
    documents = lay(tokens, tokens + SIZE, tokens + SIZE + 1)
    rows = detector.g_values(documents, scored(documents, 4)).reshape(3, -1)
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def test_documents_shorter_than_an_n_gram_have_no_score() -> None:
    detector = SynthIdDetector(keys(6))
    documents = lay([], [1, 2, 3, 4], [1, 2, 3, 4, 5])
    assert detector.peer_mask(documents).nonzero()[0].tolist() == [8]
    scores = detector.peer_scores(documents)
    assert np.isnan(scores.mean).tolist() == [True, True, False]
    assert np.isnan(scores.weighted_mean).tolist() == [True, True, False]


def test_no_score_is_asked_for_of_no_documents() -> None:
    detector = SynthIdDetector(keys(6))
    assert len(detector.peer_scores(lay()).mean) == 0
    assert len(detector.values(lay(), np.zeros(0, np.int64))) == 0


def test_a_context_is_new_again_once_the_memory_has_lost_it() -> None:
    documents = lay([5, 6, 5, 7, 8, 9, 5, 1])
    mask = SynthIdDetector(keys(7), 2, context_history_size=3).peer_mask(documents)
    assert mask.tolist() == [False, True, True, False, True, True, True, True]
    mask = SynthIdDetector(keys(7), 2, context_history_size=4).peer_mask(documents)
    assert mask.tolist() == [False, True, True, False, True, True, True, False]


def test_a_detector_is_small_to_send_and_does_not_print_its_keys() -> None:
    detector = SynthIdDetector(keys(8))
    assert len(pickle.dumps(detector)) < 2000
    assert pickle.loads(pickle.dumps(detector)) == detector  # noqa: S301
    assert str(detector.keys[0]) not in repr(detector)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"ngram_len": 2}, {"ngram_len": 1}),
        ({"ngram_len": 64}, {"ngram_len": 65}),
        ({"sampling_table_size": 1 << 12}, {"sampling_table_size": (1 << 12) - 1}),
        ({"sampling_table_size": 1 << 24}, {"sampling_table_size": (1 << 24) + 1}),
        ({"sampling_table_seed": (1 << 64) - 1}, {"sampling_table_seed": 1 << 64}),
        ({"sampling_table_seed": -(1 << 63)}, {"sampling_table_seed": -(1 << 63) - 1}),
        ({"context_history_size": 0}, {"context_history_size": -1}),
        ({"keys": (1,) * 128}, {"keys": (1,) * 129}),
        ({"keys": (1,)}, {"keys": ()}),
        ({"keys": ((1 << 63) - 1,)}, {"keys": (1 << 63,)}),
        ({"keys": (-(1 << 63),)}, {"keys": (-(1 << 63) - 1,)}),
    ],
)
def test_parameters_are_allowed_up_to_their_limits(
    good: dict[str, Any], bad: dict[str, Any]
) -> None:
    SynthIdDetector(**({"keys": (1, 2)} | good))
    with pytest.raises(SchemeError) as caught:
        SynthIdDetector(**({"keys": (1, 2)} | bad))
    assert caught.value.code == "scheme-parameters"


def test_a_configuration_over_the_size_limit_is_refused_and_one_at_it_is_read() -> None:
    text = b'{"ngram_len":5,"keys":[1]}'
    assert parse_synthid_config(text.ljust(65_536)).keys == (1,)
    with pytest.raises(MalformedDescriptorError):
        parse_synthid_config(text.ljust(65_537))


NUMBERS = st.integers(-(1 << 65), 1 << 65) | st.floats() | st.booleans() | st.none() | st.text()
CONFIGS = st.fixed_dictionaries(
    {"ngram_len": NUMBERS, "keys": st.lists(NUMBERS, max_size=3) | NUMBERS},
    optional=dict.fromkeys(
        ("context_history_size", "sampling_table_seed", "debug_mode", "\ud800", "x"), NUMBERS
    ),
)


@settings(deadline=None)
@given(st.binary() | CONFIGS.map(lambda c: json.dumps(c).encode()))
@example(b'{"keys":[1],"ngram_len":true}')
@example(b'{"keys":[1e3],"ngram_len":5}')
@example(b"[" * 9)
def test_any_bytes_give_a_detector_or_our_error(data: bytes) -> None:
    try:
        detector = parse_synthid_config(data)
    except (MalformedDescriptorError, SchemeError):
        return
    assert detector.ngram_len >= 2
