"""Names that talk to the terminal: nothing of them arrives there, whoever prints."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countermark.signing.keys import PrivateKey, generate, load_private_key
from support import pki
from support.models import (
    make_model,
    resign_statement,
    sign,
    statement_of,
    write_private_key,
    write_public_key,
    write_safetensors,
)

ESCAPE = "\x1b[2K\x1b[1A\x1b[32mVERIFIED\x1b[0m"
NAMES = (
    f"{ESCAPE}.bin",
    "title\x1b]0;owned\x07.txt",
    "c1\x9b31m.txt",
    "del\x7fete.txt",
    "back\bspace\rreturn.txt",
    "line\nfeed.txt",
    "gnp\u202egnp.exe",
    "zero\u200bwidth.txt",
)
# All that a terminal may act on; a line feed, and the return a terminal adds to it, are ours.
_ACTS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
)

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
Cli = Callable[..., Any]


@pytest.fixture(params=["pipe", "terminal"])
def run(request: pytest.FixtureRequest) -> Cli:
    chosen: Cli = request.getfixturevalue("cli" if request.param == "pipe" else "terminal")
    return chosen


@pytest.fixture
def key() -> PrivateKey:
    return generate("ec-p256")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = make_model(tmp_path / "model", dict.fromkeys(NAMES, b"x"), tensors=None)
    tensors = {f"{ESCAPE}{index}": bytes([index]) for index in range(3)}
    write_safetensors(made / f"{ESCAPE}.safetensors", tensors, metadata={ESCAPE: ESCAPE})
    return made


def expect_silence(run: Cli, *arguments: str | Path, codes: tuple[int, ...]) -> None:
    for style in ((), ("--json",)):
        ran = run(*arguments, *style)
        shown = (ran.out + ran.err).decode()
        assert ran.code in codes, shown
        assert shown
        acts = _ACTS.search(shown)
        assert acts is None, f"{acts} in {shown!r}"


def test_row_15_no_name_reaches_the_terminal_raw_when_signing(
    run: Cli, model: Path, key: PrivateKey, tmp_path: Path
) -> None:
    private = write_private_key(tmp_path, key)
    expect_silence(run, "sign", model, "--private-key", private, "--replace", codes=(0,))
    target = tmp_path / f"{ESCAPE}.sig"
    arguments = ("sign", model, "--private-key", private, "--signature", target)
    expect_silence(run, *arguments, "--replace", codes=(0,))
    expect_silence(run, *arguments, codes=(1,))  # It exists, which the message says by name.


def test_row_15_no_name_reaches_the_terminal_raw_when_verifying(
    run: Cli, model: Path, key: PrivateKey, tmp_path: Path
) -> None:
    sign(model, key=key)
    verify = ("verify", model, "--public-key", write_public_key(tmp_path, key.public_key))
    expect_silence(run, *verify, codes=(0,))
    (model / f"extra{ESCAPE}.txt").write_text("x")
    (model / NAMES[0]).write_text("y")
    (model / NAMES[1]).unlink()
    (model / NAMES[2]).rename(model / f"{ESCAPE}renamed")
    weights = model / f"{ESCAPE}.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    expect_silence(run, *verify, codes=(11,))
    expect_silence(run, *verify, "--partial", "--ignore-unsigned", codes=(11,))
    weights.write_bytes(b"\x40\0\0\0\0\0\0\0{" + ESCAPE.encode() + b" " * 80)
    expect_silence(run, *verify, codes=(11,))


@pytest.mark.parametrize("make", ["link", "fifo", "folder-link"])
def test_row_15_no_name_reaches_the_terminal_raw_when_a_place_is_refused(
    run: Cli, model: Path, key: PrivateKey, tmp_path: Path, make: str
) -> None:
    sign(model, key=key)
    bad = model / f"bad{ESCAPE}"
    if make == "fifo":
        os.mkfifo(bad)
    else:
        bad.symlink_to("/etc/passwd" if make == "link" else "/etc")
    verify = ("verify", model, "--public-key", write_public_key(tmp_path, key.public_key))
    expect_silence(run, *verify, codes=(16,))
    private = write_private_key(tmp_path, key)
    expect_silence(run, "sign", model, "--private-key", private, "--replace", codes=(1,))


def test_row_15_no_name_reaches_the_terminal_raw_when_inspecting_or_comparing(
    run: Cli, model: Path, key: PrivateKey, tmp_path: Path
) -> None:
    signature, _ = sign(model, key=key)
    expect_silence(run, "inspect", signature, codes=(0,))
    expect_silence(run, "inspect", model / f"{ESCAPE}.safetensors", codes=(0,))
    expect_silence(run, "inspect", model / NAMES[0], codes=(14,))
    other = make_model(tmp_path / "other", {f"new{ESCAPE}": b"z"})
    expect_silence(run, "diff", model, other, codes=(0,))
    expect_silence(run, "diff", signature, other, codes=(0,))


def test_row_15_no_claim_in_a_bundle_reaches_the_terminal_raw(
    run: Cli, model: Path, key: PrivateKey, tmp_path: Path
) -> None:
    signature, _ = sign(model, key=key)
    good: Any = statement_of(signature)
    verify = ("verify", model, "--public-key", write_public_key(tmp_path, key.public_key))
    bends: tuple[Callable[[Any], object], ...] = (
        lambda s: s["subject"][0].update(name=ESCAPE),
        lambda s: s.update(predicateType=ESCAPE),
        lambda s: s["predicate"]["serialization"].update(hash_type=ESCAPE),
        lambda s: s["predicate"]["serialization"].update(ignore_paths=[ESCAPE]),
        lambda s: s["predicate"]["resources"][0].update(name=f"../{ESCAPE}"),
        lambda s: s["predicate"]["resources"][0].update(digest=ESCAPE),
        lambda s: s["predicate"]["resources"][0].update(algorithm=ESCAPE),
        lambda s: s["predicate"]["resources"][0].update(countermark={"v": 1, ESCAPE: 1}),
        lambda s: s["predicate"]["resources"][0].update(countermark=ESCAPE),
    )
    for bend in bends:
        statement = json.loads(json.dumps(good))
        bend(statement)
        signature.write_bytes(resign_statement(statement, key))
        expect_silence(run, *verify, codes=(0, 14))
        expect_silence(run, "inspect", signature, codes=(0, 14))


def test_row_15_no_unsigned_claim_reaches_the_terminal_raw(
    run: Cli, model: Path, key: PrivateKey, tmp_path: Path
) -> None:
    signature, _ = sign(model, key=key)
    good = json.loads(signature.read_bytes())
    verify = ("verify", model, "--public-key", write_public_key(tmp_path, key.public_key))
    bends: tuple[Callable[[Any], object], ...] = (
        lambda b: b.update(mediaType=ESCAPE),
        lambda b: b.update({ESCAPE: 1}),
        lambda b: b["dsseEnvelope"].update(payloadType=ESCAPE),
        lambda b: b["dsseEnvelope"].update({ESCAPE: 1}),
        lambda b: b["verificationMaterial"].update({ESCAPE: 1}),
        lambda b: b["verificationMaterial"]["publicKey"].update(hint=ESCAPE),
    )
    for bend in bends:
        bundle = json.loads(json.dumps(good))
        bend(bundle)
        signature.write_text(json.dumps(bundle))
        expect_silence(run, *verify, codes=(12, 14))
        expect_silence(run, "inspect", signature, codes=(0, 14))


def test_row_15_no_argument_reaches_the_terminal_raw(run: Cli, model: Path) -> None:
    expect_silence(run, "verify", model / f"no{ESCAPE}", codes=(2,))
    expect_silence(run, "verify", model, "--ignore-path", f"../{ESCAPE}", codes=(2, 10, 12))
    expect_silence(run, "inspect", f"no{ESCAPE}", codes=(2,))
    expect_silence(run, "verify", model, "--public-key", model / NAMES[0], codes=(2,))
    expect_silence(run, f"no{ESCAPE}", codes=(2,))


def test_row_15_no_name_in_a_certificate_reaches_the_terminal_raw(
    run: Cli, model: Path, tmp_path: Path
) -> None:
    root = pki.authority(f"CA {ESCAPE}", not_after=NEVER)
    for name in (pki.uri(f"https://x/{ESCAPE}"), pki.email(f"a{ESCAPE}@b.c"), pki.dns(ESCAPE)):
        leaf = pki.signer(root, name, name=ESCAPE, not_after=NEVER)
        key = load_private_key(leaf.key_pem)
        signature, _ = sign(model, key=key, chain=(leaf.der,), replace=True)
        (tmp_path / "root.pem").write_bytes(root.pem)
        verify = ("verify", model, "--cert-chain", tmp_path / "root.pem")
        expect_silence(run, *verify, codes=(0,))
        expect_silence(run, *verify, "--identity", "email:me@example.org", codes=(12,))
        expect_silence(run, "inspect", signature, codes=(0,))
