"""Detector cards: exact counts on texts whose p-values are known, and pages nobody can break."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.card import Card, Rate, card_document, encode_card, exact_interval
from countermark.watermark.card_measure import Plan, TextFile, measure
from countermark.watermark.card_notes import notes_on
from countermark.watermark.card_page import card_page
from countermark.watermark.card_trials import answers, laid_out, log_p_values, scan_answers
from countermark.watermark.documents import Documents
from countermark.watermark.errors import MalformedInputError, SchemeError
from countermark.watermark.judgement import (
    DetectOptions,
    detect_ids,
    scan_ids,
)
from countermark.watermark.power import Strength
from countermark.watermark.prospects import KeyedDetector
from countermark.watermark.schemes import keyed_detectors
from countermark.watermark.statistics import log_binomial_tail
from countermark.watermark.tokenization import Tokenizer, load_tokenizer
from support.marked_texts import byte_tokenizer, key_of_tests, letters, marked, unmarked

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "specs/watermark-card-v1/card.schema.json").read_text()
)
Tokens = NDArray[np.uint32]
LN_2 = float(np.log(2))


@dataclass(frozen=True, slots=True)
class OddTokens:
    """A scheme without a secret: odd tokens are green, so that every p-value is a power of two."""

    scheme: str = "test-odd"
    width: int = 1

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        return (documents.tokens[positions] & 1).astype(np.float64)

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return log_binomial_tail(totals, counts, 0.5)


def odd(key_id: str = "odd") -> KeyedDetector:
    strength = Strength(1.0, 0.0)
    return KeyedDetector(key_id=key_id, detector=OddTokens(), strength=strength, assumption="test")


def file(*texts: Tokens, name: str = "file.jsonl") -> TextFile:
    return TextFile(name=name, sha256="0" * 64, texts=texts)


def tokens(odd_ones: int, even_ones: int, first: int = 0) -> Tokens:
    """Return so many different odd tokens, then even ones, after one token that is not scored."""
    odds = 2 * np.arange(first, first + odd_ones) + 1
    evens = 2 * np.arange(first, first + even_ones + 1)
    return np.concatenate([evens[:1], odds, evens[1:]]).astype(np.uint32)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


@pytest.fixture(scope="module")
def tokenizer(place: Path) -> Tokenizer:
    return load_tokenizer(place)


PLAN = Plan(passage_lengths=(11,), text_lengths=(11, 21), dilutions=(2, 1000), seed=5)


def measured(tokenizer: Tokenizer, keys: Sequence[KeyedDetector], plan: Plan = PLAN) -> Card:
    """Measure on four unmarked passages, one of ten odd tokens, and on three marked texts."""
    return measure(
        tokenizer=tokenizer,
        detectors=keys,
        common={},
        unmarked=[
            file(np.concatenate([tokens(10, 0), tokens(0, 10, 20), tokens(5, 5)]), name="a"),
            file(tokens(1, 9), tokens(4, 2), name="b"),
        ],
        marked=[file(tokens(20, 0), tokens(10, 0), tokens(3, 0))],
        others=[file(tokens(10, 10), name="other <b>")],
        plan=plan,
    )


def rates(card: Card, pooled: str, name: str = "") -> list[tuple[float, int, int]]:
    (row,) = (r for r in card.false_alarms if (r.pooled, r.name) == (pooled, name))
    return [(rate.alpha, rate.hits, rate.trials) for rate in row.rates]


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.308497),  # The published table's first rows, and the closed forms.
        (5, 10, 0.187086, 0.812914),
        (10, 10, 0.691503, 1.0),
        (1, 1, 0.025, 1.0),
        (0, 1, 0.0, 0.975),
    ],
)
def test_intervals_are_exact(hits: int, trials: int, low: float, high: float) -> None:
    assert exact_interval(hits, trials) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(("hits", "trials"), [(0, 0), (2, 1), (-1, 1)])
def test_no_rate_has_more_hits_than_trials(hits: int, trials: int) -> None:
    with pytest.raises(SchemeError) as caught:
        exact_interval(hits, trials)
    assert caught.value.code == "scheme-parameters"


def test_one_passage_of_ten_odd_tokens_is_one_false_alarm_at_a_thousandth(
    tokenizer: Tokenizer,
) -> None:
    card = measured(tokenizer, [odd()])  # Its p is 2^-10, just below 1e-3.
    expected = [(1e-2, 1, 4), (1e-3, 1, 4), (1e-4, 0, 4)]
    assert rates(card, "keys-and-files") == rates(card, "answers") == expected
    assert rates(card, "keys", "a") == [(1e-2, 1, 3), (1e-3, 1, 3), (1e-4, 0, 3)]
    assert rates(card, "keys", "b") == [(1e-2, 0, 1), (1e-3, 0, 1), (1e-4, 0, 1)]


def test_two_keys_make_two_trials_of_a_passage_and_one_corrected_answer(
    tokenizer: Tokenizer,
) -> None:
    card = measured(tokenizer, [odd("one"), odd("two")])
    assert rates(card, "keys-and-files") == [(1e-2, 2, 8), (1e-3, 2, 8), (1e-4, 0, 8)]
    assert rates(card, "files", "one") == [(1e-2, 1, 4), (1e-3, 1, 4), (1e-4, 0, 4)]
    assert rates(card, "answers") == [(1e-2, 1, 4), (1e-3, 0, 4), (1e-4, 0, 4)]  # 2 * 2^-10.


def test_quantiles_are_the_sorted_p_values_over_their_ranks(tokenizer: Tokenizer) -> None:
    card = measured(tokenizer, [odd()])
    tails = np.array([1, 638, 1023, 1024]) / 1024  # P(Bin(10, 1/2) >= 10, 5, 1, 0).
    assert [10**q.log10_observed for q in card.quantiles] == pytest.approx(sorted(tails))
    assert [q.expected for q in card.quantiles] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_texts_are_found_from_the_length_at_which_their_p_is_small_enough(
    tokenizer: Tokenizer,
) -> None:
    found = {
        (row.model, row.length): [(rate.hits, rate.trials) for rate in row.rates]
        for row in measured(tokenizer, [odd()]).found
    }
    assert found == {
        ("", 11): [(2, 2), (2, 2), (0, 2)],  # 2^-10.
        ("", 21): [(1, 1), (1, 1), (1, 1)],  # 2^-20 is below 1e-6.
        ("other <b>", 11): [(1, 1), (1, 1), (0, 1)],
        ("other <b>", 21): [(0, 1), (0, 1), (0, 1)],
    }


def test_a_card_says_what_its_files_were_too_short_for(tokenizer: Tokenizer) -> None:
    said = measured(tokenizer, [odd()]).not_measured
    assert "Dilution 1:1000, for want of unmarked text." in said
    assert "Dilution 1:2, for want of unmarked text." not in said
    assert "False alarms of `scan`, for want of unmarked text." in said
    assert not any("too short" in sentence for sentence in said)


def test_unmarked_texts_must_have_a_passage_and_marked_ones_the_shortest_length(
    tokenizer: Tokenizer,
) -> None:
    with pytest.raises(MalformedInputError, match="no unmarked text has 35 tokens"):
        measured(tokenizer, [odd()], replace(PLAN, passage_lengths=(35,)))
    with pytest.raises(MalformedInputError, match="no marked text has 22 tokens"):
        measured(tokenizer, [odd()], replace(PLAN, text_lengths=(22,)))
    measured(tokenizer, [odd()], replace(PLAN, passage_lengths=(33,), text_lengths=(21,)))


def test_texts_are_edited_at_the_first_passage_length_or_the_next_that_half_of_them_have(
    tokenizer: Tokenizer,
) -> None:
    for passages, length, texts in (((11,), 11, 2), ((12,), 11, 2), ((33, 11), 11, 2)):
        card = measured(tokenizer, [odd()], replace(PLAN, passage_lengths=passages))
        assert {row.length for row in card.edited} == {length}
        assert {rate.trials for row in card.edited for rate in row.rates} == {texts}


def test_of_more_passages_than_the_limit_evenly_spaced_ones_are_taken(tokenizer: Tokenizer) -> None:
    card = measured(tokenizer, [odd()], replace(PLAN, max_passages=2))
    assert rates(card, "keys-and-files")[0] == (1e-2, 1, 2)  # The first and the last of four.
    assert rates(card, "keys", "b")[0] == (1e-2, 0, 1)


@pytest.fixture(scope="module")
def real(place: Path, tokenizer: Tokenizer) -> Card:
    key = key_of_tests()
    among = letters(place)
    return measure(
        tokenizer=tokenizer,
        detectors=keyed_detectors([key, key_of_tests("1")], vocabulary=256),
        common={},
        unmarked=[file(*unmarked(among, 40, 2000, seed=1), name="</script><b>\u202eü")],
        marked=[file(*marked(key, among, 12, 60, seed=2))],
        others=[],
        plan=Plan(
            passage_lengths=(50, 25), text_lengths=(25, 50), dilutions=(5, 80), scanned_length=4000
        ),
    )


def test_false_alarms_of_a_real_scheme_are_as_promised(real: Card) -> None:
    for row in real.false_alarms:
        assert row.passages == {50: 1600, 25: 3200, 4000: 20}[row.length]
        for rate in row.rates:
            low, _high = rate.interval
            assert low <= rate.alpha  # Not more often than promised; letters repeat, so seldom.


def test_marks_of_a_real_scheme_survive_what_they_should(real: Card) -> None:
    found = {(row.edit, row.strength, row.judged): row.rates[-1].hits for row in real.edited}
    assert {row.length for row in real.edited} == {50}
    assert {rate.trials for row in real.edited for rate in row.rates} == {12}
    for edit in (("tokenize-again", 0.0), ("homoglyphs", 0.05), ("zero-width", 0.3)):
        assert found[(*edit, "normalised")] == 12
    for edit in (("substitute", 0.1), ("delete", 0.1), ("insert", 0.1)):
        assert found[(*edit, "as-is")] == 12
    assert found["substitute", 0.5, "as-is"] < found["substitute", 0.1, "as-is"]
    assert found["dilution", 80.0, "scan"] == 12


def test_cards_agree_with_what_detect_and_scan_answer(place: Path) -> None:
    keys = keyed_detectors([key_of_tests(), key_of_tests("1")], vocabulary=256)
    among = letters(place)
    some = [*marked(key_of_tests(), among, 2, 40, seed=3), *unmarked(among, 20, 100, seed=4)]
    documents = laid_out(some)
    detectors = [one.detector for one in keys]
    options = DetectOptions(alpha=0.5, windows_from=None)
    judged = [d.evidence[0].ln_corrected_p for d in detect_ids(documents, keys, options)]
    ln_p = log_p_values(documents, detectors, {})
    assert answers(ln_p).tolist() == pytest.approx(judged)
    in_pairs = detect_ids(documents, keys, options, variants=[("as-is", "visible")] * 11)
    expected = [d.evidence[0].ln_corrected_p for d in in_pairs]
    assert answers(ln_p, [2] * 11).tolist() == pytest.approx(expected)
    spans = scan_ids(documents, keys, DetectOptions(alpha=0.999))
    for scanned, found in zip(scan_answers(documents, detectors, {}), spans, strict=True):
        least = min((span.ln_corrected_p for span in found), default=0.0)
        assert scanned == pytest.approx(least, abs=2e-3)  # Above alpha there are no spans.


def test_the_same_texts_give_the_same_bytes_and_another_seed_other_edits(
    tokenizer: Tokenizer,
) -> None:
    card = measured(tokenizer, [odd()])
    assert encode_card(card) == encode_card(measured(tokenizer, [odd()]))
    assert card_page(card) == card_page(measured(tokenizer, [odd()]))
    assert encode_card(card) != encode_card(measured(tokenizer, [odd()], replace(PLAN, seed=6)))


def test_cards_fit_their_schema_and_hold_no_secret(real: Card, tokenizer: Tokenizer) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for card in (real, measured(tokenizer, [odd()])):
        data = encode_card(card)
        jsonschema.validate(json.loads(data), SCHEMA)
        assert data.endswith(b"}\n")
    for secret in key_of_tests().secrets.values():
        assert secret.hex().encode() not in encode_card(real)


def test_a_document_with_a_rate_that_has_no_trials_does_not_fit_the_schema(real: Card) -> None:
    document = json.loads(json.dumps(card_document(real)))
    document["found"][0]["rates"][0]["trials"] = 0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_progress_grows_to_its_end(tokenizer: Tokenizer) -> None:
    seen: list[tuple[int, int]] = []
    measure(
        tokenizer=tokenizer,
        detectors=[odd()],
        common={},
        unmarked=[file(tokens(10, 10))],
        marked=[file(tokens(20, 0))],
        others=[],
        plan=PLAN,
        progress=lambda done, total: seen.append((done, total)),
    )
    done = [step for step, _ in seen]
    assert done == sorted(done)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]
    assert all(step < total for step, total in seen[:-1])


def test_every_scheme_that_leaks_its_keys_is_said_to_prove_nothing_against_an_adversary() -> None:
    notes = notes_on(["transformers-synthid", "textseal-gumbel", "nobody-knows"])
    assert list(notes) == ["nobody-knows", "textseal-gumbel", "transformers-synthid"]
    assert "1,000 tokens" in notes["transformers-synthid"][0]
    for scheme in ("transformers-synthid", "textseal-gumbel"):
        assert "no evidence against an adversary" in notes[scheme][0]


class Reader(HTMLParser):
    """Checks that every element is closed, and keeps what the page has."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.names: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.urls: list[str] = []
        self.text = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name == "id":
                self.ids.append(str(value))
            if name == "aria-labelledby":
                self.labels += str(value).split()
            if name in ("src", "href", "action", "data", "xlink:href"):
                self.urls.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_a_page_is_well_formed_loads_nothing_and_runs_nothing(real: Card) -> None:
    page = card_page(real)
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "a", "b"} & set(reader.names)
    assert reader.urls == []
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src &#x27;none&#x27;" in page


def test_every_plot_has_a_title_a_description_and_a_table(real: Card, tokenizer: Tokenizer) -> None:
    for card, plots in ((real, 4), (measured(tokenizer, [odd()]), 5)):
        reader = read(card_page(card))
        assert reader.names.count("svg") == plots
        assert reader.names.count("desc") == plots
        assert reader.names.count("table") == plots + 2
        assert sorted(reader.labels) == sorted(reader.ids)
        assert len(set(reader.ids)) == 2 * plots


def test_names_from_outside_are_text_on_a_page_whatever_they_hold(real: Card) -> None:
    page = card_page(real)
    assert "</script>" not in page
    assert "&lt;/script&gt;&lt;b&gt;" in page
    assert "\u202e" not in page
    assert "</script><b>" in read(page).text


def test_a_page_has_the_figures_of_its_card(real: Card) -> None:
    text = read(card_page(real)).text
    for sentence in real.not_measured:
        assert sentence in text
    rate = real.false_alarms[0].rates[0]
    assert f"{rate.hits:,} of {rate.trials:,}" in text
    assert "too few to tell" in text
    assert "No answer of this detector says that a human wrote a text." in text


@pytest.mark.parametrize(("hits", "more"), [(4, False), (5, True)])
def test_a_page_says_where_false_alarms_are_above_their_level(
    real: Card, hits: int, more: bool
) -> None:
    rate = Rate(alpha=1e-2, hits=hits, trials=150)  # The interval of 5 in 150 starts at 0.0109.
    assert rate.exceeds is more
    rows = (replace(real.false_alarms[0], rates=(rate,)),)
    text = read(card_page(replace(real, false_alarms=rows))).text
    assert ("more than promised" in text) is more


def test_a_rate_without_hits_can_be_drawn(real: Card) -> None:
    never = tuple(Rate(alpha=alpha, hits=0, trials=10) for alpha in (1e-2, 1e-3))
    rows = tuple(replace(row, rates=never) for row in real.false_alarms)
    read(card_page(replace(real, false_alarms=rows)))
