"""c2pa-python, and nothing but it: reports of what it read, stores that it signed.

One context for each set of settings and process; nothing global is set, nothing is fetched.
What c2pa says becomes our own errors and plain values here, so that the rest of the folder does
not know that it exists.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO

from countermark.provenance.engine_calls import Call, interruptible
from countermark.provenance.errors import (
    CredentialError,
    DefinitionError,
    EngineError,
    MalformedContentError,
    MalformedStoreError,
    NoManifestError,
    ProvenanceError,
    TimestampRefusedError,
    UnsupportedContentError,
)
from countermark.provenance.purposes import CLAIM_SIGNING, DOCUMENT_SIGNING
from countermark.signing.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from c2pa import Builder, Context, Signer

    from countermark.provenance.carrier import Layout
    from countermark.provenance.definition import ManifestPlan

__all__ = ["DETACHED", "engine_version", "read_report", "sign_detached", "sign_media"]

DETACHED = "application/octet-stream"

_VERIFY = {
    "verify_trust": True,
    "verify_timestamp_trust": True,
    "verify_after_reading": True,
    "verify_after_sign": True,
    "remote_manifest_fetch": False,
    "ocsp_fetch": False,
}
_QUIET: dict[str, object] = {
    "version": 1,
    # Without the purposes, c2pa would call good certificates invalid.
    "trust": {"trust_config": f"{CLAIM_SIGNING}\n{DOCUMENT_SIGNING}\n"},
    "builder": {
        "thumbnail": {"enabled": False},
        # C2PA 2.5 16.5.3: what content was made from is among what the signer stands for.
        "created_assertion_labels": ["c2pa.ingredient"],
    },
}
_MAX_MESSAGE = 300
_ITS_NAMES = {"application/zip": "application/x-zip"}  # Where c2pa knows another name only.


def engine_version() -> str:
    """Return the engine's name and version, for verdicts."""
    import c2pa

    return f"c2pa-rs {c2pa.sdk_version()}"


def read_report(
    media_type: str,
    source: BinaryIO,
    *,
    store: bytes | None = None,
    trust: Mapping[str, object] | None = None,
    online: bool = False,
) -> str:
    """Return c2pa's report of a manifest store, in crJSON.

    Args:
        media_type: What `source` is; `DETACHED` with a store that lies elsewhere.
        source: The asset.
        store: The manifest store, if it is not inside `source`.
        trust: A fragment of c2pa's settings (`trust.engine_settings`).
        online: Whether a manifest that is only referred to may be fetched.

    Raises:
        NoManifestError: There is none. Its hint holds the address if it is elsewhere.
        UnsupportedContentError: c2pa does not know the media type, or the bytes are not of it.
        MalformedContentError: The asset cannot be read, or the store inside it.
        MalformedStoreError: The store that was given cannot be read.

    """
    import c2pa

    context = _context(_settings(trust, remote_manifest_fetch=online))
    named = _ITS_NAMES.get(media_type, media_type)

    def read(call: Call) -> str:
        with c2pa.Reader(
            named, call.stream(source), manifest_data=store, context=context
        ) as reader:
            return str(reader.crjson())

    with _read_errors(detached=store is not None):
        return interruptible(read)


def sign_media(
    plan: ManifestPlan,
    signer: Signer,
    media_type: str,
    source: BinaryIO,
    sink: BinaryIO,
) -> bytes:
    """Write `source` to `sink` with a signed manifest in it, and return the manifest store.

    Raises:
        DefinitionError: c2pa refuses the manifest that was asked for.
        CredentialError: It refuses the certificate or key.
        UnsupportedContentError: It does not write this media type.
        MalformedContentError: The content is not of it.
        EngineError: Anything else.

    """
    named = _ITS_NAMES.get(media_type, media_type)

    def sign(call: Call) -> bytes:
        builder = _builder(call, plan, plan.definition, verified=True)
        return bytes(builder.sign(signer, named, call.stream(source), call.stream(sink)))

    with _sign_errors():
        return interruptible(sign)


def sign_detached(plan: ManifestPlan, signer: Signer, layout: Layout) -> bytes:
    """Return a signed manifest store whose hard binding is the layout's.

    The asset itself is not needed: c2pa signs the `c2pa.hash.data` that it is given.

    Raises:
        DefinitionError: As `sign_media`, and so on.

    """
    binding = {
        "label": "c2pa.hash.data",
        "created": True,
        "data": {
            "alg": "sha256",
            "hash": list(layout.digest),
            "name": "jumbf manifest",
            "pad": [],
            **(
                {"exclusions": [{"start": e.start, "length": e.length} for e in layout.exclusions]}
                if layout.exclusions
                else {}
            ),
        },
    }
    assertions = plan.definition.get("assertions")
    listed = list(assertions) if isinstance(assertions, list) else []
    definition = {**plan.definition, "assertions": [*listed, binding]}

    def sign(call: Call) -> bytes:
        # Verified, it would look at the dummy asset.
        builder = _builder(call, plan, definition, verified=False)
        builder.set_no_embed()
        return bytes(builder.sign(signer, DETACHED, io.BytesIO(b"\0"), io.BytesIO()))

    with _sign_errors():
        return interruptible(sign)


def _builder(
    call: Call, plan: ManifestPlan, definition: Mapping[str, object], *, verified: bool
) -> Builder:
    import c2pa

    builder = c2pa.Builder(dict(definition), _context(_settings(None, verify_after_sign=verified)))
    for name, data in plan.resources.items():
        builder.add_resource(name, call.stream(io.BytesIO(data)))
    for ingredient in plan.ingredients:
        stream = call.stream(io.BytesIO(ingredient.data or b""))
        builder.add_ingredient(dict(ingredient.json), ingredient.media_type, stream)
    return builder


def _settings(trust: Mapping[str, object] | None, **verify_otherwise: bool) -> str:
    verify = {**_VERIFY, **verify_otherwise}
    return json.dumps({**_QUIET, "verify": verify, **(trust or {})}, sort_keys=True)


def _context(settings: str) -> Context:
    return _context_of(settings, os.getpid())  # A context does not survive a fork.


@lru_cache(maxsize=8)
def _context_of(settings: str, _process: int) -> Context:
    import c2pa

    try:
        return c2pa.Context(c2pa.Settings.from_dict(json.loads(settings)))
    except c2pa.C2paError as e:
        raise EngineError(f"c2pa refuses its settings: {_said(e)}") from e


@contextmanager
def _read_errors(*, detached: bool) -> Iterator[None]:
    import c2pa

    try:
        yield
    except c2pa.C2paError as e:
        raise _read_error(e, detached=detached) from e


@contextmanager
def _sign_errors() -> Iterator[None]:
    import c2pa

    try:
        yield
    except c2pa.C2paError as e:
        raise _sign_error(e) from e


def _read_error(error: Exception, *, detached: bool) -> ProvenanceError:
    said = _said(error)
    if isinstance(error, _kinds("RemoteManifest")) or said.startswith("Remote"):
        return NoManifestError(f"the manifest lies elsewhere: {said}", hint="read it with --online")
    if isinstance(error, _kinds("ManifestNotFound")):
        return NoManifestError("no manifest was found")
    if isinstance(error, _kinds("NotSupported")):
        return UnsupportedContentError(f"c2pa cannot read this: {said}")
    if detached:  # It was given nothing but the manifest store to read.
        return MalformedStoreError(f"c2pa cannot read this: {said}")
    return MalformedContentError(f"c2pa cannot read this: {said}")


def _sign_error(error: Exception) -> ProvenanceError:
    said = _said(error)
    if "timestamp" in said.lower() or "http" in said.lower():
        return TimestampRefusedError(f"no timestamp was had: {said}")
    if isinstance(error, _kinds("Signature")) or "COSE" in said or "certificate" in said:
        return CredentialError(
            f"c2pa refuses to sign with this certificate or key: {said}",
            hint="`countermark cert lint` says which rule it breaks",
        )
    if isinstance(error, _kinds("NotSupported")):
        return UnsupportedContentError(
            f"c2pa cannot write into this: {said}", hint="--sidecar writes FILE.c2pa beside it"
        )
    if "could not be parsed" in said:
        return MalformedContentError(f"c2pa cannot read this: {said}")
    if isinstance(error, _kinds("Json", "Assertion", "Manifest", "Encoding", "Decoding", "Verify")):
        return DefinitionError(f"c2pa refuses this manifest: {said}")
    return EngineError(f"c2pa refused: {said}")


def _kinds(*names: str) -> tuple[type[Exception], ...]:
    import c2pa

    return tuple(getattr(c2pa.C2paError, name) for name in names)


def _said(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:_MAX_MESSAGE]
