"""The parts of an X.509 certificate that `cryptography` reads and does not hand out.

Source: RFC 5280 section 4.1 and, for RSASSA-PSS, RFC 8017 appendix A.2.3.
"""

from __future__ import annotations

from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1

__all__ = [
    "Certificate",
    "CertificateBody",
    "Extension",
    "HashAlgorithm",
    "MaskAlgorithm",
    "PssAlgorithm",
    "PssParameters",
    "body_of",
    "pss_hashes",
]


@asn1.sequence
class Extension:
    """One extension, unread."""

    kind: x509.ObjectIdentifier
    critical: Annotated[bool, asn1.Default(value=False)] = False
    value: bytes


@asn1.sequence
class CertificateBody:
    """`TBSCertificate`: what the issuer signs."""

    version: Annotated[int | None, asn1.Explicit(0)] = None
    serial: int
    signature_algorithm: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    public_key: asn1.TLV
    issuer_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(1)] = None
    subject_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(2)] = None
    extensions: Annotated[list[Extension] | None, asn1.Explicit(3)] = None


@asn1.sequence
class Certificate:
    """A certificate with its body and its signature."""

    body: CertificateBody
    signature_algorithm: asn1.TLV
    signature: asn1.BitString


@asn1.sequence
class HashAlgorithm:
    """A hash; NULL parameters mean the same as none."""

    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None = None


@asn1.sequence
class MaskAlgorithm:
    """`MaskGenAlgorithm`: MGF1 with a hash."""

    algorithm: x509.ObjectIdentifier
    hash: HashAlgorithm


@asn1.sequence
class PssParameters:
    """`RSASSA-PSS-params`; what is absent means SHA-1."""

    hash: Annotated[HashAlgorithm | None, asn1.Explicit(0)] = None
    mask: Annotated[MaskAlgorithm | None, asn1.Explicit(1)] = None
    salt_bytes: Annotated[int | None, asn1.Explicit(2)] = None
    trailer: Annotated[int | None, asn1.Explicit(3)] = None


@asn1.sequence
class PssAlgorithm:
    """`AlgorithmIdentifier` of a signature with RSASSA-PSS."""

    algorithm: x509.ObjectIdentifier
    parameters: PssParameters | None = None


def body_of(certificate: x509.Certificate) -> CertificateBody | None:
    """Return a certificate's body; None if it is not written as RFC 5280 says."""
    try:
        return asn1.decode_der(CertificateBody, certificate.tbs_certificate_bytes)
    except ValueError:
        return None


def pss_hashes(body: CertificateBody) -> tuple[str, str] | None:
    """Return the dotted names of the hash and the mask's hash; "" for one that is absent.

    None if the algorithm is not RSASSA-PSS with parameters that can be read.
    """
    try:
        algorithm = asn1.decode_der(PssAlgorithm, asn1.encode_der(body.signature_algorithm))
    except ValueError:
        return None
    parameters = algorithm.parameters
    if parameters is None:
        return ("", "")
    mask = parameters.mask
    return (
        parameters.hash.algorithm.dotted_string if parameters.hash else "",
        mask.hash.algorithm.dotted_string if mask else "",
    )
