"""Vectors are what each specification's own script writes, and no script imports ours."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SPECS = Path(__file__).parents[2] / "specs"
GENERATORS = sorted(SPECS.glob("*/generate.py"))


def test_generators_exist() -> None:
    assert len(GENERATORS) >= 3


@pytest.mark.parametrize("script", GENERATORS, ids=lambda p: p.parent.name)
def test_a_generator_run_elsewhere_writes_the_vectors_on_disk(script: Path, tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "stale.json").write_text("{}")
    copy = shutil.copy(script, tmp_path)
    subprocess.run([sys.executable, copy], check=True, capture_output=True, cwd=tmp_path)
    written = {p.name: p.read_bytes() for p in (tmp_path / "vectors").iterdir()}
    assert written == {p.name: p.read_bytes() for p in (script.parent / "vectors").iterdir()}


@pytest.mark.parametrize("script", GENERATORS, ids=lambda p: p.parent.name)
def test_a_generator_imports_nothing_of_ours(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names | {"blake3", "cryptography"}


@pytest.mark.parametrize("folder", sorted(p.parent for p in SPECS.glob("*/generate.py")))
def test_the_index_names_every_specification(folder: Path) -> None:
    assert f"]({folder.name}/README.md)" in (SPECS / "README.md").read_text(encoding="utf-8")
