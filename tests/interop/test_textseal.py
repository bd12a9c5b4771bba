"""TextSeal 0.0.5 itself, run beside our detectors.

Its package imports text metrics and sentence embeddings before it gets to its hash, and neither
has a part in detection. Only those `__init__` files are passed over: the modules that hash,
score and compute p-values run as they were released.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.textseal import (
    TextSealGreenListDetector,
    TextSealGumbelDetector,
    TextSealSynthidDetector,
)
from countermark.watermark.textseal_kernels import hashes

torch = pytest.importorskip("torch", reason="TextSeal is written in torch")
pytest.importorskip("transformers", reason="TextSeal's detector imports it for its types")
FOUND = importlib.util.find_spec("textseal")
if FOUND is None or not FOUND.submodule_search_locations:
    pytest.skip("needs textseal==0.0.5, installed --no-deps", allow_module_level=True)

HOME = Path(next(iter(FOUND.submodule_search_locations)))
VECTORS = Path(__file__).parents[2] / "specs/rosetta-textseal-v1/vectors"
VOCABULARY = 128_256
KEYS = [0, 42, 2**31, 2**63 - 1, 4_611_686_018_427_387_847]


class PeerDetector(Protocol):
    """What is asked of TextSeal's detectors."""

    def get_scores_by_t(self, texts: list[str]) -> list[list[float]]: ...

    def get_pvalue(self, score: float, ntoks: int, eps: float) -> float: ...


@dataclass(frozen=True)
class Peer:
    core: ModuleType
    hashing: ModuleType
    detector: ModuleType


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    before = {name for name in sys.modules if name.split(".")[0] == "textseal"}
    for name in ("textseal", "textseal.common", "textseal.posthoc"):
        package = ModuleType(name)
        package.__path__ = [str(HOME.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    yield Peer(
        importlib.import_module("textseal.common.watermark.core"),
        importlib.import_module("textseal.common.watermark.pseudorandom"),
        importlib.import_module("textseal.posthoc.detector"),
    )
    for name in list(sys.modules):
        if name.split(".")[0] == "textseal" and name not in before:
            del sys.modules[name]


class Ids:
    """The little of a tokenizer that TextSeal's detector asks for: text is ids with spaces."""

    vocab_size = VOCABULARY

    def add_special_tokens(self) -> None:
        """Tell TextSeal which kind of tokenizer this is: it looks for the name only."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return [int(word) for word in text.split()]


def peer_scores(peer: Peer, ids: list[int], **settings: object) -> list[float]:
    """Scores that TextSeal's detector gives the tokens of a text, from place ngram + 1 on."""
    return peer_detector(peer, **settings).get_scores_by_t([" ".join(map(str, ids))])[0]


def peer_detector(peer: Peer, **settings: object) -> PeerDetector:
    built: PeerDetector = peer.detector.build_detector(Ids(), peer.core.WatermarkConfig(**settings))
    return built


def sample(width: int, count: int, high: int = VOCABULARY) -> NDArray[np.uint32]:
    return np.random.default_rng(width).integers(0, high, count + width).astype(np.uint32)


def whole(ids: NDArray[np.uint32], width: int) -> tuple[Documents, NDArray[np.int64]]:
    documents = Documents.of([ids], vocabulary=1 << 21)
    return documents, np.arange(width, len(ids), dtype=np.int64)


def test_the_peer_is_the_release_that_the_specification_is_about() -> None:
    assert importlib.metadata.version("textseal") == "0.0.5"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("width", range(1, 11))
def test_hashes_equal_textseal_s(peer: Peer, width: int, key: int) -> None:
    ids = sample(width, 5000, 1 << 21)
    rows = np.lib.stride_tricks.sliding_window_view(ids.astype(np.int64), width + 1)
    contexts, targets = (torch.from_numpy(part.copy()) for part in (rows[:, :-1], rows[:, -1]))
    theirs = peer.hashing.prf_uniform(contexts, targets, key).numpy()
    documents, at = whole(ids, width)
    ours = hashes(documents.tokens, at, width, key)
    assert np.array_equal(ours.astype(np.float32) / np.float32(8191), theirs)


def test_hash_vectors_are_textseal_s(peer: Peer) -> None:
    for row in json.loads((VECTORS / "hashes.json").read_text())["rows"]:
        value = peer.hashing.prf_uniform(
            torch.tensor([row["context"]]), torch.tensor([row["token"]]), int(row["key"])
        )
        assert round(value.item() * 8191) == row["hash"]


def test_green_vectors_are_textseal_s(peer: Peer) -> None:
    # Contexts [0] and key 0 leave the token alone to be hashed; 60,000 tokens hit every output.
    tokens = torch.arange(60_000)
    zeros = torch.zeros((60_000, 1), dtype=torch.long)
    drawn = torch.round(peer.hashing.prf_uniform(zeros, tokens, 0) * 8191)
    for row in json.loads((VECTORS / "greens.json").read_text())["rows"]:
        green = peer.hashing.prf_binary(zeros, tokens, 0, gamma=row["gamma"]).bool()
        assert int(drawn[green].max()) == row["green"] - 1
        assert int(drawn[~green].min()) == row["green"]


@pytest.mark.parametrize("width", [1, 2, 4])
def test_gumbel_scores_equal_textseal_s_up_to_its_float32(peer: Peer, width: int) -> None:
    ids = sample(width, 600)
    theirs = np.array(
        peer_scores(peer, ids.tolist(), watermark_type="gumbelmax", ngram=width, secret_key=42)
    )
    documents, at = whole(ids, width)
    ours = TextSealGumbelDetector(42, width).values(documents, at)
    # TextSeal leaves out the first token that has a whole context.
    assert len(theirs) == len(ours) - 1
    np.testing.assert_allclose(theirs, ours[1:], rtol=0, atol=3e-4)


@pytest.mark.parametrize("kind", ["greenlist", "dipmark", "morphmark", "watermax"])
@pytest.mark.parametrize("gamma", [0.1, 0.25, 0.5, 0.7])
def test_green_tokens_are_textseal_s(peer: Peer, kind: str, gamma: float) -> None:
    ids = sample(2, 400)
    theirs = peer_scores(
        peer, ids.tolist(), watermark_type=kind, ngram=2, secret_key=42, gamma=gamma
    )
    documents, at = whole(ids, 2)
    ours = TextSealGreenListDetector(42, gamma, 2).values(documents, at)
    assert theirs == ours[1:].tolist()


@pytest.mark.parametrize("depth", [1, 2, 30])
def test_layers_are_textseal_s(peer: Peer, depth: int) -> None:
    ids = sample(1, 300)
    documents, at = whole(ids, 1)
    for kind, weighted in (("synthid", False), ("synthid-weighted", True)):
        theirs = peer_scores(
            peer, ids.tolist(), watermark_type=kind, ngram=1, secret_key=42, depth=depth
        )
        detector = TextSealSynthidDetector(42, depth, 0.5, weighted)
        # One at a time, so that no token shares layers with another.
        ours = np.array([detector.values(documents, at[i : i + 1])[0] for i in range(len(at))])
        scale = depth / sum(detector.weights)
        np.testing.assert_allclose(theirs, ours[1:] * scale, rtol=2e-6, atol=0)


def test_p_values_differ_from_textseal_s_as_the_specification_says(peer: Peer) -> None:
    count, total = 200, 128
    theirs = peer_detector(peer, watermark_type="greenlist").get_pvalue(total, count, 0.0)
    detector = TextSealGreenListDetector(42, 0.5)
    ours = np.exp(detector.log_p(np.array([float(total)]), np.array([count])))[0]
    # Mid-p leaves out half of the observed count, and 0.5 is less than 4,096 of 8,191.
    assert 1.1 < ours / theirs < 1.6
    score = np.array([260.0])
    gumbel = peer_detector(peer, watermark_type="gumbelmax").get_pvalue(260.0, count, 0.0)
    assert np.exp(TextSealGumbelDetector(42).log_p(score, np.array([count])))[0] == pytest.approx(
        gumbel, rel=1e-8
    )


@pytest.mark.parametrize(
    ("method", "detector"),
    [("uniform", TextSealGumbelDetector(42)), ("binary", TextSealGreenListDetector(42, 0.25))],
)
def test_text_that_textseal_s_scores_choose_is_found_and_with_another_key_is_not(
    peer: Peer, method: str, detector: TextSealGumbelDetector | TextSealGreenListDetector
) -> None:
    settings = peer.core.WatermarkConfig(secret_key=42, method=method, gamma=0.25)
    rng = np.random.default_rng(5)
    ids = [17]
    for _ in range(150):
        candidates = rng.choice(50_000, 32, replace=False)
        scores = peer.core.score_listed_tokens(
            torch.tensor([ids[-1:]]), settings, torch.from_numpy(candidates)
        )
        ids.append(int(candidates[int(scores[0].argmax())]))
    documents, at = whole(np.array(ids, np.uint32), 1)
    counts = np.array([len(at)])
    found = detector.log_p(detector.values(documents, at).sum(keepdims=True), counts)[0]
    other = dataclasses.replace(detector, key=43)
    missed = other.log_p(other.values(documents, at).sum(keepdims=True), counts)[0]
    assert found < -100
    assert missed > -14
