"""Trust bundles: whom a reader of content credentials trusts, as one dated file.

A verdict names the bundle it rests on by its digest, so it can be reproduced years later. What
is in the file is all that counts: no list is built in, and no key is understood silently. The
format is specs/content-trust-v1. A bundle is an ordinary file: `countermark sign` signs it, and
`trust_files` refuses one whose signature does not hold.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from countermark.provenance.leaf_trust import check_leaf
from countermark.provenance.purposes import CLAIM_SIGNING, DOCUMENT_SIGNING
from countermark.provenance.trust_bundle import KINDS, TrustBundle, TrustList, pem_of
from countermark.provenance.trust_json import FORMAT, MAX_TRUST_BYTES, dump_trust, load_trust
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed

__all__ = [
    "CLAIM_SIGNING",
    "DOCUMENT_SIGNING",
    "FORMAT",
    "KINDS",
    "MAX_TRUST_BYTES",
    "TrustBundle",
    "TrustList",
    "check_date",
    "check_leaf",
    "dump_trust",
    "engine_settings",
    "load_trust",
]


def engine_settings(bundle: TrustBundle) -> dict[str, object]:
    """Return the part of c2pa's settings that makes it use this bundle, and nothing else.

    Measured with c2pa-rs 0.91.3: only the topmost `trust_config` admits purposes, only an
    `allowed_list` beside anchors is read, and a fingerprint in it is base64. c2pa also accepts
    signers below CAs of the other kinds, and timestamp and OCSP certificates as signers:
    `check_leaf` does not.
    """
    anchors: list[dict[str, str]] = [
        {
            "trust_anchors": "".join(pem_of(certificate) for certificate in listed.certificates),
            "trust_kind": listed.kind,
            "trust_uri": listed.name,
        }
        for listed in bundle.lists
    ]
    if bundle.allowed:
        lines = (base64.b64encode(bytes.fromhex(one)).decode() for one in bundle.allowed)
        anchors.append(
            {
                "trust_anchors": "",
                "trust_kind": "manifest",
                "trust_uri": "allowed",
                "allowed_list": "".join(f"{line}\n" for line in lines),
            }
        )
    purposes = "".join(f"{purpose}\n" for purpose in bundle.purposes)
    return {"trust": {"anchors": anchors, "trust_config": purposes}}


def check_date(bundle: TrustBundle, now: datetime) -> tuple[Check, ...]:
    """Return why a bundle may no longer be used; nothing if it may.

    Args:
        bundle: Any.
        now: The present, aware.

    """
    if bundle.valid_until is None or now.astimezone(UTC).date() <= bundle.valid_until:
        return ()
    check = failed(
        "trust-bundle-outdated",
        Outcome.OUTSIDE_VALIDITY,
        f"the trust bundle {printable(bundle.name)} was to be used until {bundle.valid_until}",
        "make a new one from today's lists: countermark content trust make",
    )
    return (check,)
