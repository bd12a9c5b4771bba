"""Commands that the tests fork do what the same commands do in a process of their own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.command import environment, run, run_anew
from support.forks import CAN_FORK, ForkServer, communicate

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="commands are forked on Linux only")

NEW = re.compile(r"[0-9a-f]{16,}")  # Keys are new in every run.

# All that a command can ask for. What it is told is in JSON, so that both can be compared.
PROBE = """
import gc, json, os, resource, signal, sys, threading, time, warnings
import __main__

def stream(file):
    kept = ("encoding", "errors", "line_buffering", "write_through", "newlines", "name", "mode")
    about = {name: str(getattr(file, name, None)) for name in kept}
    return about | {"terminal": file.isatty(), "seekable": file.seekable()}

def report():
    print(json.dumps({
        "arguments": sys.argv,
        "environment": dict(os.environ),
        "of the C library": {name: os.getenv(name) for name in ("HOME", "LC_ALL", "PROBED")},
        "folder": os.getcwd(),
        "umask": os.umask(0o022),
        "streams": [stream(file) for file in (sys.stdin, sys.stdout, sys.stderr)],
        "originals": [file is None for file in (sys.__stdin__, sys.__stdout__, sys.__stderr__)],
        "open": sorted(os.listdir("/proc/self/fd")),
        "given": sys.stdin.read(),
        "flags": str(sys.flags),
        "path": sys.path,
        "main": [__main__.__name__, hasattr(__main__, "__file__"), __main__.__spec__ is None],
        "signals": {n: str(signal.getsignal(n)) for n in signal.valid_signals()},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "limits": [resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS)],
        "group": [os.getpgrp(), os.getsid(0)],
        "threads": [threading.active_count(), threading.current_thread().name],
        "collects": [gc.isenabled(), gc.get_threshold()],
        "warnings": [str(row) for row in warnings.filters],
        "hook": str(sys.excepthook),
    }))

def late():
    import atexit
    atexit.register(print, "and then what was registered")
    def work():
        time.sleep(0.05)
        print("threads are waited for")
    threading.Thread(target=work).start()
    sys.stdout.write("unflushed, ")
"""

Server = Callable[..., ForkServer]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Return a function that starts a server with the probe in reach; all are ended."""
    made: list[ForkServer] = []

    def start(code: str, *modules: str) -> ForkServer:
        made.append(ForkServer(modules, code, probed(tmp_path)))
        return made[-1]

    yield start
    for one in made:
        one.close()


def probed(folder: Path) -> dict[str, str]:
    (folder / "probe.py").write_text(PROBE)
    path = os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    return environment(folder, PYTHONPATH=path.rstrip(os.pathsep))


def forked(one: ForkServer, folder: Path, *arguments: str | bytes) -> tuple[int, bytes, bytes]:
    variables = probed(folder) | {"PROBED": "1\udcff"}
    return communicate(
        one, arguments, cwd=folder, environment=variables, given=b"given", timeout_s=60
    )


def anew(code: str, folder: Path, *arguments: str | bytes) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=folder,
        env=probed(folder) | {"PROBED": "1\udcff"},
        input=b"given",
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("given", [[], ["a b", "é\u202e", "-"], [b"\xff"]], ids=["", "é", "byte"])
def test_a_fork_finds_what_a_new_process_finds(
    server: Server, tmp_path: Path, given: list[str | bytes]
) -> None:
    line = "import probe; probe.report()"
    one = server(line, "probe", "countermark.cli.main", "countermark.signing.examination")
    code, out, err = anew(line, tmp_path, *given)
    assert (code, err) == (0, b"")
    for _ in range(2):
        left, found, said = forked(one, tmp_path, *given)
        assert (left, said) == (0, b"")
        assert json.loads(found) == json.loads(out)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit()", 0),
        ("pass", 0),
        ("import os; os._exit(9)", 9),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.close(1); print('x')", 120),
        ("import probe; probe.late()", 0),
        ("import probe, sys; probe.late(); sys.exit(5)", 5),
    ],
)
def test_a_fork_ends_as_a_new_process_does(
    server: Server, tmp_path: Path, code: str, expected: int
) -> None:
    (left, out, err), new = forked(server(code), tmp_path), anew(code, tmp_path)
    assert (left, out) == new[:2]
    assert left == expected
    assert bool(err) is bool(new[2])


def test_what_nobody_caught_is_printed_and_exits_with_1(server: Server, tmp_path: Path) -> None:
    one = server("raise KeyError('lost')")
    code, out, err = forked(one, tmp_path)
    assert (code, out) == (1, b"")
    assert err.endswith(b"KeyError: 'lost'\n")


def test_a_fork_that_hangs_is_killed_and_the_next_one_runs(server: Server, tmp_path: Path) -> None:
    one = server("import sys, time; time.sleep(600 * (len(sys.argv) - 1))")
    with pytest.raises(subprocess.TimeoutExpired):
        communicate(one, ["x"], cwd=tmp_path, environment={}, given=b"x" * (1 << 20), timeout_s=0.1)
    assert forked(one, tmp_path) == (0, b"", b"")


def test_nothing_is_forked_beside_a_thread(server: Server, tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    with pytest.raises(RuntimeError, match="2 threads; only a process with one may fork"):
        forked(server("pass", "threaded"), tmp_path)


def test_a_module_that_cannot_be_imported_is_named(server: Server) -> None:
    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        server("pass", "no_such_module")


VERIFY = ("verify", "model", "--public-key", "release.pub")
COMMANDS: tuple[tuple[str | bytes, ...], ...] = (
    (),
    ("--version",),
    ("--help",),
    ("verfy",),
    ("keygen", "k"),
    ("keygen", "release"),
    ("keygen", "--help"),
    ("sign", "model", "--private-key", "release.key", "--replace"),
    ("sign", "model", "--private-key", "release.key"),
    VERIFY,
    (*VERIFY, "--json"),
    ("verify", "model", "--public-key", "stranger.pub"),
    ("verify", b"no\xff", "--public-key", "release.pub"),
    ("inspect", "model/model.sig"),
    ("inspect", "model/model.safetensors"),
    ("inspect", "release.key"),
    ("diff", "model", "model"),
    ("demo", "--no-such"),
)
MARKS: tuple[tuple[str, ...], ...] = (
    ("keygen", "--ring", "new.ring"),
    ("vllm-config", "--keys", "words.ring"),
    ("detect", "marked.txt", "--keys", "words.ring", "--tokenizer", "tokenizer.json"),
    ("detect", "-", "--keys", "words.ring", "--tokenizer", "tokenizer.json", "--json"),
    ("detect", "plain.ids", "--keys", "ids.ring", "--ids", "--vocabulary", "49152", "--json"),
    ("scan", "marked.txt", "--keys", "words.ring", "--tokenizer", "tokenizer.json"),
    ("calibrate", "plain.txt", "--tokenizer", "tokenizer.json", "--out", "c.pairs"),
    ("report", "--help"),
    ("generate", "--help"),
)


def check_both(folder: Path, *words: str | bytes) -> None:
    other = folder.with_name("other") / folder.name
    shutil.copytree(folder, other, symlinks=True)
    left, new = run(*words, cwd=folder, given=b"text"), run_anew(*words, cwd=other, given=b"text")
    assert left.code == new.code
    for ours, theirs in ((left.out, new.out), (left.err, new.err)):
        assert NEW.sub("", ours) == NEW.sub("", theirs.replace(str(other), str(folder)))
    made, expected = ({p.relative_to(f) for p in f.rglob("*")} for f in (folder, other))
    assert made == expected


@pytest.mark.parametrize("words", COMMANDS, ids=repr)
def test_a_command_that_is_forked_does_what_it_does_anew(
    desk: Path, words: tuple[str | bytes, ...]
) -> None:
    check_both(desk, *words)


@pytest.mark.parametrize("words", MARKS, ids=repr)
def test_a_verb_of_marks_that_is_forked_does_what_it_does_anew(
    texts: Path, words: tuple[str, ...]
) -> None:
    check_both(texts, "watermark", *words)
