"""Certificates: which may speak for a model, judged at one trusted moment.

This module asks the questions and words the answers. It never falls back to a system's or
a browser's roots, never fetches anything, and never takes a common name for an identity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from countermark.signing.identities import IdentityPattern, parse_identity
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, Status, failed, held, not_checked, warned
from countermark.signing.x509_loading import (
    CertificateFacts,
    describe,
    extension_of,
    hash_name,
    load_der,
    load_pem_certificates,
)
from countermark.signing.x509_paths import MAX_INTERMEDIATES, find_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = [
    "CertificateFacts",
    "describe",
    "examine_chain",
    "load_der",
    "load_pem_certificates",
    "weaknesses",
]

_MIN_RSA_BITS = 2048
_MAX_SHOWN = 8
_MAX_MOMENTS = 16  # Each costs up to 40 ms of signature checks; hostile chains cost the most.

_STRONG_HASHES = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})


def examine_chain(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    identities: Sequence[str],
    at: datetime,
    time_source: str,
    require_code_signing: bool = True,
) -> tuple[tuple[Check, ...], CertificateFacts]:
    """Judge whether `leaf` may speak for a model, and report every question asked.

    Args:
        leaf: The signer's certificate, from `load_der`.
        intermediates: Issuers out of the bundle; untrusted.
        roots: The caller's trusted certificates. None means refusal, never other roots.
        identities: Patterns of `parse_identity`, one of which has to match; empty warns.
        at: The trusted time, aware.
        time_source: Where `at` comes from, for sentences: "the clock", "a timestamp".
        require_code_signing: Whether a leaf without extended key usage is refused. One that
            has extended key usage without codeSigning always is (RFC 5280 4.2.1.12).

    Raises:
        IdentityPatternError: One of `identities` cannot be a pattern.

    """
    if at.tzinfo is None:
        raise ValueError("the time of a check must be aware")
    patterns = [parse_identity(text) for text in identities]
    at = at.replace(microsecond=0)  # X.509 validity has whole seconds, both ends included.
    facts = describe(leaf)
    weak = weaknesses(leaf)
    chain = (
        not_checked("chain-not-checked", "a weak certificate proves nothing about its issuer")
        if weak
        else _chain(leaf, intermediates, roots, at, time_source)
    )
    checks = (
        *weak,
        chain,
        _validity(leaf, at, time_source),
        *_role(leaf),
        _purpose(leaf, require_code_signing),
        _identity(facts, patterns),
    )
    accepted = all(check.status in (Status.HELD, Status.WARNED) for check in checks)
    return checks, replace(facts, trusted=accepted)


def _untrusted(code: str, sentence: str, hint: str = "") -> Check:
    return failed(code, Outcome.UNTRUSTED_SIGNER, sentence, hint)


def weaknesses(leaf: x509.Certificate) -> tuple[Check, ...]:
    """Return failures only: keys we do not verify with, and hashes that can be collided."""
    checks: list[Check] = []
    match leaf.public_key():
        case rsa.RSAPublicKey(key_size=bits):
            weakness = f"an RSA key of {bits} bits" if bits < _MIN_RSA_BITS else ""
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1() | ec.SECP521R1()):
            weakness = ""
        case ec.EllipticCurvePublicKey(curve=curve):
            weakness = f"a key on the curve {curve.name}"
        case ed25519.Ed25519PublicKey():
            weakness = ""
        case other:
            weakness = f"a {type(other).__name__.removesuffix('PublicKey')} key"
    if weakness:
        expected = "expected EC P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more"
        checks.append(
            _untrusted("certificate-weak-key", f"the certificate has {weakness}; {expected}")
        )
    digest = hash_name(leaf)
    if digest is not None and digest not in _STRONG_HASHES:
        sentence = f"the certificate was signed over {digest}; expected sha256 or stronger"
        checks.append(_untrusted("certificate-weak-signature", sentence))
    return tuple(checks)


def _chain(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: datetime,
    time_source: str,
) -> Check:
    if not roots:
        return _untrusted(
            "no-trust-roots",
            "no root certificate was given, so nobody vouches for the signer",
            "Give the CA you trust with --cert-chain; public web roots are never used.",
        )
    if len(intermediates) > MAX_INTERMEDIATES:
        return _untrusted(
            "chain-too-long",
            f"{len(intermediates)} intermediate certificates, limit {MAX_INTERMEDIATES}",
        )
    purpose = ExtendedKeyUsageOID.CODE_SIGNING
    path = find_path(leaf, intermediates, roots, at=at, purpose=purpose)
    if path is not None:
        return held("chain-valid", f"the chain leads to {_name(path[-1])}")
    for moment in _beginnings(leaf, intermediates, roots):
        path = find_path(leaf, intermediates, roots, at=moment, purpose=purpose)
        if path is None:
            continue
        for issuer in path[1:]:
            if _moment_code(issuer, at):
                return _outside(issuer, at, time_source, "issuer-")
        if _moment_code(leaf, at):  # Only the leaf is out of time; that is its own check.
            return held("chain-valid", f"the chain leads to {_name(path[-1])}")
    return _no_path(leaf, intermediates, roots)


def _beginnings(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
) -> list[datetime]:
    """Return the moments of the leaf's life at which a chain may have begun to hold.

    Every chain that ever holds does so when the youngest of its certificates becomes valid.
    """
    issuers = {below.issuer for below in (leaf, *intermediates)}
    above = (*intermediates, *(root for root in roots if root.subject in issuers))
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    moments = {begin, *(max(begin, other.not_valid_before_utc) for other in above)}
    return sorted(moment for moment in moments if moment <= end)[:_MAX_MOMENTS]


def _no_path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
) -> Check:
    issuer = printable(leaf.issuer.rfc4514_string())
    if any(other.subject == leaf.issuer for other in (*intermediates, *roots)):
        sentence = f"no valid chain leads from the certificate, issued by '{issuer}', to your roots"
        return _untrusted("chain-untrusted", sentence)
    return _untrusted(
        "chain-untrusted",
        f"the issuer '{issuer}' is neither in the bundle nor among your roots",
        "Ask the signer for the CA's certificate, and check it before you trust it.",
    )


def _name(certificate: x509.Certificate) -> str:
    return f"'{printable(certificate.subject.rfc4514_string())}'"


def _moment_code(certificate: x509.Certificate, at: datetime) -> str:
    if at < certificate.not_valid_before_utc:
        return "certificate-not-yet-valid"
    return "certificate-expired" if at > certificate.not_valid_after_utc else ""


def _outside(certificate: x509.Certificate, at: datetime, source: str, prefix: str = "") -> Check:
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return failed(
        prefix + _moment_code(certificate, at),
        Outcome.OUTSIDE_VALIDITY,
        f"the certificate of {_name(certificate)} is valid from {since:%Y-%m-%d %H:%M:%SZ} to "
        f"{until:%Y-%m-%d %H:%M:%SZ}; it was checked at {at:%Y-%m-%d %H:%M:%SZ}, from {source}",
        "A trusted timestamp in the bundle lets a signature outlive its certificate.",
    )


def _validity(leaf: x509.Certificate, at: datetime, source: str) -> Check:
    if _moment_code(leaf, at):
        return _outside(leaf, at, source)
    until = leaf.not_valid_after_utc
    return held("certificate-in-time", f"valid until {until:%Y-%m-%d %H:%M:%SZ}; time: {source}")


def _role(leaf: x509.Certificate) -> tuple[Check, ...]:
    """Failures and warnings: certificates for issuing, or not for signing data."""
    usage = extension_of(leaf, x509.KeyUsage)
    basic = extension_of(leaf, x509.BasicConstraints)
    checks: list[Check] = []
    if basic is not None and basic.ca:
        # RFC 5280 4.2.1.3: without keyCertSign it cannot issue, so the mark is a mistake
        # that some tools make (GnuTLS templates), not a danger.
        if usage is None or usage.key_cert_sign:
            sentence = "the certificate is a CA's; expected a signer's own"
            checks.append(_untrusted("certificate-is-a-ca", sentence))
        else:
            sentence = "the certificate is marked as a CA's, but may not issue certificates"
            checks.append(warned("certificate-marked-as-ca", sentence))
    if usage is not None and not usage.digital_signature:
        sentence = "the key usage of the certificate lacks digitalSignature"
        checks.append(_untrusted("certificate-not-for-signatures", sentence))
    return tuple(checks)


def _purpose(leaf: x509.Certificate, required: bool) -> Check:
    usage = extension_of(leaf, x509.ExtendedKeyUsage)
    if usage is None and required:
        return _untrusted(
            "certificate-without-code-signing",
            "the certificate has no extended key usage; expected codeSigning",
            "Ask your CA for a code-signing certificate.",
        )
    if usage is None:
        return warned("certificate-purpose-open", "the certificate does not say what it is for")
    # "Any purpose" is how a TLS certificate would become a code-signing one.
    if ExtendedKeyUsageOID.CODE_SIGNING not in usage:
        found = ", ".join(oid.dotted_string for oid in list(usage)[:_MAX_SHOWN])
        return _untrusted(
            "certificate-not-for-code-signing",
            f"the extended key usage of the certificate is {found}; expected codeSigning",
            "Ask your CA for a code-signing certificate.",
        )
    return held("certificate-for-code-signing", "the certificate is for code signing")


def _identity(facts: CertificateFacts, patterns: Sequence[IdentityPattern]) -> Check:
    shown = ", ".join(f"'{printable(name)}'" for name in facts.identities[:_MAX_SHOWN]) or "nobody"
    if len(facts.identities) > _MAX_SHOWN:
        shown += f" and {len(facts.identities) - _MAX_SHOWN} more"
    if not patterns:
        return warned(
            "identity-not-pinned",
            f"the certificate names {shown}; you did not say who should have signed",
            "Name the signer with --identity: anybody your CA vouches for is accepted now.",
        )
    for name in facts.identities:
        if any(pattern.matches(name) for pattern in patterns):
            return held("identity-matched", f"the certificate names '{printable(name)}'")
    expected = " or ".join(f"'{pattern.text}'" for pattern in patterns[:_MAX_SHOWN])
    return _untrusted("identity-mismatch", f"the certificate names {shown}; expected {expected}")
