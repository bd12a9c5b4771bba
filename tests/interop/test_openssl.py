"""OpenSSL as the judge of our keys and signatures, and as a maker of both."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from support.peer import Ran, countermark, flip_bit, make_key, run_tool, tool

KINDS = ["ec-p256", "ec-p384", "ec-p521", "rsa-3072", "ed25519"]
HASHES = {"ec-p256": "sha256", "ec-p384": "sha384", "ec-p521": "sha512", "rsa-3072": "sha256"}
PASSWORD = "correct horse"
LOCK = ("-aes-256-cbc", "-pass", f"pass:{PASSWORD}")
LOCK_OUT = ("-aes-256-cbc", "-passout", f"pass:{PASSWORD}")

# What people type to make a private key, and what OMS verifiers would call it.
EC = ("genpkey", "-algorithm", "EC", "-pkeyopt")
RSA = ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
ED25519 = ("genpkey", "-algorithm", "ED25519")
P256, P384, P521 = "ecdsa-p256-sha256", "ecdsa-p384-sha384", "ecdsa-p521-sha512"
RSA_SHA256 = "rsa-pkcs1v15-sha256"
RECIPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "pkcs8-p256": (P256, (*EC, "ec_paramgen_curve:P-256")),
    "pkcs8-p384": (P384, (*EC, "ec_paramgen_curve:P-384")),
    "pkcs8-p521": (P521, (*EC, "ec_paramgen_curve:P-521")),
    "pkcs8-ed25519": ("ed25519", ED25519),
    "pkcs8-rsa": (RSA_SHA256, RSA),
    "locked-pkcs8-p256": (P256, (*EC, "ec_paramgen_curve:P-256", *LOCK)),
    "locked-pkcs8-ed25519": ("ed25519", (*ED25519, *LOCK)),
    "locked-pkcs8-rsa": (RSA_SHA256, (*RSA, *LOCK)),
    "sec1-p256": (P256, ("ecparam", "-name", "prime256v1", "-genkey", "-noout")),
    "sec1-p384-with-its-parameters": (P384, ("ecparam", "-name", "secp384r1", "-genkey")),
    "pkcs1-rsa": (RSA_SHA256, ("genrsa", "-traditional", "2048")),
    "locked-pkcs1-rsa": (RSA_SHA256, ("genrsa", "-traditional", *LOCK_OUT, "2048")),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights, more or less")
    return file


def pae_and_signature(bundle: Path) -> tuple[bytes, bytes]:
    """Return what DSSE says is signed, put together by hand, and the signature."""
    envelope = json.loads(bundle.read_bytes())["dsseEnvelope"]
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    parts = [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    return b" ".join(parts), base64.b64decode(envelope["signatures"][0]["sig"])


def openssl_accepts(kind: str, public: Path, message: Path, signature: Path) -> bool:
    if kind == "ed25519":
        given = ("-pubin", "-inkey", public, "-rawin", "-in", message, "-sigfile", signature)
        return run_tool("openssl", "pkeyutl", "-verify", *given).returncode == 0
    digest = ("dgst", f"-{HASHES[kind]}", "-verify", public, "-signature", signature)
    return run_tool("openssl", *digest, message).returncode == 0


def verify(model: Path, bundle: Path, public: Path) -> Ran:
    return countermark("verify", model, "--signature", bundle, "--public-key", public, "--json")


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_verifies_our_signature_until_one_bit_of_it_or_of_the_statement_changes(
    model: Path, tmp_path: Path, kind: str
) -> None:
    private, public = make_key(tmp_path, kind)
    bundle, pae, sig = (tmp_path / name for name in ("model.sig", "pae", "sig"))
    ran = countermark("sign", model, "--private-key", private, "--signature", bundle)
    assert ran.code == 0, ran.err
    message, signature = pae_and_signature(bundle)
    pae.write_bytes(message)
    sig.write_bytes(signature)
    assert openssl_accepts(kind, public, pae, sig)
    flip_bit(pae, len(message) - 1)
    assert not openssl_accepts(kind, public, pae, sig)
    flip_bit(pae, len(message) - 1)
    flip_bit(sig, len(signature) - 1)
    assert not openssl_accepts(kind, public, pae, sig)


def openssl_sign(kind: str, private: Path, message: Path, *options: str) -> bytes:
    if kind == "ed25519":
        command = ("pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", message)
        return tool("openssl", *command)
    return tool("openssl", "dgst", f"-{HASHES[kind]}", *options, "-sign", private, message)


def pss(salt: str) -> tuple[str, ...]:
    return ("-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, ()) for kind in KINDS),
        ("rsa-3072", pss("digest")),
        ("rsa-3072", pss("max")),
    ],
    ids=[*KINDS, "rsa-pss-salt-as-digest", "rsa-pss-longest-salt"],
)
def test_a_bundle_with_openssls_signature_verifies_here_until_one_bit_changes(
    model: Path, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    private, public = make_key(tmp_path, kind)
    bundle, pae = tmp_path / "model.sig", tmp_path / "pae"
    countermark("sign", model, "--private-key", private, "--signature", bundle)
    message, _ = pae_and_signature(bundle)
    pae.write_bytes(message)
    signature = bytearray(openssl_sign(kind, private, pae, *options))
    document = json.loads(bundle.read_bytes())

    def put() -> None:
        document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        bundle.write_text(json.dumps(document))

    put()
    assert verify(model, bundle, public).code == 0
    signature[-1] ^= 1
    put()
    ran = verify(model, bundle, public)
    assert (ran.code, ran.document["code"]) == (11, "signature-invalid")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_key_that_openssl_made_signs_and_verifies_here(
    model: Path, tmp_path: Path, recipe: tuple[str, tuple[str, ...]]
) -> None:
    algorithm, command = recipe
    private, public, password = (tmp_path / name for name in ("a.key", "a.pub", "password"))
    private.write_bytes(tool("openssl", *command))
    password.write_text(PASSWORD + "\n")
    unlock = ("-passin", f"pass:{PASSWORD}")
    public.write_bytes(tool("openssl", "pkey", "-in", private, *unlock, "-pubout"))
    bundle = tmp_path / "model.sig"
    sign: list[str | Path] = [
        "sign",
        model,
        "--private-key",
        private,
        "--signature",
        bundle,
        "--json",
    ]
    locked = PASSWORD in " ".join(command)
    if locked:
        refused = countermark(*sign)
        assert (refused.code, refused.error) == (2, "wrong-password")
        sign += ["--password-file", password]
    ran = countermark(*sign)
    assert ran.code == 0, ran.out
    assert ran.document["signers"] == [
        {"key_id": hashlib.sha256(public.read_bytes()).hexdigest(), "algorithm": algorithm}
    ]
    assert verify(model, bundle, public).code == 0


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("ecparam", "-name", "secp256k1", "-genkey", "-noout"), "unsupported-key"),
        (("genrsa", "1024"), "unsupported-key"),
        (("genpkey", "-algorithm", "X25519"), "unsupported-key"),
        (("genpkey", "-algorithm", "ED448"), "unsupported-key"),
        (("rand", "-base64", "300"), "key-unusable"),
    ],
    ids=["another-curve", "short-rsa", "x25519", "ed448", "no-key"],
)
def test_a_key_of_another_kind_is_refused_here_by_name(
    model: Path, tmp_path: Path, command: tuple[str, ...], code: str
) -> None:
    private = tmp_path / "a.key"
    private.write_bytes(tool("openssl", *command))
    bundle = tmp_path / "model.sig"
    ran = countermark("sign", model, "--private-key", private, "--signature", bundle, "--json")
    assert (ran.code, ran.error) == (2, code)
    assert not bundle.exists()


@pytest.mark.parametrize("locked", [False, True], ids=["open", "locked"])
@pytest.mark.parametrize("kind", KINDS)
def test_openssl_reads_the_keys_that_we_make(tmp_path: Path, kind: str, locked: bool) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    options = ("--password-file", password) if locked else ()
    ran = countermark("keygen", tmp_path / "key", "--type", kind, *options)
    assert ran.code == 0, ran.err
    private, public = tmp_path / "key.key", tmp_path / "key.pub"
    unlock = ("-passin", f"pass:{PASSWORD if locked else ''}")
    assert tool("openssl", "pkey", "-in", private, *unlock, "-pubout") == public.read_bytes()
    assert tool("openssl", "pkey", "-pubin", "-in", public, "-pubout") == public.read_bytes()
    if locked:
        wrong = ("pkey", "-in", private, "-passin", "pass:wrong", "-noout")
        assert run_tool("openssl", *wrong).returncode != 0
