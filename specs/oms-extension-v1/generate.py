"""Write the oms-extension-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library: statements are
plain dictionaries, roots are computed by the recursive definition of RFC 6962, and the
signatures by RFC 8032 written out naively, so that a second implementation can trust these
files without trusting ours.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Vector = dict[str, Any]
Edit = Callable[[Vector], None]

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
LEGACY = "https://model_signing/Digests/v0.1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

# 1. Hashes and trees.


def sha256(data: bytes) -> bytes:
    """Return SHA-256."""
    return hashlib.sha256(data).digest()


def mth(entries: list[bytes]) -> bytes:
    """Return the RFC 6962 Merkle tree hash by its recursive definition."""
    if not entries:
        return sha256(b"")
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0])
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:]))


def compact(value: object) -> str:
    """Return JSON without white space, non-ASCII as it is, keys sorted."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def names_root(rows: list[Vector]) -> str:
    """Return the name-binding root, section 3."""
    entries = [
        compact([row["name"], row["algorithm"], row["digest"]]).encode()
        for row in sorted(rows, key=lambda row: row["name"])
    ]
    return mth(entries).hex()


def oms_root(rows: list[Vector]) -> str:
    """Return the OMS root: SHA-256 over the raw digests as listed."""
    return sha256(b"".join(bytes.fromhex(row["digest"]) for row in rows)).hex()


def dir_hash(files: list[tuple[str, str]]) -> str:
    """Return in-toto's dirHash, section 4."""
    return sha256("".join(f"{d}  {n}\n" for n, d in sorted(files)).encode()).hex()


# 2. Ed25519 (RFC 8032 section 5.1), slow and without any care for side channels.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Return the sum of two points on the twisted Edwards curve."""
    t = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P)
    return x % P, y % P


def times(scalar: int) -> bytes:
    """Return the encoding of the base point multiplied."""
    result, point = (0, 1), BASE
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return (result[1] | (result[0] & 1) << 255).to_bytes(32, "little")


SEED = hashlib.sha256(b"oms-extension-v1 test key").digest()
_HASHED = hashlib.sha512(SEED).digest()
_SECRET = (int.from_bytes(_HASHED[:32], "little") & ((1 << 254) - 8)) | (1 << 254)
PUBLIC = times(_SECRET)


def sign(message: bytes) -> bytes:
    """Return the Ed25519 signature of the test key."""
    r = int.from_bytes(hashlib.sha512(_HASHED[32:] + message).digest(), "little") % ORDER
    big_r = times(r)
    k = int.from_bytes(hashlib.sha512(big_r + PUBLIC + message).digest(), "little") % ORDER
    return big_r + ((r + k * _SECRET) % ORDER).to_bytes(32, "little")


def b64(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


PEM = (
    "-----BEGIN PUBLIC KEY-----\n"
    + b64(bytes.fromhex("302a300506032b6570032100") + PUBLIC)
    + "\n-----END PUBLIC KEY-----\n"
)
HINT = sha256(PEM.encode()).hex()

# 3. Statements.

A, B, C = (sha256(word.encode()).hex() for word in ("alpha", "beta", "gamma"))
ROOT_1, ROOT_2 = ("b" * 64, "7" * 64)
TENSOR = ["w", "F32", [2, 3], "c" * 64]
LEAVES = b64(bytes(range(64)))


def row(name: str, digest: str, algorithm: str = "sha256", **extension: Any) -> Vector:  # noqa: ANN401
    """Return one resource; `extension` is what our key holds beside the version."""
    result: Vector = {"name": name, "algorithm": algorithm, "digest": digest}
    if extension:
        result["countermark"] = {"v": 1} | extension
    return result


def statement(rows: list[Vector], files: list[tuple[str, str]] | None, **settings: Any) -> Vector:  # noqa: ANN401
    """Return a statement with every root computed; `files` are what dirHash is over."""
    digest = {"sha256": oms_root(rows), "countermark-names-v1": names_root(rows)}
    if files is not None:
        digest["dirHash"] = dir_hash(files)
    serialization = {"method": "files", "hash_type": "sha256"} | settings
    serialization = {"allow_symlinks": False, "ignore_paths": []} | serialization
    return {
        "_type": STATEMENT,
        "subject": [{"name": "model", "digest": digest}],
        "predicateType": PREDICATE,
        "predicate": {"resources": rows, "serialization": serialization},
    }


def file(path: str, digest: str = "", **more: Any) -> Vector:  # noqa: ANN401
    """Return what a reader must find about one file."""
    result: Vector = {"path": path, "digest": digest, "shards": [], "size": None}
    return result | {"block_root": None, "tensor_root": None, "tensors": None} | more


def folder() -> Vector:
    """Return the statement that most refusals start from: three files, trees on one."""
    trees: Vector = {
        "size": 152,
        "blocks": {"root": ROOT_1, "leaves": LEAVES, "segments": [128, 24]},
        "tensors": {"root": ROOT_2, "leaves": [TENSOR]},
    }
    rows = [
        row("config.json", A, size=5),
        row("model.safetensors", B, **trees),
        row("sub/ünï.txt", C, size=0),
    ]
    pairs = [("config.json", A), ("model.safetensors", B), ("sub/ünï.txt", C)]
    return statement(rows, pairs, ignore_paths=[".git"])


def shards(mark: str = "-sharded-10", name: str = "model.bin", **first: Any) -> Vector:  # noqa: ANN401
    """Return a shards statement of one file of 14 bytes, in the dialect of `mark`."""
    rows = [
        row(f"{name}:0:10", A, f"sha256{mark}", **({"size": 14} | first)),
        row(f"{name}:10:14", B, f"sha256{mark}"),
    ]
    return statement(rows, None, method="shards", shard_size=10)


SHARDS = [[0, 10, A], [10, 14, B]]


def take(
    out: dict[str, Vector],
    name: str,
    spec: str,
    why: str,
    document: Vector,
    files: list[Vector],
    **more: Any,  # noqa: ANN401
) -> None:
    """Add a statement that a reader takes, and what it finds in it."""
    facts = {"method": "files", "hash_type": "sha256", "single_file": False, "legacy": False}
    facts |= {"shard_size": None, "ignore_paths": [], "files": files} | more
    out[f"statement-ok-{name}"] = {
        "kind": "statement",
        "expect": "ok",
        "spec": spec,
        "why": why,
        "statement": compact(document),
        "manifest": facts,
    }


PLAIN = [file("a", A), file("b", B)]


def accepted_statements() -> dict[str, Vector]:
    """Return statements as we write them, in both dialects."""
    out: dict[str, Vector] = {}
    ok = partial(take, out)
    three = [
        file("config.json", A, size=5),
        file(
            "model.safetensors",
            B,
            size=152,
            block_root=ROOT_1,
            tensor_root=ROOT_2,
            tensors=[TENSOR],
        ),
        file("sub/ünï.txt", C, size=0),
    ]
    ok("folder", "5", "a folder, every key of ours", folder(), three, ignore_paths=[".git"])
    document = statement([row("a", A), row("b", B)], None)
    del document["subject"][0]["digest"]["countermark-names-v1"]
    ok("foreign", "5.1", "a statement without any key of ours", document, PLAIN)
    single = [file("w.bin", A, size=5)]
    dot = statement([row(".", A, size=5, file="w.bin")], [("w.bin", A)])
    ok("single-python", "5.4", "one file called '.', its name bound", dot, single, single_file=True)
    ok(
        "single-spec",
        "8.2",
        "one file by its name",
        statement([row("w.bin", A, size=5)], None),
        single,
    )
    ok(
        "single-unbound",
        "5.4",
        "'.' of a signer who binds no name",
        statement([row(".", A)], [(".", A)]),
        [file(".", A)],
        single_file=True,
    )
    whole = [file("model.bin", shards=SHARDS, size=14)]
    sharded = {"method": "shards", "shard_size": 10}
    ok("shards-python", "8.2", "shards, the tool's dialect", shards(), whole, **sharded)
    ok("shards-spec", "8.2", "shards, the text's dialect", shards(""), whole, **sharded)
    floating = shards()
    floating["predicate"]["serialization"]["shard_size"] = 10.0
    ok(
        "shards-float",
        "8.3",
        "shard_size as Protobuf's Struct writes it",
        floating,
        whole,
        **sharded,
    )
    colons = [file("a:0:5", shards=SHARDS, size=14)]
    ok("shards-colons", "8.4", "a name with colons", shards("", "a:0:5"), colons, **sharded)
    empties = [*whole, file("__init__.py", size=0), file("e/e", size=0)]
    listed = shards(empty=["__init__.py", "e/e"])
    ok("shards-empty", "5.5", "empty files beside shards", listed, empties, **sharded)
    dotted = shards(name=".", file="model.bin")
    ok("shards-single", "5.4", "one file in shards", dotted, whole, single_file=True, **sharded)
    return out


def tolerated_statements() -> dict[str, Vector]:
    """Return statements that others write, and a reader takes."""
    out: dict[str, Vector] = {}
    ok = partial(take, out)
    newline = statement([row("a\nb", A)], None)
    ok("line-feed", "4.2", "a name that dirHash has no room for", newline, [file("a\nb", A)])
    future = statement([row("a", A), row("b", B)], None)
    future["predicate"]["resources"][0]["countermark"] = {"v": 2, "size": "five", "more": {}}
    ok("version-2", "5.2", "an extension of a later version is ignored", future, PLAIN)
    unknown = statement([row("a", A), row("b", B)], [("a", A), ("b", B)])
    unknown["predicate"]["resources"][0]["org.example"] = [1]
    unknown["predicate"]["note"] = unknown["predicate"]["serialization"]["note"] = "x"
    unknown["subject"][0]["digest"]["gitTree"] = "0" * 40
    ok("unknown-keys", "8.1", "keys that OMS does not know", unknown, PLAIN)
    backwards = statement([row("b", B), row("a", A)], None)
    ok("any-order", "8.3", "rows in another order", backwards, PLAIN[::-1])
    upper = statement([row("a", A.upper()), row("b", B)], None)
    upper["subject"][0]["digest"]["countermark-names-v1"] = names_root([row("a", A), row("b", B)])
    ok("upper-case", "8.3", "digests in capitals; roots are over small letters", upper, PLAIN)
    wide = statement([row("a", A * 2, "blake2")], None, hash_type="blake2")
    ok("blake2", "8.3", "blake2 means blake2b", wide, [file("a", A * 2)], hash_type="blake2b")
    fast = statement([row("a", A, "blake3")], None, hash_type="blake3")
    ok("blake3", "8.3", "blake3 files", fast, [file("a", A)], hash_type="blake3")
    inner = statement([row("a", A)], None)
    inner["subject"][0]["digest"] |= {"dirHash": dir_hash([("a", A)])}
    ok("dir-hash", "4.1", "dirHash is there and right", inner, [file("a", A)])
    old = {
        "_type": STATEMENT,
        "subject": [{"name": n, "digest": {"sha256": d}} for n, d in (("a", A), ("b", B))],
        "predicateType": LEGACY,
        "predicate": {"unused": True},
    }
    ok("legacy", "8.5", "the v0.1 predicate", old, PLAIN, legacy=True)
    del old["predicate"]
    old["subject"] = [{"name": ".", "digest": {"sha256": A}}]
    one = [file(".", A)]
    ok("legacy-single", "8.5", "a single file in v0.1", old, one, legacy=True, single_file=True)
    return out


def refuse(
    out: dict[str, Vector],
    name: str,
    spec: str,
    why: str,
    document: Vector | str,
    code: str = "malformed-statement",
) -> None:
    """Add a statement that a reader refuses."""
    text = document if isinstance(document, str) else compact(document)
    about = {"kind": "statement", "expect": code, "spec": spec, "why": why}
    out[f"statement-{name}"] = about | {"statement": text}


def refused_statements() -> dict[str, Vector]:
    """Return statements with one fault each."""
    out: dict[str, Vector] = {}

    no = partial(refuse, out)

    def edit(
        name: str, spec: str, why: str, change: Edit, code: str = "malformed-statement"
    ) -> None:
        document = folder()
        change(document)
        no(name, spec, why, document, code)

    def drop(*path: str | int) -> Edit:
        def change(document: Vector) -> None:
            inner: Any = document
            for key in path[:-1]:
                inner = inner[key]
            del inner[path[-1]]

        return change

    def put(value: object, *path: str | int) -> Edit:
        def change(document: Vector) -> None:
            inner: Any = document
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value

        return change

    subject = ("subject", 0, "digest")
    settings = ("predicate", "serialization")
    first = ("predicate", "resources", 0)
    edit(
        "type", "9.1", "another in-toto version", put("https://in-toto.io/Statement/v0.1", "_type")
    )
    edit(
        "predicate-type",
        "9.1",
        "another predicate",
        put("https://slsa.dev/provenance/v1", "predicateType"),
    )
    edit("no-subject", "9.1", "no subject", drop("subject"))
    edit("no-predicate", "9.1", "no predicate", drop("predicate"))
    edit("no-resources", "9.2", "an empty list of resources", put([], "predicate", "resources"))
    edit("no-subjects", "9.3", "an empty list of subjects", put([], "subject"))
    two = folder()
    two["subject"] *= 2
    no("two-subjects", "9.3", "two subjects", two)
    edit("no-sha256", "9.3", "no OMS root", drop(*subject, "sha256"))
    edit("digest-number", "9.3", "a digest that is a number", put(1, *subject, "gitTree"))
    edit("root", "9.4", "another OMS root", put("0" * 64, *subject, "sha256"))
    edit(
        "names-root",
        "3.3",
        "another name-binding root",
        put("0" * 64, *subject, "countermark-names-v1"),
    )
    edit("dir-hash", "4.3", "another dirHash", put("0" * 64, *subject, "dirHash"))
    swapped = folder()
    names = [r["name"] for r in swapped["predicate"]["resources"]]
    for resource, name in zip(swapped["predicate"]["resources"], reversed(names), strict=True):
        resource["name"] = name
    del swapped["subject"][0]["digest"]["dirHash"]
    no("renamed", "3.3", "names exchanged: the OMS root alone would not notice", swapped)
    edit("method", "9.5", "a method nobody knows", put("trees", *settings, "method"))
    edit("no-method", "9.5", "no method", drop(*settings, "method"))
    edit("hash-type", "9.5", "an algorithm OMS does not list", put("md5", *settings, "hash_type"))
    edit("algorithm", "9.5", "a row with another algorithm", put("blake3", *first, "algorithm"))
    edit("digest-length", "9.5", "a digest of 31 bytes", put(A[2:], *first, "digest"))
    edit("digest-hex", "9.5", "a digest that is not hex", put("g" + A[1:], *first, "digest"))
    edit("row-text", "9.5", "a row that is text", put("config.json", *first))
    edit("no-name", "9.5", "a row without a name", drop(*first, "name"))
    edit("symlinks", "9.5", "allow_symlinks is text", put("yes", *settings, "allow_symlinks"))
    edit("ignore-paths", "9.5", "ignore_paths holds a number", put([1], *settings, "ignore_paths"))
    return out | refused_names()


def refused_names() -> dict[str, Vector]:
    """Return statements with names that clash or escape, and text that is not strict JSON."""
    out: dict[str, Vector] = {}
    no = partial(refuse, out)
    no("twice", "9.6", "two rows of one name", statement([row("a", A), row("a", B)], None))
    both = [row("a", A), row("a/b", B)]
    no("file-and-folder", "9.6", "one name is a file and a folder", statement(both, None))
    no(
        "dot-and-more",
        "9.6",
        "'.' beside another file",
        statement([row(".", A), row("b", B)], None),
    )
    for name, path in (
        ("parent", "../w"),
        ("absolute", "/w"),
        ("backslash", "a\\w"),
        ("nul", "w\x00"),
        ("empty", ""),
        ("inner-dots", "a/../w"),
        ("dot-part", "./w"),
        ("slashes", "a//w"),
        ("drive", "C:/w"),
        ("long", "n" * 4097),
        ("deep", "a/" * 64 + "w"),
    ):
        why = "a name that is not below the model, or too long"
        no(f"name-{name}", "9.7", why, statement([row(path, A)], None), "unsafe-name")
    text = compact(folder())
    json_code = "malformed-json"
    no("not-json", "9.8", "not JSON", text[:-1], json_code)
    no(
        "same-key",
        "9.8",
        "a key twice",
        text.replace('"_type"', '"_type":"","_type"', 1),
        json_code,
    )
    no(
        "inner-key",
        "9.8",
        "a key twice, deep inside",
        text.replace('"size":5', '"size":5,"size":6'),
        json_code,
    )
    no("surrogate", "9.8", "a lone surrogate", text.replace('"model"', '"\\ud800"'), json_code)
    no("nan", "9.8", "NaN is not JSON", text.replace('"size":5', '"size":NaN'), json_code)
    no("deep", "9.8", "33 levels", '{"a":' + "[" * 32 + "]" * 32 + "}", json_code)
    return out | refused_shards()


def refused_shards() -> dict[str, Vector]:
    """Return shards statements with one fault each."""
    out: dict[str, Vector] = {}

    def no(
        name: str,
        spec: str,
        why: str,
        rows: list[Vector],
        size: object = 10,
        code: str = "malformed-statement",
    ) -> None:
        document = statement(rows, None, method="shards", shard_size=size)
        about = {"kind": "statement", "expect": code, "spec": spec, "why": why}
        out[f"statement-shards-{name}"] = about | {"statement": compact(document)}

    head, tail = row("w:0:10", A), row("w:10:14", B)
    no("gap", "9.9", "a byte nobody signed", [head, row("w:11:14", B)])
    no("overlap", "9.9", "a byte signed twice", [head, row("w:9:14", B)])
    no("late-start", "9.9", "the first bytes are missing", [tail])
    no("empty-range", "9.9", "a shard of no bytes", [head, row("w:10:10", B), tail])
    no("backwards", "9.9", "a shard that ends before it starts", [head, row("w:10:9", B)])
    no("no-range", "9.9", "a name without a range", [row("w", A)])
    no("leading-zero", "9.9", "two spellings of one number", [row("w:00:10", A), tail])
    no("signed-number", "9.9", "a number with a sign", [row("w:+0:10", A), tail])
    no("parent", "9.7", "a name that leaves the model", [row("../w:0:10", A)], code="unsafe-name")
    for name, size in (
        ("zero", 0),
        ("true", True),
        ("text", "10"),
        ("half", 1.5),
        ("huge", 2**62 + 1),
    ):
        no(f"size-{name}", "9.9", "shard_size is not a length", [head, tail], size)
    no(
        "two-extensions",
        "5.6",
        "two rows speak for one file",
        [head | {"countermark": {"v": 1}}, tail | {"countermark": {"v": 1}}],
    )
    no("size-differs", "5.3", "another length than the shards'", [row("w:0:10", A, size=15), tail])
    no("empty-twice", "9.6", "an empty file that has shards", [row("w:0:10", A, empty=["w"]), tail])
    return out


def refused_extensions() -> dict[str, Vector]:
    """Return values of our key with one fault each, and the smallest good ones."""
    out: dict[str, Vector] = {}

    def add_one(
        name: str, spec: str, why: str, value: object, code: str = "malformed-statement"
    ) -> None:
        about = {"kind": "extension", "expect": code, "spec": spec, "why": why}
        out[f"extension-{name}"] = about | {"extension": value}

    def no(
        name: str, spec: str, why: str, value: object, code: str = "malformed-statement"
    ) -> None:
        add_one(name, spec, why, value if not isinstance(value, dict) else {"v": 1} | value, code)

    add_one("ok-empty", "5.1", "nothing but the version", {"v": 1}, "ok")
    add_one("ok-largest", "5.3", "the largest length", {"v": 1, "size": 2**62}, "ok")
    add_one("ok-bare-length", "5.1", "a length and nothing else", 2**62, "ok")
    add_one("bare-huge", "5.3", "a bare integer that is not a length", 2**62 + 1)
    add_one("bare-negative", "5.3", "a bare integer that is not a length", -1)
    add_one("bare-true", "5.2", "true is not 1", True)
    add_one("bare-float", "5.2", "1.0 is not an integer", 1.0)
    add_one(
        "ok-roots",
        "5.7",
        "roots without leaves",
        {"v": 1, "blocks": {"root": ROOT_1}, "tensors": {"root": ROOT_2}},
        "ok",
    )
    add_one("ok-version-2", "5.2", "ignored", {"v": 2, "blocks": 7}, "ignored")
    add_one("ok-version-0", "5.2", "ignored", {"v": 0}, "ignored")
    add_one("no-version", "5.2", "no version", {"size": 1})
    add_one("version-true", "5.2", "true is not 1", {"v": True})
    add_one("version-false", "5.2", "false is no version", {"v": False})
    add_one("version-float", "5.2", "1.0 is not an integer", {"v": 1.0})
    add_one("version-text", "5.2", "text is no version", {"v": "1"})
    no("null", "5.2", "not an object", None)
    no("array", "5.2", "not an object", [])
    no("unknown-key", "5.2", "a key this version does not know", {"sise": 1})
    for key in ("size", "file", "empty", "blocks", "tensors"):
        no(f"{key}-null", "5.2", "null is not absent", {key: None})
    sizes = (("negative", -1), ("true", True), ("float", 1.0), ("text", "1"), ("huge", 2**62 + 1))
    for name, value in sizes:
        no(f"size-{name}", "5.3", "not a length in bytes", {"size": value})
    no("file-path", "5.4", "a path, not a name", {"file": "a/b"})
    no("file-number", "5.4", "not a name", {"file": 1})
    no("file-dots", "5.4", "not a name", {"file": ".."}, "unsafe-name")
    no("empty-object", "5.5", "not a list", {"empty": {}})
    no("empty-number", "5.5", "not a name", {"empty": [1]})
    no("empty-twice", "5.5", "a name twice", {"empty": ["a", "a"]})
    no("empty-parent", "5.5", "leaves the model", {"empty": ["../a"]}, "unsafe-name")
    named = {"kind": "statement", "expect": "malformed-statement"}
    extra = compact(statement([row("a", A, file="b")], None))
    out["statement-second-name"] = named | {
        "spec": "5.4",
        "why": "a second name for one file",
        "statement": extra,
    }
    extra = compact(statement([row("a", A, empty=["b"])], None))
    out["statement-empty-in-files"] = named | {
        "spec": "5.5",
        "why": "empty files have rows here",
        "statement": extra,
    }
    return out | refused_trees()


def refused_trees() -> dict[str, Vector]:
    """Return values of our key with faulty roots or leaves."""
    out: dict[str, Vector] = {}

    def no(name: str, spec: str, why: str, value: Vector) -> None:
        about = {"kind": "extension", "expect": "malformed-statement", "spec": spec, "why": why}
        out[f"extension-{name}"] = about | {"extension": {"v": 1} | value}

    root = {"root": ROOT_1}
    no("blocks-text", "5.7", "not an object", {"blocks": ROOT_1})
    no("blocks-no-root", "5.7", "no root", {"blocks": {"leaves": "", "segments": []}})
    no("blocks-unknown", "5.7", "an unknown key", {"blocks": root | {"more": 1}})
    no("blocks-half", "5.7", "leaves without segments", {"blocks": root | {"leaves": LEAVES}})
    no("blocks-upper", "5.7", "capital hex digits", {"blocks": {"root": ROOT_1.upper()}})
    no("blocks-short", "5.7", "a root of 31 bytes", {"blocks": {"root": ROOT_1[2:]}})
    part = root | {"leaves": b64(bytes(33)), "segments": [1, 1]}
    no("blocks-part", "5.7", "leaves that are not whole digests", {"blocks": part})
    bad = root | {"leaves": "!!!!", "segments": [1]}
    no("blocks-base64", "5.7", "leaves that are not base64", {"blocks": bad})
    negative = root | {"leaves": LEAVES, "segments": [-1]}
    no("blocks-segment", "5.7", "a negative length", {"blocks": negative})
    no("tensors-alone", "5.8", "tensors without blocks", {"tensors": root})
    both = {"blocks": root}
    no("tensors-text", "5.8", "not an object", both | {"tensors": ROOT_1})
    no("tensors-unknown", "5.8", "an unknown key", both | {"tensors": root | {"more": 1}})
    no(
        "tensors-twice",
        "5.8",
        "a tensor twice",
        both | {"tensors": root | {"leaves": [TENSOR, TENSOR]}},
    )
    no("tensors-row", "5.8", "not a tree-v1 row", both | {"tensors": root | {"leaves": [["w"]]}})
    no(
        "tensors-dtype",
        "5.8",
        "an unknown dtype",
        both | {"tensors": root | {"leaves": [["w", "F33", [], ROOT_1]]}},
    )
    return out


# 4. Bundles.


def bundle() -> Vector:
    """Return a good bundle over the folder statement, really signed."""
    payload = compact(folder()).encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": HINT}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": b64(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": b64(sign(pae)), "keyid": ""}],
        },
    }


GOOD = bundle()
SIG = GOOD["dsseEnvelope"]["signatures"][0]["sig"]


def edited(change: Edit) -> str:
    """Return the good bundle with one change."""
    document = copy.deepcopy(GOOD)
    change(document)
    return compact(document)


def material(value: object) -> Edit:
    """Return a change of everything that says who signed."""
    return lambda d: d.__setitem__("verificationMaterial", value)


def envelope(key: str, value: object) -> Edit:
    """Return a change of one key of the envelope."""
    return lambda d: d["dsseEnvelope"].__setitem__(key, value)


def signature(value: object) -> Edit:
    """Return a change of the only signature."""
    return envelope("signatures", [value])


def signed_digest(document: Vector) -> None:
    """Make it the bundle of `cosign sign-blob`."""
    del document["dsseEnvelope"]
    document["messageSignature"] = {}


def accepted_bundles() -> dict[str, Vector]:
    """Return bundles that a reader takes, section 6."""
    out: dict[str, Vector] = {}

    def ok(name: str, why: str, change: Edit, hint: str | None = HINT) -> None:
        about = {"kind": "bundle", "expect": "ok", "spec": "6", "why": why}
        facts = {"method": "key", "hint": hint, "public_key": PEM}
        out[f"bundle-ok-{name}"] = about | facts | {"bundle": edited(change)}

    ok("key", "as we write it", lambda _: None)
    ok("no-log", "Go's signer leaves tlogEntries out", material({"publicKey": {"hint": HINT}}))
    ok("no-keyid", "no keyid", signature({"sig": SIG}))
    ok("null-keyid", "keyid null", signature({"sig": SIG, "keyid": None}))
    ok("other-keyid", "keyid is not looked at", signature({"sig": SIG, "keyid": "x"}))
    raw = {"rawBytes": b64(PUBLIC), "keyDetails": "PKIX_ED25519"}
    ok("raw-key", "a copy of the key, not used", material({"publicKey": raw}), None)
    ok("no-hint", "no hint", material({"publicKey": {}}), None)
    ok(
        "media-type",
        "an older media type",
        lambda d: d.__setitem__(
            "mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.1"
        ),
    )
    return out


def refused_bundles() -> dict[str, Vector]:
    """Return bundles with one fault each, sections 6 and 11."""
    out: dict[str, Vector] = {}

    def no(name: str, spec: str, why: str, change: Edit, code: str = "malformed-bundle") -> None:
        about = {"kind": "bundle", "expect": code, "spec": spec, "why": why}
        out[f"bundle-{name}"] = about | {"bundle": edited(change)}

    no(
        "media-type",
        "6.2",
        "not a media type of bundles",
        lambda d: d.__setitem__("mediaType", "application/json"),
    )
    no("unknown-key", "6.2", "an unknown key", lambda d: d.__setitem__("more", 1))
    no("no-material", "6.2", "no verification material", lambda d: d.pop("verificationMaterial"))
    no(
        "message-signature",
        "6.2",
        "a signature over one file",
        signed_digest,
    )
    no("envelope-unknown-key", "6.3", "an unknown key", envelope("more", 1))
    no("payload-type", "6.3", "another payload type", envelope("payloadType", "text/plain"))
    no(
        "payload-base64",
        "6.3",
        "white space in base64",
        envelope("payload", " " + GOOD["dsseEnvelope"]["payload"]),
    )
    no("payload-url", "6.3", "the URL alphabet of base64", envelope("payload", "-_-_"))
    no("payload-number", "6.3", "not base64", envelope("payload", 1))
    no("no-payload", "6.3", "no payload", lambda d: d["dsseEnvelope"].pop("payload"))
    no("no-signature", "6.4", "no signature", envelope("signatures", []))
    no(
        "two-signatures",
        "6.4",
        "two signatures",
        envelope("signatures", GOOD["dsseEnvelope"]["signatures"] * 2),
    )
    no("signature-unknown-key", "6.4", "an unknown key", signature({"sig": SIG, "cert": ""}))
    no("keyid-number", "6.4", "keyid is a number", signature({"sig": SIG, "keyid": 1}))
    no("no-sig", "6.4", "no sig", signature({"keyid": ""}))
    no("material-none", "6.5", "nothing says who signed", material({"tlogEntries": []}))
    one = {"rawBytes": b64(b"der")}
    no(
        "material-two",
        "6.5",
        "two answers to who signed",
        material({"publicKey": {"hint": HINT}, "certificate": one}),
    )
    no(
        "material-unknown",
        "6.5",
        "an unknown key",
        material({"publicKey": {"hint": HINT}, "more": 1}),
    )
    no("hint-number", "6.5", "hint is a number", material({"publicKey": {"hint": 1}}))
    no("public-key-text", "6.5", "not an object", material({"publicKey": HINT}))
    no("public-key-unknown", "6.5", "an unknown key", material({"publicKey": {"key": HINT}}))
    no(
        "chain-empty",
        "6.5",
        "no certificate",
        material({"x509CertificateChain": {"certificates": []}}),
    )
    no(
        "chain-long",
        "6.5",
        "17 certificates",
        material({"x509CertificateChain": {"certificates": [one] * 17}}),
    )
    no(
        "certificate-unknown",
        "6.5",
        "an unknown key",
        material({"x509CertificateChain": {"certificates": [one | {"more": 1}]}}),
    )
    stamps = {"publicKey": {"hint": HINT}}
    many = {"timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": ""}] * 17}}
    no("timestamps-many", "6.6", "17 timestamps", material(stamps | many), "too-large")
    no(
        "timestamps-form",
        "6.6",
        "not a list",
        material(stamps | {"timestampVerificationData": {"rfc3161Timestamps": {}}}),
    )
    no(
        "timestamp-form",
        "6.6",
        "not {signedTimestamp}",
        material(stamps | {"timestampVerificationData": {"rfc3161Timestamps": [""]}}),
    )
    no(
        "many-values",
        "11",
        "more values than a bundle has",
        material({"publicKey": {"hint": HINT}, "tlogEntries": [1] * 65_536}),
        "too-large",
    )
    return out | bundle_texts()


def bundle_texts() -> dict[str, Vector]:
    """Return what has to be written as text: broken JSON, and bundle sets."""
    out: dict[str, Vector] = {}
    text = compact(GOOD)
    about = {"kind": "bundle", "expect": "malformed-json", "spec": "6.2"}
    out["bundle-same-key"] = about | {
        "why": "a key twice",
        "bundle": text.replace('"mediaType"', '"mediaType":"","mediaType"'),
    }
    out["bundle-not-json"] = about | {"why": "cut short", "bundle": text[:-1]}
    lines = {"kind": "bundle-lines", "spec": "7.2"}
    out["lines-ok"] = lines | {
        "expect": "ok",
        "why": "two bundles, empty lines between",
        "count": 2,
        "lines": f"{text}\n\n \t\r\n{text}",
    }
    out["lines-none"] = lines | {
        "expect": "ok",
        "why": "no bundle at all",
        "count": 0,
        "lines": "\n",
    }
    out["lines-bad"] = lines | {
        "expect": "malformed-json",
        "why": "the second line is cut",
        "lines": f"{text}\n{text[:-1]}\n",
    }
    out["lines-257"] = lines | {"expect": "too-large", "why": "257 bundles", "lines": "{}\n" * 257}
    return out


def roots() -> dict[str, Vector]:
    """Return the vectors of sections 3 and 4."""
    rows = [row("b", B), row("a", A), row('ä\n"\\\u0001\u007f\u2028😀', C), row("\uffff", C)]
    about: Vector = {
        "kind": "roots",
        "expect": "ok",
        "spec": "3.2",
        "why": "roots of the first 1, 2, … rows",
    }
    about |= {"rows": [[r["name"], r["algorithm"], r["digest"]] for r in rows]}
    about |= {"names_roots": [names_root(rows[:n]) for n in range(1, 5)]}
    about |= {"oms_roots": [oms_root(rows[:n]) for n in range(1, 5)]}
    pairs = [("b", B), ("a/z", A), ("a-b", C), ("ä", C)]
    hashes: Vector = {
        "kind": "dir-hash",
        "expect": "ok",
        "spec": "4.1",
        "why": "of the first 1, 2, … files",
    }
    hashes |= {"files": pairs, "hashes": [dir_hash(pairs[:n]) for n in range(1, 5)]}
    return {"roots": about, "dir-hash": hashes}


def build() -> dict[str, Vector]:
    """Return every vector by file name without `.json`."""
    statements = accepted_statements() | tolerated_statements()
    statements |= refused_statements() | refused_extensions()
    return statements | accepted_bundles() | refused_bundles() | roots()


def text_of(vector: Vector) -> str:
    """Return the file text of a vector."""
    return json.dumps(vector, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write the vectors and remove stale ones."""
    VECTORS.mkdir(exist_ok=True)
    vectors = build()
    for stale in VECTORS.glob("*.json"):
        if stale.stem not in vectors:
            stale.unlink()
    for name, vector in vectors.items():
        (VECTORS / f"{name}.json").write_text(text_of(vector), encoding="ascii")
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
