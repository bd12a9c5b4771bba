"""Real manifest stores taken apart, changed inside, and signed again with the key of the tests.

What damage alone cannot make: a manifest that is wrong and whose hashes and signature hold. Test
tools: they read what c2pa wrote, and nothing hostile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support.credentials import Credentials, make_credentials
from support.stores import TAIL, box

__all__ = ["Node", "Rebuilt", "countersigned", "parse", "superbox_of"]

_ES256, _X5CHAIN = -7, 33
_PREFIX = "self#jumbf="


@dataclass
class Node:
    """A JUMBF superbox, or a box with `payload` if it has no description."""

    kind: bytes
    payload: bytes = b""
    description: bytes = b""
    children: list[Node] = field(default_factory=list)

    @property
    def uuid(self) -> bytes:
        """The first four letters of its type."""
        return self.description[:4]

    @property
    def label(self) -> str:
        """Its name; empty without one."""
        return self.description[17:].partition(b"\0")[0].decode()

    @label.setter
    def label(self, label: str) -> None:
        rest = self.description[17:].partition(b"\0")[2]
        self.description = self.description[:17] + label.encode() + b"\0" + rest

    @property
    def content(self) -> bytes:
        """All but its header: what references hash."""
        if not self.description:
            return self.payload
        return box(b"jumd", self.description) + b"".join(one.data for one in self.children)

    @property
    def data(self) -> bytes:
        """The box."""
        return box(self.kind, self.content)

    def find(self, label: str) -> Node:
        """Return the child of a name."""
        return next(one for one in self.children if one.label == label)


def parse(data: bytes) -> Node:
    """Take a superbox apart."""
    return next(_nodes(data))


def _nodes(data: bytes) -> Iterator[Node]:
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, payload = data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length
        if kind != b"jumb":
            yield Node(kind, payload)
            continue
        description, *children = _nodes(payload)
        yield Node(kind, b"", description.payload, children)


def superbox_of(uuid: bytes, label: str, *children: Node) -> Node:
    """Return a superbox of a C2PA type."""
    return Node(b"jumb", b"", uuid + TAIL + b"\x03" + label.encode() + b"\0", list(children))


class Rebuilt:
    """One manifest of a store: change `claim`, `assertions` or the boxes, then `store()`.

    Attributes:
        root: The whole store.
        manifest: The superbox of the manifest, the last one unless `index` says otherwise.
        claim: Decoded; written and signed by `store`.
        headers: Unprotected headers of the signature.

    """

    def __init__(self, store: bytes, index: int = -1) -> None:
        self.root = parse(store)
        self.manifest = [one for one in self.root.children if one.description][index]
        (self._claim_box,) = self.claim_node.children
        self.claim: dict[str, Any] = dict(cbor2.loads(self._claim_box.payload))
        protected, unprotected, _, _ = self.cose
        self.headers: dict[Any, Any] = dict(unprotected)
        self.chain: Any = cbor2.loads(protected)[_X5CHAIN]
        self.algorithm_number = _ES256

    @property
    def claim_node(self) -> Node:
        """The claim's superbox."""
        return next(one for one in self.manifest.children if one.uuid == b"c2cl")

    @property
    def signature_box(self) -> Node:
        """The CBOR box of the signature."""
        return self.manifest.find("c2pa.signature").children[0]

    @property
    def cose(self) -> Sequence[Any]:
        """Protected, unprotected, payload and signature, as they are now."""
        value: Sequence[Any] = cbor2.loads(self.signature_box.payload).value
        return value

    @property
    def assertions(self) -> Node:
        """The assertion store."""
        return self.manifest.find("c2pa.assertions")

    def value(self, label: str) -> dict[str, Any]:
        """Return a copy of an assertion's CBOR."""
        value: dict[str, Any] = _thawed(
            cbor2.loads(self.assertions.find(label).children[-1].payload)
        )
        return value

    def put(
        self,
        label: str,
        value: object,
        *,
        listed: str | None = "created_assertions",
        kind: bytes = b"cbor",
    ) -> Node:
        """Replace the assertion of a name, or add it and list it; bytes are its content already."""
        content = value if isinstance(value, bytes) else cbor2.dumps(value)
        node = superbox_of(kind, label, Node(kind, content))
        children = self.assertions.children
        old = [at for at, one in enumerate(children) if one.label == label]
        if old:
            children[old[0]] = node
            return node
        children.append(node)
        if listed:
            self.refer(f"{_PREFIX}c2pa.assertions/{label}", listed=listed)
        return node

    def refer(self, *urls: str, listed: str = "created_assertions") -> None:
        """List addresses in the claim."""
        entries = [dict(one) for one in self.claim.get(listed, ())]
        self.claim[listed] = [*entries, *({"url": url, "hash": bytes(32)} for url in urls)]

    def remove(self, label: str, *, also_listed: bool = True) -> None:
        """Take an assertion away."""
        self.assertions.children.remove(self.assertions.find(label))
        for listed in ("created_assertions", "gathered_assertions"):
            if also_listed and listed in self.claim:
                self.claim[listed] = [
                    one for one in self.claim[listed] if not one["url"].endswith("/" + label)
                ]

    def rehash(self) -> None:
        """Make the claim's hashes those of the assertions as they are."""
        nodes = {one.label: one for one in self.assertions.children}
        for listed in ("created_assertions", "gathered_assertions"):
            entries = [dict(one) for one in self.claim.get(listed, ())]
            for entry in entries:
                node = nodes.get(str(entry["url"]).rpartition("/")[2])
                if node is not None:
                    entry["hash"] = hashlib.sha256(node.content).digest()
            if entries:
                self.claim[listed] = entries

    def write_claim(self, content: bytes | None = None) -> None:
        """Write the claim as it is now, or these bytes in its place."""
        self._claim_box.payload = cbor2.dumps(self.claim) if content is None else content

    def sign(self, key_pem: bytes, *, stamped: Callable[[bytes], bytes] | None = None) -> None:
        """Write the claim, and sign it with ES256 (RFC 9052 section 4.4)."""
        self.write_claim()
        protected = cbor2.dumps({1: self.algorithm_number, _X5CHAIN: self.chain})
        message = cbor2.dumps(["Signature1", protected, b"", self._claim_box.payload])
        key = load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("only keys on P-256")
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if stamped is not None:
            token = stamped(countersigned(protected, signature))
            self.headers["sigTst2"] = {"tstTokens": [{"val": token}]}
        cose = cbor2.CBORTag(18, [protected, self.headers, None, signature])
        self.signature_box.payload = cbor2.dumps(cose)

    def store(
        self,
        *,
        credentials: Credentials | None = None,
        rehash: bool = True,
        sign: bool = True,
        stamped: Callable[[bytes], bytes] | None = None,
        length: int | None = None,
    ) -> bytes:
        """Return the whole store.

        Args:
            credentials: Whose key signs.
            rehash: Whether the claim's hashes are made to hold.
            sign: Whether it is signed anew; else the claim is left as it was.
            stamped: From the bytes that a timestamp is of to a token; None for none.
            length: What the store is padded to, in the unprotected header.

        """
        if rehash:
            self.rehash()
        if sign:
            key = (credentials or make_credentials()).key_pem
            self.sign(key, stamped=stamped)
            if length is not None:
                spare = length - len(self.root.data) + len(self.headers.get("pad", b""))
                self.headers["pad"] = bytes(spare)
                # The length of the length: one try is enough for what tests do.
                self.headers["pad"] = bytes(spare - self._excess(key, length, stamped))
                self.sign(key, stamped=stamped)
                if len(self.root.data) != length:
                    raise ValueError("the store does not fit its place")
        return self.root.data

    def _excess(self, key: bytes, length: int, stamped: Callable[[bytes], bytes] | None) -> int:
        self.sign(key, stamped=stamped)
        return len(self.root.data) - length


def countersigned(protected: bytes, signature: bytes) -> bytes:
    """Return what a `sigTst2` timestamp is of (C2PA 2.5 10.3.2.5)."""
    return bytes(cbor2.dumps(["CounterSignature", protected, b"", cbor2.dumps(signature)]))


def _thawed(value: Any) -> Any:  # noqa: ANN401 - What CBOR holds.
    if isinstance(value, dict) or hasattr(value, "items"):
        return {key: _thawed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_thawed(one) for one in value]
    return value
