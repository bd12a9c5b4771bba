"""A manifest store, or its address, in the head of an HTML document (C2PA 2.5 A.7).

`<script type="application/c2pa">` with the store in Base64, or `<link rel="c2pa-manifest" href>`.
The hash is of raw bytes; it leaves out the whole script, and nothing where there is a link.

The element is covered by nothing, so it may hold the store and nothing else: an attribute more
would be one that an attacker can write under a signature that holds.
"""

from __future__ import annotations

from typing import BinaryIO

from countermark.provenance.base64_value import decode_base64
from countermark.provenance.carrier import Exclusion, Layout, Place
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.framed_text import (
    Frame,
    FramedStore,
)
from countermark.provenance.html_head import Element, read_head
from countermark.provenance.text_source import read_text_source

__all__ = ["HtmlScript"]

OPENING = b'<script type="application/c2pa">'
CLOSING = b"</script>"

_MEDIA_TYPE = b"application/c2pa"
_RELATION = b"c2pa-manifest"
_WHITESPACE = b" \t\n\f\r"
_MAX_URL_BYTES = 4096


class HtmlScript(FramedStore):
    """The place of a store in an HTML document."""

    __slots__ = ()

    name = "html-script"
    media_types: tuple[str, ...] = ("text/html",)

    def find(self, source: BinaryIO) -> Place | None:
        """Return the store, or its address, that is carried; None if there is none.

        Elements outside the head are none (A.7.1).

        Raises:
            MalformedContentError: There are several, or one that is broken, or one that holds
                something else as well.

        """
        data = read_text_source(source)
        element = _manifest(data)
        if element is None:
            return None
        if element.name == b"link":
            return Place(b"", (), _address(element))
        _check_script(element)
        first, last = element.content
        text = data[first:last]
        offset = first + len(text) - len(text.lstrip(_WHITESPACE))
        store = decode_base64(text.strip(_WHITESPACE), "the manifest script", offset)
        return Place(store, (Exclusion(element.start, element.stop - element.start),))

    def lay_out(self, source: BinaryIO, store_bytes: int) -> Layout:
        """Return how the document will look with a store of `store_bytes` at its head's end.

        There, it does not push the declaration of the encoding out of the first kilobyte, where
        browsers look for it. A store, or an address of one, that is there already is replaced.

        Raises:
            MalformedContentError: It carries manifest elements that cannot be replaced.
            UnsupportedContentError: It is no HTML.

        """
        return _frame(source).lay_out(store_bytes)

    def write(self, source: BinaryIO, layout: Layout, store: bytes, sink: BinaryIO) -> None:
        """Write the document with the store in it.

        Raises:
            MalformedContentError: The document is not the one that was laid out.

        """
        _frame(source).write(layout, store, sink)


def _manifest(data: bytes) -> Element | None:
    """Return the one manifest element of the head (A.7.1.4)."""
    found = [element for element in read_head(data).elements if _is_manifest(element)]
    if len(found) > 1:
        raise MalformedContentError(
            "more than one manifest element in the head", offset=found[1].start
        )
    return found[0] if found else None


def _is_manifest(element: Element) -> bool:
    # Any of the attributes, not only the one that counts: `_check_script` refuses what is odd,
    # where another reader might believe the second of two types.
    wanted = b"type" if element.name == b"script" else b"rel"
    values = [value.lower() for key, value in element.attributes if key == wanted]
    if element.name == b"script":
        return any(value.strip(_WHITESPACE) == _MEDIA_TYPE for value in values)
    return any(_RELATION in value.split() for value in values)


def _check_script(element: Element) -> None:
    if not element.closed:
        raise MalformedContentError("a manifest script that is cut off", offset=element.start)
    if [key for key, _ in element.attributes] != [b"type"]:
        raise MalformedContentError(
            "a manifest script with attributes that no signature covers",
            offset=element.start,
            hint="only the type may stand there",
        )


def _address(element: Element) -> str:
    href = (element.value(b"href") or b"").strip(_WHITESPACE)
    href = href.replace(b"&amp;", b"&")
    if not href or len(href) > _MAX_URL_BYTES or not all(0x20 < byte < 0x7F for byte in href):
        raise MalformedContentError(
            "a manifest link without a usable address", offset=element.start
        )
    return href.decode("ascii")


def _frame(source: BinaryIO) -> Frame:
    data = read_text_source(source)
    element = _manifest(data)
    if element is not None:
        if element.name == b"script":
            _check_script(element)
        return Frame(data, element.start, element.stop, b"", OPENING, CLOSING, b"")
    if b"<" not in data or b"\0" in data:
        raise UnsupportedContentError("bytes that are no HTML cannot carry a manifest script")
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    head = read_head(data)
    if not head.whole:
        raise UnsupportedContentError("a head that ends inside a comment or script")
    return Frame(data, head.end, head.end, b"", OPENING, CLOSING, newline)
