"""What a manifest is to say, from a few plain facts instead of a JSON definition.

`plan_manifest` writes the definition that c2pa's builder takes. What C2PA 2.5 requires of it is
seen to here, where a fault has a name, and not after signing:

16.4.1.2: one actions assertion among what the signer stands for, which begins with how the asset
    came to be: created, with a digital source type; or opened, with a parent.
16.4.1.3: it says whether all actions are listed. We did not watch, so it says no.
16.8.2: content that a model made says so, and by which model.
16.4.2: the bundle that signs the model is referred to, among what was gathered.

A definition in JSON says everything else, and wins; what belongs to the content's own bytes - its
hash, its format - it cannot say. No thumbnails are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from countermark.provenance.definition_json import check_definition, load_definition, merge
from countermark.provenance.errors import DefinitionError
from countermark.provenance.ingredients import (
    ANY_MODEL,
    MODEL,
    PARENT,
    PROMPT,
    Ingredient,
    PlannedIngredient,
    model_ingredient,
    model_types,
    parent_ingredient,
    prompt_ingredient,
)
from countermark.provenance.model_evidence import ModelEvidence
from countermark.provenance.model_link import BUNDLE_TYPE, EXTERNAL_REFERENCE
from countermark.provenance.named_information import sha256_name
from countermark.provenance.source_types import SOURCE_TYPES, generated_source_type
from countermark.provenance.training_mining import training_mining_assertion

__all__ = [
    "ContentRequest",
    "ManifestPlan",
    "PlannedIngredient",
    "load_definition",
    "plan_manifest",
]

ACTIONS = "c2pa.actions.v2"
AI_DISCLOSURE = "c2pa.ai-disclosure"
ASSET_TYPE = "c2pa.asset-type.v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRequest:
    """What is to be said of a piece of content.

    Attributes:
        title: Its name.
        media_type: IANA media type.
        generated_by: The model that made it, or its edits.
        edited_from: The file it was edited from.
        prompt: What the model was asked. It becomes part of the manifest.
        training_mining: What may be done with it: CAWG entry, with or without `cawg.`, to
            `allowed`, `notAllowed` or `constrained`, the last with `:` and under what constraint.
        extra: A JSON definition (`load_definition`) that wins.
        software: Name and version of what signs.
        source_type: How it came to be, a key of `SOURCE_TYPES`; for content that no model made.
        describes: The model that the content is, for the model's own manifest.

    """

    title: str = ""
    media_type: str = ""
    generated_by: ModelEvidence | None = None
    edited_from: Path | None = None
    prompt: str | None = None
    training_mining: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    software: tuple[str, str] = ("countermark", "")
    source_type: str = ""
    describes: ModelEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPlan:
    """A manifest, ready for c2pa's builder but for the hash of the content.

    Attributes:
        definition: Its JSON, ingredients that need no reading included.
        ingredients: Those that c2pa has to read.
        resources: Bytes by the names that the definition refers to.

    """

    definition: dict[str, object]
    ingredients: tuple[PlannedIngredient, ...] = ()
    resources: Mapping[str, bytes] = field(default_factory=dict)


def plan_manifest(request: ContentRequest) -> ManifestPlan:
    """Return the manifest that says what was asked for.

    Raises:
        DefinitionError: It would break a rule of C2PA, or says too little.
        ContentNotFoundError: The file it was edited from is not there.
        MalformedContentError: It cannot be read.

    """
    check_definition(request.extra)
    ingredients = _ingredients(request)
    parts = [*ingredients.values()]
    name, version = request.software
    preset: dict[str, object] = {
        "claim_generator_info": [{"name": name, **({"version": version} if version else {})}],
        "title": request.title or (request.describes.name if request.describes else ""),
        "format": request.media_type,
        "ingredients": [part.json for part in parts if part.planned is None],
        "assertions": _assertions(request, ingredients),
    }
    parent = any(_relationship(part) == "parentOf" for part in parts)
    return ManifestPlan(
        definition=merge(preset, request.extra, has_parent=parent),
        ingredients=tuple(part.planned for part in parts if part.planned is not None),
        resources={name: data for part in parts for name, data in part.resources.items()},
    )


def _ingredients(request: ContentRequest) -> dict[str, Ingredient]:
    found: dict[str, Ingredient] = {}
    if request.edited_from is not None:
        found[PARENT] = parent_ingredient(request.edited_from)
    if request.generated_by is not None:
        found[MODEL] = model_ingredient(request.generated_by)
    if request.prompt is not None:
        found[PROMPT] = prompt_ingredient(request.prompt)
    return found


def _relationship(ingredient: Ingredient) -> object:
    about = ingredient.json if ingredient.planned is None else ingredient.planned.json
    return about.get("relationship")


def _assertions(
    request: ContentRequest, ingredients: Mapping[str, Ingredient]
) -> list[dict[str, object]]:
    assertions = []
    actions = _actions(request, [name for name in ingredients if name != PARENT])
    if actions:
        data = {"actions": actions, "allActionsIncluded": False}
        assertions.append({"label": ACTIONS, "created": True, "data": data})
    if _is_generated(request):
        assertions.append(_disclosure(request.generated_by))
    if request.describes is not None:
        types = [{"type": kind} for kind in model_types(request.describes.paths)]
        about = {"dc:format": request.media_type, "types": types}
        assertions.append({"label": ASSET_TYPE, "created": True, "data": about})
    assertions += [
        _bundle_reference(evidence)
        for evidence in (request.generated_by, request.describes)
        if evidence is not None and evidence.bundle_sha256
    ]
    if request.training_mining:
        assertions.append(training_mining_assertion(request.training_mining))
    return assertions


def _actions(request: ContentRequest, inputs: list[str]) -> list[dict[str, object]]:
    """Return how the content came to be; empty if nothing says so."""
    uses = {"parameters": {"ingredientIds": inputs}} if inputs else {}
    if request.edited_from is not None:
        edited: dict[str, object] = {"action": "c2pa.edited", **uses}
        if _is_generated(request):
            edited["digitalSourceType"] = SOURCE_TYPES["compositeWithTrainedAlgorithmicMedia"]
        opens = {"ingredientIds": [PARENT]}
        opened: dict[str, object] = {"action": "c2pa.opened", "parameters": opens}
        return [opened, edited]
    source_type = _source_type(request)
    if not source_type:
        return []
    return [{"action": "c2pa.created", "digitalSourceType": source_type, **uses}]


def _source_type(request: ContentRequest) -> str:
    if request.source_type:
        if request.source_type not in SOURCE_TYPES:
            raise DefinitionError(
                f"no digital source type is called {request.source_type!r}",
                hint=f"one of {', '.join(SOURCE_TYPES)}",
            )
        return SOURCE_TYPES[request.source_type]
    if request.describes is not None:
        return SOURCE_TYPES["trainedAlgorithmicData"]
    return generated_source_type(request.media_type) if _is_generated(request) else ""


def _is_generated(request: ContentRequest) -> bool:
    return request.generated_by is not None or request.prompt is not None


def _disclosure(evidence: ModelEvidence | None) -> dict[str, object]:
    data: dict[str, object] = {"modelType": ANY_MODEL}
    if evidence is not None:
        data = {
            "modelType": model_types(evidence.paths)[0],
            "modelName": evidence.name,
            "modelIdentifier": sha256_name(bytes.fromhex(evidence.digest)),
        }
    return {"label": AI_DISCLOSURE, "created": True, "data": data}


def _bundle_reference(evidence: ModelEvidence) -> dict[str, object]:
    # Gathered, as 16.4.2.1 suggests: the content's signer did not sign the model.
    location = {
        "url": sha256_name(bytes.fromhex(evidence.bundle_sha256)),
        "dc:format": BUNDLE_TYPE,
    }
    about = "Signature of the model (OpenSSF Model Signing)"
    return {"label": EXTERNAL_REFERENCE, "data": {"location": location, "description": about}}
