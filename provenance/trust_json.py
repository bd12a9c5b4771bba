"""Trust bundles as files: strict JSON in, readable JSON out (specs/content-trust-v1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from countermark.provenance.errors import MalformedTrustError
from countermark.provenance.trust_bundle import KINDS, TrustBundle, TrustList, pem_of
from countermark.signing import strict_json
from countermark.signing.errors import MalformedError
from countermark.signing.names import printable

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["FORMAT", "MAX_TRUST_BYTES", "dump_trust", "load_trust"]

FORMAT: Final = "countermark/trust-bundle/v1"
MAX_TRUST_BYTES: Final = 8 << 20

_MAX_LISTS = 64
_MAX_CERTIFICATES = 1024
_MAX_ALLOWED = 10_000
_MAX_PURPOSES = 16
_MAX_TEXT = 200
_MAX_ITEMS = 50_000
# These certificates answer for times and revocations, and "any purpose" answers for everything.
_NO_SIGNER: Final = {
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,9})){2,20}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def load_trust(data: bytes) -> TrustBundle:
    """Parse a trust bundle.

    Raises:
        MalformedTrustError: It is over a limit, is not this format, or says what cannot be.

    """
    try:
        document = strict_json.loads(
            data, what="trust bundle", max_bytes=MAX_TRUST_BYTES, max_depth=5, max_items=_MAX_ITEMS
        )
    except MalformedError as e:
        raise MalformedTrustError(str(e)) from e
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise MalformedTrustError(f"trust bundle: no object with the format {FORMAT}")
    members = _Members({k: v for k, v in document.items() if k != "format"}, "trust bundle")
    bundle = TrustBundle(
        name=_text(members.take("name"), "name"),
        dated=_day(members.take("dated"), "dated"),
        valid_until=(
            _day(members.take("valid_until"), "valid_until") if "valid_until" in members else None
        ),
        lists=tuple(_list(row) for row in members.array("lists", _MAX_LISTS)),
        allowed=tuple(_fingerprint(row) for row in members.array("allowed", _MAX_ALLOWED, [])),
        purposes=tuple(_purpose(row) for row in members.array("purposes", _MAX_PURPOSES)),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    members.end()
    _check_whole(bundle)
    return bundle


def dump_trust(bundle: TrustBundle) -> bytes:
    """Return a bundle as a file that people can read, with a line feed at its end.

    Raises:
        MalformedTrustError: No reader would accept it.

    """
    import json

    document: dict[str, object] = {
        "format": FORMAT,
        "name": bundle.name,
        "dated": bundle.dated.isoformat(),
    }
    if bundle.valid_until is not None:
        document["valid_until"] = bundle.valid_until.isoformat()
    document["purposes"] = list(bundle.purposes)
    document["lists"] = [
        {
            "name": listed.name,
            "kind": listed.kind,
            **({"source": listed.source} if listed.source else {}),
            "certificates": [pem_of(certificate) for certificate in listed.certificates],
        }
        for listed in bundle.lists
    ]
    if bundle.allowed:
        document["allowed"] = list(bundle.allowed)
    data = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
    load_trust(data)
    return data


class _Members:
    """The members of an object, each taken once."""

    def __init__(self, members: Mapping[str, object], what: str) -> None:
        self._members = dict(members)
        self._what = what

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def take(self, name: str, *default: object) -> object:
        if name not in self._members and not default:
            raise MalformedTrustError(f"{self._what}: no {name}")
        return self._members.pop(name, *default)

    def array(self, name: str, most: int, *default: object) -> Sequence[object]:
        value = self.take(name, *default)
        if not isinstance(value, list) or len(value) > most:
            raise MalformedTrustError(f"{self._what}: {name} is no array of {most} at most")
        return value

    def end(self) -> None:
        if self._members:
            names = ascii(sorted(self._members))[:80]
            raise MalformedTrustError(f"{self._what}: unknown members {names}")


def _list(row: object) -> TrustList:
    if not isinstance(row, dict):
        raise MalformedTrustError("trust bundle: a list is no object")
    members = _Members(row, "trust bundle: a list")
    kind = members.take("kind")
    listed = TrustList(
        name=_text(members.take("name"), "name of a list"),
        kind=kind if isinstance(kind, str) else "",
        source=_text(members.take("source"), "source") if "source" in members else "",
        certificates=tuple(
            _certificate(one) for one in members.array("certificates", _MAX_CERTIFICATES)
        ),
    )
    members.end()
    if listed.kind not in KINDS:
        raise MalformedTrustError(f"trust bundle: the kind of a list is none of {', '.join(KINDS)}")
    if not listed.certificates:
        raise MalformedTrustError("trust bundle: a list without certificates")
    return listed


def _check_whole(bundle: TrustBundle) -> None:
    names = [listed.name for listed in bundle.lists]
    if len(set(names)) < len(names):
        raise MalformedTrustError("trust bundle: two lists have one name")
    if sum(len(listed.certificates) for listed in bundle.lists) > _MAX_CERTIFICATES:
        raise MalformedTrustError(f"trust bundle: over {_MAX_CERTIFICATES} certificates")
    if not bundle.purposes:
        raise MalformedTrustError("trust bundle: no purposes, so no signer could be accepted")
    if bundle.valid_until is not None and bundle.valid_until < bundle.dated:
        raise MalformedTrustError("trust bundle: valid_until is before dated")


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or printable(value) != value:
        raise MalformedTrustError(
            f"trust bundle: {what} is no text of 1 to {_MAX_TEXT} visible characters"
        )
    return value


def _day(value: object, what: str) -> date:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise MalformedTrustError(f"trust bundle: {what} is no date (YYYY-MM-DD)")


def _fingerprint(value: object) -> str:
    if isinstance(value, str) and _FINGERPRINT.fullmatch(value):
        return value
    raise MalformedTrustError("trust bundle: an allowed signer is no sha256 in lowercase hex")


def _purpose(value: object) -> str:
    if not isinstance(value, str) or not _OID.fullmatch(value):
        raise MalformedTrustError("trust bundle: a purpose is no object identifier (dotted)")
    if value in _NO_SIGNER:
        raise MalformedTrustError(f"trust bundle: {_NO_SIGNER[value]} is no purpose of signers")
    return value


def _certificate(value: object) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    from countermark.signing.x509_loading import load_pem_certificates

    if not isinstance(value, str) or not value.startswith("-----BEGIN CERTIFICATE-----"):
        raise MalformedTrustError("trust bundle: a certificate is not in PEM form")
    if value.count("-----BEGIN") != 1:
        raise MalformedTrustError("trust bundle: several certificates in one text")
    try:
        (certificate,) = load_pem_certificates(value.encode())
    except MalformedError as e:
        raise MalformedTrustError(f"trust bundle: {e}") from e
    if not _is_ca(certificate):
        raise MalformedTrustError(
            f"trust bundle: {printable(certificate.subject.rfc4514_string())} is not a CA's "
            "certificate; a signer's own belongs to the allowed ones"
        )
    return certificate.public_bytes(Encoding.DER)


def _is_ca(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    from countermark.signing.x509_loading import extension_of

    basic = extension_of(certificate, x509.BasicConstraints)
    return basic is not None and basic.ca
