"""What happens to marked text before a detector sees it: edits of its tokens, and of its letters.

These are the edits a machine can make, and each is a function of its input and a seed, so
that a measurement can be repeated. Paraphrase and translation by another model are not among
them: whoever reads a detector card must not take it to say anything about those.
"""

from __future__ import annotations

import re
import textwrap
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.errors import SchemeError
from countermark.watermark.look_alikes import LOOK_ALIKES

__all__ = [
    "TEXT_EDITS",
    "TOKEN_EDITS",
    "TextEdit",
    "TokenEdit",
    "dilute",
    "edit_rng",
]

Tokens = NDArray[np.uint32]
_Rng = np.random.Generator

_REDRAWS = 16
_LINE_CHARACTERS = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEdit:
    """An edit of token ids.

    Attributes:
        name: What cards call it.
        strength: The share of the tokens that it touches (of those there were), 0 to 1.
        apply: Takes uint32 [N], a pool of tokens to draw others from (any number of them, the
            common ones more often) and a generator; returns uint32 [N'].

    """

    name: str
    strength: float
    apply: Callable[[Tokens, float, Tokens, _Rng], Tokens]

    def __call__(self, tokens: Tokens, pool: Tokens, rng: _Rng) -> Tokens:
        """Return the edited tokens."""
        return self.apply(tokens, self.strength, pool, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEdit:
    """An edit of text, which is tokenized again afterwards.

    Attributes:
        name: What cards call it.
        strength: The share of the places that it touches, of those it could; 1 for all.
        apply: Takes the text and a generator; returns a text.

    """

    name: str
    strength: float
    apply: Callable[[str, float, _Rng], str]

    def __call__(self, text: str, rng: _Rng) -> str:
        """Return the edited text."""
        return self.apply(text, self.strength, rng)


def edit_rng(seed: int, name: str, strength: float, text: int) -> _Rng:
    """Return the generator for one edit of one text: its own, whatever else is measured."""
    return np.random.default_rng((seed, zlib.crc32(name.encode()), round(strength * 1000), text))


def dilute(tokens: Tokens, ratio: int, pool: Tokens, rng: _Rng) -> Tokens:
    """Return a text somewhere inside a stretch of the pool that is `ratio` times as long.

    Raises:
        SchemeError: The pool is too short for that.

    """
    length = ratio * len(tokens)
    if len(pool) < length:
        raise SchemeError(f"{len(pool)} tokens of unmarked text, and {length} are needed")
    begin = int(rng.integers(0, len(pool) - length + 1))
    place = begin + int(rng.integers(0, length + 1))
    return np.concatenate([pool[begin:place], tokens, pool[place : begin + length]])


def _substitute(tokens: Tokens, share: float, pool: Tokens, rng: _Rng) -> Tokens:
    edited = tokens.copy()
    places = _some(len(tokens), share, rng)
    for _ in range(_REDRAWS):  # Until each is another token than it was.
        same = places[edited[places] == tokens[places]]
        if not len(same):
            break
        edited[same] = rng.choice(pool, len(same))
    return edited


def _delete(tokens: Tokens, share: float, _pool: Tokens, rng: _Rng) -> Tokens:
    return np.delete(tokens, _some(len(tokens), share, rng))


def _insert(tokens: Tokens, share: float, pool: Tokens, rng: _Rng) -> Tokens:
    count = round(share * len(tokens))
    places = rng.integers(0, len(tokens) + 1, count)
    return np.insert(tokens, places, rng.choice(pool, count))


def _crop(tokens: Tokens, share: float, _pool: Tokens, rng: _Rng) -> Tokens:
    kept = len(tokens) - round(share * len(tokens))
    begin = int(rng.integers(0, len(tokens) - kept + 1))
    return tokens[begin : begin + kept].copy()


def _some(count: int, share: float, rng: _Rng) -> NDArray[np.int64]:
    """Return `share` of the places below `count`, each at most once, in order."""
    return np.sort(rng.choice(count, round(share * count), replace=False)).astype(np.int64)


def _again(text: str, _share: float, _rng: _Rng) -> str:
    return text


def _replaced(text: str, places: NDArray[np.int64], new: Callable[[str], str]) -> str:
    characters = list(text)
    for place in places.tolist():
        characters[place] = new(characters[place])
    return "".join(characters)


def _places(text: str, share: float, rng: _Rng, wanted: Callable[[str], bool]) -> NDArray[np.int64]:
    there = np.array([i for i, character in enumerate(text) if wanted(character)], np.int64)
    return there[_some(len(there), share, rng)]


_TWIN: Final = {
    latin: (cyrillic or greek)[0]
    for latin, (cyrillic, greek, _) in LOOK_ALIKES.items()
    if cyrillic or greek
}


def _homoglyphs(text: str, share: float, rng: _Rng) -> str:
    return _replaced(text, _places(text, share, rng, _TWIN.__contains__), _TWIN.__getitem__)


def _zero_width(text: str, share: float, rng: _Rng) -> str:
    places = _places(text, share, rng, " ".__eq__)
    return _replaced(text, places, lambda blank: blank + "\u200b")


def _smart_quotes(text: str, _share: float, _rng: _Rng) -> str:
    text = re.sub(r'(^|[\s(\[])"', "\\1\u201c", text, flags=re.MULTILINE).replace('"', "\u201d")
    text = re.sub(r"(^|[\s(\[])'", "\\1\u2018", text, flags=re.MULTILINE).replace("'", "\u2019")
    return text.replace("--", "\u2014").replace("...", "\u2026")


def _lower_case(text: str, _share: float, _rng: _Rng) -> str:
    return text.lower()


def _whitespace(text: str, _share: float, _rng: _Rng) -> str:
    """Wrap each paragraph into lines, as e-mail and plain-text editors do."""
    return "\n\n".join(
        textwrap.fill(
            paragraph,
            _LINE_CHARACTERS,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for paragraph in text.split("\n\n")
    )


def _markdown(text: str, share: float, rng: _Rng) -> str:
    """Make some words bold, the first line a heading, and every other one of a list."""
    words = re.split(r"(\s+)", text)
    full = np.array([i for i, word in enumerate(words) if word.isalpha()], np.int64)
    for place in full[_some(len(full), share, rng)].tolist():
        words[place] = f"**{words[place]}**"
    first, *lines = "".join(words).split("\n")
    return "\n".join([f"## {first}", *(f"- {line}" if line.strip() else line for line in lines)])


def _typos(text: str, share: float, rng: _Rng) -> str:
    """Leave a letter out, write it twice, or swap it with the next one."""
    characters = list(text)
    for place in _places(text, share, rng, str.isalpha).tolist():
        kind = int(rng.integers(0, 3))
        if kind == 0:
            characters[place] = ""
        elif kind == 1:
            characters[place] *= 2
        elif place + 1 < len(characters):
            characters[place : place + 2] = characters[place + 1], characters[place]
    return "".join(characters)


def _shuffle_sentences(text: str, _share: float, rng: _Rng) -> str:
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    return " ".join(sentences[i] for i in rng.permutation(len(sentences)))


_SHARES: Final = (0.1, 0.2, 0.3, 0.5)
TOKEN_EDITS: Final = (
    *(TokenEdit(name="substitute", strength=share, apply=_substitute) for share in _SHARES),
    *(TokenEdit(name="delete", strength=share, apply=_delete) for share in _SHARES),
    *(TokenEdit(name="insert", strength=share, apply=_insert) for share in _SHARES),
    TokenEdit(name="crop", strength=0.5, apply=_crop),
)
TEXT_EDITS: Final = (
    TextEdit(name="tokenize-again", strength=0.0, apply=_again),
    TextEdit(name="homoglyphs", strength=0.05, apply=_homoglyphs),
    TextEdit(name="zero-width", strength=0.3, apply=_zero_width),
    TextEdit(name="smart-quotes", strength=1.0, apply=_smart_quotes),
    TextEdit(name="lower-case", strength=1.0, apply=_lower_case),
    TextEdit(name="whitespace", strength=1.0, apply=_whitespace),
    TextEdit(name="markdown", strength=0.05, apply=_markdown),
    TextEdit(name="typos", strength=0.02, apply=_typos),
    TextEdit(name="sentence-shuffle", strength=1.0, apply=_shuffle_sentences),
)
