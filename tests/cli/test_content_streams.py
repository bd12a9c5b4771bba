"""`content sign` and `content verify` of what is large: interrupted, and on a terminal."""

import json
import os
import shutil
import signal
import struct
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from support.command import run
from support.processes import HUGE_BYTES, interrupted, needs_proc, on_terminal

SIGN = ["content", "sign"]
WITH = ["--signing-cert", "dev/signer.pem", "--private-key", "dev/signer.key"]
MADE = ["--source-type", "digitalCreation"]
WAV_BYTES = 256 << 20  # c2pa takes several times as much memory, and two seconds.


@pytest.fixture(scope="session")
def _credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    assert run("cert", "dev-ca", "dev", "-q", cwd=folder).code == 0
    (folder / "small.bin").write_bytes(b"small")
    assert run(*SIGN, "small.bin", *WITH, *MADE, cwd=folder).code == 0
    return folder


@pytest.fixture
def huge(_credentials: Path, tmp_path: Path) -> Path:
    """Return a folder with credentials and sparse files of three kinds, one with a sidecar."""
    folder = Path(shutil.copytree(_credentials, tmp_path / "huge"))
    tensor = {"dtype": "U8", "shape": [HUGE_BYTES], "data_offsets": [0, HUGE_BYTES]}
    header = json.dumps({"bulk": tensor}).encode()
    header += b" " * (-len(header) % 8)
    form = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    sound = b"RIFF" + struct.pack("<I", 36 + WAV_BYTES) + form
    heads = {
        "huge.bin": (b"", HUGE_BYTES),
        "huge.safetensors": (struct.pack("<Q", len(header)) + header, HUGE_BYTES),
        "huge.wav": (sound + b"data" + struct.pack("<I", WAV_BYTES), WAV_BYTES),
    }
    for name, (head, length) in heads.items():
        with (folder / name).open("wb") as file:
            file.write(head)
            file.truncate(len(head) + length)
    (folder / "small.bin.c2pa").rename(folder / "huge.bin.c2pa")
    return folder


def statuses(folder: Path) -> dict[Path, os.stat_result]:
    """Return what lies in a folder, and what the system says of it."""
    return {path: path.stat() for path in folder.rglob("*")}


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize(
    ("words", "reading"),
    [
        ([*SIGN, "huge.bin", *WITH, *MADE, "--replace"], "huge.bin"),
        ([*SIGN, "huge.safetensors", *WITH, *MADE, "--in-place"], ".huge.safetensors."),
        ([*SIGN, "huge.wav", *WITH, *MADE], "huge.wav"),
        ([*SIGN, "huge.wav", *WITH, *MADE], ".huge.signed.wav."),
        (["content", "verify", "huge.bin"], "huge.bin"),
    ],
    ids=["sidecar", "model", "media-read", "media-written", "verify"],
)
def test_an_interrupt_leaves_nothing_half_written(
    huge: Path, words: list[str], reading: str, number: signal.Signals
) -> None:
    before = statuses(huge)
    code, out, err = interrupted(huge, words, number, reading=lambda name: name.startswith(reading))
    assert (code, out) == (130, b"")
    assert err == b"countermark: interrupted; nothing was left half-written\n"
    after = statuses(huge)
    assert after.keys() == before.keys()
    for path, status in after.items():
        assert (status.st_ino, status.st_size) == (before[path].st_ino, before[path].st_size)


@pytest.mark.parametrize(
    "words",
    [
        [*SIGN, "huge.bin", *WITH, *MADE, "--replace"],
        [*SIGN, "huge.safetensors", *WITH, *MADE],
        ["content", "verify", "huge.bin"],
    ],
    ids=["sidecar", "model", "verify"],
)
def test_large_files_have_a_bar_that_gives_the_cursor_back(huge: Path, words: list[str]) -> None:
    pytest.importorskip("rich", reason="the bar is drawn by the extra 'progress'")
    sent = on_terminal(huge, *words)
    assert b"interrupted" in sent
    assert sent.rindex(b"\x1b[?25h") > sent.rindex(b"\x1b[?25l")
    assert sent.rindex(b"interrupted") > sent.rindex(b"\x1b[?25h")


def test_small_files_have_no_bar(huge: Path) -> None:
    for words in ([*SIGN, "small.bin", *WITH, *MADE], ["content", "verify", "small.bin"]):
        assert b"\x1b[?25l" not in on_terminal(huge, *words)
