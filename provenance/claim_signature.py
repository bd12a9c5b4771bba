"""Signatures over claims, as COSE wants them, and the check that they are the certificate's.

A signer that somebody else wrote gives back bytes. Before they go into a manifest they are held
against the public key of the certificate, so that a wrong key, a wrong hash or a wrong encoding
is refused here, by name, and not found out by the first reader.

Sources: RFC 9053 section 2.1 (ECDSA: r and s, each as long as the curve's order), RFC 8230
section 2 (RSASSA-PSS with a salt as long as the hash), RFC 8032 (Ed25519).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from countermark.provenance.errors import SignerRefusedError

__all__ = ["MAX_SIGNATURE_BYTES", "cose_signature"]

MAX_SIGNATURE_BYTES = 2048  # RSA of 16384 bits.

_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def cose_signature(signature: bytes, message: bytes, key: object, algorithm: str) -> bytes:
    """Return a signature in COSE's form, if it is the key's over this message.

    Args:
        signature: As a signer gave it: raw, or DER for ECDSA.
        message: What was to be signed, not a digest of it.
        key: The certificate's public key.
        algorithm: COSE algorithm in small letters.

    Raises:
        SignerRefusedError: It is not, or it is no signature at all.

    """
    for raw in _readings(signature, key):
        if _holds(raw, message, key, algorithm):
            return raw
    raise SignerRefusedError(
        f"the signer gave {len(signature)} bytes, which are not the certificate's {algorithm} "
        "signature over the claim",
        hint="it has to sign the very bytes it is given, not a digest of them, with the "
        "certificate's key",
    )


def _readings(signature: bytes, key: object) -> list[bytes]:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return [signature]
    size = (key.curve.key_size + 7) // 8
    readings = [signature] if len(signature) == 2 * size else []
    try:
        r, s = utils.decode_dss_signature(signature)
        readings.append(r.to_bytes(size) + s.to_bytes(size))
    except (ValueError, OverflowError):
        pass  # Not DER, or numbers that are negative or of a larger curve.
    return readings


def _holds(raw: bytes, message: bytes, key: object, algorithm: str) -> bool:
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                half = len(raw) // 2
                r, s = int.from_bytes(raw[:half]), int.from_bytes(raw[half:])
                der = utils.encode_dss_signature(r, s)
                key.verify(der, message, ec.ECDSA(_HASHES[algorithm[-3:]]))
            case rsa.RSAPublicKey():
                digest = _HASHES[algorithm[-3:]]
                pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
                key.verify(raw, message, pss, digest)
            case ed25519.Ed25519PublicKey():
                key.verify(raw, message)
            case _:
                return False
    except InvalidSignature:
        return False
    return True
