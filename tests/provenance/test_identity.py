"""Identities: refused early and by name, and what a signer raised or said is not lost."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.provenance.claim_signature import MAX_SIGNATURE_BYTES, cose_signature
from countermark.provenance.errors import (
    CredentialError,
    EngineError,
    ProvenanceError,
    SignerRefusedError,
    TimestampRefusedError,
)
from countermark.provenance.identity import (
    ContentIdentity,
    c2pa_signer,
    callback_identity,
    load_identity,
    program_identity,
)
from countermark.signing.errors import (
    KeyMaterialError,
    MalformedCertificateError,
    WrongPasswordError,
)
from countermark.signing.keys import load_private_key
from support.claim_signers import authority, claim_signer, pem
from support.credentials import Credentials, make_credentials
from support.pki import rsa_key
from support.signing_content import signed_store, state_of, store_by

NOW = datetime.now(UTC)
EC_KINDS = ["ec-p256", "ec-p384", "ec-p521"]


@cache
def key_of(kind: str) -> object:
    return serialization.load_pem_private_key(make_credentials(key=kind).key_pem, None)


def state(identity: ContentIdentity, credentials: Credentials) -> str:
    return state_of(signed_store(identity, credentials.settings), credentials.settings)[0]


def sign_with(credentials: Credentials, sign: Callable[[bytes], bytes]) -> str:
    return state(callback_identity(credentials.chain_pem, sign, at=NOW), credentials)


def program(*lines: str) -> tuple[str, ...]:
    return (sys.executable, "-c", "\n".join(("import sys, time, os", *lines)))


# --- Keys in memory


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("ec-p256", "es256"), ("ec-p384", "es384"), ("ec-p521", "es512"), ("ed25519", "ed25519")],
)
def test_algorithm_follows_from_the_key(kind: str, algorithm: str) -> None:
    credentials = make_credentials(key=kind)
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=NOW)
    assert identity.algorithm == algorithm
    assert state(identity, credentials) == "Trusted"


@pytest.mark.parametrize("algorithm", ["ps256", "ps384", "ps512"])
def test_rsa_signs_with_the_hash_that_is_asked_for(algorithm: str) -> None:
    credentials = make_credentials(key="rsa-3072")
    given = (credentials.chain_pem, credentials.key_pem)
    assert load_identity(*given, at=NOW).algorithm == "ps256"
    assert state(load_identity(*given, at=NOW, algorithm=algorithm), credentials) == "Trusted"
    with pytest.raises(CredentialError, match="ps256, ps384, ps512"):
        load_identity(*given, at=NOW, algorithm="es256")


FORMS = {
    "pkcs8": (serialization.PrivateFormat.PKCS8, None),
    "pkcs8-locked": (serialization.PrivateFormat.PKCS8, b"secret"),
    "sec1": (serialization.PrivateFormat.TraditionalOpenSSL, None),
    "sec1-locked": (serialization.PrivateFormat.TraditionalOpenSSL, b"secret"),
}


@pytest.mark.parametrize(("form", "password"), FORMS.values(), ids=FORMS)
def test_key_in_any_pem_form_becomes_the_one_that_c2pa_reads(
    form: serialization.PrivateFormat, password: bytes | None
) -> None:
    credentials = make_credentials()
    key = key_of("ec-p256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    guard: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        guard = serialization.BestAvailableEncryption(password)
    data = key.private_bytes(serialization.Encoding.PEM, form, guard)
    identity = load_identity(credentials.chain_pem, data, at=NOW, password=password)
    assert identity.key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert state(identity, credentials) == "Trusted"
    if password:
        for wrong in (None, b"other"):
            with pytest.raises(WrongPasswordError):
                load_identity(credentials.chain_pem, data, at=NOW, password=wrong)


def test_key_is_not_in_the_representation() -> None:
    credentials = make_credentials()
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=NOW)
    assert "PRIVATE" not in repr(identity)
    assert "es256" in repr(identity)


def test_root_at_the_end_of_the_chain_is_left_out_and_an_intermediate_kept() -> None:
    credentials = make_credentials()
    whole = credentials.chain_pem + credentials.ca_pem
    identity = load_identity(whole, credentials.key_pem, at=NOW)
    assert identity.chain == credentials.chain_pem
    top = authority("Root")
    between = authority("Between", top)
    signer = claim_signer(between)
    moment = signer.certificate.not_valid_before_utc
    identity = load_identity(pem(signer, between, top), signer.key_pem, at=moment)
    assert identity.chain == pem(signer, between)


def test_credentials_that_break_a_rule_are_refused_with_its_sentence_before_c2pa_sees_them() -> (
    None
):
    ours, other = make_credentials(), make_credentials(name="Other")
    with pytest.raises(CredentialError, match="is not the one that the certificate is for") as e:
        load_identity(ours.chain_pem, other.key_pem, at=NOW)
    assert e.value.code == "content-credential"
    with pytest.raises(CredentialError, match="begins with CN=Test development CA") as e:
        load_identity(ours.ca_pem + ours.chain_pem, ours.key_pem, at=NOW)
    assert "in this order" in e.value.hint
    with pytest.raises(CredentialError, match=r"3 rules are broken: cert-not-a-ca"):
        callback_identity(ours.ca_pem, bytes, at=NOW)
    with pytest.raises(CredentialError, match="expired"):
        load_identity(ours.chain_pem, ours.key_pem, at=NOW.replace(year=NOW.year + 2))
    with pytest.raises(MalformedCertificateError):
        load_identity(b"nothing", ours.key_pem, at=NOW)
    with pytest.raises(KeyMaterialError):
        load_identity(ours.chain_pem, b"nothing", at=NOW)


def test_signer_can_sign_more_than_once() -> None:
    credentials = make_credentials()
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=NOW)
    with c2pa_signer(identity) as signer:
        first, second = (store_by(signer, credentials.settings) for _ in range(2))
        states = {state_of(store, credentials.settings)[0] for store in (first, second)}
    assert (first != second, states) == (True, {"Trusted"})


# --- Callbacks


@pytest.mark.parametrize("kind", [*EC_KINDS, "ed25519"])
def test_callback_signs_with_what_the_key_gives(kind: str) -> None:
    credentials = make_credentials(key=kind)
    assert sign_with(credentials, load_private_key(credentials.key_pem).sign) == "Trusted"


@pytest.mark.parametrize("kind", EC_KINDS)
def test_callback_may_give_ecdsa_raw_or_as_der(kind: str) -> None:
    credentials = make_credentials(key=kind)
    sign = load_private_key(credentials.key_pem).sign
    size = {"ec-p256": 32, "ec-p384": 48, "ec-p521": 66}[kind]

    def raw(message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(sign(message))
        return r.to_bytes(size) + s.to_bytes(size)

    assert sign_with(credentials, raw) == "Trusted"


def test_callback_with_rsa_needs_pss_with_the_salt_of_its_hash() -> None:
    credentials = make_credentials(key="rsa-3072")
    key = key_of("rsa-3072")
    assert isinstance(key, rsa.RSAPrivateKey)

    def pss(salt: int) -> Callable[[bytes], bytes]:
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        return lambda message: key.sign(message, scheme, hashes.SHA256())

    assert sign_with(credentials, pss(32)) == "Trusted"
    for refused in (pss(20), load_private_key(credentials.key_pem).sign):  # The last is PKCS #1.
        with pytest.raises(SignerRefusedError, match="ps256"):
            sign_with(credentials, refused)


def test_exception_of_a_callback_is_the_cause_of_ours() -> None:
    class TokenGoneError(Exception):
        pass

    def sign(_: bytes) -> bytes:
        raise TokenGoneError("slot 3\x1b is empty")

    with pytest.raises(SignerRefusedError) as raised:
        sign_with(make_credentials(), sign)
    assert raised.value.code == "signer-refused"
    assert isinstance(raised.value.__cause__, TokenGoneError)
    assert "TokenGoneError: slot 3\\x1b is empty" in str(raised.value)


def test_interrupt_in_a_callback_stays_an_interrupt() -> None:
    def sign(_: bytes) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sign_with(make_credentials(), sign)


def test_exception_is_found_also_behind_an_error_of_the_engines_wrapper() -> None:
    import c2pa

    def sign(_: bytes) -> bytes:
        raise LookupError("no such key")

    identity = callback_identity(make_credentials().chain_pem, sign, at=NOW)

    def wrapped() -> None:
        with c2pa_signer(identity) as signer:
            try:
                store_by(signer, make_credentials().settings)
            except c2pa.C2paError as e:
                raise EngineError("wrapped") from e

    with pytest.raises(SignerRefusedError) as raised:
        wrapped()
    assert isinstance(raised.value.__cause__, LookupError)


def test_error_of_somebody_else_in_the_block_passes_unchanged() -> None:
    credentials = make_credentials()
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=NOW)
    with pytest.raises(ProvenanceError, match="mine"), c2pa_signer(identity):
        raise EngineError("mine")
    with pytest.raises(ZeroDivisionError), c2pa_signer(identity):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "given",
    [b"", b"short", bytes(64), bytes(63), bytes(65), b"0\x06\x02\x01\x01\x02\x01\x01", None, "x"],
    ids=["empty", "short", "zeros", "63", "65", "der-of-ones", "none", "text"],
)
def test_what_is_no_signature_of_the_certificates_key_is_refused(given: object) -> None:
    with pytest.raises(SignerRefusedError) as raised:
        sign_with(make_credentials(), lambda _: given)  # type: ignore[arg-type, return-value]
    assert raised.value.code == "signer-refused"


def test_signature_of_another_key_or_over_a_digest_is_refused_before_it_is_in_a_manifest() -> None:
    ours = make_credentials()
    other = load_private_key(make_credentials(name="Other").key_pem)
    with pytest.raises(SignerRefusedError, match="not the certificate's es256"):
        sign_with(ours, other.sign)
    key = key_of("ec-p256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    with pytest.raises(SignerRefusedError):
        sign_with(ours, lambda message: key.sign(message, ec.ECDSA(hashes.SHA384())))


def test_one_flipped_bit_makes_a_signature_none() -> None:
    key = key_of("ec-p256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(b"message", ec.ECDSA(hashes.SHA256()))
    public = key.public_key()
    raw = cose_signature(signature, b"message", public, "es256")
    assert len(raw) == 64
    assert cose_signature(raw, b"message", public, "es256") == raw
    for position in (0, 31, 32, 63):
        broken = bytearray(raw)
        broken[position] ^= 1
        with pytest.raises(SignerRefusedError):
            cose_signature(bytes(broken), b"message", public, "es256")
    with pytest.raises(SignerRefusedError):
        cose_signature(raw, b"massage", public, "es256")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=160) | st.binary(min_size=64, max_size=64))
def test_any_bytes_that_a_signer_gives_are_refused_or_the_signature(given_: bytes) -> None:
    for kind in ("ec-p256", "ed25519"):
        key = serialization.load_pem_private_key(make_credentials(key=kind).key_pem, None)
        algorithm = "es256" if kind == "ec-p256" else "ed25519"
        with pytest.raises(SignerRefusedError):
            cose_signature(given_, b"message", key.public_key(), algorithm)


# --- Programs


def test_program_signs(tmp_path: Path) -> None:
    credentials = make_credentials()
    (tmp_path / "key").write_bytes(credentials.key_pem)
    argv = program(
        "from countermark.signing.keys import load_private_key as load",
        f"key = load(open({str(tmp_path / 'key')!r}, 'rb').read())",
        "sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read()))",
    )
    assert state(program_identity(credentials.chain_pem, argv, at=NOW), credentials) == "Trusted"


def refusal_of(argv: tuple[str, ...], timeout_s: float = 20) -> str:
    credentials = make_credentials()
    identity = program_identity(credentials.chain_pem, argv, at=NOW, timeout_s=timeout_s)
    with pytest.raises(SignerRefusedError) as raised:
        signed_store(identity, credentials.settings)
    return str(raised.value)


def test_program_that_fails_is_quoted_without_what_a_terminal_would_obey() -> None:
    said = refusal_of(program("sys.stderr.write('PIN \\x1b[31m wrong\\n'); sys.exit(7)"))
    assert "status 7, and says: PIN \\x1b[31m wrong" in said


def test_program_that_dies_by_a_signal_is_named_with_it() -> None:
    assert "signal 9" in refusal_of(program("os.kill(os.getpid(), 9)"))


def test_program_that_says_nothing_or_nonsense_is_refused() -> None:
    assert "wrote no signature" in refusal_of(program("pass"))
    assert "gave 5 bytes" in refusal_of(program("print('abcd')"))


def test_program_that_does_not_exist_is_refused_by_name() -> None:
    assert "/no/such/program cannot be started" in refusal_of(("/no/such/program",))
    assert "cannot be started" in refusal_of(("a\0b",))


def test_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    argv = ("sh", "-c", f"(sleep 1; touch '{mark}') & wait")
    assert "took over 0.2 s" in refusal_of(argv, timeout_s=0.2)
    time.sleep(1.2)
    assert not mark.exists()


def test_program_that_never_ends_to_write_is_stopped_at_the_limit() -> None:
    assert f"over {MAX_SIGNATURE_BYTES} bytes" in refusal_of(
        program("while True: sys.stdout.write('x' * 4096)")
    )


def test_program_that_complains_without_end_does_not_block_and_is_not_kept() -> None:
    said = refusal_of(program("sys.stderr.write('y' * 10_000_000 + 'end'); sys.exit(1)"))
    assert said.endswith("end")
    assert len(said) < 1000


def test_program_that_does_not_read_what_it_gets_is_judged_by_what_it_says() -> None:
    assert "status 4" in refusal_of(program("os.close(0); sys.exit(4)"))


@pytest.mark.parametrize(
    ("argv", "timeout_s"), [((), 1.0), (("x",), 0.0), (("x",), -1.0), (("x",), float("nan"))]
)
def test_program_without_a_name_or_without_time_is_refused(
    argv: tuple[str, ...], timeout_s: float
) -> None:
    with pytest.raises(CredentialError):
        program_identity(make_credentials().chain_pem, argv, at=NOW, timeout_s=timeout_s)


def test_rsa_of_another_size_than_ours_is_accepted_from_2048_bits_on() -> None:
    signer = claim_signer(authority(), key=rsa_key(2048))
    moment = signer.certificate.not_valid_before_utc
    assert load_identity(signer.pem, signer.key_pem, at=moment).algorithm == "ps256"


# --- Timestamps


@pytest.mark.parametrize(
    "address",
    ["", "ftp://x/", "127.0.0.1:3161", "http://a b/", "http://\x1b/", "http://" + "x" * 2000],
)
def test_address_that_is_none_of_an_authority_is_refused(address: str) -> None:
    credentials = make_credentials()
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=NOW)
    with pytest.raises(TimestampRefusedError) as raised:
        signed_store(identity, credentials.settings, address)
    assert raised.value.code == "timestamp-refused"
    assert str(raised.value).isprintable()


def test_authority_that_is_not_there_is_named_and_is_no_fault_of_the_certificate() -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Bound and not listening: nobody else can answer there.
        address = f"http://127.0.0.1:{held.getsockname()[1]}/"
        credentials = make_credentials()
        identity = load_identity(credentials.chain_pem, credentials.key_pem, at=NOW)
        with pytest.raises(TimestampRefusedError, match=address):
            signed_store(identity, credentials.settings, address)
