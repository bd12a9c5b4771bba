"""OMS statements, written: one manifest, one encoding, in either dialect.

Source: OpenSSF Model Signing v1.0 sections 5 and 6, in-toto Statement v1, and what the
reference implementation (model-signing 1.1.1) expects where it differs from that text.
Reading is `statement_reader`'s; our own keys are `extension`'s.
"""

from __future__ import annotations

from enum import Enum

from countermark.signing import strict_json
from countermark.signing.errors import EmptyModelError, TooLargeError
from countermark.signing.extension import EXTENSION_KEY, encode_extension
from countermark.signing.manifest import (
    FileEntry,
    Manifest,
    Resource,
    dir_hash,
    names_root,
    oms_root,
)

__all__ = [
    "LEGACY_PREDICATE_TYPE",
    "MAX_RESOURCES",
    "MAX_STATEMENT_BYTES",
    "NAMES_ROOT_KEY",
    "PREDICATE_TYPE",
    "STATEMENT_TYPE",
    "Dialect",
    "encode_statement",
]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
LEGACY_PREDICATE_TYPE = "https://model_signing/Digests/v0.1"
NAMES_ROOT_KEY = "countermark-names-v1"

# Both for signing, where they spare the signer a signature that nobody reads, and reading.
MAX_STATEMENT_BYTES = 47 * 1024 * 1024  # In base64 it fits into `bundle.MAX_BUNDLE_BYTES`.
MAX_RESOURCES = 250_000


class Dialect(Enum):
    """Where the OMS text and its reference implementation differ, whom to write for.

    `PYTHON` calls a single file `.` and marks shard digests `sha256-sharded-N`; `SPEC`
    uses the file's name and the plain algorithm. Each verifier refuses the other's.
    """

    PYTHON = "python"
    SPEC = "spec"


def encode_statement(manifest: Manifest, *, dialect: Dialect = Dialect.PYTHON) -> bytes:
    """Return the bytes to sign: compact JSON with sorted keys.

    Raises:
        EmptyModelError: There is nothing to put into `resources`, which OMS v1.0 section
            5.2.1 forbids.
        TooLargeError: Over `MAX_STATEMENT_BYTES` or `MAX_RESOURCES`.

    """
    rows = _rows(manifest, dialect)
    if not rows:
        raise EmptyModelError("the model holds no byte to sign")
    if len(rows) > MAX_RESOURCES:
        raise TooLargeError("statement", size=len(rows), limit=MAX_RESOURCES, unit="resources")
    resources = [resource for resource, _ in rows]
    serialization: dict[str, object] = {
        "method": manifest.method,
        "hash_type": manifest.hash_type,
        "allow_symlinks": manifest.allow_symlinks,
        "ignore_paths": sorted(manifest.ignore_paths),
    }
    if manifest.method == "shards":
        serialization["shard_size"] = manifest.shard_bytes
    encoded = strict_json.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": manifest.name, "digest": _subject_digest(manifest, resources)}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "resources": [descriptor for _, descriptor in rows],
                "serialization": serialization,
            },
        }
    )
    if len(encoded) > MAX_STATEMENT_BYTES:
        raise TooLargeError("statement", size=len(encoded), limit=MAX_STATEMENT_BYTES)
    return encoded


def _subject_digest(manifest: Manifest, resources: list[Resource]) -> dict[str, str]:
    digest = {"sha256": oms_root(resources), NAMES_ROOT_KEY: names_root(resources)}
    if manifest.method == "files" and manifest.hash_type == "sha256":
        hashed = dir_hash([(file.path, file.digest) for file in manifest.files])
        if hashed is not None:
            digest["dirHash"] = hashed
    return digest


def _rows(manifest: Manifest, dialect: Dialect) -> list[tuple[Resource, dict[str, object]]]:
    """Return resources with their descriptors, ordered as OMS v1.0 section 5.2.1 demands."""
    rows = []
    empty = tuple(f.path for f in manifest.files if not f.shards) if _sharded(manifest) else ()
    for file in manifest.files:
        resources = list(_resources(file, manifest, dialect))
        for index, resource in enumerate(resources):
            descriptor: dict[str, object] = {
                "name": resource.name,
                "algorithm": resource.algorithm,
                "digest": resource.digest,
            }
            if index == 0:
                descriptor[EXTENSION_KEY] = encode_extension(
                    file,
                    bind_name=manifest.single_file and dialect is Dialect.PYTHON,
                    empty=empty,
                )
                empty = ()  # Said once, on the first file that has a row.
            rows.append((resource, descriptor))
    return sorted(rows, key=lambda row: row[0].name)


def _resources(file: FileEntry, manifest: Manifest, dialect: Dialect) -> list[Resource]:
    name, algorithm = file.path, manifest.hash_type
    if manifest.single_file and dialect is Dialect.PYTHON:
        name = "."  # The released tool finds a single file under this name only.
    if not _sharded(manifest):
        return [Resource(name=name, algorithm=algorithm, digest=file.digest)]
    if dialect is Dialect.PYTHON:
        algorithm = f"{algorithm}-sharded-{manifest.shard_bytes}"
    return [
        Resource(name=f"{name}:{s.start}:{s.end}", algorithm=algorithm, digest=s.digest)
        for s in file.shards
    ]


def _sharded(manifest: Manifest) -> bool:
    return manifest.method == "shards"
