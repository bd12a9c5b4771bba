"""`cert dev-ca`, `cert dev-tsa` and `cert lint`, as people and as programs run them."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from countermark.cli.cert import dev_ca, lint
from countermark.provenance.cert_lint import ALGORITHMS
from countermark.provenance.dev_ca import DEV_KEY_TYPES, MAX_DAYS, PROFILE_DAYS
from countermark.provenance.identity import load_identity
from countermark.provenance.timestamping import REQUEST_TYPE
from countermark.provenance.trust import engine_settings, load_trust
from countermark.signing.keys import generate
from countermark.signing.timestamps import trusted_time
from countermark.signing.x509_loading import load_pem_certificates
from support.command import COMMAND, Ran, check_document, environment, run
from support.credentials import make_credentials
from support.extras import need_timestamp
from support.signing_content import signed_store, state_of

FILES = {"ca.pem", "signer.pem", "signer.key", "tsa.pem", "tsa.key", "trust.json"}


def make(folder: Path, *options: str) -> Ran:
    return run("cert", "dev-ca", "dev", *options, cwd=folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that dev-ca made; nobody writes to it."""
    folder = tmp_path_factory.mktemp("made")
    assert make(folder).code == 0
    return folder / "dev"


def error_of(ran: Ran) -> str:
    return str(ran.document["error"]["code"])


# --- dev-ca


def test_choices_in_the_help_are_those_of_the_core() -> None:
    assert dev_ca.TYPES == DEV_KEY_TYPES
    assert (dev_ca._MAX_DAYS, dev_ca._PROFILE_DAYS) == (MAX_DAYS, PROFILE_DAYS)
    assert lint.ALGORITHMS == ALGORITHMS


def test_dev_ca_makes_everything_and_only_the_keys_are_private(made: Path) -> None:
    assert set(contents(made)) == FILES
    for key in ("signer.key", "tsa.key"):
        assert (made / key).stat().st_mode & 0o777 == 0o600
    for other in FILES - {"signer.key", "tsa.key"}:
        assert b"PRIVATE" not in (made / other).read_bytes()


def test_dev_ca_says_what_it_made_and_that_it_is_for_development(tmp_path: Path) -> None:
    ran = make(tmp_path, "--json", "--days", "9", "--key-type", "ed25519")
    document = ran.document
    assert (ran.code, ran.err) == (0, "")
    assert document["signing_cert"] == "dev/signer.pem"
    assert (document["key_type"], document["tsa_url"]) == ("ed25519", None)
    end = datetime.fromisoformat(document["not_after"])
    (leaf,) = load_pem_certificates((tmp_path / "dev/signer.pem").read_bytes())
    assert end == leaf.not_valid_after_utc
    assert end - leaf.not_valid_before_utc == timedelta(days=9, minutes=5)
    told = run("cert", "dev-ca", "two", "--days", "400", "--organization", "Acme", cwd=tmp_path)
    assert "for development" in told.err
    assert "400 days are more" in told.err
    assert "PRIVATE" not in told.out + told.err
    (other,) = load_pem_certificates((tmp_path / "two/signer.pem").read_bytes())
    assert "O=Acme" in other.subject.rfc4514_string()


def test_what_dev_ca_made_signs_and_its_trust_bundle_trusts_it_and_no_other(made: Path) -> None:
    chain, key = ((made / name).read_bytes() for name in ("signer.pem", "signer.key"))
    store = signed_store(
        load_identity(chain, key, at=datetime.now(UTC)), make_credentials().settings
    )
    bundle = load_trust((made / "trust.json").read_bytes())
    assert [(listed.kind, len(listed.certificates)) for listed in bundle.lists] == [
        ("manifest", 1),
        ("tsa", 1),
    ]
    assert state_of(store, engine_settings(bundle))[0] == "Trusted"
    assert state_of(store, make_credentials().settings)[0] == "Valid"


def test_dev_ca_replaces_nothing_unless_it_is_told_to_and_then_everything(tmp_path: Path) -> None:
    assert make(tmp_path, "-q").code == 0
    first = contents(tmp_path / "dev")
    ran = make(tmp_path, "--json")
    assert (ran.code, error_of(ran)) == (1, "file-exists")
    assert contents(tmp_path / "dev") == first
    assert make(tmp_path, "--replace").code == 0
    second = contents(tmp_path / "dev")
    assert second.keys() == first.keys()
    assert all(second[name] != first[name] for name in first)


@pytest.mark.parametrize("name", sorted(FILES))
def test_dev_ca_writes_nothing_if_one_file_is_there_already(tmp_path: Path, name: str) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / name).write_bytes(b"somebody's")
    assert make(tmp_path).code == 1
    assert contents(tmp_path / "dev") == {name: b"somebody's"}


def test_dev_ca_leaves_no_folder_behind_if_it_cannot_write(tmp_path: Path) -> None:
    ran = run("cert", "dev-ca", "gone/dev", "--json", cwd=tmp_path)
    assert (ran.code, error_of(ran)) == (1, "io-error")
    ran = run("cert", "dev-ca", "dev", "--organization", "x" * 42, "--json", cwd=tmp_path)
    assert (ran.code, error_of(ran)) == (2, "content-credential")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [("--days", "0"), ("--days", "3651"), ("--key-type", "dsa"), ("--port", "65536")]
)
def test_dev_ca_refuses_options_that_cannot_be_meant(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert make(tmp_path, *options).code == 2
    assert list(tmp_path.iterdir()) == []


# --- dev-tsa, and --serve-tsa


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "cert", *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_document(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            break
    document: dict[str, object] = json.loads(text)
    check_document(document)
    return document


def stamped(url: str, query: bytes) -> bytes:
    asked = urllib.request.Request(url, query, {"Content-Type": REQUEST_TYPE})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=20) as answered:  # noqa: S310
        data: bytes = answered.read()
        return data


QUERY = bytes.fromhex(
    # SHA-256 of "abc", no nonce, with the certificate.
    "303902010130313"
    "00d060960864801650304020105000420"
    + "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    + "0101ff"
)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_dev_tsa_serves_until_it_is_interrupted_and_that_is_no_error(
    made: Path, how: signal.Signals
) -> None:
    with serving(made.parent, "dev-tsa", "dev", "--port", "0", "--json") as process:
        document = first_document(process)
        token = stamped(str(document["tsa_url"]), QUERY)
        process.send_signal(how)
        rest, err = process.communicate(timeout=60)
        assert (process.returncode, rest, err) == (0, "", "")
    need_timestamp()
    (root,) = load_pem_certificates((made / "ca.pem").read_bytes())
    checks, at = trusted_time([token], b"abc", [root])
    assert [check.code for check in checks] == ["timestamp-valid"]
    assert at is not None


def test_dev_ca_serves_timestamps_in_one_command(tmp_path: Path) -> None:
    words = ("dev-ca", "dev", "--serve-tsa", "--port", "0", "--json")
    with serving(tmp_path, *words) as process:
        token = stamped(str(first_document(process)["tsa_url"]), QUERY)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    need_timestamp()
    (root,) = load_pem_certificates((tmp_path / "dev/ca.pem").read_bytes())
    assert trusted_time([token], b"abc", [root])[1] is not None


def test_port_that_is_taken_is_said_before_anything_is_written(tmp_path: Path, made: Path) -> None:
    with serving(made.parent, "dev-tsa", "dev", "--port", "0", "--json") as process:
        port = str(first_document(process)["tsa_url"]).rstrip("/").rpartition(":")[2]
        ran = make(tmp_path, "--serve-tsa", "--port", port, "--json")
        assert (ran.code, error_of(ran)) == (1, "io-error")
        assert list(tmp_path.iterdir()) == []


def test_dev_tsa_refuses_a_folder_that_dev_ca_did_not_make(tmp_path: Path, made: Path) -> None:
    ran = run("cert", "dev-tsa", ".", "--json", cwd=tmp_path)
    assert (ran.code, error_of(ran)) == (1, "io-error")
    (tmp_path / "tsa.pem").write_bytes((made / "signer.pem").read_bytes())
    (tmp_path / "tsa.key").write_bytes((made / "signer.key").read_bytes())
    ran = run("cert", "dev-tsa", ".", "--json", cwd=tmp_path)
    assert (ran.code, error_of(ran)) == (2, "content-credential")
    assert run("cert", "dev-tsa", "gone", cwd=tmp_path).code == 2


# --- lint


def test_lint_accepts_what_dev_ca_made_and_says_until_when(made: Path) -> None:
    words = ("cert", "lint", "signer.pem", "--key", "signer.key", "--ca", "ca.pem")
    ran = run(*words, cwd=made)
    assert ran.code == 0
    assert ran.out.startswith("OK           signer.pem can sign content\n")
    assert "cert-without-timestamp: what it signs without a trusted timestamp stops" in ran.out
    document = run(*words, "--json", cwd=made).document
    assert (document["verdict"], document["exit_code"]) == ("verified", 0)
    statuses = {check["code"]: check["status"] for check in document["checks"]}
    assert statuses["cert-key-match"] == statuses["cert-chain-complete"] == "held"
    assert run(*words, "-q", cwd=made) == Ran(0, "", "")


def test_lint_names_the_rule_that_is_broken_and_what_to_do(made: Path, tmp_path: Path) -> None:
    (tmp_path / "other.key").write_bytes(generate("ec-p256").pem(None))
    words = ("cert", "lint", made / "signer.pem", "--key", "other.key")
    ran = run(*words, cwd=tmp_path)
    assert ran.code == 16
    first, second, third = ran.out.splitlines()[:3]
    assert first.startswith("REFUSED")
    assert first.endswith("breaks 1 rule")
    assert second.startswith("broken       cert-key-match: ")
    assert third.strip().startswith("do: ")
    document = run(*words, "--json", cwd=tmp_path).document
    assert (document["code"], document["exit_code"]) == ("cert-key-match", 16)
    quiet = run(*words, "-q", cwd=tmp_path)
    assert (quiet.code, quiet.out) == (16, "")
    assert "error[cert-key-match]" in quiet.err


def test_lint_judges_for_another_moment(made: Path) -> None:
    for moment, code in (("2001-01-01", "certificate-not-yet-valid"), ("2099-01-01T00:00:00Z", "")):
        ran = run("cert", "lint", "signer.pem", "--at", moment, "--json", cwd=made)
        assert ran.code == 13
        assert ran.document["verdict"] == "outside-validity"
        assert ran.document["code"] == (code or "certificate-expired")


def test_lint_finds_a_missing_link_only_if_it_knows_where_the_chain_must_lead(
    made: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.pem").write_bytes(make_credentials().ca_pem)
    words = ("cert", "lint", made / "signer.pem", "--ca", "other.pem")
    ran = run(*words, "--json", cwd=tmp_path)
    assert (ran.code, ran.document["code"]) == (16, "cert-chain-complete")
    both = run(*words, "--ca", made / "ca.pem", cwd=tmp_path)
    assert both.code == 0


def test_lint_refuses_an_algorithm_of_another_key(made: Path) -> None:
    words = ("cert", "lint", "signer.pem", "--json", "--algorithm")
    assert run(*words, "es256", cwd=made).code == 0
    ran = run(*words, "ps256", cwd=made)
    assert (ran.code, ran.document["code"]) == (16, "cert-algorithm")


def test_lint_opens_a_locked_key_with_a_password(made: Path, tmp_path: Path) -> None:
    key = generate("ec-p256")
    (tmp_path / "locked.key").write_bytes(key.pem(b"secret"))
    (tmp_path / "password").write_text("secret\n")
    words = ("cert", "lint", made / "signer.pem", "--key", "locked.key", "--json")
    ran = run(*words, cwd=tmp_path)
    assert (ran.code, error_of(ran)) == (2, "wrong-password")
    ran = run(*words, "--password-file", "password", cwd=tmp_path)
    assert (ran.code, ran.document["code"]) == (16, "cert-key-match")


def test_lint_of_what_is_no_certificate_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("nothing\n")
    ran = run("cert", "lint", "chain.pem", "--json", cwd=tmp_path)
    assert (ran.code, error_of(ran)) == (14, "malformed-certificate")
    (tmp_path / "key.pem").write_text("nothing\n")
    made = make_credentials()
    (tmp_path / "chain.pem").write_bytes(made.chain_pem)
    ran = run("cert", "lint", "chain.pem", "--key", "key.pem", "--json", cwd=tmp_path)
    assert (ran.code, error_of(ran)) == (2, "key-unusable")


def test_group_lists_its_verbs_without_importing_what_they_need(tmp_path: Path) -> None:
    out = run("cert", "--help", cwd=tmp_path).out
    assert [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()][::1]
    for verb in ("dev-ca", "dev-tsa", "lint"):
        assert f"\n  {verb} " in out
    code = (
        "import sys; from countermark.cli.cert import command as c; import click;"
        "[c.get_command(click.Context(c), v) for v in c.list_commands(click.Context(c))];"
        "sys.exit(any(m in sys.modules for m in ('cryptography', 'c2pa', 'http.server')))"
    )
    done = subprocess.run([COMMAND[0], "-P", "-c", code], env=environment(tmp_path), check=False)
    assert done.returncode == 0
