"""Write the tree-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark. Roots are computed by the recursive definition of
RFC 6962 section 2.1, word for word, and headers are written by hand, so that a second
implementation can trust these files without trusting ours. Only BLAKE3 comes from a
library: the one behind the `b3sum` command.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

VECTORS = Path(__file__).parent / "vectors"
MIB = 1 << 20
Vector = dict[str, Any]
Hash = Callable[[bytes], bytes]


def sha256(data: bytes) -> bytes:
    """Return SHA-256."""
    return hashlib.sha256(data).digest()


def b3(data: bytes) -> bytes:
    """Return BLAKE3-256."""
    return blake3(data).digest()


def mth(entries: list[bytes], h: Hash) -> bytes:
    """Return the Merkle tree hash by its recursive definition."""
    if not entries:
        return h(b"")
    if len(entries) == 1:
        return h(b"\x00" + entries[0])
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return h(b"\x01" + mth(entries[:k], h) + mth(entries[k:], h))


def path(m: int, entries: list[bytes], h: Hash) -> list[bytes]:
    """Return PATH(m, D[n]) of RFC 6962 section 2.1.1."""
    if len(entries) == 1:
        return []
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m < k:
        return [*path(m, entries[:k], h), mth(entries[k:], h)]
    return [*path(m - k, entries[k:], h), mth(entries[:k], h)]


def proof(m: int, entries: list[bytes], h: Hash, *, whole: bool = True) -> list[bytes]:
    """Return SUBPROOF(m, D[n], b) of RFC 6962 section 2.1.2."""
    if m == len(entries):
        return [] if whole else [mth(entries, h)]
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m <= k:
        return [*proof(m, entries[:k], h, whole=whole), mth(entries[k:], h)]
    return [*proof(m - k, entries[k:], h, whole=False), mth(entries[:k], h)]


# The eight entries that Certificate Transparency implementations test with.
CT = [bytes.fromhex(x) for x in ("", "00", "10", "2021", "3031", "40414243")]
CT += [bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70))]


def merkle_vectors() -> dict[str, Vector]:
    """Return the vectors of section 2."""
    out: dict[str, Vector] = {}
    for name, h in (("sha256", sha256), ("blake3", b3)):
        out[f"merkle-roots-{name}"] = {
            "kind": "merkle-roots",
            "expect": "ok",
            "spec": "2.1",
            "why": "roots of the first 0, 1, … 8 entries",
            "hash": name,
            "entries": [e.hex() for e in CT],
            "roots": [mth(CT[:n], h).hex() for n in range(len(CT) + 1)],
        }
    base = {"hash": "sha256", "size": 7, "root": mth(CT[:7], sha256).hex()}
    good = [p.hex() for p in path(4, CT[:7], sha256)]
    inclusion = {"kind": "inclusion", "entry": CT[4].hex(), "index": 4, "proof": good} | base
    bad = {"expect": "malformed-tree", "spec": "2.2"}
    out["inclusion-ok"] = inclusion | {
        "expect": "ok",
        "spec": "2.2",
        "why": "entry 4 of 7",
    }
    out["inclusion-short"] = inclusion | bad | {"why": "one hash too few", "proof": good[:-1]}
    out["inclusion-long"] = inclusion | bad | {"why": "one hash too many", "proof": good + good[:1]}
    out["inclusion-index"] = inclusion | bad | {"why": "index is the size", "index": 7}
    out["inclusion-hash-length"] = (
        inclusion | bad | {"why": "a hash of 31 bytes", "proof": [good[0][:-2], *good[1:]]}
    )
    consistency = {
        "kind": "consistency",
        "hash": "sha256",
        "old_size": 3,
        "old_root": mth(CT[:3], sha256).hex(),
        "new_size": 7,
        "new_root": mth(CT[:7], sha256).hex(),
    }
    good = [p.hex() for p in proof(3, CT[:7], sha256)]
    bad = {"expect": "malformed-tree", "spec": "2.3"}
    out["consistency-ok"] = consistency | {
        "expect": "ok",
        "spec": "2.3",
        "why": "the first 3 of 7",
        "proof": good,
    }
    out["consistency-short"] = consistency | bad | {"why": "one hash too few", "proof": good[:-1]}
    out["consistency-long"] = (
        consistency | bad | {"why": "one hash too many", "proof": good + good[:1]}
    )
    forked = mth([b"other", *CT[1:3]], sha256).hex()
    out["consistency-forked"] = (
        consistency | bad | {"why": "another first entry", "proof": good, "old_root": forked}
    )
    return out


def entry(dtype: str, shape: list[Any], begin: int, end: int) -> Vector:
    """Return one tensor of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def header(text: str | dict[str, Any], data_bytes: int, **about: Any) -> Vector:  # noqa: ANN401
    """Return a vector that is one header, without its length."""
    if not isinstance(text, str):
        text = json.dumps(text, separators=(",", ":"))
    return {"kind": "header"} | about | {"header": text, "data_bytes": data_bytes}


def accepted_headers() -> dict[str, Vector]:
    """Return headers that every reader takes."""

    def ok(spec: str, why: str, text: str | dict[str, Any], data_bytes: int) -> Vector:
        return header(text, data_bytes, expect="ok", spec=spec, why=why)

    bits = {"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16}
    bits |= {"U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64}
    bits |= {"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8}
    bits |= {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
    every: dict[str, Any] = {}
    position = 0
    for dtype, size in bits.items():
        every[f"t.{dtype}"] = entry(dtype, [4], position, position + size * 4 // 8)
        position += size * 4 // 8
    four = entry("F32", [], 0, 4)
    unordered = {"b": entry("U8", [3], 4, 7), "a": four}
    empties = {"z": entry("U8", [0], 4, 4), "a": four, "e": entry("F32", [0, 7], 0, 0)}
    nested = {"__metadata__": {"config": '{"a":[[[[{"b":[]}]]]]}'}, "a": four}
    return {
        "header-ok-empty": ok("3.4", "no tensor at all", {}, 0),
        "header-ok-metadata-only": ok("3.6", "metadata only", {"__metadata__": {"k": "v"}}, 0),
        "header-ok-padding": ok("3.2", "spaces behind the object", '{"a":' + j(four) + "}   ", 4),
        "header-ok-dtypes": ok("3.5", "every dtype, four elements each", every, position),
        "header-ok-unordered": ok("3.7", "header order is not offset order", unordered, 7),
        "header-ok-empty-tensors": ok("3.7", "tensors of no bytes", empties, 4),
        "header-ok-nested-metadata": ok("3.6", "JSON inside a string does not nest", nested, 4),
        "header-ok-names": ok(
            "3.8",
            "dots, slashes and any script are fine in names",
            {"a..b": entry("U8", [0], 0, 0), "x/y.0": entry("U8", [0], 0, 0), "重み …": four},
            4,
        ),
    }


def j(value: Any) -> str:  # noqa: ANN401
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def refused_json() -> dict[str, Vector]:
    """Return headers that break sections 3.2 and 3.3."""

    def no(reason: str, spec: str, why: str, text: str, data_bytes: int = 0) -> Vector:
        return header(
            text, data_bytes, expect="malformed-safetensors", reason=reason, spec=spec, why=why
        )

    zero = j(entry("U8", [0], 0, 0))
    twice = '{"a":' + zero + ',"\\u0061":' + zero + "}"
    deep = '{"a":{"dtype":"U8","shape":[[0]],"data_offsets":[0,0]}}'
    field = '{"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}'
    lone = '{"\\ud800":' + zero + "}"
    digits = '{"a":{"dtype":"U8","shape":[' + "1" * 40 + '],"data_offsets":[0,1]}}'
    j3 = "not-strict-json"
    return {
        "header-leading-space": no("no-opening-brace", "3.2", "starts with a space", " {}"),
        "header-bom": no("no-opening-brace", "3.2", "starts with a byte order mark", "\ufeff{}"),
        "header-array": no("no-opening-brace", "3.2", "an array", "[]"),
        "header-newline-padding": no("bad-padding", "3.2", "padded with a newline", "{}\n"),
        "header-nul-padding": no("bad-padding", "3.2", "padded with NUL", "{}\x00"),
        "header-two-objects": no(j3, "3.3", "a second object follows", "{}{}"),
        "header-open-string": no(j3, "3.3", "a string that does not end", '{"a}'),
        "header-same-name": no(j3, "3.3", "one tensor twice, once escaped", twice),
        "header-same-field": no(j3, "3.3", "one field twice", field),
        "header-same-metadata": no(
            j3, "3.3", "one metadata key twice", '{"__metadata__":{"k":"1","k":"2"}}'
        ),
        "header-too-deep": no(j3, "3.3", "four levels", deep),
        "header-lone-surrogate": no(j3, "3.3", "a name that has no UTF-8", lone),
        "header-many-digits": no(j3, "3.3", "an integer of 40 digits", digits, 1),
    }


def refused_tensors() -> dict[str, Vector]:
    """Return headers with one bad tensor each, sections 3.4 to 3.8."""
    out: dict[str, Vector] = {}

    def no(name: str, reason: str, spec: str, why: str, tensors: Any, size: int) -> None:  # noqa: ANN401
        out[f"header-{name}"] = header(
            tensors, size, expect="malformed-safetensors", reason=reason, spec=spec, why=why
        )

    def one(name: str, reason: str, spec: str, why: str, tensor: Any, size: int = 0) -> None:  # noqa: ANN401
        no(name, reason, spec, why, {"a": tensor}, size)

    missing, shape, field = "bad-tensor-entry", "dimension-out-of-range", "unknown-field"
    one("not-an-object", missing, "3.4", "a number for a tensor", 7)
    one("no-shape", missing, "3.4", "no shape", {"dtype": "U8", "data_offsets": [0, 0]})
    one("dtype-number", missing, "3.4", "dtype is a number", entry("U8", [0], 0, 0) | {"dtype": 8})
    one("shape-number", missing, "3.4", "shape is a number", entry("U8", [0], 0, 0) | {"shape": 0})
    three = entry("U8", [0], 0, 0) | {"data_offsets": [0, 0, 0]}
    one("three-offsets", missing, "3.4", "three data_offsets", three)
    one(
        "unknown-field", field, "3.4", "an unknown field", entry("U8", [0], 0, 0) | {"strides": [1]}
    )
    one("unknown-dtype", "unknown-dtype", "3.5", "a dtype nobody knows", entry("F7", [8], 0, 7), 7)
    one(
        "lower-dtype", "unknown-dtype", "3.5", "dtypes have one spelling", entry("u8", [1], 0, 1), 1
    )
    one("float-dim", "not-an-integer", "3.5", "4.0 is no integer", entry("U8", [4.0], 0, 4), 4)
    one("true-dim", "not-an-integer", "3.5", "true is no integer", entry("U8", [True], 0, 1), 1)
    one("negative-dim", "not-an-integer", "3.5", "negative", entry("U8", [-1, -4], 0, 4), 4)
    one("huge-dim", shape, "3.5", "2**53, with no data", entry("U8", [2**53, 0], 0, 0))
    big = [2**40, 2**40]
    one("overflow", "size-overflow", "3.5", "2**80 bytes", entry("U8", big, 0, 8), 8)
    zeros = entry("U8", [0, *big], 0, 0)
    one("overflow-zero", "size-overflow", "3.5", "overflows unless 0 comes first", zeros)
    one("rank", "rank-too-high", "3.5", "65 dimensions", entry("U8", [1] * 65, 0, 1), 1)
    one("partial-byte", "partial-byte", "3.5", "12 bits", entry("F4", [3], 0, 2), 2)
    one("size", "size-mismatch", "3.5", "F32 in 3 bytes", entry("F32", [], 0, 3), 3)
    one("backwards", "size-mismatch", "3.5", "end before begin", entry("U8", [4], 4, 0), 4)
    one("negative-offset", "not-an-integer", "3.5", "begins at -4", entry("U8", [4], -4, 0))

    meta = {"__metadata__": {"k": 1}}
    no("metadata-number", "bad-metadata", "3.6", "metadata holds a number", meta, 0)
    no("metadata-null", "bad-metadata", "3.6", "metadata is null", {"__metadata__": None}, 0)

    four, rest = entry("U8", [4], 0, 4), entry("U8", [4], 3, 7)
    no("overlap", "overlap", "3.7", "two tensors share a byte", {"a": four, "b": rest}, 7)
    same = entry("U8", [2, 2], 0, 4)
    no("alias", "overlap", "3.7", "two tensors are the same bytes", {"a": four, "b": same}, 4)
    gap = entry("U8", [4], 5, 9)
    no("hole", "hole", "3.7", "one byte in no tensor", {"a": four, "b": gap}, 9)
    one("late-start", "hole", "3.7", "data before the first tensor", gap, 9)
    one("trailing", "not-covered", "3.7", "a byte behind the last tensor", four, 5)
    one("short-data", "not-covered", "3.7", "the last tensor is cut off", four, 3)

    zero = entry("U8", [0], 0, 0)
    names = {"empty": "", "nul": "a\x00b", "long": "n" * 8193}
    for label, text in names.items():
        no(f"name-{label}", "bad-tensor-name", "3.8", f"name: {label}", {text: zero}, 0)
    paths = {"parent": "../x", "inner-parent": "a/../../x", "absolute": "/etc/x"}
    paths |= {"backslash": "..\\x", "drive": "C:\\x", "dots": ".."}
    for label, text in paths.items():
        no(f"name-{label}", "path-like-name", "3.8", f"name: {label}", {text: zero}, 0)
    return out


def file_vectors() -> dict[str, Vector]:
    """Return whole files that break section 3.1 or are not UTF-8."""
    out: dict[str, Vector] = {}

    def no(name: str, reason: str, spec: str, why: str, data: bytes) -> None:
        out[f"file-{name}"] = {
            "kind": "file",
            "expect": "malformed-safetensors",
            "reason": reason,
            "spec": spec,
            "why": why,
            "file_hex": data.hex(),
        }

    no("empty", "truncated", "3.1", "no byte at all", b"")
    no("seven-bytes", "truncated", "3.1", "no room for the length", bytes(7))
    no(
        "long-header",
        "truncated",
        "3.1",
        "header longer than the file",
        struct.pack("<Q", 3) + b"{}",
    )
    limit = struct.pack("<Q", 100_000_001) + b"{}"
    no("limit", "header-too-large", "3.1", "header over the limit", limit)
    no("huge", "header-too-large", "3.1", "2**64 - 1", b"\xff" * 8 + b"{}")
    no("no-header", "no-opening-brace", "3.2", "a header of no bytes", bytes(8))
    text = b'{"\xff":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    no("not-utf8", "not-strict-json", "3.3", "0xff", struct.pack("<Q", len(text)) + text)
    return out


def tree(why: str, spec: str, parts: list[tuple[bytes, int]], tensors: Any) -> Vector:  # noqa: ANN401
    """Return a file, and what tree-v1 says about it.

    Args:
        why: What the vector shows.
        spec: Section.
        parts: The file as (byte pattern, how many times).
        tensors: None, or header rows (name, dtype, shape, length) in offset order.

    """
    data = b"".join(pattern * times for pattern, times in parts)
    lengths = [len(data)]
    if tensors is not None:
        head = 8 + int.from_bytes(data[:8], "little")
        lengths = [head] + [row[3] for row in tensors]
    per_segment: list[list[bytes]] = []
    position = 0
    for length in lengths:
        segment = data[position : position + length]
        position += length
        per_segment.append([b3(segment[at : at + MIB]) for at in range(0, length, MIB)])
    digests = [digest for segment in per_segment for digest in segment]
    rows = None
    if tensors is not None:
        pairs = zip(tensors, per_segment[1:], strict=True)
        rows = sorted([[n, d, s, mth(part, b3).hex()] for (n, d, s, _), part in pairs])
    entries = [
        json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() for row in rows or []
    ]
    return {
        "kind": "tree",
        "expect": "ok",
        "spec": spec,
        "why": why,
        "file": [{"hex": pattern.hex(), "times": times} for pattern, times in parts],
        "segments": lengths,
        "block_digests": [digest.hex() for digest in digests],
        "block_root": mth(digests, b3).hex(),
        "tensors": rows,
        "tensor_root": None if rows is None else mth(entries, b3).hex(),
    }


def tree_vectors() -> dict[str, Vector]:
    """Return the vectors of sections 4 and 5."""
    rows: list[Any] = [
        ("model.embed", "BF16", [600, 1024], 600 * 2048),
        ("empty", "F32", [0, 3], 0),
        ("a.bias", "F4", [6], 3),
        ("z", "U8", [MIB], MIB),
        ("模型", "F64", [], 8),
    ]
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, dtype, shape, length in rows:
        head[name] = entry(dtype, shape, position, position + length)
        position += length
    text = json.dumps(head, ensure_ascii=False).encode() + b"   "
    parts = [(struct.pack("<Q", len(text)) + text, 1)]
    fills = (
        b"\x01\x02\x03\x04",
        b"",
        b"\x05\x06\x07",
        b"\x08",
        b"\x00\x00\x00\x00\x00\x00\xf0\x3f",
    )
    parts += [
        (fill, row[3] // len(fill) if fill else 0) for fill, row in zip(fills, rows, strict=True)
    ]
    again = [rows[4], rows[0]]
    moved = {"模型": entry("F64", [], 0, 8), "model.embed": entry("BF16", [600, 1024], 8, 1228808)}
    text = json.dumps(moved, ensure_ascii=True).encode()
    shard = [(struct.pack("<Q", len(text)) + text, 1), parts[5], parts[1]]
    none = [(struct.pack("<Q", 2) + b"{}", 1)]
    return {
        "tree-empty-file": tree("an empty file has no block", "4.3", [], None),
        "tree-one-byte": tree("one short block", "4.2", [(b"a", 1)], None),
        "tree-one-block": tree("exactly one block", "4.2", [(b"\x00", MIB)], None),
        "tree-block-and-byte": tree("one block and a byte", "4.2", [(b"\x00", MIB + 1)], None),
        "tree-safetensors": tree("blocks start anew at each tensor", "4.1", parts, rows),
        "tree-other-shard": tree("a tensor's root is the same elsewhere", "5.1", shard, again),
        "tree-no-tensors": tree("the tensor tree of no tensor", "5.3", none, []),
    }


def row_vectors() -> dict[str, Vector]:
    """Return tensor rows as they stand in a statement, section 5.4."""
    good = ["a", "F32", [2, 3], "ab" * 32]
    cases: dict[str, tuple[str, Any]] = {
        "ok": ("a row", good),
        "short": ("no root", good[:3]),
        "dtype": ("unknown dtype", ["a", "F33", [2, 3], "ab" * 32]),
        "bool": ("true is no dimension", ["a", "F32", [True], "ab" * 32]),
        "negative": ("negative dimension", ["a", "F32", [-1], "ab" * 32]),
        "huge": ("2**53 is no exact number everywhere", ["a", "F32", [2**53], "ab" * 32]),
        "upper": ("hex is lower case", ["a", "F32", [2, 3], "AB" * 32]),
        "root-length": ("31 bytes", ["a", "F32", [2, 3], "ab" * 31]),
        "path": ("a name like a path that escapes", ["../a", "F32", [2, 3], "ab" * 32]),
        "name": ("the name is no string", [1, "F32", [2, 3], "ab" * 32]),
    }
    return {
        f"row-{name}": {
            "kind": "row",
            "expect": "ok" if name == "ok" else "malformed-tree",
            "spec": "5.4",
            "why": why,
            "row": row,
        }
        for name, (why, row) in cases.items()
    }


def container(metadata: Any, tensors: list[tuple[str, str, list[int], bytes]]) -> bytes:  # noqa: ANN401
    """Return a safetensors file, aligned to 8 bytes."""
    head: dict[str, Any] = {"__metadata__": metadata}
    position = 0
    for name, dtype, shape, data in tensors:
        head[name] = entry(dtype, shape, position, position + len(data))
        position += len(data)
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in tensors)


def leaves_vectors() -> dict[str, Vector]:
    """Return the vectors of section 6."""
    digests = b3(b"one") + b3(b"two")
    blocks = ("blocks/w.bin", "U8", [2, 32], digests)
    segments = ("segments/w.bin", "U64", [2], struct.pack("<2Q", 100, MIB))
    meta = {"format": "countermark-leaves-v1"}
    out: dict[str, Vector] = {}

    def add(name: str, why: str, data: bytes, expect: str = "malformed-tree") -> None:
        out[f"leaves-{name}"] = {
            "kind": "leaves",
            "expect": expect,
            "spec": "6",
            "why": why,
            "leaves_hex": data.hex(),
        }

    add("ok", "one file of two segments", container(meta, [blocks, segments]), "ok")
    out["leaves-ok"] |= {
        "files": {"w.bin": {"segments": [100, MIB], "block_digests": digests.hex()}},
        "block_roots": {"w.bin": mth([digests[:32], digests[32:]], b3).hex()},
    }
    add("other-format", "another format", container({"format": "pt"}, [blocks, segments]))
    more = meta | {"author": "x"}
    add("more-metadata", "a second metadata key", container(more, [blocks, segments]))
    add("no-segments", "blocks without segments", container(meta, [blocks]))
    add("no-blocks", "segments without blocks", container(meta, [segments]))
    other = ("w.bin", "U8", [1], b"x")
    add("other-tensor", "an unknown tensor", container(meta, [blocks, segments, other]))
    flat = ("blocks/w.bin", "U8", [64], digests)
    add("flat", "blocks of one dimension", container(meta, [flat, segments]))
    wide = ("blocks/w.bin", "U8", [1, 64], digests)
    add("wide", "rows of 64 bytes", container(meta, [wide, segments]))
    signed = ("segments/w.bin", "I64", [2], struct.pack("<2q", 100, MIB))
    add("signed-lengths", "segments are not U64", container(meta, [blocks, signed]))
    short = ("segments/w.bin", "U64", [1], struct.pack("<Q", 100))
    add("count", "two digests for one block", container(meta, [blocks, short]))
    none = [("blocks/w.bin", "U8", [0, 32], b""), ("segments/w.bin", "U64", [0], b"")]
    add("no-segment", "a file of no segments", container(meta, none))
    wrap = ("segments/w.bin", "U64", [2], struct.pack("<2Q", 2**64 - 1, 3))
    add("wrap", "lengths that wrap to two blocks", container(meta, [blocks, wrap]))
    path = [("blocks/a//w", *blocks[1:]), ("segments/a//w", *segments[1:])]
    add("path", "a path with an empty part", container(meta, path), "unsafe-name")
    up = [("blocks/../w", *blocks[1:]), ("segments/../w", *segments[1:])]
    add("parent", "a path that leaves the model", container(meta, up))
    add("trailing", "a byte behind the data", container(meta, [blocks, segments]) + b"\x00")
    return out


def build() -> dict[str, Vector]:
    """Return every vector by file name without `.json`."""
    vectors = merkle_vectors() | accepted_headers() | refused_json() | refused_tensors()
    return vectors | file_vectors() | tree_vectors() | row_vectors() | leaves_vectors()


def text_of(vector: Vector) -> str:
    """Return the file text of a vector."""
    return json.dumps(vector, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write the vectors and remove stale ones."""
    vectors = build()
    for stale in VECTORS.glob("*.json"):
        if stale.stem not in vectors:
            stale.unlink()
    for name, vector in vectors.items():
        (VECTORS / f"{name}.json").write_text(text_of(vector), encoding="ascii")
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
