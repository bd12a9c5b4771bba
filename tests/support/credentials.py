"""A development CA with a signer and a timestamp authority, made once for each kind of key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from countermark.provenance.dev_ca import DevCredentials, DevRequest, make_dev_credentials

# Tests ask for moments around the beginning of the session: certificates must be valid then, too,
# however late the first test comes that wants them.
STARTED = datetime.now(UTC)
TRUSTED_PURPOSES = "1.3.6.1.4.1.62558.2.1\n1.3.6.1.5.5.7.3.36\n"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs content in tests.

    Attributes:
        ca_pem: The root that is to be trusted; it vouches for the timestamp authority, too.
        chain_pem: Leaf first, without the root.
        key_pem: PKCS#8, not encrypted.
        leaf_der: The leaf.
        ca_der: The root.
        made: Everything that `cert dev-ca` makes, with the timestamp authority.

    """

    ca_pem: bytes
    chain_pem: bytes
    key_pem: bytes
    leaf_der: bytes
    ca_der: bytes
    made: DevCredentials

    @property
    def settings(self) -> dict[str, object]:
        """Settings for c2pa with which this signer, and its timestamp authority, are trusted."""
        ca = self.ca_pem.decode()
        return {
            "version": 1,
            "trust": {
                "anchors": [
                    {"trust_anchors": ca, "trust_kind": kind, "trust_uri": f"urn:test:{kind}"}
                    for kind in ("manifest", "tsa")
                ],
                "trust_config": TRUSTED_PURPOSES,
            },
            "verify": {
                "verify_trust": True,
                "verify_after_sign": False,
                "remote_manifest_fetch": False,
            },
            "builder": {"thumbnail": {"enabled": False}},
        }


def make_credentials(*, key: str = "ec-p256", days: float = 365, name: str = "Test") -> Credentials:
    """Return credentials that are valid for so many days; those of another `name` are others'."""
    return _make(key, days, name)


@cache
def _make(key: str, days: float, name: str) -> Credentials:
    request = DevRequest(organization=name, key_type=key, validity=timedelta(days=days))
    now = STARTED if days >= 1 else datetime.now(UTC)
    made = make_dev_credentials(now, os.urandom, request)
    return Credentials(
        ca_pem=made.ca_pem,
        chain_pem=made.signer_pem,
        key_pem=made.signer_key_pem,
        leaf_der=made.signer,
        ca_der=made.ca,
        made=made,
    )
