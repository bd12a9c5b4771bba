"""A manifest store, or its address, in a comment of code or Markdown (C2PA 2.5 A.9).

One line, `<prefix> -----BEGIN C2PA MANIFEST----- <reference> -----END C2PA MANIFEST----- <suffix>`,
or three lines inside front matter that is there already. The reference is a `data:` URL with the
store in Base64, or the address of a store. The hash is of raw bytes, without the block's lines.

What stands on those lines is covered by nothing. So they may hold the block and nothing else:
before the comment's beginning there would be room for code that runs, under a signature that
holds.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

from countermark.provenance.base64_value import decode_base64
from countermark.provenance.carrier import Exclusion, Layout, Place
from countermark.provenance.comment_styles import (
    PAIRS,
    CommentStyle,
    first_line_is_reserved,
    style_of,
)
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.framed_text import (
    Frame,
    FramedStore,
)
from countermark.provenance.text_source import BOM, read_text_source

__all__ = ["BEGIN", "DATA_URL", "END", "TextBlock", "media_type_of", "text_block_for"]

BEGIN = b"-----BEGIN C2PA MANIFEST-----"
END = b"-----END C2PA MANIFEST-----"
DATA_URL = b"data:application/c2pa;base64,"

_MAX_URL_BYTES = 4096
_WHITESPACE = b" \t\r\n"
_ADDRESS = re.compile(rb"https?://[\x21-\x7e]+")
# A delimiter with what only a manifest has behind it: not code that speaks of delimiters.
_MANIFEST = re.compile(
    re.escape(BEGIN) + rb"[ \t\r\n]*+(?:" + re.escape(DATA_URL) + rb"|https?://)"
)
_FRONT_MATTER = re.compile(
    rb"(---|\+\+\+)[ \t]*\r?\n(?:(?!\1[ \t]*\r?$)[^\n]*\n)*?\1[ \t]*\r?$", re.M
)
_XML_DECLARATION = re.compile(rb"<\?xml[ \t\r\n][^?]*+\?>[ \t]*")
_VTT_HEADER = re.compile(rb"WEBVTT[^\n]*+\n(?:[^\r\n][^\n]*+\n)*+")
_LINE_END = re.compile(rb"\r?\n")
_MAX_FRONT_MATTER = 1 << 16
_PAIRS = frozenset((prefix.encode(), suffix.encode()) for prefix, suffix in PAIRS)


class _Block(NamedTuple):
    """A block that was found.

    Attributes:
        begin: Byte of its first delimiter.
        end: Byte of its second one.
        reference: What is between them, without whitespace around it.
        start: First byte of its lines.
        stop: First byte behind its lines, whose terminator belongs to them.

    """

    begin: int
    end: int
    reference: bytes
    start: int
    stop: int


class TextBlock(FramedStore):
    """The place of a store in text that has comments.

    Attributes:
        style: How those are written.

    """

    __slots__ = ("media_types", "style")

    name = "text-block"

    def __init__(self, style: CommentStyle, media_type: str) -> None:
        self.style = style
        self.media_types: tuple[str, ...] = (media_type,)

    def find(self, source: BinaryIO) -> Place | None:
        """Return the store, or its address, that is carried; None if there is none.

        Whose comments the block is in does not matter (A.9.4.1).

        Raises:
            MalformedContentError: There are several blocks, or one that is broken, or one that
                shares its lines with something else.

        """
        data = read_text_source(source)
        block = _block(data)
        if block is None:
            return None
        _check_lines(data, block)
        exclusions = (_exclusion(data, block),)
        if not block.reference.startswith(DATA_URL):
            return Place(b"", exclusions, block.reference.decode("ascii"))
        text = block.reference[len(DATA_URL) :]
        store = decode_base64(text, "the manifest block", block.begin + len(BEGIN))
        return Place(store, exclusions)

    def lay_out(self, source: BinaryIO, store_bytes: int) -> Layout:
        """Return how the text will look with a store of `store_bytes`; a store in it is replaced.

        Raises:
            MalformedContentError: It carries a block that cannot be replaced.
            UnsupportedContentError: It has line ends or characters that a block cannot stand
                between.

        """
        return self._frame(source).lay_out(store_bytes)

    def write(self, source: BinaryIO, layout: Layout, store: bytes, sink: BinaryIO) -> None:
        """Write the text with the store in it.

        Raises:
            MalformedContentError: The text is not the one that was laid out.

        """
        self._frame(source).write(layout, store, sink)

    def _frame(self, source: BinaryIO) -> Frame:
        data = read_text_source(source)
        _check_text(data)
        block = _block(data)
        if block is not None:
            return _replacing(data, block)
        if BEGIN in data or END in data:
            raise UnsupportedContentError(
                "a text that speaks of C2PA's delimiters cannot carry a block between them",
                hint="--sidecar writes FILE.c2pa beside it",
            )
        return _placing(data, self.style)


def text_block_for(name: str) -> TextBlock | None:
    """Return the place of a store in a file of this name; None if its kind has no comments."""
    found = style_of(name)
    return TextBlock(*found) if found else None


def media_type_of(name: str) -> str | None:
    """Return the media type of a file of this name that has comments; None for all others."""
    found = style_of(name)
    return found[1] if found else None


def _block(data: bytes) -> _Block | None:
    """Return the one block of a text (14.5.2.4)."""
    begin = data.find(BEGIN)
    if begin < 0 and END not in data:
        return None
    count = data.count(BEGIN), data.count(END)
    end = data.find(END)
    manifest = _MANIFEST.search(data)
    if count != (1, 1) or end < begin:
        # Code may speak of delimiters, once or often; only a manifest is somebody's evidence.
        if manifest is None:
            return None
        many = max(count) > 1
        what = "more than one manifest block" if many else "a manifest block that is cut off"
        raise MalformedContentError(what, offset=manifest.start())
    if manifest is None:
        return None
    reference = data[begin + len(BEGIN) : end].strip(_WHITESPACE)
    _check_reference(reference, begin + len(BEGIN))
    start = data.rfind(b"\n", 0, begin) + 1
    if start == 0 and data.startswith(BOM):
        start = len(BOM)
    stop = data.find(b"\n", end) + 1 or len(data)
    return _Block(begin, end, reference, start, stop)


def _check_reference(reference: bytes, offset: int) -> None:
    if reference.startswith(DATA_URL):
        return
    if len(reference) > _MAX_URL_BYTES or not _ADDRESS.fullmatch(reference):
        raise MalformedContentError("a manifest block without a usable address", offset=offset)


def _check_lines(data: bytes, block: _Block) -> None:
    """Refuse a block that shares its lines with anything that is no comment of its own."""
    before = data[block.start : block.begin].strip(b" \t")
    after = data[block.end + len(END) : block.stop].removesuffix(b"\n").removesuffix(b"\r")
    inside = data[block.begin + len(BEGIN) : block.end]
    # One line in a comment, or three lines with nothing but the block.
    one_line = b"\n" not in inside and b"\r" not in inside
    alone = not before and not after.strip(b" \t")
    pair = (before, after.strip(b" \t"))
    if not (pair in _PAIRS if one_line else alone and inside.count(b"\n") == 2):
        raise MalformedContentError(
            "a manifest block that shares its lines with something else",
            offset=block.start,
            hint="no signature covers those lines; only a comment may stand there",
        )


def _exclusion(data: bytes, block: _Block) -> Exclusion:
    """Return what the hash leaves out (A.9.5.1)."""
    start = block.start
    if block.stop == len(data) and data[:start].endswith(b"\n"):
        start -= 1  # A block at the end takes the newline character before it along: LF alone.
    return Exclusion(start, block.stop - start)


def _check_text(data: bytes) -> None:
    if b"\0" in data:
        raise UnsupportedContentError("bytes that are no text cannot carry a manifest block")
    if data.count(b"\r") != data.count(b"\r\n"):
        # A.9.5.1: where a line ends must be the same for everybody.
        raise UnsupportedContentError(
            "a text with bare carriage returns cannot carry a manifest block",
            hint="--sidecar writes FILE.c2pa beside it",
        )


def _replacing(data: bytes, block: _Block) -> Frame:
    _check_lines(data, block)
    start, length = _exclusion(data, block)
    stop = start + length
    reference = data.index(block.reference, block.begin + len(BEGIN))
    opening = data[start:reference] + DATA_URL
    closing = data[reference + len(block.reference) : stop]
    return Frame(data, start, stop, b"", opening, closing, b"")


def _placing(data: bytes, style: CommentStyle) -> Frame:
    """Return where a new block goes (A.9.4.1, A.9.4.2)."""
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    top = len(BOM) if data.startswith(BOM) else 0
    head = data[top : top + _MAX_FRONT_MATTER]
    opening = f"{style.prefix} ".encode() + BEGIN + b" " + DATA_URL
    closing = b" " + END + (f" {style.suffix}" if style.suffix else "").encode()
    if style.front_matter and (fence := _FRONT_MATTER.match(head)):
        at = top + head.index(b"\n", fence.start()) + 1
        inner = BEGIN + newline + DATA_URL
        return Frame(data, at, at, b"", inner, newline + END + newline, b"")
    if declaration := _XML_DECLARATION.match(head):
        at = top + declaration.end()
        following = _LINE_END.match(data, at)
        before = b"" if following else newline
        at = following.end() if following else at
        if at == len(data):
            return _at_end(data, newline, opening, closing)
        return Frame(data, at, at, before, opening, closing + newline, b"")
    if style.prefix == "NOTE" and (header := _VTT_HEADER.match(head + newline)):
        return _after_header(data, top + min(header.end(), len(head)), newline, opening, closing)
    if first_line_is_reserved(head):
        return _at_end(data, newline, opening, closing)
    return Frame(data, top, top, b"", opening, closing + newline, b"")


def _at_end(data: bytes, newline: bytes, opening: bytes, closing: bytes) -> Frame:
    """Return a place behind everything, whether that ends in a line end or not."""
    if data.endswith(b"\n"):
        start = len(data) - 1
        return Frame(data, start, len(data), b"", b"\n" + opening, closing + newline, b"")
    return Frame(data, len(data), len(data), newline[:-1], b"\n" + opening, closing, b"")


def _after_header(data: bytes, at: int, newline: bytes, opening: bytes, closing: bytes) -> Frame:
    """Return a place behind a header, with an empty line on either side."""
    blank = _LINE_END.match(data, at)
    if blank:
        return Frame(data, blank.end(), blank.end(), b"", opening, closing + newline, newline)
    before = newline if data[:at].endswith(b"\n") else 2 * newline
    return Frame(data, at, at, before, opening, closing + newline, newline)
