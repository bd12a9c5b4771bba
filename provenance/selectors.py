"""Bytes as Unicode variation selectors, and back (C2PA 2.5, A.8.3).

Byte b is U+FE00 + b below 16 (3 bytes of UTF-8) and U+E0100 + b - 16 from there on (4 bytes).
Whole strings are converted by slices and tables, never character by character: a mark of 10 KB
costs microseconds, which matters where millions of texts are scanned.
"""

from __future__ import annotations

import re

__all__ = ["decode_selectors", "encode_selectors", "encoded_bytes", "run_end", "selector_count"]

_SHORT = 16  # Bytes below this become the three-byte selectors.

_RUN = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]*+")
_FIRST_PIECE_BYTES, _LAST_PIECE_BYTES = 1 << 8, 1 << 20

# Bytes 0, 1 and 2 of the selector's UTF-32-LE form; byte 3 is always zero.
_PLANE_0 = bytes([*range(_SHORT), *range(256 - _SHORT)])
_PLANE_1 = bytes([0xFE] * _SHORT + [0x01] * (256 - _SHORT))
_PLANE_2 = bytes([0x00] * _SHORT + [0x0E] * (256 - _SHORT))
_SHORT_BYTES = bytes(range(_SHORT))
# What to add to byte 0 of a selector to get the byte it stands for, by byte 2 of the selector.
_OFFSET = bytes(_SHORT if plane == 0x0E else 0 for plane in range(256))


def encode_selectors(data: bytes) -> bytes:
    """Return `data` as a run of variation selectors, in UTF-8."""
    wide = bytearray(4 * len(data))
    wide[0::4] = data.translate(_PLANE_0)
    wide[1::4] = data.translate(_PLANE_1)
    wide[2::4] = data.translate(_PLANE_2)
    return wide.decode("utf-32-le").encode()


def decode_selectors(run: bytes) -> bytes:
    """Return the bytes that a run stands for; there is nothing but selectors in it."""
    wide = run.decode().encode("utf-32-le")
    # U+FE00 + b has b in its lowest byte, U+E0100 + b - 16 has b - 16 there: no sum of a lowest
    # byte and its offset exceeds 255, so all of them can be added as two long numbers.
    lowest = int.from_bytes(wide[0::4], "big")
    offsets = int.from_bytes(wide[2::4].translate(_OFFSET), "big")
    return (lowest + offsets).to_bytes(len(wide) // 4, "big")


def run_end(data: bytes, start: int) -> int:
    """Return where the run of selectors ends that begins at `start`; it may be empty.

    The run is looked at in pieces that grow: whoever puts a million short runs into a text makes
    nobody decode the text a million times.
    """
    size = _FIRST_PIECE_BYTES
    while True:
        piece = data[start : start + size]
        text = piece.decode("utf-8", "replace")
        run = _RUN.match(text)
        length = len(run.group().encode()) if run else 0
        start += length
        # A piece may end inside a character; any other end is that of the run.
        if length + 3 < size or not length:
            return start
        size = min(4 * size, _LAST_PIECE_BYTES)


def encoded_bytes(data: bytes) -> int:
    """Return how many bytes of UTF-8 `encode_selectors(data)` has."""
    return 4 * len(data) - (len(data) - len(data.translate(None, _SHORT_BYTES)))


def selector_count(run: bytes) -> int:
    """Return how many selectors a run has; there is nothing but selectors in it."""
    return run.count(b"\xf3") + run.count(b"\xef")
