"""A model that was signed, as content can name it: its digest, its bundle, its own manifest.

An OMS statement signs a model as a list of digests, and its subject is the sha256 of that list
(OMS v1.0 section 6.5). C2PA hashes an asset. So the asset that a model's manifest, `model.c2pa`,
is bound to is that list: the raw digests, one after the other, in the order of the statement.
Its plain data hash then is the subject's digest, for a folder of a thousand files as for one
file, any C2PA reader can check it against 32 bytes a file, and no weights are read twice.

Besides, a single file may be bound by its own manifest: one beside it, whose data hash is the
file's sha256 in the statement, or one inside it (SafeTensors, ONNX).

The bundle is read here and not verified: that is what `signing.verify` is for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from countermark.provenance.carrier import Exclusion
from countermark.provenance.errors import ContentNotFoundError, ModelEvidenceError
from countermark.provenance.formats import HEAD_BYTES, carriers_of, detect_format
from countermark.provenance.manifest import DataHash
from countermark.provenance.store import read_store
from countermark.signing import strict_json
from countermark.signing.bundle import MAX_BUNDLE_BYTES, parse_bundle
from countermark.signing.errors import SignatureNotFoundError
from countermark.signing.manifest import Manifest
from countermark.signing.names import printable
from countermark.signing.places import (
    SIGNATURE_NAME,
    credentials_file,
    find_signature,
    read_evidence,
)
from countermark.signing.statement_reader import MAX_STATEMENT_BYTES, parse_statement
from countermark.signing.verdict import Status

__all__ = ["STORE_SUFFIX", "Binding", "ModelEvidence", "load_model_evidence"]

STORE_SUFFIX = ".c2pa"
MAX_STORE_BYTES = 64 * 1024 * 1024

_FOLDER_TYPE = "multipart/mixed"  # C2PA 2.5 16.5.5: an ingredient of several files.


class Binding(NamedTuple):
    """A hard binding that, in a manifest, means this very model.

    Attributes:
        algorithm: `sha256`, `sha384` or `sha512`.
        digest: Raw bytes.
        exclusions: What the hash leaves out; empty but for a manifest inside the model's file.

    """

    algorithm: str
    digest: bytes
    exclusions: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvidence:
    """What is known of a model without reading its weights.

    Attributes:
        name: As its signer called it, or its file's name; hostile text.
        digest: What names it, 64 lowercase hex digits: the statement's subject (sha256), or,
            without a statement, the sha256 that the manifest inside the file states.
        bindings: Each data hash that means this model.
        paths: The files it consists of, as signed; for guessing what it is.
        media_type: IANA media type of the model.
        asset: The bytes that `digest` is the sha256 of; empty without a statement.
        bundle_path: Its OMS bundle; None without one.
        bundle_sha256: Of the bundle's file, 64 lowercase hex digits; empty without one.
        store: Its own manifest store, whose data hash is one of `bindings`; None without one.

    """

    name: str
    digest: str
    bindings: tuple[Binding, ...]
    paths: tuple[str, ...] = ()
    media_type: str = "application/octet-stream"
    asset: bytes = field(default=b"", repr=False)
    bundle_path: Path | None = None
    bundle_sha256: str = ""
    store: bytes | None = field(default=None, repr=False)


def load_model_evidence(path: Path, *, with_manifest: bool = True) -> ModelEvidence:
    """Read what is known of a model.

    Args:
        path: A folder with its `model.sig`, that file itself, or a model of one file with a
            signature beside it or a manifest inside it.
        with_manifest: Whether to look for the model's own manifest; whoever is about to make it
            anew does not want to hear that the old one is of another model.

    Raises:
        ContentNotFoundError: Nothing is there.
        SignatureNotFoundError: Neither a signature nor a manifest is there.
        ModelEvidenceError: Signature and manifest are of two models, or say too little; or the
            manifest inside the file is not of these weights, which are hashed in this case.
        MalformedError: The bundle or its statement cannot be read.
        MalformedContentError: The model's file cannot be read; or its store
            (`MalformedStoreError`).

    """
    if not path.exists():
        raise ContentNotFoundError(f"{printable(str(path))}: no such file or folder")
    if path.is_file() and path.suffix == ".sig":
        return _with_store(_signed(path), path, None) if with_manifest else _signed(path)
    embedded = _embedded(path) if with_manifest and path.is_file() else None
    try:
        signature = find_signature(path)
    except SignatureNotFoundError:
        if embedded is None:
            raise
        return embedded
    evidence = _signed(signature)
    if path.is_file() and len(evidence.paths) > 1 and path.name not in evidence.paths:
        raise ModelEvidenceError(
            f"{printable(str(signature))} says nothing of {printable(path.name)}",
            hint="name the folder that was signed, or sign the file",
        )
    return _with_store(evidence, signature, embedded) if with_manifest else evidence


def _signed(signature: Path) -> ModelEvidence:
    data = read_evidence(signature, MAX_BUNDLE_BYTES)
    payload = parse_bundle(data).payload
    manifest = parse_statement(payload)
    if manifest.legacy:
        raise ModelEvidenceError(
            "the signature is of the v0.1 kind, which has no digest for the model as a whole",
            hint="sign the model anew",
        )
    asset = _asset(payload)
    bindings = [Binding("sha256", bytes.fromhex(manifest.model_digest))]
    whole = _sha256_of_the_only_file(manifest)
    if whole is not None:
        bindings.append(Binding("sha256", whole))
    return ModelEvidence(
        name=manifest.name or signature.resolve().parent.name,
        digest=manifest.model_digest,
        bindings=tuple(bindings),
        paths=tuple(file.path for file in manifest.files),
        media_type=_media_type(manifest),
        asset=asset,
        bundle_path=signature,
        bundle_sha256=hashlib.sha256(data).hexdigest(),
    )


def _with_store(
    evidence: ModelEvidence, signature: Path, embedded: ModelEvidence | None
) -> ModelEvidence:
    """Return the evidence with the manifest that lies beside the bundle, or inside the file."""
    for beside in _store_places(signature):
        if not beside.is_file():
            continue
        store = read_evidence(beside, MAX_STORE_BYTES)
        if _bound(read_store(store).active.data_hash, beside) not in evidence.bindings:
            raise ModelEvidenceError(
                f"{printable(str(beside))} is bound to another model than "
                f"{printable(signature.name)}",
                hint="the model was signed anew since: make its manifest anew, too",
            )
        return replace(evidence, store=store)
    if embedded is not None:
        bindings = (*evidence.bindings, *embedded.bindings)
        return replace(evidence, bindings=bindings, store=embedded.store)
    return evidence


def _store_places(signature: Path) -> tuple[Path, ...]:
    """Return where the manifest of a model may lie."""
    beside = credentials_file(signature)
    if signature.name != SIGNATURE_NAME:
        return (beside,)
    # Inside a folder it is one file more than was signed, which other verifiers refuse.
    folder = signature.absolute().parent
    return beside, folder.with_name(folder.name + STORE_SUFFIX)


def _embedded(path: Path) -> ModelEvidence | None:
    """Return what a manifest inside a model's file says of it, if it holds."""
    from countermark.provenance.hard_binding import examine_binding

    with path.open("rb") as source:
        format_ = detect_format(path.name, source.read(HEAD_BYTES))
        carriers = carriers_of(format_, path.name) if format_.kind.value == "model" else ()
        for carrier in carriers:
            place = carrier.find(source)
            if place is None:
                continue
            store = read_store(place.store)
            for check in examine_binding(source, carrier, place, store):
                if check.status is Status.FAILED:
                    raise ModelEvidenceError(
                        f"{printable(path.name)}: the manifest inside does not hold: "
                        f"{check.sentence}",
                        hint=check.hint,
                    )
            bound = _bound(store.active.data_hash, path)
            return ModelEvidence(
                name=path.name,
                digest=bound.digest.hex(),
                bindings=(bound,),
                paths=(path.name,),
                media_type=format_.media_type,
                store=place.store,
            )
    return None


def _bound(binding: DataHash | None, path: Path) -> Binding:
    if binding is None:
        raise ModelEvidenceError(f"{printable(str(path))}: its manifest is not bound to any bytes")
    return Binding(binding.algorithm, binding.digest, binding.exclusions)


def _asset(payload: bytes) -> bytes:
    """Return the raw digests in the order of a statement that was parsed, and found consistent.

    What its parser returns is in that order for whole files only.
    """
    document = strict_json.loads(payload, what="statement", max_bytes=MAX_STATEMENT_BYTES)
    match document:
        case {"predicate": {"resources": list(rows)}}:
            digests = [str(row["digest"]) for row in rows if isinstance(row, dict)]
            return bytes.fromhex("".join(digests))
        case _:
            raise ModelEvidenceError("the statement lists no resources")


def _sha256_of_the_only_file(manifest: Manifest) -> bytes | None:
    if manifest.method != "files" or manifest.hash_type != "sha256" or len(manifest.files) != 1:
        return None
    return bytes.fromhex(manifest.files[0].digest)


def _media_type(manifest: Manifest) -> str:
    if len(manifest.files) != 1:
        return _FOLDER_TYPE
    return detect_format(PurePosixPath(manifest.files[0].path).name, b"\0").media_type
