"""Who may sign content: our own rules about a signer's certificate, stricter than the engine's.

c2pa-rs 0.91.3 calls a signer trusted whose certificate is for timestamps or OCSP answers only,
and one whose CA is listed for timestamps or CAWG identities only. Neither is a content signer
here. Dates, revocation and the claim's signature are not asked about: the engine did.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from countermark.provenance.purposes import PURPOSE_NAMES
from countermark.signing.errors import MalformedError
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed, held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

    from countermark.provenance.trust import TrustBundle

__all__ = ["Leaf", "check_leaf", "judge_leaf"]

_MAX_CHAIN = 16
_KINDS = {"tsa": "timestamp authorities", "cawg": "CAWG identities"}


class Leaf(NamedTuple):
    """What a trust bundle has to say about a signer.

    Attributes:
        checks: As `check_leaf` returns them.
        list_name: The list that vouches, or `allowed`; empty if none does.

    """

    checks: tuple[Check, ...]
    list_name: str


def check_leaf(bundle: TrustBundle, certificates: Sequence[bytes]) -> tuple[Check, ...]:
    """Return what the bundle has to say about a signer of content.

    Args:
        bundle: Whom the reader trusts.
        certificates: DER, the signer's own first, as the manifest carries them.

    Returns:
        `signer-listed` or `signer-allowed`, and `signer-purpose-accepted`, if all is well. Of
        those that fail, all decide for an untrusted signer but `signer-certificate-malformed`.

    """
    return judge_leaf(bundle, tuple(certificates)).checks


@lru_cache(maxsize=1024)  # Few signers sign most of what a platform sees.
def judge_leaf(bundle: TrustBundle, certificates: tuple[bytes, ...]) -> Leaf:
    """Return the checks of `check_leaf`, and which list vouches."""
    from countermark.signing.x509_loading import load_der

    if not certificates or len(certificates) > _MAX_CHAIN:
        sentence = f"the manifest carries {len(certificates)} certificates, not 1 to {_MAX_CHAIN}"
        return Leaf((failed("signer-certificate-malformed", Outcome.MALFORMED, sentence),), "")
    try:
        chain = [load_der(certificate) for certificate in certificates]
    except MalformedError as e:
        return Leaf((failed("signer-certificate-malformed", Outcome.MALFORMED, str(e)),), "")
    listed, name = _check_listed(bundle, chain, certificates[0])
    return Leaf((_check_purpose(bundle, chain[0]), listed), name)


def _check_purpose(bundle: TrustBundle, leaf: x509.Certificate) -> Check:
    """C2PA 2.5 section 14.5.1.1: one of the purposes that the reader accepts, and not any."""
    from cryptography import x509

    from countermark.signing.x509_loading import extension_of

    usage = extension_of(leaf, x509.ExtendedKeyUsage)
    found = [] if usage is None else [purpose.dotted_string for purpose in usage]
    accepted = [purpose for purpose in found if purpose in bundle.purposes]
    if accepted and "2.5.29.37.0" not in found:
        return held(
            "signer-purpose-accepted", f"the signer's certificate is for {_listing(accepted)}"
        )
    what = f"for {_listing(found)}" if found else "for no purpose that it names"
    return failed(
        "signer-purpose-refused",
        Outcome.UNTRUSTED_SIGNER,
        f"the signer's certificate is {what}, and the trust bundle accepts signers for "
        f"{_listing(bundle.purposes)}",
        "a purpose that is accepted has to be in the trust bundle's `purposes`",
    )


def _check_listed(
    bundle: TrustBundle, chain: list[x509.Certificate], leaf: bytes
) -> tuple[Check, str]:
    if hashlib.sha256(leaf).hexdigest() in bundle.allowed:
        check = held("signer-allowed", "the trust bundle allows this very certificate")
        return check, "allowed"
    name = _list_reached(bundle, "manifest", chain)
    if name is not None:
        return held("signer-listed", f"a CA of the list {printable(name)} vouches"), name
    return _check_unlisted(bundle, chain), ""


def _check_unlisted(bundle: TrustBundle, chain: list[x509.Certificate]) -> Check:
    for kind, used_for in _KINDS.items():
        name = _list_reached(bundle, kind, chain)
        if name is not None:
            return failed(
                "signer-listed-otherwise",
                Outcome.UNTRUSTED_SIGNER,
                f"a CA of the list {printable(name)} vouches, and that list is for "
                f"{used_for}, not for signers of content",
            )
    last = _last_issued(chain)
    missing = last.issuer != last.subject
    return failed(
        "signer-unlisted",
        Outcome.UNTRUSTED_SIGNER,
        f"no list of the trust bundle has the CA {_name(last.issuer)}",
        "the signer may have left out a certificate between its own and its CA's"
        if missing
        else "",
    )


def _list_reached(bundle: TrustBundle, kind: str, chain: list[x509.Certificate]) -> str | None:
    """Return the list of a kind that the chain leads to, by names and signatures."""
    for certificate in _issued(chain):
        for name, anchor in _anchors(bundle, kind):
            if certificate == anchor or _issued_by(certificate, anchor):
                return name
    return None


@lru_cache(maxsize=16)
def _anchors(bundle: TrustBundle, kind: str) -> tuple[tuple[str, x509.Certificate], ...]:
    from countermark.signing.x509_loading import load_der

    return tuple((name, load_der(data)) for name, data in bundle.anchors(kind))


def _issued(chain: list[x509.Certificate]) -> Iterator[x509.Certificate]:
    """Yield the signer's certificate, then every one that issued one before it."""
    pending, left = [chain[0]], chain[1:]
    while pending:
        certificate = pending.pop()
        yield certificate
        issuers = [one for one in left if _issued_by(certificate, one)]
        left = [one for one in left if one not in issuers]
        pending += issuers


def _last_issued(chain: list[x509.Certificate]) -> x509.Certificate:
    return list(_issued(chain))[-1]


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    from countermark.signing.x509_loading import extension_of

    basic = extension_of(issuer, x509.BasicConstraints)
    if certificate.issuer != issuer.subject or basic is None or not basic.ca:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _listing(purposes: Sequence[str]) -> str:
    return ", ".join(PURPOSE_NAMES.get(purpose, purpose) for purpose in purposes)


def _name(name: x509.Name) -> str:
    return printable(name.rfc4514_string())[:200]
