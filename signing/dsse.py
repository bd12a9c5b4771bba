"""DSSE envelopes: what exactly is signed (DSSE v1.0.2, protocol.md)."""

from __future__ import annotations

__all__ = ["PAYLOAD_TYPE", "legacy_pae", "pae"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: the bytes that are signed.

    Source: DSSE protocol.md, "Signature Definition": lengths are decimal byte counts.
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def legacy_pae(payload_type: str, payload: bytes) -> bytes:
    """Return what OMS signers before v1.0 signed by mistake: the payload's Python `repr`.

    Source: model-signing 0.2.0 as its successors read it. Only statements of the v0.1
    predicate may be verified this way.
    """
    return f"DSSEV1 {len(payload_type)} {payload_type} {len(payload)} {payload!r}".encode()
