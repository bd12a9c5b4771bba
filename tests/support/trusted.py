"""Who signs content in tests, and who is believed: two views of one pair of credentials."""

from __future__ import annotations

from datetime import date

from countermark.provenance.examine import ExamineOptions
from countermark.provenance.identity import LocalIdentity
from countermark.provenance.trust import TrustBundle, TrustList
from support.credentials import Credentials

__all__ = ["identity_of", "options_for", "trust_of"]


def identity_of(credentials: Credentials, algorithm: str = "es256") -> LocalIdentity:
    """Return what signs with these credentials."""
    return LocalIdentity(chain=credentials.chain_pem, key=credentials.key_pem, algorithm=algorithm)


def trust_of(credentials: Credentials) -> TrustBundle:
    """Return a bundle that trusts their CA for manifests, and nobody else."""
    lists = (TrustList("tests", "manifest", (credentials.ca_der,)),)
    return TrustBundle(name="tests", dated=date(2026, 1, 1), lists=lists, sha256="0" * 64)


def options_for(credentials: Credentials) -> ExamineOptions:
    """Return what to ask of content that they signed."""
    return ExamineOptions(trust=trust_of(credentials))
