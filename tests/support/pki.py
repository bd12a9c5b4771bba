"""Certificate authorities and signers made on the spot, sound or with one chosen fault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """Return one RSA key of this size for the whole run: making them is slow."""
    return rsa.generate_private_key(65537, bits)


def email(address: str) -> x509.GeneralName:
    return x509.RFC822Name(address)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def dns(name: str) -> x509.GeneralName:
    return x509.DNSName(name)


def key_usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in names for usage in _USAGES})


def authority(
    name: str = "Test CA",
    issuer: Issued | None = None,
    *,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    path_length: int | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    usage: tuple[str, ...] | None = ("key_cert_sign", "crl_sign"),
    is_ca: bool | None = True,
    constraints: x509.NameConstraints | None = None,
    not_before: datetime = MOMENT - 1000 * DAY,
    not_after: datetime = MOMENT + 1000 * DAY,
) -> Issued:
    """Return a CA: a self-signed root, or an intermediate of `issuer`."""
    extra: list[tuple[x509.ExtensionType, bool]] = []
    if is_ca is not None:
        extra.append((x509.BasicConstraints(is_ca, path_length if is_ca else None), True))
    if constraints is not None:
        extra.append((constraints, True))
    return _issue(name, issuer, key, purposes, usage, extra, (not_before, not_after), False, None)


def signer(
    issuer: Issued | None,
    *names: x509.GeneralName,
    name: str = "Release signer",
    key: CertificateIssuerPrivateKeyTypes | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (CODE_SIGNING,),
    purposes_critical: bool = False,
    usage: tuple[str, ...] | None = ("digital_signature",),
    is_ca: bool | None = False,
    serial: int | None = None,
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    not_before: datetime = MOMENT - 30 * DAY,
    not_after: datetime = MOMENT + 30 * DAY,
) -> Issued:
    """Return a signer's certificate, self-signed without `issuer`; empty `purposes` omit EKU."""
    more = list(extra)
    if names:
        more.append((x509.SubjectAlternativeName(names), False))
    if is_ca is not None:
        more.append((x509.BasicConstraints(is_ca, None), True))
    span = (not_before, not_after)
    return _issue(name, issuer, key, purposes, usage, more, span, purposes_critical, serial)


def _issue(
    name: str,
    issuer: Issued | None,
    key: CertificateIssuerPrivateKeyTypes | None,
    purposes: tuple[x509.ObjectIdentifier, ...],
    usage: tuple[str, ...] | None,
    extra: list[tuple[x509.ExtensionType, bool]],
    span: tuple[datetime, datetime],
    purposes_critical: bool,
    serial: int | None,
) -> Issued:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), purposes_critical)
    if usage is not None:
        builder = builder.add_extension(key_usage(*usage), critical=True)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def with_sha1(issued: Issued, issuer: Issued) -> Issued:
    """Return the same certificate signed over SHA-1, which the library refuses to make.

    `issuer` has an RSA key. PKCS #1 v1.5 (RFC 8017 section 9.2) is done by hand; the two
    algorithm identifiers have one length, so nothing else moves.
    """
    if not isinstance(issuer.key, rsa.RSAPrivateKey):
        raise TypeError("only RSA")
    sha256_oid, sha1_oid = (
        bytes.fromhex("2a864886f70d01010b"),
        bytes.fromhex("2a864886f70d010105"),
    )
    old = issued.certificate
    tbs = old.tbs_certificate_bytes.replace(sha256_oid, sha1_oid)
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303
    digest.update(tbs)
    info = bytes.fromhex("3021300906052b0e03021a05000414") + digest.finalize()
    size = issuer.key.key_size // 8
    block = b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info
    numbers = issuer.key.private_numbers()
    made = pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(size)
    der = issued.der.replace(old.signature, made).replace(old.tbs_certificate_bytes, tbs)
    return Issued(x509.load_der_x509_certificate(der.replace(sha256_oid, sha1_oid)), issued.key)
