"""Certificates of claim signers: sound ones, and ones with a single chosen fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from countermark.provenance import certificate_asn1
from support.pki import DAY, Issued, key_usage

# The present, as c2pa knows no other time.
MOMENT = datetime.now(UTC).replace(microsecond=0)

CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
SOUND_PURPOSES = (CLAIM_SIGNING, DOCUMENT_SIGNING)
_NAMES = {"C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}

# An extension of these replaces the sound one of its kind; None leaves it out.
Extensions = Mapping[
    type[x509.ExtensionType], tuple[x509.ExtensionType, bool] | x509.ExtensionType | None
]
SPAN = (MOMENT - 30 * DAY, MOMENT + 30 * DAY)


def subject(**parts: str) -> x509.Name:
    """Return a name, e.g. `subject(C="ZZ", O="Acme", CN="Signer")`."""
    return x509.Name([x509.NameAttribute(_NAMES[part], text) for part, text in parts.items()])


def issue(
    name: x509.Name,
    issuer: Issued | None,
    extensions: Extensions,
    *,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    span: tuple[datetime, datetime] = SPAN,
    digest: hashes.SHA224 | hashes.SHA256 | None = None,
    pss: padding.PSS | None = None,
) -> Issued:
    """Return a certificate with these extensions; with its own key without `issuer`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
    )
    for value in extensions.values():
        if value is not None:
            extension, critical = value if isinstance(value, tuple) else (value, False)
            builder = builder.add_extension(extension, critical)
    signing = issuer.key if issuer else key
    return Issued(builder.sign(signing, digest or hashes.SHA256(), rsa_padding=pss), key)


def authority(
    name: str = "Root",
    issuer: Issued | None = None,
    *,
    extensions: Extensions | None = None,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    span: tuple[datetime, datetime] = (MOMENT - 900 * DAY, MOMENT + 900 * DAY),
    path_length: int | None = None,
) -> Issued:
    """Return a CA."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    above = issuer.key if issuer else key
    sound: dict[type[x509.ExtensionType], object] = {
        x509.BasicConstraints: (x509.BasicConstraints(True, path_length), True),
        x509.KeyUsage: (key_usage("key_cert_sign", "crl_sign"), True),
        x509.SubjectKeyIdentifier: x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier: x509.AuthorityKeyIdentifier.from_issuer_public_key(
            above.public_key()
        ),
    }
    chosen = sound | dict(extensions or {})
    return issue(subject(C="ZZ", O="Test", CN=name), issuer, chosen, key=key, span=span)  # type: ignore[arg-type]


def claim_signer(
    issuer: Issued | None,
    extensions: Extensions | None = None,
    *,
    name: x509.Name | None = None,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    span: tuple[datetime, datetime] = SPAN,
    digest: hashes.SHA224 | hashes.SHA256 | None = None,
    pss: padding.PSS | None = None,
) -> Issued:
    """Return a claim signer that breaks no rule, but for the extensions that are given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    above = issuer.key if issuer else key
    sound: dict[type[x509.ExtensionType], object] = {
        x509.BasicConstraints: (x509.BasicConstraints(False, None), True),
        x509.KeyUsage: (key_usage("digital_signature"), True),
        x509.ExtendedKeyUsage: x509.ExtendedKeyUsage(SOUND_PURPOSES),
        x509.SubjectKeyIdentifier: x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier: x509.AuthorityKeyIdentifier.from_issuer_public_key(
            above.public_key()
        ),
    }
    chosen = sound | dict(extensions or {})
    name = name or subject(C="ZZ", O="Test", CN="Signer")
    return issue(name, issuer, chosen, key=key, span=span, digest=digest, pss=pss)  # type: ignore[arg-type]


def resigned(
    issued: Issued, issuer: Issued, change: Callable[[certificate_asn1.CertificateBody], None]
) -> Issued:
    """Return a certificate with its body changed and signed anew with ECDSA and SHA-256."""
    whole = asn1.decode_der(certificate_asn1.Certificate, issued.der)
    change(whole.body)
    if not isinstance(issuer.key, ec.EllipticCurvePrivateKey):
        raise TypeError("only ECDSA")
    signature = issuer.key.sign(asn1.encode_der(whole.body), ec.ECDSA(hashes.SHA256()))
    whole.signature = asn1.BitString(signature, 0)
    return Issued(x509.load_der_x509_certificate(asn1.encode_der(whole)), issued.key)


def pem(*chain: Issued) -> bytes:
    """Return these certificates as one PEM text."""
    return b"".join(each.certificate.public_bytes(serialization.Encoding.PEM) for each in chain)
