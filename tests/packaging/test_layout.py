"""The folders, the symlinks, the wheel's mapping and the layers name the same things."""

import importlib.util
import os
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import countermark

ROOT = Path(__file__).parents[2]
LINKS = ROOT / "src" / "countermark"

# The tests of a built wheel run where there is no source, on purpose (.ci/run).
needs_source = pytest.mark.skipif(not LINKS.is_dir(), reason="no source tree beside the tests")


def load_pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wheel_target() -> dict[str, Any]:
    target: dict[str, Any] = load_pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]
    return target


def mapped_folders() -> set[str]:
    return set(wheel_target()["sources"]) - {"src/countermark"}


def module_names() -> list[str]:
    walk = pkgutil.walk_packages(countermark.__path__, prefix="countermark.")
    return sorted(found.name for found in walk)


@needs_source
def test_each_mapped_folder_has_one_relative_symlink_that_stays_in_the_tree() -> None:
    links = {path.name: os.readlink(path) for path in LINKS.iterdir() if path.is_symlink()}
    assert links == {name: f"../../{name}" for name in mapped_folders()}


@needs_source
def test_each_mapped_folder_is_a_package_with_code() -> None:
    for name in mapped_folders():
        assert (ROOT / name / "__init__.py").is_file(), name


def test_wheel_and_sdist_include_exactly_the_mapped_folders() -> None:
    roots = {"src/countermark/__init__.py", "src/countermark/py.typed"}
    assert set(wheel_target()["only-include"]) == roots | mapped_folders()
    sdist = load_pyproject()["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert roots | mapped_folders() <= set(sdist["only-include"])


def test_wheel_maps_every_folder_below_the_one_package() -> None:
    sources = dict(wheel_target()["sources"])
    assert sources.pop("src/countermark") == "countermark"
    assert sources == {name: f"countermark/{name}" for name in sources}


def test_layers_name_every_folder_and_keep_absent_ones_optional() -> None:
    contracts = load_pyproject()["tool"]["importlinter"]["contracts"]
    layers = next(row["layers"] for row in contracts if row["type"] == "layers")
    named = {part.strip() for row in layers for part in row.split("|")}
    required = {part for part in named if not part.startswith("(")}
    assert required == mapped_folders()


def test_there_are_modules_to_import() -> None:
    assert len(module_names()) >= 10  # An empty walk must not pass silently.


@pytest.mark.parametrize("name", module_names())
def test_module_imports_on_its_own(name: str) -> None:
    if name == "countermark.watermark.huggingface":
        pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    assert importlib.import_module(name).__name__ == name


@pytest.mark.parametrize("name", sorted(mapped_folders()))
def test_public_names_of_a_folder_are_sorted_unique_and_importable(name: str) -> None:
    package = importlib.import_module(f"countermark.{name}")
    public = getattr(package, "__all__", [])
    assert sorted(set(public)) == sorted(public)
    assert [attribute for attribute in public if not hasattr(package, attribute)] == []


def test_importing_countermark_imports_none_of_its_folders() -> None:
    code = "import sys, countermark; print([m for m in sys.modules if 'countermark.' in m])"
    run = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True)
    assert run.stdout.strip() == b"[]"


@pytest.mark.parametrize("name", sorted(mapped_folders()))
def test_bare_import_of_a_folder_finds_no_second_copy_of_its_code(name: str) -> None:
    # `python -m pytest` puts the working directory on sys.path, and this fails.
    found = importlib.util.find_spec(name)
    assert found is None or found.origin is None  # At most the tests' folder of that name.
