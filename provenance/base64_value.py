"""A manifest store as one Base64 value (RFC 4648 section 4), in the one spelling it has.

Model formats carry a store as text. The text is what no hash covers, so that a second spelling of
the same store - a line break, other bits behind the last byte - would be a change nobody sees.
"""

from __future__ import annotations

import base64
import binascii

from countermark.provenance.errors import MalformedContentError

__all__ = ["UNHASHED", "base64_length", "decode_base64", "encode_base64"]

UNHASHED = bytes(32)  # The digest of a layout that nobody has hashed anything for yet.


def base64_length(size_bytes: int) -> int:
    """Return how many characters that many bytes take."""
    return (size_bytes + 2) // 3 * 4


def encode_base64(data: bytes) -> bytes:
    """Return the text of `data`, with padding and without line breaks."""
    return base64.b64encode(data)


def decode_base64(text: bytes, what: str, offset: int) -> bytes:
    """Return the bytes that `text` stands for.

    Args:
        text: RFC 4648 section 4, as it stands in the file, JSON escapes included.
        what: What it stands in, for messages.
        offset: Where it stands.

    Raises:
        MalformedContentError: It is empty, or not written as `encode_base64` writes: no hash
            covers it, so that another spelling would be a change that nobody sees.

    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise MalformedContentError(f"{what} is not Base64", offset=offset) from e
    if not data or base64.b64encode(data) != text:
        reason = "is spelled in a second way" if data else "is empty"
        raise MalformedContentError(f"{what} {reason}", offset=offset)
    return data
