"""The watermark benchmarks run, small, and say what they did. No test here looks at a time."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy", reason="the extra `watermark` is not installed")
pytest.importorskip("tokenizers", reason="the extra `watermark` is not installed")

import numpy as np
import watermark_power
import watermark_speed

from countermark.watermark.documents import Documents
from countermark.watermark.gumbel import GumbelDetector
from countermark.watermark.vllm import VllmGumbelDetector

SPEED = [watermark_speed.Bar("ours", 10.0), watermark_speed.Bar("ours", 4.0, "peer")]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two documents of prose and one technical one, of random ids."""
    rng = np.random.default_rng(1)
    lengths = np.array([70_000, 1_000, 900])
    np.savez(
        tmp_path / "ids.npz",
        tokens=rng.integers(0, 49_152, lengths.sum()).astype(np.uint32),
        starts=np.concatenate(([0], np.cumsum(lengths))),
        category=np.array([0, 0, 1], np.uint8),
    )
    return tmp_path


def figures(**seconds: float) -> watermark_speed.Figures:
    return watermark_speed.Figures(
        seconds={name: [s] for name, s in seconds.items()}, work=dict.fromkeys(seconds, 20)
    )


def test_a_bar_is_met_at_its_limit_and_missed_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark_speed, "BARS", tuple(SPEED))
    for ours, words in ((2.0, ["met", "met"]), (2.1, ["missed", "missed"])):
        judged = watermark_speed.verdicts(figures(ours=ours, peer=8.0))
        assert [watermark_speed.line(*one).split()[-1] for one in judged] == words


def test_a_bar_without_its_peer_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark_speed, "BARS", tuple(SPEED))
    lines = [watermark_speed.line(*one) for one in watermark_speed.verdicts(figures(ours=1.0))]
    assert lines[0].endswith(" met")
    assert lines[1].endswith("not measured")


def test_a_peer_that_is_not_installed_is_left_out_with_the_reason() -> None:
    def tasks() -> "object":
        yield watermark_speed.Task("ours", str, 1)
        raise ImportError("No module named 'torch'")

    found = watermark_speed.Figures()
    watermark_speed.measure(tasks(), 2, found, "steps")  # type: ignore[arg-type]
    assert list(found.seconds) == ["ours"]
    assert len(found.seconds["ours"]) == 2
    assert found.left_out == ["steps: No module named 'torch'"]


def test_the_stand_in_for_vllm_scores_what_our_detector_does() -> None:
    torch = pytest.importorskip("torch", reason="the stand-in for vLLM is torch")
    ids = np.random.default_rng(2).integers(0, 49_152, 60)
    documents = Documents.of([ids], vocabulary=49_152)
    ours = VllmGumbelDetector(watermark_speed.VLLM_KEY)
    want = ours.padded_values(documents, np.arange(60)).sum()
    got = watermark_speed.vllm_score(torch, watermark_speed.VLLM_KEY, ids.tolist(), 4)
    assert got == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(("total", "count"), [(1.0, 1), (30.0, 20), (9.0, 20)])
def test_its_p_value_is_the_gamma_tail(total: float, count: int) -> None:
    want = GumbelDetector(bytes(16)).log_p(np.array([total]), np.array([count]))[0]
    got = watermark_speed._poisson_sum(total, count)
    assert np.log(got) == pytest.approx(want, rel=1e-9)


def test_the_speed_benchmark_without_peers_prints_its_tables_and_does_not_pass(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watermark_speed, "KEYS", 3)
    small = ["--rounds", "1", "--passages", "2", "--no-tables", "--no-peers"]
    report = corpus / "out.json"
    monkeypatch.setattr(sys, "argv", ["speed", str(corpus), *small, "--json", str(report)])
    assert watermark_speed.main() == 1  # Bars without a peer are not met.
    out = capsys.readouterr().out
    assert "left out: text in: no --tokenizer" in out
    assert out.count("not measured") == sum(
        bar.peer is not None or bar.subject.startswith(("text", "step"))
        for bar in watermark_speed.BARS
    )
    assert watermark_speed.GUMBEL in json.loads(report.read_text())["seconds"]


def test_texts_of_the_tape_are_the_same_in_every_run_and_are_found() -> None:
    first, again = (watermark_power.of_tape("gumbel", 5.0, 2, 60) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.texts, again.texts, strict=True))
    assert watermark_power.share(watermark_power.ln_p(first, first.texts)) == 1.0


def test_the_power_benchmark_prints_each_table(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["power", "--texts", "2", "--schemes", "gumbel", "--corpus", str(corpus)]
    monkeypatch.setattr(sys, "argv", arguments)
    watermark_power.main()
    out = capsys.readouterr().out
    for words in ("by tokens of the text", "score of a marked token", "substitute", "in 64,000"):
        assert words in out
    row = out.split("in 64,000")[1].split("\n")[1]
    assert row.split() == ["gumbel,", "5.0", "bits", "2", *"1.00 / 1.00".split() * 4]
