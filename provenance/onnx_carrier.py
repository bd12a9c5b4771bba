"""A manifest store inside an ONNX model (C2PA 2.5 A.3.15).

The store lies in Base64 as the value of a `metadata_props` entry of the `ModelProto`, with the key
`c2pa:manifest`. The hash leaves out the bytes of that value and nothing else. A new entry is put
at the end of the file, where protobuf allows it: every other byte stays where it was.

Only the top level of the message is walked (onnx.proto3, `ModelProto`; protobuf's encoding): tags
and lengths, and the entries of `metadata_props`. The graph is not read. Tensors that the model
keeps in other files are not part of the hash.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO, NamedTuple

from countermark.provenance.base64_value import (
    UNHASHED,
    base64_length,
    decode_base64,
    encode_base64,
)
from countermark.provenance.byte_ranges import content_bytes, digest_outside
from countermark.provenance.carrier import Exclusion, Layout, Place
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.protobuf import Field, encode_varint, fields_between
from countermark.provenance.ranges import (
    copy_range,
    hash_range,
    read_at,
    rest_of,
)

__all__ = ["OnnxStore"]

MANIFEST_KEY = b"c2pa:manifest"

IR_VERSION, GRAPH, METADATA_PROPS = 1, 7, 14  # Of ModelProto.
KEY, VALUE = 1, 2  # Of StringStringEntryProto.
LENGTH_DELIMITED = 2

MAX_FIELDS = 262_144  # Functions and training steps are the only ones that repeat.
MAX_ENTRY_FIELDS = 64  # Two are defined.
MAX_VALUE_BYTES = 96 * 1024 * 1024  # A store of 64 MiB, and its Base64.
MAX_MODEL_BYTES = 2**31 - 1  # Protobuf's readers refuse a larger message.


class OnnxStore:
    """The place of a store in an ONNX model."""

    __slots__ = ()

    name = "onnx"
    media_types: tuple[str, ...] = ("application/onnx",)

    def find(self, source: BinaryIO) -> Place | None:
        """Return the store that is carried, or None if there is none.

        Raises:
            MalformedContentError: The file is no ONNX model; or there are several entries of this
                key, or one that is not exactly a key and a value in Base64.

        """
        entry = _read(source).entry
        if entry is None:
            return None
        start, length = entry.value
        if length > MAX_VALUE_BYTES:
            raise MalformedContentError(
                f"a manifest of {length} bytes, limit {MAX_VALUE_BYTES}", offset=start
            )
        store = decode_base64(read_at(source, start, length), "the c2pa:manifest entry", start)
        return Place(store=store, exclusions=(Exclusion(start, length),))

    def digest(self, source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        """Return the hash of all but `exclusions`."""
        return digest_outside(source, exclusions, algorithm)

    def lay_out(self, source: BinaryIO, store_bytes: int) -> Layout:
        """Return how the model would look with a store of `store_bytes`, without hashing it.

        The length of a store does not depend on the digest in it. So the first layout has zeros
        for a digest and fits nothing, and the model is hashed once, by `refine`.

        Raises:
            MalformedContentError: Not an ONNX model.
            UnsupportedContentError: The model would be larger than protobuf allows.

        """
        return _layout(_read(source), store_bytes)

    def fits(self, layout: Layout, store: bytes) -> bool:
        """Return whether this very store fills the layout, to the byte."""
        return base64_length(len(store)) == layout.room and layout.digest != UNHASHED

    def refine(self, source: BinaryIO, layout: Layout, store: bytes) -> Layout:
        """Return the layout for a store as long as this one, with its hash.

        Raises:
            MalformedContentError: As `lay_out`, and so on.

        """
        model = _read(source)
        wanted = _layout(model, len(store))
        hasher = hashlib.sha256()
        for start, length in model.kept:
            hash_range(hasher, source, start, length)
        hasher.update(_entry_head(wanted.room))
        return wanted._replace(digest=hasher.digest())

    def repad(self, layout: Layout, store: bytes) -> bytes:
        """Return the store as it is: beside weights its padding weighs nothing."""
        return store

    def write(self, source: BinaryIO, layout: Layout, store: bytes, sink: BinaryIO) -> None:
        """Write the model with the store in it.

        Raises:
            MalformedContentError: The store's place is no longer where it was laid out.

        """
        model = _read(source)
        if _layout(model, layout.store_bytes).exclusions != layout.exclusions or not self.fits(
            layout, store
        ):
            raise MalformedContentError("the model was changed while it was signed")
        for start, length in model.kept:
            copy_range(source, sink, start, length)
        sink.write(_entry_head(layout.room))
        sink.write(encode_base64(store))


class _Entry(NamedTuple):
    """The entry of the store: (start, length) of the whole field, and of its value."""

    field: tuple[int, int]
    value: tuple[int, int]


class _Model(NamedTuple):
    """What the top level of a model is made of."""

    file_bytes: int
    entry: _Entry | None

    @property
    def kept(self) -> tuple[tuple[int, int], ...]:
        """Ranges of everything but the entry, in order."""
        without = (Exclusion(*self.entry.field),) if self.entry else ()
        return tuple(rest_of(self.file_bytes, without))


def _read(source: BinaryIO) -> _Model:
    file_bytes = content_bytes(source)
    kinds: set[tuple[int, int]] = set()
    entries: list[_Entry] = []
    for field in fields_between(source, 0, file_bytes, max_fields=MAX_FIELDS):
        kinds.add(_kind(field))
        if _kind(field) == (METADATA_PROPS, LENGTH_DELIMITED):
            entry = _entry(source, field)
            if entry is not None:
                entries.append(entry)
    # Many bytes happen to be protobuf: what every ONNX model has is asked for.
    if not kinds >= {(IR_VERSION, 0), (GRAPH, LENGTH_DELIMITED)}:
        raise MalformedContentError("not an ONNX model: no ir_version, or no graph")
    if len(entries) > 1:
        raise MalformedContentError(
            f"{len(entries)} entries are called c2pa:manifest, so that none is the manifest",
            offset=entries[1].field[0],
        )
    return _Model(file_bytes, entries[0] if entries else None)


def _entry(source: BinaryIO, field: Field) -> _Entry | None:
    """Return the store's place in a `metadata_props` entry; None if it is another's."""
    parts = list(fields_between(source, field.content, field.end, max_fields=MAX_ENTRY_FIELDS))
    if not any(
        _kind(part) == (KEY, LENGTH_DELIMITED)
        and part.length == len(MANIFEST_KEY)
        and read_at(source, part.content, part.length) == MANIFEST_KEY
        for part in parts
    ):
        return None
    # Readers keep the last of two keys or values, and skip what they do not know: a second
    # meaning of the one entry that is not hashed as a whole.
    if sorted(map(_kind, parts)) != [(KEY, LENGTH_DELIMITED), (VALUE, LENGTH_DELIMITED)]:
        raise MalformedContentError(
            "the c2pa:manifest entry is more than one key and one value", offset=field.start
        )
    value = next(part for part in parts if part.number == VALUE)
    return _Entry((field.start, field.end - field.start), (value.content, value.length))


def _kind(field: Field) -> tuple[int, int]:
    return field.number, field.wire_type


def _layout(model: _Model, store_bytes: int) -> Layout:
    room = base64_length(store_bytes)
    head = _entry_head(room)
    start = sum(length for _, length in model.kept) + len(head)
    if start + room > MAX_MODEL_BYTES:
        raise UnsupportedContentError(
            f"with a manifest the model would have {start + room} bytes, limit {MAX_MODEL_BYTES}",
            hint="--sidecar writes FILE.c2pa beside it",
        )
    return Layout(store_bytes, (Exclusion(start, room),), UNHASHED, room)


def _entry_head(room: int) -> bytes:
    """Return a `metadata_props` entry up to its value of `room` bytes, which ends it."""
    inner = _tag(KEY) + encode_varint(len(MANIFEST_KEY)) + MANIFEST_KEY
    inner += _tag(VALUE) + encode_varint(room)
    return _tag(METADATA_PROPS) + encode_varint(len(inner) + room) + inner


def _tag(number: int) -> bytes:
    return encode_varint(number << 3 | LENGTH_DELIMITED)
