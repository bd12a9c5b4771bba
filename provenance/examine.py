"""Judge a piece of content: where its manifest is, whether it holds, and who says so.

`examine` runs every check it can and reports all of them; `verify` raises unless the outcome is
`VERIFIED`. Nothing is fetched unless `online` is asked for, and the content is only read.
"""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from countermark.provenance import judge
from countermark.provenance.carrier import Carrier, Place
from countermark.provenance.errors import (
    ContentRefusedError,
    MalformedContentError,
    MalformedStoreError,
    NoManifestError,
    ProvenanceError,
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
from countermark.provenance.report import Report, disclosure_of, read_crjson, signer_of
from countermark.provenance.sources import (
    Progress,
    counted,
    open_regular,
    opened,
    unchanged,
    unreadable,
)
from countermark.provenance.verdict import (
    Axis,
    AxisCheck,
    ContentVerdict,
    Diagnosis,
    TrustUsed,
)
from countermark.signing.errors import FileChangedError
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed, not_checked

if TYPE_CHECKING:
    from datetime import datetime

    from countermark.provenance.model_evidence import ModelEvidence
    from countermark.provenance.store import ManifestStore
    from countermark.provenance.trust import TrustBundle

__all__ = ["ExamineOptions", "examine", "examine_file", "examine_model", "verify_file"]

MAX_STORE_BYTES = 64 * 1024 * 1024
MAX_FORENSIC_BYTES = 4 * 1024 * 1024
_AXES = tuple(Axis)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamineOptions:
    """What is asked of an examination.

    Attributes:
        trust: Whom to believe; None for nobody.
        model: The model that the content is expected to name; None to only report which it names.
        media_type: What the content is; empty to look.
        manifest: A manifest store that lies elsewhere; None to look in and beside the content.
        online: Whether a manifest that is only referred to may be fetched.
        forensics: Whether to say what happened to a broken mark in text.
        now: The present, aware, for trust bundles that may be used until a day; None not to ask.

    """

    trust: TrustBundle | None = None
    model: ModelEvidence | None = None
    media_type: str = ""
    manifest: bytes | None = None
    online: bool = False
    forensics: bool = True
    now: datetime | None = None


class _Found(NamedTuple):
    """A manifest store and how it came.

    Attributes:
        carrier_name: As in `ContentVerdict.carrier`.
        place: Where it lies; None in media, whose places are c2pa's to know.
        carrier: Whose place it is; None for media and sidecars.

    """

    carrier_name: str
    place: Place | None
    carrier: Carrier | None = None


def verify_file(path: Path, options: ExamineOptions | None = None) -> ContentVerdict:
    """Return the verdict on a file, which is `VERIFIED`.

    Raises:
        ContentRefusedError: It is anything else; the verdict is in it.
        ContentNotFoundError: There is no such file.

    """
    verdict = examine_file(path, options)
    if verdict.outcome is not Outcome.VERIFIED:
        raise ContentRefusedError(verdict)
    return verdict


def examine_file(
    path: Path, options: ExamineOptions | None = None, *, progress: Progress | None = None
) -> ContentVerdict:
    """Return the verdict on a file; its manifest may lie beside it, as `FILE.c2pa`.

    Args:
        path: The content.
        options: What is asked.
        progress: Told (bytes done, bytes to do) while we hash it; c2pa says nothing of media.

    Raises:
        ContentNotFoundError: There is no such file, or it cannot be read, or is no regular one.

    """
    options = options or ExamineOptions()
    beside = options.manifest is None
    try:
        with opened(path) as source:
            if beside:
                options = replace(options, manifest=_beside(path))
            return _examine(source, str(path), options, beside=beside, progress=progress)
    except MalformedStoreError as e:  # The file beside it cannot even be taken in.
        check = failed(e.code, Outcome.MALFORMED, str(e), e.hint)
        unread = ContentVerdict(subject=str(path), media_type="", trust=_trust_used(options.trust))
        return _refused(unread, Axis.SIGNATURE, check)
    except OSError as e:
        raise unreadable(path, e) from e


def examine_model(path: Path, options: ExamineOptions | None = None) -> ContentVerdict:
    """Return the verdict on the manifest of a model that was signed; its weights are not read.

    Args:
        path: The model's folder, or its `model.sig`.
        options: What is asked; `media_type`, `manifest` and `model` are the model's own.

    Raises:
        ContentNotFoundError: Nothing is there.
        SignatureNotFoundError: The model is not signed.
        ModelEvidenceError: Its signature and its manifest are of two models.

    """
    from countermark.provenance.model_evidence import load_model_evidence

    evidence = load_model_evidence(path)
    asked = replace(
        options or ExamineOptions(),
        manifest=evidence.store,
        media_type="application/octet-stream",
        model=None,
    )
    verdict = _examine(io.BytesIO(evidence.asset), str(path), asked, beside=False)
    weights = not_checked(
        "weights-not-read",
        "the manifest binds what the signature lists; the weights were not read",
        "`countermark verify` compares the weights with the signature",
    )
    model = (AxisCheck(Axis.MODEL, weights),) if verdict.manifest else ()
    others = tuple(one for one in verdict.checks if one.axis is not Axis.MODEL)
    return replace(verdict, media_type=evidence.media_type, checks=(*others, *model))


def examine(source: BinaryIO, name: str, options: ExamineOptions | None = None) -> ContentVerdict:
    """Return the verdict on content.

    Args:
        source: The content, seekable.
        name: What to call it; its suffix may tell what it is.
        options: What is asked.

    """
    return _examine(source, name, options or ExamineOptions(), beside=False)


def _examine(
    source: BinaryIO,
    name: str,
    options: ExamineOptions,
    *,
    beside: bool,
    progress: Progress | None = None,
) -> ContentVerdict:
    source.seek(0)
    head = source.read(HEAD_BYTES)
    format_ = (
        format_named(options.media_type, name) if options.media_type else detect_format(name, head)
    )
    verdict = ContentVerdict(
        subject=name, media_type=format_.media_type, trust=_trust_used(options.trust)
    )
    try:
        with unchanged(source, name):
            return _explained(verdict, source, format_, options, beside=beside, progress=progress)
    except FileChangedError as e:
        # What was seen was neither the old content nor the new.
        check = failed(e.code, Outcome.INCONCLUSIVE, str(e), e.hint)
        return _refused(verdict, Axis.INTEGRITY, check)


def _explained(
    verdict: ContentVerdict,
    source: BinaryIO,
    format_: Format,
    options: ExamineOptions,
    *,
    beside: bool,
    progress: Progress | None,
) -> ContentVerdict:
    """Return the verdict with every refusal in it, and what broke its mark if it is broken."""
    try:
        verdict = _judge(verdict, source, format_, options, beside=beside, progress=progress)
    except NoManifestError as e:
        elsewhere = bool(e.hint)
        outcome = Outcome.INCONCLUSIVE if elsewhere else Outcome.NOTHING_TO_VERIFY
        code = "manifest-elsewhere" if elsewhere else "no-manifest"
        verdict = _refused(verdict, Axis.INTEGRITY, failed(code, outcome, str(e), e.hint))
    except (MalformedContentError, MalformedStoreError) as e:
        axis = Axis.SIGNATURE if isinstance(e, MalformedStoreError) else Axis.INTEGRITY
        verdict = _refused(verdict, axis, failed(e.code, Outcome.MALFORMED, str(e), e.hint))
    except UnsupportedContentError as e:
        check = failed(e.code, Outcome.INCONCLUSIVE, str(e), e.hint)
        verdict = _refused(verdict, Axis.INTEGRITY, check)
    if options.forensics and verdict.outcome in _BROKEN and format_.kind in _TEXTUAL:
        found = _diagnose(source, verdict.subject, format_, options)
        verdict = replace(verdict, forensics=found)
    return verdict


_BROKEN = {Outcome.TAMPERED, Outcome.MALFORMED, Outcome.NOTHING_TO_VERIFY}
_TEXTUAL = {Kind.TEXT, Kind.CODE, Kind.HTML}


def _refused(verdict: ContentVerdict, axis: Axis, check: Check) -> ContentVerdict:
    return replace(verdict, checks=(*verdict.checks, AxisCheck(axis, check)))


def _judge(
    verdict: ContentVerdict,
    source: BinaryIO,
    format_: Format,
    options: ExamineOptions,
    *,
    beside: bool,
    progress: Progress | None,
) -> ContentVerdict:
    found = _find(source, verdict.subject, format_, options, beside=beside)
    data, store = _read(found, source, format_)
    report = _report(found, source, format_, options)
    binding = None
    if found.place is not None:
        if store is None:
            raise MalformedStoreError("the manifest store cannot be read")
        from countermark.provenance.hard_binding import examine_binding

        whole = counted(source, progress)
        binding = examine_binding(whole, found.carrier, found.place, store)
    if store is not None and store.active.label != report.active.label:
        # Two readers that do not see the same manifest: whichever is right, nobody was told so.
        raise MalformedStoreError("it is not clear which manifest of the store is the active one")
    checks = list(judge.judge_report(report, binding=binding, has_trust=options.trust is not None))
    if binding is None and store is not None:
        checks += _boxes_checks(source, format_, store)
    signer_checks, vouching = _judge_signer(options.trust, store, options.now)
    checks = judge.without_echoes([*checks, *signer_checks])
    ingredients = judge.ingredient_reports(report)
    checks += judge.ingredient_checks(ingredients)
    disclosure = disclosure_of(report.active)
    checks.append(judge.disclosure_check(disclosure))
    checks += _model_checks(store, options)
    return replace(
        verdict,
        carrier=found.carrier_name,
        checks=tuple(sorted(checks, key=lambda one: _AXES.index(one.axis))),
        manifest=printable(report.active.label),
        manifest_bytes=len(data),
        signer=signer_of(
            report.active,
            trusted_by=vouching,
            timestamp=judge.timestamp_of(report.active),
        ),
        disclosure=disclosure,
        ingredients=ingredients,
        engines=(_engine(),),
    )


def _find(
    source: BinaryIO, name: str, format_: Format, options: ExamineOptions, *, beside: bool
) -> _Found:
    if options.manifest is not None and not beside:
        return _Found("sidecar", Place(options.manifest, ()))
    if format_.kind is Kind.MEDIA:
        if options.manifest is not None and not _media_store(source, format_):
            return _Found("sidecar", Place(options.manifest, ()))
        return _Found("embedded", None)
    for carrier in carriers_of(format_, name):
        source.seek(0)
        place = carrier.find(source)
        if place is not None and place.store:
            return _Found(carrier.name, place, carrier)
        if place is not None:
            raise NoManifestError(
                f"the manifest lies elsewhere: {printable(place.url)}",
                hint="fetch it, and name it with --manifest",
            )
    if options.manifest is not None:
        return _Found("sidecar", Place(options.manifest, ()))
    raise NoManifestError("it carries no content credentials, and none lie beside it")


def _media_store(source: BinaryIO, format_: Format) -> bytes | None:
    from countermark.provenance.extract import find_store

    source.seek(0)
    return find_store(source, format_.media_type)


def _read(found: _Found, source: BinaryIO, format_: Format) -> tuple[bytes, ManifestStore | None]:
    """Return the store's bytes and what they say; our limits meet it before c2pa does."""
    from countermark.provenance.cose import check_padding
    from countermark.provenance.store import read_store

    data = found.place.store if found.place is not None else _media_store(source, format_)
    if not data:
        return b"", None
    store = read_store(data)
    check_padding(store.active.signature)
    return data, store


def _report(found: _Found, source: BinaryIO, format_: Format, options: ExamineOptions) -> Report:
    from countermark.provenance.engine import DETACHED, read_report

    source.seek(0)
    inside = found.place is None
    text = read_report(
        format_.media_type if inside else DETACHED,
        source if inside else io.BytesIO(),
        store=None if found.place is None else found.place.store,
        trust=_engine_trust(options.trust),
        online=options.online,
    )
    report = read_crjson(json.loads(text))
    if report is None:
        raise MalformedStoreError("c2pa reports no manifest of it")
    return report


def _engine_trust(bundle: TrustBundle | None) -> dict[str, object] | None:
    from countermark.provenance.trust import engine_settings

    return None if bundle is None else engine_settings(bundle)


def _judge_signer(
    trust: TrustBundle | None, store: ManifestStore | None, now: datetime | None
) -> tuple[list[AxisCheck], str]:
    """Return our own checks of the signer, and the name of the list that vouches."""
    from countermark.provenance.leaf_trust import judge_leaf
    from countermark.provenance.trust import check_date

    if trust is None:
        return [], ""
    checks = list(check_date(trust, now)) if now is not None else []
    name = ""
    if store is None:
        checks.append(
            failed(
                "signer-unread",
                Outcome.INCONCLUSIVE,
                "the signer's certificate could not be read here, so its purpose is not known",
            )
        )
    else:
        leaf = judge_leaf(trust, store.active.certificates)
        checks += leaf.checks
        name = printable(leaf.list_name)
    return [AxisCheck(Axis.SIGNER, check) for check in checks], name


def _boxes_checks(source: BinaryIO, format_: Format, store: ManifestStore) -> list[AxisCheck]:
    from countermark.provenance.boxes_binding import check_boxes

    check = check_boxes(source, format_.media_type, store)
    return [] if check is None else [AxisCheck(Axis.INTEGRITY, check)]


def _model_checks(store: ManifestStore | None, options: ExamineOptions) -> list[AxisCheck]:
    from countermark.provenance.model_link import check_model

    if store is None:
        return []
    return [AxisCheck(Axis.MODEL, check) for check in check_model(store, options.model)]


def _engine() -> str:
    from countermark.provenance.engine import engine_version

    return engine_version()


def _trust_used(bundle: TrustBundle | None) -> TrustUsed | None:
    if bundle is None:
        return None
    return TrustUsed(printable(bundle.name), bundle.dated.isoformat(), bundle.sha256)


def _beside(path: Path) -> bytes | None:
    try:
        with open_regular(f"{path}.c2pa", buffering=-1)[0] as file:
            data = file.read(MAX_STORE_BYTES + 1)
    except OSError as e:
        # A name that could not be any longer has nothing beside it, either.
        if e.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None
        raise
    if len(data) > MAX_STORE_BYTES:
        raise MalformedStoreError(f"the sidecar has more than {MAX_STORE_BYTES} bytes")
    return data


def _diagnose(
    source: BinaryIO, name: str, format_: Format, options: ExamineOptions
) -> tuple[Diagnosis, ...]:
    from countermark.provenance.forensics import diagnose

    source.seek(0)
    data = source.read(MAX_FORENSIC_BYTES + 1)
    if len(data) > MAX_FORENSIC_BYTES:
        return ()
    asked = replace(options, forensics=False, manifest=None, media_type=format_.media_type)

    def outcome_of_repaired(repaired: bytes) -> Outcome:
        try:
            return _examine(io.BytesIO(repaired), name, asked, beside=False).outcome
        except ProvenanceError:
            return Outcome.MALFORMED

    judge_repaired: Callable[[bytes], Outcome] = outcome_of_repaired
    return diagnose(data, judge_repaired)
