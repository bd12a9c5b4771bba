"""OMS statements, read: everything either dialect writes, and nothing that is ambiguous.

Tolerated, because released signers write it: any order of resources, `shard_size` as a
float, `sha256-sharded-N` for `sha256`, `blake2` for `blake2b`, `.` or a basename for a
single file, the v0.1 predicate, unknown keys. Refused: two meanings (a repeated key or
name), names that leave the model, digests of the wrong length, no resources, more than one
subject, roots that do not belong to their resources.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from countermark.signing import strict_json
from countermark.signing.errors import MalformedStatementError, TooLargeError
from countermark.signing.extension import NO_EXTENSION, Extension, parse_extensions
from countermark.signing.manifest import (
    DIGEST_BYTES,
    FileEntry,
    Manifest,
    Shard,
    dir_hash,
    names_root,
    oms_root,
)
from countermark.signing.names import check_names, printable
from countermark.signing.statement import (
    LEGACY_PREDICATE_TYPE,
    MAX_RESOURCES,
    MAX_STATEMENT_BYTES,
    NAMES_ROOT_KEY,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
)

__all__ = ["MAX_RESOURCES", "MAX_STATEMENT_BYTES", "parse_statement"]

_HEX = re.compile(r"[0-9a-fA-F]+")
_SHARD_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_MAX_SHARD_BYTES = 2**62
_ALIASES = {"blake2": "blake2b"}


def parse_statement(payload: bytes) -> Manifest:
    """Parse the payload of a DSSE envelope into the manifest it states.

    Raises:
        TooLargeError: Over `MAX_STATEMENT_BYTES` or `MAX_RESOURCES`.
        MalformedJsonError: Not strict JSON.
        MalformedStatementError: Not a consistent OMS statement.
        UnsafeNameError: A resource's name could leave the model.

    """
    document = strict_json.loads(payload, what="statement", max_bytes=MAX_STATEMENT_BYTES)
    match document:
        case {"_type": kind} if kind != STATEMENT_TYPE:
            raise MalformedStatementError("_type is not in-toto Statement v1")
        case {"_type": _, "predicateType": kind, "subject": list(subjects)} if (
            kind == LEGACY_PREDICATE_TYPE
        ):
            return _parse_legacy(subjects)
        case {
            "_type": _,
            "predicateType": kind,
            "subject": list(subjects),
            "predicate": {"resources": list(rows), "serialization": dict(serialization)},
        } if kind == PREDICATE_TYPE:
            return _parse_current(subjects, rows, serialization)
        case {"predicateType": str(kind)} if kind != PREDICATE_TYPE:
            raise MalformedStatementError(
                f"predicate type is {printable(kind)[:120]}, expected {PREDICATE_TYPE}",
                hint="this is a statement about something else than a model's files",
            )
        case _:
            raise MalformedStatementError("subject, predicateType or predicate is missing")


def _parse_current(
    subjects: list[object], rows: list[object], serialization: dict[str, object]
) -> Manifest:
    name, stated = _subject(subjects)
    hash_type = _hash_type(serialization.get("hash_type"))
    method = _method(serialization.get("method"))
    resources = _resources(rows, hash_type)
    files = _whole_files(resources) if method == "files" else _sharded_files(resources)
    triples = list(zip(resources.names, resources.algorithms, resources.digests, strict=True))
    manifest = Manifest(
        name=name,
        method=method,
        hash_type=hash_type,
        files=files,
        shard_bytes=_shard_bytes(serialization) if method == "shards" else None,
        allow_symlinks=_allow_symlinks(serialization),
        ignore_paths=_ignore_paths(serialization),
        single_file=_is_single(resources.names, method),
        model_digest=oms_root(triples),
    )
    _check_paths(manifest)
    _check_roots(manifest, triples, stated)
    return manifest


def _is_single(names: list[str], method: str) -> bool:
    """Return whether a resource bears the name that stands for a model of one file."""
    # A folder may well hold a file called ".:x".
    if method == "shards":
        return any(name.rsplit(":", 2)[0] == "." for name in names)
    return "." in names


def _subject(subjects: list[object]) -> tuple[str, dict[str, str]]:
    if len(subjects) != 1:
        raise MalformedStatementError(f"{len(subjects)} subjects, expected exactly one")
    match subjects[0]:
        case {"name": str(name), "digest": {"sha256": str(_)} as digests} if all(
            isinstance(value, str) for value in digests.values()
        ):
            return name, {str(key): str(value) for key, value in digests.items()}
        case _:
            raise MalformedStatementError("the subject has no name or no sha256 digest")


def _method(value: object) -> str:
    match value:
        case "files" | "shards":
            return str(value)
        case _:
            raise MalformedStatementError("serialization method is neither 'files' nor 'shards'")


class _Resources(NamedTuple):
    """All resources, column by column: there may be a hundred thousand."""

    names: list[str]
    algorithms: list[str]
    digests: list[str]
    extensions: list[Extension]


def _resources(rows: list[object], hash_type: str) -> _Resources:
    _check_count(rows)
    objects = [row for row in rows if isinstance(row, dict)]
    if len(objects) != len(rows):
        raise MalformedStatementError("a resource is not an object")
    names, algorithms, digests = (_column(objects, k) for k in ("name", "algorithm", "digest"))
    for algorithm in set(algorithms) - {hash_type}:
        base = algorithm.split("-sharded-")[0]
        if _ALIASES.get(base, base) != hash_type:
            name = printable(names[algorithms.index(algorithm)])[:200]
            raise MalformedStatementError(f"{name}: algorithm differs from hash_type {hash_type}")
    if len(set(names)) != len(names):
        raise MalformedStatementError("two resources have the same name")
    digests = _digests(digests, hash_type, names)
    return _Resources(names, algorithms, digests, parse_extensions(objects))


def _column(rows: list[dict[str, object]], key: str) -> list[str]:
    values = [value for row in rows if isinstance(value := row.get(key), str)]
    if len(values) != len(rows):
        raise MalformedStatementError("a resource has no name, algorithm or digest")
    return values


def _parse_legacy(subjects: list[object]) -> Manifest:
    """Read the v0.1 predicate, where every file is a subject (OMS v1.0 section 11)."""
    _check_count(subjects)
    names, digests = [], []
    for subject in subjects:
        match subject:
            case {"name": str(name), "digest": {"sha256": str(digest)}}:
                names.append(name)
                digests.append(digest)
            case _:
                raise MalformedStatementError("a v0.1 subject has no name or no sha256 digest")
    digests = _digests(digests, "sha256", names)
    files = [FileEntry(name, digest) for name, digest in zip(names, digests, strict=True)]
    manifest = Manifest(
        name="",
        method="files",
        hash_type="sha256",
        files=tuple(files),
        single_file=any(file.path == "." for file in files),
        legacy=True,
    )
    _check_paths(manifest)
    return manifest


def _check_count(rows: list[object]) -> None:
    if not rows:
        raise MalformedStatementError("the statement lists no file")
    if len(rows) > MAX_RESOURCES:
        raise TooLargeError("statement", size=len(rows), limit=MAX_RESOURCES, unit="resources")


def _hash_type(value: object) -> str:
    if isinstance(value, str):
        name = _ALIASES.get(value, value)
        if name in DIGEST_BYTES:
            return name
    raise MalformedStatementError(
        f"hash_type is not one of {', '.join(DIGEST_BYTES)}",
        hint="the model was signed with a digest algorithm that OMS v1.0 does not list",
    )


def _digests(digests: list[str], hash_type: str, names: list[str]) -> list[str]:
    """Return digests in lowercase; `names` says whose they are."""
    length = 2 * DIGEST_BYTES[hash_type]
    text = "".join(digests)
    if set(map(len, digests)) != {length} or not _HEX.fullmatch(text):
        bad = (
            name
            for name, digest in zip(names, digests, strict=True)
            if len(digest) != length or not _HEX.fullmatch(digest)
        )
        raise MalformedStatementError(
            f"{printable(next(bad))[:200]}: digest is not {length} hex digits"
        )
    return digests if text == text.lower() else [digest.lower() for digest in digests]


def _path(name: str, file: str) -> str:
    """Return the path where OMS says `name`, and our extension `file`."""
    if name != ".":  # OMS binds no name to a single file; that is what the extension is for.
        raise MalformedStatementError(f"{printable(name)[:200]}: a second name for one file")
    return file


def _whole_files(resources: _Resources) -> tuple[FileEntry, ...]:
    files = []
    for name, _, digest, extension in zip(*resources, strict=True):
        size_bytes, file, empty, trees = extension
        if empty:
            raise MalformedStatementError("empty files are listed where each has a resource")
        path = name if file is None else _path(name, file)
        files.append(FileEntry(path, digest, (), size_bytes, trees))
    return tuple(files)


def _sharded_files(resources: _Resources) -> tuple[FileEntry, ...]:
    shards: dict[str, list[Shard]] = {}
    said: dict[str, Extension] = {}
    empty: list[str] = []
    for row_name, _, digest, extension in zip(*resources, strict=True):
        name, start, end = _split_shard(row_name)
        shards.setdefault(name, []).append(Shard(start=start, end=end, digest=digest))
        if extension is not NO_EXTENSION:
            if name in said:
                raise MalformedStatementError(
                    f"{printable(name)[:200]}: two shards speak for the whole file"
                )
            said[name] = extension
            empty.extend(extension.empty)
    files = []
    for name, ranges in shards.items():
        ranges.sort(key=lambda shard: shard.start)
        _check_ranges(name, ranges)
        extension = said.get(name, NO_EXTENSION)
        if extension.size_bytes not in (None, ranges[-1].end):
            raise MalformedStatementError(
                f"{printable(name)[:200]}: size is not that of its shards"
            )
        files.append(
            FileEntry(
                path=name if extension.file is None else _path(name, extension.file),
                digest="",
                shards=tuple(ranges),
                size_bytes=ranges[-1].end,
                trees=extension.trees,
            )
        )
    files.extend(FileEntry(path=name, digest="", size_bytes=0) for name in empty)
    return tuple(files)


def _split_shard(name: str) -> tuple[str, int, int]:
    # From the right: a file's own name may hold colons.
    parts = name.rsplit(":", 2)
    if len(parts) != 3 or not all(_SHARD_NUMBER.fullmatch(part) for part in parts[1:]):
        raise MalformedStatementError(
            f"{printable(name)[:200]}: a shard is named path:start:end, in bytes"
        )
    return parts[0], int(parts[1]), int(parts[2])


def _check_ranges(name: str, ranges: list[Shard]) -> None:
    position = 0
    for shard in ranges:
        if shard.start != position or shard.end <= shard.start:
            raise MalformedStatementError(
                f"{printable(name)[:200]}: shards leave a gap or overlap at byte {position}"
            )
        position = shard.end


def _shard_bytes(serialization: dict[str, object]) -> int:
    match serialization.get("shard_size"):
        case bool():
            pass
        case int(size) if 0 < size <= _MAX_SHARD_BYTES:
            return size
        case float(size) if 0 < size <= _MAX_SHARD_BYTES and size.is_integer():
            return int(size)  # Protobuf's Struct knows no integers: 1000000000.0.
    raise MalformedStatementError("shard_size is not a positive number of bytes")


def _allow_symlinks(serialization: dict[str, object]) -> bool:
    match serialization.get("allow_symlinks", False):
        case bool(allowed):
            return allowed
        case _:
            raise MalformedStatementError("allow_symlinks is not true or false")


def _ignore_paths(serialization: dict[str, object]) -> tuple[str, ...]:
    match serialization.get("ignore_paths", []):
        case list(paths) if all(isinstance(path, str) for path in paths):
            return tuple(str(path) for path in paths)
        case _:
            raise MalformedStatementError("ignore_paths is not a list of strings")


def _check_paths(manifest: Manifest) -> None:
    paths = [file.path for file in manifest.files]
    if len(set(paths)) != len(paths):
        raise MalformedStatementError("two resources mean the same file")
    if not manifest.single_file:
        check_names(paths)
    elif len(paths) != 1:
        raise MalformedStatementError("a single-file model ('.') lists further files")
    folders: set[str] = set()
    above = {path.rpartition("/")[0] for path in paths}
    while above:
        folders |= above
        above = {path.rpartition("/")[0] for path in above} - folders
    if not folders.isdisjoint(paths):
        raise MalformedStatementError("one name is both a file and a folder")


def _check_roots(
    manifest: Manifest, resources: list[tuple[str, str, str]], stated: dict[str, str]
) -> None:
    """Recompute every root the subject states: all are signed, so all must agree."""
    if stated["sha256"].lower() != manifest.model_digest:
        raise MalformedStatementError("the subject's sha256 is not the root of the resources")
    if NAMES_ROOT_KEY in stated and stated[NAMES_ROOT_KEY] != names_root(resources):
        raise MalformedStatementError(f"{NAMES_ROOT_KEY} is not the root of the resources")
    if "dirHash" in stated and (manifest.method, manifest.hash_type) == ("files", "sha256"):
        expected = dir_hash([(file.path, file.digest) for file in manifest.files])
        if expected is not None and stated["dirHash"] != expected:
            raise MalformedStatementError("dirHash is not the hash of the resources")
