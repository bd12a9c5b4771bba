"""Chains of X.509 certificates: from a leaf to one of the caller's roots, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["MAX_INTERMEDIATES", "find_path"]

MAX_INTERMEDIATES = 8


def find_path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    at: datetime,
    purpose: x509.ObjectIdentifier,
) -> tuple[x509.Certificate, ...] | None:
    """Return a chain from `leaf` to one of `roots` that holds at `at` (RFC 5280 section 6).

    Signatures, names, validity, path length, name constraints, unknown critical extensions
    and key sizes are the library's; issuers must be CAs that may sign certificates and that
    are not limited to other purposes. The leaf's own purpose is the caller's question.

    Args:
        leaf: Certificate to start at; if it is itself in `roots`, it is the whole chain.
        intermediates: Untrusted issuers, any order, at most `MAX_INTERMEDIATES`.
        roots: Trusted certificates; they need not be self-signed.
        at: Aware time at which every certificate of the chain has to be valid.
        purpose: Extended key usage that issuers must not exclude.

    """
    if not roots or len(intermediates) > MAX_INTERMEDIATES:
        return None

    def is_issuer(
        _: verification.Policy, __: x509.Certificate, basic: x509.BasicConstraints
    ) -> None:
        if not basic.ca:
            raise ValueError("not a CA")

    def may_sign(_: verification.Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        if usage is not None and not usage.key_cert_sign:
            raise ValueError("may not sign certificates")

    def may_serve(
        _: verification.Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage | None
    ) -> None:
        if (
            usage is not None
            and purpose not in usage
            and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage
        ):
            raise ValueError("limited to other purposes")

    # The defaults of the library are the web's: they demand TLS purposes and key
    # identifiers that private code-signing CAs do not write.
    anything = verification.ExtensionPolicy.permit_all()
    either = verification.Criticality.AGNOSTIC
    issuers = (
        anything.require_present(x509.BasicConstraints, either, is_issuer)
        .may_be_present(x509.KeyUsage, either, may_sign)
        .may_be_present(x509.ExtendedKeyUsage, either, may_serve)
    )
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(roots)))
        .time(at)
        .max_chain_depth(MAX_INTERMEDIATES)
        .extension_policies(ca_policy=issuers, ee_policy=anything)
        .build_client_verifier()
    )
    try:
        return tuple(verifier.verify(leaf, list(intermediates)).chain)
    except (verification.VerificationError, ValueError):
        return None
