"""Key rings as bytes: the format countermark-keyring-v1 (specs/watermark-keyring-v1)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from countermark.signing import strict_json
from countermark.signing.errors import MalformedError
from countermark.watermark.errors import KeyUseError, MalformedRingError, SchemeError
from countermark.watermark.keyring import MAX_KEYS, KeyEntry, KeyRing
from countermark.watermark.keys import Labels, MasterKey, derive_all
from countermark.watermark.parameters import Purpose, scheme_named
from countermark.watermark.terms import terms_document, terms_fields

__all__ = ["FORMAT", "MAX_RING_BYTES", "encode_ring", "parse_ring"]

FORMAT = "countermark-keyring-v1"
MAX_RING_BYTES = 32 << 20
_MAX_ITEMS = 160 * MAX_KEYS
_MAX_DEPTH = 8
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,77}", re.ASCII)


def parse_ring(data: bytes) -> KeyRing:
    """Parse a key ring. No message holds a secret.

    Raises:
        MalformedRingError: It is over a limit, is not this format, or contradicts itself.

    """
    try:
        document = strict_json.loads(
            data,
            what="key ring",
            max_bytes=MAX_RING_BYTES,
            max_depth=_MAX_DEPTH,
            max_items=_MAX_ITEMS,
        )
    except MalformedError as e:
        raise MalformedRingError(str(e)) from e
    match document:
        case {"format": str(form)} if form != FORMAT:
            raise MalformedRingError(f"key ring: the format is {ascii(form)[:60]}, not {FORMAT}")
        case {"format": str(), "keys": list(rows), **rest} if set(rest) <= {"master"}:
            pass
        case _:
            raise MalformedRingError(
                "key ring: expected an object with 'format', 'keys' and perhaps 'master'"
            )
    if len(rows) > MAX_KEYS:
        raise MalformedRingError(f"key ring: {len(rows)} keys, limit {MAX_KEYS}")
    try:
        master = MasterKey(_bytes(rest["master"])) if "master" in rest else None
        keys = tuple(_entry(index, row, master) for index, row in enumerate(rows))
        return KeyRing(keys=keys, master=master)
    except (SchemeError, KeyUseError) as e:
        raise MalformedRingError(f"key ring: {e}") from e


def encode_ring(ring: KeyRing) -> bytes:
    """Return the bytes that `parse_ring` reads, one key to a line.

    Raises:
        MalformedRingError: The parts of the ring do not fit each other, as when a key was
            derived from another master than the ring's.

    """
    head = {"format": FORMAT}
    if ring.master is not None:
        head["master"] = _text(ring.master.secret)
    start = strict_json.dumps(head).removesuffix(b"}")
    rows = b",\n".join(strict_json.dumps(_row(key)) for key in ring.keys)
    data = start + b',"keys":[\n' + rows + b"\n]}\n"
    if parse_ring(data) != ring:  # Before the only copy of a secret is written over.
        raise MalformedRingError("key ring: it would not be read as it was meant")
    return data


def _entry(index: int, row: object, master: MasterKey | None) -> KeyEntry:
    try:
        return _parsed(row, master)
    except (SchemeError, KeyUseError) as e:
        raise MalformedRingError(f"key ring: keys[{index}]: {e}") from e


def _parsed(row: object, master: MasterKey | None) -> KeyEntry:
    if not isinstance(row, dict):
        raise SchemeError("it is no object")
    members: dict[str, object] = dict(row)
    fields = terms_fields(members)
    labels = _labels(members.pop("labels", None))
    form = scheme_named(fields["scheme"])
    match members:
        case {} if not members and form.purposes:
            if master is None:
                raise SchemeError("there is neither a master nor a secret")
            secrets = derive_all(master, labels=labels, scheme=form.name, purposes=form.purposes)
            return KeyEntry(**fields, labels=labels, secrets=secrets, derived=True)
        case {"secrets": dict(texts), **rest} if not rest and form.purposes:
            return KeyEntry(**fields, labels=labels, secrets=_secrets(texts, form.purposes))
        case {"integers": list(texts), **rest} if not rest and form.integers:
            integers = tuple(_integer(text) for text in texts)
            return KeyEntry(**fields, labels=labels, integers=integers)
        case _:
            wanted = "at most 'secrets'" if form.purposes else "'integers'"
            raise SchemeError(
                f"{form.name} takes {wanted} and nothing else; there is: "
                f"{ascii(sorted(members))[:80]}"
            )


def _secrets(texts: Mapping[str, object], purposes: tuple[Purpose, ...]) -> dict[Purpose, bytes]:
    if set(texts) != set(purposes):
        raise SchemeError(f"the secrets should be {', '.join(purposes)}")
    return {purpose: _bytes(texts[purpose]) for purpose in purposes}


def _labels(value: object) -> Labels:
    match value:
        case {"model": str(model), "tenant": str(tenant), "epoch": str(epoch), **rest} if not rest:
            return Labels(model=model, tenant=tenant, epoch=epoch)
        case _:
            raise SchemeError("'labels' should have the texts 'model', 'tenant' and 'epoch'")


def _row(key: KeyEntry) -> dict[str, object]:
    labels = {"model": key.labels.model, "tenant": key.labels.tenant, "epoch": key.labels.epoch}
    row = terms_document(key) | {"labels": labels}
    if key.secrets and not key.derived:
        row["secrets"] = {str(p): _text(secret) for p, secret in key.secrets.items()}
    elif key.integers:
        # As text: many readers of JSON round integers beyond 2^53.
        row["integers"] = [str(integer) for integer in key.integers]
    return row


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode("ascii")


def _bytes(value: object) -> bytes:
    if not isinstance(value, str) or not _BASE64.fullmatch(value):
        raise SchemeError("a secret is not base64")
    try:
        secret = base64.b64decode(value, validate=True)
    except binascii.Error as e:
        raise SchemeError("a secret is not base64") from e
    if _text(secret) != value:  # The last character may hide bits that decoding drops.
        raise SchemeError("a secret is not base64 in its one form")
    return secret


def _integer(value: object) -> int:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise SchemeError("an integer of the key is not written in decimal digits, as text")
    return int(value)
