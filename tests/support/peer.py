"""Our own command and the peer's, run as processes, and models for both to chew on.

The peer is model-signing, the reference implementation of OpenSSF Model Signing, from its
own package. What it cannot do is asserted in the tests, so that we notice when it learns.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from countermark import signing

# The names are ordered differently by code points (OMS) and by folders (the peer).
SMALL_FILES = {
    "a-b": b"hyphen",
    "a.c": b"point",
    "a/z": b"slash",
    "config.json": b'{"hidden_size": 8}\n',
    "tokenizer/deep/er/merges.txt": b"a b\nb c\n",
    "données/模型 été.bin": b"bytes under names that are not ASCII",
    "with space.txt": b"  ",
}
WEIGHTS = "model.safetensors"
TENSORS = {"embed.weight": 2**20 + 4096, "head.weight": 8192}  # Lengths in bytes.


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        """What `--json` printed."""
        document: dict[str, object] = json.loads(self.out)
        return document

    @property
    def paths(self) -> list[tuple[str, str]]:
        """(kind, path) of every finding of a verdict printed with `--json`."""
        findings = self.document["findings"]
        assert isinstance(findings, list)
        return [(finding["kind"], finding["path"]) for finding in findings]

    @property
    def error(self) -> str:
        """Code of the refusal that `--json` printed."""
        error = self.document["error"]
        assert isinstance(error, dict)
        return str(error["code"])


def countermark(*arguments: str | Path) -> Ran:
    """Run our own command; in a process of its own, as people do."""
    # -P: the current folder is no place to import from, whatever lies in it.
    code = "from countermark.cli.main import main; main()"
    return _run([sys.executable, "-P", "-c", code, *map(str, arguments)])


def model_signing_command() -> str:
    """Return where the peer's command is; skips if it is not installed."""
    beside = Path(sys.executable).with_name("model_signing")
    command = str(beside) if beside.is_file() else shutil.which("model_signing")
    if command is None:
        pytest.skip("the peer's command, model_signing, is not installed")
    return command


def model_signing(*arguments: str | Path) -> Ran:
    """Run the peer's command; skips if it is not installed."""
    return _run([model_signing_command(), *map(str, arguments)])


def tool(name: str, *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
    """Return what a system command prints; skips if it is absent, fails if it fails."""
    done = run_tool(name, *arguments, stdin=stdin, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def run_tool(
    name: str, *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a system command that may fail; skips if it is absent."""
    command = shutil.which(name)
    if command is None:
        pytest.skip(f"{name} is not installed")
    return subprocess.run(
        [command, *map(str, arguments)],
        check=False,
        capture_output=True,
        input=stdin,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C"},
    )


def safetensors(tensors: dict[str, int] | None = None) -> bytes:
    """Return a safetensors file of byte tensors with these lengths."""
    header: dict[str, object] = {}
    data = b""
    for name, length in (TENSORS if tensors is None else tensors).items():
        offsets = [len(data), len(data) + length]
        header[name] = {"dtype": "U8", "shape": [length], "data_offsets": offsets}
        data += bytes((len(name) + i) % 251 for i in range(min(length, 4096))) * (
            -(-length // 4096)
        )
        data = data[: offsets[1]]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def make_model(root: Path) -> Path:
    """Make a folder with weights, nested folders and names of every sort."""
    for name, data in {**SMALL_FILES, WEIGHTS: safetensors()}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def make_key(folder: Path, kind: str = "ec-p256") -> tuple[Path, Path]:
    """Return files with a new private key and its public half."""
    key = signing.generate(kind)
    private, public = folder / f"{kind}.key", folder / f"{kind}.pub"
    private.write_bytes(key.pem(None))
    public.write_bytes(key.public_key.pem)
    return private, public


def flip_bit(file: Path, offset: int) -> None:
    """Change one bit in place."""
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))


def _run(command: list[str]) -> Ran:
    # Options may come from COUNTERMARK_* variables; these tests give all of theirs.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COUNTERMARK_")}
    done = subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", env=environment
    )
    return Ran(done.returncode, done.stdout, done.stderr)
