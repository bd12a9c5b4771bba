"""Letters that look like other letters, and folding them back to the word they stand in.

`specs/watermark-normalisation-v1` section 4. The tables are ours: letters of common fonts that
a reader takes for each other, chosen by eye and named by their Unicode names in the
specification's generator. Letters that are merely similar (Cyrillic к, м, т in lower case) are
left alone, because real words hold them.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final

__all__ = ["COMPATIBLE_RANGES", "LOOK_ALIKES", "fold_letters"]

# Latin letter: its look-alikes in Cyrillic, in Greek, and in scripts that are never a target.
# Where a script has two, the first is the one a Latin letter is folded to.
LOOK_ALIKES: Final[dict[str, tuple[str, str, str]]] = {
    "A": ("\u0410", "\u0391", "\u13aa"),
    "B": ("\u0412", "\u0392", "\u13f4"),
    "C": ("\u0421", "\u03f9", "\u13df"),
    "D": ("", "", "\u13a0"),
    "E": ("\u0415", "\u0395", "\u13ac"),
    "G": ("\u050c", "", "\u13c0"),
    "H": ("\u041d", "\u0397", "\u13bb"),
    "I": ("\u0406\u04c0", "\u0399", ""),
    "J": ("\u0408", "\u037f", "\u13ab"),
    "K": ("\u041a", "\u039a", "\u13e6"),
    "L": ("", "", "\u13de"),
    "M": ("\u041c", "\u039c\u03fa", "\u13b7"),
    "N": ("", "\u039d", ""),
    "O": ("\u041e", "\u039f", "\u0555"),
    "P": ("\u0420", "\u03a1", "\u13e2"),
    "Q": ("\u051a", "", ""),
    "R": ("", "", "\u13a1"),
    "S": ("\u0405", "", "\u13da\u054f"),
    "T": ("\u0422", "\u03a4", "\u13a2"),
    "U": ("", "", "\u054d"),
    "V": ("\u0474", "", "\u13d9"),
    "W": ("\u051c", "", "\u13b3"),
    "X": ("\u0425", "\u03a7", ""),
    "Y": ("\u0423\u04ae", "\u03a5", ""),
    "Z": ("", "\u0396", "\u13c3"),
    "a": ("\u0430", "\u03b1", ""),
    "c": ("\u0441", "\u03f2", ""),
    "d": ("\u0501", "", ""),
    "e": ("\u0435", "", ""),
    "h": ("\u04bb", "", "\u0570"),
    "i": ("\u0456", "\u03b9", ""),
    "j": ("\u0458", "\u03f3", ""),
    "k": ("", "\u03ba", ""),
    "l": ("\u04cf", "", ""),
    "n": ("", "\u03b7", "\u0578"),
    "o": ("\u043e", "\u03bf", "\u0585"),
    "p": ("\u0440", "\u03c1", ""),
    "q": ("\u051b", "", "\u0566"),
    "s": ("\u0455", "", ""),
    "u": ("", "\u03c5", "\u057d"),
    "v": ("\u0475", "\u03bd", ""),
    "w": ("\u051d", "", ""),
    "x": ("\u0445", "\u03c7", ""),
    "y": ("\u0443\u04af", "\u03b3", ""),
}

# Styled forms of one character, replaced by it wherever they stand: what NFKC makes of them.
COMPATIBLE_RANGES: Final = (
    (0x2102, 0x2102),  # Double-struck, script and black-letter capitals outside their block.
    (0x210A, 0x2113),
    (0x2115, 0x2115),
    (0x2119, 0x211D),
    (0x2124, 0x2124),
    (0x2128, 0x2128),
    (0x212A, 0x212D),
    (0x212F, 0x2131),
    (0x2133, 0x2134),
    (0x2160, 0x217F),  # Roman numerals.
    (0x24B6, 0x24E9),  # Letters in circles.
    (0xFB00, 0xFB06),  # Latin ligatures, as text copied from PDF holds them.
    (0xFF10, 0xFF19),  # Full-width digits and letters; Chinese needs its full-width punctuation.
    (0xFF21, 0xFF3A),
    (0xFF41, 0xFF5A),
    (0x1D400, 0x1D7FF),  # Mathematical alphanumerics.
)
_PHONETIC = {"\u0251": "a", "\u0261": "g"}
_SPACES = "\u00a0\u2000-\u200a\u202f\u205f"
_LOW_RANGES = "".join(f"{chr(a)}-{chr(b)}" for a, b in COMPATIBLE_RANGES if b < 0x10000)
_LOW_STYLED = re.compile(f"[{''.join(_PHONETIC)}{_SPACES}{_LOW_RANGES}]")
_HIGH_STYLED = re.compile("[\U0001d400-\U0001d7ff]")

_SCRIPTS = (
    "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u1e00-\u1eff",  # Latin
    "\u0400-\u0481\u048a-\u052f",  # Cyrillic
    "\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u03f5\u03f7-\u03ff\u1f00-\u1fff",
    "\u0531-\u0556\u0561-\u0587\u13a0-\u13f5",  # Armenian and Cherokee: never a target.
)
_LATIN, _CYRILLIC, _GREEK = range(3)
_LETTERS = tuple(re.compile(f"[{script}]") for script in _SCRIPTS)
_STRANGERS = tuple(
    re.compile(f"[{''.join(other for other in _SCRIPTS if other != script)}]++")
    for script in _SCRIPTS
)
_WORD = re.compile(f"[{''.join(_SCRIPTS)}\u0300-\u036f]++")
_LATIN_RUN = re.compile(f"[{_SCRIPTS[_LATIN]}]++")
_MARKS = re.compile("[\u0300-\u036f]++")
_PURE = re.compile("|".join(f"[{script}\u0300-\u036f]++" for script in _SCRIPTS))


def fold_letters(text: str) -> str:
    """Fold styled letters, exotic spaces and look-alikes; specification section 4.

    Args:
        text: In NFC. The result is, too.

    """
    if text.isascii():
        return text
    plain = _HIGH_STYLED.sub(_unstyled, _LOW_STYLED.sub(_unstyled, text))
    # A letter that changed may now join with the accent behind it.
    folded = plain = text if plain == text else unicodedata.normalize("NFC", plain)
    if _STRANGERS[_LATIN].search(plain) and _LETTERS[_LATIN].search(plain):
        folded = _WORD.sub(lambda m: _fold_mixed(m.group()), plain)
        if _mostly_latin(folded):
            folded = _WORD.sub(lambda m: _fold_whole(m.group()), folded)
    return folded if folded == plain else unicodedata.normalize("NFC", folded)


def _fold_mixed(word: str) -> str:
    """Fold a word of several scripts to the one that leaves the fewest strangers in it."""
    if _PURE.fullmatch(word):
        return word
    folded = [word.translate(table) for table in _tables()]
    # Equal for letters that all look alike; Latin then, the first of the three.
    target = min((_LATIN, _CYRILLIC, _GREEK), key=lambda script: _strangers(folded[script], script))
    # A lone Cyrillic or Greek letter in a formula (delta x) must not pull the others over.
    letters = len(_MARKS.sub("", word))
    if target != _LATIN and 2 * _strangers(word, target) >= letters:
        return word
    return folded[target]


def _strangers(word: str, script: int) -> int:
    """Return how many letters are not of `script`."""
    return len(word) - len(_STRANGERS[script].sub("", word))


def _fold_whole(word: str) -> str:
    """Fold a word of one foreign script if every letter of it looks Latin."""
    if word.isascii() or _LETTERS[_LATIN].search(word):
        return word
    letters = _MARKS.sub("", word)
    # One Greek letter alone is a symbol: alpha, not an article.
    if len(letters) == 1 and _LETTERS[_GREEK].match(letters):
        return word
    table = _tables()[_LATIN]
    return word.translate(table) if all(ord(letter) in table for letter in letters) else word


def _mostly_latin(text: str) -> bool:
    foreign = _strangers(text, _LATIN)
    return len(text) - len(_LATIN_RUN.sub("", text)) > foreign


@functools.cache
def _tables() -> tuple[dict[int, str], ...]:
    """Return, for each target script, a table for `str.translate`."""
    tables: tuple[dict[int, str], ...] = ({}, {}, {})
    for latin, (cyrillic, greek, other) in LOOK_ALIKES.items():
        rows = (latin, cyrillic, greek, other)
        for target, table in enumerate(tables):
            sources = "".join(row for script, row in enumerate(rows) if script != target)
            if rows[target]:
                table.update(dict.fromkeys(map(ord, sources), rows[target][0]))
    return tables


def _unstyled(match: re.Match[str]) -> str:
    character = match.group()
    # One that is assigned in no Unicode version is what NFKC makes of it.
    return _PHONETIC.get(character) or unicodedata.normalize("NFKC", character)
