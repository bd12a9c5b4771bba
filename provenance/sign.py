"""Sign a piece of content: write a copy that carries a manifest, or a manifest to lie beside it.

c2pa writes into media; text, code, HTML and models get theirs through a carrier; everything else,
and whatever is asked for, gets a sidecar at the cost of one hash. What was written is read back
and must hold before it gets its name.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from countermark.provenance.carrier import Carrier, Layout, Place
from countermark.provenance.errors import (
    CredentialError,
    EngineError,
    UnsupportedContentError,
)
from countermark.provenance.formats import (
    HEAD_BYTES,
    Format,
    Kind,
    carriers_of,
    detect_format,
    format_named,
)
from countermark.provenance.report import read_crjson
from countermark.provenance.sources import Progress, counted, opened, unchanged
from countermark.signing.atomic import new_file
from countermark.signing.names import printable

if TYPE_CHECKING:
    from c2pa import Signer

    from countermark.provenance.definition import ContentRequest, ManifestPlan
    from countermark.provenance.identity import ContentIdentity

__all__ = ["SignOptions", "SignedContent", "carried_inside", "embed", "sign_file", "sign_model"]

FIRST_GUESS_BYTES = 2700  # Of a store with one certificate and no timestamp; a guess that is
MAX_TRIES = 400  # wrong costs one signature. Text needs about ten, since its length is luck.


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOptions:
    """How to sign.

    Attributes:
        sidecar: Whether to write the manifest to a file of its own.
        tsa_url: Where to have a timestamp made; None for none.
        media_type: What the content is; empty to look.
        replace: Whether the output may replace a file.

    """

    sidecar: bool = False
    tsa_url: str | None = None
    media_type: str = ""
    replace: bool = False


class SignedContent(NamedTuple):
    """What was signed.

    Attributes:
        path: The file that was written.
        media_type: What the content was read as.
        carrier: As in `ContentVerdict.carrier`.
        manifest: Label of the manifest.
        store_bytes: Length of the manifest store.
        tries: How many signatures it took until the store fitted its place.

    """

    path: Path
    media_type: str
    carrier: str
    manifest: str
    store_bytes: int
    tries: int


def carried_inside(path: Path, media_type: str = "") -> bool:
    """Return whether this content can carry a manifest inside.

    Raises:
        ContentNotFoundError: There is no such file, or it cannot be read.

    """
    with opened(path) as source:
        format_ = _format(source, path, media_type)
        return format_.kind is Kind.MEDIA or bool(carriers_of(format_, path.name))


def sign_file(
    path: Path,
    output: Path,
    request: ContentRequest,
    identity: ContentIdentity,
    options: SignOptions | None = None,
    *,
    progress: Progress | None = None,
) -> SignedContent:
    """Sign a file.

    Args:
        path: The content; it is only read, unless it is `output` as well.
        output: Where the signed copy goes, or the manifest if `options.sidecar`.
        request: What the manifest is to say. An empty title or media type is filled in.
        identity: Who signs.
        options: How.
        progress: Told (bytes done, bytes to do) of what may be large: models, and sidecars' files.

    Raises:
        ContentNotFoundError: There is no such file.
        FileChangedError: Somebody wrote to it meanwhile; nothing is kept.
        UnsupportedContentError: This kind of content cannot carry a manifest inside.
        MalformedContentError: The content is not what its name or beginning says.
        FileExistsRefusedError: `output` is there, and may not be replaced.
        CredentialError: The certificate or key cannot sign content.
        DefinitionError: The manifest that was asked for cannot be made.
        TimestampRefusedError: The timestamp authority did not answer as it should.

    """
    options = options or SignOptions()
    from countermark.provenance.definition import plan_manifest
    from countermark.provenance.identity import c2pa_signer

    with opened(path) as source:
        format_ = _format(source, path, options.media_type)
        plan = plan_manifest(
            replace(
                request,
                title=request.title or path.name,
                media_type=request.media_type or format_.media_type,
            )
        )
        with (
            c2pa_signer(identity, options.tsa_url) as signer,
            new_file(output, replace=options.replace) as sink,
            unchanged(source, path.name),
        ):
            if options.sidecar:
                whole = counted(source, progress)
                carrier, store, tries = _beside(whole, sink, plan, signer)
            else:
                told = progress if format_.kind is Kind.MODEL else None  # Others are not large.
                whole = counted(source, told, passes=2)  # One to hash it, and one to copy it.
                carrier, store, tries = _inside(whole, sink, plan, signer, format_, path)
    return _signed(output, format_.media_type, carrier, store, tries)


def sign_model(
    path: Path,
    output: Path,
    request: ContentRequest,
    identity: ContentIdentity,
    options: SignOptions | None = None,
) -> SignedContent:
    """Write the manifest of a model that was signed as OMS bundle, bound to what that signs.

    Args:
        path: The model's folder, or its `model.sig`; its weights are not read.
        output: Where the manifest goes; `model.c2pa` beside the signature is where it is found.
        request: What else the manifest is to say.
        identity: Who signs.
        options: How; the media type is the model's.

    Raises:
        SignatureNotFoundError: The model is not signed.
        ModelEvidenceError: Its signature says too little.
        FileExistsRefusedError: As `sign_file`, and so on.

    """
    options = options or SignOptions()
    from countermark.provenance.definition import plan_manifest
    from countermark.provenance.identity import c2pa_signer
    from countermark.provenance.model_evidence import load_model_evidence

    evidence = load_model_evidence(path, with_manifest=False)  # It is about to be made anew.
    plan = plan_manifest(
        replace(
            request,
            title=request.title or evidence.name,
            media_type=evidence.media_type,
            describes=evidence,
        )
    )
    with (
        c2pa_signer(identity, options.tsa_url) as signer,
        new_file(output, replace=options.replace) as sink,
    ):
        carrier, store, tries = _beside(io.BytesIO(evidence.asset), sink, plan, signer)
    return _signed(output, evidence.media_type, carrier, store, tries)


def embed(
    carrier: Carrier, source: BinaryIO, sign: Callable[[Layout], bytes], sink: BinaryIO
) -> tuple[bytes, int]:
    """Write `source` to `sink` with a store in it; return the store, and how many tries it took.

    A store says how much room it takes, and how much it takes depends on what it says: sign for a
    guess, then for what it turned out to be, until a store fits its own place to the byte.

    Raises:
        UnsupportedContentError: No store fitted.

    """
    layout = carrier.lay_out(source, FIRST_GUESS_BYTES)
    for tries in range(1, MAX_TRIES + 1):
        store = carrier.repad(layout, sign(layout))
        if carrier.fits(layout, store):
            carrier.write(source, layout, store, sink)
            return store, tries
        layout = carrier.refine(source, layout, store)
    raise UnsupportedContentError(
        f"no manifest fitted its own place in {MAX_TRIES} tries",
        hint="--sidecar writes FILE.c2pa beside it",
    )


def _inside(
    source: BinaryIO,
    sink: BinaryIO,
    plan: ManifestPlan,
    signer: Signer,
    format_: Format,
    path: Path,
) -> tuple[str, bytes, int]:
    """Write the content with its manifest; return the carrier's name, the store, the tries."""
    from countermark.provenance.engine import sign_detached, sign_media

    source.seek(0)
    if format_.kind is Kind.MEDIA:
        store = sign_media(plan, signer, format_.media_type, source, sink)
        return "embedded", store, 1
    carriers = carriers_of(format_, path.name)
    if not carriers:
        raise UnsupportedContentError(
            f"{printable(path.name)}: {format_.media_type} cannot carry a manifest inside",
            hint="--sidecar writes FILE.c2pa beside it",
        )
    carrier = carriers[0]
    layouts: list[Layout] = []

    def sign(layout: Layout) -> bytes:
        layouts[:] = [layout]
        return sign_detached(plan, signer, layout)

    store, tries = embed(carrier, source, sign, sink)
    _require_binding(store, layouts[0])
    sink.seek(0)
    if carrier.find(sink) != Place(store, layouts[0].exclusions):
        raise EngineError("what was written is not found again; nothing was kept")
    return carrier.name, store, tries


def _beside(
    source: BinaryIO, sink: BinaryIO, plan: ManifestPlan, signer: Signer
) -> tuple[str, bytes, int]:
    from countermark.provenance.engine import sign_detached
    from countermark.provenance.hard_binding import digest_outside

    source.seek(0)
    layout = Layout(0, (), digest_outside(source, (), "sha256"), 0)
    store = sign_detached(plan, signer, layout)
    _require_binding(store, layout)
    sink.write(store)
    return "sidecar", store, 1


def _signed(output: Path, media_type: str, carrier: str, store: bytes, tries: int) -> SignedContent:
    from countermark.provenance.store import read_store

    label = printable(read_store(store).active.label)
    return SignedContent(output, media_type, carrier, label, len(store), tries)


def _require_binding(store: bytes, layout: Layout) -> None:
    """Read back a detached store: its signature holds, and it binds what the layout says.

    The content is not hashed again: what was signed is what was read.
    """
    from countermark.provenance.engine import DETACHED, read_report
    from countermark.provenance.store import read_store

    _require_signature(read_report(DETACHED, io.BytesIO(), store=store))
    bound = read_store(store).active.data_hash
    if bound is None or (bound.digest, bound.exclusions) != (layout.digest, layout.exclusions):
        raise EngineError("the manifest does not bind this content; nothing was kept")


def _require_signature(report_text: str) -> None:
    report = read_crjson(json.loads(report_text))
    statuses = report.active.statuses if report is not None else ()
    said = {(status.kind, status.code) for status in statuses}
    if ("failure", "claimSignature.mismatch") in said:
        raise CredentialError(
            "the signature is not the certificate's; nothing was kept",
            hint="the key must be that of the first certificate",
        )
    if ("success", "claimSignature.validated") not in said:
        failures = ", ".join(sorted(code for kind, code in said if kind == "failure"))
        raise EngineError(f"what was signed does not hold ({failures}); nothing was kept")


def _format(source: BinaryIO, path: Path, media_type: str) -> Format:
    if media_type:
        return format_named(media_type, path.name)
    source.seek(0)
    return detect_format(path.name, source.read(HEAD_BYTES))
