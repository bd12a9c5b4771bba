"""A manifest store in Base64 between two pieces of markup, inside a text that stays as it is.

Code (A.9) and HTML (A.7) differ in what the markup is, and where it goes. Both hash the raw bytes
of everything else, so that a store of any length can be laid out without hashing again.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO, NamedTuple

from countermark.provenance.base64_value import base64_length, encode_base64
from countermark.provenance.byte_ranges import digest_outside
from countermark.provenance.carrier import Exclusion, Layout
from countermark.provenance.cose_padding import repadded
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.text_source import check_room

__all__ = ["Frame", "FramedStore"]


class Frame(NamedTuple):
    """A text, and where a store goes in it.

    The text becomes `data[:start] + before + opening + Base64 + closing + after + data[stop:]`, of
    which `opening` to `closing` are not hashed.
    """

    data: bytes
    start: int
    stop: int
    before: bytes
    opening: bytes
    closing: bytes
    after: bytes

    def lay_out(self, store_bytes: int) -> Layout:
        """Return the layout for a store of this length.

        Raises:
            UnsupportedContentError: The text would be too long to be read again.

        """
        hasher = hashlib.sha256()
        for part in (*self._kept_before(), *self._kept_after()):
            hasher.update(part)
        room = self._room(store_bytes)
        kept = len(self.data) - (self.stop - self.start) + len(self.before) + len(self.after)
        check_room(kept + room)
        return Layout(store_bytes, (self._exclusion(room),), hasher.digest(), room)

    def write(self, layout: Layout, store: bytes, sink: BinaryIO) -> None:
        """Write the text with the store in it.

        Raises:
            MalformedContentError: The text is not the one that was laid out.

        """
        room = self._room(len(store))
        if layout.exclusions != (self._exclusion(room),):
            raise MalformedContentError("the text was changed while it was signed")
        for part in self._kept_before():
            sink.write(part)
        sink.write(self.opening)
        sink.write(encode_base64(store))
        sink.write(self.closing)
        for part in self._kept_after():
            sink.write(part)

    def _kept_before(self) -> tuple[memoryview, bytes]:
        return memoryview(self.data)[: self.start], self.before

    def _kept_after(self) -> tuple[bytes, memoryview]:
        return self.after, memoryview(self.data)[self.stop :]

    def _room(self, store_bytes: int) -> int:
        return len(self.opening) + base64_length(store_bytes) + len(self.closing)

    def _exclusion(self, room: int) -> Exclusion:
        return Exclusion(self.start + len(self.before), room)


class FramedStore:
    """What carriers of such frames have in common."""

    __slots__ = ()

    def digest(self, source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        """Return the hash of all but `exclusions`."""
        return digest_outside(source, exclusions, algorithm)

    def fits(self, layout: Layout, store: bytes) -> bool:
        """Return whether this very store fills the layout, to the byte."""
        return base64_length(len(store)) == base64_length(layout.store_bytes)

    def refine(self, _source: BinaryIO, layout: Layout, store: bytes) -> Layout:
        """Return the layout for a store of this length; nothing is hashed again."""
        longer = base64_length(len(store)) - base64_length(layout.store_bytes)
        ((start, length),) = layout.exclusions
        exclusions = (Exclusion(start, length + longer),)
        return Layout(len(store), exclusions, layout.digest, layout.room + longer)

    def repad(self, layout: Layout, store: bytes) -> bytes:
        """Return the same manifest with other padding in its signature box, to fit if it can."""
        room = base64_length(layout.store_bytes)
        return repadded(store, lambda changed: base64_length(len(changed)), room)
