"""The examples, and the Python in README, run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import ROOT
from support.extras import need_c2pa

EXAMPLES = ROOT / "examples"
Stage = tuple[Path, dict[str, str]]


def start(words: list[str], stage: Stage, **more: str) -> "subprocess.CompletedProcess[str]":
    folder, variables = stage
    return subprocess.run(
        words,
        cwd=folder,
        env=variables | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_example_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = [path.name for path in EXAMPLES.iterdir() if path.is_file()]
    assert len(names) >= 4
    for name in names:
        assert f'"{name}"' in text


def test_sign_and_verify_names_the_changed_tensor(stage: Stage) -> None:
    before = (stage[0] / "my-model/model.safetensors").read_bytes()
    ran = start([sys.executable, str(EXAMPLES / "sign_and_verify.py"), "my-model"], stage)
    assert (ran.returncode, ran.stderr) == (0, "")
    first, second = ran.stdout.splitlines()
    assert first.startswith("verified: 4 files, model digest ")
    assert second.startswith("refused: tampered, model.safetensors: tensor head.bias is changed")
    assert (stage[0] / "my-model/model.safetensors").read_bytes() == before


@pytest.mark.usefixtures("published")
def test_verify_before_load_opens_good_weights_and_no_others(stage: Stage) -> None:
    pytest.importorskip("safetensors")
    words = [sys.executable, str(EXAMPLES / "verify_before_load.py"), "downloaded"]
    good = start([*words, "release.pub"], stage)
    assert (good.returncode, good.stdout) == (0, "model.safetensors: 3 tensors\n")
    other = start([*words, "stranger.pub"], stage)
    assert (other.returncode, other.stdout) == (1, "")
    assert other.stderr.startswith("not loaded: wrong-key: ")


def test_sign_content_answers_each_question_and_refuses_a_change(stage: Stage) -> None:
    need_c2pa()
    folder, _ = stage
    (folder / "answer.txt").write_text("The sea is calm tonight.\n")
    ran = start([sys.executable, str(EXAMPLES / "sign_content.py"), "answer.txt"], stage)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "integrity: held",
        "signature: held",
        "signer: held",
        "time: held",
        "ingredients: not-checked",
        "identity: not-checked",
        "disclosure: held",
        "model: not-checked",
        "refused: tampered, content-changed",
    ]
    assert (folder / "answer.txt").read_text() == "The sea is calm tonight.\n"


@pytest.mark.usefixtures("published")
def test_ci_verify_hands_the_exit_code_on_and_says_who_acts(stage: Stage) -> None:
    folder, _ = stage
    script = str(EXAMPLES / "ci-verify.sh")
    good = start(["sh", script, "downloaded", "release.pub"], stage)
    assert (good.returncode, good.stderr) == (
        0,
        "note: not checked: .cache/huggingface/ (download metadata)\n",
    )
    other = start(["sh", script, "downloaded", "stranger.pub"], stage)
    assert other.returncode == 12
    assert "ci-verify: signed, but not with this key" in other.stderr
    weights = folder / "downloaded/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    action = start(["sh", script, "downloaded", "release.pub"], stage, GITHUB_ACTIONS="true")
    assert action.returncode == 11
    assert "::error title=countermark::the model is not the one" in action.stdout
    gone = start(["sh", script, "gone", "release.pub"], stage)
    assert gone.returncode == 2
    assert "verification did not happen (exit 2)" in gone.stderr
    assert start(["sh", script, "downloaded"], stage).returncode == 2


def test_ci_verify_does_not_pass_without_the_tool(stage: Stage) -> None:
    script = str(EXAMPLES / "ci-verify.sh")
    ran = start(["/bin/sh", script, "my-model", "release.pub"], stage, PATH="/nonexistent")
    assert ran.returncode == 1


@pytest.mark.usefixtures("published")
def test_python_in_readme_runs(stage: Stage) -> None:
    folder, _ = stage
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (folder / "downloaded").rename(folder / "my-model-2")
    code = code.replace('"my-model', '"my-model-2')
    ran = start([sys.executable, "-c", code], stage)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "model.safetensors" in ran.stdout


PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "specs/cli.md",
    *(ROOT / "docs").rglob("*.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_readme_fits_its_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 95
