"""Reading X.509 certificates: PEM or DER in, certificates whose every part was read out.

What it reads is hostile: limits come before parsing, and everything returned has had each
lazily parsed part read once, so that no later use can raise. Nothing is judged here.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from countermark.signing.errors import MalformedCertificateError, TooLargeError
from countermark.signing.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

__all__ = [
    "MAX_CERTIFICATES",
    "MAX_CERTIFICATE_BYTES",
    "MAX_PEM_BYTES",
    "UNREADABLE",
    "CertificateFacts",
    "describe",
    "extension_of",
    "hash_name",
    "load_der",
    "load_pem_certificates",
    "strictly",
]

MAX_CERTIFICATE_BYTES = 64 << 10
MAX_PEM_BYTES = 1 << 20
MAX_CERTIFICATES = 256

# The library keeps the classes of its parse errors apart; to us they are one.
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,  # From names with a string type that it does not know.
    OverflowError,
    UserWarning,  # From `strictly`.
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a certificate says about itself.

    Attributes:
        identities: Subject alternative names, e.g. `email:a@b.c`, `uri:…`, `dns:…`; unescaped.
        subject: RFC 4514 name of the holder; may be empty. Never an identity.
        issuer: RFC 4514 name of the issuer, unescaped.
        serial: Serial number, lowercase hex.
        not_before: First moment of validity, aware UTC.
        not_after: Last moment of validity, aware UTC.
        trusted: Whether every check of `examine_chain` held.

    """

    identities: tuple[str, ...]
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    trusted: bool = False


def load_pem_certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file in order without repeats, or those of one DER.

    Raises:
        TooLargeError: More than `MAX_PEM_BYTES` or `MAX_CERTIFICATES`.
        MalformedCertificateError: No certificate in it, or one that cannot be read.

    """
    if len(data) > MAX_PEM_BYTES:
        raise TooLargeError("certificate file", size=len(data), limit=MAX_PEM_BYTES)
    if data[:1] == b"\x30":  # An ASN.1 SEQUENCE; PEM text cannot begin with "0".
        return (load_der(data),)
    count = data.count(b"-----BEGIN CERTIFICATE-----")
    if count > MAX_CERTIFICATES:
        raise TooLargeError(
            "certificate file", size=count, limit=MAX_CERTIFICATES, unit="certificates"
        )
    try:
        with strictly():
            found = [_read_through(cert) for cert in x509.load_pem_x509_certificates(data)]
    except UNREADABLE as e:
        raise MalformedCertificateError(f"no X.509 certificates in PEM: {_reason(e)}") from e
    return tuple(dict.fromkeys(found))


def load_der(data: bytes) -> x509.Certificate:
    """Return one DER certificate, every part of which can be read.

    Raises:
        TooLargeError: More than `MAX_CERTIFICATE_BYTES`.
        MalformedCertificateError: Not X.509, or with parts that cannot be read.

    """
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise TooLargeError("certificate", size=len(data), limit=MAX_CERTIFICATE_BYTES)
    try:
        with strictly():
            return _read_through(x509.load_der_x509_certificate(data))
    except UNREADABLE as e:
        raise MalformedCertificateError(f"not an X.509 certificate in DER: {_reason(e)}") from e


@contextmanager
def strictly() -> Iterator[None]:
    """Turn the parser's warnings into errors, all of them in `UNREADABLE`.

    The library only warns, at each use, of some things that RFC 5280 forbids: a serial
    number below one, a country of three letters. To us they are malformed, once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def _reason(error: Exception) -> str:
    return printable(str(error).partition("\n")[0][:200])


def _read_through(certificate: x509.Certificate) -> x509.Certificate:
    # Parts are parsed on first use; a later use must not be the first.
    certificate.public_key()
    hash_name(certificate)
    list(certificate.extensions)
    describe(certificate)
    return certificate


def hash_name(certificate: x509.Certificate) -> str | None:
    """Return the name of the signature's hash; None where there is none, as with Ed25519."""
    algorithm = certificate.signature_hash_algorithm
    return None if algorithm is None else algorithm.name


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return the value of one extension, or None if the certificate has none of its kind."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def describe(certificate: x509.Certificate) -> CertificateFacts:
    """Return what a certificate says about itself; nothing is checked."""
    names = extension_of(certificate, x509.SubjectAlternativeName) or ()
    identities: list[str] = []
    for name in names:
        match name:
            case x509.RFC822Name():
                identities.append(f"email:{name.value}")
            case x509.UniformResourceIdentifier():
                identities.append(f"uri:{name.value}")
            case x509.DNSName():
                identities.append(f"dns:{name.value}")
            case _:  # Addresses and directory names are no identities of signers.
                pass
    return CertificateFacts(
        identities=tuple(identities),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
