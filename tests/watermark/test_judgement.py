"""The decision: false alarms whatever is tried together, power, the three answers, and spans."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.common_pairs import PairCounter
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.gumbel import GumbelDetector
from countermark.watermark.judgement import (
    DetectOptions,
    detect_ids,
    scan_ids,
    scan_power,
)
from countermark.watermark.power import GUMBEL_AT_5_BITS
from countermark.watermark.prospects import KeyedDetector
from countermark.watermark.schemes import keyed_detectors
from countermark.watermark.verdict import Answer, Detection
from support.marked import VOCABULARY, new_key, written

KEY = new_key(seed=70)
OTHERS = [new_key(seed=71 + n) for n in range(3)]
WHOLE = DetectOptions(windows_from=None)


def gumbel(seed: int, width: int = 2) -> KeyedDetector:
    return KeyedDetector(
        key_id=f"{seed:016x}",
        detector=GumbelDetector(np.random.default_rng(seed).bytes(16), width),
        strength=GUMBEL_AT_5_BITS,
        assumption="text of 5 bits per token",
    )


def random_text(rng: np.random.Generator, tokens: int) -> NDArray[np.int64]:
    return rng.integers(0, VOCABULARY, tokens)


def documents(*texts: NDArray[np.generic] | list[int]) -> Documents:
    return Documents.of(texts, vocabulary=VOCABULARY)  # type: ignore[arg-type]


def judged(text: NDArray[np.generic] | list[int], options: DetectOptions = WHOLE) -> Detection:
    tried = keyed_detectors([KEY, *OTHERS], vocabulary=VOCABULARY)
    return detect_ids(documents(text), tried, options)[0]


def test_with_one_key_exactly_the_promised_share_of_unmarked_texts_is_called_marked() -> None:
    rng = np.random.default_rng(1)
    texts = documents(*(random_text(rng, 60) for _ in range(1000)))
    options = DetectOptions(alpha=0.05, windows_from=None)
    found = sum(d.answer is Answer.FOUND for d in detect_ids(texts, [gumbel(2)], options))
    assert 28 <= found <= 75  # Binomial(1000, 0.05) is outside once in 2,000 times.


def test_answers_for_many_texts_are_those_for_each_alone() -> None:
    # More tokens than are scored at once, variants of a text on both sides of where that ends.
    rng = np.random.default_rng(5)
    texts = [random_text(rng, int(n)) for n in rng.integers(0, 12_000, 40)]
    names = [("as-is", "second"), ("as-is",)] * 13 + [("as-is",)]
    tried = [gumbel(2), gumbel(3, width=4)]
    together = detect_ids(documents(*texts), tried, WHOLE, variants=names)
    first = 0
    for answer, of_text in zip(together, names, strict=True):
        own = documents(*texts[first : first + len(of_text)])
        assert detect_ids(own, tried, WHOLE, variants=[of_text]) == [answer]
        first += len(of_text)


def test_a_text_without_any_variant_is_refused() -> None:
    with pytest.raises(SchemeError) as refusal:
        detect_ids(documents([1, 2, 3]), [gumbel(2)], WHOLE, variants=[("as-is",), ()])
    assert refusal.value.code == "scheme-parameters"


@pytest.mark.parametrize(
    ("keys", "variants", "tokens"), [(5, 1, 60), (1, 4, 60), (3, 2, 600)], ids=str
)
def test_keys_variants_and_windows_tried_together_keep_the_promised_share(
    keys: int, variants: int, tokens: int
) -> None:
    rng = np.random.default_rng(keys * 100 + variants)
    texts = 300
    batch = documents(*(random_text(rng, tokens) for _ in range(texts * variants)))
    names = [["as-is", "visible", "letters", "punctuation"][:variants]] * texts
    options = DetectOptions(alpha=0.05, windows_from=512)
    tried = [gumbel(10 + key) for key in range(keys)]
    detections = detect_ids(batch, tried, options, variants=names)
    assert len(detections) == texts
    found = sum(d.answer is Answer.FOUND for d in detections)
    assert found <= 28  # Binomial(300, 0.05) exceeds this with probability 0.0006.
    # All those tests without a correction would have found far more.
    assert sum(d.evidence[0].ln_p <= math.log(0.05) for d in detections) > 45
    expected = keys * variants
    assert all((d.tests > expected) is (tokens >= 512) for d in detections)
    assert all(d.tests == expected for d in detections) or tokens >= 512


def test_an_unmarked_text_has_no_marked_span_more_often_than_promised() -> None:
    rng = np.random.default_rng(5)
    batch = documents(*(random_text(rng, 1500) for _ in range(200)))
    found = scan_ids(batch, [gumbel(1), gumbel(2)], DetectOptions(alpha=0.05))
    assert sum(bool(spans) for spans in found) <= 21  # Binomial(200, 0.05): 0.0006.


def test_a_repeated_passage_is_one_piece_of_evidence() -> None:
    once = written(60, seed=3).tolist()
    one, many = judged(once), judged(once * 20)
    assert many.tokens == 1200
    first, best = one.evidence[0], many.evidence[0]
    # Only the two pairs across each border are new, and they are the same every time.
    assert best.scored <= first.scored + 2
    assert best.repeated >= 1200 - 60 - 4
    assert many.answer is Answer.NOT_ENOUGH


def test_a_phrase_that_a_key_likes_swarms_until_it_is_a_commonplace() -> None:
    rng = np.random.default_rng(6)
    template = random_text(rng, 120)
    letters = [np.concatenate([random_text(rng, 40), template]) for _ in range(60)]
    # Of two thousand keys one likes the template by chance; its owner has no other.
    keys = [gumbel(seed) for seed in range(2000)]
    best = detect_ids(documents(template), keys, WHOLE)[0].evidence[0].key_id
    (lucky,) = (key for key in keys if key.key_id == best)
    strict = DetectOptions(alpha=0.01, windows_from=None)
    swarm = detect_ids(documents(*letters[30:]), [lucky], strict)
    assert sum(d.answer is Answer.FOUND for d in swarm) >= 15
    counter = PairCounter(2)
    counter.add(documents(*letters[:30]))
    common = {2: counter.common(20)}
    safe = DetectOptions(alpha=0.01, windows_from=None, common=common)
    detections = detect_ids(documents(*letters[30:]), [lucky], safe)
    assert all(d.answer is not Answer.FOUND for d in detections)
    assert all(d.evidence[0].common == 118 for d in detections)


def test_the_key_that_marked_comes_first_and_only_its_evidence_holds() -> None:
    detection = judged(written(120, seed=4, key=KEY))
    assert detection.answer is Answer.FOUND
    assert [evidence.key_id for evidence in detection.found] == [KEY.id]
    assert detection.evidence[0].key_id == KEY.id
    assert (detection.keys, detection.tests) == (4, 4)
    corrected = detection.evidence[0].ln_corrected_p - detection.evidence[0].ln_p
    assert corrected == pytest.approx(math.log(4))


def test_without_the_key_marked_text_looks_like_any_other() -> None:
    strangers = keyed_detectors(OTHERS, vocabulary=VOCABULARY)
    text = documents(written(300, seed=4, key=KEY))
    assert detect_ids(text, strangers, WHOLE)[0].answer is Answer.NOT_FOUND


def test_unmarked_text_is_not_found_from_the_tokens_needed_on_and_not_enough_before() -> None:
    tried = keyed_detectors([KEY], vocabulary=VOCABULARY)
    text = written(400, seed=8)
    needed = detect_ids(documents(text), tried, WHOLE)[0].tokens_needed
    for tokens, answer in ((needed - 1, Answer.NOT_ENOUGH), (needed, Answer.NOT_FOUND)):
        detection = detect_ids(documents(text[: tokens + 2]), tried, WHOLE)[0]
        assert detection.evidence[0].scored == tokens
        assert detection.answer is answer
        assert (detection.power >= 0.99) is (answer is Answer.NOT_FOUND)


@pytest.mark.parametrize("tokens", [0, 1, 2])
def test_a_text_without_a_pair_is_not_enough_and_has_no_p_below_one(tokens: int) -> None:
    detection = judged([5] * tokens)
    assert detection.answer is Answer.NOT_ENOUGH
    assert all(evidence.ln_p == 0 for evidence in detection.evidence)
    assert detection.power == 0


def test_no_keys_and_no_texts_give_no_answer_that_says_anything() -> None:
    detection = detect_ids(documents(written(300, seed=8)), [], WHOLE)[0]
    assert (detection.answer, detection.evidence) == (Answer.NOT_ENOUGH, ())
    assert detect_ids(documents(), [gumbel(1)], WHOLE) == []


def test_a_marked_passage_in_a_long_text_is_found_by_a_window_that_is_over_it() -> None:
    text = np.concatenate(
        [written(2000, seed=9), written(150, seed=10, key=KEY), written(1500, seed=11)]
    )
    whole, windows = judged(text), judged(text, DetectOptions())
    assert windows.answer is Answer.FOUND
    best = windows.evidence[0]
    assert best.window is not None
    assert 1900 <= best.window.start < best.window.stop <= 2250
    assert best.ln_corrected_p < whole.evidence[0].ln_corrected_p
    assert windows.tests > whole.tests == 4


def test_spans_of_two_keys_are_found_each_with_its_own() -> None:
    first, second = KEY, OTHERS[0]
    parts = [
        written(300, seed=12),
        written(200, seed=13, key=first),
        written(400, seed=14),
        written(200, seed=15, key=second),
    ]
    text = documents(np.concatenate(parts), parts[0])
    tried = keyed_detectors([first, second], vocabulary=VOCABULARY)
    spans, none = scan_ids(text, tried, DetectOptions())
    assert [span.key_id for span in spans] == [first.id, second.id]
    for span, start, stop in zip(spans, (300, 900), (500, 1100), strict=True):
        assert abs(span.span.start - start) <= 25
        assert abs(span.span.stop - stop) <= 25
        assert span.ln_corrected_p <= math.log(1e-6)
    assert none == []


def test_a_scan_of_repeats_or_of_few_tokens_has_no_power_and_one_of_many_has() -> None:
    text = written(400, seed=16)
    batch = documents(text[:33], np.tile(text[:20], 50), text)
    few, repeats, many = scan_power(batch, [gumbel(1)], DetectOptions())
    assert (few, repeats) == (0, 0)
    assert many >= 0.99


def test_how_texts_are_batched_changes_no_answer() -> None:
    texts = [written(n, seed=n, key=KEY if n % 2 else None) for n in (30, 61, 90, 600)]
    tried = keyed_detectors([KEY, *OTHERS], vocabulary=VOCABULARY)
    together = detect_ids(documents(*texts), tried, DetectOptions())
    assert together == [detect_ids(documents(t), tried, DetectOptions())[0] for t in texts]


def test_variants_must_be_as_many_as_documents() -> None:
    with pytest.raises(SchemeError) as refusal:
        detect_ids(documents([1], [2]), [gumbel(1)], WHOLE, variants=[["as-is"]])
    assert refusal.value.code == "scheme-parameters"


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_a_rate_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(SchemeError):
        DetectOptions(alpha=alpha)


def test_a_detection_refuses_to_be_true_or_false() -> None:
    with pytest.raises(TypeError, match="three answers"):
        bool(judged([1, 2, 3]))
