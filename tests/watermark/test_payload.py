"""Messages of 64 bits: written without bias, read back, and refused where they might be wrong."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import countermark
from countermark.watermark import payload as payload_module
from countermark.watermark.documents import Documents
from countermark.watermark.errors import KeyUseError, SchemeError
from countermark.watermark.gumbel import scores
from countermark.watermark.judgement import DetectOptions, detect_ids
from countermark.watermark.keymaking import own_key
from countermark.watermark.keyring import KeyEntry
from countermark.watermark.keys import Labels, MasterKey
from countermark.watermark.payload import (
    PayloadDetector,
    PayloadSampler,
    decode_payload,
    message_symbols,
)
from countermark.watermark.payload_code import encode, place_orders, spread
from countermark.watermark.payload_kernels import symbol_totals
from countermark.watermark.payload_messages import best_message
from countermark.watermark.prf import SYMBOLS, Tag, context_blocks, symbol_sweeps, vocabulary_blocks
from countermark.watermark.sampling import Marker
from countermark.watermark.schemes import detector_of, keyed_detectors, sampler_of
from countermark.watermark.units import find_units
from countermark.watermark.verdict import Answer
from support.tape import from_logits, load_tape, simulate, temperature_for, unmarked

VECTORS = Path(__file__).parents[2] / "specs/watermark-payload-v1/vectors"
MESSAGES = json.loads((VECTORS / "messages.json").read_text())["rows"]
TEXTS = json.loads((VECTORS / "texts.json").read_text())["rows"]
KEY, MAC_KEY, IDENTIFIER = bytes(range(16)), bytes(range(32)), 0xC0FFEE123456
SCHEME = "countermark-gumbel-payload-v1"
Row = dict[str, Any]


def write(sampler: PayloadSampler, bits: float, tokens: int, seed: int) -> NDArray[np.uint32]:
    tape = load_tape()
    marker = Marker(sampler, rng=np.random.default_rng(seed))
    return simulate(
        tape,
        from_logits(marker, tape.vocabulary),
        tokens,
        np.random.default_rng(seed + 1),
        temperature_for(tape, bits),
    )


def documents_of(*texts: NDArray[np.integer] | list[int]) -> Documents:
    return Documents.of(texts, vocabulary=load_tape().vocabulary)


def plain(tokens: int, seed: int) -> NDArray[np.uint32]:
    rng = np.random.default_rng(seed)
    return simulate(load_tape(), unmarked(np.random.default_rng(seed + 1)), tokens, rng)


def entry(scheme: str = SCHEME) -> KeyEntry:
    master = MasterKey(bytes(range(32)))
    return own_key(master, scheme=scheme, parameters={}, labels=Labels(model="m"))


def test_vectors_exist() -> None:
    assert len(MESSAGES) >= 14
    assert len(TEXTS) >= 12


@pytest.mark.parametrize("row", MESSAGES, ids=lambda r: f"{r['identifier']}-{r['expect']}")
def test_message_vector(row: Row) -> None:
    try:
        outcome: list[int] | str = list(
            message_symbols(bytes.fromhex(row["mac_key"]), row["identifier"])
        )
    except countermark.Error as e:
        outcome = e.code
    assert outcome == row.get("symbols", row["expect"])


@pytest.mark.parametrize("row", TEXTS, ids=lambda r: r["why"])
def test_text_vector(row: Row) -> None:
    key, mac_key = bytes.fromhex(row["key"]), bytes.fromhex(row["mac_key"])
    documents = documents_of(row["tokens"])
    width = row["width"]
    found = decode_payload(documents, key, mac_key, width=width)
    if row["expect"] == "not-enough-evidence":
        assert found is None
        return
    assert found is not None
    assert found.identifier == row["identifier"]
    assert found.ln_p == pytest.approx(row["ln_p"], rel=1e-9)
    assert found.ln_wrong == pytest.approx(row["ln_w"], rel=1e-9)
    positions = find_units(documents, width).positions
    places = context_blocks(key, Tag.PAYLOAD_POSITION, documents, positions, width)[:, 0] & 7
    assert places.tolist() == row["places"]
    values = PayloadDetector(key, mac_key, width).values(documents, positions)
    totals = np.bincount(places.astype(np.int64), weights=values)
    assert totals == pytest.approx(row["totals"], rel=1e-12)


@pytest.mark.parametrize("identifier", [0, IDENTIFIER])
def test_over_many_contexts_tokens_are_drawn_from_the_model_s_distribution(
    identifier: int,
) -> None:
    probabilities = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
    logits = np.log(probabilities).astype(np.float32)
    sampler = PayloadSampler(KEY, MAC_KEY, identifier)
    rng = np.random.default_rng(7)
    draws = 10_000
    drawn = Counter(
        sampler.choose(logits, np.array([step, step + 1], np.uint32), rng) for step in range(draws)
    )
    counts = np.array([drawn[token] for token in range(5)])
    expected = draws * probabilities
    assert float(((counts - expected) ** 2 / expected).sum()) < 18.5  # 0.999 quantile, 4 degrees.


def test_two_identifiers_throw_different_dice() -> None:
    flat = np.zeros(1000, np.float32)
    rng = np.random.default_rng(0)
    one, other = PayloadSampler(KEY, MAC_KEY, 1), PayloadSampler(KEY, MAC_KEY, 0x1_0001_0002)
    contexts = [np.array([step, 5], np.uint32) for step in range(60)]
    same = sum(one.choose(flat, c, rng) == other.choose(flat, c, rng) for c in contexts)
    assert same <= 3
    assert [one.choose(flat, c, rng) for c in contexts[:9]] == [
        PayloadSampler(KEY, MAC_KEY, 1).choose(flat, c, rng) for c in contexts[:9]
    ]


@pytest.mark.parametrize(("bits", "tokens"), [(5.0, 200), (1.8, 400)])
def test_message_is_read_with_its_keys_and_with_no_others(bits: float, tokens: int) -> None:
    documents = documents_of(write(PayloadSampler(KEY, MAC_KEY, IDENTIFIER), bits, tokens, 1))
    found = decode_payload(documents, KEY, MAC_KEY)
    assert found is not None
    assert found.identifier == IDENTIFIER
    assert found.ln_p < math.log(1e-6)
    assert len(found.symbol_ln_p) == 8
    assert decode_payload(documents, bytes(16), MAC_KEY) is None
    assert decode_payload(documents, KEY, bytes(32)) is None
    assert decode_payload(documents, KEY, MAC_KEY, width=3) is None


@pytest.mark.parametrize(("bits", "tokens", "share"), [(5.0, 250, 0.25), (1.8, 500, 0.1)])
def test_message_survives_random_substitutions(bits: float, tokens: int, share: float) -> None:
    ids = write(PayloadSampler(KEY, MAC_KEY, IDENTIFIER), bits, tokens, 3)
    rng = np.random.default_rng(4)
    hit = rng.random(len(ids)) < share
    ids[hit] = rng.integers(0, load_tape().vocabulary, int(hit.sum()))
    found = decode_payload(documents_of(ids), KEY, MAC_KEY)
    assert found is not None
    assert found.identifier == IDENTIFIER


def test_text_without_a_mark_has_no_message() -> None:
    documents = documents_of(*(plain(150, seed) for seed in range(5)))
    for document in range(5):
        assert decode_payload(documents, KEY, MAC_KEY, document=document, alpha=0.5) is None


def test_message_is_told_without_any_four_symbols_but_not_without_five() -> None:
    documents = documents_of(write(PayloadSampler(KEY, MAC_KEY, IDENTIFIER), 5.0, 400, 5))
    positions = find_units(documents, 2).positions
    places = context_blocks(KEY, Tag.PAYLOAD_POSITION, documents, positions, 2)[:, 0] & 7
    detector = PayloadDetector(KEY, MAC_KEY)
    for lost in ([], [0, 1, 2, 3], [4, 5, 6, 7], [0, 3, 5, 6]):
        _, (found,) = detector.read(documents, positions[~np.isin(places, lost)])
        assert found is not None
        assert found.identifier == IDENTIFIER
        assert found.ln_p < math.log(1e-9)
        assert found.readable
        assert [at for at in range(8) if found.symbol_ln_p[at] == 0] == lost
    _, (found,) = detector.read(documents, positions[~np.isin(places, [0, 2, 4, 6, 7])])
    assert found is not None
    assert found.ln_wrong == 0
    assert not found.readable


@pytest.mark.parametrize("known", list(combinations(range(8), 4))[::9], ids=str)
def test_any_four_symbols_give_all_eight(known: tuple[int, ...]) -> None:
    symbols = np.array(encode((0xC0FF, 0, 1, 0x1234)))
    (row,) = np.flatnonzero((place_orders()[:, :4] == known).all(-1))
    others = np.bitwise_xor.reduce(spread(symbols[:, None])[row, :, 0])
    assert [others >> 16 * at & 0xFFFF for at in range(4)] == symbols[
        place_orders()[row, 4:]
    ].tolist()


def test_messages_that_differ_in_one_symbol_differ_in_five_of_eight() -> None:
    rng = np.random.default_rng(11)
    for at in range(4):
        one = rng.integers(0, SYMBOLS, 4).tolist()
        other = [*one]
        other[at] ^= int(rng.integers(1, SYMBOLS))
        assert sum(a != b for a, b in zip(encode(one), encode(other), strict=True)) == 5


@pytest.mark.parametrize(("rank", "read"), [(40, True), (600, False)])
def test_a_symbol_that_is_only_the_fortieth_best_is_found(rank: int, read: bool) -> None:
    rng = np.random.default_rng(8)
    totals = rng.standard_gamma(50, (8, SYMBOLS))
    orders = np.sort(totals)
    for at, symbol in enumerate(message_symbols(MAC_KEY, IDENTIFIER)):
        # Three are beyond doubt, and four too far down to be looked for.
        totals[at, symbol] = 150.0 if at > 4 else orders[at, -rank if at == 2 else -600] + 1e-6
    assert (best_message(totals, MAC_KEY) == IDENTIFIER) is read


def test_a_better_word_whose_mac_does_not_fit_is_passed_over() -> None:
    totals = np.random.default_rng(12).standard_gamma(50, (8, SYMBOLS))
    right = message_symbols(MAC_KEY, IDENTIFIER)
    forged = message_symbols(bytes(32), 77)
    for at in range(8):
        totals[at, right[at]], totals[at, forged[at]] = 140.0, 150.0
    assert best_message(totals, MAC_KEY) == IDENTIFIER
    assert best_message(totals, bytes(32)) == 77


@pytest.mark.parametrize("width", [1, 2, 3, 7, 14])
def test_totals_of_all_symbols_are_sums_of_their_scores(width: int) -> None:
    rng = np.random.default_rng(9)
    documents = documents_of(rng.integers(0, 30_000, 19 + width))
    positions = np.arange(width, len(documents.tokens))
    totals = symbol_totals(symbol_sweeps(KEY, Tag.PAYLOAD, documents, positions, width))
    symbols = np.array([0, 1, 777, SYMBOLS - 1], np.uint32)
    expected = np.zeros(len(symbols))
    for at in positions:
        context = documents.tokens[at - width : at]
        token = documents.tokens[at : at + 1]
        words = [
            vocabulary_blocks(KEY, Tag.PAYLOAD, context, token, symbol=int(s))[0, 0]
            for s in symbols
        ]
        expected += scores(np.array(words))
    assert totals[symbols] == pytest.approx(expected, rel=1e-13)


def test_each_document_is_read_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = write(PayloadSampler(KEY, MAC_KEY, IDENTIFIER), 5.0, 200, 6)
    other = write(PayloadSampler(KEY, MAC_KEY, 77), 5.0, 200, 7)
    documents = documents_of([], ids, [1], other)
    positions = find_units(documents, 2).positions
    detector = PayloadDetector(KEY, MAC_KEY)
    values, found = detector.read(documents, positions)
    assert [one and one.identifier for one in found] == [None, IDENTIFIER, None, 77]
    assert detector.values(documents, positions).tolist() == values.tolist()
    # Places with more pairs than are looked at: the others still count under the message.
    monkeypatch.setattr(payload_module, "MAX_PAIRS", 30)
    again, found = detector.read(documents, positions)
    assert [one and one.identifier for one in found] == [None, IDENTIFIER, None, 77]
    assert again.tolist() == values.tolist()


def test_p_values_pay_for_the_choice_among_all_messages() -> None:
    detector = PayloadDetector(KEY, MAC_KEY)
    ln_p = detector.log_p(np.array([0.0, 100.0, 120.0, 400.0]), np.array([0, 100, 100, 100]))
    assert ln_p[:3].tolist() == [0.0, 0.0, 0.0]
    assert ln_p[3] < math.log(1e-6)


def test_detection_finds_the_mark_and_tells_the_message() -> None:
    key = entry()
    sampler = sampler_of(key, identifier=IDENTIFIER)
    assert isinstance(sampler, PayloadSampler)
    tape = load_tape()
    keyed = keyed_detectors([key, entry("countermark-gumbel-v1")], vocabulary=tape.vocabulary)
    marked = write(sampler, 5.0, 600, 8)
    documents = documents_of(marked, plain(200, 9))
    first, second = detect_ids(documents, keyed, DetectOptions())
    assert first.answer is Answer.FOUND
    (evidence,) = first.found
    assert evidence.key_id == key.id
    assert evidence.payload is not None
    assert evidence.payload.identifier == IDENTIFIER
    assert second.answer is not Answer.FOUND
    assert all(one.payload is None for one in second.evidence)


def test_detection_tells_no_message_that_its_mac_does_not_fit() -> None:
    key = entry()
    detector = detector_of(key, vocabulary=load_tape().vocabulary)
    assert isinstance(detector, PayloadDetector)
    forged = write(PayloadSampler(detector.key, bytes(32), IDENTIFIER), 5.0, 300, 10)
    keyed = keyed_detectors([key], vocabulary=load_tape().vocabulary)
    (detection,) = detect_ids(documents_of(forged), keyed, DetectOptions())
    assert detection.answer is Answer.FOUND  # Whoever wrote this had the marking key.
    assert detection.evidence[0].payload is None


def test_an_identifier_is_given_where_it_is_needed_and_nowhere_else() -> None:
    with pytest.raises(KeyUseError):
        sampler_of(entry())
    with pytest.raises(KeyUseError):
        sampler_of(entry("countermark-gumbel-v1"), identifier=5)
    with pytest.raises(SchemeError):
        sampler_of(entry(), identifier=1 << 48)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(SchemeError):
        decode_payload(documents_of([1, 2, 3]), KEY, MAC_KEY, alpha=alpha)


def test_secrets_are_not_shown() -> None:
    for thing in (PayloadDetector(KEY, MAC_KEY), PayloadSampler(KEY, MAC_KEY, 5)):
        assert repr(KEY) not in repr(thing)
        assert repr(MAC_KEY) not in repr(thing)
        assert "_symbols" not in repr(thing)
