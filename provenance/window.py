"""Bounded looks into a file: a few bytes at a place, or a needle in a stretch; never all of it."""

from __future__ import annotations

import os
from typing import BinaryIO, Final

from countermark.provenance.errors import MalformedContentError

__all__ = ["Window"]

_BLOCK_BYTES: Final = 4096
_SEARCH_BYTES: Final = 1 << 20


class Window:
    """A seekable binary file that is looked into here and there.

    Attributes:
        size: Its length in bytes, when the window was opened.

    """

    __slots__ = ("_block", "_block_at", "_source", "size")

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.size = source.seek(0, os.SEEK_END)
        self._block = b""
        self._block_at = 0

    def at(self, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from `start`.

        Raises:
            MalformedContentError: The file ends before.

        """
        found = self.some(start, length)
        if len(found) < length:
            raise MalformedContentError(
                f"{length} bytes were announced, and the file ends", offset=start
            )
        return found

    def some(self, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`, or as many as there are."""
        if start < 0 or length < 0 or start >= self.size:
            return b""
        length = min(length, self.size - start)
        if length > _BLOCK_BYTES:
            return self._read(start, length)
        inner = start - self._block_at
        if inner < 0 or inner + length > len(self._block):
            self._block = self._read(start, _BLOCK_BYTES)
            self._block_at, inner = start, 0
        return self._block[inner : inner + length]

    def number(self, start: int, length: int) -> int:
        """Return `length` bytes from `start` as a number, the most significant first."""
        return int.from_bytes(self.at(start, length), "big")

    def find(self, needle: bytes, start: int = 0, end: int | None = None) -> int:
        """Return where `needle` first lies within `start` and `end`, or -1."""
        end = self.size if end is None else min(end, self.size)
        inner = start - self._block_at
        if 0 <= inner < len(self._block):
            found = self._block.find(needle, inner, end - self._block_at)
            if found >= 0:
                return self._block_at + found
            start = max(start, self._block_at + len(self._block) - len(needle) + 1)
        # Small steps first: what is near must not cost more than what lies between.
        step = _BLOCK_BYTES
        while start < end:
            block = self.some(start, min(max(step, len(needle)), end - start))
            step = min(2 * step, _SEARCH_BYTES)
            if not block:
                return -1
            inner = block.find(needle)
            if inner >= 0:
                return start + inner
            if start + len(block) >= end:
                return -1
            start += max(len(block) - len(needle) + 1, 1)
        return -1

    def _read(self, start: int, length: int) -> bytes:
        self._source.seek(start)
        parts = []
        while length > 0:
            part = self._source.read(length)
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
