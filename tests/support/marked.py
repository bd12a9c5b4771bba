"""Marked and unmarked text without a language model: ids of the tape, words of a tokenizer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.keymaking import add_key
from countermark.watermark.keyring import KeyEntry, KeyRing
from countermark.watermark.keys import Labels
from countermark.watermark.sampling import Marker
from countermark.watermark.schemes import sampler_of
from support.tape import from_logits, load_tape, simulate, temperature_for, unmarked

__all__ = ["VOCABULARY", "WORDS", "make_tokenizer", "new_key", "words_of", "written"]

VOCABULARY = 49_152
WORDS = 4096
_ONSETS, _VOWELS = "bcdfghjklmnprstv", "aeio"


def new_key(
    scheme: str = "countermark-gumbel-v1", *, seed: int = 1, epoch: str = "", **about: object
) -> KeyEntry:
    """Return a key as a detector has it; scheme, labels and `seed` make it."""
    labels = Labels(model="m", epoch=epoch)
    random = np.random.default_rng(seed).bytes
    ring, key = add_key(KeyRing(), random, scheme=scheme, parameters={}, labels=labels, **about)  # type: ignore[arg-type]
    return ring.export([key.id]).keys[0]


def written(
    tokens: int, *, seed: int, key: KeyEntry | None = None, bits: float = 5.0
) -> NDArray[np.uint32]:
    """Return ids of so much entropy over `VOCABULARY`, drawn with a key or by chance alone."""
    rng = np.random.default_rng(seed)
    dice = np.random.default_rng(seed + 1_000_000)
    tape = load_tape()
    sampler = unmarked(dice)
    if key is not None:
        sampler = from_logits(Marker(sampler_of(key), dice), tape.vocabulary)
    return simulate(tape, sampler, tokens, rng, _temperature(bits))


@cache
def _temperature(bits: float) -> float:
    return temperature_for(load_tape(), bits)


def make_tokenizer(path: Path) -> Path:
    """Train a tokenizer of `WORDS` words and one for unknown ones, and write it."""
    import tokenizers

    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordLevelTrainer(
        vocab_size=WORDS + 1, special_tokens=["[UNK]"], show_progress=False
    )
    backend.train_from_iterator([_word(i) for i in range(WORDS)], trainer)
    path.write_text(backend.to_str(), encoding="utf-8")
    return path


def words_of(
    tokenizer: Path, tokens: int, *, seed: int, key: KeyEntry | None = None, choices: int = 32
) -> str:
    """Return so many words, each one of `choices` that are equally likely."""
    import tokenizers

    backend = tokenizers.Tokenizer.from_file(str(tokenizer))
    rng = np.random.default_rng(seed)
    dice = np.random.default_rng(seed + 1_000_000)
    marker = None if key is None else Marker(sampler_of(key), dice)
    ids: list[int] = []
    for _ in range(tokens):
        candidates = 1 + rng.choice(WORDS, choices, replace=False)
        logits = np.full(WORDS + 1, -np.inf, np.float32)
        logits[candidates] = 0.0
        chance = int(candidates[dice.integers(choices)])
        ids.append(chance if marker is None else marker(logits, ids))
    return " ".join(str(backend.id_to_token(token)) for token in ids)


def _word(number: int) -> str:
    syllables = []
    for _ in range(2):
        number, rest = divmod(number, len(_ONSETS) * len(_VOWELS))
        syllables.append(_ONSETS[rest % len(_ONSETS)] + _VOWELS[rest // len(_ONSETS)])
    return "".join(syllables)
