"""The leaves file: all block digests of a signed model, beside its signature.

A signature holds one block root per file; checking a part of a file needs the digests
below it. They are stored as a safetensors container whose name does not end in
`.safetensors`, so no loader takes it for weights (spec tree-v1 section 6).

A leaves file is not signed. What `decode` returns is hostile until `check` has held it
against a block root that came out of a verified signature.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from countermark.signing.errors import (
    MalformedSafetensorsError,
    MalformedTreeError,
    TooLargeError,
)
from countermark.signing.merkle import DIGEST_BYTES
from countermark.signing.names import check_name, printable
from countermark.signing.places import LEAVES_SUFFIX
from countermark.signing.safetensors import (
    LENGTH_BYTES,
    MAX_TENSORS,
    Tensor,
    read_header,
)
from countermark.signing.trees import MAX_FILE_BYTES, block_count, block_root_of

__all__ = ["LEAVES_SUFFIX", "MAX_LEAVES_BYTES", "FileLeaves", "check", "decode", "encode"]

MAX_LEAVES_BYTES = 1 << 28  # Eight million blocks: 8 TiB of weights.
MAX_FILES = MAX_TENSORS // 2
FORMAT = "countermark-leaves-v1"
_BLOCKS = "blocks/"
_SEGMENTS = "segments/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLeaves:
    """The leaves of one file's block tree.

    Attributes:
        segments: Segment lengths in bytes.
        block_digests: 32 bytes per block, in file order.

    """

    segments: tuple[int, ...]
    block_digests: bytes


def encode(leaves: Mapping[str, FileLeaves]) -> bytes:
    """Return the leaves file for these model paths; equal input gives equal bytes.

    Raises:
        UnsafeNameError: A path is no safe model path.
        MalformedTreeError: Digests and segments of a file do not fit together.
        TooLargeError: The result would be over `MAX_LEAVES_BYTES`, or over `MAX_FILES` files.

    """
    if len(leaves) > MAX_FILES:
        raise TooLargeError("leaves file", size=len(leaves), limit=MAX_FILES, unit="files")
    tensors: dict[str, tuple[str, list[int], bytes]] = {}
    for path, file in leaves.items():
        _check_path(path)
        _check_fit(path, file)
        count = len(file.block_digests) // DIGEST_BYTES
        tensors[_BLOCKS + path] = ("U8", [count, DIGEST_BYTES], file.block_digests)
        lengths = struct.pack(f"<{len(file.segments)}Q", *file.segments)
        tensors[_SEGMENTS + path] = ("U64", [len(file.segments)], lengths)
    header: dict[str, object] = {"__metadata__": {"format": FORMAT}}
    position = 0
    for name in sorted(tensors):
        dtype, shape, data = tensors[name]
        offsets = [position, position + len(data)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        position += len(data)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    size = LENGTH_BYTES + len(text) + position
    if size > MAX_LEAVES_BYTES:
        raise TooLargeError("leaves file", size=size, limit=MAX_LEAVES_BYTES)
    prefix = len(text).to_bytes(LENGTH_BYTES, "little")
    return b"".join((prefix, text, *(tensors[name][2] for name in sorted(tensors))))


def decode(data: bytes) -> dict[str, FileLeaves]:
    """Parse a leaves file. The result is untrusted until `check` has accepted it.

    Raises:
        TooLargeError: It is over `MAX_LEAVES_BYTES`.
        MalformedTreeError: It is not a leaves file.
        UnsafeNameError: A path is no safe model path.

    """
    if len(data) > MAX_LEAVES_BYTES:
        raise TooLargeError("leaves file", size=len(data), limit=MAX_LEAVES_BYTES)
    try:
        header = read_header(lambda at, length: data[at : at + length], len(data))
    except MalformedSafetensorsError as e:
        raise MalformedTreeError(f"leaves file: {e}") from e
    if header.metadata != (("format", FORMAT),):
        raise MalformedTreeError(f"leaves file: its metadata does not say {FORMAT}, and only that")
    blocks: dict[str, bytes] = {}
    segments: dict[str, tuple[int, ...]] = {}
    for tensor in header.tensors:
        start = header.header_bytes
        payload = data[start + tensor.begin : start + tensor.end]
        if tensor.name.startswith(_BLOCKS):
            blocks[_path(tensor, _BLOCKS)] = _blocks(tensor, payload)
        elif tensor.name.startswith(_SEGMENTS):
            segments[_path(tensor, _SEGMENTS)] = _segments(tensor, payload)
        else:
            raise MalformedTreeError(f"leaves file: unknown tensor {printable(tensor.name[:80])}")
    if blocks.keys() != segments.keys():
        raise MalformedTreeError("leaves file: a path lacks its blocks or its segments")
    result: dict[str, FileLeaves] = {}
    for path in sorted(blocks):
        file = FileLeaves(segments=segments[path], block_digests=blocks[path])
        _check_fit(path, file)
        result[path] = file
    return result


def check(leaves: FileLeaves, block_root: bytes) -> None:
    """Hold leaves against a block root from a verified signature.

    Raises:
        MalformedTreeError: The digests do not give that root.

    """
    _check_fit("", leaves)
    if block_root_of(leaves.block_digests) != block_root:
        raise MalformedTreeError("the block digests do not give the signed block root")


def _path(tensor: Tensor, prefix: str) -> str:
    return _check_path(tensor.name.removeprefix(prefix))


def _check_path(path: str) -> str:
    # OMS names the only file of a single-file model ".".
    return path if path == "." else check_name(path)


def _blocks(tensor: Tensor, payload: bytes) -> bytes:
    if tensor.dtype != "U8" or len(tensor.shape) != 2 or tensor.shape[1] != DIGEST_BYTES:
        raise MalformedTreeError(f"leaves file: blocks are not U8 [n, {DIGEST_BYTES}]")
    return payload


def _segments(tensor: Tensor, payload: bytes) -> tuple[int, ...]:
    if tensor.dtype != "U64" or len(tensor.shape) != 1:
        raise MalformedTreeError("leaves file: segments are not U64 [k]")
    return struct.unpack(f"<{tensor.shape[0]}Q", payload)


def _check_fit(path: str, file: FileLeaves) -> None:
    lengths = file.segments
    fits = (
        bool(lengths)
        and min(lengths) >= 0
        and sum(lengths) <= MAX_FILE_BYTES
        and len(file.block_digests) == DIGEST_BYTES * block_count(lengths)
    )
    if not fits:
        raise MalformedTreeError(f"leaves of {printable(path) or 'a file'}: digests do not fit")
