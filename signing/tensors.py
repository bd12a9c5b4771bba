"""Tensor trees: what a safetensors file holds, by name, type, shape and bytes.

Spec tree-v1 section 5. The root of one tensor does not depend on the file it lies in, so
re-sharded models can be compared tensor by tensor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from countermark.signing.errors import MalformedSafetensorsError, MalformedTreeError
from countermark.signing.merkle import BLAKE3, DIGEST_BYTES, root
from countermark.signing.names import printable
from countermark.signing.safetensors import check_tensor_name, tensor_bytes
from countermark.signing.verdict import TensorChange

__all__ = ["TensorRoot", "diff_tensors", "parse_tensor_row", "tensor_entry", "tensor_root_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRoot:
    """One entry of a tensor tree.

    Attributes:
        name: Tensor name as in the safetensors header, unescaped.
        dtype: As in the header, e.g. `BF16`.
        shape: Dimensions; empty for a scalar.
        size_bytes: Length of the tensor's data.
        root: RFC 6962/BLAKE3 root over the tensor's block digests, 32 bytes.

    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    root: bytes


def tensor_entry(tensor: TensorRoot) -> bytes:
    """Return a tensor's entry in the tensor tree: an RFC 8785 JSON array in UTF-8."""
    # Plain `json` is RFC 8785 here: only arrays, strings, and integers below 2**53.
    row = [tensor.name, tensor.dtype, list(tensor.shape), tensor.root.hex()]
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def parse_tensor_row(row: object) -> TensorRoot:
    """Parse an entry that was read as JSON: `[name, dtype, [dim, …], "hex root"]`.

    Raises:
        MalformedTreeError: It is not such an array.

    """
    match row:
        case [str(name), str(dtype), list(shape), str(text)]:
            pass
        case _:
            raise MalformedTreeError("a tensor is not [name, dtype, shape, root]")
    if any(type(dim) is not int for dim in shape):
        raise MalformedTreeError("a tensor's shape holds something other than integers")
    if len(text) != 2 * DIGEST_BYTES or set(text) - set("0123456789abcdef"):
        raise MalformedTreeError("a tensor's root is not 64 lowercase hex digits")
    try:
        check_tensor_name(name)
        size = tensor_bytes(dtype, shape)
    except MalformedSafetensorsError as e:
        raise MalformedTreeError(f"tensor {printable(name[:80])}: {e}") from e
    return TensorRoot(
        name=name, dtype=dtype, shape=tuple(shape), size_bytes=size, root=bytes.fromhex(text)
    )


def tensor_root_of(tensors: Iterable[TensorRoot]) -> bytes:
    """Return the root of the tensor tree; the order of `tensors` does not matter.

    Raises:
        MalformedTreeError: Two tensors have one name.

    """
    ordered = _by_name(tensors)
    return root((tensor_entry(ordered[name]) for name in sorted(ordered)), BLAKE3)


def diff_tensors(
    signed: Sequence[TensorRoot], found: Sequence[TensorRoot]
) -> tuple[TensorChange, ...]:
    """Return what became of each tensor that is not as signed, sorted by name.

    Raises:
        MalformedTreeError: Two tensors of one side have one name.

    """
    before, after = _by_name(signed), _by_name(found)
    changes: list[TensorChange] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if new is None:
            change = "missing"
        elif old is None:
            change = "added"
        else:
            change = "reshaped" if old.root == new.root else "changed"
        size = 0 if new is None else new.size_bytes
        changes.append(TensorChange(name=name, change=change, size_bytes=size))
    return tuple(changes)


def _by_name(tensors: Iterable[TensorRoot]) -> dict[str, TensorRoot]:
    result: dict[str, TensorRoot] = {}
    for tensor in tensors:
        if tensor.name in result:
            raise MalformedTreeError(f"two tensors are named {printable(tensor.name[:80])}")
        result[tensor.name] = tensor
    return result
