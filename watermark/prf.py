"""The keyed function behind every mark of ours: AES-128 over packed context and token words.

Block words (little-endian uint32), for a context of `width` tokens, oldest first:

    domain, context…, zero padding, token        domain = tag | width << 8 | symbol << 16

The words fill whole AES blocks, with the token last. Width 1 and 2 take one block; wider ones
are chained as CBC-MAC (NIST SP 800-38B without its masks), which is a PRF on messages of
one length: the width, in the first block, keeps messages of different lengths apart (Bellare,
Kilian, Rogaway, "The security of the cipher block chaining message authentication code", 2000,
§5). Whoever has not the key cannot tell the output from random, whatever texts they saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError

__all__ = [
    "KEY_BYTES",
    "MAX_WIDTH",
    "SYMBOLS",
    "Tag",
    "blocks",
    "context_blocks",
    "symbol_sweeps",
    "vocabulary_blocks",
]

KEY_BYTES = 16
MAX_WIDTH = 14
SYMBOLS = 1 << 16
_WORDS = 4  # of one AES block
_BLOCK_BYTES = 16


class Tag(IntEnum):
    """What a block is drawn for. Two schemes never share an input, even under one key."""

    GUMBEL = 1
    TOURNAMENT = 2
    GREEN_LIST = 3
    PAYLOAD = 4
    PAYLOAD_POSITION = 5


def blocks(
    key: bytes,
    tag: int,
    documents: Documents,
    positions: NDArray[np.int64],
    width: int,
    *,
    symbols: NDArray[np.uint32] | None = None,
) -> NDArray[np.uint64]:
    """Return 128 pseudorandom bits for the token at each position, uint64 [M, 2].

    Args:
        key: 16 bytes.
        tag: A `Tag`.
        documents: Where the tokens are.
        positions: int64 [M]; each has `width` tokens of its own document before it.
        width: Context tokens, 1 to `MAX_WIDTH`.
        symbols: uint32 [M], each below `SYMBOLS`; all 0 if None.

    """
    message = _pairs(tag, documents, positions, width)
    if symbols is not None:
        message[:, 0] |= symbols << np.uint32(16)
    return _mac(_cipher(key), message)


def context_blocks(
    key: bytes,
    tag: int,
    documents: Documents,
    positions: NDArray[np.int64],
    width: int,
) -> NDArray[np.uint64]:
    """Return what `blocks` does with the token 0 at every position: bits of the context alone."""
    message = _pairs(tag, documents, positions, width)
    message[:, -1] = 0
    return _mac(_cipher(key), message)


def symbol_sweeps(
    key: bytes,
    tag: int,
    documents: Documents,
    positions: NDArray[np.int64],
    width: int,
) -> Iterator[NDArray[np.uint64]]:
    """Yield 128 pseudorandom bits under every symbol, uint64 [SYMBOLS, 2], for each position.

    As `blocks` otherwise. The array is lent until the next one: a sweep is a megabyte, and in new
    memory it would take twice as long.
    """
    cipher = _cipher(key)
    message = _pairs(tag, documents, positions, width)
    symbols = np.arange(SYMBOLS, dtype="<u8") << np.uint64(16)
    state = np.empty((SYMBOLS, 2), "<u8")
    out = np.empty((SYMBOLS + 1) * _BLOCK_BYTES, np.uint8)
    sweep = out[: SYMBOLS * _BLOCK_BYTES].view("<u8").reshape(SYMBOLS, 2)
    for row in message.view("<u8"):
        encryptor = cipher.encryptor()
        np.bitwise_or(symbols, row[0], out=state[:, 0])
        state[:, 1] = row[1]
        encryptor.update_into(state.view(np.uint8).reshape(-1).data, out.data)
        for first in range(2, len(row), 2):
            np.bitwise_xor(sweep[:, 0], row[first], out=state[:, 0])
            np.bitwise_xor(sweep[:, 1], row[first + 1], out=state[:, 1])
            encryptor.update_into(state.view(np.uint8).reshape(-1).data, out.data)
        yield sweep.astype(np.uint64, copy=False)


def vocabulary_blocks(
    key: bytes,
    tag: int,
    context: NDArray[np.uint32],
    candidates: NDArray[np.uint32],
    *,
    symbol: int = 0,
) -> NDArray[np.uint64]:
    """Return 128 pseudorandom bits for each candidate token after one context, uint64 [V, 2].

    Args:
        key: 16 bytes.
        tag: A `Tag`.
        context: uint32 [width], oldest first.
        candidates: uint32 [V] token ids.
        symbol: Below `SYMBOLS`.

    """
    width = len(context)
    message = _message(tag, width, len(candidates))
    message[:, 0] |= np.uint32(symbol << 16)
    message[:, 1 : width + 1] = context
    message[:, -1] = candidates
    return _mac(_cipher(key), message)


def _pairs(
    tag: int, documents: Documents, positions: NDArray[np.int64], width: int
) -> NDArray[np.uint32]:
    message = _message(tag, width, len(positions))
    _write_pairs(documents.tokens, positions, width, message)
    return message


@compiled
def _write_pairs(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    width: int,
    message: NDArray[np.uint32],
) -> None:
    last = message.shape[1] - 1
    for i in range(len(positions)):
        for back in range(width):
            message[i, width - back] = tokens[positions[i] - back - 1]
        message[i, last] = tokens[positions[i]]


def _message(tag: int, width: int, count: int) -> NDArray[np.uint32]:
    if not 1 <= width <= MAX_WIDTH:
        raise SchemeError(f"a context of {width} tokens; 1 to {MAX_WIDTH} are possible")
    words = -(-(width + 2) // _WORDS) * _WORDS
    message = np.zeros((count, words), "<u4")
    message[:, 0] = tag | width << 8
    return message


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    if len(key) != KEY_BYTES:
        raise SchemeError(f"a key of {len(key)} bytes, expected {KEY_BYTES}")
    # ECB is only the way to reach the bare permutation: nothing is being encrypted here.
    return Cipher(algorithms.AES128(key), modes.ECB())  # noqa: S305


def _mac(cipher: Cipher[modes.ECB], message: NDArray[np.uint32]) -> NDArray[np.uint64]:
    count, words = message.shape
    encryptor = cipher.encryptor()
    state = message[:, :_WORDS]
    for first in range(0, words, _WORDS):
        if first:
            state = state ^ message[:, first : first + _WORDS]
        # The library wants room for one block less a byte beyond what it writes.
        out = np.empty((count + 1) * _BLOCK_BYTES, np.uint8)
        encryptor.update_into(np.ascontiguousarray(state).view(np.uint8).reshape(-1).data, out.data)
        state = out[: count * _BLOCK_BYTES].view("<u4").reshape(count, _WORDS)
    return state.reshape(-1).view("<u8").astype(np.uint64, copy=False).reshape(count, 2)
