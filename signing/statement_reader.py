"""OMS statements, read: everything either dialect writes, and nothing that is ambiguous.

Tolerated, because released signers write it: any order of resources, `shard_size` as a
float, `sha256-sharded-N` for `sha256`, `blake2` for `blake2b`, `.` or a basename for a
single file, the v0.1 predicate, unknown keys. Refused: two meanings (a repeated key or
name), names that leave the model, digests of the wrong length, no resources, more than one
subject, roots that do not belong to their resources.
"""

from __future__ import annotations

import re

from countermark.signing import strict_json
from countermark.signing.errors import MalformedStatementError, TooLargeError
from countermark.signing.extension import EXTENSION_KEY, Extension, parse_extension
from countermark.signing.manifest import (
    DIGEST_BYTES,
    FileEntry,
    Manifest,
    Resource,
    Shard,
    dir_hash,
    names_root,
    oms_root,
)
from countermark.signing.names import check_name, printable
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
    resources, extensions = _resources(rows, hash_type)
    if method == "files":
        files = tuple(_file(resource, extensions.get(resource.name)) for resource in resources)
    else:
        files = _sharded_files(resources, extensions)
    manifest = Manifest(
        name=name,
        method=method,
        hash_type=hash_type,
        files=files,
        shard_bytes=_shard_bytes(serialization) if method == "shards" else None,
        allow_symlinks=_allow_symlinks(serialization),
        ignore_paths=_ignore_paths(serialization),
        single_file=_is_single(resources, method),
        model_digest=oms_root(resources),
    )
    _check_paths(manifest)
    _check_roots(manifest, resources, stated)
    return manifest


def _is_single(resources: list[Resource], method: str) -> bool:
    """Return whether a resource bears the name that stands for a model of one file."""
    # A folder may well hold a file called ".:x".
    if method == "shards":
        return any(resource.name.rsplit(":", 2)[0] == "." for resource in resources)
    return "." in {resource.name for resource in resources}


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


def _resources(rows: list[object], hash_type: str) -> tuple[list[Resource], dict[str, Extension]]:
    _check_count(rows)
    resources = []
    extensions: dict[str, Extension] = {}
    for row in rows:
        resource, extension = _resource(row, hash_type)
        resources.append(resource)
        if extension is not None:
            extensions[resource.name] = extension
    if len({resource.name for resource in resources}) != len(resources):
        raise MalformedStatementError("two resources have the same name")
    return resources, extensions


def _parse_legacy(subjects: list[object]) -> Manifest:
    """Read the v0.1 predicate, where every file is a subject (OMS v1.0 section 11)."""
    _check_count(subjects)
    files = []
    for subject in subjects:
        match subject:
            case {"name": str(name), "digest": {"sha256": str(digest)}}:
                path = "." if name == "." else check_name(name)
                files.append(FileEntry(path=path, digest=_digest(digest, "sha256", name)))
            case _:
                raise MalformedStatementError("a v0.1 subject has no name or no sha256 digest")
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


def _resource(row: object, hash_type: str) -> tuple[Resource, Extension | None]:
    # Not a `match`: this runs once a file, and there may be a hundred thousand.
    if not isinstance(row, dict):
        raise MalformedStatementError("a resource is not an object")
    name, algorithm, digest = row.get("name"), row.get("algorithm"), row.get("digest")
    if not (isinstance(name, str) and isinstance(algorithm, str) and isinstance(digest, str)):
        raise MalformedStatementError("a resource has no name, algorithm or digest")
    if algorithm != hash_type:
        base = algorithm.split("-sharded-")[0]
        if _ALIASES.get(base, base) != hash_type:
            raise MalformedStatementError(
                f"{printable(name)[:200]}: algorithm differs from hash_type {hash_type}"
            )
    extension = parse_extension(row[EXTENSION_KEY]) if EXTENSION_KEY in row else None
    return Resource(name, algorithm, _digest(digest, hash_type, name)), extension


def _digest(digest: str, hash_type: str, name: str) -> str:
    if len(digest) != 2 * DIGEST_BYTES[hash_type] or not _HEX.fullmatch(digest):
        raise MalformedStatementError(
            f"{printable(name)[:200]}: digest is not {2 * DIGEST_BYTES[hash_type]} hex digits"
        )
    return digest.lower()


def _path(name: str, extension: Extension | None) -> str:
    if name != ".":
        if extension is not None and extension.file is not None:
            raise MalformedStatementError(f"{printable(name)[:200]}: a second name for one file")
        return check_name(name)
    # OMS binds no name to a single file; our extension does.
    return extension.file if extension is not None and extension.file is not None else "."


def _file(resource: Resource, extension: Extension | None) -> FileEntry:
    if extension is not None and extension.empty:
        raise MalformedStatementError("empty files are listed where each has a resource")
    if extension is None:
        return FileEntry(_path(resource.name, None), resource.digest)
    path = _path(resource.name, extension)
    return FileEntry(path, resource.digest, (), extension.size_bytes, extension.trees)


def _sharded_files(
    resources: list[Resource], extensions: dict[str, Extension]
) -> tuple[FileEntry, ...]:
    shards: dict[str, list[Shard]] = {}
    said: dict[str, Extension] = {}
    empty: list[str] = []
    for resource in resources:
        name, start, end = _split_shard(resource.name)
        shards.setdefault(name, []).append(Shard(start=start, end=end, digest=resource.digest))
        if resource.name in extensions:
            if name in said:
                raise MalformedStatementError(
                    f"{printable(name)[:200]}: two shards speak for the whole file"
                )
            said[name] = extensions[resource.name]
            empty.extend(said[name].empty)
    files = []
    for name, ranges in shards.items():
        ranges.sort(key=lambda shard: shard.start)
        _check_ranges(name, ranges)
        extension = said.get(name)
        if extension is not None and extension.size_bytes not in (None, ranges[-1].end):
            raise MalformedStatementError(
                f"{printable(name)[:200]}: size is not that of its shards"
            )
        files.append(
            FileEntry(
                path=_path(name, extension),
                digest="",
                shards=tuple(ranges),
                size_bytes=ranges[-1].end,
                trees=extension.trees if extension else None,
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
    if manifest.single_file and len(paths) != 1:
        raise MalformedStatementError("a single-file model ('.') lists further files")
    folders = {
        path.rsplit("/", depth)[0] for path in paths for depth in range(1, path.count("/") + 1)
    }
    if not folders.isdisjoint(paths):
        raise MalformedStatementError("one name is both a file and a folder")


def _check_roots(manifest: Manifest, resources: list[Resource], stated: dict[str, str]) -> None:
    """Recompute every root the subject states: all are signed, so all must agree."""
    if stated["sha256"].lower() != manifest.model_digest:
        raise MalformedStatementError("the subject's sha256 is not the root of the resources")
    if NAMES_ROOT_KEY in stated and stated[NAMES_ROOT_KEY] != names_root(resources):
        raise MalformedStatementError(f"{NAMES_ROOT_KEY} is not the root of the resources")
    if "dirHash" in stated and (manifest.method, manifest.hash_type) == ("files", "sha256"):
        expected = dir_hash([(file.path, file.digest) for file in manifest.files])
        if expected is not None and stated["dirHash"] != expected:
            raise MalformedStatementError("dirHash is not the hash of the resources")
