"""Block trees and tensor trees of a file: spec tree-v1.

One BLAKE3 pass over a file gives two roots. The block root lets a reader check any single
mebibyte; the tensor root says which tensors a safetensors file holds, whatever shard they
lie in. This module hashes bytes that it is given; it opens no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from countermark.signing.errors import FileChangedError, MalformedTreeError, VerificationError
from countermark.signing.merkle import BLAKE3, DIGEST_BYTES, root
from countermark.signing.names import printable
from countermark.signing.safetensors import SafetensorsHeader
from countermark.signing.tensors import (
    TensorRoot,
    diff_tensors,
    parse_tensor_row,
    tensor_entry,
    tensor_root_of,
)
from countermark.signing.verdict import Outcome, Verdict, failed

__all__ = [
    "BLOCK_BYTES",
    "FileTree",
    "TensorRoot",
    "TreeBuilder",
    "block_count",
    "block_digest",
    "block_root_of",
    "blocks_of",
    "diff_tensors",
    "first_bad_block",
    "parse_tensor_row",
    "segments_of",
    "tensor_entry",
    "tensor_root_of",
    "verify_block",
    "verify_tensor",
]

BLOCK_BYTES = 1 << 20
MAX_FILE_BYTES = 2**63 - 1

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTree:
    """Everything tree-v1 says about one file.

    Attributes:
        block_root: RFC 6962/BLAKE3 root over all block digests, 32 bytes.
        block_digests: 32 bytes per block, in file order.
        segments: Lengths in bytes; header and tensors, or the whole file.
        tensors: Sorted by name; empty if the file is not safetensors.
        tensor_root: Root of the tensor tree, 32 bytes; None if the file is not safetensors.

    """

    block_root: bytes
    block_digests: bytes
    segments: tuple[int, ...]
    tensors: tuple[TensorRoot, ...]
    tensor_root: bytes | None


def segments_of(header: SafetensorsHeader | None, file_bytes: int) -> tuple[int, ...]:
    """Return the segment lengths of a file; pass None if it is not valid safetensors.

    Raises:
        MalformedTreeError: The header describes a file of another length.

    """
    if header is None:
        return (file_bytes,)
    lengths = (tensor.end - tensor.begin for tensor in header.tensors)
    segments = (header.header_bytes, *lengths)
    if sum(segments) != file_bytes:
        raise MalformedTreeError(f"segments of {sum(segments)} bytes, file of {file_bytes}")
    return segments


def blocks_of(segments: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (offset in the file, length) of every block, both in bytes."""
    offset = 0
    for segment in segments:
        end = offset + segment
        while offset < end:
            length = min(BLOCK_BYTES, end - offset)
            yield offset, length
            offset += length


def block_count(segments: Iterable[int]) -> int:
    """Return how many blocks these segments are cut into."""
    return sum(-(-segment // BLOCK_BYTES) for segment in segments)


def block_digest(block: Bytes) -> bytes:
    """Return the plain BLAKE3-256 of one block, as `b3sum` prints it."""
    from blake3 import blake3

    return blake3(block).digest()


def block_root_of(block_digests: bytes) -> bytes:
    """Return the RFC 6962/BLAKE3 root over concatenated 32-byte digests.

    Raises:
        MalformedTreeError: The length is not a multiple of 32.

    """
    return root(_split_digests(block_digests), BLAKE3)


class TreeBuilder:
    """Hashes a file that streams through, whatever the size of its chunks.

    Args:
        segments: From `segments_of`.
        header: The header the segments came from; without it no tensor tree is built.
            It must come from the very bytes that are hashed: the caller holds the file
            open and checks that it did not change between both reads.

    """

    def __init__(self, segments: Sequence[int], header: SafetensorsHeader | None = None) -> None:
        from blake3 import blake3

        self._segments = tuple(segments)
        if any(length < 0 for length in self._segments) or sum(self._segments) > MAX_FILE_BYTES:
            raise MalformedTreeError("segment lengths out of range")
        if header is not None and segments_of(header, sum(self._segments)) != self._segments:
            raise MalformedTreeError("the segments are not those of the header")
        self._blake3 = blake3
        self._header = header
        self._digests = bytearray()
        self._lengths = (length for _, length in blocks_of(self._segments))
        self._want = next(self._lengths, 0)  # Bytes of the current block still to come.
        self._partial = blake3()
        self._filled = False  # Whether `_partial` holds the start of the current block.

    def update(self, chunk: Bytes) -> None:
        """Hash the next bytes of the file.

        Raises:
            FileChangedError: There are more bytes than the segments declare.

        """
        view = memoryview(chunk).cast("B")
        position, end = 0, len(view)
        while position < end:
            want = self._want
            if not want:
                raise FileChangedError("the file grew while it was read")
            if end - position < want:
                self._partial.update(view[position:])
                self._filled = True
                self._want = want - (end - position)
                return
            if self._filled:
                self._partial.update(view[position : position + want])
                self._digests += self._partial.digest()
                self._partial.reset()
                self._filled = False
            else:  # The usual case: a whole block, hashed in place.
                self._digests += self._blake3(view[position : position + want]).digest()
            position += want
            self._want = next(self._lengths, 0)

    def finish(self) -> FileTree:
        """Return the trees.

        Raises:
            FileChangedError: There were fewer bytes than the segments declare.

        """
        if self._want:
            raise FileChangedError("the file was truncated while it was read")
        digests = bytes(self._digests)
        tensors = self._tensors(digests)
        return FileTree(
            block_root=block_root_of(digests),
            block_digests=digests,
            segments=self._segments,
            tensors=tensors,
            tensor_root=None if self._header is None else tensor_root_of(tensors),
        )

    def _tensors(self, digests: bytes) -> tuple[TensorRoot, ...]:
        if self._header is None:
            return ()
        tensors: list[TensorRoot] = []
        position = DIGEST_BYTES * block_count(self._segments[:1])
        for tensor, size in zip(self._header.tensors, self._segments[1:], strict=True):
            end = position + DIGEST_BYTES * block_count((size,))
            tensors.append(
                TensorRoot(
                    name=tensor.name,
                    dtype=tensor.dtype,
                    shape=tensor.shape,
                    size_bytes=size,
                    root=block_root_of(digests[position:end]),
                )
            )
            position = end
        return tuple(sorted(tensors, key=lambda tensor: tensor.name))


def first_bad_block(
    signed_digests: bytes, found_digests: bytes, segments: Sequence[int]
) -> tuple[int, int] | None:
    """Return (offset, length) in bytes of the first block that is not as signed.

    Args:
        signed_digests: Concatenated, and already checked against a signed root.
        found_digests: Concatenated, of the file at hand.
        segments: Of the signed file.

    Returns:
        None if all are equal. If only blocks behind the signed file's end were added, its
        end and a length of 0.

    Raises:
        MalformedTreeError: The signed digests do not fit the segments.

    """
    if len(signed_digests) != DIGEST_BYTES * block_count(segments):
        raise MalformedTreeError("the block digests do not fit the segments")
    if signed_digests == found_digests:
        return None
    signed = memoryview(signed_digests)
    found = memoryview(found_digests)
    for index, block in enumerate(blocks_of(segments)):
        at = slice(DIGEST_BYTES * index, DIGEST_BYTES * (index + 1))
        if signed[at] != found[at]:
            return block
    return sum(segments), 0


def verify_block(block: Bytes, index: int, *, segments: Sequence[int], digests: bytes) -> None:
    """Check one block of a file before its bytes are used.

    Args:
        block: The block's bytes, whole.
        index: Which block of the file it is, from 0.
        segments: Of the signed file.
        digests: All block digests, already checked against a signed root.

    Raises:
        MalformedTreeError: There is no such block.
        VerificationError: These are not the signed bytes.

    """
    want = digests[DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)] if index >= 0 else b""
    if len(want) != DIGEST_BYTES or len(digests) != DIGEST_BYTES * block_count(segments):
        raise MalformedTreeError(f"no block {index} in these leaves")
    _verify(f"block {index}", block_digest(block), want)


def verify_tensor(data: Bytes, signed: TensorRoot) -> None:
    """Check one tensor's bytes before they are used.

    Args:
        data: All of the tensor's data.
        signed: Its entry, from a tensor list already checked against a signed root.

    Raises:
        VerificationError: These are not the signed bytes.

    """
    view = memoryview(data).cast("B")
    if len(view) == signed.size_bytes:
        blocks = (view[at : at + size] for at, size in blocks_of((len(view),)))
        got = root((block_digest(block) for block in blocks), BLAKE3)
    else:
        got = b""
    _verify(f"tensor {printable(signed.name[:200])}", got, signed.root)


def _verify(what: str, got: bytes, want: bytes) -> None:
    if got != want:
        sentence = f"{what} is not the one that was signed"
        check = failed("data-changed", Outcome.TAMPERED, sentence)
        raise VerificationError(Verdict(subject=what, checks=(check,)))


def _split_digests(block_digests: bytes) -> Iterator[bytes]:
    if len(block_digests) % DIGEST_BYTES:
        raise MalformedTreeError(f"{len(block_digests)} bytes are no whole number of digests")
    for at in range(0, len(block_digests), DIGEST_BYTES):
        yield block_digests[at : at + DIGEST_BYTES]
