"""Boxes of the JPEG universal metadata box format (ISO/IEC 19566-5), as C2PA 2.5 11.5 uses them.

A superbox (`jumb`) holds a description (`jumd`: type UUID, toggles, label, private salt) and then
boxes, of which some are superboxes again. Nothing here knows what the types mean.

Lengths are checked before they are used, the depth, the number of boxes and the whole length are
limited, and content is never copied: a box's `content` is a view of the input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from countermark.provenance.errors import MalformedStoreError

__all__ = [
    "MAX_BOXES",
    "MAX_BYTES",
    "MAX_DEPTH",
    "Box",
    "Budget",
    "Node",
    "Superbox",
    "read_superbox",
]

MAX_BYTES = 64 << 20
MAX_BOXES = 100_000
MAX_DEPTH = 32
MAX_LABEL_BYTES = 1024  # That of a manifest has about a hundred.

_SUPERBOX = b"jumb"
_DESCRIPTION = b"jumd"
_UUID_BYTES = 16
_REQUESTABLE, _LABEL, _ID, _SIGNATURE, _PRIVATE = 1, 2, 4, 8, 16  # 19566-5 table A.2.
_RESERVED = 0xE0
# C2PA 2.5 11.5.3.3: what cannot be part of a JUMBF URI.
_NOT_IN_LABEL = re.compile("[\x00-\x1f\x7f-\x9f/;?#\ufeff\uffff]")


class Box(NamedTuple):
    """A box that holds no boxes.

    Attributes:
        kind: Four bytes, e.g. `cbor`.
        content: What follows its header.
        offset: Where the content begins in the store.

    """

    kind: bytes
    content: memoryview
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Superbox:
    """A box that describes itself and holds boxes.

    Attributes:
        uuid: Its type, 16 bytes.
        label: Unique among its neighbours if it is to be found; empty if it has none.
        salt: The private box of the description, header and all; empty without one.
        content: What follows its header, description first: what C2PA 2.5 9.4.2.3 hashes.
        offset: Where the content begins in the store.
        children: What follows the description, in order.

    """

    uuid: bytes
    label: str
    salt: memoryview
    content: memoryview
    offset: int
    children: tuple[Node, ...]

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The children that hold no boxes, without padding."""
        return tuple(c for c in self.children if isinstance(c, Box) and c.kind != b"free")

    @property
    def superboxes(self) -> tuple[Superbox, ...]:
        """The children that are superboxes."""
        return tuple(child for child in self.children if isinstance(child, Superbox))


@dataclass(slots=True)
class Budget:
    """What a store, and everything that is packed in it, may still take.

    Attributes:
        bytes_left: Of boxes, packed and unpacked.
        boxes_left: Of any kind.

    """

    bytes_left: int = MAX_BYTES
    boxes_left: int = MAX_BOXES

    def take_bytes(self, count: int, offset: int) -> None:
        """Take so many bytes, or raise `MalformedStoreError`."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            self.bytes_left = 0
            raise MalformedStoreError(f"a store of more than {MAX_BYTES} bytes", offset=offset)

    def take_box(self, offset: int) -> None:
        """Take one box, or raise `MalformedStoreError`."""
        if self.boxes_left == 0:
            raise MalformedStoreError(f"a store of more than {MAX_BOXES} boxes", offset=offset)
        self.boxes_left -= 1


Node: TypeAlias = "Box | Superbox"


def read_superbox(data: bytes, budget: Budget) -> Superbox:
    """Read one superbox that takes all of `data`, and its boxes from the budget.

    Raises:
        MalformedStoreError: It is not well-formed, or beyond a limit.

    """
    if len(data) > MAX_BYTES:
        raise MalformedStoreError(f"a store of {len(data)} bytes, limit {MAX_BYTES}")
    reader = _Reader(memoryview(data), budget)
    header = reader.header(0, len(data))
    if header.kind != _SUPERBOX:
        raise MalformedStoreError("not a JUMBF superbox", offset=0)
    if header.end != len(data):
        raise MalformedStoreError(
            f"{len(data) - header.end} bytes after the end of the manifest store",
            offset=header.end,
        )
    return reader.superbox(header, MAX_DEPTH)


class _Header(NamedTuple):
    kind: bytes
    begin: int  # Of the content.
    end: int


class _Description(NamedTuple):
    uuid: bytes
    label: str
    salt: memoryview


class _Reader:
    """The bytes of a store, and what it may still take."""

    __slots__ = ("_budget", "_data")

    def __init__(self, data: memoryview, budget: Budget) -> None:
        self._data = data
        self._budget = budget

    def header(self, at: int, end: int) -> _Header:
        """Read the header of the box at `at`, which must end at or before `end`."""
        self._budget.take_box(at)
        if end - at < 8:
            raise MalformedStoreError(f"{end - at} bytes where a box begins", offset=at)
        length = int.from_bytes(self._data[at : at + 4], "big")
        kind = bytes(self._data[at + 4 : at + 8])
        begin = at + 8
        if length == 1:  # A length of 64 bits follows.
            if end - at < 16:
                raise MalformedStoreError("a box ends within its length", offset=at)
            length = int.from_bytes(self._data[begin : begin + 8], "big")
            begin += 8
        # Length 0, "to the end of the file", has no meaning inside of another file.
        if not begin - at <= length <= end - at:
            raise MalformedStoreError(
                f"a box of {length} bytes where {end - at} are left", offset=at
            )
        return _Header(kind, begin, at + length)

    def superbox(self, header: _Header, depth: int) -> Superbox:
        """Read the superbox whose header was read; at most `depth` levels of it."""
        if depth == 0:
            raise MalformedStoreError(
                f"boxes are nested more than {MAX_DEPTH} deep", offset=header.begin
            )
        first = self.header(header.begin, header.end)
        if first.kind != _DESCRIPTION:
            raise MalformedStoreError("a superbox without a description", offset=header.begin)
        description = self._description(first)
        children: list[Node] = []
        at = first.end
        while at < header.end:
            child = self.header(at, header.end)
            if child.kind == _DESCRIPTION:
                raise MalformedStoreError("a superbox with two descriptions", offset=at)
            if child.kind == _SUPERBOX:
                children.append(self.superbox(child, depth - 1))
            else:
                content = self._data[child.begin : child.end]
                children.append(Box(child.kind, content, child.begin))
            at = child.end
        return Superbox(
            uuid=description.uuid,
            label=description.label,
            salt=description.salt,
            content=self._data[header.begin : header.end],
            offset=header.begin,
            children=tuple(children),
        )

    def _description(self, header: _Header) -> _Description:
        at = header.begin + _UUID_BYTES
        if at >= header.end:
            raise MalformedStoreError("a description without type and toggles", offset=header.begin)
        uuid = bytes(self._data[header.begin : at])
        toggles = self._data[at]
        if toggles & _RESERVED:
            raise MalformedStoreError(f"reserved toggles 0x{toggles:02x}", offset=at)
        at += 1
        label = ""
        if toggles & _LABEL:
            label, at = self._label(at, header.end)
        at += (4 if toggles & _ID else 0) + (32 if toggles & _SIGNATURE else 0)
        salt = self._data[at : header.end]
        if at > header.end:
            raise MalformedStoreError("a description ends early", offset=header.begin)
        if toggles & _PRIVATE and self.header(at, header.end).end == header.end:
            return _Description(uuid, label, salt)
        if toggles & _PRIVATE or salt:
            raise MalformedStoreError("a description with bytes of no meaning", offset=at)
        return _Description(uuid, label, salt)

    def _label(self, at: int, end: int) -> tuple[str, int]:
        content = bytes(self._data[at : min(end, at + MAX_LABEL_BYTES + 1)])
        length = content.find(b"\x00")
        if length < 0:
            raise MalformedStoreError(
                f"a label that does not end within {MAX_LABEL_BYTES} bytes", offset=at
            )
        try:
            label = content[:length].decode()
        except UnicodeDecodeError as e:
            raise MalformedStoreError("a label that is not UTF-8", offset=at) from e
        if not label or _NOT_IN_LABEL.search(label):
            raise MalformedStoreError("a label no URI can name", offset=at)
        return label, at + length + 1
