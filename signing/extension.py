"""Our own keys inside an OMS resource descriptor (specs/oms-extension-v1).

OMS v1.0 section 5.2.1 tells verifiers to ignore unknown keys of a resource, and released
ones do. So what OMS cannot say (how long a file is, what it is called when it is the whole
model, its tree roots) rides there under one key, signed like everything else.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from countermark.signing.errors import MalformedStatementError, MalformedTreeError
from countermark.signing.manifest import FileEntry, TreeRoots
from countermark.signing.names import check_name

if TYPE_CHECKING:
    from countermark.signing.tensors import TensorRoot

__all__ = [
    "EXTENSION_KEY",
    "NO_EXTENSION",
    "Extension",
    "encode_extension",
    "parse_extension",
    "parse_extensions",
]

EXTENSION_KEY = "countermark"
_VERSION = 1
_KEYS = frozenset({"v", "size", "file", "empty", "blocks", "tensors"})
_HEX_256 = re.compile(r"[0-9a-f]{64}")
_MAX_SIZE = 2**62


class Extension(NamedTuple):
    """What one resource's extension says.

    Attributes:
        size_bytes: Length of the file; None if not said.
        file: The file's own name, where OMS says `.`; None otherwise.
        empty: Paths of empty files, which a shards manifest has no row for.
        trees: Tree roots of the file; None if there are none.

    """

    size_bytes: int | None = None
    file: str | None = None
    empty: tuple[str, ...] = ()
    trees: TreeRoots | None = None


NO_EXTENSION = Extension()


def encode_extension(
    file: FileEntry, *, bind_name: bool, empty: Sequence[str] = ()
) -> dict[str, object] | int:
    """Return the JSON value for one file; `bind_name` if OMS calls the file `.`."""
    if file.size_bytes is not None and file.trees is None and not (bind_name or empty):
        return file.size_bytes  # Most files of a large model; an object would double the row.
    result: dict[str, object] = {"v": _VERSION}
    if file.size_bytes is not None:
        result["size"] = file.size_bytes
    if bind_name:
        result["file"] = file.path
    if empty:
        result["empty"] = sorted(empty)
    if file.trees is not None:
        blocks: dict[str, object] = {"root": file.trees.block_root}
        if file.trees.blocks is not None:
            blocks["leaves"] = base64.b64encode(file.trees.blocks).decode("ascii")
            blocks["segments"] = list(file.trees.segments)
        result["blocks"] = blocks
        if file.trees.tensor_root is not None:
            tensors: dict[str, object] = {"root": file.trees.tensor_root}
            if file.trees.tensors is not None:
                tensors["leaves"] = [
                    [t.name, t.dtype, list(t.shape), t.root.hex()] for t in file.trees.tensors
                ]
            result["tensors"] = tensors
    return result


def parse_extensions(rows: Sequence[Mapping[str, object]]) -> list[Extension]:
    """Read the extension of each resource; `NO_EXTENSION` where there is none we know.

    Raises:
        MalformedStatementError: One is version 1 and breaks its rules.

    """
    lengths: dict[int, Extension] = {}  # Nearly all are plain lengths, and many are the same.
    extensions = []
    for row in rows:
        value = row.get(EXTENSION_KEY, NO_EXTENSION)
        if value is NO_EXTENSION:
            extensions.append(NO_EXTENSION)
        elif type(value) is int:
            extensions.append(lengths.get(value) or lengths.setdefault(value, _of_length(value)))
        else:
            extensions.append(parse_extension(value) or NO_EXTENSION)
    return extensions


def parse_extension(value: object) -> Extension | None:
    """Read one extension value; None if it is of a version we do not know.

    Raises:
        MalformedStatementError: It is version 1 and breaks its rules.

    """
    if type(value) is int:
        return _of_length(value)
    if not isinstance(value, dict) or type(value.get("v")) is not int:
        raise _wrong("is neither a length nor an object with an integer version 'v'")
    if value["v"] != _VERSION:
        return None
    if not value.keys() <= _KEYS:
        raise _wrong("has unknown keys")
    if None in value.values():
        raise _wrong("has a key whose value is null")
    return Extension(
        size_bytes=_size(value["size"]) if "size" in value else None,
        file=_file_name(value["file"]) if "file" in value else None,
        empty=_names(value["empty"]) if "empty" in value else (),
        trees=_trees(value.get("blocks"), value.get("tensors")),
    )


def _of_length(value: int) -> Extension:
    return Extension(_size(value))


def _wrong(reason: str) -> MalformedStatementError:
    return MalformedStatementError(f"a resource's '{EXTENSION_KEY}' object {reason}")


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_SIZE:
        raise _wrong("has a size that is not a length in bytes")
    return value


def _file_name(value: object) -> str:
    if not isinstance(value, str) or "/" in value:
        raise _wrong("names a file that is not a plain name")
    return check_name(value)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(set(map(str, value))) != len(value):
        raise _wrong("has a list of empty files that is not a list of distinct names")
    names = []
    for name in value:
        if not isinstance(name, str):
            raise _wrong("has an empty file whose name is not a string")
        names.append(check_name(name))
    return tuple(names)


def _hex(value: object) -> str:
    if not isinstance(value, str) or not _HEX_256.fullmatch(value):
        raise _wrong("has a root that is not 64 lowercase hex digits")
    return value


def _trees(blocks: object, tensors: object) -> TreeRoots | None:
    if blocks is None and tensors is None:
        return None
    leaves: bytes | None = None
    segments: tuple[int, ...] = ()
    match blocks:
        case {"root": found_root, **rest} if not rest:
            block_root = _hex(found_root)
        case {"root": found_root, "leaves": str(text), "segments": list(lengths), **rest} if (
            not rest
        ):
            block_root = _hex(found_root)
            leaves = _base64_digests(text)
            segments = tuple(_size(length) for length in lengths)
        case _:
            raise _wrong("has 'blocks' without root, or with unknown keys")
    tensor_root, entries = _tensors(tensors)
    return TreeRoots(
        block_root=block_root,
        blocks=leaves,
        segments=segments,
        tensor_root=tensor_root,
        tensors=entries,
    )


def _base64_digests(text: str) -> bytes:
    try:
        digests = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise _wrong("has block leaves that are not base64") from e
    if len(digests) % 32:
        raise _wrong("has block leaves that are not whole 32-byte digests")
    return digests


def _tensors(value: object) -> tuple[str | None, tuple[TensorRoot, ...] | None]:
    match value:
        case None:
            return None, None
        case {"root": found_root, **rest} if not rest:
            return _hex(found_root), None
        case {"root": found_root, "leaves": list(rows), **rest} if not rest:
            entries = _tensor_rows(rows)
            if len({entry.name for entry in entries}) != len(entries):
                raise _wrong("names a tensor twice")
            return _hex(found_root), entries
        case _:
            raise _wrong("has 'tensors' without root, or with unknown keys")


def _tensor_rows(rows: list[object]) -> tuple[TensorRoot, ...]:
    from countermark.signing.tensors import parse_tensor_row

    try:
        return tuple(parse_tensor_row(row) for row in rows)
    except MalformedTreeError as e:
        raise _wrong(f"has a bad tensor leaf: {e}") from e
