"""The benchmark of content credentials runs, small, and judges by its bars; never by a time."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")
pytest.importorskip("PIL", reason="pillow, which makes the images, is not installed")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "provenance.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("provenance_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Its dataclasses look themselves up.
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("ours", "ratio", "word"),
    [(2.0, 0.5, "met"), (4.4, 1.1, "met"), (4.401, 1.10025, "missed"), (40.0, 10.0, "missed")],
)
def test_a_bar_is_met_at_its_limit_and_missed_above(
    benchmark: ModuleType, ours: float, ratio: float, word: str
) -> None:
    bar = benchmark.Bar("ours", "peer", 1.1)
    found, said = benchmark.verdict(bar, {"ours": ours, "peer": 4.0})
    assert (found, said) == (pytest.approx(ratio), word)


def test_a_ratio_without_a_limit_is_shown_and_not_judged(benchmark: ModuleType) -> None:
    bar = benchmark.Bar("ours", "peer", None)
    assert benchmark.verdict(bar, {"ours": 6.0, "peer": 2.0}) == (3.0, "")


@pytest.mark.parametrize("measured", [{"ours": 1.0}, {"peer": 1.0}, {}])
def test_what_was_not_measured_is_never_met(
    benchmark: ModuleType, measured: dict[str, float]
) -> None:
    bar = benchmark.Bar("ours", "peer", 1.1)
    assert benchmark.verdict(bar, measured) == (None, "not measured")


def test_every_bar_is_measured_and_shown(
    benchmark: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = tmp_path / "out.json"
    small = ["--sidecar-mib", "1", "--files", "40", "--repeats", "1", "--json", str(report)]
    monkeypatch.setattr(sys, "argv", ["provenance.py", *small])
    assert benchmark.main() == 0
    out = capsys.readouterr().out
    assert "not measured" not in out
    shown = [line for line in out.splitlines() if line.split()[-1] in ("met", "missed")]
    limited = [bar for bar in benchmark.BARS if bar.limit is not None]
    assert len(shown) == len(limited) + 1  # And the pre-filter.
    document = json.loads(report.read_text())
    measured = {name for bar in benchmark.BARS for name in (bar.ours, bar.peer)}
    assert document["cpu_s"].keys() == measured | {"prefilter"}
    assert all(len(values) == 1 for values in document["cpu_s"].values())
