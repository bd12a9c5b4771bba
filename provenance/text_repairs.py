"""What may have happened to a text with a mark, and what would undo it.

Each repair is one function from bytes to bytes, or to None where it does not apply. None of them
knows whether it helps: that is for `forensics` to find out, by having the result judged.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from countermark.provenance.selectors import encode_selectors, run_end
from countermark.provenance.text_block import BEGIN, DATA_URL, END
from countermark.provenance.text_source import BOM
from countermark.provenance.text_wrapper import MAGIC

__all__ = ["MARK", "MARKER", "Repair", "mark_spans", "repairs"]

MARKER = "\ufeff".encode()
MARK = MARKER + encode_selectors(MAGIC)

_BARE = re.compile(rb"(?<!" + MARKER + rb")" + re.escape(encode_selectors(MAGIC)))
_MAX_MARKS = 4  # Of several marks, the first few are tried.
_QUOTED = re.compile(rb"(?:^[>|] ?[^\n]*+(?:\n|\Z))++", re.M)
_QUOTE = re.compile(rb"^[>|] ?", re.M)
_INDENT = re.compile(rb"^(?: {4}|\t)", re.M)
_ENTITY = re.compile(rb"&(?:lt|gt|amp|quot|#[xX]?[0-9a-fA-F]+);")
_ESCAPED_MARK = re.compile(rb"\\u[fF][eE][fF][fF](?:\\u[dD][bB]40\\u[dD][dD][0-9a-fA-F]{2})+")
_BLOCK = re.compile(re.escape(BEGIN) + rb"(.*?)" + re.escape(END), re.S)
_SCRIPT = re.compile(rb"(<script type=\"application/c2pa\">)([^<]*)(</script>)")
_SPACE = re.compile(rb"\s+")
# What a reader that takes UTF-8 for Windows-1252 makes of each byte.
_MISREAD = {
    byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0x100)
}
_UNMISREAD = {ord(character): byte for byte, character in _MISREAD.items()}


class Repair(NamedTuple):
    """A way to undo what may have happened.

    Attributes:
        code: Stable name of what happened.
        sentence: What happened, in plain words.
        repair: What undoes it.
        data: The content with that undone.
        evident: Whether it can be seen without trying, e.g. a mark without its first character.

    """

    code: str
    sentence: str
    repair: str
    data: bytes
    evident: bool = False


def repairs(data: bytes) -> Iterator[Repair]:
    """Yield what could be undone, what can be seen first. Nothing is said to help."""
    for code, sentence, repair, undo in _EVIDENT:
        for undone in undo(data):
            yield Repair(code, sentence, repair, undone, evident=True)
    for code, sentence, repair, undo in _GUESSES:
        for undone in undo(data):
            if undone != data:
                yield Repair(code, sentence, repair, undone)


def mark_spans(data: bytes) -> list[tuple[int, int]]:
    """Return where the first few text marks begin and end, broken ones too."""
    spans: list[tuple[int, int]] = []
    start = data.find(MARK)
    while start >= 0 and len(spans) <= _MAX_MARKS:
        stop = run_end(data, start + len(MARKER))
        spans.append((start, stop))
        start = data.find(MARK, stop)
    return spans


_Undo = Callable[[bytes], Iterator[bytes]]


def _marker_removed(data: bytes) -> Iterator[bytes]:
    if _BARE.search(data):
        yield _BARE.sub(MARK, data)


def _utf16(data: bytes) -> Iterator[bytes]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            yield data.decode("utf-16").encode()
        except UnicodeError:  # A surrogate that stands alone, or half a character at the end.
            return


def _misread(data: bytes) -> Iterator[bytes]:
    """Undo UTF-8 that was taken for Windows-1252, or Latin-1, and stored again."""
    # The first five bytes are the same characters in Windows-1252 and in Latin-1.
    if "".join(_MISREAD[byte] for byte in MARK[:5]).encode() in data:
        try:
            yield data.decode().translate(_UNMISREAD).encode("latin-1")
        except UnicodeError:
            return


def _json_escaped(data: bytes) -> Iterator[bytes]:
    if _ESCAPED_MARK.search(data):
        text = data.strip()
        quoted = text if text[:1] == text[-1:] == b'"' else b'"' + data.strip(b"\n") + b'"'
        try:
            value = json.loads(quoted, strict=False)
            if isinstance(value, str):
                yield value.encode()
        except (ValueError, RecursionError):  # Not JSON, or half a surrogate pair.
            return


def _quoted(data: bytes) -> Iterator[bytes]:
    if _QUOTED.fullmatch(data):
        yield _QUOTE.sub(b"", data)


def _duplicated(data: bytes) -> Iterator[bytes]:
    spans = mark_spans(data)[:_MAX_MARKS]
    if len(spans) < 2:
        return
    previous = 0
    for start, stop in spans:
        yield data[previous:stop]  # A text that was pasted twice.
        previous = stop
        others = [span for span in spans if span != (start, stop)]
        yield _without(data, others)


def _wrapped(data: bytes) -> Iterator[bytes]:
    def join(match: re.Match[bytes]) -> bytes:
        reference = match[1]
        core = _SPACE.sub(b"", reference)
        if not core.startswith(DATA_URL):
            return match[0]
        # One space, or the line end of the form in three lines, stays on either side.
        before = reference[: len(reference) - len(reference.lstrip())]
        after = reference[len(reference.rstrip()) :]
        return BEGIN + before[:2].replace(b"  ", b" ") + core + after[:2].replace(b"  ", b" ") + END

    joined = _BLOCK.sub(join, data)
    joined = _SCRIPT.sub(lambda match: match[1] + _SPACE.sub(b"", match[2]) + match[3], joined)
    if joined != data:
        yield joined


def _unescaped(data: bytes) -> Iterator[bytes]:
    if _ENTITY.search(data):
        try:
            yield html.unescape(data.decode()).encode()
        except UnicodeError:
            return


def _form(form: Literal["NFC", "NFD"]) -> _Undo:
    def undo(data: bytes) -> Iterator[bytes]:
        if data.isascii():
            return
        try:
            yield unicodedata.normalize(form, data.decode()).encode()
        except UnicodeDecodeError:
            return

    return undo


def _after_mark(data: bytes) -> Iterator[bytes]:
    spans = mark_spans(data)
    if len(spans) == 1 and spans[0][1] < len(data):
        yield data[: spans[0][1]]


def _mark_moved(data: bytes) -> Iterator[bytes]:
    spans = mark_spans(data)
    if len(spans) == 1 and spans[0][1] < len(data):
        ((start, stop),) = spans
        yield data[:start] + data[stop:] + data[start:stop]


def _space_before_mark(data: bytes) -> Iterator[bytes]:
    spans = mark_spans(data)
    if len(spans) == 1:
        ((start, _),) = spans
        for space in (b"\n", b"\r\n", b"\n\n", b" ", b"  "):
            yield data[:start] + space + data[start:]


def _once(undo: Callable[[bytes], bytes]) -> _Undo:
    return lambda data: iter((undo(data),))


def _without(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    kept, previous = [], 0
    for start, stop in spans:
        kept.append(data[previous:start])
        previous = stop
    return b"".join((*kept, data[previous:]))


def _to_lf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _without_last_line_end(data: bytes) -> bytes:
    return data[:-2] if data.endswith(b"\r\n") else data.removesuffix(b"\n")


_EVIDENT: tuple[tuple[str, str, str, _Undo], ...] = (
    ("marker-removed", "the mark's first character, U+FEFF, was removed; the rest is there",
     "put U+FEFF before the run of variation selectors", _marker_removed),
    ("utf-16", "the text was stored as UTF-16", "store it as UTF-8", _utf16),
    ("mojibake", "UTF-8 was read as Windows-1252 or Latin-1, and stored again",
     "store it as what it was read as, and read that as UTF-8", _misread),
    ("json-escaped", "the text is still escaped as in JSON", "decode the JSON string",
     _json_escaped),
    ("quote-prefix", "every line begins with a quotation mark, as in a reply",
     "remove the prefix of each line", _quoted),
    ("mark-duplicated", "the mark is there more than once", "keep one of them", _duplicated),
    ("block-wrapped", "the manifest was broken into lines", "join its lines", _wrapped),
)  # fmt: skip

_GUESSES: tuple[tuple[str, str, str, _Undo], ...] = (
    ("html-escaped", "the text was escaped as in HTML", "decode the entities", _unescaped),
    ("line-ends-crlf", "line ends were changed to CR LF", "change them to LF", _once(_to_lf)),
    ("line-ends-lf", "line ends were changed to LF", "change them to CR LF",
     _once(lambda data: _to_lf(data).replace(b"\n", b"\r\n"))),
    ("normal-form-nfd", "composed characters were taken apart (NFD)", "normalise to NFC",
     _form("NFC")),
    ("normal-form-nfc", "characters were composed (NFC)", "normalise to NFD", _form("NFD")),
    ("newline-added", "a line end was added", "remove the last one",
     _once(_without_last_line_end)),
    ("newline-removed", "the last line end was removed", "add one",
     lambda data: iter((data + b"\n", data + b"\r\n"))),
    ("bom-added", "a byte order mark was added", "remove it",
     _once(lambda data: data if data.startswith(MARK) else data.removeprefix(BOM))),
    ("bom-removed", "a byte order mark was removed", "add one", _once(lambda data: BOM + data)),
    ("text-added-after", "text was added behind the mark", "remove what is behind it",
     _after_mark),
    ("mark-moved", "the mark is not where it was", "move it to the end", _mark_moved),
    ("whitespace-stripped", "white space at the text's end was removed", "add it before the mark",
     _space_before_mark),
    ("indented", "every line was indented", "remove one level",
     _once(lambda data: _INDENT.sub(b"", data))),
)  # fmt: skip
