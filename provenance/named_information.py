"""Addresses that name bytes by their sha256: `ni:///sha-256;…` (RFC 6920).

A hashed reference of C2PA wants an http address, and the SDK cannot write the bytes of its hash.
What has no address - the weights of a model, the bundle that signs them - is named by what it is.
"""

from __future__ import annotations

import base64
import re

__all__ = ["named_sha256", "sha256_name"]

_NAME = re.compile(r"ni:///sha-256;([A-Za-z0-9_-]{43})(?:\?.{0,200})?")


def sha256_name(digest: bytes) -> str:
    """Return the address of the bytes with this sha256 (32 bytes)."""
    return "ni:///sha-256;" + base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def named_sha256(address: str) -> bytes | None:
    """Return the sha256 (32 bytes) that an address names; None for other addresses."""
    match = _NAME.fullmatch(address)
    if match is None:
        return None
    digest = base64.urlsafe_b64decode(match[1] + "=")
    # Forty-three characters hold two bits too many: only one spelling is meant.
    return digest if address.startswith(sha256_name(digest)) else None
