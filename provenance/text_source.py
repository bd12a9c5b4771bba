"""Text that carries credentials: read with a limit, and hashed as C2PA hashes text.

The hash of unstructured text is that of its NFC form (C2PA 2.5 14.12.1.3.1). It is computed piece
by piece, so that 64 MiB of text never become 256 MiB of characters; and never over more combining
marks in a row than Unicode's Stream-Safe Text Format allows (UAX 15 section 13), because putting
a long run of them in order takes time with the square of its length.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from countermark.provenance.errors import MalformedContentError, UnsupportedContentError

__all__ = ["BOM", "MAX_COMBINING", "MAX_TEXT_BYTES", "check_room", "nfc_digest", "read_text_source"]

BOM = b"\xef\xbb\xbf"
MAX_TEXT_BYTES = 64 * 1024 * 1024
MAX_COMBINING = 30

_PIECE_BYTES = 1 << 20
_NOT_ASCII = bytes(range(0x80, 0x100))
# Every character with a combining class is in one of these runs; few others are.
_PERHAPS_COMBINING = re.compile(r"[^\w\s\x00-\x7f]++")


def read_text_source(source: BinaryIO, limit: int = MAX_TEXT_BYTES) -> bytes:
    """Return all of a source, from its beginning.

    Raises:
        MalformedContentError: It has more than `limit` bytes.

    """
    source.seek(0)
    data = source.read(limit + 1)
    if len(data) > limit:
        raise MalformedContentError(
            f"more than {limit} bytes of text", hint="a sidecar has no such limit"
        )
    return data


def check_room(size_bytes: int) -> None:
    """Refuse to write what `read_text_source` would not read.

    Raises:
        UnsupportedContentError: It would be longer than `MAX_TEXT_BYTES`.

    """
    if size_bytes > MAX_TEXT_BYTES:
        raise UnsupportedContentError(
            f"{size_bytes} bytes of text with its mark, limit {MAX_TEXT_BYTES}",
            hint="a sidecar has no such limit",
        )


def nfc_digest(parts: Iterable[memoryview], algorithm: str) -> bytes:
    """Return the hash of the NFC form of UTF-8 text that comes in parts.

    Args:
        parts: In order; a character may be divided between two of them, as an exclusion that is
            not where it should be divides one.
        algorithm: `sha256`, `sha384` or `sha512`.

    Raises:
        MalformedContentError: It is not UTF-8, or has more than `MAX_COMBINING` combining marks
            in a row. The offset counts the bytes of the parts.

    """
    hasher = hashlib.new(algorithm)
    done = 0
    for piece in _pieces(parts):
        hasher.update(piece if piece.isascii() else _normal(piece, done))
        done += len(piece)
    return hasher.digest()


def _pieces(parts: Iterable[memoryview]) -> Iterator[bytes]:
    """Cut text where NFC allows it: before an ASCII character, which composes with nothing."""
    waiting: list[bytes] = []
    for part in parts:
        for start in range(0, len(part), _PIECE_BYTES):
            piece = bytes(part[start : start + _PIECE_BYTES])
            last = len(piece.rstrip(_NOT_ASCII)) - 1
            if last < 0:
                waiting.append(piece)
                continue
            yield b"".join((*waiting, piece[:last]))
            waiting = [piece[last:]]
    yield b"".join(waiting)


def _normal(piece: bytes, offset: int) -> bytes:
    try:
        text = piece.decode()
    except UnicodeDecodeError as e:
        raise MalformedContentError("text that is not UTF-8", offset=offset + e.start) from e
    for run in _PERHAPS_COMBINING.finditer(text):
        if run.end() - run.start() > MAX_COMBINING:
            _check_run(text, run.start(), run.end(), offset)
    return unicodedata.normalize("NFC", text).encode()


def _check_run(text: str, start: int, stop: int, offset: int) -> None:
    length = 0
    for index in range(start, stop):
        length = length + 1 if unicodedata.combining(text[index]) else 0
        if length > MAX_COMBINING:
            raise MalformedContentError(
                f"more than {MAX_COMBINING} combining marks in a row",
                offset=offset + len(text[:index].encode()),
            )
