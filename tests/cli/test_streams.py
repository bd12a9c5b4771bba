"""Standard output and error, terminals, pipes, signals: what a shell script relies on."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import COMMAND, environment, run
from support.processes import HUGE_BYTES, interrupted, needs_proc, on_terminal

BY_KEY = ("verify", "model", "--public-key", "release.pub")


@pytest.fixture
def huge(desk: Path) -> Path:
    with (desk / "model/huge.safetensors").open("wb") as file:
        file.truncate(HUGE_BYTES)
    return desk


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize(
    "words",
    [
        ["sign", "model", "--private-key", "release.key", "--replace", "--cache", "digests"],
        ["diff", "model", "."],
    ],
    ids=["sign", "diff"],
)
def test_interrupt_leaves_nothing_half_written(
    huge: Path, words: list[str], number: signal.Signals
) -> None:
    run("verify", "model", "--cache", "digests", cwd=huge)  # Makes the caches' own key.
    before = sorted(huge.rglob("*"))
    signature = (huge / "model/model.sig").read_bytes()
    code, out, err = interrupted(huge, words, number, reading="huge.safetensors".__eq__)
    assert (code, out) == (130, b"")
    assert err == b"countermark: interrupted; nothing was left half-written\n"
    assert sorted(huge.rglob("*")) == before
    assert (huge / "model/model.sig").read_bytes() == signature


# A verb in the middle of which an interrupt comes while an object is being finalized: Python
# prints that it ignored the exception, and goes on.
IN_A_FINALIZER = """
import os, signal, time
import click
from countermark.cli import demo
from countermark.cli.main import main

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

@click.command("demo")
def busy():
    Last()
    time.sleep(30)
    print("done")

demo.command = busy
main(["demo"])
"""


def test_an_interrupt_that_python_drops_interrupts_all_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", IN_A_FINALIZER],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr.strip() == b"countermark: interrupted"


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["human", "json"])
def test_reader_that_goes_away_makes_no_noise_and_no_success(desk: Path, more: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*COMMAND, *BY_KEY, *more],
            cwd=desk,
            env=environment(desk),
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [[*BY_KEY], [*BY_KEY, "--json"], ["--version"], ["--help"]])
def test_full_disk_under_standard_output_is_not_success(desk: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=desk,
            env=environment(desk),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"error[io-error]" in done.stderr
    assert os.strerror(errno.ENOSPC).encode() in done.stderr


def test_closed_standard_output_leaves_the_exit_code(desk: Path) -> None:
    script = '"$@" >&-'
    for file, code in (("release.pub", 0), ("stranger.pub", 12)):
        words = [*COMMAND, "verify", "model", "--public-key", file]
        done = subprocess.run(
            ["sh", "-c", script, "sh", *words], cwd=desk, env=environment(desk), check=False
        )
        assert done.returncode == code


def test_colours_are_for_terminals_and_can_be_turned_off(desk: Path) -> None:
    assert b"\x1b[32mVERIFIED" in on_terminal(desk, *BY_KEY)
    assert b"\x1b" not in on_terminal(desk, *BY_KEY, variables={"NO_COLOR": "1"})
    assert b"\x1b" not in on_terminal(desk, *BY_KEY, variables={"TERM": "dumb"})
    assert "\x1b" not in run(*BY_KEY, cwd=desk).out


def test_interrupted_progress_bar_gives_the_cursor_back(huge: Path) -> None:
    pytest.importorskip("rich", reason="the bar is drawn by the extra 'progress'")
    sent = on_terminal(huge, "sign", "model", "--private-key", "release.key", "--replace")
    assert b"interrupted" in sent
    assert sent.rindex(b"\x1b[?25h") > sent.rindex(b"\x1b[?25l")
    assert sent.rindex(b"interrupted") > sent.rindex(b"\x1b[?25h")


def test_no_bar_without_a_terminal_or_when_not_wanted(desk: Path) -> None:
    assert run("verify", "model", "--public-key", "release.pub", cwd=desk).err == ""
    sent = on_terminal(desk, *BY_KEY, "--no-progress")
    assert b"\x1b[?25l" not in sent


def test_names_that_the_terminal_s_encoding_lacks_stop_nothing(desk: Path) -> None:
    ran = run(*BY_KEY, cwd=desk, variables={"PYTHONIOENCODING": "latin-1"})
    assert ran.code == 0
    assert "signed by    key " in ran.out
    assert "\\u2026" in ran.out


def test_mistake_of_ours_is_one_line_and_no_verdict(desk: Path) -> None:
    broken = (
        "import countermark.signing.examination as e\n"
        "def broken(*a, **k): raise KeyError('no such\\x1b[31m thing')\n"
        "e.examine = broken\n"
        "from countermark.cli.main import main; main()"
    )
    errors = []
    for more in ([], ["--debug"]):
        done = subprocess.run(
            [*COMMAND[:-1], broken, *BY_KEY, *more],
            cwd=desk,
            env=environment(desk),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, b"")
        errors.append(done.stderr)
    assert errors[0].startswith(b"countermark: error[internal]: KeyError: ")
    assert b"Traceback" not in errors[0]
    assert b"\x1b" not in errors[0]
    assert b"Traceback" in errors[1]


def test_traceback_is_shown_with_debug_only(desk: Path) -> None:
    words = ("verify", "model", "--public-key", "release.key")
    for ran in (run(*words, cwd=desk), run(*words, "--json", cwd=desk)):
        assert ran.code == 2
        assert "Traceback" not in ran.out + ran.err
    assert "Traceback" in run(*words, "--debug", cwd=desk).err
    assert "Traceback" in run(*words, cwd=desk, variables={"COUNTERMARK_DEBUG": "1"}).err
