"""What a trust bundle holds. How it is written down is `trust_json`'s, what follows `trust`'s."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from countermark.provenance.purposes import CLAIM_SIGNING, DOCUMENT_SIGNING

__all__ = ["KINDS", "TrustBundle", "TrustList", "pem_of"]

KINDS: Final = ("manifest", "tsa", "cawg")


class TrustList(NamedTuple):
    """Certificates of CAs that somebody vouches for, for one purpose.

    Attributes:
        name: Unique in its bundle; verdicts name it.
        kind: `manifest` (CAs of content signers), `tsa` (of timestamp authorities) or `cawg`
            (of CAWG identities). A CA of one kind vouches for nothing of another.
        certificates: DER, each of a CA; they need not be self-signed.
        source: Where the list came from; may be empty.

    """

    name: str
    kind: str
    certificates: tuple[bytes, ...]
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustBundle:
    """Whom a reader trusts.

    Attributes:
        name: What it calls itself.
        dated: When its lists were looked at.
        valid_until: The last day it may be used, in UTC; None if it does not say.
        lists: Of CAs.
        allowed: sha256 of signers' certificates that are trusted by themselves, lowercase hex.
        purposes: Extended key usages of content signers, of which a signer needs one (dotted).
        sha256: Of the file it was read from, 64 lowercase hex digits; empty if it was made.

    """

    name: str
    dated: date
    lists: tuple[TrustList, ...]
    valid_until: date | None = None
    allowed: tuple[str, ...] = ()
    purposes: tuple[str, ...] = (CLAIM_SIGNING, DOCUMENT_SIGNING)
    sha256: str = field(default="", compare=False)

    def anchors(self, kind: str) -> tuple[tuple[str, bytes], ...]:
        """Return every certificate of a kind with the name of its list."""
        return tuple(
            (listed.name, certificate)
            for listed in self.lists
            if listed.kind == kind
            for certificate in listed.certificates
        )


def pem_of(certificate: bytes) -> str:
    """Return a DER certificate in PEM form, with a line feed at its end."""
    lines = base64.encodebytes(certificate).decode().replace("\n", "")
    body = "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
