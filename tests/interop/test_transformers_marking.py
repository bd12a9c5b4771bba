"""Marking through `generate` of transformers itself, with a small model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from countermark.watermark.detector import Detector
from countermark.watermark.documents import Documents
from countermark.watermark.green_list import GreenListDetector, GreenListSampler
from countermark.watermark.gumbel import GumbelDetector, GumbelSampler
from countermark.watermark.sampling import Marker, Sampler
from countermark.watermark.tournament import TournamentDetector, TournamentSampler
from countermark.watermark.units import find_units
from support.command import run

torch = pytest.importorskip("torch", reason="the peer, torch, is not installed")
transformers = pytest.importorskip("transformers", reason="the peer is not installed")

KEY, OTHER = bytes(range(16)), bytes(16)
VOCABULARY = 500
PROMPTS = [[1, 2, 3, 4], [9, 8, 7, 6], [1, 2, 3, 4]]


@pytest.fixture(scope="module")
def model() -> object:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        eos_token_id=None,
        pad_token_id=0,
    )
    return transformers.LlamaForCausalLM(config).eval()


def write(model: object, sampler: Sampler | None, seed: int, **options: object) -> list[list[int]]:
    from countermark.watermark.huggingface import KeyedWatermark

    torch.manual_seed(seed)
    mark = {} if sampler is None else {"watermarking_config": KeyedWatermark(sampler, key_id="k")}
    prompts = torch.tensor(PROMPTS)
    written = model.generate(  # type: ignore[attr-defined]
        prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=True,
        max_new_tokens=80,
        **mark,
        **options,
    )
    texts: list[list[int]] = written[:, prompts.shape[1] :].tolist()
    return texts


def ln_p(detector: Detector, text: list[int]) -> float:
    documents = Documents.of([text], vocabulary=VOCABULARY)
    units = find_units(documents, detector.width)
    values = detector.values(documents, units.positions)
    return float(detector.log_p(np.array([values.sum()]), np.array([len(values)]))[0])


@pytest.mark.parametrize(
    ("sampler", "right", "wrong"),
    [
        (GumbelSampler(KEY), GumbelDetector(KEY), GumbelDetector(OTHER)),
        (TournamentSampler(KEY), TournamentDetector(KEY), TournamentDetector(OTHER)),
        (GreenListSampler(KEY, delta=4.0), GreenListDetector(KEY), GreenListDetector(OTHER)),
    ],
    ids=["gumbel", "tournament", "green-list"],
)
def test_text_written_by_generate_is_found_with_its_key_only(
    model: object, sampler: Sampler, right: Detector, wrong: Detector
) -> None:
    for text in write(model, sampler, seed=1, temperature=0.9, top_k=200):
        assert ln_p(right, text) < np.log(1e-9)
        assert ln_p(wrong, text) > np.log(1e-4)
    for text in write(model, None, seed=1):
        assert ln_p(right, text) > np.log(1e-4)


def test_tokens_are_those_that_the_numpy_rule_draws_from_the_same_logits(model: object) -> None:
    text = write(model, GumbelSampler(KEY), seed=3, top_k=0)[0]
    ids = [*PROMPTS[0], *text]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].numpy()  # type: ignore[operator]
    marker = Marker(GumbelSampler(KEY))
    wanted = [marker(logits[at - 1], ids[:at]) for at in range(4, len(ids))]
    same = sum(a == b for a, b in zip(text, wanted, strict=True))
    assert marker.marked >= 75
    assert same >= marker.marked  # Whatever was not marked was drawn by chance.


def test_equal_prompts_give_equal_marked_text_and_equal_seeds_equal_runs(model: object) -> None:
    first = write(model, GumbelSampler(KEY), seed=5)
    assert first == write(model, GumbelSampler(KEY), seed=5)
    assert first[0][:20] == first[2][:20]


def test_only_what_the_warpers_leave_is_ever_drawn(model: object) -> None:
    one = write(model, GumbelSampler(KEY), seed=1, top_k=1)
    assert one == write(model, None, seed=2, top_k=1)


def test_key_is_in_nothing_that_transformers_prints_or_saves(tmp_path: Path) -> None:
    from countermark.watermark.huggingface import KeyedWatermark

    config = transformers.GenerationConfig(
        do_sample=True, watermarking_config=KeyedWatermark(GumbelSampler(KEY), key_id="cafe")
    )
    config.watermarking_config.to_json_file(tmp_path / "mark.json")
    said = (tmp_path / "mark.json").read_text() + repr(config.watermarking_config)
    said += str(dict(config.watermarking_config))
    assert "cafe" in said
    for secret in (KEY.hex(), repr(KEY), str(list(KEY))):
        assert secret not in said


def test_generate_verb_writes_what_detect_finds(
    model: object, tmp_path: Path, tokenizer_file: Path
) -> None:
    folder = tmp_path / "model"
    model.save_pretrained(folder)  # type: ignore[attr-defined]
    transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file)).save_pretrained(folder)
    keygen = run("watermark", "keygen", "--ring", "ring.json", "--tokenizer", "model", cwd=tmp_path)
    assert keygen.code == 0, keygen.err
    words = ["watermark", "generate", "--model", "model", "--keys", "ring.json", "--prompt", "a b"]
    written = run(*words, "--max-new-tokens", "150", "--json", cwd=tmp_path)
    assert written.code == 0, written.err
    ids = json.loads(written.out)["ids"]
    (tmp_path / "ids.jsonl").write_text(json.dumps(ids))
    found = run(
        "watermark", "detect", "ids.jsonl", "--ids", "--vocabulary", str(VOCABULARY),
        "--keys", "ring.json", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert (found.code, json.loads(found.out)["verdict"]) == (0, "mark-found")


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    """Return a tokenizer of 500 made-up words."""
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {f"w{i}": i for i in range(VOCABULARY)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="w0"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    backend.save(str(path))
    return path
