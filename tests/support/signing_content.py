"""A small signed manifest, made with c2pa alone, and what c2pa says of one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from countermark.provenance.identity import ContentIdentity, c2pa_signer
from support.extras import need_c2pa

SUBJECT = b"some bytes that are signed"
_DETACHED = "application/octet-stream"
_DEFINITION = {
    "claim_generator_info": [{"name": "tests", "version": "1"}],
    "title": "subject",
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "created": True,
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/"
                        "trainedAlgorithmicMedia",
                    }
                ]
            },
        }
    ],
}


def signed_store(
    identity: ContentIdentity, settings: Mapping[str, object], tsa_url: str | None = None
) -> bytes:
    """Return a detached manifest store over `SUBJECT`."""
    need_c2pa()
    with c2pa_signer(identity, tsa_url) as signer:
        return store_by(signer, settings)


def store_by(signer: object, settings: Mapping[str, object]) -> bytes:
    """Do the same with a signer of c2pa's own."""
    import c2pa

    context = c2pa.Context(c2pa.Settings.from_dict(dict(settings)))
    builder = c2pa.Builder(dict(_DEFINITION), context)
    builder.set_no_embed()
    return bytes(builder.sign(signer, _DETACHED, io.BytesIO(SUBJECT), io.BytesIO()))


def state_of(store: bytes, settings: Mapping[str, object]) -> tuple[str, set[str]]:
    """Return c2pa's validation state, and every code it reported."""
    import c2pa

    context = c2pa.Context(c2pa.Settings.from_dict(dict(settings)))
    with c2pa.Reader(_DETACHED, io.BytesIO(SUBJECT), manifest_data=store, context=context) as read:
        results: dict[str, Any] = read.get_validation_results()["activeManifest"]
        codes = {row["code"] for rows in results.values() for row in rows}
        return str(read.get_validation_state()), codes
