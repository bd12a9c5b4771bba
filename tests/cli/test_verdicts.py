"""`verify`: each way in which it can end, as people, programs and shells see it."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.command import run
from support.models import TENSORS, WEIGHTS, make_hub_snapshot, make_local_dir, write_safetensors
from support.pki import authority, email, signer

BY_KEY = ("verify", "model", "--public-key", "release.pub")


def as_signed(desk: Path) -> None:
    """Leave everything as it is."""


def unsigned(desk: Path) -> None:
    (desk / "model/model.sig").unlink()


def one_bit(desk: Path) -> None:
    file = desk / "model" / WEIGHTS
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def one_byte_of_signature(desk: Path) -> None:
    file = desk / "model/model.sig"
    bundle = json.loads(file.read_text())
    envelope = bundle["dsseEnvelope"]
    signature = envelope["signatures"][0]["sig"]
    envelope["signatures"][0]["sig"] = ("A" if signature[30] != "A" else "B").join(
        (signature[:30], signature[31:])
    )
    file.write_text(json.dumps(bundle))


def missing(desk: Path) -> None:
    (desk / "model/config.json").unlink()


def other_key(desk: Path) -> None:
    (desk / "stranger.pub").replace(desk / "release.pub")


def not_a_bundle(desk: Path) -> None:
    (desk / "model/model.sig").write_text("{}")


def more_weights(desk: Path) -> None:
    write_safetensors(desk / "model/extra.safetensors", {"x": b"1234"})


CASES: list[tuple[Callable[[Path], None], list[str], int, str, str]] = [
    (as_signed, [], 0, "verified", "verified"),
    (unsigned, [], 10, "nothing-to-verify", "signature-not-found"),
    (as_signed, ["--signature", "gone.sig"], 10, "nothing-to-verify", "unsigned"),
    (one_bit, [], 11, "tampered", "file-changed"),
    (one_byte_of_signature, [], 11, "tampered", "signature-invalid"),
    (missing, [], 11, "tampered", "file-missing"),
    (other_key, [], 12, "untrusted-signer", "wrong-key"),
    (not_a_bundle, [], 14, "malformed", "malformed-bundle"),
    (missing, ["--partial"], 15, "inconclusive", "partial"),
    (missing, ["--accept-partial"], 0, "verified", "verified"),
    (as_signed, ["--partial"], 0, "verified", "verified"),
    (more_weights, ["--ignore-unsigned"], 16, "refused", "weights-not-covered"),
    (
        more_weights,
        ["--ignore-unsigned", "--allow-uncovered-weights"],
        0,
        "verified",
        "verified",
    ),
]
IDS = [f"{case[0].__name__}-{'-'.join(case[1])}" for case in CASES]


@pytest.mark.parametrize(("change", "options", "code", "verdict", "check"), CASES, ids=IDS)
def test_verify_ends_the_same_way_in_every_format(
    desk: Path,
    change: Callable[[Path], None],
    options: list[str],
    code: int,
    verdict: str,
    check: str,
) -> None:
    change(desk)
    as_json = run(*BY_KEY, *options, "--json", cwd=desk)
    assert (as_json.code, as_json.err) == (code, "")
    document = as_json.document
    assert document["schema"] == "countermark/verdict/v1"
    assert (document["verdict"], document["code"]) == (verdict, check)
    assert document["exit_code"] == code

    human = run(*BY_KEY, *options, cwd=desk)
    assert human.code == code
    assert ("VERIFIED" in human.out) == (code == 0)
    assert (f"[{check}]" in human.out) == (code != 0)

    quiet = run(*BY_KEY, *options, "-q", cwd=desk)
    assert (quiet.code, quiet.out) == (code, "")
    expected = f"countermark: error[{check}]: {document['sentence']}\n" if code else ""
    assert quiet.err == expected


def test_success_is_told_in_three_lines_and_nothing_on_standard_error(desk: Path) -> None:
    ran = run(*BY_KEY, cwd=desk)
    assert ran.err == ""
    first, second, third = ran.out.splitlines()
    assert first.startswith("VERIFIED     model (4 of 4 signed files, ")
    assert second.startswith("signed by    key ")
    assert third == "compared     blake3-blocks, sha256"


def test_refusal_names_the_tensor_on_standard_output_and_the_hint_on_standard_error(
    desk: Path,
) -> None:
    one_bit(desk)
    ran = run(*BY_KEY, cwd=desk)
    assert ran.out.splitlines()[0] == "TAMPERED     model  [file-changed]"
    assert f"{WEIGHTS}: tensor head.bias is changed (1 of 3 tensors, " in ran.out.splitlines()[1]

    missing(desk)
    ran = run(*BY_KEY, cwd=desk)
    assert "config.json was signed and is not here" in ran.out
    assert "  do: finish the download, or pass --partial" in ran.err


def test_trusting_nobody_is_not_trusting_everybody(desk: Path) -> None:
    ran = run("verify", "model", "--json", cwd=desk)
    assert ran.code == 12
    assert ran.document["code"] == "no-trust-given"


def test_every_public_key_given_must_have_signed(desk: Path) -> None:
    ran = run(*BY_KEY, "--public-key", "stranger.pub", "--json", cwd=desk)
    assert ran.code == 12
    assert ran.document["code"] == "wrong-key"


@pytest.mark.parametrize(
    ("days", "identity", "code", "check"),
    [
        (30, "email:release@example.org", 0, "verified"),
        (30, "email:release@example.com", 12, "identity-mismatch"),
        (-1, "email:release@example.org", 13, "certificate-expired"),
    ],
    ids=["in-time", "other-identity", "expired"],
)
def test_verify_judges_certificates(
    desk: Path, days: int, identity: str, code: int, check: str
) -> None:
    now = datetime.now(UTC)
    ca = authority(not_before=now - timedelta(days=90), not_after=now + timedelta(days=90))
    leaf = signer(
        ca,
        email("release@example.org"),
        not_before=now - timedelta(days=60),
        not_after=now + timedelta(days=days),
    )
    (desk / "ca.pem").write_bytes(ca.pem)
    (desk / "leaf.pem").write_bytes(leaf.pem)
    (desk / "leaf.key").write_bytes(leaf.key_pem)
    sign = ("sign", "model", "--replace", "--private-key", "leaf.key", "--signing-cert", "leaf.pem")
    assert run(*sign, cwd=desk).code == 0

    trust = ("--cert-chain", "ca.pem", "--identity", identity)
    ran = run("verify", "model", *trust, "--json", cwd=desk)
    assert (ran.code, ran.document["code"]) == (code, check)
    human = run("verify", "model", *trust, cwd=desk)
    assert human.code == code
    assert "email:release@example.org" in human.out

    unnamed = run("inspect", "leaf.pem", "--json", cwd=desk)
    (shown,) = unnamed.document["certificates"]
    assert shown["identities"] == ["email:release@example.org"]


def test_verify_reads_a_hub_snapshot_and_a_local_dir(desk: Path) -> None:
    sign = ("--private-key", "release.key")
    for place in (make_hub_snapshot(desk / "hub"), make_local_dir(desk / "local")):
        signature = desk / f"{place.parent.name}.sig"
        signed = run("sign", place, *sign, "--signature", signature, "--json", cwd=desk)
        assert signed.document["files"] == 4
        verify = ("verify", place, "--signature", signature, "--public-key", "release.pub")
        assert run(*verify, cwd=desk).code == 0
        weights = (place / WEIGHTS).resolve()
        weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
        assert run(*verify, cwd=desk).code == 11


def test_cached_files_are_said_to_be_cached(desk: Path) -> None:
    old = 1_600_000_000
    for file in (desk / "model").rglob("*"):
        os.utime(file, (old, old))
    cached = (*BY_KEY, "--cache", "digests.json", "--json")
    assert run(*cached, cwd=desk).code == 0
    key = desk / "state/countermark/cache.key"
    assert key.stat().st_mode & 0o777 == 0o600

    (desk / "digests.json").write_text("{}")
    ran = run(*cached, cwd=desk)
    assert ran.code == 1
    assert ran.document["error"]["code"] == "cache-unusable"


def test_hostile_names_reach_no_terminal(desk: Path) -> None:
    name = "a\x1b[31m\u202eb\nVERIFIED.txt"
    (desk / "model" / name).write_text("x")
    human = run(*BY_KEY, cwd=desk)
    assert human.code == 11
    assert "\x1b" not in human.out + human.err
    assert "a\\x1b[31m\\u202eb\\x0aVERIFIED.txt is here and was not signed" in human.out
    quiet = run(*BY_KEY, "-q", cwd=desk)
    assert "\x1b" not in quiet.err
    assert quiet.err.count("\n") == 1
    (finding,) = run(*BY_KEY, "--json", cwd=desk).document["findings"]
    assert finding["path"] == name


def test_a_name_that_is_not_utf8_is_refused_and_shown_escaped(desk: Path) -> None:
    try:
        (desk / b"model/\xff.txt".decode("utf-8", "surrogateescape")).write_text("x")
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    ran = run(*BY_KEY, cwd=desk)
    assert ran.code == 16
    assert "[name-not-utf8]" in ran.out
    assert run(*BY_KEY, "--json", cwd=desk).document["code"] == "name-not-utf8"


def test_changed_tensors_are_all_in_the_document(desk: Path) -> None:
    other = {
        name: (t[0], t[1], bytes(len(t[2]))) for name, t in TENSORS.items() if isinstance(t, tuple)
    }
    write_safetensors(desk / "model" / WEIGHTS, other)
    (finding,) = run(*BY_KEY, "--json", cwd=desk).document["findings"]
    assert [tensor["name"] for tensor in finding["tensors"]] == sorted(TENSORS)
    assert {tensor["change"] for tensor in finding["tensors"]} == {"changed"}
