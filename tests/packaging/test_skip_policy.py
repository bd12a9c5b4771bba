"""A skipped interoperability test fails where the peers must be there, and only there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

SKIPS = {
    "a test that skips": "import pytest\ndef test_peer() -> None:\n    pytest.skip('no peer')\n",
    "a mark": "import pytest\n@pytest.mark.skip(reason='no peer')\ndef test_peer(): ...\n",
    "a fixture": (
        "import pytest\n"
        "@pytest.fixture\n"
        "def peer():\n    pytest.skip('no peer')\n"
        "def test_peer(peer): ...\n"
    ),
    "a whole module": "import pytest\npytest.importorskip('no_such_peer')\n",
}


def run_pytest(
    root: Path, folder: str, source: str, *, require: str | None, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    tests = root / "tests"
    (tests / folder).mkdir(parents=True)
    shutil.copy(CONFTEST, tests)
    (tests / folder / "test_peer.py").write_text(source)
    (root / "pytest.ini").write_text("[pytest]\nmarkers = interop: a peer\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COUNTERMARK_", "PY"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # Twice as fast; no plugin is needed.
    if require is not None:
        environment["COUNTERMARK_REQUIRE_INTEROP"] = require
    command = [sys.executable, "-m", "pytest", "-ra", "--import-mode=importlib", *options]
    return subprocess.run(
        command, cwd=root, env=environment, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_required_interop_turns_a_skip_into_a_failure_with_its_reason(
    tmp_path: Path, source: str
) -> None:
    run = run_pytest(tmp_path, "interop", source, require="1")
    assert run.returncode != 0
    assert "COUNTERMARK_REQUIRE_INTEROP=1, yet this was skipped" in run.stdout
    assert "no peer" in run.stdout or "no_such_peer" in run.stdout


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_interop_skips_stay_skips_unless_required(tmp_path: Path, source: str) -> None:
    run = run_pytest(tmp_path, "interop", source, require=None)
    assert "1 skipped" in run.stdout
    assert "failed" not in run.stdout


def test_interop_is_required_by_the_value_1_and_by_no_other(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "interop", SKIPS["a test that skips"], require="0")
    assert run.returncode == 0
    assert "1 skipped" in run.stdout


def test_required_interop_leaves_skips_elsewhere_alone(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "signing", SKIPS["a test that skips"], require="1")
    assert run.returncode == 0
    assert "1 skipped" in run.stdout


def test_required_interop_leaves_an_expected_failure_alone(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_peer():\n    assert 0\n"
    run = run_pytest(tmp_path, "interop", source, require="1")
    assert run.returncode == 0
    assert "1 xfailed" in run.stdout


def test_everything_below_interop_carries_the_mark(tmp_path: Path) -> None:
    source = "def test_peer(): ...\n"
    run = run_pytest(tmp_path, "interop", source, require=None, options=("-m", "not interop"))
    assert "1 deselected" in run.stdout
