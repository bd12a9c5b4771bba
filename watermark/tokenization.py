"""Text to the token ids that a model reads and writes, by its own tokenizer.

A mark is a relation between ids, so the tokenizer has to be the very one the key was made for:
its file's SHA-256 is what keys and descriptors name. The file is untrusted input, like the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from countermark.signing import strict_json
from countermark.signing.errors import MissingExtraError
from countermark.signing.names import printable
from countermark.signing.places import read_evidence
from countermark.watermark.documents import MAX_TOKEN_ID
from countermark.watermark.errors import (
    MalformedInputError,
    MalformedTokenizerError,
    WrongTokenizerError,
)
from countermark.watermark.normalise import MAX_TEXT_CHARACTERS

if TYPE_CHECKING:
    import tokenizers

__all__ = ["MAX_TOKENIZER_BYTES", "TOKENIZER_FILE", "Tokenizer", "load_tokenizer"]

MAX_TOKENIZER_BYTES: Final = 128 * 1024 * 1024
TOKENIZER_FILE: Final = "tokenizer.json"
_TOGETHER_CHARACTERS: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A tokenizer that adds, cuts and pads nothing; picklable, and usable from several threads.

    Attributes:
        sha256: Of the bytes of its file, 64 lowercase hex digits.
        vocabulary: One more than its highest id; added tokens count.

    """

    sha256: str
    vocabulary: int
    _backend: tokenizers.Tokenizer = field(repr=False, compare=False)

    @property
    def vocabulary_sha256(self) -> str:
        """Digest of which id means which token: equal for files that differ in nothing else.

        SHA-256 of the canonical JSON list of [id, token], by id; added tokens count
        (specs/watermark-common-pairs-v1, section 4.5).
        """
        tokens = sorted((number, token) for token, number in self._backend.get_vocab(True).items())
        return hashlib.sha256(strict_json.dumps(tokens)).hexdigest()

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Return the token ids of each text, uint32 [tokens], without special tokens.

        Raises:
            MalformedInputError: A text holds a lone surrogate, is longer than
                `MAX_TEXT_CHARACTERS`, or has parts that this tokenizer has no ids for.

        """
        for text in texts:
            _check_text(text)
        ids: list[NDArray[np.uint32]] = []
        for part in _parts(texts):
            with _refusals(MalformedInputError, "the tokenizer cannot encode this text"):
                encodings = self._backend.encode_batch_fast(part, add_special_tokens=False)
            ids += [np.array(encoding.ids, np.uint32) for encoding in encodings]
        return ids

    def encode_with_offsets(self, text: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return a text's ids, and the characters of `text` that each came from.

        Returns:
            uint32 [tokens], as `encode_batch` gives them, and int64 [tokens, 2]: token i is
            `text[offsets[i, 0]:offsets[i, 1]]`. Tokens that share one character overlap.

        Raises:
            MalformedInputError: As for `encode_batch`.

        """
        _check_text(text)
        with _refusals(MalformedInputError, "the tokenizer cannot encode this text"):
            encoding = self._backend.encode(text, add_special_tokens=False)
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        return np.array(encoding.ids, np.uint32), offsets

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """Return the text of token ids, special tokens included.

        Raises:
            MalformedInputError: An id is not from 0 up to `vocabulary`.

        """
        plain = [int(token) for token in ids]
        for token in plain:
            if not 0 <= token < self.vocabulary:
                raise MalformedInputError(
                    f"token id {token}, but the vocabulary has {self.vocabulary} ids"
                )
        with _refusals(MalformedInputError, "the tokenizer cannot decode these ids"):
            return self._backend.decode(plain, skip_special_tokens=False)


def load_tokenizer(path: Path, *, sha256: str | None = None) -> Tokenizer:
    """Read a `tokenizer.json`, or the one in a folder.

    Args:
        path: The file, or the folder that holds it.
        sha256: What a key or descriptor says the file's digest is; None if it says nothing.

    Raises:
        WrongTokenizerError: The file's digest is another.
        MalformedTokenizerError: It is not a tokenizer, over `MAX_TOKENIZER_BYTES`, or has ids
            over `MAX_TOKEN_ID`.
        MalformedError: It is no regular file.
        MissingExtraError: The package `tokenizers` is not installed.
        OSError: It is not there, or the disk refused.

    """
    file = path / TOKENIZER_FILE if path.is_dir() else path
    data = read_evidence(file, MAX_TOKENIZER_BYTES)
    if len(data) > MAX_TOKENIZER_BYTES:
        raise MalformedTokenizerError(
            f"{printable(str(file))}: over {MAX_TOKENIZER_BYTES} bytes, no tokenizer is"
        )
    digest = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, digest):
        raise WrongTokenizerError(
            f"{printable(str(file))}: sha256 is {digest}, the key is for {sha256}",
            hint="give the tokenizer of the model that wrote the text",
        )
    backend = _parse(data, printable(str(file)))
    # Ids need not be without holes: the highest counts, not how many there are.
    highest = max(backend.get_vocab(with_added_tokens=True).values(), default=-1)
    if not 0 <= highest <= MAX_TOKEN_ID:
        raise MalformedTokenizerError(
            f"{printable(str(file))}: highest token id {highest}, expected 0 to {MAX_TOKEN_ID}"
        )
    return Tokenizer(digest, highest + 1, backend)


def _parse(data: bytes, name: str) -> tokenizers.Tokenizer:
    try:
        import tokenizers
    except ImportError as e:
        raise MissingExtraError("reading text with a tokenizer", "watermark") from e
    with _refusals(MalformedTokenizerError, f"{name}: not a tokenizer.json"):
        backend = tokenizers.Tokenizer.from_buffer(data)
        # A file may ask for either; cut or padded text is another text.
        backend.no_truncation()
        backend.no_padding()
        if isinstance(backend.model, tokenizers.models.BPE):
            backend.model.dropout = None  # Or every run would give other ids.
        return backend


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts, so many at a time that what is built of them fits the caches.

    The package builds 100 bytes and a string for each token. Two thousand texts of 400 tokens at
    once took 1.3 times as long as 64 at a time.
    """
    part: list[str] = []
    characters = 0
    for text in texts:
        if part and characters + len(text) > _TOGETHER_CHARACTERS:
            yield part
            part, characters = [], 0
        part.append(text)
        characters += len(text)
    if part:
        yield part


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise MalformedInputError(f"{len(text)} characters of text, limit {MAX_TEXT_CHARACTERS}")
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        raise MalformedInputError(f"character {e.start} of the text is half of a pair") from e


@contextmanager
def _refusals(
    error: type[MalformedInputError | MalformedTokenizerError], what: str
) -> Iterator[None]:
    """Turn what the `tokenizers` package raises for bad input into `error`.

    It has no classes of its own: bad input is an `Exception` or `ValueError` of exactly that
    class, or a panic, whose class cannot be imported. Any other is a mistake of ours, and passes.
    """
    try:
        yield
    except BaseException as e:
        if type(e) not in (Exception, ValueError) and type(e).__name__ != "PanicException":
            raise
        raise error(f"{what}: {printable(str(e))[:200]}") from e
