"""The hash of a file without some of its bytes: the data hash of C2PA 2.5 14.12.1.1.

Shared by the sidecar and by every carrier that hashes bytes as they are stored. One buffer, one
pass: as fast as the hash.
"""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

from countermark.provenance.carrier import Exclusion
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.ranges import hash_range, rest_of

__all__ = ["ALGORITHMS", "content_bytes", "digest_outside"]

ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})  # C2PA 2.5 12.1: these, and no others.


def content_bytes(source: BinaryIO) -> int:
    """Return how long a source is."""
    return source.seek(0, io.SEEK_END)


def digest_outside(source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
    """Return the hash of all bytes of a source but those excluded.

    Args:
        source: Seekable; read from its beginning, wherever it stands.
        exclusions: In order, apart from each other.
        algorithm: One of `ALGORITHMS`.

    Raises:
        MalformedContentError: The source is shorter than that, or became so while it was read.

    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"hash algorithm {algorithm!r}")
    end = content_bytes(source)
    at = 0
    for start, length in exclusions:
        if not at <= start <= start + length:
            raise ValueError(f"exclusion of {length} bytes at {start}, after byte {at}")
        at = start + length
    if at > end:  # It was longer when its exclusions were found.
        raise MalformedContentError("the file ends too early", offset=end)
    hasher = hashlib.new(algorithm)
    for start, length in rest_of(end, exclusions):
        hash_range(hasher, source, start, length)
    return hasher.digest()
