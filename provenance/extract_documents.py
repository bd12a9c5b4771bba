"""The manifest store in SVG, PDF and the ZIP family. Nothing is decompressed, nothing expanded."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from typing import Final, NamedTuple

from countermark.provenance.errors import MalformedContentError
from countermark.provenance.window import Window

__all__ = ["ZIP_NAME", "Directory", "pdf", "svg", "zip_directory", "zipped"]

ZIP_NAME: Final = b"META-INF/content_credential.c2pa"

_STEP = 1 << 16
_MAX_DIRECTORY_BYTES = 64 << 20
_END = b"PK\x05\x06"
_ENTRY = b"PK\x01\x02"
_LOCAL = b"PK\x03\x04"
_MAX_COMMENT = 65_535
_MAX_CANDIDATES = 10_000
# ISO 19566-5: the box of a store, its description box, and C2PA's type for it.
_STORE_TYPE = bytes.fromhex("6332706100110010800000aa00389b71")
_PDF_STREAM = re.compile(rb"stream\r?\n\Z")


def svg(window: Window, most: int) -> bytes | None:
    """Return what `svg/metadata/c2pa:manifest` holds, in base64 (C2PA 2.5, A.3.10)."""
    from xml.parsers import expat

    reader = _SvgReader(most * 4 // 3 + _STEP)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = reader.entity
    try:
        for at in range(0, window.size, _STEP):
            parser.Parse(window.some(at, _STEP), False)
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError) as e:
        # ValueError: an encoding that expat does not know.
        at = parser.ErrorByteIndex
        raise MalformedContentError("not well-formed XML", offset=at if at >= 0 else None) from e
    if reader.stores > 1:
        raise MalformedContentError("a second manifest store")
    try:
        return base64.b64decode("".join(reader.found).strip(), validate=True) or None
    except (binascii.Error, ValueError) as e:
        raise MalformedContentError("a manifest store that is not base64") from e


class _SvgReader:
    """Collects the text of one element; how deep others are nested costs nothing."""

    def __init__(self, most: int) -> None:
        self.found: list[str] = []
        self.stores = 0
        self._most = most
        self._depth = 0
        self._matching = 0
        self._path = ("svg", "metadata", "c2pa:manifest")

    def start(self, name: str, _: object) -> None:
        if self._depth == self._matching < 3 and name == self._path[self._depth]:
            self._matching += 1
            self.stores += self._matching == 3
        self._depth += 1

    def end(self, _: str) -> None:
        self._depth -= 1
        self._matching = min(self._matching, self._depth)

    def text(self, text: str) -> None:
        if self._matching == 3 and self._depth == 3:
            self.found.append(text)
            self._most -= len(text)
            if self._most < 0:
                raise MalformedContentError("a manifest store over the limit")

    def entity(self, *_: object) -> None:
        # A few of them unfold into gigabytes.
        raise MalformedContentError("an SVG that declares entities")


def pdf(window: Window, most: int) -> bytes | None:
    """Return the embedded file that is a manifest store (C2PA 2.5, A.4).

    It is recognised by its first bytes, right after the word that begins a stream: images in
    the document may carry manifests of their own, which are not the document's.
    """
    stores: list[tuple[int, int]] = []
    at, seen = window.find(_STORE_TYPE), 0
    while at >= 0:
        seen += 1
        if seen > _MAX_CANDIDATES:
            raise MalformedContentError(f"over {_MAX_CANDIDATES} manifest stores", offset=at)
        start = at - 16
        if window.some(start + 4, 4) == b"jumb" and _PDF_STREAM.search(
            window.some(max(start - 8, 0), min(start, 8))
        ):
            stores.append((start, window.number(start, 4)))
        at = window.find(_STORE_TYPE, at + 1)
    if len(stores) > 1:
        raise MalformedContentError("a second manifest store", offset=stores[1][0])
    if not stores:
        named = window.find(b"/C2PA_Manifest")
        if named >= 0:
            raise MalformedContentError("a manifest store that is not plain", offset=named)
        return None
    start, length = stores[0]
    if length > most:
        raise MalformedContentError("a manifest store over the limit", offset=start)
    return window.at(start, length)


class Directory(NamedTuple):
    """The central directory of a ZIP: where it starts in the file, its bytes, what it is short.

    Attributes:
        start: Where it starts, in bytes from the beginning of the file.
        data: The directory.
        before: How many bytes were put before the archive.

    """

    start: int
    data: bytes
    before: int


def zip_directory(window: Window) -> Directory:
    """Return the central directory (APPNOTE 6.3.10, sections 4.3.12 to 4.3.16).

    Raises:
        MalformedContentError: There is none, there could be two, or it is not where it should be.

    """
    tail_at = max(window.size - _MAX_COMMENT - 22, 0)
    tail = window.some(tail_at, window.size - tail_at)
    inner = tail.rfind(_END)
    if inner < 0 or len(tail) < inner + 22:
        raise MalformedContentError("a ZIP without its directory", offset=tail_at)
    if tail.find(_END) != inner:
        # Readers choose differently, and so would see different files.
        raise MalformedContentError("a ZIP with two ends", offset=tail_at + inner)
    end = tail_at + inner
    size, offset = struct.unpack_from("<II", tail, inner + 12)
    if size == 0xFFFFFFFF or offset == 0xFFFFFFFF:
        size, offset, end = _zip64(window, end)
    start = end - size
    if size > _MAX_DIRECTORY_BYTES or start < offset:
        raise MalformedContentError("the directory of a ZIP", offset=end)
    return Directory(start, window.at(start, size), start - offset)


def _zip64(window: Window, end: int) -> tuple[int, int, int]:
    locator = window.some(max(end - 20, 0), 20)
    if not locator.startswith(b"PK\x06\x07") or len(locator) < 20:
        raise MalformedContentError("a large ZIP without its locator", offset=end)
    # Not where the locator says: something may stand before the archive.
    at = end - 20 - 56
    record = window.some(max(at, 0), 56)
    if not record.startswith(b"PK\x06\x06") or len(record) < 56:
        raise MalformedContentError("a large ZIP without its record", offset=max(at, 0))
    size, offset = struct.unpack_from("<QQ", record, 40)
    return size, offset, at


def zipped(window: Window, most: int) -> bytes | None:
    """Return the store that lies in a ZIP under its fixed name, uncompressed (C2PA 2.5, A.6)."""
    directory = zip_directory(window)
    found: list[tuple[int, int]] = []
    data, at = directory.data, 0
    while at < len(data):
        if data[at : at + 4] != _ENTRY or at + 46 > len(data):
            raise MalformedContentError("an entry of a ZIP", offset=directory.start + at)
        method, packed, size = struct.unpack_from("<H8xII", data, at + 10)
        name, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        if data[at + 46 : at + 46 + name] == ZIP_NAME:
            if method != 0 or packed != size or size == 0xFFFFFFFF:
                raise MalformedContentError(
                    "a manifest store that is compressed", offset=directory.start + at
                )
            (offset,) = struct.unpack_from("<I", data, at + 42)
            found.append((offset + directory.before, size))
        at += 46 + name + extra + comment
    if len(found) > 1:
        raise MalformedContentError("a second manifest store", offset=found[1][0])
    if not found:
        return None
    offset, size = found[0]
    if size > most:
        raise MalformedContentError("a manifest store over the limit", offset=offset)
    local = window.at(offset, 30)
    if not local.startswith(_LOCAL):
        raise MalformedContentError("no file where a ZIP says", offset=offset)
    name, extra = struct.unpack_from("<HH", local, 26)
    return window.at(offset + 30 + name + extra, size)
