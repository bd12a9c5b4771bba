"""The certificates in a COSE_Sign1 claim signature (RFC 9052, RFC 9360, C2PA 2.5 13.5).

Only the headers are read. Whether the signature holds is c2pa's business.
"""

from __future__ import annotations

from collections.abc import Mapping

from countermark.provenance import cbor
from countermark.provenance.cbor import Key, Tagged, Value
from countermark.provenance.errors import MalformedStoreError

__all__ = ["MAX_CERTIFICATES", "check_padding", "read_certificates"]

MAX_CERTIFICATES = 32

_SIGN1 = 18
_PADDING: tuple[Key, ...] = ("pad", "pad2")
_CHAIN_LABELS: tuple[Key, ...] = (33, "x5chain")  # The text is what C2PA 1.x wrote.


def read_certificates(signature: bytes, *, offset: int = 0) -> tuple[bytes, ...]:
    """Return the signer's certificates: DER, leaf first.

    Args:
        signature: A COSE_Sign1 structure, tagged or not.
        offset: Where it lies in the store.

    Raises:
        MalformedStoreError: It is none, or does not name one chain.

    """
    signed, unprotected = _headers(signature, offset)
    chains = [*_chains(signed), *_chains(unprotected)]
    # With two chains, one reader could trust what another never looks at.
    if len(chains) != 1:
        raise MalformedStoreError(f"{len(chains)} certificate chains, not one", offset=offset)
    return _chain(chains[0], offset)


def check_padding(signature: bytes, *, offset: int = 0) -> None:
    """Refuse padding that is anything but zeros (C2PA 2.5 10.4.2).

    It lies in the headers that no signature covers: whatever stood there would be in every copy
    that verifies, and nobody would have signed it.

    Raises:
        MalformedStoreError: It is, or the signature is no COSE_Sign1.

    """
    _, unprotected = _headers(signature, offset)
    for label in _PADDING:
        padding = unprotected.get(label, b"")
        if not isinstance(padding, bytes) or padding.strip(b"\0"):
            raise MalformedStoreError(
                "the padding of the claim signature is not zeros, and nobody signs it",
                offset=offset,
            )


def _headers(signature: bytes, offset: int) -> tuple[dict[Key, Value], dict[Key, Value]]:
    """Return the headers that are signed, and those that are not."""
    value = cbor.decode(signature, offset=offset)
    if isinstance(value, Tagged) and value.number == _SIGN1:
        value = value.value
    match value:
        case [bytes(protected), dict(unprotected), None | bytes(), bytes()]:
            signed = cbor.decode(protected, offset=offset) if protected else {}
        case _:
            raise MalformedStoreError("a claim signature that is no COSE_Sign1", offset=offset)
    if not isinstance(signed, dict):
        raise MalformedStoreError("COSE headers that are no map", offset=offset)
    return signed, unprotected


def _chains(headers: Mapping[Key, Value]) -> list[Value]:
    return [headers[label] for label in _CHAIN_LABELS if label in headers]


def _chain(value: Value, offset: int) -> tuple[bytes, ...]:
    # RFC 9360 section 2: one certificate stands alone, several are a list.
    entries = value if isinstance(value, list) else [value]
    if not 1 <= len(entries) <= MAX_CERTIFICATES:
        raise MalformedStoreError(f"a chain of {len(entries)} certificates", offset=offset)
    chain = tuple(entry for entry in entries if isinstance(entry, bytes) and entry)
    if len(chain) != len(entries):
        raise MalformedStoreError("a certificate that is no byte string", offset=offset)
    return chain
