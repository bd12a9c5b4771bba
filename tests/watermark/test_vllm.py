"""vLLM's marks: every vector of rosetta-vllm-v1, the null of 24-bit uniforms, configurations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import countermark
from countermark.watermark.documents import Documents
from countermark.watermark.errors import MalformedDescriptorError, SchemeError
from countermark.watermark.philox import gumbel_scores
from countermark.watermark.statistics import log_gamma_tail, log_two_gamma_tail
from countermark.watermark.vllm import (
    VllmDualGumbelDetector,
    VllmGumbelDetector,
    derived_key,
    keyed_words,
)
from countermark.watermark.vllm_config import parse_config, vllm_config

VOCABULARY = 1 << 21
SPEC = Path(__file__).parents[2] / "specs/rosetta-vllm-v1"
VECTORS = {p.stem: json.loads(p.read_text()) for p in sorted((SPEC / "vectors").glob("*.json"))}
CONFIGS = [name for name in VECTORS if name.startswith("config-")]


def text(*documents: list[int]) -> Documents:
    return Documents.of(documents, vocabulary=VOCABULARY)


def every(documents: Documents, width: int) -> NDArray[np.int64]:
    """Positions of one document that have a whole context."""
    return np.arange(width, len(documents.tokens), dtype=np.int64)


def row_positions(row: dict[str, Any]) -> tuple[Documents, NDArray[np.int64], NDArray[np.int64]]:
    """Lay out a vector's pair: the padding becomes the start of a second document."""
    padding = sum(token == -1 for token in row["context"])
    documents = text([9] * padding, [*row["context"][padding:], row["token"]])
    at = np.array([len(documents.tokens) - 1], np.int64)
    return documents, at, np.array([padding], np.int64)


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 30
    assert len(CONFIGS) >= 20


@pytest.mark.parametrize(
    "name", ["philox-published", "philox-pairs", "hmac-published", "hmac-pairs"]
)
def test_words_uniforms_and_scores_are_those_of_the_vectors(name: str) -> None:
    vector = VECTORS[name]
    for row in vector["rows"]:
        documents, at, first = row_positions(row)
        width = len(row["context"])
        firsts = first if -1 in row["context"] else np.zeros(0, np.int64)
        word = keyed_words(int(row["key"]), vector["prf"], documents.tokens, at, firsts, width)
        assert word.tolist() == [row["word"]]
        detector = VllmGumbelDetector(int(row["key"]), width, vector["prf"])
        score = detector.padded_values(documents, at)
        assert score == pytest.approx([float(row["score"])], rel=1e-11)
        assert -np.log1p(-float.fromhex(row["uniform"])) == pytest.approx(score[0], rel=1e-15)
        if -1 not in row["context"]:
            assert detector.values(documents, at).tolist() == score.tolist()


def test_uniforms_at_the_ends_are_those_of_the_vectors() -> None:
    for row in VECTORS["uniforms"]["rows"]:
        score = gumbel_scores(np.array([row["word"]], np.uint32))
        assert score == pytest.approx([float(row["score"])], rel=1e-11)
        assert 0 < score[0] < 16.7


def test_both_derived_keys_and_their_mixture_are_those_of_the_vectors() -> None:
    for row in VECTORS["dual"]["rows"]:
        master = int(row["key"])
        assert derived_key(master, b"key_a") == int(row["key_a"])
        assert derived_key(master, b"key_b") == int(row["key_b"])
        detector = VllmDualGumbelDetector(master, row["alpha"], len(row["context"]))
        documents, at, _ = row_positions(row)
        assert detector.values(documents, at) == pytest.approx([float(row["score"])], rel=1e-11)


def test_padded_values_at_unrepeated_contexts_add_up_to_what_vllm_reports() -> None:
    vector = VECTORS["document"]
    # A document before it must not lend its tokens to the padded contexts.
    documents = text([3, 3, 3], vector["tokens"])
    detector = VllmGumbelDetector(int(vector["key"]), vector["width"])
    scores = detector.padded_values(documents, np.array(vector["scored"], np.int64) + 3)
    assert scores.sum() == pytest.approx(float(vector["total"]), rel=1e-11)


@pytest.mark.parametrize("prf", ["philox", "hmac_sha256"])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 9])
def test_padding_changes_nothing_where_the_context_is_whole(prf: str, width: int) -> None:
    documents = text(list(range(200)), list(range(50)))
    at = np.concatenate([np.arange(width, 200), np.arange(200 + width, 250)]).astype(np.int64)
    for detector in (VllmGumbelDetector(5, width, prf), VllmDualGumbelDetector(5, 0.3, width, prf)):
        whole, padded = detector.values(documents, at), detector.padded_values(documents, at)
        assert whole.tolist() == padded.tolist()
        before = detector.padded_values(documents, np.array([199 + width], np.int64))
        assert before[0] not in (0.0, detector.values(documents, np.array([199 + width]))[0])


def test_values_do_not_depend_on_the_order_or_number_of_positions() -> None:
    rng = np.random.default_rng(1)
    documents = text(rng.integers(0, 50_000, 300).tolist())
    detector = VllmGumbelDetector(7)
    at = rng.permutation(every(documents, 4))
    singly = [detector.values(documents, at[i : i + 1])[0] for i in range(len(at))]
    assert detector.values(documents, at).tolist() == singly
    assert detector.values(documents, at[:0]).tolist() == []


@pytest.mark.parametrize("prf", ["philox", "hmac_sha256"])
def test_one_bit_of_the_key_one_context_token_or_one_token_changes_the_value(prf: str) -> None:
    ids = [10, 11, 12, 13, 14]
    at = np.array([4], np.int64)
    base = VllmGumbelDetector(1 << 40, 4, prf).values(text(ids), at)[0]
    others = [
        VllmGumbelDetector(1 << 40 | 1 << bit, 4, prf).values(text(ids), at)[0]
        for bit in (0, 31, 32, 63)
    ]
    for place in range(5):
        changed = [token + (place == i) for i, token in enumerate(ids)]
        others.append(VllmGumbelDetector(1 << 40, 4, prf).values(text(changed), at)[0])
    assert len({base, *others}) == 10


def test_no_score_exceeds_its_exponential_by_more_than_the_null_takes_off() -> None:
    # All 2^24 uniforms there are: rosetta-vllm-v1, section 7.2.
    step = 1 << 21
    for begin in range(0, 1 << 24, step):
        mantissas = np.arange(begin, begin + step, dtype=np.uint32)
        scores = gumbel_scores(mantissas << np.uint32(8))
        assert (scores + np.log1p(mantissas / -(2.0**24))).max() <= 2.0**-24 + 1e-14


def test_p_is_that_of_a_gamma_shifted_by_the_discreteness_and_never_below() -> None:
    totals = np.array([0.0, 1.0, 250.0, 400.0, 3000.0])
    counts = np.array([1, 1, 200, 200, 2000])
    single = VllmGumbelDetector(1).log_p(totals, counts)
    plain = log_gamma_tail(totals, counts)
    assert np.all(single >= plain)
    assert single == pytest.approx(plain, abs=2e-4)
    dual = VllmDualGumbelDetector(1, 0.1).log_p(totals, counts)
    plain = log_two_gamma_tail(totals, counts, 0.9, 0.1)
    assert np.all(dual >= plain)
    assert dual == pytest.approx(plain, abs=3e-4)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_two_keys_with_all_weight_on_one_are_that_key_alone(alpha: float) -> None:
    documents = text(list(range(100)))
    at = every(documents, 4)
    key = derived_key(3, b"key_b" if alpha else b"key_a")
    single, dual = VllmGumbelDetector(key), VllmDualGumbelDetector(3, alpha)
    assert dual.values(documents, at).tolist() == single.values(documents, at).tolist()
    totals, counts = np.array([120.0]), np.array([96])
    assert dual.log_p(totals, counts).tolist() == single.log_p(totals, counts).tolist()


def test_p_over_many_keys_is_uniform_on_text_that_no_key_marked() -> None:
    rng = np.random.default_rng(2)
    documents = text(rng.integers(0, 50_000, 200).tolist())
    at = every(documents, 4)
    for make in (VllmGumbelDetector, VllmDualGumbelDetector):
        totals = np.array([make(key).values(documents, at).sum() for key in range(2000)])
        p = np.exp(make(0).log_p(totals, np.full(2000, len(at))))
        # Kolmogorov's distance at the 1e-6 level for 2,000 draws.
        distance = np.abs(np.sort(p) - (np.arange(2000) + 0.5) / 2000).max()
        assert distance < 2.69 / np.sqrt(2000)


def test_text_drawn_with_the_key_is_found_and_with_another_is_not() -> None:
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 50_000, 4).tolist()
    candidates = list(range(64))
    detector, other = VllmGumbelDetector(42), VllmGumbelDetector(43)
    for _ in range(60):  # 6 bits of entropy: the largest uniform wins.
        tried = text(*[[*ids[-4:], token] for token in candidates])
        scores = detector.values(tried, np.arange(4, 5 * 64, 5, dtype=np.int64))
        ids.append(candidates[int(np.argmax(scores))])
    documents, counts = text(ids), np.array([60])
    at = every(documents, 4)
    assert detector.log_p(detector.values(documents, at).sum(keepdims=True), counts)[0] < -100
    assert other.log_p(other.values(documents, at).sum(keepdims=True), counts)[0] > -14


@pytest.mark.parametrize("name", [n for n in CONFIGS if VECTORS[n]["expect"] == "ok"])
def test_config_vector_is_read(name: str) -> None:
    want = VECTORS[name]["want"]
    detector = parse_config(VECTORS[name]["config"])
    assert str(detector.key) == want["key"]
    assert (detector.width, detector.prf) == (want["width"], want["prf"])
    assert isinstance(detector, VllmDualGumbelDetector) == ("alpha" in want)
    assert getattr(detector, "alpha", None) == want.get("alpha")


@pytest.mark.parametrize("name", [n for n in CONFIGS if VECTORS[n]["expect"] != "ok"])
def test_config_vector_is_refused_with_its_code(name: str) -> None:
    vector = VECTORS[name]
    with pytest.raises(countermark.Error) as caught:
        parse_config(vector["config"])
    assert caught.value.code == vector["expect"], vector["why"]


@pytest.mark.parametrize("alpha", [None, 0.0, 0.25, 1.0])
def test_a_written_config_is_read_back_as_the_same_detector(alpha: float | None) -> None:
    config = json.loads(json.dumps(vllm_config(2**64 - 1, width=3, alpha=alpha)))
    expected = (
        VllmGumbelDetector(2**64 - 1, 3)
        if alpha is None
        else VllmDualGumbelDetector(2**64 - 1, alpha, 3)
    )
    assert parse_config(config) == expected


def test_a_config_is_not_written_for_a_key_that_vllm_would_refuse() -> None:
    assert vllm_config(2**256 - 1, prf="hmac_sha256")["prf"] == "hmac_sha256"
    for key, prf, alpha in (
        (2**64, "philox", None),
        (2**256, "hmac_sha256", None),
        (2**64, "hmac_sha256", 0.1),
    ):
        with pytest.raises(SchemeError) as caught:
            vllm_config(key, prf=prf, alpha=alpha)
        assert caught.value.code == "scheme-parameters"


@pytest.mark.parametrize("width", [0, 65, -1])
def test_a_width_outside_the_limits_is_refused(width: int) -> None:
    assert VllmGumbelDetector(1, 1).width == 1
    assert VllmDualGumbelDetector(1, 0.1, 64).width == 64
    with pytest.raises(SchemeError):
        VllmGumbelDetector(1, width)
    with pytest.raises(SchemeError):
        VllmDualGumbelDetector(1, 0.1, width)


def test_a_key_is_in_no_text_that_a_detector_or_an_error_gives_of_itself() -> None:
    secret = 1234567890123456789
    assert str(secret) not in repr(VllmGumbelDetector(secret))
    assert str(secret) not in repr(VllmDualGumbelDetector(secret))
    with pytest.raises(SchemeError) as caught:
        VllmGumbelDetector(secret * 10**6)
    assert str(secret) not in str(caught.value)


def test_scheme_names_follow_the_keyed_function() -> None:
    assert VllmGumbelDetector(1).scheme == "vllm-gumbel-philox-v1"
    assert VllmGumbelDetector(1, prf="hmac_sha256").scheme == "vllm-gumbel-hmac-v1"
    assert VllmDualGumbelDetector(1).scheme == "vllm-gumbel-dual-v1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    "key algorithm alpha context_width prf deduplicate_contexts deduplicate_contexts_max_history "
    "allow_target_only_watermarking sbw_gamma".split()
)


@given(JSON | st.dictionaries(FIELDS, JSON | st.just("gumbel")))
def test_any_json_gives_a_detector_or_our_own_error(document: object) -> None:
    try:
        assert parse_config(document).width >= 1
    except (MalformedDescriptorError, SchemeError):
        pass
