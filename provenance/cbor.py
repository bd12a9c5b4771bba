"""A small, strict decoder of CBOR (RFC 8949), for what C2PA keeps in it: claims and assertions.

The bytes come from whoever made the content. Every length is compared with what is left of the
input before anything is allocated, nesting and the number of items are bounded, and whatever two
readers could understand differently is refused: equal map keys, keys that are not integers or
strings, bytes after the value, text that is not UTF-8. Well-formedness is that of RFC 8949
appendix C; lengths that are longer than they need be, and items of indefinite length, are read,
as other people's generators write them. Nothing is encoded here.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

from countermark.provenance.errors import MalformedStoreError

__all__ = ["MAX_DEPTH", "MAX_ITEMS", "Key", "Simple", "Tagged", "Value", "decode", "untagged"]

MAX_DEPTH = 32
MAX_ITEMS = 1_000_000  # A collection hash over 100,000 files has 900,000.

Key: TypeAlias = "int | str | bytes"
Value: TypeAlias = (
    "int | float | str | bytes | bool | list[Value] | dict[Key, Value] | Tagged | Simple | None"
)

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _OTHER = range(8)
_INDEFINITE = 31
_BREAK = 0xFF
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_CONSTANTS: dict[int, bool | None] = {20: False, 21: True, 22: None}


class Tagged(NamedTuple):
    """A value and its tag, e.g. 0 for a date, 18 for a COSE signature. No tag is interpreted."""

    number: int
    value: Value


class Simple(NamedTuple):
    """A simple value without a meaning here, e.g. 23, "undefined"."""

    number: int


def decode(data: bytes | memoryview, *, offset: int = 0) -> Value:
    """Decode one value that takes all of `data`.

    Args:
        data: One data item.
        offset: Where `data` lies in the store, for messages.

    Raises:
        MalformedStoreError: It is not well-formed, says something twice, is nested deeper than
            `MAX_DEPTH`, or has more than `MAX_ITEMS` items.

    """
    decoder = _Decoder(memoryview(data), offset)
    value = decoder.value(MAX_DEPTH)
    if decoder.at != len(data):
        raise decoder.refusal(f"{len(data) - decoder.at} bytes after the end of a CBOR value")
    return value


def untagged(value: Value) -> Value:
    """Return what is inside a value's tags."""
    while isinstance(value, Tagged):
        value = value.value
    return value


class _Decoder:
    """One pass over one data item; `at` is the next byte."""

    __slots__ = ("_data", "_end", "_items_left", "_offset", "at")

    def __init__(self, data: memoryview, offset: int) -> None:
        self.at = 0
        self._data = data
        self._end = len(data)
        self._offset = offset
        self._items_left = MAX_ITEMS

    def refusal(self, message: str) -> MalformedStoreError:
        """Return the error that says what is wrong, and where."""
        return MalformedStoreError(message, offset=self._offset + self.at)

    def value(self, depth: int) -> Value:
        """Decode the item at `at`; at most `depth` levels of it."""
        if depth == 0:
            raise self.refusal(f"CBOR is nested more than {MAX_DEPTH} deep")
        if self._items_left == 0:
            raise self.refusal(f"more than {MAX_ITEMS} CBOR items")
        self._items_left -= 1
        major, info = self._initial_byte()
        if major == _OTHER:
            return self._other(info)
        length = self._argument(info)
        if major == _ARRAY:
            return self._array(length, depth)
        if major == _MAP:
            return self._map(length, depth)
        if major in (_BYTES, _TEXT):
            return self._string(major, length)
        if length is None:
            raise self.refusal(f"CBOR type {major} of indefinite length")
        if major == _TAG:
            return Tagged(length, self.value(depth - 1))
        return length if major == _UNSIGNED else -1 - length

    def _initial_byte(self) -> tuple[int, int]:
        byte = self._take(1)[0]
        return byte >> 5, byte & 31

    def _take(self, length: int) -> memoryview:
        if length > self._end - self.at:
            raise self.refusal(
                f"CBOR ends early: {length} bytes wanted, {self._end - self.at} left"
            )
        begin, self.at = self.at, self.at + length
        return self._data[begin : self.at]

    def _argument(self, info: int) -> int | None:
        if info < 24:
            return info
        if info < 28:
            return int.from_bytes(self._take(1 << (info - 24)), "big")
        if info == _INDEFINITE:
            return None
        raise self.refusal(f"reserved CBOR length {info}")

    def _other(self, info: int) -> Value:
        if info in _CONSTANTS:
            return _CONSTANTS[info]
        if info in _FLOATS:
            kind = _FLOATS[info]
            number: float = kind.unpack(self._take(kind.size))[0]
            return number
        if info < 24:
            return Simple(info)
        if info == 24:
            number = self._take(1)[0]
            if number >= 32:
                return Simple(number)
            raise self.refusal(f"simple CBOR value {number} in two bytes")
        raise self.refusal("a CBOR break that ends nothing" if info == 31 else "reserved CBOR type")

    def _string(self, major: int, length: int | None) -> bytes | str:
        if length is not None:
            return self._piece(major, length)
        pieces: list[bytes] = []
        while not self._ended():
            piece_major, info = self._initial_byte()
            piece_length = self._argument(info)
            if piece_major != major or piece_length is None:
                raise self.refusal("a piece of a CBOR string that is no string")
            piece = self._piece(major, piece_length)
            pieces.append(piece.encode() if isinstance(piece, str) else piece)
        whole = b"".join(pieces)
        return whole.decode() if major == _TEXT else whole

    def _piece(self, major: int, length: int) -> bytes | str:
        begin = self.at
        taken = bytes(self._take(length))
        if major == _BYTES:
            return taken
        try:
            return taken.decode()
        except UnicodeDecodeError as e:
            self.at = begin + e.start
            raise self.refusal("CBOR text that is not UTF-8") from e

    def _ended(self) -> bool:
        if self.at < self._end and self._data[self.at] == _BREAK:
            self.at += 1
            return True
        return False

    def _array(self, length: int | None, depth: int) -> list[Value]:
        if length is None:
            result: list[Value] = []
            while not self._ended():
                result.append(self.value(depth - 1))
            return result
        self._check_count(length, "values")
        return [self.value(depth - 1) for _ in range(length)]

    def _map(self, length: int | None, depth: int) -> dict[Key, Value]:
        result: dict[Key, Value] = {}
        if length is None:
            while not self._ended():
                self._add_pair(result, depth - 1)
            return result
        self._check_count(2 * length, "keys and values")
        for _ in range(length):
            self._add_pair(result, depth - 1)
        return result

    def _check_count(self, items: int, what: str) -> None:
        # Each item takes a byte at least, so a count that cannot be true is known at once.
        if items > self._end - self.at:
            raise self.refusal(f"{items} CBOR {what} in {self._end - self.at} bytes")

    def _add_pair(self, result: dict[Key, Value], depth: int) -> None:
        begin = self.at
        key = self.value(depth)
        # True equals 1 in Python, and 1.0 too; here no two keys of different types are equal.
        if isinstance(key, bool) or not isinstance(key, int | str | bytes):
            self.at = begin
            raise self.refusal("a CBOR map key that is neither an integer nor a string")
        if key in result:
            self.at = begin
            raise self.refusal("the same key twice in a CBOR map")
        result[key] = self.value(depth)
