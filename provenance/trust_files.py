"""Trust bundles on a disk, and the signature that somebody put beside one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from countermark.provenance.errors import MalformedTrustError
from countermark.provenance.trust_json import MAX_TRUST_BYTES, load_trust
from countermark.signing.names import printable

if TYPE_CHECKING:
    from pathlib import Path

    from countermark.provenance.trust_bundle import TrustBundle
    from countermark.signing.signatures import Trust

__all__ = ["read_signed_trust", "read_trust"]


def read_trust(path: Path) -> TrustBundle:
    """Read a trust bundle that nobody need have signed.

    Raises:
        MalformedTrustError: It is none.
        OSError: It cannot be read.

    """
    return load_trust(_read(path))


def read_signed_trust(path: Path, signature: Path, trust: Trust) -> TrustBundle:
    """Read a trust bundle if somebody whom the reader trusts signed these very bytes.

    Args:
        path: The bundle.
        signature: What `countermark sign` wrote about it.
        trust: Whose signature counts.

    Raises:
        VerificationError: The signature does not hold, or is not theirs.
        MalformedTrustError: The bytes that were read are not those that were signed, or no bundle.
        OSError: A file cannot be read.

    """
    from countermark.signing.examination import verify

    data = _read(path)
    verified = verify(path, signature, trust)
    # What counts is the bytes in hand: the file may be another one by now.
    signed = {entry.digest for entry in verified.manifest.files}
    if (
        verified.manifest.hash_type != "sha256"
        or len(verified.manifest.files) != 1
        or hashlib.sha256(data).hexdigest() not in signed
    ):
        raise MalformedTrustError(
            f"{printable(str(path))}: the signature is about other bytes than were read",
            hint="sign the file alone, with sha256: countermark sign FILE",
        )
    return load_trust(data)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TRUST_BYTES + 1)
