"""The padding of a claim signature, made longer or shorter without another signature.

Who signs reserves room for a signature before its length is known, and fills the rest with zeros:
`pad`, and `pad2` where CBOR cannot express a length, in the headers that no signature covers
(C2PA 2.5 10.4.2, RFC 9052 section 3). c2pa reserves about a kilobyte. What carries a store as
text can do without, and can use what is left to make the store exactly as long as was signed.

Only stores that were just made are changed here: nothing else names the hash of their signature.
Whatever is not as expected is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["repadded"]

_BOX_HEADER = 8
_SIGNATURE_LABEL = b"c2pa.signature"
_DESCRIPTION_LABEL = 17  # Type UUID and toggles come before a label (ISO 19566-5).
_TAG_SIGN1 = 0xD2
_ARRAY_OF_4 = 0x84
_NULL = 0xF6
_BYTES, _TEXT, _ARRAY, _MAP, _TAG, _OTHER = 2, 3, 4, 5, 6, 7
_FEW = 24  # CBOR writes counts below this into the first byte.
_PADS = (b"pad", b"pad2")
_MAX_DEPTH = 8
_COMFORTABLE = 64  # Zeros to lay out for: enough that both kinds of padding can come out shorter.
_MOST = 192  # Bytes of padding that a store is left with.
_WINDOW = 6
_SECOND = _FEW  # The shortest `pad2` that changes the length in steps the first cannot.


class _Padded(NamedTuple):
    """A store, divided where its padding is.

    Attributes:
        before: Up to the header map of the signature.
        entries: The header map's entries but for padding, as they were.
        others: How many those are.
        after: From behind the header map.
        boxes: Where the lengths of the boxes around the map stand.

    """

    before: bytes
    entries: bytes
    others: int
    after: bytes
    boxes: tuple[int, ...]

    def store(self, pads: tuple[int, ...]) -> bytes:
        """Return the store with `pad`, and `pad2`, of these lengths."""
        entries = b"".join(
            _head(_TEXT, len(name)) + name + _head(_BYTES, length) + bytes(length)
            for name, length in zip(_PADS, pads, strict=False)
        )
        middle = _head(_MAP, self.others + len(pads)) + self.entries + entries
        whole = bytearray(self.before + middle + self.after)
        # The boxes are nested, and everything that changes is in the innermost of them.
        grown = len(whole) - int.from_bytes(whole[:4], "big")
        for at in self.boxes:
            length = int.from_bytes(whole[at : at + 4], "big") + grown
            whole[at : at + 4] = length.to_bytes(4, "big")
        return bytes(whole)


def repadded(store: bytes, room_of: Callable[[bytes], int], room: int) -> bytes:
    """Return a store with other padding, so that it takes exactly so much room.

    Args:
        store: A manifest store.
        room_of: How much room a store takes; must grow with its padding.
        room: How much it should take.

    Returns:
        The store with as much padding as fits; if none does, with a little padding, as the one
        to lay out next; if its padding cannot be found, the store itself.

    """
    if room_of(store) == room:
        return store
    parts = _divide(store)
    if parts is None:
        return store
    most = len(parts.store(())) + _MOST
    for candidate in _candidates(parts, room_of, room):
        # A place that was laid out for a kilobyte of zeros is laid out anew.
        if len(candidate) <= most and room_of(candidate) == room:
            return candidate
    return parts.store((_COMFORTABLE,))


def _candidates(parts: _Padded, room_of: Callable[[bytes], int], room: int) -> Iterator[bytes]:
    """Yield stores that take about so much room."""
    for more in ((), (_SECOND,)):
        small, large = (room_of(parts.store((n, *more))) for n in (_FEW, 2 * _FEW))
        nearest = _FEW + (room - small) * _FEW // max(large - small, 1)
        for length in range(max(0, nearest - _WINDOW), nearest + _WINDOW + 1):
            yield parts.store((length, *more))


def _divide(store: bytes) -> _Padded | None:
    try:
        return _divided(store)
    except (IndexError, ValueError):  # Not what was expected, somewhere: leave it alone.
        return None


def _divided(store: bytes) -> _Padded:
    if _box_bytes(store, 0) != len(store):
        raise ValueError("more than one box")
    manifest = _children(store, 0)[-1]
    (signature,) = (
        at for at in _children(store, manifest) if _label(store, at) == _SIGNATURE_LABEL
    )
    (content,) = _children(store, signature)
    at = content + _BOX_HEADER
    if store[at] == _TAG_SIGN1:
        at += 1
    if store[at] != _ARRAY_OF_4:
        raise ValueError("no COSE_Sign1")
    start = _after(store, at + 1)
    major, count, at = _read_head(store, start)
    if major != _MAP:
        raise ValueError("no header map")
    kept = []
    for _ in range(count):
        value = _after(store, at)
        following = _after(store, value)
        if not _is_pad(store, at, value, following):
            kept.append(store[at:following])
        at = following
    # No payload, as the claim is elsewhere; then the signature, and nothing behind it.
    if store[at] != _NULL or _after(store, at + 1) != content + _box_bytes(store, content):
        raise ValueError("no detached COSE_Sign1")
    return _Padded(
        before=store[:start],
        entries=b"".join(kept),
        others=len(kept),
        after=store[at:],
        boxes=(0, manifest, signature, content),
    )


def _children(store: bytes, superbox: int) -> list[int]:
    """Return where the boxes of a superbox begin, but for its description."""
    stop = superbox + _box_bytes(store, superbox)
    at = superbox + _BOX_HEADER
    found = []
    while at < stop:
        found.append(at)
        at += _box_bytes(store, at)
    if at != stop or stop > len(store):
        raise ValueError("boxes that are not nested")
    return found[1:]


def _box_bytes(store: bytes, at: int) -> int:
    length = int.from_bytes(store[at : at + 4], "big")
    if length < _BOX_HEADER:
        raise ValueError("a box of another kind of length")
    return length


def _label(store: bytes, superbox: int) -> bytes:
    start = superbox + 2 * _BOX_HEADER + _DESCRIPTION_LABEL
    return store[start : store.index(b"\0", start)]


def _is_pad(store: bytes, name: int, value: int, stop: int) -> bool:
    major, length, at = _read_head(store, name)
    if major != _TEXT or store[at : at + length] not in _PADS:
        return False
    major, length, at = _read_head(store, value)
    if major != _BYTES or any(store[at:stop]):
        raise ValueError("padding that is not zeros")
    return True


def _head(major: int, number: int) -> bytes:
    first = major << 5
    if number < _FEW:
        return bytes([first | number])
    size = 1 if number < 0x100 else 2 if number < 0x10000 else 4
    return bytes([first | (24 + size.bit_length() - 1)]) + number.to_bytes(size, "big")


def _read_head(store: bytes, at: int) -> tuple[int, int, int]:
    """Return the major type, the number, and where the content begins."""
    major, low = store[at] >> 5, store[at] & 31
    if low < _FEW:
        return major, low, at + 1
    if low > 27:
        raise ValueError("an item of indefinite length")
    size = 1 << (low - 24)
    return major, int.from_bytes(store[at + 1 : at + 1 + size], "big"), at + 1 + size


def _after(store: bytes, at: int, depth: int = 0) -> int:
    """Return where the item behind the one at `at` begins (RFC 8949 section 3)."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    major, number, at = _read_head(store, at)
    if major in (_BYTES, _TEXT):
        at += number
    elif major in (_ARRAY, _MAP, _TAG):
        items = {_ARRAY: number, _MAP: 2 * number, _TAG: 1}[major]
        for _ in range(items):
            at = _after(store, at, depth + 1)
    if at > len(store):
        raise ValueError("an item that is cut off")
    return at
