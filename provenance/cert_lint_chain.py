"""How the certificates of a signer's chain belong together, and until when they hold.

Sources: C2PA 2.5, "X.509 Certificates" (what `x5chain` carries, and in which order), "Certificate
Profiles" and "Certificate Trust Chain"; RFC 5280 sections 4.2.1 and 6.1 for what makes a CA.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed, held, not_checked, warned
from countermark.signing.x509_loading import extension_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    Certificates = Sequence[x509.Certificate]

__all__ = ["check_chain", "check_times", "in_order", "is_root"]


def in_order(chain: Certificates) -> tuple[x509.Certificate, ...] | None:
    """Return the certificates from the signer's to the last issuer's; None if there is no order."""
    issuers = {certificate.issuer for certificate in chain if not _names_itself(certificate)}
    leaves = [certificate for certificate in chain if certificate.subject not in issuers]
    if len(leaves) != 1:
        return None
    ordered, left = leaves, [certificate for certificate in chain if certificate != leaves[0]]
    while left:
        found = [one for one in left if one.subject == ordered[-1].issuer]
        if len(found) != 1:
            return None
        ordered.append(found[0])
        left.remove(found[0])
    return tuple(ordered)


def is_root(certificate: x509.Certificate) -> bool:
    """Return whether a certificate is signed with its own key."""
    return _names_itself(certificate) and _signed(certificate, certificate)


def check_chain(chain: Certificates, anchors: Certificates) -> tuple[Check, ...]:
    """Return what is to be said of a chain that is in order, leaf first.

    Args:
        chain: The signer's certificate, and its issuers'.
        anchors: Whom the reader will trust; without any it is not asked whether the chain is whole.

    """
    return (
        *_links(chain),
        _key_ids(chain),
        *_issuers(chain),
        *_ends(chain, anchors),
    )


def check_times(chain: Certificates, at: datetime) -> tuple[Check, ...]:
    """Return whether the certificates are valid at `at`, and what becomes of what they sign."""
    checks = [_leaf_time(chain[0], at), *_issuer_times(chain[1:], at)]
    end = min(certificate.not_valid_after_utc for certificate in chain)
    if end >= at:
        checks.append(
            warned(
                "cert-without-timestamp",
                f"what it signs without a trusted timestamp stops being valid at "
                f"{end.isoformat()}, in {(end - at).days} days",
                "sign with a timestamp (--tsa-url)",
            )
        )
    return tuple(checks)


def _issuer_times(issuers: Certificates, at: datetime) -> Iterator[Check]:
    for certificate in issuers:
        if certificate.not_valid_after_utc < at:
            yield failed(
                "issuer-certificate-expired",
                Outcome.OUTSIDE_VALIDITY,
                f"{_name(certificate)}'s certificate expired at "
                f"{certificate.not_valid_after_utc.isoformat()}",
                "have the signer's certificate issued anew",
            )
        elif certificate.not_valid_before_utc > at:
            yield failed(
                "issuer-certificate-not-yet-valid",
                Outcome.OUTSIDE_VALIDITY,
                f"{_name(certificate)}'s certificate is valid from "
                f"{certificate.not_valid_before_utc.isoformat()} on",
                "compare this machine's clock",
            )


def _leaf_time(leaf: x509.Certificate, at: datetime) -> Check:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if end < at:
        return failed(
            "certificate-expired",
            Outcome.OUTSIDE_VALIDITY,
            f"the certificate expired at {end.isoformat()}, {(at - end).days} days ago",
            "have a new one issued; what it signed with a trusted timestamp stays valid",
        )
    if begin > at:
        return failed(
            "certificate-not-yet-valid",
            Outcome.OUTSIDE_VALIDITY,
            f"the certificate is valid from {begin.isoformat()} on",
            "wait, or compare this machine's clock",
        )
    return held(
        "certificate-in-time",
        f"the certificate is valid from {begin.isoformat()} to {end.isoformat()}",
    )


def _links(chain: Certificates) -> Iterator[Check]:
    leaf = chain[0]
    if is_root(leaf):
        yield warned(
            "cert-self-signed",
            "the certificate is signed with its own key: nobody vouches for it, and readers can "
            "only allow this very certificate",
            "have one issued by a CA",
        )
    for below, above in pairwise(chain):
        if not _signed(below, above):
            yield failed(
                "cert-chain-signature",
                Outcome.REFUSED,
                f"{_name(above)}'s key did not sign {_name(below)}'s certificate, though the "
                "names fit",
                "take the issuer's certificate that was current when the other was issued",
            )
            return
    if len(chain) > 1:
        yield held(
            "cert-chain-signature", f"each of {len(chain)} certificates is signed by the next"
        )
    if len(chain) > 1 and is_root(chain[-1]):
        yield warned(
            "cert-root-included",
            f"the chain ends with the root {_name(chain[-1])}, which should not be included",
            "leave it out: readers have their own copy, and trust no other",
        )
    else:
        yield held("cert-root-included", "the chain carries no root")


def _key_ids(chain: Certificates) -> Check:
    for below, above in pairwise(chain):
        authority = extension_of(below, x509.AuthorityKeyIdentifier)
        subject = extension_of(above, x509.SubjectKeyIdentifier)
        named = authority.key_identifier if authority else None
        if named is not None and subject is not None and named != subject.digest:
            return failed(
                "cert-key-ids",
                Outcome.REFUSED,
                f"{_name(below)}'s certificate names another key of its CA than {_name(above)} has",
                "take the issuer's certificate that has this key",
            )
    return held("cert-key-ids", "no certificate names another key of its CA")


def _issuers(chain: Certificates) -> Iterator[Check]:
    for depth, issuer in enumerate(chain[1:]):
        constraints = extension_of(issuer, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            yield failed(
                "cert-issuer-is-a-ca",
                Outcome.REFUSED,
                f"{_name(issuer)} issued a certificate, and its own is no CA's",
                "only a CA's certificate may issue others",
            )
        elif constraints.path_length is not None and constraints.path_length < depth:
            yield failed(
                "cert-issuer-path-length",
                Outcome.REFUSED,
                f"{_name(issuer)} allows {constraints.path_length} CAs below it, and there are "
                f"{depth}",
                "have the certificate issued by a CA that is nearer to it",
            )
        yield from _issuer_key(issuer)


def _issuer_key(issuer: x509.Certificate) -> Iterator[Check]:
    usage = extension_of(issuer, x509.KeyUsage)
    if usage is None or not usage.key_cert_sign:
        yield failed(
            "cert-issuer-key-usage",
            Outcome.REFUSED,
            f"{_name(issuer)}'s Key Usage lacks keyCertSign",
            "have the CA's certificate issued with keyCertSign",
        )
    if extension_of(issuer, x509.SubjectKeyIdentifier) is None:
        yield failed(
            "cert-issuer-subject-key-id",
            Outcome.REFUSED,
            f"{_name(issuer)}'s certificate has no Subject Key Identifier",
            "have the CA's certificate issued with one",
        )
    if extension_of(issuer, x509.AuthorityKeyIdentifier) is None and not is_root(issuer):
        yield failed(
            "cert-issuer-authority-key-id",
            Outcome.REFUSED,
            f"{_name(issuer)}'s certificate has no Authority Key Identifier",
            "have the CA's certificate issued with one",
        )


def _ends(chain: Certificates, anchors: Certificates) -> Iterator[Check]:
    last = chain[-1]
    if not anchors:
        yield not_checked(
            "cert-chain-complete",
            f"readers have to trust {_issuer_name(last)}, who issued the last certificate",
            "name the CAs that readers trust with --ca, and it is checked",
        )
    elif any(
        last == anchor or (last.issuer == anchor.subject and _signed(last, anchor))
        for anchor in anchors
    ):
        yield held("cert-chain-complete", "a CA that you named issued the last certificate")
    else:
        yield failed(
            "cert-chain-complete",
            Outcome.REFUSED,
            f"{_issuer_name(last)} issued the last certificate, and is none of the CAs you named: "
            "a certificate between them is missing, or the signer is another CA's",
            "append the missing certificate to the chain",
        )


def _names_itself(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _signed(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _name(certificate: x509.Certificate) -> str:
    return printable(certificate.subject.rfc4514_string()[:200]) or "a CA without a name"


def _issuer_name(certificate: x509.Certificate) -> str:
    return printable(certificate.issuer.rfc4514_string()[:200]) or "a CA without a name"
