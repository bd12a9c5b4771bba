"""The benchmark harness: honest figures, honest verdicts. No test here looks at a time."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from checkpoints import TENSORS_PER_FILE, write_many, write_sharded
from compare import Bar, Job, Report, Result, Row, Verdict, all_bars_met, judge, run_row
from measure import ChildFailedError, Usage, measure
from signing_tools import files_of
from table import render, to_json

MIB = 1 << 20
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "signing.py"


def result(*cpu_s: float, rss_mib: int = 10) -> Result:
    samples = (Usage(cpu_s=c, wall_s=c, peak_rss_bytes=rss_mib * MIB) for c in cpu_s)
    return Result(samples=tuple(samples))


def bar(limit: float | None, peer: str | None = "peer") -> Bar:
    return Bar(subject="ours", peer=peer, limit=limit)


def quiet(_: str) -> None:
    pass


def test_a_ratio_is_of_medians_and_passes_at_its_limit() -> None:
    results = {"ours": result(8.0, 1.0, 100.0), "peer": result(10.0, 10.0, 1.0)}
    judgement = judge(bar(0.8), results)
    assert judgement.value == 0.8
    assert judgement.verdict is Verdict.MET


def test_a_ratio_just_above_its_limit_is_a_miss() -> None:
    judgement = judge(bar(0.8), {"ours": result(8.001), "peer": result(10.0)})
    assert judgement.verdict is Verdict.MISSED


@pytest.mark.parametrize(("cpu_s", "verdict"), [(0.10, Verdict.MET), (0.101, Verdict.MISSED)])
def test_a_bar_without_a_peer_limits_the_figure_itself(cpu_s: float, verdict: Verdict) -> None:
    assert judge(bar(0.10, peer=None), {"ours": result(cpu_s)}).verdict is verdict


def test_a_memory_bar_compares_memory_and_not_seconds() -> None:
    results = {"ours": result(1.0, rss_mib=12), "peer": result(9.0, rss_mib=10)}
    judgement = judge(Bar(subject="ours", peer="peer", limit=1.1, metric="rss"), results)
    assert judgement.value == 1.2
    assert judgement.verdict is Verdict.MISSED


@pytest.mark.parametrize(
    ("ours", "peer", "verdict"),
    [
        (result(0.001), Result(absent=True), Verdict.PEER_ABSENT),
        (result(0.001), Result(failure="exited with 1"), Verdict.PEER_FAILED),
        (Result(absent=True), result(9.0), Verdict.SUBJECT_ABSENT),
        (Result(failure="exited with 1"), result(9.0), Verdict.SUBJECT_FAILED),
        (Result(), result(9.0), Verdict.SUBJECT_FAILED),
    ],
)
def test_a_contender_without_figures_is_never_a_pass(
    ours: Result, peer: Result, verdict: Verdict
) -> None:
    results = {"ours": ours, "peer": peer}
    judgement = judge(bar(0.8), results)
    assert judgement.verdict is verdict
    assert not all_bars_met([Report(row=row(), results=results, judgements=(judgement,))])


def test_a_benchmark_that_judged_nothing_has_not_met_its_bars() -> None:
    judgement = judge(bar(None), {"ours": result(1.0), "peer": result(2.0)})
    assert judgement.verdict is Verdict.NO_BAR
    assert not all_bars_met([Report(row=row(), results={}, judgements=(judgement,))])
    assert not all_bars_met([])


def test_the_table_shows_each_bar_of_a_job_and_what_became_of_it() -> None:
    results = {"ours": result(4.0), "peer": result(5.0), "other": Result(absent=True)}
    bars = (bar(0.9), Bar(subject="ours", peer="other", limit=1.0))
    report = Report(row=row(), results=results, judgements=tuple(judge(b, results) for b in bars))
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in render([report]).split("\n")
    ]
    assert ["ours", "4.00", "4.00..4.00", "4.00", "10", "0.800", "peer", "<= 0.9", "pass"] in cells
    assert [*[""] * 6, "other", "<= 1", "peer absent"] in cells
    assert ["other", "absent", *[""] * 7] in cells
    assert {len(line) for line in cells} == {9}


def test_the_json_report_holds_every_sample_and_verdict() -> None:
    results = {"ours": result(4.0, 4.5), "peer": result(5.0), "other": Result(absent=True)}
    report = Report(row=row(), results=results, judgements=(judge(bar(0.9), results),))
    document = json.loads(json.dumps(to_json([report], {"openssl": "3"})))
    (found,) = document["rows"]
    assert [sample["cpu_s"] for sample in found["results"]["ours"]["samples"]] == [4.0, 4.5]
    assert found["judgements"][0]["verdict"] == "pass"


def test_a_row_runs_its_jobs_in_turn_and_prepares_each_run(tmp_path: Path) -> None:
    order: list[str] = []
    file = tmp_path / "file"
    file.write_bytes(b"x")
    jobs = tuple(
        Job(name=name, argv=("cat", str(file)), before=partial(order.append, name))
        for name in ("ours", "peer")
    )
    report = run_row(Row(key="k", title="t", jobs=jobs, bars=(bar(None),)), 2, quiet)
    assert order == ["ours", "peer", "ours", "peer"]
    assert [len(r.samples) for r in report.results.values()] == [2, 2]


def test_a_job_that_fails_in_one_round_keeps_no_figures(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    once = Job(name="ours", argv=("mkdir", str(flag)))  # The second time, it is there already.
    absent = Job(name="peer", argv=None)
    report = run_row(Row(key="k", title="t", jobs=(once, absent), bars=(bar(1.0),)), 3, quiet)
    assert not report.results["ours"].measured
    assert "mkdir exited with 1" in report.results["ours"].failure
    assert report.judgements[0].verdict is Verdict.SUBJECT_FAILED


def test_measure_reports_the_peak_of_the_child_and_not_of_this_process() -> None:
    ballast = bytearray(os.urandom(MIB) * 128)
    usage = measure(["cat", "/dev/null"])
    assert len(ballast) == 128 * MIB
    assert 0 < usage.peak_rss_bytes < 16 * MIB


def test_measure_sees_the_memory_that_the_child_takes() -> None:
    usage = measure([sys.executable, "-c", "bytearray(b'x') * (64 << 20)"])
    assert usage.peak_rss_bytes > 64 * MIB


@pytest.mark.parametrize(
    ("argv", "status"), [(["sh", "-c", "echo why >&2; exit 3"], 3), (["no-such-program"], 127)]
)
def test_measure_refuses_a_child_that_fails(argv: list[str], status: int) -> None:
    with pytest.raises(ChildFailedError) as caught:
        measure(argv)
    assert caught.value.status == status


def test_measure_passes_arguments_through_unchanged(tmp_path: Path) -> None:
    name = tmp_path / "a b$(touch x)\n*.bin"
    measure(["touch", str(name)])
    assert list(tmp_path.iterdir()) == [name]


def test_a_sharded_checkpoint_has_three_valid_safetensors_files(tmp_path: Path) -> None:
    write_sharded(tmp_path / "model", 1 << 20)
    shards = sorted((tmp_path / "model").glob("*.safetensors"))
    assert len(shards) == 3
    for shard in shards:
        data = shard.read_bytes()
        header_bytes = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + header_bytes])
        ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"]
        assert len(ends) == TENSORS_PER_FILE
        assert 8 + header_bytes + max(ends) == len(data)


def test_many_files_are_as_many_as_asked_for_and_the_same_each_time(tmp_path: Path) -> None:
    write_many(tmp_path / "a", 201)
    write_many(tmp_path / "b", 201)
    names = files_of(tmp_path / "a")
    assert len(names) == 201
    assert names == files_of(tmp_path / "b")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_signing_benchmark_without_contenders_prints_its_table_and_does_not_pass(
    tmp_path: Path,
) -> None:
    absent = ["--countermark", "no-such-program", "--model-signing", "no-such-program"]
    small = ["--size-gib", "0.001", "--small-files", "3", "--rounds", "1"]
    work, report = tmp_path / "work", tmp_path / "report.json"
    work.mkdir()
    run = subprocess.run(
        [sys.executable, SCRIPT, *absent, *small, "--work", work, "--json", report],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    assert "ours absent" in run.stdout
    verdicts = {
        j["verdict"] for r in json.loads(report.read_text())["rows"] for j in r["judgements"]
    }
    assert verdicts == {"ours absent"}
    assert list(work.iterdir()) == []  # The data is gone.


def row() -> Row:
    names = ("ours", "peer", "other")
    jobs = tuple(Job(name=name, argv=("true",)) for name in names)
    return Row(key="k", title="made up", jobs=jobs, bars=())
