"""transformers marks and detects; we must say the same of every token, and it of every green id."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.errors import MalformedDescriptorError
from countermark.watermark.kgw import KgwDetector
from countermark.watermark.kgw_config import from_transformers_config

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

VECTORS = Path(__file__).parents[2] / "specs/rosetta-kgw-v1/vectors"
GREEN = sorted(VECTORS.glob("green-*.json"))
LM_WATERMARKING_SEED = 2971215073


class Case(NamedTuple):
    vocabulary: int
    scheme: str
    window: int
    key: int
    ratio: float

    @property
    def config(self) -> Any:  # noqa: ANN401
        return transformers.WatermarkingConfig(
            greenlist_ratio=self.ratio,
            bias=100.0,  # So that greedy choice takes a green id whenever it can.
            hashing_key=self.key,
            seeding_scheme=self.scheme,
            context_width=self.window,
        )

    @property
    def processor(self) -> Any:  # noqa: ANN401
        return self.config.construct_processor(self.vocabulary, "cpu")

    @property
    def ours(self) -> KgwDetector:
        data = self.config.to_json_string().encode()
        return from_transformers_config(data, vocabulary=self.vocabulary)

    @property
    def unscored(self) -> int:
        """How many tokens transformers' detector leaves out at the start."""
        return self.window - (self.scheme == "selfhash")


LEFT = [
    Case(vocabulary, "lefthash", window, key, ratio)
    for vocabulary in (1000, 49_152, 128_256)
    for window, key, ratio in ((1, 15485863, 0.25), (4, 987654321987, 0.5))
] + [Case(32_000, "lefthash", 1, -7, 0.1), Case(151_936, "lefthash", 2, (1 << 63) - 1, 0.9)]
SELF = [
    Case(vocabulary, "selfhash", window, key, ratio)
    for vocabulary in (1000, 49_152, 128_256)
    for window, key, ratio in ((1, 15485863, 0.25), (4, 15485863, 0.25))
] + [Case(32_000, "selfhash", 2, -7, 0.1), Case(50_257, "selfhash", 5, (1 << 62) + 1, 0.5)]


def name(case: Case) -> str:
    return f"{case.scheme}-{case.window}-of-{case.vocabulary}-key-{case.key}"


def scores(case: Case, seed: int) -> Any:  # noqa: ANN401
    return torch.randn((1, case.vocabulary), generator=torch.Generator().manual_seed(seed))


def generated(case: Case, count: int) -> list[int]:
    """Let transformers' processor mark random scores, and take the best id each time."""
    processor = case.processor
    tokens = [5, 17, 999, 3, 8]
    for step in range(count):
        marked = processor(torch.tensor([tokens]), scores(case, step))
        tokens.append(int(marked[0].argmax()))
    return tokens


def verdict(case: Case, tokens: list[int], *, once: bool) -> Any:  # noqa: ANN401
    model = transformers.PreTrainedConfig(bos_token_id=-1, is_encoder_decoder=False)
    model.vocab_size = case.vocabulary
    detector = transformers.WatermarkDetector(
        model, "cpu", case.config, ignore_repeated_ngrams=once
    )
    return detector(torch.tensor([tokens]), return_dict=True)


def values(scheme: KgwDetector, tokens: list[int], positions: list[int]) -> NDArray[np.float64]:
    documents = Documents.of([tokens], vocabulary=scheme.vocabulary)
    return scheme.values(documents, np.array(positions, np.int64))


def ours_after(case: Case, context: list[int], candidates: list[int]) -> list[bool]:
    """Say of each candidate after one context whether it is green."""
    texts = np.empty((len(candidates), len(context) + 1), np.uint32)
    texts[:, :-1] = context
    texts[:, -1] = candidates
    starts = np.arange(len(texts) + 1, dtype=np.int64) * texts.shape[1]
    documents = Documents(texts.reshape(-1), starts)
    return [bool(flag) for flag in case.ours.values(documents, starts[1:] - 1)]


@pytest.mark.parametrize("case", LEFT + SELF, ids=name)
def test_transformers_counts_and_z_scores_of_its_own_text_are_ours(case: Case) -> None:
    marked = generated(case, 60 if case.scheme == "lefthash" else 12)
    plain = np.random.default_rng(case.window).integers(0, case.vocabulary, 60).tolist()
    repeated = plain[:10] * 3
    scheme = case.ours
    for tokens in (marked, plain, repeated):
        for once in (False, True):
            positions = list(range(case.unscored, len(tokens)))
            if once:
                seen = {tuple(tokens[i - case.unscored : i + 1]): i for i in reversed(positions)}
                positions = sorted(seen.values())
            green = values(scheme, tokens, positions).sum()
            z = (green - case.ratio * len(positions)) / np.sqrt(
                len(positions) * case.ratio * (1 - case.ratio)
            )
            theirs = verdict(case, tokens, once=once)
            assert theirs.num_tokens_scored.tolist() == [len(positions)]
            assert theirs.num_green_tokens.tolist() == [green]
            assert theirs.z_score.tolist() == [z]
    assert values(scheme, marked, list(range(5, len(marked)))).mean() > 0.8


@pytest.mark.parametrize("case", LEFT, ids=name)
def test_transformers_green_list_is_every_id_that_we_call_green(case: Case) -> None:
    processor = case.processor
    for token in (0, 1, 31, 998, case.vocabulary - 1):
        context = [3] * (case.window - 1) + [token]
        green = set(processor._get_greenlist_ids(torch.tensor(context)).tolist())
        ours = ours_after(case, context, list(range(case.vocabulary)))
        assert {i for i, flag in enumerate(ours) if flag} == green


@pytest.mark.parametrize("case", SELF, ids=name)
def test_transformers_puts_a_candidate_on_its_own_list_where_we_call_it_green(case: Case) -> None:
    processor = case.processor
    context = [12, 999, 0, 7]
    candidates = [*range(30), *range(case.vocabulary - 30, case.vocabulary)]
    theirs = [
        candidate in processor._get_greenlist_ids(torch.tensor([*context, candidate])).tolist()
        for candidate in candidates
    ]
    assert ours_after(case, context, candidates) == theirs
    assert 0 < sum(theirs) < len(theirs)


@pytest.mark.parametrize("case", LEFT + SELF, ids=name)
def test_transformers_raises_the_score_of_the_ids_that_we_call_green(case: Case) -> None:
    context, before = [4, 998, 2, 6, 11], scores(case, 3)
    after = case.processor(torch.tensor([context]), before)
    raised = set(torch.nonzero(after[0] != before[0]).flatten().tolist())
    # With self-hash only the 40 best candidates are tried.
    tried = list(range(case.vocabulary))
    if case.scheme == "selfhash":
        tried = before[0].sort(descending=True).indices[:40].tolist()
    ours = ours_after(case, context, tried)
    assert {candidate for candidate, flag in zip(tried, ours, strict=True) if flag} == raised


@pytest.mark.parametrize("path", GREEN, ids=lambda p: p.stem)
def test_every_vector_is_what_transformers_says(path: Path) -> None:
    vector = json.loads(path.read_text())
    hashing = "selfhash" if vector["scheme"].endswith("selfhash") else "lefthash"
    window, ratio = vector["context_width"], vector["ratio"]
    case = Case(vector["vocabulary"], hashing, window, vector["key"], ratio)
    processor = case.processor
    if vector["scheme"] == "lm-watermarking-selfhash":
        # The projects differ in one thing, the seed of this table.
        generator = torch.Generator().manual_seed(LM_WATERMARKING_SEED)
        processor.fixed_table = torch.randperm(1_000_003, generator=generator)
    tokens, flags = vector["tokens"], ""
    for end in range(vector["width"], len(tokens)):
        prefix = tokens[: end + 1] if hashing == "selfhash" else tokens[:end]
        flags += "01"[tokens[end] in processor._get_greenlist_ids(torch.tensor(prefix)).tolist()]
        assert processor.rng.initial_seed() & 0xFFFFFFFF == vector["seeds_low"][len(flags) - 1]
    assert flags == vector["green"]


def test_transformers_configuration_of_another_scheme_is_refused() -> None:
    synthid = transformers.SynthIDTextWatermarkingConfig(ngram_len=5, keys=[654, 400])
    with pytest.raises(MalformedDescriptorError):
        from_transformers_config(synthid.to_json_string().encode(), vocabulary=1000)
