"""A manifest as it was read: its claim, its assertions, and which bytes it belongs to.

Values only, decoded where they are asked for; `store` reads them from their boxes. Nothing here
was checked against a hash or a signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from countermark.provenance import cbor
from countermark.provenance.carrier import Exclusion
from countermark.provenance.cbor import Value
from countermark.provenance.claim import Claim, text_field
from countermark.provenance.cose import read_certificates
from countermark.provenance.errors import MalformedStoreError
from countermark.signing import strict_json
from countermark.signing.errors import MalformedError
from countermark.signing.names import printable

__all__ = ["HARD_BINDINGS", "Assertion", "DataHash", "Manifest", "base_label", "parse_data_hash"]

MAX_JSON_BYTES = 4 << 20
MAX_JSON_ITEMS = 200_000

# C2PA 2.5 14.10.1.2, and the first version of the BMFF hash.
HARD_BINDINGS = frozenset(
    {
        "c2pa.hash.data",
        "c2pa.hash.boxes",
        "c2pa.hash.collection.data",
        "c2pa.hash.segment",
        "c2pa.hash.bmff",
        "c2pa.hash.bmff.v2",
        "c2pa.hash.bmff.v3",
    }
)
_DATA_HASH = "c2pa.hash.data"
_INSTANCE = re.compile(r"__\d+\Z")


def base_label(label: str) -> str:
    """Return a label without the number of its instance (C2PA 2.5 8.4)."""
    return _INSTANCE.sub("", label)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHash:
    """A `c2pa.hash.data` assertion (C2PA 2.5 16.3.1).

    Attributes:
        algorithm: Its own, else the claim's, else empty.
        digest: What the bytes of the asset must give.
        exclusions: In the order they are listed, which may be the wrong one.
        name: What the signer calls it.

    """

    algorithm: str
    digest: bytes
    exclusions: tuple[Exclusion, ...]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One statement of a manifest.

    Attributes:
        label: E.g. `c2pa.actions.v2`, `c2pa.ingredient.v3__1`.
        kind: Type of its content: `cbor`, `json`, `uuid`, `bidb` (a file) or what else it is
            called; `mixed` for several, which have no value.
        content: The bytes of its content.
        media_type: Of a file, as its `bfdb` box says; empty otherwise.
        box_hash_input: What C2PA 2.5 9.4.2.3 hashes for a reference to it.
        offset: Where `content` lies in the store.

    """

    label: str
    kind: str
    content: bytes
    media_type: str
    box_hash_input: memoryview
    offset: int

    @property
    def value(self) -> object:
        """The content of a `cbor` or `json` assertion, decoded anew; the bytes of a file.

        Raises:
            MalformedStoreError: It cannot be decoded.

        """
        if self.kind == "cbor":
            return self.cbor
        if self.kind == "json":
            return _json(self.content, self.offset)
        if self.kind == "mixed":
            raise MalformedStoreError(f"{printable(self.label)} has several contents")
        return self.content

    @property
    def cbor(self) -> Value:
        """The value of a `cbor` assertion.

        Raises:
            MalformedStoreError: It is of another kind, or cannot be decoded.

        """
        if self.kind != "cbor":
            raise MalformedStoreError(f"{printable(self.label)} is no CBOR", offset=self.offset)
        return cbor.decode(self.content, offset=self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One manifest of a store.

    Attributes:
        label: Its name, e.g. `urn:c2pa:…`.
        kind: `standard` or `update`; `compressed` if it is, and could not be opened.
        claim: What it claims; of version 0 if `problem` is set.
        assertions: In the order of the assertion store.
        signature: The COSE_Sign1 structure over the claim; empty if `problem` is set.
        box_hash_input: What C2PA 2.5 9.4.2.3 hashes for a reference to it, compressed or not.
        signature_hash_input: The same for its signature.
        problem: Why it cannot be read, in one sentence; empty if it can.

    """

    label: str
    kind: str
    claim: Claim
    assertions: tuple[Assertion, ...]
    signature: bytes
    box_hash_input: memoryview
    signature_hash_input: memoryview
    problem: str = ""

    def assertion(self, label: str) -> Assertion | None:
        """Return the assertion of this very label; None without one."""
        return next((one for one in self.assertions if one.label == label), None)

    def labelled(self, *base: str) -> tuple[Assertion, ...]:
        """Return the assertions whose label, without the instance's number, is one of `base`."""
        return tuple(one for one in self.assertions if base_label(one.label) in base)

    @property
    def hard_bindings(self) -> tuple[Assertion, ...]:
        """Every assertion that says which bytes the manifest belongs to."""
        return self.labelled(*HARD_BINDINGS)

    @property
    def data_hash(self) -> DataHash | None:
        """The hash over the asset's bytes; None without one.

        Raises:
            MalformedStoreError: It cannot be read.

        """
        found = self.labelled(_DATA_HASH)
        return parse_data_hash(found[0], self.claim.algorithm) if found else None

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The signer's certificates: DER, leaf first. Nobody has looked at them yet.

        Raises:
            MalformedStoreError: The signature does not name one chain of them.

        """
        return read_certificates(self.signature)


def _json(content: bytes, offset: int) -> object:
    try:
        return strict_json.loads(
            content, what="an assertion", max_bytes=MAX_JSON_BYTES, max_items=MAX_JSON_ITEMS
        )
    except MalformedError as e:
        raise MalformedStoreError(str(e), offset=offset) from e


def parse_data_hash(assertion: Assertion, algorithm: str) -> DataHash:
    """Parse a data hash whose algorithm is `algorithm` unless it names one itself.

    Raises:
        MalformedStoreError: It has no hash, or exclusions that are none.

    """
    fields, offset = assertion.cbor, assertion.offset
    digest = fields.get("hash") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(digest, bytes):
        raise MalformedStoreError("a data hash without a hash", offset=offset)
    return DataHash(
        algorithm=text_field(fields, "alg", offset) or algorithm,
        digest=digest,
        exclusions=_exclusions(fields.get("exclusions"), offset),
        name=text_field(fields, "name", offset),
    )


def _exclusions(value: Value, offset: int) -> tuple[Exclusion, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise MalformedStoreError("exclusions that are no list", offset=offset)
    return tuple(_exclusion(entry, offset) for entry in value)


def _exclusion(value: Value, offset: int) -> Exclusion:
    match value:
        case {"start": int(start), "length": int(length)}:
            # A bool is an int to Python, and negative is malformed (C2PA 2.5 14.12.1.1).
            if type(start) is int and type(length) is int and min(start, length) >= 0:
                return Exclusion(start, length)
        case _:
            pass
    raise MalformedStoreError("an exclusion without start and length", offset=offset)
