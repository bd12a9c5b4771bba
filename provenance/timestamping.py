"""A timestamp authority for development (RFC 3161): what it answers to a request.

It vouches for the clock of the machine it runs on, and nobody but its maker trusts it. It is for
trying out time-stamped signing, and what becomes of it once a certificate has expired, without a
network. Only the answer is made here: who listens, and whose clock, is the caller's business.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from countermark.provenance import timestamp_asn1 as shapes
from countermark.provenance.errors import CredentialError
from countermark.signing.errors import TooLargeError
from countermark.signing.keys import MAX_KEY_BYTES
from countermark.signing.x509_loading import load_pem_certificates

__all__ = [
    "MAX_REQUEST_BYTES",
    "REQUEST_TYPE",
    "RESPONSE_TYPE",
    "TimestampAuthority",
    "answer",
    "load_authority",
]

MAX_REQUEST_BYTES = 4096  # A request with SHA-512, a policy and a nonce has about 150.
REQUEST_TYPE = "application/timestamp-query"
RESPONSE_TYPE = "application/timestamp-reply"

_GRANTED, _REJECTION = 0, 2  # PKIStatus of RFC 3161 section 2.4.2.
# Bits of PKIFailureInfo there, counted from the left.
_BAD_ALGORITHM, _BAD_DATA_FORMAT, _UNACCEPTED_POLICY = 0, 5, 15
_MAX_NONCE_BITS = 256

_POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.62558.1.1")  # The one that the certificate names.
_TST_INFO = x509.ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
_SIGNED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
_CONTENT_TYPE = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.47")
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_ECDSA_SHA256 = x509.ObjectIdentifier("1.2.840.10045.4.3.2")
_DIGEST_BYTES = {
    "2.16.840.1.101.3.4.2.1": 32,
    "2.16.840.1.101.3.4.2.2": 48,
    "2.16.840.1.101.3.4.2.3": 64,
}


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """A key that may sign timestamps, and its certificate.

    Attributes:
        certificate: For timestamps alone, critically so.
        key: On the curve P-256.

    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def load_authority(certificate: bytes, key: bytes) -> TimestampAuthority:
    """Read what `cert dev-ca` wrote: a certificate and its key, both as PEM.

    Raises:
        MalformedError: Not a certificate, or too large.
        CredentialError: Not a key for it, or a certificate for something else.

    """
    found = load_pem_certificates(certificate)[0]
    if len(key) > MAX_KEY_BYTES:
        raise TooLargeError("key file", size=len(key), limit=MAX_KEY_BYTES)
    try:
        private = serialization.load_pem_private_key(key, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as e:
        raise CredentialError("the authority's key is not an unencrypted key as PEM") from e
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise CredentialError("the authority's key is not on the curve P-256")
    if private.public_key() != found.public_key():
        raise CredentialError("the authority's key is not the one of its certificate")
    try:
        purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound as e:
        raise CredentialError("the authority's certificate does not say what it is for") from e
    if list(purposes.value) != [ExtendedKeyUsageOID.TIME_STAMPING] or not purposes.critical:
        raise CredentialError("the authority's certificate is not for timestamps alone, critically")
    return TimestampAuthority(found, private)


def answer(request: bytes, authority: TimestampAuthority, now: datetime, serial: int) -> bytes:
    """Return the DER `TimeStampResp` to a request: a token, or the reason why there is none.

    Args:
        request: DER `TimeStampReq`, as received; any bytes get an answer.
        authority: Who signs.
        now: Aware; what the token says, to the second.
        serial: Of the token, positive; never used before.

    """
    if len(request) > MAX_REQUEST_BYTES:
        return _rejection(f"{len(request)} bytes, limit {MAX_REQUEST_BYTES}", _BAD_DATA_FORMAT)
    try:
        read = asn1.decode_der(shapes.TimestampRequest, request)
    except ValueError:
        return _rejection("not a request that can be read", _BAD_DATA_FORMAT)
    imprint = read.imprint
    if read.version != 1 or (read.nonce or 0).bit_length() > _MAX_NONCE_BITS:
        return _rejection("not version 1, or a nonce that is too long", _BAD_DATA_FORMAT)
    expected = _DIGEST_BYTES.get(imprint.algorithm.algorithm.dotted_string)
    if expected is None:
        return _rejection("only SHA-256, SHA-384 and SHA-512", _BAD_ALGORITHM)
    if len(imprint.digest) != expected:
        return _rejection("the digest is not as long as its algorithm's", _BAD_DATA_FORMAT)
    if read.policy not in (None, _POLICY):
        return _rejection(f"only the policy {_POLICY.dotted_string}", _UNACCEPTED_POLICY)
    info = shapes.TimestampInfo(
        version=1,
        policy=_POLICY,
        imprint=imprint,
        serial=serial,
        time=asn1.GeneralizedTime(now.astimezone(UTC).replace(microsecond=0)),
        nonce=read.nonce,
    )
    token = _signed(asn1.encode_der(info), authority, with_certificate=read.wants_certificate)
    status = shapes.TimestampStatus(status=_GRANTED)
    return asn1.encode_der(shapes.TimestampResponse(status=status, token=token))


def _rejection(reason: str, bit: int) -> bytes:
    # A named bit list has no zeros at its end (X.690 section 11.2.2).
    count = bit // 8 + 1
    bits = (0x80 >> (bit % 8)).to_bytes(count)
    status = shapes.TimestampStatus(
        status=_REJECTION, text=[reason], failure=asn1.BitString(bits, 7 - bit % 8)
    )
    return asn1.encode_der(shapes.TimestampResponse(status=status))


def _signed(
    content: bytes, authority: TimestampAuthority, *, with_certificate: bool
) -> shapes.ContentInfo:
    """Return the CMS `SignedData` over a `TSTInfo`, signed with ECDSA and SHA-256."""
    certificate = authority.certificate
    named = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()
    signing_certificate = shapes.SigningCertificate(
        certificates=[shapes.CertificateId(digest=named)]
    )
    attributes = asn1.SetOf(
        [
            _attribute(_CONTENT_TYPE, asn1.encode_der(_TST_INFO)),
            _attribute(_MESSAGE_DIGEST, asn1.encode_der(hashlib.sha256(content).digest())),
            _attribute(_SIGNING_CERTIFICATE_V2, asn1.encode_der(signing_certificate)),
        ]
    )
    # RFC 5652 section 5.4: signed as a SET OF, though they are written with another tag.
    signature = authority.key.sign(asn1.encode_der(attributes), ec.ECDSA(hashes.SHA256()))
    digest_algorithm = shapes.AlgorithmIdentifier(algorithm=_SHA256)
    signer = shapes.SignerInfo(
        version=1,
        signer=shapes.IssuerAndSerial(
            issuer=asn1.decode_der(asn1.TLV, certificate.issuer.public_bytes()),
            serial=certificate.serial_number,
        ),
        digest_algorithm=digest_algorithm,
        attributes=attributes,
        signature_algorithm=shapes.AlgorithmIdentifier(algorithm=_ECDSA_SHA256),
        signature=signature,
    )
    return shapes.ContentInfo(
        kind=_SIGNED_DATA,
        content=shapes.SignedData(
            version=3,
            digest_algorithms=asn1.SetOf([digest_algorithm]),
            content=shapes.EncapsulatedContent(kind=_TST_INFO, content=content),
            certificates=asn1.SetOf([certificate]) if with_certificate else None,
            signers=asn1.SetOf([signer]),
        ),
    )


def _attribute(kind: x509.ObjectIdentifier, value: bytes) -> shapes.Attribute:
    return shapes.Attribute(kind=kind, values=asn1.SetOf([asn1.decode_der(asn1.TLV, value)]))
