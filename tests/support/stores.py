"""Manifest stores for tests: real ones, signed by c2pa, and hand-made ones with one thing wrong.

A hand-made store has no signature that anybody could verify; its hashes hold unless a test says
otherwise.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import wave
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import c2pa
import cbor2

from support.credentials import make_credentials

KEY = "ec-p256"
TAIL = bytes.fromhex("00110010800000aa00389b71")
CREATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
ACTIONS = {
    "label": "c2pa.actions.v2",
    "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": CREATED}]},
    "created": True,
}


@dataclass(frozen=True, slots=True)
class Signed:
    """A store, and the asset it is in, or beside."""

    store: bytes
    asset: bytes


@cache
def silence() -> bytes:
    """Return a WAV file without a manifest."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(range(256)) * 8)
    return out.getvalue()


def sign_sidecar(
    content: bytes,
    *,
    exclusions: Sequence[tuple[int, int]] = (),
    algorithm: str = "sha256",
    digest: bytes | None = None,
    key: str = KEY,
) -> bytes:
    """Return the store c2pa signs for a file and a hash that we supply."""
    kept, at = b"", 0
    for start, length in exclusions:
        kept, at = kept + content[at:start], start + length
    made = digest or hashlib.new(algorithm, kept + content[at:]).digest()
    binding: dict[str, object] = {"alg": algorithm, "hash": list(made), "pad": [0] * 4}
    if exclusions:
        binding["exclusions"] = [{"start": s, "length": n} for s, n in exclusions]
    assertions = [ACTIONS, {"label": "c2pa.hash.data", "data": binding}]
    builder = c2pa.Builder(_definition(assertions=assertions), _context())
    builder.set_no_embed()
    return bytes(
        builder.sign(_signer(key), "application/octet-stream", io.BytesIO(b"x"), io.BytesIO())
    )


def sign_detached(content: bytes) -> bytes:
    """Return the store of a sidecar whose hash c2pa made, too."""
    builder = c2pa.Builder(_definition(assertions=[ACTIONS]), _context())
    builder.set_no_embed()
    source, sink = io.BytesIO(content), io.BytesIO()
    return bytes(builder.sign(_signer(), "application/octet-stream", source, sink))


def sign_wav(
    *,
    parts: Sequence[bytes] = (),
    thumbnail: bytes = b"",
    claim_version: int = 2,
) -> Signed:
    """Return a WAV file that c2pa signed, with other signed WAV files as ingredients."""
    definition = _definition(assertions=[ACTIONS], claim_version=claim_version)
    if thumbnail:
        definition["thumbnail"] = {"format": "image/jpeg", "identifier": "thumb"}
    builder = c2pa.Builder(definition, _context())
    if thumbnail:
        builder.add_resource("thumb", io.BytesIO(thumbnail))
    for number, part in enumerate(parts):
        about = {"title": f"part {number}", "relationship": "componentOf"}
        builder.add_ingredient(json.dumps(about), "audio/wav", io.BytesIO(part))
    return _sign(builder, "audio/wav", silence())


@cache
def picture() -> bytes:
    """Return a PNG file without a manifest."""
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(9) * 8)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def sign_png(*, compressed: bool = False) -> Signed:
    """Return a PNG file that c2pa signed."""
    context = _context({"prefer_compress_manifests": True} if compressed else None)
    return _sign(c2pa.Builder(_definition(assertions=[ACTIONS]), context), "image/png", picture())


def update_png(asset: bytes) -> Signed:
    """Return a signed PNG file with an update manifest over what it had.

    Of a WAV file no update can hold: the length of the whole, near its beginning, is hashed.
    """
    builder = c2pa.Builder(_definition(), _context())
    builder.set_intent(c2pa.C2paBuilderIntent.UPDATE)
    return _sign(builder, "image/png", asset)


def png_exclusion(asset: bytes) -> tuple[int, int]:
    """Return where the chunk with the store lies in a PNG file: start and length."""
    at = 8
    while asset[at + 4 : at + 8] != b"caBX":
        at += 12 + int.from_bytes(asset[at : at + 4], "big")
    return at, 12 + int.from_bytes(asset[at : at + 4], "big")


def wav_exclusion(asset: bytes) -> tuple[int, int]:
    """Return where the chunk with the store lies in a WAV file: start and length."""
    at = 12
    while asset[at : at + 4] != b"C2PA":
        at += 8 + (int.from_bytes(asset[at + 4 : at + 8], "little") + 1) // 2 * 2
    return at, 8 + int.from_bytes(asset[at + 4 : at + 8], "little")


def read_crjson(media_type: str, asset: bytes, store: bytes | None = None) -> dict[str, object]:
    """Return what c2pa's Reader says of an asset, in its `crJSON` form."""
    reader = c2pa.Reader(media_type, io.BytesIO(asset), manifest_data=store, context=_context())
    result: dict[str, object] = json.loads(reader.crjson())
    return result


def _definition(**fields: object) -> dict[str, object]:
    info = [{"name": "countermark", "version": "0.1"}]
    return {"claim_generator_info": info, "title": "x", **fields}


def _context(core: Mapping[str, object] | None = None) -> c2pa.Context:
    settings = dict(make_credentials(key=KEY).settings)
    if core:
        settings["core"] = dict(core)
    return c2pa.Context(c2pa.Settings.from_dict(settings))


def _signer(key: str = KEY) -> c2pa.Signer:
    made = make_credentials(key=key)
    algorithm = {"ec-p256": b"es256", "ec-p384": b"es384", "ed25519": b"ed25519"}[key]
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, made.chain_pem, made.key_pem, None))


def _sign(builder: c2pa.Builder, media_type: str, source: bytes) -> Signed:
    out = io.BytesIO()
    store = builder.sign(_signer(), media_type, io.BytesIO(source), out)
    return Signed(bytes(store), out.getvalue())


def box(kind: bytes, content: bytes, *, wide: bool = False) -> bytes:
    """Return a JUMBF box; `wide` for one whose length takes 64 bits."""
    if wide:
        return (1).to_bytes(4, "big") + kind + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def superbox(kind: bytes, label: str, *children: bytes, salt: bytes = b"") -> bytes:
    """Return a JUMBF superbox of a C2PA type."""
    toggles = bytes([0x13 if salt else 0x03])
    description = kind + TAIL + toggles + label.encode() + b"\0" + salt
    return box(b"jumb", box(b"jumd", description) + b"".join(children))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A hand-made manifest.

    Attributes:
        assertions: Label to value; bytes are CBOR already.
        created: Labels that the claim lists as created; None for all assertions.
        gathered: Labels that it lists as gathered.
        claim: Fields that replace those of the claim; None takes one out.
        hashes: Label to a hash that replaces the true one.
        extra: Further boxes of the manifest.

    """

    label: str = "urn:c2pa:F9168C5E-CEB2-4FAA-B6BF-329BF39FA1E4"
    kind: bytes = b"c2ma"
    claim_label: str = "c2pa.claim.v2"
    assertions: Mapping[str, object] = field(default_factory=dict)
    created: Sequence[str] | None = None
    gathered: Sequence[str] = ()
    claim: Mapping[str, object] = field(default_factory=dict)
    hashes: Mapping[str, bytes] = field(default_factory=dict)
    signature: object = cbor2.CBORTag(18, [cbor2.dumps({1: -7, 33: b"leaf"}), {}, None, b"sig"])
    extra: bytes = b""

    def box(self) -> bytes:
        """Return the manifest's superbox."""
        boxes = {label: _assertion(label, value) for label, value in self.assertions.items()}
        created = list(self.assertions) if self.created is None else self.created
        v1 = self.claim_label == "c2pa.claim"
        fields: dict[str, object] = {
            "instanceID": "xmp:iid:1",
            "claim_generator_info": {"name": "made"},
            "signature": f"self#jumbf=/c2pa/{self.label}/c2pa.signature",
            "alg": "sha256",
            "assertions" if v1 else "created_assertions": self._references(created, boxes),
        }
        if self.gathered:
            fields["gathered_assertions"] = self._references(self.gathered, boxes)
        fields.update(self.claim)
        claim = cbor2.dumps({k: v for k, v in fields.items() if v is not None})
        return superbox(
            self.kind,
            self.label,
            superbox(b"c2as", "c2pa.assertions", *boxes.values()),
            superbox(b"c2cl", self.claim_label, box(b"cbor", claim)),
            superbox(b"c2cs", "c2pa.signature", box(b"cbor", cbor2.dumps(self.signature))),
            self.extra,
        )

    def _references(
        self, labels: Sequence[str], boxes: Mapping[str, bytes]
    ) -> list[dict[str, object]]:
        return [
            {
                "url": f"self#jumbf=c2pa.assertions/{label}",
                "hash": self.hashes.get(label) or hashlib.sha256(boxes[label][8:]).digest(),
            }
            for label in labels
        ]


def make_store(*manifests: Made) -> bytes:
    """Return a store of hand-made manifests; the last is the active one."""
    return superbox(b"c2pa", "c2pa", *(one.box() for one in manifests))


def data_hash(content: bytes, **fields: object) -> dict[str, object]:
    """Return a `c2pa.hash.data` over all of `content`; `fields` replace its own."""
    own: dict[str, object] = {
        "alg": "sha256",
        "hash": hashlib.sha256(content).digest(),
        "pad": b"",
    }
    return {key: value for key, value in {**own, **fields}.items() if value is not None}


def box_of(made: Made) -> bytes:
    """Return what a reference to a hand-made manifest hashes."""
    return made.box()[8:]


def _assertion(label: str, value: object) -> bytes:
    content = value if isinstance(value, bytes) else cbor2.dumps(value)
    return superbox(b"cbor", label, box(b"cbor", content))
