"""What tests let other processes do: these find a function by its module, and know no test."""

from __future__ import annotations

import os
from pathlib import Path

from countermark.watermark.batch import Document
from countermark.watermark.errors import MalformedInputError
from countermark.watermark.keymaking import add_key
from countermark.watermark.keyring import KeyRing
from countermark.watermark.keyring_files import exclusively, load_ring, save_ring
from countermark.watermark.keys import Labels
from countermark.watermark.normalise import variants

__all__ = ["add_to_ring", "add_up", "describe", "die", "one_key"]

_SCHEME = "countermark-gumbel-v1"


def describe(texts: list[str], *, refused: str = "refuse me") -> list[Document]:
    """Say which variants each text has: a core as real ones are, with a text it refuses."""
    if any(text == refused for text in texts):
        raise MalformedInputError("a text that nobody can judge")
    return [{"variants": [v.name for v in variants(text)], "size": len(text)} for text in texts]


def add_up(ids: list[list[int]]) -> list[Document]:
    return [{"sum": sum(of_one)} for of_one in ids]


def die(texts: list[str]) -> list[Document]:
    if "die" in texts:
        os._exit(9)
    return describe(texts)


def one_key(epoch: str = "", ring: KeyRing | None = None) -> KeyRing:
    return add_key(
        ring or KeyRing(), os.urandom, scheme=_SCHEME, parameters={}, labels=Labels(epoch=epoch)
    )[0]


def add_to_ring(path: Path, epoch: str) -> None:
    """Add a key to a ring that other processes add keys to."""
    with exclusively(path):
        save_ring(one_key(epoch, load_ring(path).ring), path, replace=True)
