"""What a claim signer's certificate has to be for, and what it must not be for.

Source: C2PA 2.5, "Certificate Profiles" (the Extended Key Usage extension) and "Trust Lists, C2PA
Signers" (which purposes validators accept). A certificate for timestamps or OCSP answers alone is
sound, and no signer's: the engine accepts it all the same, and here it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography import x509

from countermark.provenance.purposes import (
    ANY,
    CLAIM_SIGNING,
    DOCUMENT_SIGNING,
    EMAIL,
    OCSP,
    PURPOSE_NAMES,
    TIME_STAMPING,
)
from countermark.signing.verdict import Check, Outcome, failed, held, not_checked, warned
from countermark.signing.x509_loading import extension_of

__all__ = ["PURPOSE_RULES"]


def _purposes(leaf: x509.Certificate) -> list[str] | None:
    usage = extension_of(leaf, x509.ExtendedKeyUsage)
    return None if usage is None else [purpose.dotted_string for purpose in usage]


def _shown(purposes: Sequence[str]) -> str:
    return ", ".join(PURPOSE_NAMES.get(purpose, purpose) for purpose in purposes[:8])


def _purpose_present(leaf: x509.Certificate) -> Check:
    if _purposes(leaf):
        return held("cert-purpose-present", f"it is for {_shown(_purposes(leaf) or [])}")
    return failed(
        "cert-purpose-present",
        Outcome.REFUSED,
        "the certificate has no Extended Key Usage",
        f"have it issued with {CLAIM_SIGNING} (C2PA claim signing) and {DOCUMENT_SIGNING} "
        "(document signing)",
    )


def _purpose_any(leaf: x509.Certificate) -> Check:
    if ANY not in (_purposes(leaf) or []):
        return held("cert-purpose-any", "it is not for any purpose whatever")
    return failed(
        "cert-purpose-any",
        Outcome.REFUSED,
        "its Extended Key Usage has anyExtendedKeyUsage, which C2PA forbids",
        "have it issued without",
    )


def _purpose_exclusive(leaf: x509.Certificate) -> Check:
    found = _purposes(leaf) or []
    special = [purpose for purpose in found if purpose in (TIME_STAMPING, OCSP)]
    if not special or len(found) == 1:
        return held("cert-purpose-exclusive", "it mixes no purposes that exclude each other")
    return failed(
        "cert-purpose-exclusive",
        Outcome.REFUSED,
        f"it is for {_shown(found)}; a certificate for {PURPOSE_NAMES[special[0]]} may be for "
        "nothing else",
        "have one certificate issued for each",
    )


def _purpose_accepted(leaf: x509.Certificate) -> Check:
    found = _purposes(leaf)
    if not found or ANY in found:
        return not_checked("cert-purpose-accepted", "it does not say what it is for")
    accepted = [purpose for purpose in found if purpose in (CLAIM_SIGNING, DOCUMENT_SIGNING, EMAIL)]
    if accepted:
        return held("cert-purpose-accepted", f"validators accept signers for {_shown(accepted)}")
    return failed(
        "cert-purpose-accepted",
        Outcome.REFUSED,
        f"it is for {_shown(found)}, expected C2PA claim signing, document signing or e-mail "
        "protection",
        f"have it issued with {CLAIM_SIGNING} (C2PA claim signing)",
    )


def _purpose_usual(leaf: x509.Certificate) -> Check:
    found = _purposes(leaf) or []
    if CLAIM_SIGNING not in found:
        return warned(
            "cert-purpose-usual",
            "it is not for C2PA claim signing, so no CA of the C2PA trust list vouches for it",
            f"have it issued with {CLAIM_SIGNING}, too",
        )
    if DOCUMENT_SIGNING in found or EMAIL in found:
        return held("cert-purpose-usual", "older validators know one of its purposes, too")
    return warned(
        "cert-purpose-usual",
        "it is for C2PA claim signing alone, which validators before C2PA 2.2 do not know",
        f"have it issued with {DOCUMENT_SIGNING} (document signing), too",
    )


PURPOSE_RULES: tuple[Callable[[x509.Certificate], Check], ...] = (
    _purpose_present,
    _purpose_any,
    _purpose_exclusive,
    _purpose_accepted,
    _purpose_usual,
)
