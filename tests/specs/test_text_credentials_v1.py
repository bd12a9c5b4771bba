"""Every vector of specs/text-credentials-v1: found, or refused for its reason."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

import countermark
from countermark.provenance.carrier import Carrier
from countermark.provenance.html_script import HtmlScript
from countermark.provenance.text_wrapper import TextWrapper
from support.signed_texts import block

FOLDER = Path(__file__).parents[2] / "specs/text-credentials-v1"
VECTORS = sorted((FOLDER / "vectors").glob("*.json"))
CARRIERS: dict[str, Carrier] = {
    "text-wrapper": TextWrapper(),
    "text-block": block("a.py"),
    "html-script": HtmlScript(),
}


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 38  # An empty folder must not pass silently.


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_text_credentials_v1_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    carrier = CARRIERS[vector["carrier"]]
    asset = io.BytesIO(base64.b64decode(vector["asset"]))
    got: dict[str, object] = {"expect": "no-manifest"}
    try:
        place = carrier.find(asset)
        if place is not None:
            got = {
                "expect": "ok",
                "store": place.store.hex(),
                "url": place.url,
                "exclusions": [list(exclusion) for exclusion in place.exclusions],
                "sha256": carrier.digest(asset, place.exclusions, "sha256").hex(),
            }
    except countermark.Error as e:
        got = {"expect": e.code}
    assert got == {key: vector[key] for key in got}, vector["why"]


def test_every_section_that_a_vector_names_is_there() -> None:
    text = (FOLDER / "README.md").read_text()
    for path in VECTORS:
        assert f"\n{json.loads(path.read_text())['spec']} " in text, path.name
