"""Fuzz manifest definitions: any bytes give a plan that begins with actions, or our own error.

Run `python tests/fuzz/fuzz_definition.py` with atheris installed; libFuzzer options follow.
"""

import json
import sys

from countermark.provenance.definition import ContentRequest, load_definition, plan_manifest
from countermark.provenance.errors import DefinitionError

CREATED = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/x"}


def seeds() -> list[bytes]:
    """Return definitions that are taken, and one that is not."""
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [CREATED]}}
    opened = {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.opened"}]}}
    return [
        json.dumps(one).encode()
        for one in (
            {"title": "x", "assertions": [actions, {"label": "a.b", "data": [1]}]},
            {"assertions": [opened], "ingredients": [{"title": "p", "relationship": "parentOf"}]},
            {"assertions": [{"label": "c2pa.hash.data", "data": {}}]},
        )
    ]


def one_input(data: bytes) -> None:
    """Plan one manifest; raise if anything but our own error comes out."""
    try:
        planned = plan_manifest(ContentRequest(extra=load_definition(data)))
    except DefinitionError:
        return
    assertions = planned.definition["assertions"]
    if not isinstance(assertions, list) or not assertions[0]["created"]:
        raise AssertionError("the first assertion is not one that the signer stands for")


def main() -> None:
    """Run the fuzzer until it finds something."""
    import atheris

    for seed in seeds():
        one_input(seed)
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
