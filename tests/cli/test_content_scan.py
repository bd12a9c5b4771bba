"""`content scan` and `content trust`: what they write, say and end with."""

import json
import os
import signal
import subprocess
import time
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from countermark.cli.exits import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from countermark.provenance.trust import load_trust
from countermark.signing.keys import generate
from support.command import COMMAND, Ran, environment, run
from support.credentials import make_credentials
from support.media import signed, unsigned

MAKE = ("content", "trust", "make", "--name", "ours", "--dated", "2026-08-05")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with `files` and the PEM files that a trust bundle is made from."""
    files = tmp_path / "files"
    files.mkdir()
    for name in ("jpeg", "png"):
        (files / f"{name}-signed").write_bytes(signed(name)[0])
        (files / f"{name}-unsigned").write_bytes(unsigned(name))
    changed = bytearray(signed("png")[0])
    changed[-3] ^= 1
    (files / "changed").write_bytes(changed)
    who = make_credentials()
    (tmp_path / "ca.pem").write_bytes(who.ca_pem)
    (tmp_path / "leaf.pem").write_bytes(who.chain_pem)
    return tmp_path


def make(folder: Path, *more: str) -> Ran:
    return run(*MAKE, "--list", "CAs=ca.pem", "--out", "trust.json", *more, cwd=folder)


def scan(folder: Path, *arguments: str) -> Ran:
    return run("content", "scan", *arguments, cwd=folder)


def verdicts(ran: Ran) -> dict[str, int]:
    return {count["name"]: count["files"] for count in ran.document["verdicts"]}


def code_of(ran: Ran) -> str:
    return str(ran.document["error"]["code"])


def test_a_folder_is_scanned_with_a_trust_bundle_and_a_report(folder: Path) -> None:
    assert make(folder).code == EXIT_OK
    arguments = ("files", "--trust", "trust.json", "--out", "out.jsonl", "--report", "page.html")
    ran = scan(folder, *arguments, "--jobs", "2", "--json")
    assert ran.code == EXIT_OK, ran.err
    assert verdicts(ran) == {"verified": 2, "nothing-to-verify": 2, "tampered": 1}
    document = ran.document
    assert (document["files"], document["not_judged"]) == (5, 0)
    assert document["trust"]["sha256"] == load_trust((folder / "trust.json").read_bytes()).sha256
    assert document["sources"] == [{"name": "trainedAlgorithmicMedia", "files": 3}]
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == sorted(line["file"] for line in lines)
    assert "tampered" in (folder / "page.html").read_text()


def test_people_are_told_what_was_found(folder: Path) -> None:
    ran = scan(folder, "files", "--out", "out.jsonl", "--jobs", "1")
    assert ran.code == EXIT_OK
    assert "5, one line for each in out.jsonl" in ran.out
    assert "2  untrusted-signer" in ran.out
    assert ran.err == ""
    again = scan(folder, "files", "--out", "out.jsonl", "--resume")
    assert "5 were there before" in again.out


def test_the_output_is_not_scanned_even_if_it_lies_in_the_folder(folder: Path) -> None:
    arguments = ("files", "--out", "files/out.jsonl", "--report", "files/page.html", "--json")
    assert scan(folder, *arguments).document["files"] == 5
    assert scan(folder, *arguments, "--resume", "--replace").document["resumed"] == 5


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (("tampered",), 11),
        (("untrusted-signer",), 12),
        (("untrusted-signer", "tampered"), 11),
        (("malformed",), 0),
        (("nothing-to-verify",), 10),
    ],
)
def test_a_verdict_decides_the_exit_code_only_if_it_is_named(
    folder: Path, values: tuple[str, ...], code: int
) -> None:
    asked = [part for value in values for part in ("--fail-on", value)]
    ran = scan(folder, "files", "--out", "out.jsonl", "--jobs", "1", *asked, "--json")
    assert ran.code == ran.document["exit_code"] == code


def test_lists_name_files_and_those_that_are_gone_are_not_judged(folder: Path) -> None:
    (folder / "list.txt").write_text("files/png-signed\nfiles/gone\n")
    ran = scan(folder, "list.txt", "--out", "out.jsonl", "--json")
    assert (ran.code, ran.document["not_judged"]) == (15, 1)
    assert ran.document["verdict"] == "inconclusive"
    (folder / "rows.JSONL").write_text('{"path":"files/png-signed","id":"x"}\n')
    ran = scan(folder, "rows.JSONL", "--out", "rows.out", "--json")
    assert (ran.code, ran.document["files"]) == (EXIT_OK, 1)
    assert json.loads((folder / "rows.out").read_text())["id"] == "x"


def test_a_list_with_a_bad_line_ends_the_scan_and_keeps_what_is_whole(folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"path":"files/png-signed"}\n[]\n')
    ran = scan(folder, "rows.jsonl", "--out", "out.jsonl", "--json")
    assert (ran.code, code_of(ran)) == (EXIT_ERROR, "content-scan")
    assert all(json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines())


@pytest.mark.parametrize("existing", ["out.jsonl", "page.html"])
def test_files_that_are_there_are_kept(folder: Path, existing: str) -> None:
    (folder / existing).write_text("mine")
    ran = scan(folder, "files", "--out", "out.jsonl", "--report", "page.html", "--json")
    assert (ran.code, code_of(ran)) == (EXIT_ERROR, "file-exists")
    assert (folder / existing).read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ("gone", "--out", "o"),
        ("files",),
        ("files", "--out", "o", "--report", "./o"),
        ("files", "--out", "o", "--jobs", "0"),
        ("files", "--out", "o", "--timeout", "0"),
        ("files", "--out", "o", "--fail-on", "verified"),
        ("files", "--out", "o", "--trust-key", "ca.pem"),
        ("files", "--out", "o", "--trust", "ca.pem", "--trust-signature", "ca.pem"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(folder: Path, arguments: tuple[str, ...]) -> None:
    assert scan(folder, *arguments).code == EXIT_USAGE
    assert not (folder / "o").exists()


def test_an_interrupted_scan_says_how_to_go_on_and_goes_on(folder: Path) -> None:
    # The list never ends by itself: a FIFO that nobody closes.
    os.mkfifo(folder / "list.txt")
    command = [*COMMAND, "content", "scan", "list.txt", "--out", "out.jsonl", "--jobs", "1"]
    ran = subprocess.Popen(
        command, cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True
    )
    with (folder / "list.txt").open("w") as writer:
        writer.write("files/png-signed\n" * 200)
        writer.flush()
        output = folder / "out.jsonl"
        deadline = time.monotonic() + 60
        while not output.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        ran.send_signal(signal.SIGINT)
        _, err = ran.communicate(timeout=60)
    assert ran.returncode == EXIT_INTERRUPTED
    assert "--resume" in err
    text = output.read_text()
    assert text == "" or text.endswith("\n")
    done = len(text.splitlines())
    (folder / "list.txt").unlink()
    (folder / "list.txt").write_text("files/png-signed\n" * 200)
    again = scan(folder, "list.txt", "--out", "out.jsonl", "--resume", "--json")
    assert (again.document["files"], again.document["resumed"]) == (200, done)


def test_a_trust_bundle_is_made_from_pem_files(folder: Path) -> None:
    (folder / "two.pem").write_bytes(make_credentials().ca_pem * 2)
    more = ("--tsa", "clocks=two.pem", "--allow", "leaf.pem", "--valid-until", "2027-08-05")
    ran = make(folder, *more, "--json")
    assert ran.code == EXIT_OK, ran.err
    assert (ran.document["certificates"], ran.document["allowed"]) == (2, 1)
    bundle = load_trust((folder / "trust.json").read_bytes())
    assert ran.document["sha256"] == bundle.sha256
    assert (bundle.name, bundle.dated) == ("ours", date(2026, 8, 5))
    assert [(one.name, one.kind) for one in bundle.lists] == [
        ("CAs", "manifest"),
        ("clocks", "tsa"),
    ]
    assert "ca.pem, sha256 " in bundle.lists[0].source
    shown = run("content", "trust", "show", "trust.json", "--json", cwd=folder)
    assert shown.document["lists"][1]["certificates"][0]["subject"]
    assert shown.document["valid_until"] == "2027-08-05"
    assert shown.document["signature_checked"] is False
    people = run("content", "trust", "show", "trust.json", cwd=folder)
    assert "to be used until 2027-08-05" in people.out
    assert "nobody was asked who made this file" in people.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--list", "x=leaf.pem"), 14),
        (("--allow", "files/changed"), 14),
        (("--purpose", "1.3.6.1.5.5.7.3.8"), 14),
        (("--list", "CAs=ca.pem"), 14),
        (("--list", "ca.pem"), EXIT_USAGE),
        (("--list", "x=gone.pem"), EXIT_USAGE),
        (("--valid-until", "tomorrow"), EXIT_USAGE),
        (("--valid-until", "2026-08-04"), 14),
    ],
)
def test_a_bundle_that_nobody_could_use_is_not_written(
    folder: Path, arguments: tuple[str, ...], code: int
) -> None:
    assert make(folder, *arguments).code == code
    assert not (folder / "trust.json").exists()


def test_a_bundle_needs_somebody_to_believe_and_is_not_replaced_unasked(folder: Path) -> None:
    assert run(*MAKE, "--out", "trust.json", cwd=folder).code == EXIT_USAGE
    assert make(folder).code == EXIT_OK
    before = (folder / "trust.json").read_bytes()
    assert make(folder, "--allow", "leaf.pem").code == EXIT_ERROR
    assert (folder / "trust.json").read_bytes() == before
    assert make(folder, "--allow", "leaf.pem", "--replace").code == EXIT_OK
    assert (folder / "trust.json").read_bytes() != before


def test_a_signed_bundle_is_used_only_if_that_key_signed_it(folder: Path) -> None:
    for name in ("release", "stranger"):
        key = generate("ec-p256")
        (folder / f"{name}.key").write_bytes(key.pem(None))
        (folder / f"{name}.pub").write_bytes(key.public_key.pem)
    assert make(folder).code == EXIT_OK
    sign = ("sign", "trust.json", "--private-key", "release.key", "--signature", "trust.json.sig")
    assert run(*sign, cwd=folder).code == EXIT_OK
    show = ("content", "trust", "show", "trust.json", "--public-key")
    assert run(*show, "release.pub", "--json", cwd=folder).document["signature_checked"] is True
    assert run(*show, "stranger.pub", cwd=folder).code == 12
    arguments = ("files", "--trust", "trust.json", "--out", "out.jsonl", "--trust-key")
    assert scan(folder, *arguments, "stranger.pub").code == 12
    assert not (folder / "out.jsonl").exists()
    assert verdicts(scan(folder, *arguments, "release.pub", "--json"))["verified"] == 2
    text = (folder / "trust.json").read_text()
    (folder / "trust.json").write_text(text.replace("ours", "mine"))
    assert run(*show, "release.pub", cwd=folder).code == 11
