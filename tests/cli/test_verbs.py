"""`keygen`, `sign`, `inspect`, `diff`, `demo`: what each prints and leaves on disk."""

import re
import stat
from pathlib import Path

import pytest

from countermark.cli.keygen import TYPES
from countermark.signing.keys import KEY_TYPES
from support.command import Ran, run
from support.models import TENSORS, WEIGHTS, make_model, write_safetensors
from support.pki import authority

HEX = re.compile(r"[0-9a-f]{64}|[0-9a-f]{16}(?=…)")


def plain(text: str) -> str:
    """Return output with key ids replaced: they are new in every run."""
    return HEX.sub("ID", text)


def error_of(ran: Ran) -> tuple[int, object]:
    error = ran.document["error"]
    assert isinstance(error, dict)
    assert ran.document["exit_code"] == ran.code
    return ran.code, error["code"]


def test_help_offers_exactly_the_key_types_there_are() -> None:
    assert TYPES == KEY_TYPES


def test_keygen_writes_a_secret_and_a_public_file(tmp_path: Path) -> None:
    ran = run("keygen", "k", cwd=tmp_path)
    assert (ran.code, plain(ran.out)) == (
        0,
        "private key  k.key (not encrypted)\n"
        "public key   k.pub\n"
        "key id       ID (ecdsa-p256-sha256)\n",
    )
    assert ran.err == (
        "note: the private key is not encrypted\n"
        "  do: keep the file where nobody else reads it, or use --password-file\n"
    )
    assert stat.S_IMODE((tmp_path / "k.key").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"k.key", "k.pub"}


@pytest.mark.parametrize("kind", [kind for kind in TYPES if not kind.startswith("rsa")])
def test_keygen_types_sign_and_verify(desk: Path, kind: str) -> None:
    made = run("keygen", "k", "--type", kind, "--json", cwd=desk)
    assert made.document["encrypted"] is False
    signed = run("sign", "model", "--private-key", "k.key", "--replace", "--json", cwd=desk)
    (signer,) = signed.document["signers"]
    assert signer["key_id"] == made.document["key_id"]
    assert run("verify", "model", "--public-key", "k.pub", cwd=desk).code == 0
    assert run("verify", "model", "--public-key", "release.pub", cwd=desk).code == 12


@pytest.mark.parametrize("taken", ["k.key", "k.pub"])
def test_keygen_replaces_nothing_and_leaves_no_half_pair(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    assert error_of(run("keygen", "k", "--json", cwd=tmp_path)) == (1, "file-exists")
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_keygen_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    ran = run("keygen", "gone/k", cwd=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "countermark: error[io-error]: gone/k.key: No such file or directory\n"


def test_encrypted_key_needs_its_password(desk: Path) -> None:
    (desk / "password").write_text("correct horse\n")
    made = run("keygen", "k", "--password-file", "password", "--json", cwd=desk)
    assert made.document["encrypted"] is True
    sign = ("sign", "model", "--private-key", "k.key", "--replace", "--json")
    assert error_of(run(*sign, cwd=desk)) == (2, "wrong-password")
    wrong = {"COUNTERMARK_KEY_PASSWORD": "wrong horse"}
    assert error_of(run(*sign, cwd=desk, variables=wrong)) == (2, "wrong-password")
    right = {"COUNTERMARK_KEY_PASSWORD": "correct horse"}
    assert run(*sign, cwd=desk, variables=right).code == 0
    assert run(*sign, "--password-file", "password", cwd=desk).code == 0


def test_sign_says_what_it_signed(desk: Path) -> None:
    (desk / "model/model.sig").unlink()
    ran = run("sign", "model", "--private-key", "release.key", cwd=desk)
    size = sum(file.stat().st_size for file in (desk / "model").rglob("*") if file.is_file())
    size -= (desk / "model/model.sig").stat().st_size
    assert (ran.code, ran.err) == (0, "")
    assert plain(ran.out) == (
        f"signed       model (4 files, {size} B)\n"
        "by           key ID… (ecdsa-p256-sha256)\n"
        "written      model/model.sig\n"
    )


def test_sign_loses_no_signature_unless_told_to(desk: Path) -> None:
    before = (desk / "model/model.sig").read_bytes()
    sign = ("sign", "model", "--private-key", "stranger.key", "--json")
    assert error_of(run(*sign, cwd=desk)) == (1, "file-exists")
    assert (desk / "model/model.sig").read_bytes() == before
    assert run(*sign, "--replace", cwd=desk).code == 0
    assert (desk / "model/model.sig").read_bytes() != before


def test_second_key_signs_into_the_lines_file(desk: Path) -> None:
    keys = ("--private-key", "release.key", "--private-key", "stranger.key")
    signed = run("sign", "model", *keys, "--replace", "--json", cwd=desk)
    assert signed.document["files_written"] == ["model/model.sig", "model/model.sigs.jsonl"]
    both = ("--public-key", "release.pub", "--public-key", "stranger.pub")
    assert run("verify", "model", *both, cwd=desk).code == 0
    (desk / "model/model.sigs.jsonl").unlink()
    assert run("verify", "model", *both, cwd=desk).code == 12


def test_sign_notes_weights_that_were_left_out(desk: Path) -> None:
    sign = ("sign", "model", "--private-key", "release.key", "--replace", "--ignore-path", WEIGHTS)
    ran = run(*sign, cwd=desk)
    assert ran.code == 0
    assert "note: model.safetensors holds weights and is left out" in ran.err
    (note,) = run(*sign, "--json", cwd=desk).document["notes"]
    assert note["code"] == "weights-not-covered"


def test_sign_with_another_key_s_certificate_is_refused(desk: Path) -> None:
    (desk / "ca.pem").write_bytes(authority().pem)
    cert = ("--signing-cert", "ca.pem", "--replace", "--json")
    ran = run("sign", "model", "--private-key", "release.key", *cert, cwd=desk)
    assert error_of(ran) == (2, "key-unusable")


def test_previous_signature_by_somebody_else_is_no_ground_to_sign_on(desk: Path) -> None:
    again = ("--replace", "--cache", "digests", "--previous", "model/model.sig", "--json")
    ran = run("sign", "model", "--private-key", "stranger.key", *again, cwd=desk)
    assert error_of(ran) == (12, "verification-failed")
    assert run("sign", "model", "--private-key", "release.key", *again, cwd=desk).code == 0


def test_previous_without_a_cache_is_a_usage_error(desk: Path) -> None:
    again = ("--replace", "--previous", "model/model.sig", "--json")
    ran = run("sign", "model", "--private-key", "release.key", *again, cwd=desk)
    assert error_of(ran) == (2, "usage")


def test_inspect_shows_claims_and_says_that_they_are_claims(desk: Path) -> None:
    ran = run("inspect", "model/model.sig", cwd=desk)
    assert ran.code == 0
    assert ran.out.startswith("claims       nothing here was verified\nsigned by    key ")
    document = run("inspect", "model/model.sig", "--json", cwd=desk).document
    assert document["schema"] == "countermark/inspect-bundle/v1"
    assert document["verdict"] == "not-verified"
    (bundle,) = document["bundles"]
    assert WEIGHTS in [file["path"] for file in bundle["files"]]


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("release.pub", "inspect-key"),
        (f"model/{WEIGHTS}", "inspect-safetensors"),
        ("ca.pem", "inspect-certificates"),
    ],
)
def test_inspect_knows_keys_certificates_and_weights(desk: Path, file: str, schema: str) -> None:
    (desk / "ca.pem").write_bytes(authority().pem)
    assert run("inspect", file, cwd=desk).code == 0
    ran = run("inspect", file, "--json", cwd=desk)
    assert ran.document["schema"] == f"countermark/{schema}/v1"


def test_inspect_counts_the_leaves_of_a_large_model(desk: Path) -> None:
    with (desk / "model" / "large.gguf").open("wb") as file:
        file.truncate(1 << 30)  # With the rest more than the 1024 blocks that travel inside.
    signed = run("sign", "model", "--private-key", "release.key", "--replace", "--json", cwd=desk)
    assert "model/model.sig.leaves" in signed.document["files_written"]
    shown = run("inspect", "model/model.sig.leaves", "--json", cwd=desk).document
    assert {"path": "large.gguf", "blocks": 1024} in shown["files"]
    assert "large.gguf" in run("inspect", "model/model.sig.leaves", cwd=desk).out


def test_inspect_shows_nothing_of_a_private_key(desk: Path) -> None:
    ran = run("inspect", "release.key", "--json", cwd=desk)
    assert error_of(ran) == (2, "key-unusable")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{}", "malformed-bundle"),
        (b'{"a":1,"a":2}', "malformed-json"),
        (b"", "malformed-safetensors"),
        (b"\xff" * 99, "malformed-safetensors"),
        (b"-----BEGIN CERTIFICATE-----\n", "malformed-certificate"),
    ],
    ids=["empty-object", "twice-one-key", "empty", "noise", "half-certificate"],
)
def test_inspect_refuses_what_cannot_be_read(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "file").write_bytes(data)
    assert error_of(run("inspect", "file", "--json", cwd=tmp_path)) == (14, code)


def test_diff_names_files_and_tensors(desk: Path) -> None:
    other = make_model(desk / "other")
    changed = {**TENSORS, "head.bias": ("F32", (2,), bytes(8))}
    write_safetensors(other / WEIGHTS, changed)
    (other / "config.json").unlink()
    (other / "new.txt").write_text("new")
    ran = run("diff", "model", "other", cwd=desk)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "removed      config.json\n"
        "changed      model.safetensors (1 of 3 tensors)\n"
        "             changed  head.bias\n"
        "added        new.txt\n"
        "same         2 files\n"
    )
    as_json = run("diff", "model", "other", "--json", "--exit-code", cwd=desk)
    assert (as_json.code, as_json.document["verdict"]) == (11, "different")


def test_diff_of_a_model_and_its_signature_is_empty(desk: Path) -> None:
    ran = run("diff", "model", "model/model.sig", "--exit-code", "--json", cwd=desk)
    assert (ran.code, ran.document["verdict"]) == (0, "same")


def test_demo_tells_the_whole_story(tmp_path: Path) -> None:
    ran = run("demo", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    checkpoint, rest = plain(ran.out).partition("marked ")[::2]
    marks, credentials = rest.partition("credited ")[::2]
    assert checkpoint == (
        "made         tiny-model: model.safetensors with 4 tensors\n"
        "signed       model.sig, by key ID…\n"
        "verified     every tensor is as signed\n"
        "tampered     one bit of the weights was flipped\n"
        "refused      model.safetensors: tensor layers.0.mlp.up_proj is changed "
        "(1 of 4 tensors, 25 % of its bytes)\n"
    )
    assert re.fullmatch(
        # The keys are new each time: now and then a context comes twice, and is marked once.
        r" +24[0-8] tokens of text, with key \S+\n"
        r"found        by key \S+, p = \S+e-\d\d+\n"
        r"not found    by key \S+, p = \S+\n",
        marks,
    )
    assert credentials == (
        "    answer.txt, by a manifest that names tiny-model\n"
        "verified     it leads to what tiny-model's signature lists\n"
        "refused      one word of it was changed\n"
    )
    document = run("demo", "--json", cwd=tmp_path).document
    assert document["credentials"] == {"before": "verified", "after": "tampered"}
    assert document["tensors"] == ["layers.0.mlp.up_proj"]
    assert document["marks"] == {"own_key": "mark-found", "other_key": "no-mark-found"}
