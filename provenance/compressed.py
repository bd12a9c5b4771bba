"""What is inside a `brob` box: a manifest compressed with Brotli (C2PA 2.5 11.5.2, RFC 7932).

Brotli is an optional package; without it a compressed manifest is refused as unsupported. A few
hundred bytes can stand for gigabytes, so what comes out is counted while it comes.
"""

from __future__ import annotations

import importlib

from countermark.provenance.errors import MalformedStoreError, UnsupportedContentError
from countermark.provenance.jumbf import Budget

__all__ = ["decompress"]

_STEP_BYTES = 64 << 10


def decompress(data: memoryview, *, budget: Budget, offset: int) -> bytes:
    """Return the decompressed content of a `brob` box.

    Args:
        data: One Brotli stream, and nothing after it.
        budget: What is left of the store's limits; what comes out is taken from it, even if it
            is refused in the end, so that a hundred bombs cost no more than one.
        offset: Where it lies in the store.

    Raises:
        MalformedStoreError: It is no such stream, or stands for more
            than the budget.
        UnsupportedContentError: No Brotli with a bounded decoder is installed.

    """
    try:
        brotli = importlib.import_module("brotli")
    except ImportError as e:
        raise _unsupported() from e
    decoder = brotli.Decompressor()
    if not hasattr(decoder, "can_accept_more_data"):  # Before 1.2 nothing bounds its output.
        raise _unsupported()
    result = bytearray()
    fed = bytes(data)
    try:
        while not decoder.is_finished():
            piece = decoder.process(fed, output_buffer_limit=_STEP_BYTES)
            if not piece and decoder.can_accept_more_data() and not decoder.is_finished():
                raise MalformedStoreError("a compressed manifest that ends early", offset=offset)
            fed = b""
            budget.take_bytes(len(piece), offset)
            result += piece
    except brotli.error as e:
        raise MalformedStoreError("a compressed manifest that is no Brotli", offset=offset) from e
    return bytes(result)


def _unsupported() -> UnsupportedContentError:
    return UnsupportedContentError(
        "the manifest is compressed, and the package brotli is not here to read it",
        hint="pip install 'brotli>=1.2'",
    )
