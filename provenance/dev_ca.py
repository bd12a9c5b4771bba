"""Certificates for development: a CA, a C2PA claim signer below it, and a timestamp authority.

The signer's certificate has the shape of the C2PA conformance programme's profile for Assurance
Level 1 (certificate policy 0.2, "Claim Signing Leaf"), and the timestamp authority's that of
"TSA Time-Stamp Signing Leaf", so that what works with them works with bought ones. Nobody but
their maker trusts them: no list of C2PA names this CA, the record number is one that no product
has, and the CA's key is forgotten as soon as both certificates are signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from countermark.provenance.errors import CredentialError
from countermark.provenance.purposes import CLAIM_SIGNING, DOCUMENT_SIGNING
from countermark.signing.names import printable

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

__all__ = [
    "DEV_KEY_TYPES",
    "MAX_DAYS",
    "PROFILE_DAYS",
    "DevCredentials",
    "DevRequest",
    "make_dev_credentials",
]

DEV_KEY_TYPES = ("ec-p256", "ec-p384", "ec-p521", "ed25519", "rsa-3072", "rsa-4096")
PROFILE_DAYS = 365  # At Assurance Level 1 366 are allowed, from the five minutes before now on.
MAX_DAYS = 3650

# C2PA's own arc, and what the profile takes from PKIX.
_POLICY = "1.3.6.1.4.1.62558.1.1"
_ASSURANCE_LEVEL = "1.3.6.1.4.1.62558.3"
_LEVEL_1 = "1.3.6.1.4.1.62558.3.10"
_PRODUCT_RECORD = "1.3.6.1.4.1.62558.4"

_NO_PRODUCT = "00000000-0000-0000-0000-000000000000"
_NO_RESPONDER = "http://ocsp.invalid/"  # RFC 2606: resolves nowhere, so nobody is ever asked.
_SERIAL_BYTES = 20
_SKEW = timedelta(minutes=5)  # A verifier's clock may be behind ours.
_MAX_NAME = 64  # RFC 5280, ub-organization-name and ub-common-name.

_USAGES = (
    "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
    "key_cert_sign crl_sign encipher_only decipher_only"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevRequest:
    """What the certificates are to say.

    Attributes:
        organization: Of all three; 1 to 41 visible characters.
        key_type: Of the signer; one of `DEV_KEY_TYPES`.
        validity: Of the signer's certificate, from now on; the profile allows 366 days.

    """

    organization: str = "Countermark"
    key_type: str = "ec-p256"
    validity: timedelta = timedelta(days=PROFILE_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevCredentials:
    """A CA's certificate, and two keys with certificates of its.

    Attributes:
        ca: Self-signed, DER.
        ca_pem: The same as PEM.
        signer: Certificate of the claim signer, DER.
        signer_pem: The chain to sign with, PEM: the signer alone, since a root is left out.
        signer_key_pem: PKCS#8 PEM, not encrypted.
        tsa: Certificate of the timestamp authority, DER.
        tsa_pem: The same as PEM.
        tsa_key_pem: PKCS#8 PEM, not encrypted.
        not_after: When the signer's certificate ends.

    """

    ca: bytes
    ca_pem: bytes
    signer: bytes
    signer_pem: bytes
    signer_key_pem: bytes
    tsa: bytes
    tsa_pem: bytes
    tsa_key_pem: bytes
    not_after: datetime


def make_dev_credentials(
    now: datetime, randomness: Callable[[int], bytes], request: DevRequest | None = None
) -> DevCredentials:
    """Make a CA, a claim signer and a timestamp authority; the CA's key is forgotten.

    Args:
        now: Aware; all three are valid from five minutes before it.
        randomness: Returns so many bytes, for the serial numbers. Keys are drawn from the
            operating system, as `cryptography` has no other way.
        request: By default an EC key, valid for a year.

    Raises:
        CredentialError: The request asks for what no certificate can say.

    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from countermark.signing.keys import generate

    request = request or DevRequest()
    _check(request)
    ca_key, tsa_key = _key(generate("ec-p384").pem(None)), _key(generate("ec-p256").pem(None))
    signer_key = _key(generate(request.key_type).pem(None))
    end = now.replace(microsecond=0) + request.validity
    ca_end = max(now + timedelta(days=MAX_DAYS), end)
    maker = _Maker(now - _SKEW, randomness, request.organization, ca_key)
    ca = maker.authority(ca_end)
    signer = maker.leaf("development signer", signer_key, end, claim_signer=True)
    tsa = maker.leaf("development timestamps", tsa_key, ca_end, claim_signer=False)
    return DevCredentials(
        ca=ca.public_bytes(Encoding.DER),
        ca_pem=ca.public_bytes(Encoding.PEM),
        signer=signer.public_bytes(Encoding.DER),
        signer_pem=signer.public_bytes(Encoding.PEM),
        signer_key_pem=_pem(signer_key),
        tsa=tsa.public_bytes(Encoding.DER),
        tsa_pem=tsa.public_bytes(Encoding.PEM),
        tsa_key_pem=_pem(tsa_key),
        not_after=signer.not_valid_after_utc,
    )


def _check(request: DevRequest) -> None:
    # Room for the longest suffix that `_Maker` adds to the common name.
    room = _MAX_NAME - len(" development timestamps")
    name = request.organization
    if not 0 < len(name) <= room or printable(name) != name or name != name.strip():
        raise CredentialError(
            f"an organization's name of {len(name)} characters, "
            f"expected 1 to {room} that are visible"
        )
    if request.key_type not in DEV_KEY_TYPES:
        raise CredentialError(
            f"key type {request.key_type!r}, expected one of {', '.join(DEV_KEY_TYPES)}"
        )
    if not timedelta(0) < request.validity <= timedelta(days=MAX_DAYS):
        raise CredentialError(f"a validity of {request.validity}, expected 1 to {MAX_DAYS} days")


@dataclass(frozen=True, slots=True)
class _Maker:
    """Signs certificates with one CA key."""

    begin: datetime
    randomness: Callable[[int], bytes]
    organization: str
    key: CertificateIssuerPrivateKeyTypes

    def authority(self, end: datetime) -> x509.Certificate:
        from cryptography import x509

        builder = self._begin(self._name("development CA"), self.key, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_key_usage("key_cert_sign", "crl_sign"), True)
        return self._sign(builder)

    def leaf(
        self, role: str, key: CertificateIssuerPrivateKeyTypes, end: datetime, *, claim_signer: bool
    ) -> x509.Certificate:
        from cryptography import x509
        from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

        purposes = [ExtendedKeyUsageOID.TIME_STAMPING]
        if claim_signer:
            purposes = [x509.ObjectIdentifier(oid) for oid in (CLAIM_SIGNING, DOCUMENT_SIGNING)]
        responder = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(_NO_RESPONDER)
        )
        policy = x509.PolicyInformation(x509.ObjectIdentifier(_POLICY), None)
        builder = self._begin(self._name(role), key, end)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage("digital_signature", "content_commitment"), True),
            # RFC 3161 section 2.3 wants it critical, C2PA's profile of a signer does not.
            (x509.ExtendedKeyUsage(purposes), not claim_signer),
            (x509.CertificatePolicies([policy]), False),
            (x509.AuthorityInformationAccess([responder]), False),
            *(((extension, False) for extension in _level_1()) if claim_signer else ()),
        ):
            builder = builder.add_extension(extension, critical)
        return self._sign(builder)

    def _begin(
        self, subject: x509.Name, key: CertificateIssuerPrivateKeyTypes, end: datetime
    ) -> x509.CertificateBuilder:
        from cryptography import x509

        serial = int.from_bytes(self.randomness(_SERIAL_BYTES)) >> 1  # Positive, 20 octets.
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name("development CA"))
            .public_key(key.public_key())
            .serial_number(serial or 1)
            .not_valid_before(self.begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(self.key, hashes.SHA384())

    def _name(self, role: str) -> x509.Name:
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "ZZ"),  # ISO 3166: for private use.
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organization),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{self.organization} {role}"),
            ]
        )


def _level_1() -> tuple[x509.UnrecognizedExtension, ...]:
    from cryptography import x509
    from cryptography.hazmat import asn1

    level = asn1.encode_der(x509.ObjectIdentifier(_LEVEL_1))
    return (
        x509.UnrecognizedExtension(x509.ObjectIdentifier(_ASSURANCE_LEVEL), level),
        x509.UnrecognizedExtension(
            x509.ObjectIdentifier(_PRODUCT_RECORD), asn1.encode_der(_NO_PRODUCT)
        ),
    )


def _key_usage(*names: str) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(**{usage: usage in names for usage in _USAGES})


def _key(pem: bytes) -> CertificateIssuerPrivateKeyTypes:
    from typing import cast

    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return cast("CertificateIssuerPrivateKeyTypes", load_pem_private_key(pem, None))


def _pem(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
