"""What content was made from, as c2pa's builder takes it: a model, a prompt, a parent.

An ingredient that has a manifest brings its whole store along, with what our own check of it
found (C2PA 2.5 16.5.13.4): c2pa cannot look into the formats whose place it does not know, nor
compare a model with its bundle. Trust is not part of that check: whom the reader trusts is asked
again when the content is verified.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from countermark.provenance.byte_ranges import content_bytes, digest_outside
from countermark.provenance.carrier import Carrier, Place
from countermark.provenance.errors import ContentNotFoundError, DefinitionError, EngineError
from countermark.provenance.formats import HEAD_BYTES, Kind, carriers_of, detect_format
from countermark.provenance.model_evidence import STORE_SUFFIX, ModelEvidence
from countermark.provenance.named_information import sha256_name
from countermark.provenance.store import read_store
from countermark.signing.names import printable
from countermark.signing.places import read_evidence
from countermark.signing.verdict import Status

__all__ = [
    "MODEL",
    "PARENT",
    "PROMPT",
    "Ingredient",
    "PlannedIngredient",
    "model_ingredient",
    "model_types",
    "parent_ingredient",
    "prompt_ingredient",
]

# How actions refer to them until c2pa knows their assertions.
MODEL, PARENT, PROMPT = "model", "parent", "prompt"

MAX_PROMPT_BYTES = 1024 * 1024
MAX_PARENT_BYTES = 1024 * 1024 * 1024
MAX_STORE_BYTES = 64 * 1024 * 1024

_STORE_TYPE = "application/c2pa"
_BINDING_CODES = ("assertion.dataHash.match", "assertion.dataHash.mismatch")
_CHECK_ONLY: Mapping[str, object] = {
    "trust": {"trust_config": "1.3.6.1.4.1.62558.2.1\n1.3.6.1.5.5.7.3.36\n1.3.6.1.5.5.7.3.4\n"},
    "verify": {
        "verify_trust": False,
        "verify_timestamp_trust": False,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
}
# The first that a model's files fit; a folder of transformers holds safetensors, too.
_MODEL_TYPES = (
    (("config.json", ".safetensors"), "c2pa.types.model.huggingface.transformers"),
    (("config.json", "pytorch_model.bin"), "c2pa.types.model.huggingface.transformers"),
    ((".onnx",), "c2pa.types.model.onnx"),
    ((".tflite",), "c2pa.types.model.tflite"),
    (("saved_model.pb",), "c2pa.types.model.tensorflow"),
    ((".keras",), "c2pa.types.model.keras"),
    ((".msgpack",), "c2pa.types.model.flax"),
    ((".pt",), "c2pa.types.model.pytorch"),
    ((".pth",), "c2pa.types.model.pytorch"),
)
ANY_MODEL = "c2pa.types.model"


class PlannedIngredient(NamedTuple):
    """An ingredient that c2pa reads itself.

    Attributes:
        json: What its builder is told of it.
        media_type: Of `data`.
        data: The asset.

    """

    json: dict[str, object]
    media_type: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Ingredient:
    """An ingredient as it goes into a definition, with the files it refers to.

    Attributes:
        json: What c2pa's builder is told of it.
        resources: Bytes by the names that `json` refers to.
        planned: Set if c2pa has to read the asset itself; `json` is empty then.

    """

    json: dict[str, object]
    resources: Mapping[str, bytes] = field(default_factory=dict)
    planned: PlannedIngredient | None = None


def model_types(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the C2PA types (2.5 table 8) of a model that consists of these files."""
    names = {PurePosixPath(path).name for path in paths}
    seen = names | {PurePosixPath(name).suffix.lower() for name in names}
    for needed, kind in _MODEL_TYPES:
        if seen.issuperset(needed):
            return (kind,)
    return (ANY_MODEL,)


def model_ingredient(evidence: ModelEvidence) -> Ingredient:
    """Return a model as input, with its own manifest if it has one.

    Raises:
        DefinitionError: Its manifest is not whole, or not signed by the key of its certificate.

    """
    types = [{"type": "c2pa.types.generator"}]
    types += [{"type": kind} for kind in model_types(evidence.paths)]
    about: dict[str, object] = {
        "title": evidence.name,
        "format": evidence.media_type,
        "relationship": "inputTo",
        "label": MODEL,
        "instance_id": sha256_name(bytes.fromhex(evidence.digest)),
        "data_types": types,
    }
    if evidence.store is None:
        return Ingredient(about)
    # That it is bound to this model was asked when the evidence was read.
    results = _validation_results(evidence.store, bound=True)
    failures = sorted({str(one.get("code")) for one in results["failure"]})
    if failures:
        raise DefinitionError(
            f"the manifest of {printable(evidence.name)} does not hold: {', '.join(failures)}",
            hint="sign the model's manifest anew",
        )
    return _with_store(about, evidence.store, results)


def prompt_ingredient(prompt: str) -> Ingredient:
    """Return a prompt as input; its text becomes part of the manifest.

    Raises:
        DefinitionError: It is empty, or longer than `MAX_PROMPT_BYTES` in UTF-8.

    """
    data = prompt.encode("utf-8", "surrogatepass")
    if not data or len(data) > MAX_PROMPT_BYTES:
        raise DefinitionError(f"a prompt of {len(data)} bytes, from 1 to {MAX_PROMPT_BYTES}")
    name = f"{PROMPT}.txt"
    about: dict[str, object] = {
        "title": PROMPT,
        "format": "text/plain",
        "relationship": "inputTo",
        "label": PROMPT,
        "data_types": [{"type": "c2pa.types.generator.prompt"}],
        "data": {"format": "text/plain", "identifier": name},
    }
    return Ingredient(about, {name: data})


def parent_ingredient(path: Path) -> Ingredient:
    """Return the file that content was edited from, with its manifest if it has one.

    Raises:
        ContentNotFoundError: It is not there, or cannot be read.
        DefinitionError: It is larger than `MAX_PARENT_BYTES`, for media.
        MalformedContentError: It cannot be read as what it is.

    """
    try:
        source = path.open("rb")
    except OSError as e:
        name = printable(str(path))
        raise ContentNotFoundError(f"{name}: {e.strerror or type(e).__name__}") from e
    with source:
        format_ = detect_format(path.name, source.read(HEAD_BYTES))
        about: dict[str, object] = {
            "title": path.name,
            "format": format_.media_type,
            "relationship": "parentOf",
            "label": PARENT,
        }
        if format_.kind is Kind.MEDIA:
            if content_bytes(source) > MAX_PARENT_BYTES:
                raise DefinitionError(f"{printable(path.name)} is over {MAX_PARENT_BYTES} bytes")
            source.seek(0)
            return Ingredient({}, {}, PlannedIngredient(about, format_.media_type, source.read()))
        for carrier in carriers_of(format_, path.name):
            place = carrier.find(source)
            if place is not None and place.store:
                return _checked(about, source, carrier, place)
        beside = path.with_name(path.name + STORE_SUFFIX)
        if beside.is_file():
            store = read_evidence(beside, MAX_STORE_BYTES)
            return _checked(about, source, None, Place(store, ()))
        # C2PA 2.5 9.3: what has no manifest is named by an identifier of its own.
        return Ingredient(
            {**about, "instance_id": sha256_name(digest_outside(source, (), "sha256"))}
        )


def _checked(
    about: dict[str, object], source: BinaryIO, carrier: Carrier | None, place: Place
) -> Ingredient:
    from countermark.provenance.hard_binding import examine_binding

    checks = examine_binding(source, carrier, place, read_store(place.store))
    bound = all(check.status is not Status.FAILED for check in checks)
    return _with_store(about, place.store, _validation_results(place.store, bound=bound))


def _with_store(
    about: dict[str, object], store: bytes, results: Mapping[str, list[dict[str, object]]]
) -> Ingredient:
    name = f"{about['label']}{STORE_SUFFIX}"
    deltas = results.get("ingredientDeltas")
    codes = {kind: results[kind] for kind in ("success", "informational", "failure")}
    about = {
        **about,
        "active_manifest": read_store(store).active.label,
        "manifest_data": {"format": _STORE_TYPE, "identifier": name},
        "validation_results": {
            "activeManifest": codes,
            **({"ingredientDeltas": deltas} if deltas else {}),
        },
    }
    return Ingredient(about, {name: store})


def _validation_results(store: bytes, *, bound: bool) -> dict[str, list[dict[str, object]]]:
    """Return what c2pa finds of a store, with our own word on what it is bound to."""
    from countermark.provenance.engine import DETACHED, read_report

    label = read_store(store).active.label
    report = json.loads(read_report(DETACHED, io.BytesIO(), store=store, trust=_CHECK_ONLY))
    match [one for one in report["manifests"] if one["label"] == label]:
        case [{"validationResults": dict(found), **rest}]:
            pass
        case _:
            raise EngineError("c2pa says nothing of the active manifest")
    results = {
        kind: [_status(one) for one in found.get(kind, ()) if one["code"] not in _BINDING_CODES]
        for kind in ("success", "informational", "failure")
    }
    results["success" if bound else "failure"].append(
        {
            "code": _BINDING_CODES[0 if bound else 1],
            "url": f"self#jumbf=/c2pa/{label}/c2pa.assertions/c2pa.hash.data",
        }
    )
    deltas = rest.get("ingredientDeltas")
    if isinstance(deltas, list):
        results["ingredientDeltas"] = deltas
    return results


def _status(said: Mapping[str, object]) -> dict[str, object]:
    return {key: said[key] for key in ("code", "url", "explanation") if key in said}
