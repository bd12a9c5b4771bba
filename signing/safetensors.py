"""A strict reader for safetensors headers, so that a header has one meaning or none.

The format's own library keeps the last of two equal tensor names, ignores unknown fields
and takes names such as `../../x`. A signature over tensors must not depend on which reader
is asked, so whatever two readers could understand differently is refused here. Everything
accepted here is accepted by the library too. This module reads headers only, never
tensor data. The rules are numbered in specs/tree-v1 section 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from countermark.signing import strict_json
from countermark.signing.errors import (
    MalformedJsonError,
    MalformedSafetensorsError,
    TooLargeError,
)
from countermark.signing.names import printable

__all__ = [
    "DTYPE_BITS",
    "SafetensorsHeader",
    "Tensor",
    "check_tensor_name",
    "parse_header",
    "read_header",
    "tensor_bytes",
]

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
MAX_VALUES = 2_000_000
MAX_TENSORS = 131_072
MAX_RANK = 64
MAX_DIM = 2**53 - 1  # Above it RFC 8785 numbers, and many readers, lose the last digit.
MAX_TENSOR_BYTES = 2**63 - 1
MAX_TENSOR_NAME_BYTES = 8192
_FIELDS = frozenset({"dtype", "shape", "data_offsets"})
_WHAT = "safetensors header"

DTYPE_BITS: Mapping[str, int] = MappingProxyType(
    {
        "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
        "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
        "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    }
)  # fmt: skip

# The closing quote is optional, so that no input makes the search start over.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_OBVIOUSLY_FINE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class Tensor(NamedTuple):
    """One tensor of a header.

    Attributes:
        name: As in the header; hostile text, never a path.
        dtype: A key of `DTYPE_BITS`.
        shape: Dimensions; empty for a scalar.
        begin: Offset of the first byte, relative to the data section.
        end: Offset behind the last byte, relative to the data section.

    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsHeader(NamedTuple):
    """A header that holds together.

    Attributes:
        header_bytes: Length of everything before the data section: 8 + N.
        tensors: In offset order; equal offsets (empty tensors) in name order.
        metadata: The `__metadata__` pairs, in file order.

    """

    header_bytes: int
    tensors: tuple[Tensor, ...]
    metadata: tuple[tuple[str, str], ...]


def read_header(pread: Callable[[int, int], bytes], file_bytes: int) -> SafetensorsHeader:
    """Read and parse the header of a file or buffer.

    Args:
        pread: Gets (offset, length), returns that many bytes.
        file_bytes: Length of the whole file in bytes.

    Raises:
        MalformedSafetensorsError: The header breaks a rule; `.reason` names it.

    """
    if file_bytes < LENGTH_BYTES:
        _refuse("truncated", f"{file_bytes} bytes are too few for a header length")
    prefix = pread(0, LENGTH_BYTES)
    length = int.from_bytes(prefix, "little")
    if len(prefix) != LENGTH_BYTES:
        _refuse("truncated", "the file ends inside the header length")
    if length > MAX_HEADER_BYTES:
        _refuse("header-too-large", f"header of {length} bytes, limit {MAX_HEADER_BYTES}")
    if length > file_bytes - LENGTH_BYTES:
        _refuse("truncated", f"header of {length} bytes in a file of {file_bytes}")
    header_json = pread(LENGTH_BYTES, length)
    if len(header_json) != length:
        _refuse("truncated", "the file ends inside the header")
    return parse_header(header_json, file_bytes - LENGTH_BYTES - length)


def parse_header(header_json: bytes, data_bytes: int) -> SafetensorsHeader:
    """Parse the N header bytes that follow the length.

    Args:
        header_json: The header with its padding, without the 8 length bytes.
        data_bytes: Length of the data section that follows.

    Raises:
        MalformedSafetensorsError: The header breaks a rule; `.reason` names it.

    """
    document = _parse_json(header_json)
    metadata = _metadata(document.pop("__metadata__", {}))
    if len(document) > MAX_TENSORS:
        _refuse("too-many-tensors", f"{len(document)} tensors, limit {MAX_TENSORS}")
    tensors = [_tensor(name, entry) for name, entry in document.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end, tensor.name))
    _check_layout(tensors, data_bytes)
    return SafetensorsHeader(
        header_bytes=LENGTH_BYTES + len(header_json), tensors=tuple(tensors), metadata=metadata
    )


def tensor_bytes(dtype: str, shape: Iterable[int]) -> int:
    """Return how many bytes a tensor's data has.

    Raises:
        MalformedSafetensorsError: Unknown dtype, impossible shape, overflow, or a size
            that is no whole number of bytes.

    """
    bits = DTYPE_BITS.get(dtype)
    if bits is None:
        _refuse("unknown-dtype", f"dtype {printable(dtype[:40])}")
    dims = tuple(shape)
    if len(dims) > MAX_RANK:
        _refuse("rank-too-high", f"{len(dims)} dimensions, limit {MAX_RANK}")
    # The product skips zeros: [2**40, 2**40, 0] overflows in some readers and not in others.
    size_bits = bits
    for dim in dims:
        if not 0 <= dim <= MAX_DIM:
            _refuse("dimension-out-of-range", f"a dimension is not from 0 to {MAX_DIM}")
        size_bits *= dim or 1
        if size_bits > MAX_TENSOR_BYTES:
            _refuse("size-overflow", "the shape's product overflows")
    if 0 in dims:
        return 0
    if size_bits % 8:
        _refuse("partial-byte", f"{size_bits} bits of {dtype} are no whole number of bytes")
    return size_bits // 8


def check_tensor_name(name: str) -> None:
    """Refuse names that no reader, or not every tool, can handle safely.

    Raises:
        MalformedSafetensorsError: Empty, too long, NUL, a lone surrogate, or like a path
            that escapes.

    """
    if _OBVIOUSLY_FINE.fullmatch(name):
        return
    if not name or "\x00" in name or _utf8_bytes(name) > MAX_TENSOR_NAME_BYTES:
        _refuse("bad-tensor-name", f"tensor name {_short(name)!r}")
    # Tools that unpack tensors to files would write outside their folder.
    parts = name.replace("\\", "/").split("/")
    if (len(parts) > 1 and parts[0] == "") or ".." in parts or _DRIVE.match(name):
        _refuse("path-like-name", f"tensor name {_short(name)} looks like a path that escapes")


def _parse_json(header_json: bytes) -> dict[str, object]:
    if len(header_json) > MAX_HEADER_BYTES:
        _refuse("header-too-large", f"{len(header_json)} bytes, limit {MAX_HEADER_BYTES}")
    if not header_json.startswith(b"{"):
        _refuse("no-opening-brace", "the header does not start with '{'")
    text = header_json.rstrip(b" ")
    if not text.endswith(b"}"):
        _refuse("bad-padding", "something other than spaces follows the header's last '}'")
    # What remains without its strings tells, before anything is parsed, how many values
    # there are at most, and whether a string runs on to the end.
    bare = _STRING.sub(b"", text)
    if not bare.endswith(b"}"):
        _refuse("not-strict-json", "a string does not end")
    if sum(bare.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        _refuse("too-many-values", f"more than {MAX_VALUES} JSON values")
    try:
        document = strict_json.loads(text, what=_WHAT, max_bytes=MAX_HEADER_BYTES, max_depth=3)
    except (MalformedJsonError, TooLargeError) as e:
        raise MalformedSafetensorsError(str(e), reason="not-strict-json") from e
    if not isinstance(document, dict):
        _refuse("not-strict-json", "the header is not an object")
    return document


def _metadata(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        _refuse("bad-metadata", "__metadata__ is not an object")
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        if not isinstance(item, str):
            _refuse("bad-metadata", f"__metadata__ entry {_short(key)} is not a string")
        pairs.append((key, item))
    return tuple(pairs)


def _tensor(name: str, entry: object) -> Tensor:
    check_tensor_name(name)
    if not isinstance(entry, dict) or not entry.keys() >= _FIELDS:
        _refuse("bad-tensor-entry", f"{_short(name)}: expected dtype, shape, data_offsets")
    if len(entry) != len(_FIELDS):
        _refuse("unknown-field", f"{_short(name)}: {len(entry) - len(_FIELDS)} unknown fields")
    # A mapping pattern would say the same and take most of the time of a large header.
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list):
        _refuse("bad-tensor-entry", f"{_short(name)}: dtype is no string or shape no array")
    if not isinstance(offsets, list) or len(offsets) != 2:
        _refuse("bad-tensor-entry", f"{_short(name)}: data_offsets are not two numbers")
    dims = tuple(_integer(dim, name) for dim in shape)
    first, last = _integer(offsets[0], name), _integer(offsets[1], name)
    if last < first or last - first != tensor_bytes(dtype, dims):
        _refuse("size-mismatch", f"{_short(name)}: data_offsets do not fit dtype and shape")
    return Tensor(name=name, dtype=dtype, shape=dims, begin=first, end=last)


def _integer(value: object, name: str) -> int:
    # A bool is an int in Python, and 4.0 equals 4: neither is what the format says.
    if type(value) is not int or value < 0:
        _refuse("not-an-integer", f"{_short(name)}: expected integers that are not negative")
    return value


def _check_layout(tensors: list[Tensor], data_bytes: int) -> None:
    position = 0
    for tensor in tensors:
        if tensor.begin > position:
            _refuse("hole", f"{tensor.begin - position} bytes before {_short(tensor.name)}")
        if tensor.begin < position:
            _refuse("overlap", f"{_short(tensor.name)} starts inside the tensor before it")
        position = tensor.end
    if position != data_bytes:
        _refuse("not-covered", f"tensors cover {position} of {data_bytes} data bytes")


def _utf8_bytes(name: str) -> int:
    try:
        return len(name.encode("utf-8"))
    except UnicodeEncodeError:
        _refuse("bad-tensor-name", f"tensor name {_short(name)} has a lone surrogate")


def _short(name: str) -> str:
    return printable(name[:80])


def _refuse(reason: str, message: str) -> NoReturn:
    raise MalformedSafetensorsError(f"{_WHAT}: {message}", reason=reason)
