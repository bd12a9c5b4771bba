"""SynthID-Text in transformers itself: what it computes and generates, and what we say of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.synthid import SynthIdDetector, parse_synthid_config, sampling_table

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

VECTORS = sorted((Path(__file__).parents[2] / "specs/rosetta-synthid-v1/vectors").glob("*.json"))
Tokens = NDArray[np.int64]


def config(seed: int, layers: int, **more: int) -> Any:  # noqa: ANN401 - the peer has no types
    keys = np.random.default_rng(seed).integers(-(1 << 63), (1 << 63) - 1, layers).tolist()
    return transformers.SynthIDTextWatermarkingConfig(keys=keys, **more)


def ours(peer: Any) -> SynthIdDetector:  # noqa: ANN401
    return parse_synthid_config(peer.to_json_string().encode())


def processor(peer: Any, vocabulary: int) -> Any:  # noqa: ANN401
    return peer.construct_processor(vocabulary, "cpu")


def whole(detector: SynthIdDetector, documents: Documents) -> Tokens:
    spans = zip(documents.starts[:-1], documents.starts[1:], strict=True)
    return np.concatenate([np.arange(a + detector.width, b) for a, b in spans])


def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 25


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_transformers_says_what_the_vectors_say(path: Path) -> None:
    vector = json.loads(path.read_text())
    if vector["expect"] != "ok":
        return  # What we refuse is our own rule.
    peer = transformers.SynthIDTextWatermarkingConfig(**json.loads(vector["config"]))
    for at, tokens in enumerate(vector["documents"]):
        ids = torch.tensor([tokens])
        made = processor(peer, 1 << 18)
        g = made.compute_g_values(ids)[0]
        assert ["".join(map(str, row)) for row in g.tolist()] == vector["g_values"][at]
        mask = made.compute_context_repetition_mask(ids)[0].int()
        mask = mask * made.compute_eos_token_mask(ids, vector["eos_token_id"])[0, -len(mask) :]
        assert "".join(map(str, mask.tolist())) == vector["mask"][at]


@pytest.mark.parametrize("seed", [0, 1, 42, (1 << 32) + 5, -3, (1 << 63) - 1, (1 << 64) - 1])
@pytest.mark.parametrize("size", [4096, 50_001])
def test_our_table_is_the_one_that_torch_draws(seed: int, size: int) -> None:
    drawn = torch.randint(0, 2, (size,), generator=torch.Generator().manual_seed(seed))
    assert np.array_equal(sampling_table(seed, size), drawn.numpy())


SHAPES = [
    (50_257, 30, {"ngram_len": 5}),
    (128_256, 30, {"ngram_len": 5, "sampling_table_seed": 7, "context_history_size": 64}),
    (151_936, 10, {"ngram_len": 3, "sampling_table_seed": -5, "context_history_size": 16}),
    (262_144, 1, {"ngram_len": 2, "sampling_table_size": 4096}),
    (300, 64, {"ngram_len": 4, "sampling_table_size": 50_000, "context_history_size": 5}),
    (1_000_000, 17, {"ngram_len": 9, "sampling_table_size": 1 << 20}),
]


@pytest.mark.parametrize(("vocabulary", "layers", "more"), SHAPES)
def test_g_values_masks_and_scores_are_those_of_transformers(
    vocabulary: int, layers: int, more: dict[str, int]
) -> None:
    rng = np.random.default_rng(vocabulary)
    peer = config(layers, layers, **more)
    ids = rng.integers(0, vocabulary, (5, 400))
    ids[1] = rng.integers(0, 3, 400)
    ids[2] = np.tile(ids[2, :40], 10)
    end = int(ids[0, 250])
    made, tensor = processor(peer, vocabulary), torch.tensor(ids)
    g = made.compute_g_values(tensor).numpy()
    fresh = made.compute_context_repetition_mask(tensor).numpy()
    before = made.compute_eos_token_mask(tensor, end).numpy()[:, -fresh.shape[1] :]
    detector = ours(peer)
    documents = Documents.of(list(ids), vocabulary=vocabulary)
    positions = whole(detector, documents)
    assert np.array_equal(detector.g_values(documents, positions), g.reshape(-1, layers))
    assert np.array_equal(detector.peer_mask(documents)[positions], fresh.reshape(-1))
    assert np.array_equal(
        detector.peer_mask(documents, end)[positions], (fresh * before).reshape(-1) == 1
    )
    compare(detector, documents, g, fresh)


def compare(
    detector: SynthIdDetector, documents: Documents, g: Tokens, mask: NDArray[np.bool_]
) -> None:
    """The means as synthid-text's detector_mean defines them, from the peer's own g-values."""
    layers = g.shape[2]
    weights = np.linspace(10, 1, layers)
    weights *= layers / weights.sum()
    scores = detector.peer_scores(documents)
    for score, w in ((scores.mean, np.ones(layers)), (scores.weighted_mean, weights)):
        theirs = (g * w * mask[:, :, None]).sum((1, 2)) / (layers * mask.sum(1))
        assert np.abs(score - theirs).max() <= 5e-16


@pytest.mark.parametrize(
    ("vocabulary", "layers", "ngram_len"), [(500, 30, 5), (70_000, 30, 5), (70_000, 9, 3)]
)
def test_text_that_transformers_generates_is_found_by_its_key_and_no_other(
    vocabulary: int, layers: int, ngram_len: int
) -> None:
    peer = config(vocabulary + ngram_len, layers, ngram_len=ngram_len)
    tokens = generate(processor(peer, vocabulary), vocabulary, 40)
    documents = Documents.of([tokens], vocabulary=vocabulary)
    detector = ours(peer)
    right = p_value(detector, documents)
    assert right < -30
    wrong = ours(config(1, layers, ngram_len=ngram_len))
    assert p_value(wrong, documents) > -8
    swapped = tokens.copy()
    swapped[::3] = (swapped[::3] + 1) % vocabulary  # Leaves no n-gram of three or more whole.
    other = Documents.of([swapped], vocabulary=vocabulary)
    assert p_value(detector, other) > -8


def generate(made: Any, vocabulary: int, count: int) -> Tokens:  # noqa: ANN401
    """Sample as `generate` does: random logits of a few bits, the processor, multinomial."""
    torch.manual_seed(3)
    ids = torch.zeros((1, 1), dtype=torch.long)
    for _ in range(count):
        logits = torch.full((1, vocabulary), -30.0)
        at = torch.randperm(vocabulary)[:100]
        logits[0, at] = torch.randn(100)
        shares = torch.softmax(made(ids, logits), dim=-1)
        ids = torch.cat([ids, torch.multinomial(shares, 1)], dim=1)
    return np.asarray(ids[0, 1:].numpy(), np.int64)


def p_value(detector: SynthIdDetector, documents: Documents) -> float:
    """Return ln p over the n-grams of distinct state."""
    positions = whole(detector, documents)
    first = np.unique(detector.identities(documents, positions), return_index=True)[1]
    total = detector.values(documents, positions[first]).sum()
    return float(detector.log_p(np.array([total]), np.array([len(first)]))[0])


def test_transformers_reads_back_the_configuration_we_read() -> None:
    peer = config(2, 30, ngram_len=5, sampling_table_seed=9)
    detector = ours(peer)
    assert list(detector.keys) == peer.keys
    assert (detector.ngram_len, detector.sampling_table_seed) == (5, 9)
    assert detector.sampling_table_size == peer.sampling_table_size
    assert detector.context_history_size == peer.context_history_size
