"""A manifest store inside a SafeTensors file (C2PA 2.5 A.3.16).

The store lies in Base64 under `__metadata__["c2pa:manifest"]` of the JSON header. The hash leaves
out the bytes between the quotes of that value and nothing else: it covers the length field, the
rest of the header with its padding, and every tensor.

Which header is one, and that it has one meaning, is `signing.safetensors`' to say; here its text
is scanned for where one value stands. The header is edited in place: what was there stays byte
for byte, but for the spaces at its end, which keep the tensors aligned to 8 bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
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
from countermark.provenance.ranges import (
    copy_range,
    hash_range,
    read_at,
)
from countermark.signing.errors import MalformedSafetensorsError
from countermark.signing.safetensors import LENGTH_BYTES, MAX_HEADER_BYTES, read_header

__all__ = ["SafetensorsStore"]

METADATA_KEY = "__metadata__"
MANIFEST_KEY = "c2pa:manifest"

_ALIGNMENT = 8  # Of the tensors' first byte, as the format's own writer does it.
# Strings, and what tells where in the nesting they stand. Possessive: nothing is read twice.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]', re.DOTALL)


class SafetensorsStore:
    """The place of a store in a SafeTensors file."""

    __slots__ = ()

    name = "safetensors"
    media_types: tuple[str, ...] = ("application/vnd.safetensors",)

    def find(self, source: BinaryIO) -> Place | None:
        """Return the store that is carried, or None if there is none.

        Raises:
            MalformedContentError: The file is no SafeTensors file with one meaning, which two
                values under one key do not have; or the value is no Base64.

        """
        header = _read(source)
        if header.value is None:
            return None
        first, last = header.value
        start = LENGTH_BYTES + first
        store = decode_base64(header.text[first:last], "the c2pa:manifest entry", start)
        return Place(store=store, exclusions=(Exclusion(start, last - first),))

    def digest(self, source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        """Return the hash of all but `exclusions`."""
        return digest_outside(source, exclusions, algorithm)

    def lay_out(self, source: BinaryIO, store_bytes: int) -> Layout:
        """Return how the file would look with a store of `store_bytes`, without hashing it.

        The length of a store does not depend on the digest in it. So the first layout has zeros
        for a digest and fits nothing, and ten gigabytes are hashed once, by `refine`.

        Raises:
            MalformedContentError: Not a SafeTensors file.
            UnsupportedContentError: The header would be larger than the format allows.

        """
        return _edit(_read(source), base64_length(store_bytes)).layout(store_bytes, UNHASHED)

    def fits(self, layout: Layout, store: bytes) -> bool:
        """Return whether this very store fills the layout, to the byte."""
        return base64_length(len(store)) == layout.room and layout.digest != UNHASHED

    def refine(self, source: BinaryIO, layout: Layout, store: bytes) -> Layout:
        """Return the layout for a store as long as this one, with its hash.

        Raises:
            MalformedContentError: As `lay_out`, and so on.

        """
        header = _read(source)
        edit = _edit(header, base64_length(len(store)))
        hasher = hashlib.sha256(edit.before)
        hasher.update(edit.after)
        hash_range(hasher, source, header.data_start, header.file_bytes - header.data_start)
        return edit.layout(len(store), hasher.digest())

    def repad(self, layout: Layout, store: bytes) -> bytes:
        """Return the store as it is: beside weights its padding weighs nothing."""
        return store

    def write(self, source: BinaryIO, layout: Layout, store: bytes, sink: BinaryIO) -> None:
        """Write the file with the store in it.

        Raises:
            MalformedContentError: The store's place is no longer where it was laid out.

        """
        header = _read(source)
        edit = _edit(header, layout.room)
        if edit.exclusions != layout.exclusions or not self.fits(layout, store):
            raise MalformedContentError("the header was changed while it was signed")
        sink.write(edit.before)
        sink.write(encode_base64(store))
        sink.write(edit.after)
        copy_range(source, sink, header.data_start, header.file_bytes - header.data_start)


class _Header(NamedTuple):
    """A header that `signing.safetensors` accepts, and where things stand in its text.

    Attributes:
        text: The N bytes behind the length field.
        file_bytes: Length of the file.
        metadata: Where the first member of `__metadata__` would stand; None without one.
        value: Range of the store's Base64 between its quotes; None without one.

    """

    text: bytes
    file_bytes: int
    metadata: int | None
    value: tuple[int, int] | None

    @property
    def data_start(self) -> int:
        return LENGTH_BYTES + len(self.text)


class _Edit(NamedTuple):
    """The new beginning of the file, around the value."""

    before: bytes
    room: int
    after: bytes

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        return (Exclusion(len(self.before), self.room),)

    def layout(self, store_bytes: int, digest: bytes) -> Layout:
        return Layout(store_bytes, self.exclusions, digest, self.room)


def _read(source: BinaryIO) -> _Header:
    file_bytes = content_bytes(source)
    try:
        parsed = read_header(lambda at, count: read_at(source, at, count), file_bytes)
    except MalformedSafetensorsError as e:
        raise MalformedContentError(str(e), hint=e.hint) from e
    text = read_at(source, LENGTH_BYTES, parsed.header_bytes - LENGTH_BYTES)
    metadata, value = _scan(text)
    stated = dict(parsed.metadata).get(MANIFEST_KEY)
    # Two ways to the same value. Were they ever to differ, the wrong bytes would go unhashed.
    if (None if value is None else _string(text[value[0] - 1 : value[1] + 1])) != stated:
        raise MalformedContentError("the header's manifest cannot be located", offset=LENGTH_BYTES)
    return _Header(text, file_bytes, metadata, value)


def _scan(text: bytes) -> tuple[int | None, tuple[int, int] | None]:
    """Find `__metadata__` and the store's value in JSON that was already accepted.

    Returns:
        The offset behind the object's `{`, and the range of the value between its quotes.

    """
    depth, is_key, key = 0, False, ""
    metadata: int | None = None
    for token in _TOKEN.finditer(text):
        match token.group():
            case b"{" | b"[" as bracket:
                depth += 1
                is_key = bracket == b"{"
                if depth == 2 and key == METADATA_KEY:
                    metadata = token.end()
            case b"}" | b"]":
                depth -= 1
                if depth == 1 and metadata is not None:
                    return metadata, None
            case b",":
                is_key = depth == 1 or metadata is not None
            case b":":
                is_key = False
            case string if is_key:
                # Keys may be written with escapes, and still be these keys.
                key = _string(string) if depth == 1 or metadata is not None else ""
            case _ if metadata is not None and key == MANIFEST_KEY:
                return metadata, (token.start() + 1, token.end() - 1)
    return None, None


def _string(quoted: bytes) -> str:
    if b"\\" not in quoted:
        return quoted[1:-1].decode("utf-8")
    value = json.loads(quoted)
    return value if isinstance(value, str) else ""


def _edit(header: _Header, room: int) -> _Edit:
    text = header.text.rstrip(b" ")
    if header.value is not None:
        first, last = header.value
        before, after = text[:first], text[last:]
    elif header.metadata is not None:
        before = text[: header.metadata] + _member(MANIFEST_KEY)
        after = b'"' + _then(text[header.metadata :])
    else:
        before = text[:1] + _member(METADATA_KEY, b"{") + _member(MANIFEST_KEY)
        after = b'"}' + _then(text[1:])
    unpadded = LENGTH_BYTES + len(before) + room + len(after)
    after += b" " * (-unpadded % _ALIGNMENT)
    length = len(before) + room + len(after)
    if length > MAX_HEADER_BYTES:
        raise UnsupportedContentError(
            f"with a manifest the header would have {length} bytes, limit {MAX_HEADER_BYTES}",
            hint="--sidecar writes FILE.c2pa beside it",
        )
    return _Edit(length.to_bytes(LENGTH_BYTES, "little") + before, room, after)


def _member(key: str, opening: bytes = b'"') -> bytes:
    return b'"' + key.encode() + b'":' + opening


def _then(members: bytes) -> bytes:
    """Return what follows a new first member: a comma, unless it is the only one."""
    return members if members.lstrip().startswith(b"}") else b"," + members
