"""Turn documentation files into paragraphs of plain text: HTML, POD, man, dictionaries, text.

Only good enough for measuring on: markup goes, every sentence stays. The input is what a Debian
mirror signed, so nothing here is hardened.
"""

import gzip
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["READERS", "read_bytes"]

_PRE = re.compile(r"(?is)(<pre\b.*?</pre>)")
_INVISIBLE = re.compile(r"(?is)<!--.*?-->|<(script|style|nav|head)\b.*?</\1>")
_BLOCK = re.compile(
    r"(?i)</?(p|div|li|ul|ol|dl|dt|dd|h[1-6]|tr|table|blockquote|section|article|body|br|hr|"
    r"title|item|note|pre|page|td|th)\b[^>]*>"
)
_TAG = re.compile(r"<[^>]*>")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_SPACE = re.compile(r"\s+")
_FORTUNE = re.compile(r"\n%\n")
_ENTRY = re.compile(r"\n(?=\S)")  # dictd bodies start each entry in the first column.
_POD_CODE = re.compile(r"[A-Z](?:<<+ (.*?) >>+|<([^<>]*)>)", re.S)
_POD_COMMAND = re.compile(r"(?m)^=(?:head\d|item|over|back|pod|cut|encoding|for|begin|end)\b ?")
_MAN_NOISE = re.compile(r"""(?m)^['.]\\?".*$|^\.(?:SH|SS|TH|PP|P|LP|TP|IP|RS|RE|nf|fi|sp|br)\b""")
_MAN_MACRO = re.compile(r"(?m)^\.\w+ ?")
_MAN_ESCAPE = re.compile(r"\\(?:f[A-Z]|f\[\w*\]|&|%|/|,|\|)")
_DICTIONARY_ARTICLE_CHARS = 4_000


def read_bytes(path: Path) -> str:
    """Return a file's text; `.gz` and dictzip's `.dz` are both gzip. Latin-1 if not UTF-8."""
    data = path.read_bytes()
    if path.suffix in (".gz", ".dz"):
        data = gzip.decompress(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _html(text: str) -> Iterator[list[str]]:
    body = re.split(r"(?i)<body\b[^>]*>", _INVISIBLE.sub(" ", text), maxsplit=1)[-1]
    paragraphs: list[str] = []
    for index, part in enumerate(_PRE.split(body)):
        if index % 2:  # Preformatted: lines stay as they are.
            paragraphs += _BLANK_LINE.split(html.unescape(_TAG.sub("", part)))
        else:
            loose = _TAG.sub("", _BLOCK.sub("\0", part)).split("\0")
            paragraphs += [_SPACE.sub(" ", html.unescape(p)) for p in loose]
    yield [p.replace("¶", "").strip() for p in paragraphs]


def _text(text: str) -> Iterator[list[str]]:
    yield _BLANK_LINE.split(text.replace("\r", ""))


def _fortunes(text: str) -> Iterator[list[str]]:
    yield _FORTUNE.split(text)


def _pod(text: str) -> Iterator[list[str]]:
    for _ in range(3):  # Codes nest; three levels are all that occur.
        text = _POD_CODE.sub(lambda m: m[1] or m[2] or "", text)
    yield _BLANK_LINE.split(_POD_COMMAND.sub("", text))


def _man(text: str) -> Iterator[list[str]]:
    text = _MAN_MACRO.sub("", _MAN_NOISE.sub("\n", text))
    text = _MAN_ESCAPE.sub("", text).replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\")
    yield _BLANK_LINE.split(text)


def _dictionary(text: str) -> Iterator[list[str]]:
    """Group entries into articles of some thousand characters: one entry is too short to judge."""
    article: list[str] = []
    length = 0
    for entry in _ENTRY.split(text):
        article.append("\n".join(line.strip() for line in entry.split("\n")).strip())
        length += len(entry)
        if length >= _DICTIONARY_ARTICLE_CHARS:
            yield article
            article, length = [], 0
    yield article


# Each takes a file's text and gives documents, each a list of paragraphs.
READERS: dict[str, Callable[[str], Iterator[list[str]]]] = {
    "html": _html,
    "text": _text,
    "fortunes": _fortunes,
    "pod": _pod,
    "man": _man,
    "dictionary": _dictionary,
}
