"""From one master secret to the keys of every model, tenant, epoch and scheme.

Derivation is HKDF-SHA256 (RFC 5869): knowing any number of derived keys says nothing about the
master or about any other. So a detector gets the keys it needs, and nothing else.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from countermark.signing.names import printable
from countermark.watermark.errors import KeyUseError, SchemeError
from countermark.watermark.parameters import Purpose, Value

__all__ = [
    "MASTER_BYTES",
    "MAX_LABEL_BYTES",
    "Labels",
    "MasterKey",
    "Purpose",
    "derive",
    "derive_all",
    "key_id",
]

MASTER_BYTES = 32
MAX_LABEL_BYTES = 200
_SALT = b"countermark-watermark-v1"
_ID_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Whose key it is. Each is at most `MAX_LABEL_BYTES` of UTF-8, NFC, and may be empty.

    Raises:
        SchemeError: A label is too long, or could be taken for another one.

    """

    model: str = ""
    tenant: str = ""
    epoch: str = ""

    def __post_init__(self) -> None:
        for name, text in (("model", self.model), ("tenant", self.tenant), ("epoch", self.epoch)):
            if text.isascii() and text.isprintable() and len(text) <= MAX_LABEL_BYTES:
                continue
            # Two labels that look alike and derive other keys would be a trap.
            if printable(text) != text or not unicodedata.is_normalized("NFC", text):
                raise SchemeError(f"the label {name} has characters that do not show, or no NFC")
            if len(text.encode()) > MAX_LABEL_BYTES:
                raise SchemeError(f"the label {name} is over {MAX_LABEL_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class MasterKey:
    """256 random bits from which every key of a ring is derived.

    Raises:
        KeyUseError: The secret has another length, or is one that nobody drew at random.

    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != MASTER_BYTES:
            raise KeyUseError(f"a master key of {len(self.secret)} bytes, expected {MASTER_BYTES}")
        if len(set(self.secret)) == 1:
            raise KeyUseError("a master key of one byte over and over is no secret")

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """Draw a new master.

        Args:
            random: Returns as many unpredictable bytes as it is asked for: `secrets.token_bytes`.

        """
        return cls(random(MASTER_BYTES))


def derive(
    master: MasterKey, *, model: str, tenant: str, epoch: str, scheme: str, purpose: Purpose
) -> bytes:
    """Return the secret of one purpose, `purpose.size` bytes (specs/watermark-keyring-v1 §4)."""
    labels = Labels(model=model, tenant=tenant, epoch=epoch)
    return derive_all(master, labels=labels, scheme=scheme, purposes=(purpose,))[purpose]


def derive_all(
    master: MasterKey, *, labels: Labels, scheme: str, purposes: Iterable[Purpose]
) -> dict[Purpose, bytes]:
    """Return what `derive` does for each purpose."""
    rest = _info(scheme, labels.model, labels.tenant, labels.epoch)
    return {
        purpose: HKDF(SHA256(), purpose.size, _SALT, _info(purpose) + rest).derive(master.secret)
        for purpose in purposes
    }


def key_id(
    secrets: Mapping[Purpose, bytes],
    *,
    scheme: str,
    labels: Labels,
    parameters: Mapping[str, Value],
) -> str:
    """Return the public name of a key of ours: 16 hex digits (specs/watermark-keyring-v1 §5).

    It is a commitment to all that decides what a detector computes, so that a ring in which one
    bit of a secret or one parameter was changed is noticed. It is a pseudorandom function of the
    secrets: whoever sees it learns nothing about them.
    """
    flat = [text for name in sorted(parameters) for text in (name, _text(parameters[name]))]
    info = _info(
        "key-id", scheme, labels.model, labels.tenant, labels.epoch, *sorted(secrets), *flat
    )
    material = b"".join(secrets[purpose] for purpose in sorted(secrets))
    return HKDF(SHA256(), _ID_BYTES, _SALT, info).derive(material).hex()


def _info(*texts: str) -> bytes:
    """Return texts so that no other list of texts gives the same bytes."""
    return b"".join(
        [len(text).to_bytes(2, "big") + text for text in [text.encode() for text in texts]]
    )


def _text(value: Value) -> str:
    match value:
        case float():
            return "real:" + struct.pack(">d", value).hex()
        case int():
            return f"integer:{value}"
        case str():
            return f"text:{value}"
        case _:
            return "integers:" + ",".join(str(item) for item in value)
