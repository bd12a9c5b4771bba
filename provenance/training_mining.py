"""What may be done with content: `cawg.training-mining` (CAWG Training and Data Mining 1.1)."""

from __future__ import annotations

from collections.abc import Mapping

from countermark.provenance.errors import DefinitionError
from countermark.signing.names import printable

__all__ = ["LABEL", "training_mining_assertion"]

LABEL = "cawg.training-mining"
ENTRIES = ("ai_generative_training", "ai_inference", "ai_training", "data_mining")
USES = ("allowed", "notAllowed", "constrained")
MAX_CONSTRAINT_CHARS = 1000

_PREFIX = "cawg."
_CONSTRAINED = "constrained"


def training_mining_assertion(permissions: Mapping[str, str]) -> dict[str, object]:
    """Return the assertion, for c2pa's builder.

    Args:
        permissions: One of `ENTRIES`, with or without `cawg.`, to one of `USES`; `constrained`
            may be followed by `:` and what the constraint is.

    Raises:
        DefinitionError: An entry or a use that the specification does not know.

    """
    entries: dict[str, dict[str, str]] = {}
    for key, value in permissions.items():
        entry = _PREFIX + key.removeprefix(_PREFIX)
        if entry.removeprefix(_PREFIX) not in ENTRIES:
            raise DefinitionError(
                f"nothing to permit is called {printable(key)[:80]}",
                hint=f"one of {', '.join(ENTRIES)}",
            )
        if entry in entries:
            raise DefinitionError(f"{entry} is said twice")
        entries[entry] = _permission(value)
    return {"label": LABEL, "created": True, "data": {"entries": entries}}


def _permission(value: str) -> dict[str, str]:
    use, colon, constraint = value.partition(":")
    if use not in USES or (colon and use != _CONSTRAINED):
        raise DefinitionError(
            f"{printable(value)[:80]} is not a permission", hint=f"one of {', '.join(USES)}"
        )
    if len(constraint) > MAX_CONSTRAINT_CHARS:
        raise DefinitionError(f"a constraint of over {MAX_CONSTRAINT_CHARS} characters")
    constraint = constraint.strip()
    return {"use": use, "constraint_info": constraint} if constraint else {"use": use}
