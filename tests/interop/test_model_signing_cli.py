"""model-signing's command and ours, both ways.

The peer's command knows one way of digesting, `files` with sha256, and always verifies
with it, so whatever else we can write is asserted to be refused there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from support import pki
from support.peer import (
    SMALL_FILES,
    WEIGHTS,
    countermark,
    flip_bit,
    make_key,
    model_signing,
    model_signing_command,
)


class Span(TypedDict):
    """From when to when a certificate is valid."""

    not_before: datetime
    not_after: datetime


VALID: Span = {
    "not_before": datetime(2020, 1, 1, tzinfo=UTC),
    "not_after": datetime(2200, 1, 1, tzinfo=UTC),
}
CURVES = ["ec-p256", "ec-p384", "ec-p521"]
NAMES = ["config.json", "a/z", "with space.txt", "données/模型 été.bin", WEIGHTS]


@pytest.fixture(autouse=True, scope="module")
def _peer() -> None:
    """Skip before anything is signed for a peer that is not there."""
    model_signing_command()


@pytest.fixture(params=[ec.SECP256R1, ec.SECP384R1, ec.SECP521R1], ids=CURVES)
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Path]:
    """Files: a root, an intermediate, and a signer who is pinned by e-mail address."""
    root = pki.authority("Root", **VALID)
    middle = pki.authority("Intermediate", root, **VALID)
    leaf = pki.signer(
        middle,
        pki.email("release@example.com"),
        key=ec.generate_private_key(request.param()),
        **VALID,
    )
    files = {
        "root": root.pem,
        "middle": middle.pem,
        "leaf": leaf.pem,
        "key": leaf.key_pem,
        "stranger": pki.authority("Another root", **VALID).pem,
    }
    for name, data in files.items():
        (tmp_path / f"{name}.pem").write_bytes(data)
    return {name: tmp_path / f"{name}.pem" for name in files}


def peer_verify(model: Path, signature: Path, public: Path, *more: str | Path) -> tuple[int, str]:
    ran = model_signing(
        "verify", "key", model, "--signature", signature, "--public_key", public, *more
    )
    return ran.code, ran.out + ran.err


def peer_sign(model: Path, signature: Path, private: Path, *more: str | Path) -> None:
    ran = model_signing(
        "sign", "key", model, "--signature", signature, "--private_key", private, *more
    )
    assert ran.code == 0, ran.err


def our_sign(model: Path, signature: Path, private: Path, *more: str | Path) -> None:
    ran = countermark("sign", model, "--signature", signature, "--private-key", private, *more)
    assert ran.code == 0, ran.err


def our_verdict(model: Path, signature: Path, public: Path, *more: str | Path) -> tuple[int, str]:
    """Return the exit code, and the code of the check that decided."""
    ran = countermark(
        "verify", model, "--signature", signature, "--public-key", public, "--json", *more
    )
    return ran.code, str(ran.document["code"])


def our_findings(model: Path, signature: Path, public: Path) -> list[tuple[str, str]]:
    ran = countermark("verify", model, "--signature", signature, "--public-key", public, "--json")
    assert ran.code == 11, ran.out
    return ran.paths


# Ours to theirs.


@pytest.mark.parametrize("kind", CURVES)
def test_our_signature_verifies_there_until_one_bit_changes(
    model: Path, signature: Path, tmp_path: Path, kind: str
) -> None:
    private, public = make_key(tmp_path, kind)
    our_sign(model, signature, private)
    assert peer_verify(model, signature, public) == (0, "Verification succeeded\n")
    flip_bit(model / "config.json", 3)
    code, text = peer_verify(model, signature, public)
    assert code == 1
    assert "Hash mismatch for 'config.json'" in text


def test_our_signature_under_another_key_is_refused_there(
    model: Path, signature: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    (tmp_path / "other").mkdir()
    _, stranger = make_key(tmp_path / "other")
    our_sign(model, signature, keys[0])
    assert peer_verify(model, signature, stranger)[0] == 1


@pytest.mark.parametrize(
    "options", [(), ("--no-trees",), ("--dialect", "spec")], ids=["leaves-inside", "plain", "spec"]
)
def test_our_signature_inside_the_model_verifies_there(
    model: Path, keys: tuple[Path, Path], options: tuple[str, ...]
) -> None:
    private, public = keys
    our_sign(model, model / "model.sig", private, *options)
    assert peer_verify(model, model / "model.sig", public)[0] == 0
    (model / "extra.txt").write_text("nobody signed this")
    code, text = peer_verify(model, model / "model.sig", public)
    assert code == 1
    assert "extra.txt" in text


@pytest.mark.parametrize("inside", [True, False], ids=["inside-the-model", "beside-it"])
def test_a_counter_signature_of_ours_does_not_disturb_the_peer(
    model: Path, tmp_path: Path, keys: tuple[Path, Path], inside: bool
) -> None:
    post_quantum, post_quantum_public = make_key(tmp_path, "ml-dsa-65")
    signature = (model if inside else tmp_path) / "model.sig"
    our_sign(model, signature, keys[0], "--private-key", post_quantum)
    assert signature.with_name("model.sigs.jsonl").is_file()
    assert peer_verify(model, signature, keys[1])[0] == 0
    both = ("--public-key", post_quantum_public)
    assert our_verdict(model, signature, keys[1], *both) == (0, "verified")


@pytest.mark.parametrize("dialect", ["python", "spec"])
def test_our_single_file_verifies_there_only_in_the_peers_dialect(
    model: Path, signature: Path, keys: tuple[Path, Path], dialect: str
) -> None:
    file = model / WEIGHTS
    our_sign(file, signature, keys[0], "--dialect", dialect)
    code, text = peer_verify(file, signature, keys[1])
    if dialect == "python":
        assert code == 0
        flip_bit(file, file.stat().st_size - 1)
        assert peer_verify(file, signature, keys[1])[0] == 1
    else:
        # The peer's fault: it calls a single file '.', where OMS says its name.
        assert code == 1
        assert "Extra files found" in text
        assert "Missing files" in text
    flip = 0 if dialect == "spec" else 11
    assert our_verdict(file, signature, keys[1])[0] == flip


def test_what_we_ignored_is_ignored_there_and_nothing_else(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    our_sign(model, signature, keys[0], "--ignore-path", "tokenizer", "--ignore-path", "a-b")
    (model / "tokenizer/deep/new.txt").write_text("ignored")
    (model / "a-b").write_text("ignored")
    assert peer_verify(model, signature, keys[1])[0] == 0
    (model / "a.c").write_text("signed")
    assert peer_verify(model, signature, keys[1])[0] == 1


def test_our_followed_links_verify_there_with_its_flag(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    (model / "tokenizer/link.json").symlink_to("../config.json")
    our_sign(model, signature, keys[0], "--allow-symlinks")
    assert peer_verify(model, signature, keys[1], "--allow_symlinks")[0] == 0
    assert peer_verify(model, signature, keys[1])[0] == 1
    (model / "config.json").write_text("changed behind the link")
    assert peer_verify(model, signature, keys[1], "--allow_symlinks")[0] == 1


def test_extra_files_beside_ours_pass_there_only_when_told(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    our_sign(model, signature, keys[0])
    (model / "notes.txt").write_text("unsigned")
    assert peer_verify(model, signature, keys[1])[0] == 1
    assert peer_verify(model, signature, keys[1], "--ignore_unsigned_files")[0] == 0
    (model / "a-b").unlink()
    assert peer_verify(model, signature, keys[1], "--ignore_unsigned_files")[0] == 1


def test_our_certificate_signature_verifies_there_under_its_root_only(
    model: Path, signature: Path, chain: dict[str, Path]
) -> None:
    certificates = ("--signing-cert", chain["leaf"], "--cert-chain", chain["middle"])
    our_sign(model, signature, chain["key"], *certificates)

    def verify(root: Path) -> int:
        command = ("verify", "certificate", model, "--signature", signature)
        return model_signing(*command, "--certificate_chain", root).code

    assert verify(chain["root"]) == 0
    assert verify(chain["stranger"]) == 1
    flip_bit(model / WEIGHTS, 5000)
    assert verify(chain["root"]) == 1


@pytest.mark.parametrize(
    "options",
    [("--digest", "blake3"), ("--digest", "blake2b"), ("--shard-size", "4096")],
    ids=["blake3", "blake2b", "shards"],
)
def test_the_peers_command_cannot_verify_other_digests(
    model: Path, signature: Path, keys: tuple[Path, Path], options: tuple[str, ...]
) -> None:
    # The peer's fault: its command never looks at what the signature says it was made with.
    our_sign(model, signature, keys[0], *options)
    assert peer_verify(model, signature, keys[1])[0] == 1
    assert our_verdict(model, signature, keys[1]) == (0, "verified")


@pytest.mark.parametrize("kind", ["ed25519", "rsa-3072", "ml-dsa-65"])
def test_the_peers_command_cannot_verify_other_keys(
    model: Path, signature: Path, tmp_path: Path, kind: str
) -> None:
    private, public = make_key(tmp_path, kind)
    our_sign(model, signature, private)
    assert peer_verify(model, signature, public)[0] == 1
    assert our_verdict(model, signature, public) == (0, "verified")


# Theirs to ours.


@pytest.mark.parametrize("kind", CURVES)
def test_a_peers_signature_verifies_here_and_every_change_is_named(
    model: Path, signature: Path, tmp_path: Path, kind: str
) -> None:
    private, public = make_key(tmp_path, kind)
    peer_sign(model, signature, private)
    assert our_verdict(model, signature, public) == (0, "verified")
    assert our_verdict(model, signature, public, "--thorough") == (0, "verified")
    for name in NAMES:
        flip_bit(model / name, 1)
    assert sorted(our_findings(model, signature, public)) == sorted(
        ("changed", name) for name in NAMES
    )


def test_a_peers_signature_tells_missing_from_extra_from_renamed_files(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    peer_sign(model, signature, keys[0])
    (model / "a-b").unlink()
    (model / "new.txt").write_text("unsigned")
    (model / "config.json").rename(model / "config.yaml")
    assert sorted(our_findings(model, signature, keys[1])) == [
        ("extra", "new.txt"),
        ("missing", "a-b"),
        ("renamed", "config.json"),
    ]


def test_a_peers_signature_under_another_key_is_refused_here(
    model: Path, signature: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    (tmp_path / "other").mkdir()
    _, stranger = make_key(tmp_path / "other")
    peer_sign(model, signature, keys[0])
    assert our_verdict(model, signature, stranger) == (12, "wrong-key")


def test_a_peers_signature_inside_the_model_is_found_here(
    model: Path, keys: tuple[Path, Path]
) -> None:
    peer_sign(model, model / "model.sig", keys[0])
    assert countermark("verify", model, "--public-key", keys[1]).code == 0
    (model / "a.c").write_text("changed")
    assert countermark("verify", model, "--public-key", keys[1]).code == 11


def test_a_peers_single_file_verifies_here(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    file = model / WEIGHTS
    peer_sign(file, signature, keys[0])
    assert our_verdict(file, signature, keys[1]) == (0, "verified")
    flip_bit(file, file.stat().st_size - 1)
    assert our_findings(file, signature, keys[1]) == [("changed", WEIGHTS)]


def test_what_the_peer_ignored_is_said_out_loud_here(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    peer_sign(model, signature, keys[0], "--ignore-paths", model / "tokenizer")
    ran = countermark("verify", model, "--signature", signature, "--public-key", keys[1], "--json")
    assert ran.code == 0, ran.out
    coverage = ran.document["coverage"]
    assert isinstance(coverage, dict)
    assert {
        "path": "tokenizer/deep/er/merges.txt",
        "reason": "ignored-by-signer",
        "kind": "config",
    } in coverage["uncovered"]


def test_weights_that_the_peer_ignored_are_refused_here(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    peer_sign(model, signature, keys[0], "--ignore-paths", model / WEIGHTS)
    assert peer_verify(model, signature, keys[1])[0] == 0
    assert our_verdict(model, signature, keys[1]) == (16, "weights-not-covered")
    accept = "--allow-uncovered-weights"
    assert our_verdict(model, signature, keys[1], accept) == (0, "verified")


def test_links_that_the_peer_followed_verify_here_while_they_stay_inside(
    model: Path, signature: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    (model / "tokenizer/link.json").symlink_to("../config.json")
    peer_sign(model, signature, keys[0], "--allow_symlinks")
    assert our_verdict(model, signature, keys[1]) == (0, "verified")
    outside = tmp_path / "outside.json"
    outside.write_bytes(SMALL_FILES["config.json"])
    (model / "tokenizer/link.json").unlink()
    (model / "tokenizer/link.json").symlink_to(outside)
    assert peer_verify(model, signature, keys[1], "--allow_symlinks")[0] == 0
    assert our_verdict(model, signature, keys[1]) == (16, "symlink-refused")


def test_unsigned_files_pass_here_only_when_told(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    peer_sign(model, signature, keys[0])
    (model / "notes.txt").write_text("unsigned")
    assert our_verdict(model, signature, keys[1])[0] == 11
    assert our_verdict(model, signature, keys[1], "--ignore-unsigned") == (0, "verified")


def test_git_files_that_the_peer_left_out_are_left_out_here(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    (model / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    peer_sign(model, signature, keys[0])
    assert our_verdict(model, signature, keys[1]) == (0, "verified")
    assert our_verdict(model, signature, keys[1], "--no-ignore-git")[0] == 11


def test_git_files_that_the_peer_signed_are_checked_here(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    (model / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    peer_sign(model, signature, keys[0], "--no-ignore-git-paths")
    assert our_verdict(model, signature, keys[1], "--no-ignore-git") == (0, "verified")
    (model / ".gitattributes").write_text("*.safetensors filter=evil\n")
    assert our_findings(model, signature, keys[1]) == [("changed", ".gitattributes")]


def test_a_peers_certificate_signature_verifies_here_for_the_pinned_signer_only(
    model: Path, signature: Path, chain: dict[str, Path]
) -> None:
    ran = model_signing(
        *("sign", "certificate", model, "--signature", signature),
        *("--private_key", chain["key"], "--signing_certificate", chain["leaf"]),
        *("--certificate_chain", chain["middle"]),
    )
    assert ran.code == 0, ran.err

    def verify(root: str, identity: str) -> int:
        trust = ("--cert-chain", chain[root], "--identity", identity)
        return countermark("verify", model, "--signature", signature, *trust).code

    assert verify("root", "email:release@example.com") == 0
    assert verify("root", "email:someone@example.com") == 12
    assert verify("stranger", "email:release@example.com") == 12
    flip_bit(model / WEIGHTS, 5000)
    assert verify("root", "email:release@example.com") == 11


def test_the_peers_password_option_still_does_not_work(
    model: Path, signature: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    from countermark import signing

    locked, password = tmp_path / "locked.key", tmp_path / "password"
    locked.write_bytes(signing.load_private_key(keys[0].read_bytes()).pem(b"secret"))
    password.write_text("secret\n")
    # The peer's fault: it hands text to a library that wants bytes.
    ran = model_signing(
        *("sign", "key", model, "--signature", signature),
        *("--private_key", locked, "--password", "secret"),
    )
    assert ran.code == 1
    assert not signature.exists()
    our_sign(model, signature, locked, "--password-file", password)
    assert peer_verify(model, signature, keys[1])[0] == 0
