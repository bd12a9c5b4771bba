"""Sign and verify model weights, in formats that others verify too.

The two functions you want are `verify`, which returns a `Verified` model or raises, and
`examine`, which returns the whole `Verdict`. To sign: `take_snapshot`, `sign_snapshot`,
`write_signed`. Nothing here prints, exits, reads the environment or opens the network.

Names are loaded when they are first used, since whoever verifies with a key should not
wait for certificates, and whoever reads a header should not wait for keys.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countermark.signing.cache import DigestCache
    from countermark.signing.diff import ModelDiff, diff_models, load_side
    from countermark.signing.errors import VerificationError
    from countermark.signing.examination import Verified, VerifyOptions, examine, verify
    from countermark.signing.keys import (
        PrivateKey,
        PublicKey,
        SigningKey,
        generate,
        load_private_key,
        load_public_key,
    )
    from countermark.signing.manifest import FileEntry, Manifest
    from countermark.signing.places import default_signature, find_signature
    from countermark.signing.sign import Identity, Signed, sign_snapshot, write_signed
    from countermark.signing.signatures import Trust
    from countermark.signing.snapshot import (
        Previous,
        Snapshot,
        SnapshotOptions,
        take_snapshot,
    )
    from countermark.signing.statement import Dialect
    from countermark.signing.verdict import Check, Coverage, Finding, Outcome, Status, Verdict
    from countermark.signing.x509_loading import load_pem_certificates

_HOMES = {
    "cache": ("DigestCache",),
    "diff": ("ModelDiff", "diff_models", "load_side"),
    "errors": ("VerificationError",),
    "examination": ("Verified", "VerifyOptions", "examine", "verify"),
    "keys": (
        "PrivateKey",
        "PublicKey",
        "SigningKey",
        "generate",
        "load_private_key",
        "load_public_key",
    ),
    "manifest": ("FileEntry", "Manifest"),
    "places": ("default_signature", "find_signature"),
    "sign": ("Identity", "Signed", "sign_snapshot", "write_signed"),
    "signatures": ("Trust",),
    "snapshot": ("Previous", "Snapshot", "SnapshotOptions", "take_snapshot"),
    "statement": ("Dialect",),
    "verdict": ("Check", "Coverage", "Finding", "Outcome", "Status", "Verdict"),
    "x509_loading": ("load_pem_certificates",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Check",
    "Coverage",
    "Dialect",
    "DigestCache",
    "FileEntry",
    "Finding",
    "Identity",
    "Manifest",
    "ModelDiff",
    "Outcome",
    "Previous",
    "PrivateKey",
    "PublicKey",
    "Signed",
    "SigningKey",
    "Snapshot",
    "SnapshotOptions",
    "Status",
    "Trust",
    "Verdict",
    "VerificationError",
    "Verified",
    "VerifyOptions",
    "default_signature",
    "diff_models",
    "examine",
    "find_signature",
    "generate",
    "load_pem_certificates",
    "load_private_key",
    "load_public_key",
    "load_side",
    "sign_snapshot",
    "take_snapshot",
    "verify",
    "write_signed",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
