"""The head of an HTML document, read as far as a browser reads it, and no further.

A scanner, not a parser: what can stand in a head is tags, comments and the raw text of scripts,
styles and titles, and the head ends at the first thing that cannot (HTML, 13.2.6.4.4). Every byte
is looked at once, whatever the input; the number of its parts is limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from countermark.provenance.errors import MalformedContentError
from countermark.provenance.text_source import BOM

__all__ = ["MAX_ATTRIBUTES", "MAX_PARTS", "Element", "Head", "read_head"]

MAX_PARTS = 100_000
MAX_ATTRIBUTES = 1000

_SPACE = re.compile(rb"[ \t\n\f\r]*+")
# Possessive throughout: a tag that never ends, or a quotation that does not, is read once.
_TAG = re.compile(
    rb"<(/?)([A-Za-z][^\s/>]*+)"
    rb"((?:[^>\"'=]++"
    rb"|=[ \t\n\f\r]*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>\"'][^\s>]*+)?+"
    rb"|[\"'])*+)(>?)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    rb"([^\s/>=][^\s/>=]*+)"
    rb"(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"'][^\s>]*+)))?+",
    re.DOTALL,
)
_COMMENT_END = re.compile(rb"--!?>")
_SCRIPT_END = re.compile(rb"<!--(?!-*+>)|</script(?=[\s/>])", re.I)
_ESCAPED_PART = re.compile(rb"-->|<(/?)script(?=[\s/>])", re.I)
_MAY_STAND_IN_HEAD = frozenset(
    b"base basefont bgsound head html link meta".split()
    + b"noframes noscript script style template title".split()
)
# What is in these is text, not elements; noscript is text to a browser that runs scripts, and
# nobody but a template's script sees what is in a template.
_OPAQUE = frozenset(b"noframes noscript style template title".split())


class Element(NamedTuple):
    """A script or link of the head.

    Attributes:
        name: `script` or `link`.
        attributes: Names in small letters and values as written, in order, with repetitions.
        start: Byte of its `<`.
        stop: First byte behind it: behind `</script>`, or behind the tag of a link.
        content: First and last byte (exclusive) of a script's text; empty for a link.
        closed: Whether its end is there.

    """

    name: bytes
    attributes: tuple[tuple[bytes, bytes], ...]
    start: int
    stop: int
    content: tuple[int, int]
    closed: bool

    def value(self, name: bytes) -> bytes | None:
        """Return the value of an attribute that counts: the first one of that name."""
        return next((value for key, value in self.attributes if key == name), None)


@dataclass(slots=True)
class Head:
    """What was found of a head.

    Attributes:
        elements: Its scripts and links, in order.
        end: Byte at which the head ends, and something can be inserted into it.
        whole: Whether it ends outside comments, scripts and the like; inside, nothing can be.
        parts: How many tags, comments and declarations were read.

    """

    elements: list[Element] = field(default_factory=list)
    end: int = 0
    whole: bool = True
    parts: int = 0

    def after(self, end: int, length: int) -> int:
        """Return where something ends: at the end of everything if it does not end."""
        self.whole = bool(end)
        return end or length


def read_head(data: bytes) -> Head:
    """Read the head of an HTML document.

    Raises:
        MalformedContentError: It has more than `MAX_PARTS` tags, comments and declarations.

    """
    head = Head(end=len(BOM) if data.startswith(BOM) else 0)
    for element in _elements(data, head):
        head.elements.append(element)
    return head


def _elements(data: bytes, head: Head) -> Iterator[Element]:
    """Yield scripts and links up to the head's end, and leave that in `head.end`."""
    at = head.end
    while True:
        head.end = at = _after_space(data, at)
        if at == len(data):
            return
        head.parts += 1
        if head.parts > MAX_PARTS:
            raise MalformedContentError(f"an HTML head of over {MAX_PARTS} parts", offset=at)
        if data[at : at + 2] in (b"<!", b"<?"):
            at = head.after(_after_declaration(data, at), len(data))
            continue
        tag = _TAG.match(data, at)
        if tag is None or not tag[4]:
            return  # Text begins the body; a tag that never ends begins nothing.
        name = tag[2].lower()
        if tag[1]:
            if name in (b"head", b"body", b"html", b"br"):
                return
            at = tag.end()  # Any other end tag is ignored here.
            continue
        if name not in _MAY_STAND_IN_HEAD:
            return
        if name == b"script":
            element = _script(data, at, tag)
            yield element
            head.whole = element.closed
            at = element.stop
        elif name == b"link":
            yield Element(
                name, _attributes(tag[3], at), at, tag.end(), (tag.end(), tag.end()), True
            )
            at = tag.end()
        else:
            at = tag.end()
            if name in _OPAQUE:
                at = head.after(_after_text(data, at, name), len(data))


def _after_space(data: bytes, at: int) -> int:
    space = _SPACE.match(data, at)
    return space.end() if space else at


def _after_declaration(data: bytes, at: int) -> int:
    """Return where a comment, a doctype or an instruction ends; 0 if it does not."""
    if not data.startswith(b"<!--", at):
        return data.find(b">", at) + 1
    if data.startswith((b"<!-->", b"<!--->"), at):
        return data.index(b">", at) + 1
    end = _COMMENT_END.search(data, at + 4)
    return end.end() if end else 0


def _after_text(data: bytes, at: int, name: bytes) -> int:
    """Return where the text of an element ends; 0 if it does not."""
    end = re.compile(rb"</" + name + rb"(?=[\s/>])[^>]*+>", re.I).search(data, at)
    return end.end() if end else 0


def _script(data: bytes, at: int, tag: re.Match[bytes]) -> Element:
    start = tag.end()
    attributes = _attributes(tag[3], at)
    end = _script_end(data, start)
    closing = _TAG.match(data, end)
    if closing is None:
        return Element(b"script", attributes, at, len(data), (start, end), False)
    return Element(b"script", attributes, at, closing.end(), (start, end), bool(closing[4]))


def _script_end(data: bytes, at: int) -> int:
    """Return where the text of a script ends: not always at `</script>` (HTML 13.2.5.15 on).

    Behind `<!--`, a `<script>` opens a level that takes a `</script>` of its own.
    """
    while (found := _SCRIPT_END.search(data, at)) and found.group() == b"<!--":
        nested = False
        at = found.end() - 2  # The dashes may be those of the `-->`, too.
        for count, part in enumerate(_ESCAPED_PART.finditer(data, at)):
            if count > MAX_PARTS:
                raise MalformedContentError(f"a script of over {MAX_PARTS} parts", offset=at)
            at = part.end()
            if part.group() == b"-->":
                break
            if part[1] and not nested:
                return part.start()
            nested = not part[1]
        else:
            return len(data)
    return found.start() if found else len(data)


def _attributes(text: bytes, offset: int) -> tuple[tuple[bytes, bytes], ...]:
    found = []
    for match in _ATTRIBUTE.finditer(text):
        found.append((match[1].lower(), match[2] or match[3] or match[4] or b""))
        if len(found) > MAX_ATTRIBUTES:
            raise MalformedContentError(
                f"an HTML tag of over {MAX_ATTRIBUTES} attributes", offset=offset
            )
    return tuple(found)
