"""The check of what was built refuses a missing file, a leftover and a second top-level name."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "wheel_contents.py"

pytestmark = pytest.mark.skipif(
    not SCRIPT.is_file() or shutil.which("git") is None, reason="needs .ci/ and git"
)

TRACKED = {
    "pyproject.toml": '[tool.hatch.build.targets.wheel.sources]\nsigning = "countermark/signing"\n',
    "signing/__init__.py": "",
    "signing/keys.py": "",
    "src/countermark/__init__.py": "",
    "tests/test_keys.py": "",
}
WHEEL = {
    "countermark/__init__.py",
    "countermark/signing/__init__.py",
    "countermark/signing/keys.py",
    "countermark-1.dist-info/licenses/LICENSE",
    "countermark-1.dist-info/entry_points.txt",
}
SDIST = {*TRACKED, "PKG-INFO"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, text in TRACKED.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "src/countermark/signing").symlink_to("../../signing")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=root, env=environment, check=True)
    return root


def check(
    tree: Path, *, wheel: set[str], sdist_wheel: set[str] | None = None, sdist: set[str] = SDIST
) -> tuple[int, str]:
    paths = [tree.parent / name for name in ("tree.whl", "sdist.whl", "sdist.tar.gz")]
    for path, names in zip(paths, (wheel, sdist_wheel or wheel), strict=False):
        with zipfile.ZipFile(path, "w") as archive:
            for name in sorted(names):
                archive.writestr(name, "")
    with tarfile.open(paths[2], "w:gz") as archive:
        for name in sorted(sdist):
            archive.addfile(tarfile.TarInfo(f"countermark-1/{name}"), io.BytesIO())
    run = subprocess.run(
        [sys.executable, "-I", SCRIPT, *paths],
        cwd=tree,
        check=False,
        capture_output=True,
        text=True,
    )
    return run.returncode, run.stdout + run.stderr


def test_what_git_tracks_and_nothing_else_is_accepted(tree: Path) -> None:
    code, output = check(tree, wheel=WHEEL)
    assert code == 0, output


@pytest.mark.parametrize("name", sorted(WHEEL))
def test_a_wheel_that_lacks_any_one_member_is_refused_by_name(tree: Path, name: str) -> None:
    code, output = check(tree, wheel=WHEEL - {name})
    assert code == 1
    assert name.removeprefix("countermark-1.dist-info/") in output


@pytest.mark.parametrize("name", ["watermark/__init__.py", "countermark/signing/leftover.py"])
def test_a_wheel_with_a_name_git_does_not_know_is_refused(tree: Path, name: str) -> None:
    code, output = check(tree, wheel=WHEEL | {name})
    assert code == 1
    assert f"the wheel has {name}" in output


def test_a_wheel_that_the_sdist_does_not_reproduce_is_refused(tree: Path) -> None:
    code, output = check(tree, wheel=WHEEL, sdist_wheel=WHEEL - {"countermark/signing/keys.py"})
    assert code == 1
    assert "is not the wheel built from the tree" in output


def test_an_sdist_without_a_test_or_with_a_leftover_is_refused(tree: Path) -> None:
    code, output = check(tree, wheel=WHEEL, sdist=(SDIST - {"tests/test_keys.py"}) | {"notes.txt"})
    assert code == 1
    assert "the sdist lacks tests/test_keys.py" in output
    assert "the sdist has notes.txt" in output


def test_a_symlink_that_the_wheel_does_not_map_is_refused(tree: Path) -> None:
    (tree / "src/countermark/access").symlink_to("../../access")
    code, output = check(tree, wheel=WHEEL)
    assert code == 1
    assert "access" in output
