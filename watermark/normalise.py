"""Texts that a given text may have been before it was copied, rendered or tampered with.

A mark is in token ids, and one invisible character changes the ids around it. So a detector
also scores the text with such changes undone. `specs/watermark-normalisation-v1` fixes every
rule. The steps form one chain, each on top of the one before, ordered from what is hardly ever
in a text for a reason to what often is: undoing too much costs the few pairs it touches, while
each further variant costs every p-value a factor.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from countermark.watermark.errors import MalformedInputError
from countermark.watermark.look_alikes import fold_letters

__all__ = ["MAX_TEXT_CHARACTERS", "NORMALISATION", "STEPS", "Variant", "variants"]

NORMALISATION: Final = "watermark-normalisation-v1"
MAX_TEXT_CHARACTERS: Final = 1 << 24
_MAX_MARKS = 30
_MAX_PASSES = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """One text to score.

    Attributes:
        name: The last step of the chain that was taken, one of `STEPS`; `as-is` for none.
        text: The whole text after it.

    """

    name: str
    text: str


def variants(text: str) -> tuple[Variant, ...]:
    """Return the distinct texts to score: 1 to 6, `as-is` first, then in the order of `STEPS`.

    Each was tried, so each counts when p-values are corrected. Which steps change anything
    depends on the text alone, never on a key, so the number of tests is fixed before the first.

    Raises:
        MalformedInputError: The text is longer than `MAX_TEXT_CHARACTERS`.

    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise MalformedInputError(f"{len(text)} characters of text, limit {MAX_TEXT_CHARACTERS}")
    found = [Variant("as-is", text)]
    for name, step in _CHAIN:
        changed = step(found[-1].text)
        # No comparison with older ones: no step of the chain brings back what another took.
        if changed != found[-1].text:
            found.append(Variant(name, changed))
    return tuple(found)


# Section 3: what nobody sees, and how accents and line ends are encoded.

_CONTROLS = bytes([*range(9), *range(0x0E, 0x1C), 0x7F])
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]++"
)
_LINE_END = re.compile("\r\n?|[\x85\u2028\u2029]")


def _make_visible(text: str) -> str:
    if text.isascii():
        encoded = text.encode("ascii")
        text = encoded.translate(None, _CONTROLS).decode("ascii")
        return _end_lines(text)
    text = _end_lines(_UNSEEN.sub("", text))
    # Composing sorts the accents on one letter, in time that grows as their number squared.
    # Twice, because NFC makes two accents out of a few.
    return _cut_marks(unicodedata.normalize("NFC", _cut_marks(text)))


def _end_lines(text: str) -> str:
    odd = any(end in text for end in "\r\x85\u2028\u2029")
    return _LINE_END.sub("\n", text) if odd else text


def _cut_marks(text: str) -> str:
    return _long_run_of_marks().sub(r"\1", text)


@functools.cache
def _long_run_of_marks() -> re.Pattern[str]:
    # One class for each half: a class that spans both is searched range by range.
    low, high = (
        "".join(chr(point) for point in half if unicodedata.combining(chr(point)))
        for half in (range(0x300, 0x10000), range(0x10000, 0x20000))
    )
    mark = f"(?:[{low}]|[{high}])"
    maybe = f"(?=[{low}]|[\U00010000-\U0001ffff])"
    return re.compile(f"{maybe}({mark}{{{_MAX_MARKS}}}){mark}++")


# Section 5: what word processors make of plain punctuation.

_PUNCTUATION = {
    "'": "\u2018\u2019\u201a\u201b\u2032",
    '"': "\u201c\u201d\u201e\u201f\u2033",
    "-": "\u2010-\u2013\u2212",
    "--": "\u2014\u2015",
    "...": "\u2026",
}
_FANCY = re.compile(f"[{''.join(_PUNCTUATION.values())}]")


def _make_plain(text: str) -> str:
    if text.isascii():
        return text
    return _FANCY.sub(lambda m: _plain()[m.group()], text)


@functools.cache
def _plain() -> dict[str, str]:
    ranges = {plain: re.compile(f"[{fancy}]") for plain, fancy in _PUNCTUATION.items()}
    return {
        chr(point): plain
        for plain, fancy in ranges.items()
        for point in range(0x2010, 0x2213)
        if fancy.match(chr(point))
    }


# Section 6: Markdown. Nothing that is removed may join two letters into one word.

# A character beside which markup may go: blank, an edge of the text, or punctuation that forms
# nothing with an accent behind it (so not "<", "=" or ">").
_BESIDE = ".,;:!?()[]{}\"'/-*_`~"
_BESIDE_CLASS = r"\s" + re.escape(_BESIDE)
_LINK = re.compile(
    rf"(?<![^{_BESIDE_CLASS}])!?\[([^\[\]]*+)\]\([^\s()\[\]]*+\)(?![^{_BESIDE_CLASS}])"
)
_EMPHASIS = re.compile(r"(?:[*_`]|~~)++")
# Of lines. Each starts with the line end before it, which makes them fast to look for.
_FENCE = re.compile(r"\n[^\S\n]*+(?:`{3,}+[^`\n]*+|~{3,}+[^~\n]*+)(?=\n|\Z)")
_RULE = re.compile(r"\n[^\S\n]*+(?:[-*_=~`]++[^\S\n]*+)++(?=\n|\Z)")
_PREFIX = re.compile(
    r"\n[^\S\n]*+(?:(?:#{1,6}|[-*+\u2022]|[0-9]{1,9}[.)])(?=\s|\Z)[^\S\n]*+|>[^\S\n]*+)++"
)


def _strip_markdown(text: str) -> str:
    """Remove Markdown's marks; text that nests them too deep is no Markdown, and stays."""
    changed = text
    for _ in range(_MAX_PASSES):
        before, changed = changed, _strip_once(changed)
        if changed == before:
            return changed
    return text


def _strip_once(text: str) -> str:
    lines = _RULE.sub("", _FENCE.sub("", "\n" + text))[1:]
    if "](" in lines:
        lines = _LINK.sub(r"\1", lines)
    if "*" in lines or "_" in lines or "`" in lines or "~~" in lines:
        lines = _EMPHASIS.sub(_without_emphasis, lines)
    return _PREFIX.sub("\n", "\n" + lines)[1:]


def _without_emphasis(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    left, right = text[start - 1] if start else " ", text[end] if end < len(text) else " "
    blank = left.isspace() + right.isspace()
    if blank == 2:
        return match.group()  # An operator (2 * 3), or a list's mark, which goes with its line.
    return "" if blank or left in _BESIDE or right in _BESIDE else match.group()


# Section 7: line breaks inside paragraphs, runs of blanks.

_BLANKS = re.compile(r"[^\S ]\s*+| \s++")
_RARE_BLANKS = (
    "\t\v\f\r\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def _reflow(text: str) -> str:
    if _flows(text):
        return text
    return _BLANKS.sub(lambda m: "\n\n" if m.group().count("\n") > 1 else " ", text).strip()


def _flows(text: str) -> bool:
    """Return whether `text` needs no change: many searches, yet faster than replacing."""
    return (
        text == text.strip()
        and text.count("\n") == 2 * text.count("\n\n")
        and not any(blanks in text for blanks in ("  ", " \n", "\n ", "\n\n\n", *_RARE_BLANKS))
    )


_CHAIN: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("visible", _make_visible),
    ("letters", fold_letters),
    ("punctuation", _make_plain),
    ("markdown", _strip_markdown),
    ("reflowed", _reflow),
)
STEPS: Final = ("as-is", *(name for name, _ in _CHAIN))
