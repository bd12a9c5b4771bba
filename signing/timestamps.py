"""RFC 3161 timestamps: since when a signature exists, according to authorities you pinned.

A bundle's timestamps are not covered by its signature: whoever can change the bundle can
drop or add them. A dropped one costs trusted time, and certificates are then judged now;
one that lies (another signature's, damaged) refuses the bundle; one from an authority that
is not pinned proves nothing and only warns.

The path from the authority's certificate to a root is built here, at the timestamp's own
time, by the rules for all other certificates; the CMS signature is rfc3161-client's. The
ESSCertID attribute (RFC 5816) is not compared: the signer's certificate is taken by issuer
and serial number, and its key has to verify.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from countermark.signing.certificates import weaknesses
from countermark.signing.errors import MalformedCertificateError, MissingExtraError, TooLargeError
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed, held, not_checked, warned
from countermark.signing.x509_loading import UNREADABLE, extension_of, load_der, strictly
from countermark.signing.x509_paths import find_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rfc3161_client import TimeStampResponse

__all__ = ["MAX_TIMESTAMPS", "MAX_TIMESTAMP_BYTES", "trusted_time"]

MAX_TIMESTAMPS = 32
MAX_TIMESTAMP_BYTES = 64 << 10

_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_GRANTED = 0  # PKIStatus of RFC 3161 section 2.4.2.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamp:
    """One token, read out but not believed."""

    response: TimeStampResponse
    granted: bool
    time: datetime
    imprint_hash: str  # Empty: one that we do not accept.
    imprint: bytes
    weak_digest: bool
    certificates: tuple[x509.Certificate, ...]
    issuer: x509.Name
    serial: int


def trusted_time(
    tokens: Sequence[bytes],
    signature: bytes,
    tsa_roots: Sequence[x509.Certificate],
    tsa_intermediates: Sequence[x509.Certificate] = (),
) -> tuple[tuple[Check, ...], datetime | None]:
    """Return one check for each token, and the earliest time that a pinned authority vouches for.

    The earliest is the one that proves most: the signature existed by then, and nobody
    without the authority's key can move it back.

    Args:
        tokens: DER `TimeStampResp` values out of a bundle.
        signature: Raw signature bytes of the DSSE envelope, which the tokens must be about.
        tsa_roots: Self-signed certificates the caller trusts for timestamps.
        tsa_intermediates: Untrusted issuers, and authorities' certificates that their
            tokens leave out.

    Returns:
        The checks, and an aware UTC time; None if no token is valid or any is invalid.

    Raises:
        MissingExtraError: There is something to check, and rfc3161-client is not installed.

    """
    if not tokens:
        if not tsa_roots:
            return (), None
        return (not_checked("timestamp-absent", "the bundle has no timestamp"),), None
    if not tsa_roots:
        sentence = f"{len(tokens)} timestamps, but no root of a timestamp authority was given"
        hint = "Give the authority's root certificate to judge the signer at signing time."
        return (not_checked("timestamp-not-checked", sentence, hint),), None
    if len(tokens) > MAX_TIMESTAMPS:
        sentence = f"{len(tokens)} timestamps, limit {MAX_TIMESTAMPS}"
        return (failed("timestamp-invalid", Outcome.MALFORMED, sentence),), None
    checks: list[Check] = []
    times: list[datetime] = []
    for token in tokens:
        check, time = _judge(token, signature, tsa_roots, tsa_intermediates)
        checks.append(check)
        if time is not None:
            times.append(time)
    if any(check.code == "timestamp-invalid" for check in checks):
        return tuple(checks), None
    return tuple(checks), min(times, default=None)


def _judge(
    token: bytes,
    signature: bytes,
    roots: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
) -> tuple[Check, datetime | None]:
    try:
        stamp = _read(token)
    except (MalformedCertificateError, TooLargeError) as e:
        return failed("timestamp-invalid", Outcome.MALFORMED, str(e)), None
    if not stamp.granted:
        sentence = "the authority did not grant this timestamp"
        return failed("timestamp-invalid", Outcome.MALFORMED, sentence), None
    if not stamp.imprint_hash or stamp.weak_digest:
        sentence = "the timestamp uses a weak or unknown hash; expected sha256, sha384 or sha512"
        return warned("timestamp-untrusted", sentence), None
    if hashlib.new(stamp.imprint_hash, signature).digest() != stamp.imprint:
        sentence = "the timestamp is about another signature"
        return failed("timestamp-invalid", Outcome.TAMPERED, sentence), None
    path = _path(stamp, roots, intermediates)
    if isinstance(path, str):
        hint = "Without it the signer's certificate is judged at the present time."
        return warned("timestamp-untrusted", path, hint), None
    if not _signature_holds(stamp, signature, path):
        sentence = "the timestamp's own signature does not hold"
        return failed("timestamp-invalid", Outcome.TAMPERED, sentence), None
    authority = printable(path[0].subject.rfc4514_string())
    sentence = f"signed before {stamp.time:%Y-%m-%d %H:%M:%SZ}, says '{authority}'"
    return held("timestamp-valid", sentence), stamp.time


def _read(token: bytes) -> _Stamp:
    if len(token) > MAX_TIMESTAMP_BYTES:
        raise TooLargeError("timestamp", size=len(token), limit=MAX_TIMESTAMP_BYTES)
    try:
        from rfc3161_client import decode_timestamp_response
    except ImportError as e:
        raise MissingExtraError("checking timestamps", "timestamp") from e
    try:
        with strictly():
            return _unpack(decode_timestamp_response(token))
    except UNREADABLE as e:
        raise MalformedCertificateError("not an RFC 3161 timestamp in DER") from e


def _unpack(response: TimeStampResponse) -> _Stamp:
    info, signed = response.tst_info, response.signed_data
    (signer,) = signed.signer_infos  # More or fewer than one is malformed for us.
    imprint_oid = info.message_imprint.hash_algorithm.dotted_string
    digests = {oid.dotted_string for oid in signed.digest_algorithms}
    return _Stamp(
        response=response,
        granted=response.status == _GRANTED,
        time=info.gen_time,
        imprint_hash=_HASHES.get(imprint_oid, ""),
        imprint=info.message_imprint.message,
        weak_digest=not digests <= _HASHES.keys(),
        certificates=tuple(load_der(der) for der in signed.certificates),
        issuer=signer.issuer,
        serial=signer.serial_number,
    )


def _path(
    stamp: _Stamp,
    roots: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
) -> tuple[x509.Certificate, ...] | str:
    """Return the authority's chain at the time it states, or why it is not to be trusted."""
    known = (*stamp.certificates, *intermediates, *roots)
    for authority in known:
        if authority.issuer == stamp.issuer and authority.serial_number == stamp.serial:
            break
    else:
        return "the certificate of the timestamp's authority is neither in it nor given"
    purpose = ExtendedKeyUsageOID.TIME_STAMPING
    # RFC 3161 section 2.3: this purpose, no other, and critical.
    usages = [e for e in authority.extensions if isinstance(e.value, x509.ExtendedKeyUsage)]
    if not all(e.critical and list(e.value) == [purpose] for e in usages) or not usages:
        return "the authority's certificate is not for timestamps alone"
    usage = extension_of(authority, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        return "the authority's certificate is not for signatures"
    if weaknesses(authority):
        return "the authority's key, or the signature on its certificate, is weak"
    others = [c for c in (*stamp.certificates, *intermediates) if c != authority]
    path = find_path(authority, others, roots, at=stamp.time, purpose=purpose)
    name = printable(authority.subject.rfc4514_string())
    if path is None:
        return f"no valid chain leads from the timestamp authority '{name}' to your roots"
    if path[-1].issuer != path[-1].subject:
        return f"the root given for the timestamp authority '{name}' is not self-signed"
    return path


def _signature_holds(stamp: _Stamp, signature: bytes, path: tuple[x509.Certificate, ...]) -> bool:
    from rfc3161_client import VerificationError, VerifierBuilder

    # rfc3161-client trusts every certificate it is given, intermediates included, so it is
    # given the verified path and nothing else. Its builders share their lists when they
    # are copied: each token gets a fresh one.
    embedded = path[0] in stamp.certificates
    builder = VerifierBuilder(
        tsa_certificate=None if embedded else path[0],
        intermediates=list(path[1:-1]),
        roots=[path[-1]],
    )
    try:
        return builder.build().verify_message(stamp.response, signature)
    except (VerificationError, ValueError):
        return False
