"""Models that carry C2PA manifests, inside and beside, signed by the credentials of the tests."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import c2pa

from countermark.provenance.byte_ranges import digest_outside
from countermark.provenance.carrier import Carrier, Layout
from countermark.provenance.definition import ContentRequest, ManifestPlan, plan_manifest
from countermark.provenance.engine import DETACHED, sign_detached, sign_media
from countermark.provenance.errors import ProvenanceError
from countermark.provenance.hard_binding import examine_binding
from countermark.provenance.model_evidence import ModelEvidence, load_model_evidence
from countermark.provenance.sign import embed
from countermark.provenance.store import read_store
from countermark.signing.verdict import Status
from support.credentials import make_credentials
from support.models import make_model, sign
from support.stores import picture

SOFTWARE = ("tests", "1")


class Findings(NamedTuple):
    """What c2pa's reader says of a file."""

    state: str
    failures: tuple[str, ...]
    manifests: int
    report: dict[str, object]


def signer(name: str = "Test") -> c2pa.Signer:
    """Return a signer that c2pa takes."""
    made = make_credentials(name=name)
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", made.chain_pem, made.key_pem, None))


def plan(**request: object) -> ManifestPlan:
    """Return a planned manifest; by default of something that no model made."""
    if not request.keys() & {"generated_by", "edited_from", "prompt", "describes", "extra"}:
        request.setdefault("source_type", "digitalCreation")
    return plan_manifest(ContentRequest(software=SOFTWARE, **request))  # type: ignore[arg-type]


def bound(planned: ManifestPlan, content: bytes, *, name: str = "Test") -> bytes:
    """Return a store beside `content`."""
    layout = Layout(0, (), digest_outside(io.BytesIO(content), (), "sha256"), 0)
    return sign_detached(planned, signer(name), layout)


def embedded(carrier: Carrier, content: bytes, planned: ManifestPlan | None = None) -> bytes:
    """Return `content` with a manifest inside."""
    sink = io.BytesIO()
    planned = planned or plan(media_type=carrier.media_types[0], title="model")
    embed(
        carrier, io.BytesIO(content), lambda layout: sign_detached(planned, signer(), layout), sink
    )
    return sink.getvalue()


def codes(carrier: Carrier, content: bytes) -> tuple[str, ...]:
    """Return the codes of the failed checks, or of the checks that held if none failed."""
    source = io.BytesIO(content)
    place = carrier.find(source)
    assert place is not None
    checks = examine_binding(source, carrier, place, read_store(place.store))
    failures = tuple(check.code for check in checks if check.status is Status.FAILED)
    return failures or tuple(check.code for check in checks)


def refusal(carrier: Carrier, content: bytes) -> str:
    """Return the code of the first thing that is wrong with signed content; empty if nothing is."""
    source = io.BytesIO(content)
    try:
        place = carrier.find(source)
        if place is None:
            return "no-manifest"
        checks = examine_binding(source, carrier, place, read_store(place.store))
    except ProvenanceError as e:
        return e.code
    for check in checks:
        if check.status is Status.FAILED:
            return check.code
    # c2pa cannot judge a place it does not know, but it judges all else.
    rest = read(DETACHED, content, store=place.store).failures
    return next((code for code in rest if code != "assertion.dataHash.mismatch"), "")


def with_claim_changed(carrier: Carrier, content: bytes) -> bytes:
    """Return signed content with one bit of the claim turned around."""
    place = carrier.find(io.BytesIO(content))
    assert place is not None
    changed = bytearray(place.store)
    changed[place.store.index(b"xmp.iid:") + 8] ^= 1
    return content.replace(base64.b64encode(place.store), base64.b64encode(changed))


def sign_png(planned: ManifestPlan, content: bytes | None = None) -> tuple[bytes, bytes]:
    """Return the signed picture, and its store."""
    out = io.BytesIO()
    store = sign_media(planned, signer(), "image/png", io.BytesIO(content or picture()), out)
    return out.getvalue(), store


def read(media_type: str, content: bytes, *, store: bytes | None = None) -> Findings:
    """Let c2pa's own reader judge, with the credentials of the tests trusted."""
    context = c2pa.Context(c2pa.Settings.from_dict(make_credentials().settings))
    with c2pa.Reader(media_type, io.BytesIO(content), manifest_data=store, context=context) as made:
        report = json.loads(made.json())
        results = report["validation_results"]
        groups = [results["activeManifest"]]
        groups += [delta["validationDeltas"] for delta in results.get("ingredientDeltas", ())]
        failures = tuple(row["code"] for group in groups for row in group["failure"])
        state = str(made.get_validation_state())
        return Findings(state, failures, len(report["manifests"]), report)


def signed_model(folder: Path, **options: object) -> ModelEvidence:
    """Make a model with an OMS signature, and a manifest of its own beside that."""
    model = make_model(folder)
    signature, _ = sign(model, **options)  # type: ignore[arg-type]
    evidence = load_model_evidence(model)
    planned = plan(describes=evidence, media_type=evidence.media_type)
    store = bound(planned, evidence.asset)
    assert read(DETACHED, evidence.asset, store=store).state == "Trusted"
    signature.with_suffix(".c2pa").write_bytes(store)
    return load_model_evidence(model)


def safetensors(
    metadata: Mapping[str, str] | None = None, *, raw_metadata: str = "", data: bytes = b"\x01\x02"
) -> bytes:
    """Return a file of one tensor; `raw_metadata` is put in as it is."""
    entry = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    text = '"t":' + json.dumps(entry, separators=(",", ":"))
    if metadata is not None:
        raw_metadata = json.dumps(dict(metadata), separators=(",", ":"))
    if raw_metadata:
        text = f'"__metadata__":{raw_metadata},' + text
    header = ("{" + text + "}").encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def varint(value: int) -> bytes:
    """Return protobuf's encoding of a number."""
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def chunk(number: int, content: bytes) -> bytes:
    """Return a protobuf field with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def onnx(entries: Sequence[tuple[bytes, bytes]] = (), *, before: bytes = b"") -> bytes:
    """Return a model of one graph without nodes, with these metadata."""
    parts = [b"\x08\x0a", before, chunk(7, chunk(2, b"graph"))]
    parts += [chunk(14, chunk(1, key) + chunk(2, value)) for key, value in entries]
    return b"".join(parts)
