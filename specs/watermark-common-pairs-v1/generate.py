"""Write the vectors of watermark-common-pairs-v1, from its README alone."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

VECTORS = Path(__file__).parent / "vectors"
M = 0x9E3779B97F4A7C15
TOKENIZER = hashlib.sha256(b"a tokenizer").hexdigest()


def fingerprint(pair: Sequence[int]) -> int:
    """Return the fingerprint of a pair, context first (section 2.1)."""
    s = len(pair) - 1
    for t in pair:
        s = ((s ^ t) * M) % 2**64
        s ^= s >> 32
    return (s * M) % 2**64


def pairs_of(ids: list[int], width: int) -> list[tuple[int, ...]]:
    """Return every pair of a document in order (2.3)."""
    return [tuple(ids[at - width : at + 1]) for at in range(width, len(ids))]


def learnt(documents: list[list[int]], width: int, least: int) -> list[int]:
    """Return the marks of the pairs that at least so many documents have (3.1)."""
    seen = Counter(pair for ids in documents for pair in set(pairs_of(ids, width)))
    return sorted({fingerprint(pair) >> 32 for pair, count in seen.items() if count >= least})


def file_of(table: list[int], **changes: object) -> bytes:
    """Return a file; a member whose change is None is left out."""
    data = b"".join(struct.pack("<I", mark) for mark in table)
    header: dict[str, object] = {
        "documents": 40,
        "format": "countermark-common-pairs-v1",
        "min_documents": 2,
        "pairs": len(table),
        "sha256": hashlib.sha256(data).hexdigest(),
        "vocabulary_sha256": TOKENIZER,
        "width": 2,
    }
    header |= changes
    header = {name: value for name, value in header.items() if value is not None}
    line = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return line + b"\n" + data


def write(
    name: str,
    spec: str,
    why: str,
    data: bytes | None,
    expect: str = "malformed-common-pairs",
    **more: object,
) -> None:
    """Write one vector."""
    vector: dict[str, object] = {"expect": expect, "spec": spec, "why": why}
    if data is not None:
        vector["file"] = base64.b64encode(data).decode()
    text = json.dumps(vector | more, indent=1, sort_keys=True)
    (VECTORS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def learning() -> None:
    """Write what is learnt from documents, and what it excludes."""
    shared = [7, 8, 9, 10, 11]
    documents = [[100 + d, *shared, 200 + d, *shared] for d in range(3)] + [[1], []]
    text = [5, *shared, 6, *shared, 40, 41, 42, 40, 41, 42]
    for width in (1, 2, 4):
        table = learnt(documents, width, 3)
        counted: list[int] = []
        seen: set[tuple[int, ...]] = set()
        for at in range(width, len(text)):
            pair = tuple(text[at - width : at + 1])
            if fingerprint(pair) >> 32 not in table and pair not in seen:
                counted.append(at)
                seen.add(pair)
        data = file_of(table, documents=len(documents), min_documents=3, width=width)
        why = "a pair is counted once per document, and never across a border"
        more = {"learn": documents, "pairs": table, "text": text, "counted": counted}
        write(f"learnt-width-{width}", "3.1", why, data, "ok", width=width, **more)


def accepted() -> None:
    """Write files that a reader takes."""
    table = [0, 1, 2**31, 2**32 - 1]
    write(
        "table",
        "4.3",
        "the least and the greatest mark",
        file_of(table),
        "ok",
        pairs=table,
        width=2,
    )
    write("empty", "4.2", "nothing was common", file_of([], documents=0), "ok", pairs=[], width=2)
    widest = file_of([5], width=64, min_documents=1)
    write("width-64", "4.2", "the widest context", widest, "ok", pairs=[5], width=64)
    line, _, rest = file_of([3]).partition(b"\n")
    spaced = json.dumps(json.loads(line), indent=None).encode() + b" \n" + rest
    write("spaced", "4.1", "readers take white space", spaced, "ok", pairs=[3], width=2)


def refused() -> None:
    """Write files that it does not."""
    good = file_of([1, 2, 3])
    line, _, table = good.partition(b"\n")
    write("no-bytes", "4.1", "there is no header", b"")
    write("no-line-feed", "4.1", "the header never ends", line)
    write("header-too-long", "4.1", "4,097 bytes", line + b" " * (4097 - len(line)) + b"\n" + table)
    write("not-json", "4.1", "no JSON", b"common\n" + table)
    twice = line[:-1] + b',"width":2}\n' + table
    write("member-twice", "4.1", "strict JSON has each member once", twice)
    write("array", "4.2", "no object", b"[]\n" + table)
    for name in (
        "documents",
        "format",
        "min_documents",
        "pairs",
        "sha256",
        "vocabulary_sha256",
        "width",
    ):
        write(
            f"without-{name.replace('_', '-')}",
            "4.2",
            "a member is absent",
            file_of([1], **{name: None}),
        )
    write("further-member", "4.2", "a member is not in the table", file_of([1], author="me"))
    write("format-v2", "4.2", "another format", file_of([1], format="countermark-common-pairs-v2"))
    write("tokenizer-short", "4.2", "63 digits", file_of([1], vocabulary_sha256=TOKENIZER[1:]))
    write(
        "tokenizer-upper", "4.2", "digits are lowercase", file_of([1], vocabulary_sha256="A" * 64)
    )
    wrong: list[tuple[str, object]] = [("width", value) for value in (0, 65, True, 2.0, "2")]
    wrong += [("documents", -1), ("min_documents", 0), ("pairs", -1)]
    for name, value in wrong:
        label = f"{name.replace('_', '-')}-{str(value).lower().replace('.', '-')}"
        write(label, "4.2", f"{name} is {value!r}", file_of([1], **{name: value}))
    write("too-many-pairs", "4.2", "one over the limit", file_of([1], pairs=2**24 + 1))
    write("pairs-too-many", "4.3", "the table ends early", file_of([1, 2], pairs=3))
    write("pairs-too-few", "4.3", "something follows the table", file_of([1, 2], pairs=1))
    write("torn", "4.3", "a byte is absent", good[:-1])
    write("tail", "4.3", "a byte follows", good + b"\0")
    write("flipped", "4.2", "the digest is another", good[:-1] + bytes([good[-1] ^ 1]))
    write("descending", "4.3", "marks ascend", file_of([2, 1]))
    write("repeated", "4.3", "each mark is there once", file_of([1, 1]))


def main() -> None:
    """Write all of them anew."""
    shutil.rmtree(VECTORS, ignore_errors=True)
    VECTORS.mkdir()
    cases = [
        (0, 0),
        (0, 1),
        (1, 0),
        (49151, 3, 17),
        (2**21 - 1,) * 3,
        tuple(range(15)),
        tuple(range(65)),
    ]
    rows = [{"pair": list(pair), "fingerprint": f"{fingerprint(pair):016x}"} for pair in cases]
    write(
        "fingerprints", "2.1", "no key, and the width is part of it", None, "ok", fingerprints=rows
    )
    learning()
    accepted()
    refused()


if __name__ == "__main__":
    main()
