"""Keys: every kind signs and checks, everything else is refused with a reason."""

import base64
import hashlib
import warnings
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, x25519
from hypothesis import example, given, settings
from hypothesis import strategies as st

import countermark
from countermark.signing.errors import (
    KeyMaterialError,
    TooLargeError,
    UnsupportedKeyError,
    WrongPasswordError,
)
from countermark.signing.keys import (
    KEY_TYPES,
    MAX_KEY_BYTES,
    BadSignatureError,
    PrivateKey,
    generate,
    load_private_key,
    load_public_key,
    public_key_from,
)
from support import pki

ALGORITHMS = {
    "ec-p256": "ecdsa-p256-sha256",
    "ec-p384": "ecdsa-p384-sha384",
    "ec-p521": "ecdsa-p521-sha512",
    "ed25519": "ed25519",
    "rsa-3072": "rsa-pkcs1v15-sha256",
    "rsa-4096": "rsa-pkcs1v15-sha256",
    "ml-dsa-65": "ml-dsa-65",
}
MESSAGE = b"DSSEv1 0  0 "
PEM = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
NO_PASSWORD = serialization.NoEncryption()


@cache
def key(kind: str) -> PrivateKey:
    return generate(kind)  # RSA keys take a while.


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Small keys are what is tested.
        return rsa.generate_private_key(65537, bits)


def private_pem(
    made: ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
    | x25519.X25519PrivateKey,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
) -> bytes:
    return made.private_bytes(PEM, form, NO_PASSWORD)


def test_every_kind_of_key_is_tested() -> None:
    assert tuple(ALGORITHMS) == KEY_TYPES


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_key_survives_pem_and_signs(kind: str) -> None:
    made = key(kind)
    again = load_private_key(made.pem(None))
    public = load_public_key(made.public_key.pem)
    assert public.algorithm == ALGORITHMS[kind] == again.public_key.algorithm
    assert public.pem == made.public_key.pem == again.public_key.pem
    public.check(again.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_another_message_signature_or_key_is_refused(kind: str) -> None:
    made = key(kind)
    signature = made.sign(MESSAGE)
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    last = signature[:-1] + bytes([signature[-1] ^ 1])
    for bad, message in (
        (signature, MESSAGE + b"x"),
        (signature, b""),
        (flipped, MESSAGE),
        (last, MESSAGE),
        (signature[:-1], MESSAGE),
        (signature + b"\x00", MESSAGE),
        (b"", MESSAGE),
    ):
        with pytest.raises(BadSignatureError) as caught:
            made.public_key.check(bad, message)
        assert caught.value.code == "signature-invalid"
    other = rsa_key(2048) if kind.startswith("rsa") else None
    stranger = public_key_from(other.public_key()) if other else generate(kind).public_key
    with pytest.raises(BadSignatureError):
        stranger.check(signature, MESSAGE)


def test_a_signature_of_one_kind_is_none_of_another() -> None:
    signatures = {kind: key(kind).sign(MESSAGE) for kind in KEY_TYPES}
    for kind in KEY_TYPES:
        for other, signature in signatures.items():
            if other != kind:
                with pytest.raises(BadSignatureError):
                    key(kind).public_key.check(signature, MESSAGE)


def test_an_ecdsa_signature_over_another_hash_is_refused() -> None:
    made = ec.generate_private_key(ec.SECP384R1())
    public = public_key_from(made.public_key())
    public.check(made.sign(MESSAGE, ec.ECDSA(hashes.SHA384())), MESSAGE)
    with pytest.raises(BadSignatureError):
        public.check(made.sign(MESSAGE, ec.ECDSA(hashes.SHA256())), MESSAGE)


def test_the_old_check_takes_sha256_for_every_curve_and_no_other_key() -> None:
    made = ec.generate_private_key(ec.SECP384R1())
    public = public_key_from(made.public_key())
    public.check_legacy(made.sign(MESSAGE, ec.ECDSA(hashes.SHA256())), MESSAGE)
    with pytest.raises(BadSignatureError):
        public.check_legacy(made.sign(MESSAGE, ec.ECDSA(hashes.SHA384())), MESSAGE)
    ed = key("ed25519")
    with pytest.raises(BadSignatureError, match="elliptic-curve"):
        ed.public_key.check_legacy(ed.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("salt", [32, padding.PSS.MAX_LENGTH])
def test_rsa_pss_is_accepted_and_over_another_hash_refused(salt: int) -> None:
    made = rsa_key(2048)
    public = public_key_from(made.public_key())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
    public.check(made.sign(MESSAGE, pss, hashes.SHA256()), MESSAGE)
    for scheme in (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA512()), 32)):
        with pytest.raises(BadSignatureError):
            public.check(made.sign(MESSAGE, scheme, hashes.SHA512()), MESSAGE)


def test_rsa_of_2048_bits_is_taken_and_of_1024_refused() -> None:
    assert load_private_key(private_pem(rsa_key(2048))).public_key.algorithm.startswith("rsa")
    small = rsa_key(1024)
    for load, pem in (
        (load_private_key, private_pem(small)),
        (load_public_key, small.public_key().public_bytes(PEM, SPKI)),
    ):
        with pytest.raises(UnsupportedKeyError, match="1024 bits") as caught:
            load(pem)
        assert caught.value.code == "unsupported-key"


def test_a_curve_that_nobody_else_signs_with_is_refused() -> None:
    made = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(UnsupportedKeyError, match="secp256k1"):
        load_private_key(private_pem(made))
    with pytest.raises(UnsupportedKeyError, match="secp256k1"):
        load_public_key(made.public_key().public_bytes(PEM, SPKI))


def test_keys_that_cannot_sign_or_are_not_to_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = dsa.generate_private_key(2048)
    for made, name in ((old, "DSA"), (x25519.X25519PrivateKey.generate(), "X25519")):
        with pytest.raises(UnsupportedKeyError, match=name):
            load_private_key(private_pem(made))
        with pytest.raises(UnsupportedKeyError, match=name):
            load_public_key(made.public_key().public_bytes(PEM, SPKI))
    with pytest.raises(UnsupportedKeyError, match="str"):
        public_key_from("key")


def test_another_word_is_no_key_type() -> None:
    with pytest.raises(UnsupportedKeyError, match="'rsa-1024', expected one of ec-p256"):
        generate("rsa-1024")


def test_keys_are_read_in_their_older_forms() -> None:
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    curve = ec.generate_private_key(ec.SECP256R1())
    for made in (curve, rsa_key(2048)):
        pem = private_pem(made, traditional)
        public = made.public_key().public_bytes(PEM, SPKI)
        assert load_private_key(pem).public_key.pem == public


def test_the_key_id_is_over_one_form_of_the_pem_text() -> None:
    public = key("ec-p256").public_key
    assert public.key_id == hashlib.sha256(public.pem).hexdigest()
    assert public.pem.endswith(b"-----END PUBLIC KEY-----\n")
    for text in (public.pem.replace(b"\n", b"\r\n"), b"a comment\n" + public.pem, public.pem[:-1]):
        assert load_public_key(text).key_id == public.key_id


@pytest.mark.parametrize("kind", ["ec-p256", "ed25519", "rsa-3072", "ml-dsa-65"])
def test_an_encrypted_key_opens_with_its_password_and_with_no_other(kind: str) -> None:
    pem = key(kind).pem(b"correct horse")
    assert b"ENCRYPTED" in pem
    again = load_private_key(pem, password=b"correct horse")
    assert again.public_key.pem == key(kind).public_key.pem
    with pytest.raises(WrongPasswordError, match="wrong") as caught:
        load_private_key(pem, password=b"correct horsf")
    assert caught.value.code == "wrong-password"


@pytest.mark.parametrize("password", [None, b""])
def test_an_encrypted_key_without_a_password_says_where_to_give_one(password: bytes | None) -> None:
    with pytest.raises(WrongPasswordError, match="no password") as caught:
        load_private_key(key("ec-p256").pem(b"x"), password=password)
    assert "COUNTERMARK_KEY_PASSWORD" in caught.value.hint


@pytest.mark.parametrize("password", [b"x", b""])
def test_a_password_for_a_key_that_is_not_encrypted_is_refused(password: bytes) -> None:
    with pytest.raises(WrongPasswordError, match="not encrypted"):
        load_private_key(key("ec-p256").pem(None), password=password)


def test_an_empty_password_encrypts_nothing() -> None:
    with pytest.raises(WrongPasswordError, match="empty"):
        key("ec-p256").pem(b"")


def test_a_damaged_encrypted_key_is_refused() -> None:
    pem = key("ec-p256").pem(b"x").replace(b"A", b"!")
    with pytest.raises(KeyMaterialError):
        load_private_key(pem, password=b"x")


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (key("ec-p256").pem(None), "private key"),
        (key("ec-p256").pem(b"x"), "private key"),
        (pki.authority("A").pem, "certificate"),
        (b"", "BEGIN PUBLIC KEY"),
        (b"ssh-ed25519 AAAA", "BEGIN PUBLIC KEY"),
    ],
    ids=["private", "encrypted", "certificate", "empty", "ssh"],
)
def test_what_is_no_public_key_is_refused_with_a_hint_what_it_is(data: bytes, hint: str) -> None:
    with pytest.raises(KeyMaterialError) as caught:
        load_public_key(data)
    assert (caught.value.code, hint in caught.value.hint) == ("key-unusable", True)


@pytest.mark.parametrize("data", [b"", b"x", key("ec-p256").public_key.pem, pki.authority("A").pem])
def test_what_is_no_private_key_is_refused(data: bytes) -> None:
    with pytest.raises(KeyMaterialError, match="not a private key") as caught:
        load_private_key(data)
    assert caught.value.code == "key-unusable"


def test_the_size_limit_holds_at_n_and_refuses_one_more() -> None:
    pem, public = key("ec-p256").pem(None), key("ec-p256").public_key.pem
    for load, data in ((load_private_key, pem), (load_public_key, public)):
        load(data.ljust(MAX_KEY_BYTES, b"\n"))
        with pytest.raises(TooLargeError) as caught:
            load(data.ljust(MAX_KEY_BYTES + 1, b"\n"))
        assert caught.value.code == "too-large"


def test_a_secret_is_in_no_message() -> None:
    pem = key("ec-p256").pem(b"hunter2")
    with pytest.raises(WrongPasswordError) as caught:
        load_private_key(pem, password=b"hunter3")
    assert "hunter" not in f"{caught.value} {caught.value.hint}"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["ec-p256", "ed25519", "ml-dsa-65"]))
    password = draw(st.sampled_from([None, b"x"]))
    whole = key(kind).pem(password) if draw(st.booleans()) else key(kind).public_key.pem
    at = draw(st.integers(0, len(whole)))
    return whole[:at] + draw(st.binary(max_size=4)) + whole[at + draw(st.integers(0, 4)) :]


@settings(deadline=None)
@given(st.binary() | damaged(), st.sampled_from([None, b"", b"x"]))
@example(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", None)
@example(b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", None)
@example(
    b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n-----END RSA PRIVATE KEY-----\n",
    b"x",
)
def test_any_bytes_give_a_key_or_our_error(data: bytes, password: bytes | None) -> None:
    for load in (lambda: load_private_key(data, password=password), lambda: load_public_key(data)):
        try:
            load()
        except countermark.Error:
            continue


def test_a_curve_that_the_library_does_not_know_is_refused() -> None:
    made = ec.generate_private_key(ec.SECP256R1())
    der = serialization.Encoding.DER
    private = made.private_bytes(der, serialization.PrivateFormat.PKCS8, NO_PASSWORD)
    public = made.public_key().public_bytes(der, SPKI)
    prime256v1, prime239v3 = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030106")
    for load, data, label in (
        (load_private_key, private, b"PRIVATE"),
        (load_public_key, public, b"PUBLIC"),
    ):
        text = base64.encodebytes(data.replace(prime256v1, prime239v3))
        pem = b"-----BEGIN %s KEY-----\n%s-----END %s KEY-----\n" % (label, text, label)
        with pytest.raises(UnsupportedKeyError) as caught:
            load(pem)
        assert caught.value.code == "unsupported-key"
