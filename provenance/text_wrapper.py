r"""A manifest store inside plain text, as characters nobody sees (C2PA 2.5 A.8).

U+FEFF and then one run of variation selectors (`selectors`) that stand for `C2PATXT\0`, version 1,
the store's length in four bytes, the store, and padding. The hash leaves out the U+FEFF and the
whole run, and is that of the NFC form of what remains (14.12.1.3.1).

Three kinds of padding are in use: 0x00 and then 0x10 (C2PA 2.5), 0x00 and then 0xFF (c2pa-text),
none (c2patxt). All are read. Other padding is refused, although 2.5 would have it ignored: it is
hidden text that no signature covers. None is written, since a wrapper without padding is the one
form that every reader accepts; its length must then be the very length that was signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from countermark.provenance.carrier import Exclusion, Layout, Place
from countermark.provenance.cose_padding import repadded
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.selectors import (
    decode_selectors,
    encode_selectors,
    encoded_bytes,
    run_end,
)
from countermark.provenance.text_source import check_room, nfc_digest, read_text_source

__all__ = ["HEADER_BYTES", "MAGIC", "MAX_WRITTEN_BYTES", "TextWrapper", "wrapped"]

MAGIC = b"C2PATXT\0"
VERSION = 1
HEADER_BYTES = len(MAGIC) + 1 + 4
MARKER = "\ufeff".encode()
MAX_WRITTEN_BYTES = 2 << 20  # The most that c2patxt reads.

_BEGINNING = MARKER + encode_selectors(MAGIC)
_PADDING = re.compile(rb"\x00*+(?:\x10*+|\xff*+)", re.DOTALL)
_SUPERBOX = b"jumb"
_NEAR = 16  # Two stores of one length differ by fewer bytes of UTF-8 than this.


class _Wrapper(NamedTuple):
    """A wrapper that was found: where it stands, and what it says.

    Attributes:
        start: Byte of its U+FEFF.
        stop: First byte after its run.
        store: The manifest store; None if the wrapper is not whole.
        problem: What is wrong with it; empty if nothing is.

    """

    start: int
    stop: int
    store: bytes | None
    problem: str = ""


class TextWrapper:
    """The place of a store in plain text."""

    __slots__ = ()

    name = "text-wrapper"
    media_types: tuple[str, ...] = ("text/plain",)

    def find(self, source: BinaryIO) -> Place | None:
        """Return the store that is carried, or None if there is none.

        Raises:
            MalformedContentError: There are several wrappers, of which 2.5 believes none; or only
                broken ones.

        """
        return _place(read_text_source(source))

    def digest(self, source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        """Return the hash of the NFC form of all but `exclusions`.

        Raises:
            MalformedContentError: What remains is not UTF-8, or cannot be normalised.

        """
        return nfc_digest(_rest(read_text_source(source), exclusions), algorithm)

    def lay_out(self, source: BinaryIO, store_bytes: int) -> Layout:
        """Return how the text will look with a store of `store_bytes` behind it.

        How much room the store takes depends on its bytes; this supposes that one in nine of
        them is small, and `refine` corrects it.

        Raises:
            MalformedContentError: It is not UTF-8, or carries wrappers that cannot be replaced.
            UnsupportedContentError: A store of this length is not read everywhere.

        """
        data = read_text_source(source)
        kept = _without_wrapper(data)
        room = _room(store_bytes, 4 * store_bytes - store_bytes // 9)
        check_room(_length(kept) + room)
        return Layout(
            store_bytes,
            (Exclusion(_length(kept), room),),
            nfc_digest(kept, "sha256"),
            room,
        )

    def fits(self, layout: Layout, store: bytes) -> bool:
        """Return whether this very store fills the layout, to the byte."""
        return _room(len(store), encoded_bytes(store)) == layout.room

    def refine(self, source: BinaryIO, layout: Layout, store: bytes) -> Layout:
        """Return a better layout, now that a store is known that did not fit.

        Between stores of one length the room is that of the average so far, which is the length
        that most of the next ones will have.
        """
        room = _room(len(store), encoded_bytes(store))
        if abs(room - layout.room) < _NEAR:
            room = (room + layout.room) // 2
        ((start, _),) = layout.exclusions
        return Layout(len(store), (Exclusion(start, room),), layout.digest, room)

    def repad(self, layout: Layout, store: bytes) -> bytes:
        """Return the same manifest with other padding in its signature box.

        No signature covers that padding, so that a store can be made to fit without another
        signature two times out of three; and engines reserve a kilobyte of it, which would be
        three kilobytes of text.

        Returns:
            A store that fits the layout; or one that a refined layout should be made for; or
            `store` itself where its padding cannot be found.

        """
        return repadded(
            store, lambda changed: _room(len(changed), encoded_bytes(changed)), layout.room
        )

    def write(self, source: BinaryIO, layout: Layout, store: bytes, sink: BinaryIO) -> None:
        """Write the text with the store behind it; a store in it is replaced.

        Raises:
            MalformedContentError: The text is not the one that was laid out.

        """
        kept = _without_wrapper(read_text_source(source))
        expected = (Exclusion(_length(kept), layout.room),)
        if layout.exclusions != expected or not self.fits(layout, store):
            raise MalformedContentError("the text was changed while it was signed")
        for part in kept:
            sink.write(part)
        sink.write(wrapped(store))


def wrapped(store: bytes) -> bytes:
    """Return the wrapper of a store, without padding, in UTF-8.

    Raises:
        UnsupportedContentError: A store of this length is not read everywhere.

    """
    _room(len(store), 0)
    header = MAGIC + bytes([VERSION]) + len(store).to_bytes(4, "big")
    return MARKER + encode_selectors(header + store)


def _room(store_bytes: int, encoded: int) -> int:
    """Return how many bytes of UTF-8 the wrapper of a store has."""
    if store_bytes > MAX_WRITTEN_BYTES:
        raise UnsupportedContentError(
            f"a manifest of {store_bytes} bytes in text, limit {MAX_WRITTEN_BYTES}",
            hint="a sidecar has no such limit",
        )
    header = MAGIC + bytes([VERSION]) + store_bytes.to_bytes(4, "big")
    return len(MARKER) + encoded_bytes(header) + encoded


def _place(data: bytes) -> Place | None:
    """Return the one wrapper of a text (A.8.4.2, 14.5.2.6)."""
    broken: _Wrapper | None = None
    # What holds no store is no wrapper (A.8.4.2 step 3): a decoy must not hide the real one.
    stores: list[_Wrapper] = []
    decoys: list[_Wrapper] = []
    for wrapper in _wrappers(data):
        if wrapper.store is None:
            broken = broken or wrapper
        else:
            kind = stores if wrapper.store[4:8] == _SUPERBOX else decoys
            kind.append(wrapper)
            if len(kind) > 1:
                del kind[2:]  # Two are too many already, and there may be a million.
    found = stores or decoys
    if len(found) > 1:
        raise MalformedContentError(
            "more than one text mark, where there may be one",
            offset=found[1].start,
            hint="C2PA believes none of them; delete the one that does not belong here",
        )
    wrapper_ = found[0] if found else broken
    if wrapper_ is None:
        return None
    if wrapper_.problem:
        raise MalformedContentError(wrapper_.problem, offset=wrapper_.start)
    exclusion = Exclusion(wrapper_.start, wrapper_.stop - wrapper_.start)
    return Place(wrapper_.store or b"", (exclusion,))


def _wrappers(data: bytes) -> Iterator[_Wrapper]:
    """Yield everything that begins as a wrapper does, in order.

    The search is for bytes: U+FEFF and the magic number are one fixed string of UTF-8, which no
    other character contains.
    """
    start = data.find(_BEGINNING)
    while start >= 0:
        wrapper = _wrapper(data, start)
        yield wrapper
        start = data.find(_BEGINNING, wrapper.stop)


def _wrapper(data: bytes, start: int) -> _Wrapper:
    stop = run_end(data, start + len(MARKER))
    content = decode_selectors(data[start + len(MARKER) : stop])
    if len(content) < HEADER_BYTES:
        return _Wrapper(start, stop, None, "a text mark that is cut off in its header")
    if content[len(MAGIC)] != VERSION:
        return _Wrapper(start, stop, None, f"a text mark of version {content[len(MAGIC)]}, not 1")
    declared = int.from_bytes(content[len(MAGIC) + 1 : HEADER_BYTES], "big")
    store = content[HEADER_BYTES : HEADER_BYTES + declared]
    if len(store) < declared:
        share = 100 * len(store) // declared
        problem = f"a text mark that is cut off: {len(store)} of {declared} bytes, {share} %"
        return _Wrapper(start, stop, None, problem)
    if not _PADDING.fullmatch(content, HEADER_BYTES + declared):
        problem = "a text mark that is followed by hidden text, which is no padding"
        return _Wrapper(start, stop, store, problem)
    return _Wrapper(start, stop, store)


def _without_wrapper(data: bytes) -> tuple[memoryview, ...]:
    """Return a text without the wrapper in it, if there is one."""
    place = _place(data)
    return _rest(data, place.exclusions if place else ())


def _rest(data: bytes, exclusions: tuple[Exclusion, ...]) -> tuple[memoryview, ...]:
    view = memoryview(data)
    starts = [0, *(start + length for start, length in exclusions)]
    stops = [*(start for start, _ in exclusions), len(data)]
    return tuple(view[start:stop] for start, stop in zip(starts, stops, strict=True))


def _length(parts: tuple[memoryview, ...]) -> int:
    return sum(map(len, parts))
