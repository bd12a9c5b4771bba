"""The directories of TIFF, BigTIFF and DNG files: their entries, and nothing they point to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from countermark.provenance.errors import MalformedContentError
from countermark.provenance.window import Window

__all__ = ["Directory", "Entry", "directories"]

_MAX_DIRECTORIES: Final = 10_000
_MAX_ENTRIES: Final = 500_000  # Of all directories: they may lie on top of each other.


class Entry(NamedTuple):
    """One entry of a directory.

    Attributes:
        tag: What it is.
        kind: Type of its values, e.g. 7 for opaque bytes.
        values: How many.
        offset: Where in the file they are, if they do not fit into the entry.

    """

    tag: int
    kind: int
    values: int
    offset: int


class Directory(NamedTuple):
    """The entries of one page by their tags, and where in the file it starts."""

    entries: dict[int, Entry]
    start: int


def directories(window: Window) -> Iterator[Directory]:
    """Yield the chain of directories, the first page first (TIFF 6.0, section 2).

    Raises:
        MalformedContentError: No TIFF, a chain that leads out of the file or back into itself.

    """
    head = window.at(0, 4)
    order = {b"II": "little", b"MM": "big"}.get(head[:2])
    if order is None:
        raise MalformedContentError("not a TIFF", offset=0)

    def number(data: bytes) -> int:
        return int.from_bytes(data, "little" if order == "little" else "big")

    version = number(head[2:])
    if version not in (42, 43) or (version == 43 and number(window.at(4, 4)[:2]) != 8):
        raise MalformedContentError("not a TIFF", offset=2)
    word = 8 if version == 43 else 4  # Bytes of an offset.
    counter = 8 if version == 43 else 2
    size = 4 + 2 * word
    at = number(window.at(8 if version == 43 else 4, word))
    seen: set[int] = set()
    total = 0
    while at:
        if at in seen or len(seen) >= _MAX_DIRECTORIES:
            raise MalformedContentError("TIFF directories in a circle, or too many", offset=at)
        seen.add(at)
        count = number(window.at(at, counter))
        total += count
        if total > _MAX_ENTRIES:
            raise MalformedContentError(f"over {_MAX_ENTRIES} TIFF entries", offset=at)
        rows = window.at(at + counter, count * size)
        entries = {}
        for row in (rows[i : i + size] for i in range(0, len(rows), size)):
            tag, kind = number(row[:2]), number(row[2:4])
            entries[tag] = Entry(tag, kind, number(row[4 : 4 + word]), number(row[4 + word :]))
        yield Directory(entries, at)
        at = number(window.at(at + counter + count * size, word))
