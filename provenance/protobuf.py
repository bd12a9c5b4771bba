"""The outermost fields of a protobuf message: numbers, wire types, and where they stand.

Source: protobuf's "Encoding". No schema, no nesting: what a field holds is its reader's business.
A file is walked without reading what its fields hold, so that a model of two gigabytes costs a
few reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from countermark.provenance.errors import MalformedContentError

__all__ = ["Field", "encode_varint", "fields_between"]

MAX_VARINT_BYTES = 10
MAX_VARINT = 2**64 - 1
MAX_TAG = 2**32 - 1


class Field(NamedTuple):
    """One field.

    Attributes:
        number: From 1.
        wire_type: 0 a varint, 1 eight bytes, 2 bytes with a length, 5 four bytes.
        start: Where its tag starts.
        content: Where what it holds starts: behind tag and length.
        length: How many bytes it holds.

    """

    number: int
    wire_type: int
    start: int
    content: int
    length: int

    @property
    def end(self) -> int:
        """Where the next field starts."""
        return self.content + self.length


def fields_between(source: BinaryIO, start: int, end: int, *, max_fields: int) -> Iterator[Field]:
    """Yield the fields of the message that a file holds from `start` to `end`.

    Args:
        source: Seekable; it may be read and moved between two fields.
        start: Where the message starts.
        end: Where it ends; not beyond the end of the file.
        max_fields: The most fields it may have.

    Raises:
        MalformedContentError: It is no message, or has more fields.

    """
    position, count = start, 0
    while position < end:
        count += 1
        if count > max_fields:
            raise _refusal(f"more than {max_fields} fields", position)
        source.seek(position)
        # A tag and a length are twenty bytes at most, and mostly three.
        head = source.read(min(2 * MAX_VARINT_BYTES, end - position))
        field = _field(head, position)
        if field.end > end:
            raise _refusal("a field reaches beyond the end of the message", position)
        yield field
        position = field.end


def encode_varint(value: int) -> bytes:
    """Return the shortest encoding of a number that is not negative."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _field(head: bytes, start: int) -> Field:
    tag, used = _varint(head, 0, start)
    number, wire_type = tag >> 3, tag & 7
    if tag > MAX_TAG or number == 0:
        raise _refusal("a field without a number that protobuf knows", start)
    match wire_type:
        case 0:
            _, end = _varint(head, used, start)
            return Field(number, wire_type, start, start + used, end - used)
        case 1:
            return Field(number, wire_type, start, start + used, 8)
        case 2:
            length, used = _varint(head, used, start)
            return Field(number, wire_type, start, start + used, length)
        case 5:
            return Field(number, wire_type, start, start + used, 4)
        case _:
            # Groups went out of use before ONNX was made.
            raise _refusal(f"wire type {wire_type}", start)


def _varint(head: bytes, at: int, place: int) -> tuple[int, int]:
    """Return a number, and where the next byte stands."""
    value = 0
    for index, byte in enumerate(head[at : at + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80 and value <= MAX_VARINT:
            return value, at + index + 1
    raise _refusal("a number without an end", place)


def _refusal(message: str, offset: int) -> MalformedContentError:
    return MalformedContentError(f"not a protobuf message: {message}", offset=offset)
