"""A manifest definition in JSON: what it may say, and how it is put over what was planned.

The keys are those of c2pa's builder. That one ignores what it does not know, and takes assertions
that contradict the asset; here both are refused, with the name of what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

from countermark.provenance.errors import DefinitionError
from countermark.provenance.manifest import base_label
from countermark.signing import strict_json
from countermark.signing.errors import MalformedError
from countermark.signing.names import printable

__all__ = ["MAX_DEFINITION_BYTES", "check_definition", "load_definition", "merge"]

MAX_DEFINITION_BYTES = 1024 * 1024
MAX_VALUES = 65_536
MAX_ASSERTIONS = 256
MAX_INGREDIENTS = 256

_TEXTS = ("title", "vendor", "instance_id", "label")
_LISTS = ("claim_generator_info", "metadata", "redactions")
_ASSERTION_KEYS = frozenset({"label", "data", "kind", "created"})
_INGREDIENT_KEYS = frozenset(
    {
        "title",
        "format",
        "relationship",
        "label",
        "instance_id",
        "data_types",
        "description",
        "informational_URI",
        "metadata",
    }
)
_RELATIONSHIPS = ("parentOf", "componentOf", "inputTo")
_ACTIONS = "c2pa.actions"
# What we write ourselves, from the content; and thumbnails, which would need their bytes.
_OURS = ("c2pa.hash.", "c2pa.ingredient", "c2pa.thumbnail", "c2pa.embedded-data")
_MAX_SHOWN = 80


def load_definition(data: bytes) -> dict[str, object]:
    """Return a definition from its JSON, checked.

    Raises:
        DefinitionError: It is larger than `MAX_DEFINITION_BYTES`, no strict JSON, or says what a
            definition cannot say.

    """
    try:
        document = strict_json.loads(
            data,
            what="manifest definition",
            max_bytes=MAX_DEFINITION_BYTES,
            max_items=MAX_VALUES,
        )
    except MalformedError as e:
        raise DefinitionError(str(e)) from e
    if not isinstance(document, dict):
        raise DefinitionError("a manifest definition is a JSON object")
    check_definition(document)
    return document


def check_definition(definition: Mapping[str, object]) -> None:
    """Refuse what a definition cannot say.

    Raises:
        DefinitionError: As said above.

    """
    for key, value in definition.items():
        if key in _TEXTS:
            if not isinstance(value, str):
                raise DefinitionError(f"{key} is not a text")
        elif key in _LISTS:
            if not isinstance(value, list):
                raise DefinitionError(f"{key} is not a list")
        elif key == "assertions":
            _check_assertions(value)
        elif key == "ingredients":
            _check_ingredients(value)
        else:
            known = ", ".join(sorted((*_TEXTS, *_LISTS, "assertions", "ingredients")))
            raise DefinitionError(
                f"a manifest definition has no key {_shown(key)}", hint=f"it may have {known}"
            )


def merge(
    preset: Mapping[str, object], extra: Mapping[str, object], *, has_parent: bool
) -> dict[str, object]:
    """Return `preset` with `extra` over it.

    An assertion replaces the one with its label; other assertions and ingredients are added.

    Args:
        preset: A whole definition.
        extra: Checked.
        has_parent: Whether the preset has a `parentOf` ingredient that it does not list.

    Raises:
        DefinitionError: Nothing says how the content came to be; or that and the ingredients
            contradict each other.

    """
    ingredients = [*_list(preset, "ingredients"), *_list(extra, "ingredients")]
    parents = has_parent + sum(
        one.get("relationship") == "parentOf" for one in _list(extra, "ingredients")
    )
    own = {_kind(one) for one in _list(extra, "assertions")}
    assertions = [one for one in _list(preset, "assertions") if _kind(one) not in own]
    assertions += _list(extra, "assertions")
    assertions = _with_actions_first(assertions)
    _check_inception(assertions[0] if assertions else {}, parents=parents)
    return {**preset, **extra, "ingredients": ingredients, "assertions": assertions}


def _check_assertions(value: object) -> None:
    for one in _objects("assertions", value, MAX_ASSERTIONS):
        _check_keys("an assertion", one, _ASSERTION_KEYS)
        match one:
            case {"label": str(label), "data": _} if label:
                if label.startswith(_OURS):
                    raise DefinitionError(
                        f"{_shown(label)} is made from the content, and cannot be given"
                    )
                if label.startswith(_ACTIONS) and not isinstance(one["data"], dict):
                    raise DefinitionError(f"the data of {_shown(label)} are no object")
                if not isinstance(one.get("created", False), bool):
                    raise DefinitionError(f"created of {_shown(label)} is neither true nor false")
            case _:
                raise DefinitionError("an assertion has a label and data")


def _check_ingredients(value: object) -> None:
    for one in _objects("ingredients", value, MAX_INGREDIENTS):
        _check_keys("an ingredient", one, _INGREDIENT_KEYS)
        if one.get("relationship") not in _RELATIONSHIPS:
            raise DefinitionError(
                "an ingredient's relationship is one of " + ", ".join(_RELATIONSHIPS)
            )


def _objects(key: str, value: object, limit: int) -> list[dict[str, object]]:
    if not isinstance(value, list) or len(value) > limit:
        raise DefinitionError(f"{key} is not a list of at most {limit}")
    objects = [one for one in value if isinstance(one, dict)]
    if len(objects) != len(value):
        raise DefinitionError(f"{key} holds something that is no object")
    return objects


def _check_keys(what: str, given: Mapping[str, object], known: frozenset[str]) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise DefinitionError(
            f"{what} has no key {_shown(unknown[0])}",
            hint=f"it may have {', '.join(sorted(known))}",
        )


def _list(definition: Mapping[str, object], key: str) -> list[dict[str, object]]:
    value = definition.get(key, [])
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _kind(assertion: Mapping[str, object]) -> str:
    """Return a label by which one assertion replaces another."""
    label = str(assertion.get("label", ""))
    return _ACTIONS if label.startswith(_ACTIONS) else base_label(label)


def _with_actions_first(assertions: list[dict[str, object]]) -> list[dict[str, object]]:
    actions = [one for one in assertions if _kind(one) == _ACTIONS]
    rest = [one for one in assertions if _kind(one) != _ACTIONS]
    # C2PA 2.5 16.4.1.2: the first of them among what the signer stands for.
    return [{**one, "created": True} for one in actions[:1]] + actions[1:] + rest


def _check_inception(assertion: Mapping[str, object], *, parents: int) -> None:
    """Check C2PA 2.5 16.4.1.2 and 16.5.3 as far as the first action and the parent go."""
    if parents > 1:
        raise DefinitionError(f"{parents} parents, and content is edited from one")
    match assertion:
        case {"label": str(label), "data": {"actions": [{"action": str(first), **about}, *_]}} if (
            label.startswith(_ACTIONS)
        ):
            pass
        case _:
            raise DefinitionError(
                "nothing says how the content came to be",
                hint="say --generated-by or --edited-from, or begin the definition's actions with "
                "c2pa.created and a digitalSourceType",
            )
    if first not in ("c2pa.created", "c2pa.opened"):
        raise DefinitionError(
            f"the first action is {_shown(first)}, and must be c2pa.created or c2pa.opened"
        )
    if first == "c2pa.created" and not isinstance(about.get("digitalSourceType"), str):
        raise DefinitionError("c2pa.created needs a digitalSourceType")
    if (first == "c2pa.opened") != (parents == 1):
        raise DefinitionError("c2pa.opened and a parentOf ingredient go together, or neither")


def _shown(text: str) -> str:
    return printable(text)[:_MAX_SHOWN]
