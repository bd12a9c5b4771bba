"""Marked and unmarked texts of random letters, and a tokenizer whose tokens are single bytes.

Every letter is as likely as every other, 6.6 bits a token, so that short texts show their mark; and
as no two bytes are merged, text that was decoded gives the same ids again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from countermark.watermark.keymaking import own_key
from countermark.watermark.keyring import KeyEntry
from countermark.watermark.keys import Labels, MasterKey
from countermark.watermark.sampling import Marker
from countermark.watermark.schemes import sampler_of

__all__ = ["byte_tokenizer", "key_of_tests", "letters", "marked", "unmarked", "write_jsonl"]

Tokens = NDArray[np.uint32]


def byte_tokenizer(path: Path) -> Path:
    """Write a tokenizer.json that merges nothing; return its path."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=256, initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator([], trainer)
    path.write_text(model.to_str(), encoding="utf-8")
    return path


def letters(path: Path) -> list[int]:
    """Return the ids of printable ASCII in a tokenizer of `byte_tokenizer`."""
    model = tokenizers.Tokenizer.from_file(str(path))
    text = "".join(chr(point) for point in range(0x20, 0x7F))
    return list(model.encode(text).ids)


def key_of_tests(epoch: str = "0") -> KeyEntry:
    """Return a key of Gumbel-max that is the same in every run."""
    return own_key(
        MasterKey(bytes(range(32))),
        scheme="countermark-gumbel-v1",
        parameters={},
        labels=Labels(epoch=epoch),
    )


def unmarked(among: Sequence[int], texts: int, tokens: int, seed: int) -> list[Tokens]:
    """Return random texts, uint32 [tokens] each."""
    rng = np.random.default_rng((seed, 0))
    return [rng.choice(np.array(among, np.uint32), tokens) for _ in range(texts)]


def marked(key: KeyEntry, among: Sequence[int], texts: int, tokens: int, seed: int) -> list[Tokens]:
    """Return random texts that `key` marked, uint32 [tokens] each."""
    logits = np.full(256, -np.inf, np.float32)
    logits[np.array(among)] = 0
    written = []
    for rng in np.random.default_rng((seed, 1)).spawn(texts):
        marker = Marker(sampler_of(key), rng)
        context: list[int] = []
        for _ in range(tokens):
            context.append(marker(logits, context))
        written.append(np.array(context, np.uint32))
    return written


def write_jsonl(path: Path, texts: Sequence[Tokens]) -> Path:
    """Write texts as records with token ids; return the path."""
    lines = [json.dumps({"ids": text.tolist()}) + "\n" for text in texts]
    path.write_text("".join(lines), encoding="utf-8")
    return path
