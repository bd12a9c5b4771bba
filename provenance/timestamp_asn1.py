"""The shapes of RFC 3161 requests and responses, and of the CMS around a token.

Sources: RFC 3161 section 2.4, RFC 5816 section 2.2.1 (ESSCertIDv2), RFC 5652 section 5. Only what
an authority needs: no requests with extensions, no responses from others.
"""

from __future__ import annotations

from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1

__all__ = [
    "AlgorithmIdentifier",
    "Attribute",
    "CertificateId",
    "ContentInfo",
    "EncapsulatedContent",
    "IssuerAndSerial",
    "MessageImprint",
    "SignedData",
    "SignerInfo",
    "SigningCertificate",
    "TimestampInfo",
    "TimestampRequest",
    "TimestampResponse",
    "TimestampStatus",
]


@asn1.sequence
class AlgorithmIdentifier:
    """An algorithm; hashes may come with NULL for parameters, which means the same as none."""

    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None = None


@asn1.sequence
class MessageImprint:
    """The digest that is to be stamped."""

    algorithm: AlgorithmIdentifier
    digest: bytes


@asn1.sequence
class TimestampRequest:
    """`TimeStampReq`, without extensions: no authority has to understand any."""

    version: int
    imprint: MessageImprint
    policy: x509.ObjectIdentifier | None = None
    nonce: int | None = None
    wants_certificate: Annotated[bool, asn1.Default(value=False)] = False


@asn1.sequence
class TimestampInfo:
    """`TSTInfo`: what an authority signs."""

    version: int
    policy: x509.ObjectIdentifier
    imprint: MessageImprint
    serial: int
    time: asn1.GeneralizedTime
    nonce: int | None = None


@asn1.sequence
class TimestampStatus:
    """`PKIStatusInfo`."""

    status: int
    text: list[str] | None = None
    failure: asn1.BitString | None = None


@asn1.sequence
class CertificateId:
    """`ESSCertIDv2` with SHA-256, which is its default and so is not written."""

    digest: bytes


@asn1.sequence
class SigningCertificate:
    """`SigningCertificateV2`."""

    certificates: list[CertificateId]


@asn1.sequence
class Attribute:
    """A signed attribute; its values are whatever its kind says."""

    kind: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class IssuerAndSerial:
    """Which certificate signed."""

    issuer: asn1.TLV
    serial: int


@asn1.sequence
class SignerInfo:
    """One signature of CMS."""

    version: int
    signer: IssuerAndSerial
    digest_algorithm: AlgorithmIdentifier
    attributes: Annotated[asn1.SetOf[Attribute], asn1.Implicit(0)]
    signature_algorithm: AlgorithmIdentifier
    signature: bytes


@asn1.sequence
class EncapsulatedContent:
    """What CMS signs, with its kind."""

    kind: x509.ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class SignedData:
    """`SignedData` of CMS."""

    version: int
    digest_algorithms: asn1.SetOf[AlgorithmIdentifier]
    content: EncapsulatedContent
    certificates: Annotated[asn1.SetOf[x509.Certificate] | None, asn1.Implicit(0)]
    signers: asn1.SetOf[SignerInfo]


@asn1.sequence
class ContentInfo:
    """The outermost shell of CMS."""

    kind: x509.ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


@asn1.sequence
class TimestampResponse:
    """`TimeStampResp`."""

    status: TimestampStatus
    token: ContentInfo | None = None
