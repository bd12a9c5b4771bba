"""Start-up cost, counted in modules: no clock is read, so no busy machine can fail these.

Each case starts a new interpreter, runs one thing a user does first, and looks at what was
imported on the way. A time bar would only say that something got slower; the name says what.
"""

import json
import subprocess
import sys

import pytest

# No path of ours needs these before somebody asks for what they do.
NEVER_AT_START = {
    "asyncio",
    "blake3",
    "c2pa",
    "cryptography",
    "hashlib",
    "http.client",
    "huggingface_hub",
    "model_signing",
    "multiprocessing",
    "numba",
    "numpy",
    "pydantic",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "requests",
    "rfc3161_client",
    "rich",
    "safetensors",
    "sigstore",
    "ssl",
    "urllib.request",
    "urllib3",
}

RUN = """
import contextlib, io, json, sys
from countermark.cli.main import main
sys.argv = ["countermark", *json.loads(sys.argv[1])]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(json.dumps(sorted(sys.modules)))
"""

IMPORT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(code: str, argument: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-I", "-c", code, argument], check=True, capture_output=True, text=True
    )
    return set(json.loads(run.stdout))


def test_the_probe_sees_what_is_imported() -> None:
    assert "asyncio" in modules_after(IMPORT, "asyncio")


def test_command_module_imports_nothing_heavy() -> None:
    assert modules_after(IMPORT, "countermark.cli.main") & NEVER_AT_START == set()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]], ids=" ".join)
def test_command_answers_without_importing_anything_heavy(arguments: list[str]) -> None:
    loaded = modules_after(RUN, json.dumps(arguments))
    assert "countermark.cli.main" in loaded
    assert loaded & NEVER_AT_START == set()


def test_verifying_help_imports_no_certificate_code() -> None:
    loaded = modules_after(RUN, json.dumps(["verify", "--help"]))
    heavy = {"cryptography.x509", "rfc3161_client", "rich", "asyncio", "http.client", "numpy"}
    assert loaded & heavy == set()


def test_signing_package_imports_no_certificate_or_drawing_code() -> None:
    loaded = modules_after(IMPORT, "countermark.signing")
    heavy = {"click", "cryptography.x509", "rfc3161_client", "rich", "asyncio", "http.client"}
    assert loaded & heavy == set()
