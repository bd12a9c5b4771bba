"""Keys: generated, read from PEM, signed with, verified with.

The algorithm always follows from the key, never from the evidence, so nobody can talk a
verifier into a weaker one. Sources: Sigstore algorithm registry (ECDSA with the hash of
the curve's size, RSA PKCS#1 v1.5 with SHA-256, Ed25519 over the message itself) and
FIPS 204 (ML-DSA-65, empty context). RSA-PSS is accepted when verifying, as some signers
prefer it; which of the two was used says nothing about who signed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from countermark import Error
from countermark.signing.errors import (
    KeyMaterialError,
    TooLargeError,
    UnsupportedKeyError,
    WrongPasswordError,
)

__all__ = [
    "KEY_TYPES",
    "MAX_KEY_BYTES",
    "BadSignatureError",
    "PrivateKey",
    "PublicKey",
    "SigningKey",
    "generate",
    "load_private_key",
    "load_public_key",
    "public_key_from",
]

MAX_KEY_BYTES = 64 * 1024
_MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 8192

KEY_TYPES = ("ec-p256", "ec-p384", "ec-p521", "ed25519", "rsa-3072", "rsa-4096", "ml-dsa-65")

_CURVES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("ecdsa-p256-sha256", hashes.SHA256()),
    "secp384r1": ("ecdsa-p384-sha384", hashes.SHA384()),
    "secp521r1": ("ecdsa-p521-sha512", hashes.SHA512()),
}

_Public = (
    ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey | mldsa.MLDSA65PublicKey
)
_Private = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | rsa.RSAPrivateKey
    | mldsa.MLDSA65PrivateKey
)


class BadSignatureError(Error):
    """A signature is not this key's over these bytes."""

    code: ClassVar[str] = "signature-invalid"


class SigningKey(Protocol):
    """Whatever can sign: a key in memory, and later a token, a KMS, an external program."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what `sign` returns."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message` (not over a digest of it)."""
        ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of a kind we verify with.

    Attributes:
        pem: SubjectPublicKeyInfo as PEM text, with its final line feed.
        algorithm: E.g. `ecdsa-p256-sha256`, `rsa-pkcs1v15-sha256`, `ed25519`, `ml-dsa-65`.

    """

    pem: bytes
    algorithm: str
    _key: _Public

    @property
    def key_id(self) -> str:
        """The sha256 of the PEM text in hex: what OMS bundles carry as `hint`."""
        return hashlib.sha256(self.pem).hexdigest()

    def check(self, signature: bytes, message: bytes) -> None:
        """Return if `signature` is this key's over `message`.

        Raises:
            BadSignatureError: It is not.

        """
        try:
            match self._key:
                case ec.EllipticCurvePublicKey() as key:
                    key.verify(signature, message, ec.ECDSA(_CURVES[key.curve.name][1]))
                case rsa.RSAPublicKey() as key:
                    _check_rsa(key, signature, message)
                case key:
                    key.verify(signature, message)
        except InvalidSignature as e:
            raise BadSignatureError(
                f"the signature is not one of key {self.key_id[:16]}… over this statement"
            ) from e

    def check_legacy(self, signature: bytes, message: bytes) -> None:
        """Check as `check`, but ECDSA always with SHA-256, as OMS signers before v1.0 did.

        Raises:
            BadSignatureError: It does not match.

        """
        if not isinstance(self._key, ec.EllipticCurvePublicKey):
            raise BadSignatureError("only elliptic-curve keys signed the v0.1 format")
        try:
            self._key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as e:
            raise BadSignatureError("the v0.1 signature does not match") from e


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key in memory; a `SigningKey`."""

    public_key: PublicKey
    _key: _Private

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`: DER for ECDSA, raw bytes for the others."""
        match self._key:
            case ec.EllipticCurvePrivateKey() as key:
                return key.sign(message, ec.ECDSA(_CURVES[key.curve.name][1]))
            case rsa.RSAPrivateKey() as key:
                return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
            case key:
                return key.sign(message)

    def pem(self, password: bytes | None) -> bytes:
        """Return the key as PKCS#8 PEM, encrypted if there is a password.

        Raises:
            WrongPasswordError: The password is empty.

        """
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password == b"":
            raise WrongPasswordError("an empty password protects nothing")
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )


def generate(kind: str) -> PrivateKey:
    """Make a new key; `kind` is one of `KEY_TYPES`.

    Raises:
        UnsupportedKeyError: `kind` is another word.

    """
    match kind:
        case "ec-p256":
            return _private(ec.generate_private_key(ec.SECP256R1()))
        case "ec-p384":
            return _private(ec.generate_private_key(ec.SECP384R1()))
        case "ec-p521":
            return _private(ec.generate_private_key(ec.SECP521R1()))
        case "ed25519":
            return _private(ed25519.Ed25519PrivateKey.generate())
        case "rsa-3072" | "rsa-4096":
            return _private(rsa.generate_private_key(65537, int(kind.removeprefix("rsa-"))))
        case "ml-dsa-65":
            return _private(mldsa.MLDSA65PrivateKey.generate())
        case _:
            raise UnsupportedKeyError(f"key type {kind!r}, expected one of {', '.join(KEY_TYPES)}")


def load_private_key(data: bytes, *, password: bytes | None = None) -> PrivateKey:
    """Read a private key from PEM: PKCS#8, SEC1 or PKCS#1, encrypted or not.

    Raises:
        TooLargeError: Over `MAX_KEY_BYTES`.
        WrongPasswordError: It is encrypted and the password is missing or wrong.
        UnsupportedKeyError: A kind, curve or size we do not sign with.
        KeyMaterialError: It is not a private key.

    """
    _check_size(data)
    try:
        key = serialization.load_pem_private_key(data, password)
    except TypeError as e:
        raise _password_trouble(encrypted=b"ENCRYPTED" in data) from e
    except UnsupportedAlgorithm as e:
        raise UnsupportedKeyError(f"private key: {e}") from e
    except ValueError as e:
        if b"ENCRYPTED" in data:
            raise WrongPasswordError("the key's password is wrong, or the file is damaged") from e
        raise KeyMaterialError(
            "not a private key in PEM form", hint="expected '-----BEGIN PRIVATE KEY-----'"
        ) from e
    if not isinstance(key, _Private):
        raise UnsupportedKeyError(f"private key is of a kind that cannot sign here: {_kind(key)}")
    return _private(key)


def load_public_key(data: bytes) -> PublicKey:
    """Read a public key from PEM (SubjectPublicKeyInfo).

    Raises:
        TooLargeError: Over `MAX_KEY_BYTES`.
        UnsupportedKeyError: A kind, curve or size we do not verify with.
        KeyMaterialError: It is not a public key.

    """
    _check_size(data)
    try:
        key = serialization.load_pem_public_key(data)
    except UnsupportedAlgorithm as e:
        raise UnsupportedKeyError(f"public key: {e}") from e
    except ValueError as e:
        hint = "expected '-----BEGIN PUBLIC KEY-----'"
        if b"PRIVATE KEY-----" in data:
            hint = "this is a private key; verifying needs the public one"
        elif b"CERTIFICATE-----" in data:
            hint = "this is a certificate; pass it as --cert-chain"
        raise KeyMaterialError("not a public key in PEM form", hint=hint) from e
    return public_key_from(key)


def public_key_from(key: object) -> PublicKey:
    """Wrap a `cryptography` public key, for instance a certificate's.

    Raises:
        UnsupportedKeyError: A kind, curve or size we do not verify with.

    """
    if not isinstance(key, _Public):
        raise UnsupportedKeyError(f"public key is of a kind we do not verify with: {_kind(key)}")
    algorithm = _algorithm(key)
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(pem, algorithm, key)


def _private(key: _Private) -> PrivateKey:
    return PrivateKey(public_key_from(key.public_key()), key)


def _algorithm(key: _Public) -> str:
    match key:
        case ec.EllipticCurvePublicKey():
            if key.curve.name not in _CURVES:
                raise UnsupportedKeyError(f"curve {key.curve.name}, expected P-256, P-384 or P-521")
            return _CURVES[key.curve.name][0]
        case rsa.RSAPublicKey():
            if not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
                raise UnsupportedKeyError(
                    f"RSA key of {key.key_size} bits, expected {_MIN_RSA_BITS} to {_MAX_RSA_BITS}"
                )
            return "rsa-pkcs1v15-sha256"
        case ed25519.Ed25519PublicKey():
            return "ed25519"
        case _:
            return "ml-dsa-65"


def _check_rsa(key: rsa.RSAPublicKey, signature: bytes, message: bytes) -> None:
    try:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
        key.verify(signature, message, pss, hashes.SHA256())


def _password_trouble(*, encrypted: bool) -> KeyMaterialError:
    if encrypted:  # An empty password counts as none.
        return WrongPasswordError(
            "the private key is encrypted and no password was given",
            hint="set COUNTERMARK_KEY_PASSWORD, or use --password-file",
        )
    return WrongPasswordError(
        "a password was given, but the private key is not encrypted",
        hint="leave the password out, or encrypt the key",
    )


def _check_size(data: bytes) -> None:
    if len(data) > MAX_KEY_BYTES:
        raise TooLargeError("key file", size=len(data), limit=MAX_KEY_BYTES)


def _kind(key: object) -> str:
    return type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_")
