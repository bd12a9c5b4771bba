"""The `countermark` command, run as users run it: in a process of its own.

`run` forks that process from one that has imported what the command needs; `run_anew` starts it.
"""

from __future__ import annotations

import json
import os
import pkgutil
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

import countermark
from support.forks import CAN_FORK, Fork, ForkServer, communicate

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "specs" / "cli"

# -P: what lies in the current folder must not be imported.
MAIN = "from countermark.cli.main import main; main()"
COMMAND = (sys.executable, "-P", "-c", MAIN)
TIMEOUT_S = 120  # Only ever met by a command that hangs.

Arguments = tuple[str | bytes | Path, ...]

# What Python and its libraries read before `main` does.
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "NUMBA_", "OMP_", "OPENBLAS_")


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
    """Run countermark with these arguments in `cwd`; it can read `given` on standard input.

    Start-up is left out where it can be: see `support.forks`.
    """
    more = variables or {}
    if any(name.startswith(_AT_START) for name in more):
        return run_anew(*arguments, cwd=cwd, variables=variables, given=given)
    return _ran(*ended(arguments, cwd=cwd, environment=environment(cwd, **more), given=given))


def run_anew(
    *arguments: str | bytes | Path,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> Ran:
    """Do what `run` does, start-up included."""
    more = variables or {}
    return _ran(*_ended_anew(arguments, cwd, environment(cwd, **more), given))


def ended(
    arguments: Arguments, *, cwd: Path, environment: Mapping[str, str], given: bytes = b""
) -> tuple[int, bytes, bytes]:
    """Do what `run` does, in this environment; return the exit code and what was printed."""
    if not CAN_FORK:
        return _ended_anew(arguments, cwd, environment, given)
    return communicate(
        _server_for(arguments),
        arguments,
        cwd=cwd,
        environment=environment,
        given=given,
        timeout_s=TIMEOUT_S,
    )


def started(
    arguments: Arguments,
    *,
    cwd: Path,
    environment: Mapping[str, str],
    streams: tuple[int, int, int],
) -> Fork | subprocess.Popen[bytes]:
    """Start what `run` runs, with these descriptors as standard streams; somebody has to wait."""
    if CAN_FORK:
        server = _server_for(arguments)
        return server.start(arguments, cwd=cwd, environment=environment, streams=streams)
    stdin, stdout, stderr = streams
    words = [*COMMAND, *arguments]
    return subprocess.Popen(
        words, cwd=cwd, env=environment, stdin=stdin, stdout=stdout, stderr=stderr
    )


def _ended_anew(
    arguments: Arguments, cwd: Path, environment: Mapping[str, str], given: bytes
) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment,
        input=given,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _ran(code: int, out: bytes, err: bytes) -> Ran:
    return Ran(code, *(text.decode("utf-8", "surrogateescape") for text in (out, err)))


def _server_for(arguments: Arguments) -> ForkServer:
    return _server(marks=arguments[:1] in (("watermark",), ("demo",)))


@cache
def _server(*, marks: bool) -> ForkServer:
    names = [m.name for m in pkgutil.walk_packages(countermark.__path__, "countermark.")]
    # Nobody who only verifies has libraries of numbers in their process.
    kept = [name for name in names if marks or ".watermark" not in name]
    kept = [name for name in kept if name != "countermark.watermark.huggingface"]  # Is torch.
    return ForkServer(kept, MAIN, environment(Path("/nonexistent")))


def install_on_path(folder: Path) -> Path:
    """Write a `countermark` and a `python3` into `folder` that start this very copy."""
    folder.mkdir()
    words = {"countermark": COMMAND, "python3": (sys.executable,)}
    for name, command in words.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return folder
