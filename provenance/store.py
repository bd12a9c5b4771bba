"""A C2PA manifest store, read from its boxes (C2PA 2.5 clauses 9 to 11).

What is signed, who signed it and what it was hashed with is c2pa's to judge; this reads what our
own hard bindings and the model link need, and refuses what two readers could understand
differently: two manifests, assertions, claims or signatures of one name.

The active manifest, the last one, must be readable. Another one that is not has a `problem`: it
is nobody's evidence, and no reason to refuse the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from countermark.provenance.claim import CLAIM_LABELS, Claim, HashedUri, parse_claim
from countermark.provenance.compressed import decompress
from countermark.provenance.errors import MalformedStoreError, ProvenanceError
from countermark.provenance.jumbf import Box, Budget, Superbox, read_superbox
from countermark.provenance.manifest import HARD_BINDINGS, Assertion, DataHash, Manifest, base_label
from countermark.signing.names import printable

__all__ = [
    "HARD_BINDINGS",
    "Assertion",
    "Claim",
    "DataHash",
    "HashedUri",
    "Manifest",
    "ManifestStore",
    "base_label",
    "read_store",
]

MAX_CLAIMS_BYTES = 4 << 20  # All claims of a store together; one of 20 assertions has 2 KiB.

# All claims of a store together. c2pa compares each with each: 4,000 take it 2.6 seconds.
MAX_REFERENCES = 4096

_STORE_LABEL = "c2pa"
_ASSERTIONS_LABEL = "c2pa.assertions"
_SIGNATURE_LABEL = "c2pa.signature"
# C2PA 2.5 table 2: four letters, and the rest of every type that ISO 19566-5 defines, too.
_UUID_TAIL = bytes.fromhex("00110010800000aa00389b71")
_STORE = b"c2pa" + _UUID_TAIL
_COMPRESSED = b"c2cm" + _UUID_TAIL
_ASSERTIONS = b"c2as" + _UUID_TAIL
_CLAIM = b"c2cl" + _UUID_TAIL
_SIGNATURE = b"c2cs" + _UUID_TAIL
_KINDS = {
    b"c2ma" + _UUID_TAIL: "standard",
    b"c2md" + _UUID_TAIL: "standard",
    b"c2um" + _UUID_TAIL: "update",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestStore:
    """Every manifest of a store, in order; at least one."""

    manifests: tuple[Manifest, ...]

    @property
    def active(self) -> Manifest:
        """The manifest of the asset itself: the last one (C2PA 2.5 11.2)."""
        return self.manifests[-1]

    def manifest(self, label: str) -> Manifest | None:
        """Return the manifest of this name; None without one."""
        return next((one for one in self.manifests if one.label == label), None)


def read_store(data: bytes) -> ManifestStore:
    """Read a manifest store.

    Raises:
        MalformedStoreError: Its boxes, or those of its active manifest, cannot be read, or it is
            beyond a limit.
        UnsupportedContentError: The active manifest is compressed, and Brotli not installed.

    """
    budget = Budget()
    root = read_superbox(data, budget)
    if root.label != _STORE_LABEL or root.uuid != _STORE:
        raise MalformedStoreError("a JUMBF superbox that is no C2PA manifest store", offset=0)
    # Boxes of other types may lie between the manifests, and are skipped (11.5.3.4).
    boxes = [box for box in root.superboxes if box.uuid in _KINDS or box.uuid == _COMPRESSED]
    if not boxes:
        raise MalformedStoreError("a manifest store without a manifest", offset=root.offset)
    _check_distinct(boxes, "manifest")
    reader = _ManifestReader(budget)
    ingredients = [reader.read_or_explain(box) for box in boxes[:-1]]
    return ManifestStore(manifests=(*ingredients, reader.read(boxes[-1])))


def _check_distinct(boxes: Sequence[Superbox], what: str) -> None:
    seen: set[str] = set()
    for box in boxes:
        if not box.label:
            raise MalformedStoreError(f"{what} without a label", offset=box.offset)
        if box.label in seen:
            raise MalformedStoreError(
                f"two boxes are called {printable(box.label)}, {what} both", offset=box.offset
            )
        seen.add(box.label)


class _ManifestReader:
    """Reads the manifests of one store, within what is left of its limits."""

    __slots__ = ("_budget", "_claim_bytes_left", "_references_left")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._claim_bytes_left = MAX_CLAIMS_BYTES
        self._references_left = MAX_REFERENCES

    def read_or_explain(self, box: Superbox) -> Manifest:
        """Read a manifest that need not be readable."""
        try:
            return self.read(box)
        except ProvenanceError as e:
            return Manifest(
                label=box.label,
                kind=_KINDS.get(box.uuid, "compressed"),
                claim=Claim(version=0),
                assertions=(),
                signature=b"",
                box_hash_input=box.content,
                signature_hash_input=memoryview(b""),
                problem=str(e),
            )

    def read(self, box: Superbox) -> Manifest:
        """Read a manifest, or raise what keeps it from being read."""
        inner = self._opened(box) if box.uuid == _COMPRESSED else box
        claim_box, version = _claim_box(inner)
        signature_box = _only(inner, _SIGNATURE, _SIGNATURE_LABEL)
        claim, signature = _single(claim_box, b"cbor"), _single(signature_box, b"cbor")
        self._claim_bytes_left -= len(claim.content)
        if self._claim_bytes_left < 0:
            raise MalformedStoreError(f"claims of more than {MAX_CLAIMS_BYTES} bytes")
        parsed = parse_claim(claim.content, version=version, offset=claim.offset)
        self._references_left -= len(parsed.references) + len(parsed.redacted)
        if self._references_left < 0:
            raise MalformedStoreError(f"claims of more than {MAX_REFERENCES} references")
        return Manifest(
            label=box.label,
            kind=_KINDS[inner.uuid],
            claim=parsed,
            assertions=_assertions(inner),
            signature=bytes(signature.content),
            # A reference to a compressed manifest is to its compressed bytes (11.5.2).
            box_hash_input=box.content,
            signature_hash_input=signature_box.content,
        )

    def _opened(self, box: Superbox) -> Superbox:
        packed = _single(box, b"brob")
        inner = read_superbox(
            decompress(packed.content, budget=self._budget, offset=packed.offset), self._budget
        )
        if inner.uuid not in _KINDS or inner.label != box.label:
            raise MalformedStoreError(
                "a compressed manifest that is none, or another", offset=packed.offset
            )
        return inner


def _claim_box(manifest: Superbox) -> tuple[Superbox, int]:
    claims = [box for box in manifest.superboxes if box.uuid == _CLAIM]
    if len(claims) != 1:
        raise MalformedStoreError(
            f"a manifest with {len(claims)} claims, not one", offset=manifest.offset
        )
    version = CLAIM_LABELS.get(claims[0].label)
    if version is None:
        raise MalformedStoreError(
            f"a claim called {printable(claims[0].label)}", offset=claims[0].offset
        )
    return claims[0], version


def _only(manifest: Superbox, uuid: bytes, label: str) -> Superbox:
    # By type or by name: what one reader finds by its name, another could find by its type.
    found = [box for box in manifest.superboxes if box.uuid == uuid or box.label == label]
    if len(found) != 1 or (found[0].uuid, found[0].label) != (uuid, label):
        raise MalformedStoreError(f"a manifest without exactly one {label}", offset=manifest.offset)
    return found[0]


def _single(box: Superbox, kind: bytes) -> Box:
    match box.boxes:
        case (Box() as only,) if only.kind == kind and not box.superboxes:
            return only
        case _:
            raise MalformedStoreError(
                f"{printable(box.label)} is not one {kind.decode()} box", offset=box.offset
            )


def _assertions(manifest: Superbox) -> tuple[Assertion, ...]:
    boxes = _only(manifest, _ASSERTIONS, _ASSERTIONS_LABEL).superboxes
    _check_distinct(boxes, "assertion")
    return tuple(map(_assertion, boxes))


def _assertion(box: Superbox) -> Assertion:
    media_type, contents = "", box.boxes
    if len(contents) == 2 and [one.kind for one in contents] == [b"bfdb", b"bidb"]:
        media_type, contents = _media_type(contents[0]), contents[1:]
    single = len(contents) == 1 and not box.superboxes
    return Assertion(
        label=box.label,
        kind=contents[0].kind.decode("latin-1") if single else "mixed",
        content=bytes(contents[0].content) if single else b"",
        media_type=media_type,
        box_hash_input=box.content,
        offset=contents[0].offset if single else box.offset,
    )


def _media_type(box: Box) -> str:
    # ISO 19566-5 B.3: toggles, then a media type and perhaps a file name, each ending in NUL.
    text = bytes(box.content[1:256]).partition(b"\0")[0]
    return text.decode("ascii", "replace")
