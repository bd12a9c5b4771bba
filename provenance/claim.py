"""The claim of a manifest: what its signer says, and by which hashes (C2PA 2.5 10.2, annex F.13.1).

Version 2 (`c2pa.claim.v2`) keeps apart what the signer made and what it was given; version 1
(`c2pa.claim`) does not. Fields that are not named here are ignored, as the standard asks. Whether
anybody signed the claim is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from countermark.provenance import cbor
from countermark.provenance.cbor import Key, Value
from countermark.provenance.errors import MalformedStoreError

__all__ = [
    "CLAIM_LABELS",
    "Claim",
    "HashedUri",
    "parse_claim",
    "parse_hashed_uri",
    "text_field",
]

CLAIM_LABELS: Mapping[str, int] = {"c2pa.claim": 1, "c2pa.claim.v2": 2}


class HashedUri(NamedTuple):
    """A reference into the store, and the hash of what lies there (C2PA 2.5 9.4.2.1).

    Attributes:
        url: As written, e.g. `self#jumbf=c2pa.assertions/c2pa.hash.data`.
        hash: Of the box's content.
        algorithm: Its own, else that of what encloses it, else empty (C2PA 2.5 14.4.2).

    """

    url: str
    hash: bytes
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a manifest claims.

    Attributes:
        version: 1 or 2; 0 for the claim of a manifest that cannot be read.
        created: Assertions the signer stands for; all of them in version 1.
        gathered: Assertions the signer was given; version 2 only.
        redacted: Addresses of assertions of ingredients that were taken out.
        generator: Name and version of what made the claim.
        instance_id: The asset's identifier.
        title: The asset's name; empty if it is not said.
        media_type: The asset's media type; empty if it is not said.
        algorithm: The hash algorithm where no nearer field names one; may be empty.
        signature: Address of the claim signature.

    """

    version: int
    created: tuple[HashedUri, ...] = ()
    gathered: tuple[HashedUri, ...] = ()
    redacted: tuple[str, ...] = ()
    generator: str = ""
    instance_id: str = ""
    title: str = ""
    media_type: str = ""
    algorithm: str = ""
    signature: str = ""

    @property
    def references(self) -> tuple[HashedUri, ...]:
        """Everything that is claimed."""
        return self.created + self.gathered


def parse_claim(content: memoryview, *, version: int, offset: int) -> Claim:
    """Parse the CBOR of a claim; `offset` is where it lies in the store.

    Raises:
        MalformedStoreError: It is not CBOR, or lacks what C2PA 2.5 14.6.2 asks for.

    """
    fields = cbor.decode(content, offset=offset)
    if not isinstance(fields, dict):
        raise MalformedStoreError("a claim that is no map", offset=offset)
    algorithm = text_field(fields, "alg", offset)
    if version == 1:
        created = _references(fields, "assertions", algorithm, offset)
        gathered: tuple[HashedUri, ...] = ()
    else:
        created = _references(fields, "created_assertions", algorithm, offset)
        gathered = _references(fields, "gathered_assertions", algorithm, offset, required=False)
    return Claim(
        version=version,
        created=created,
        gathered=gathered,
        redacted=_redacted(fields, offset),
        generator=_generator(fields, version, offset),
        instance_id=text_field(fields, "instanceID", offset, required=True),
        title=text_field(fields, "dc:title", offset),
        media_type=text_field(fields, "dc:format", offset),
        algorithm=algorithm,
        signature=text_field(fields, "signature", offset, required=True),
    )


def text_field(
    fields: Mapping[Key, Value], name: str, offset: int, *, required: bool = False
) -> str:
    """Return a text field, empty if it is absent and need not be there.

    Raises:
        MalformedStoreError: It is no text, or absent and required.

    """
    value = fields.get(name)
    if isinstance(value, str):
        return value
    if value is None and not required:
        return ""
    found = "is absent" if value is None else "is no text"
    raise MalformedStoreError(f"{name} {found}", offset=offset)


def parse_hashed_uri(value: Value, algorithm: str, offset: int) -> HashedUri:
    """Parse a reference whose algorithm is `algorithm` unless it names one itself.

    Raises:
        MalformedStoreError: It is not a map with address and hash.

    """
    if isinstance(value, dict):
        match value:
            case {"url": str(url), "hash": bytes(digest)}:
                return HashedUri(url, digest, text_field(value, "alg", offset) or algorithm)
            case _:
                pass
    raise MalformedStoreError("a reference without address or hash", offset=offset)


def _references(
    fields: Mapping[Key, Value], name: str, algorithm: str, offset: int, *, required: bool = True
) -> tuple[HashedUri, ...]:
    entries = fields.get(name)
    if entries is None and not required:
        return ()
    if not isinstance(entries, list):
        raise MalformedStoreError(f"{name} is no list", offset=offset)
    return tuple(parse_hashed_uri(entry, algorithm, offset) for entry in entries)


def _redacted(fields: Mapping[Key, Value], offset: int) -> tuple[str, ...]:
    entries = fields.get("redacted_assertions")
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise MalformedStoreError("redacted_assertions is no list", offset=offset)
    urls = tuple(entry for entry in entries if isinstance(entry, str))
    if len(urls) != len(entries):
        raise MalformedStoreError("a redacted assertion that is no address", offset=offset)
    return urls


def _generator(fields: Mapping[Key, Value], version: int, offset: int) -> str:
    info = fields.get("claim_generator_info")
    if version == 1:  # A list there, and a user agent string beside it that always had to be.
        agent = text_field(fields, "claim_generator", offset)
        info = info[0] if isinstance(info, list) and info else None
        if not isinstance(info, dict):
            return agent
    if not isinstance(info, dict):
        raise MalformedStoreError("claim_generator_info is no map", offset=offset)
    name = text_field(info, "name", offset, required=True)
    return f"{name} {text_field(info, 'version', offset)}".strip()
