"""The `countermark` command, run as users run it: in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "specs" / "cli"

# -P: what lies in the current folder must not be imported.
COMMAND = (sys.executable, "-P", "-c", "from countermark.cli.main import main; main()")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output, checked against its schema."""
        document: dict[str, Any] = json.loads(self.out)
        check_document(document)
        return document


def check_document(document: Mapping[str, object]) -> None:
    """Compare a document with the schema that it names."""
    name, version = str(document["schema"]).removeprefix("countermark/").split("/")
    schema = json.loads((SCHEMAS / f"{name}-{version}.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(
        document, schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which only `more` says anything to countermark."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COUNTERMARK_", "_COUNTERMARK", "PYTHON"))
        and name not in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
    }
    if "PYTHONPATH" in os.environ:
        kept["PYTHONPATH"] = os.environ["PYTHONPATH"]
    state = str(home / "state")
    return kept | {"HOME": str(home), "XDG_STATE_HOME": state, "LC_ALL": "C.UTF-8"} | more


def run(
    *arguments: str | bytes | Path,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> Ran:
    """Run countermark with these arguments in `cwd`; it can read `given` on standard input."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(cwd, **(variables or {})),
        input=given,
        capture_output=True,
        timeout=120,
        check=False,
    )
    decoded = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return Ran(done.returncode, *decoded)


def install_on_path(folder: Path) -> Path:
    """Write a `countermark` and a `python3` into `folder` that start this very copy."""
    folder.mkdir()
    words = {"countermark": COMMAND, "python3": (sys.executable,)}
    for name, command in words.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return folder
