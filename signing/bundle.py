"""Sigstore bundles that carry one DSSE envelope: the file called `model.sig`.

Source: Sigstore bundle v0.3 (`sigstore_bundle.proto`), OMS v1.0 section 4. A bundle holds
exactly one signature, so further signers of the same statement go to `model.sigs.jsonl`,
one bundle a line. Nothing here is verified; `examine` does that.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass

from countermark.signing import strict_json
from countermark.signing.dsse import PAYLOAD_TYPE
from countermark.signing.errors import MalformedBundleError, TooLargeError
from countermark.signing.names import printable

__all__ = [
    "BUNDLE_MEDIA_TYPE",
    "MAX_BUNDLES",
    "MAX_BUNDLE_BYTES",
    "Bundle",
    "encode_bundle",
    "parse_bundle",
    "parse_bundle_lines",
]

BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_BUNDLE_BYTES = 64 * 1024 * 1024
MAX_BUNDLES = 256

_MEDIA_TYPES = frozenset(
    {
        BUNDLE_MEDIA_TYPE,
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
    }
)
# Base64 holds no comma and no bracket: a bundle is few values, however large its statement.
_MAX_ITEMS = 65_536
_MAX_CERTIFICATES = 16
_MAX_TIMESTAMPS = 16
_MATERIAL_KEYS = frozenset(
    {"publicKey", "x509CertificateChain", "certificate", "tlogEntries", "timestampVerificationData"}
)
_PUBLIC_KEY_KEYS = frozenset({"hint", "rawBytes", "keyDetails", "validFor"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One signature over one statement, as read: nothing in it is trusted yet.

    Attributes:
        payload: The statement's bytes.
        signature: Raw signature bytes (DER for ECDSA).
        method: `key`, `certificate` (a chain) or `sigstore` (one Fulcio certificate).
        key_hint: sha256 of the public key's PEM text in hex; None if the signer gave none.
        certificates: DER certificates, leaf first; empty for `key`.
        timestamps: RFC 3161 responses, DER.

    """

    payload: bytes
    signature: bytes
    method: str
    key_hint: str | None = None
    certificates: tuple[bytes, ...] = ()
    timestamps: tuple[bytes, ...] = ()


def encode_bundle(bundle: Bundle) -> bytes:
    """Return the compact JSON form; `tlogEntries` is there and empty, as OMS signers write it.

    Raises:
        TooLargeError: Over `MAX_BUNDLE_BYTES`.

    """
    material: dict[str, object]
    if bundle.method == "key":
        material = {"publicKey": {"hint": bundle.key_hint or ""}}
    else:
        chain = [{"rawBytes": _b64(der)} for der in bundle.certificates]
        material = {"x509CertificateChain": {"certificates": chain}}
    material["tlogEntries"] = []
    if bundle.timestamps:
        stamps = [{"signedTimestamp": _b64(token)} for token in bundle.timestamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    encoded = strict_json.dumps(
        {
            "mediaType": BUNDLE_MEDIA_TYPE,
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": _b64(bundle.payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": _b64(bundle.signature), "keyid": ""}],
            },
        }
    )
    if len(encoded) > MAX_BUNDLE_BYTES:  # No verifier of ours would read it.
        raise TooLargeError("bundle", size=len(encoded), limit=MAX_BUNDLE_BYTES)
    return encoded


def parse_bundle(data: bytes) -> Bundle:
    """Parse one bundle; surrounding white space is allowed.

    Raises:
        TooLargeError: Over `MAX_BUNDLE_BYTES`.
        MalformedJsonError: Not strict JSON.
        MalformedBundleError: Not a Sigstore bundle with one DSSE signature.

    """
    document = strict_json.loads(
        data, what="bundle", max_bytes=MAX_BUNDLE_BYTES, max_items=_MAX_ITEMS
    )
    match document:
        case {
            "mediaType": str(media_type),
            "verificationMaterial": dict(material),
            "dsseEnvelope": dict(envelope),
            **rest,
        }:
            pass
        case {"messageSignature": _}:
            raise MalformedBundleError(
                "this bundle signs one file's digest and holds no statement about a model",
                hint="it was made by 'cosign sign-blob'; sign the model with OMS instead",
            )
        case _:
            raise MalformedBundleError("expected mediaType, verificationMaterial and dsseEnvelope")
    if rest:
        raise MalformedBundleError(
            f"unknown key {printable(min(map(str, rest)))[:80]} in the bundle"
        )
    if media_type not in _MEDIA_TYPES:
        raise MalformedBundleError(f"media type {printable(media_type)[:120]} is not one we know")
    payload, signature = _envelope(envelope)
    method, hint, certificates = _identity(material)
    return Bundle(
        payload=payload,
        signature=signature,
        method=method,
        key_hint=hint,
        certificates=certificates,
        timestamps=_timestamps(material.get("timestampVerificationData")),
    )


def parse_bundle_lines(data: bytes) -> tuple[Bundle, ...]:
    """Parse a `.sigs.jsonl` file: one bundle a line, empty lines ignored.

    Raises:
        TooLargeError: Over `MAX_BUNDLE_BYTES` in all, or over `MAX_BUNDLES` bundles.
        MalformedError: As `parse_bundle`, for the first bad line.

    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise TooLargeError("bundle set", size=len(data), limit=MAX_BUNDLE_BYTES)
    lines: list[bytes] = []
    for line in io.BytesIO(data):
        if line.strip():
            lines.append(line)
        if len(lines) > MAX_BUNDLES:
            raise TooLargeError("bundle set", size=len(lines), limit=MAX_BUNDLES, unit="bundles")
    return tuple(parse_bundle(line) for line in lines)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: object, what: str) -> bytes:
    if not isinstance(text, str):
        raise MalformedBundleError(f"{what} is not a base64 string")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise MalformedBundleError(f"{what} is not valid base64") from e


def _envelope(envelope: dict[str, object]) -> tuple[bytes, bytes]:
    match envelope:
        case {"payload": payload, "payloadType": str(kind), "signatures": list(signatures), **rest}:
            pass
        case _:
            raise MalformedBundleError("the envelope lacks payload, payloadType or signatures")
    if rest:
        raise MalformedBundleError(f"unknown key {printable(min(rest))[:80]} in the envelope")
    if kind != PAYLOAD_TYPE:
        raise MalformedBundleError(f"payload type is {printable(kind)[:80]}, not {PAYLOAD_TYPE}")
    if len(signatures) != 1:
        # Verifiers differ in which one they look at, so more than one has no meaning.
        raise MalformedBundleError(
            f"{len(signatures)} signatures in one bundle, expected exactly one",
            hint="put each further signature into a bundle of its own, in model.sigs.jsonl",
        )
    match signatures[0]:
        case {"sig": sig, **keys} if set(keys) <= {"keyid"} and isinstance(
            keys.get("keyid"), str | None
        ):
            return _unb64(payload, "payload"), _unb64(sig, "signature")
        case _:
            raise MalformedBundleError("a signature has no 'sig', or keys other than 'keyid'")


def _identity(material: dict[str, object]) -> tuple[str, str | None, tuple[bytes, ...]]:
    if unknown := set(material) - _MATERIAL_KEYS:
        raise MalformedBundleError(
            f"unknown key {printable(min(unknown))[:80]} in verificationMaterial"
        )
    given = [key for key in ("publicKey", "x509CertificateChain", "certificate") if key in material]
    if len(given) != 1:
        raise MalformedBundleError(f"{len(given)} kinds of verification material, expected one")
    match material[given[0]]:
        case {**identity} if given == ["publicKey"] and set(identity) <= _PUBLIC_KEY_KEYS:
            # Signers before v1.1.0 sent a copy of the key. A key that travels with the
            # signature proves nothing, so it is not used, not even as a hint.
            return "key", _hint(identity.get("hint")), ()
        case {"certificates": list(chain)} if given == ["x509CertificateChain"]:
            if not 1 <= len(chain) <= _MAX_CERTIFICATES:
                raise MalformedBundleError(f"a chain of {len(chain)} certificates")
            return "certificate", None, tuple(_raw_certificate(item) for item in chain)
        case {"rawBytes": _} as item if given == ["certificate"]:
            return "sigstore", None, (_raw_certificate(item),)
        case _:
            raise MalformedBundleError(f"{given[0]} is not of its form")


def _hint(value: object) -> str | None:
    match value:
        case None | "":  # Protobuf's JSON leaves out, or writes as null, what is not set.
            return None
        case str(hint):
            return hint
        case _:
            raise MalformedBundleError("the public key's hint is not a string")


def _raw_certificate(item: object) -> bytes:
    match item:
        case {"rawBytes": raw, **rest} if not rest:
            return _unb64(raw, "certificate")
        case _:
            raise MalformedBundleError("a certificate is not {rawBytes}")


def _timestamps(data: object) -> tuple[bytes, ...]:
    match data:
        case None:
            return ()
        case {"rfc3161Timestamps": list(stamps), **rest} if not rest:
            if len(stamps) > _MAX_TIMESTAMPS:
                raise TooLargeError(
                    "bundle", size=len(stamps), limit=_MAX_TIMESTAMPS, unit="timestamps"
                )
            return tuple(_signed_timestamp(stamp) for stamp in stamps)
        case dict() if not data:
            return ()
        case _:
            raise MalformedBundleError("timestampVerificationData is not of its form")


def _signed_timestamp(stamp: object) -> bytes:
    match stamp:
        case {"signedTimestamp": token, **rest} if not rest:
            return _unb64(token, "timestamp")
        case _:
            raise MalformedBundleError("a timestamp is not {signedTimestamp}")
