"""What the C2PA conformance programme adds for its own claim signers.

Source: C2PA certificate policy 0.2, "Claim Signing Leaf" of Assurance Levels 1 and 2. Nothing here
refuses a certificate: those from other CAs sign and verify without, and only the C2PA trust list
asks for it. A certificate that claims a level is told what it lacks.
"""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import AuthorityInformationAccessOID

from countermark.signing.names import printable
from countermark.signing.verdict import Check, held, not_checked, warned
from countermark.signing.x509_loading import extension_of

__all__ = ["check_programme"]

_ASSURANCE_LEVEL = x509.ObjectIdentifier("1.3.6.1.4.1.62558.3")
_LEVELS = {"1.3.6.1.4.1.62558.3.10": 1, "1.3.6.1.4.1.62558.3.20": 2}
_LEVEL_DAYS = {1: 366, 2: 90}
_PRODUCT_RECORD = x509.ObjectIdentifier("1.3.6.1.4.1.62558.4")
_RECORD_CHARACTERS = 36  # A UUID.
_POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.62558.1.1")


def check_programme(leaf: x509.Certificate) -> tuple[Check, ...]:
    """Return what the programme would say of a certificate, or that it is none of its."""
    raw = _raw(leaf, _ASSURANCE_LEVEL)
    if raw is None:
        return (
            not_checked(
                "cert-assurance-level",
                "the certificate claims no C2PA assurance level; only the conformance programme "
                "asks for one",
            ),
        )
    level = _level(raw)
    if level is None:
        return (warned("cert-assurance-level", "its C2PA assurance level cannot be read"),)
    return (
        held("cert-assurance-level", f"the certificate claims C2PA Assurance Level {level}"),
        _record(leaf),
        _policy(leaf),
        _responder(leaf),
        _lifetime(leaf, level),
    )


def _record(leaf: x509.Certificate) -> Check:
    raw = _raw(leaf, _PRODUCT_RECORD)
    try:
        record = "" if raw is None else asn1.decode_der(str, raw)
    except ValueError:
        record = ""
    if len(record) == _RECORD_CHARACTERS:
        return held("cert-product-record", f"it names the product record {printable(record)}")
    return warned(
        "cert-product-record",
        "it claims an assurance level, and names no record of the conforming products list",
        "have it issued with the extension 1.3.6.1.4.1.62558.4",
    )


def _policy(leaf: x509.Certificate) -> Check:
    policies = extension_of(leaf, x509.CertificatePolicies) or ()
    if any(policy.policy_identifier == _POLICY for policy in policies):
        return held("cert-policy", "it was issued under the C2PA certificate policy")
    return warned(
        "cert-policy",
        "it claims an assurance level, and not the C2PA certificate policy",
        f"have it issued with the policy {_POLICY.dotted_string}",
    )


def _responder(leaf: x509.Certificate) -> Check:
    access = extension_of(leaf, x509.AuthorityInformationAccess) or ()
    if any(entry.access_method == AuthorityInformationAccessOID.OCSP for entry in access):
        return held("cert-responder", "it names an OCSP responder")
    return warned(
        "cert-responder",
        "it claims an assurance level, and names no OCSP responder",
        "have it issued with Authority Information Access",
    )


def _lifetime(leaf: x509.Certificate, level: int) -> Check:
    most = timedelta(days=_LEVEL_DAYS[level])
    lifetime = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    if lifetime <= most:
        return held("cert-lifetime", f"it is valid for {lifetime.days} days, at most {most.days}")
    return warned(
        "cert-lifetime",
        f"it is valid for {lifetime.days} days; Assurance Level {level} allows {most.days}",
        "have it issued for a shorter time",
    )


def _level(raw: bytes) -> int | None:
    try:
        return _LEVELS.get(asn1.decode_der(x509.ObjectIdentifier, raw).dotted_string)
    except ValueError:
        return None


def _raw(leaf: x509.Certificate, oid: x509.ObjectIdentifier) -> bytes | None:
    for extension in leaf.extensions:
        if extension.oid == oid and isinstance(extension.value, x509.UnrecognizedExtension):
            return extension.value.value
    return None
