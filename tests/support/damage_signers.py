"""Signers that may not sign, or no longer; timestamps that do not help; ingredients; updates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from countermark.provenance import timestamp_asn1 as shapes
from countermark.provenance.timestamping import TimestampAuthority, answer
from countermark.provenance.trust import CLAIM_SIGNING, DOCUMENT_SIGNING, TrustList
from countermark.provenance.verdict import Axis
from countermark.signing.verdict import Outcome
from support import pki, stores
from support.damage import Case, Subject, base_store, our_trust, sidecar
from support.damage_manifests import in_the_cloud
from support.damage_media import with_store
from support.rebuilt import Rebuilt

if TYPE_CHECKING:
    from countermark.provenance.trust import TrustBundle

__all__ = [
    "NOW",
    "SIGNERS",
    "TSA_ONLY",
    "allowed",
    "chained",
    "expired",
    "leaf",
    "not_revoked",
    "purposes",
    "root",
    "signed_by",
    "stamping",
    "trusting",
    "tsa",
    "tsa_root",
]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")


def purposes(*dotted: str) -> tuple[x509.ObjectIdentifier, ...]:
    return tuple(x509.ObjectIdentifier(one) for one in dotted)


GOOD = purposes(CLAIM_SIGNING, DOCUMENT_SIGNING)
TSA_ONLY = (pki.TIME_STAMPING,)


@cache
def root() -> pki.Issued:
    """Return a CA whose key we keep, so that it can issue what no CA should."""
    return pki.authority("Damage CA", not_before=NOW - 900 * DAY, not_after=NOW + 900 * DAY)


def leaf(
    issuer: pki.Issued | None = None,
    *,
    usages: tuple[x509.ObjectIdentifier, ...] = GOOD,
    usage: tuple[str, ...] = ("digital_signature",),
    days: tuple[float, float] = (-30, 300),
    name: str = "Damage signer",
    critical: bool = False,
) -> pki.Issued:
    """Return a signer's certificate, from so many days after now until so many."""
    issuer = issuer or root()
    key = issuer.certificate.public_key()
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key)  # type: ignore[arg-type]
    return pki.signer(
        issuer,
        name=name,
        purposes=usages,
        purposes_critical=critical,
        usage=usage,
        extra=((identifier, False),),
        not_before=NOW + days[0] * DAY,
        not_after=NOW + days[1] * DAY,
    )


def trusting(*issued: pki.Issued, tsa: tuple[pki.Issued, ...] = ()) -> TrustBundle:
    """Return a bundle in which these CAs vouch."""
    lists = [TrustList("damage", "manifest", tuple(one.der for one in issued or (root(),)))]
    if tsa:
        lists.append(TrustList("damage tsa", "tsa", tuple(one.der for one in tsa)))
    return replace(our_trust(), lists=tuple(lists))


def signed_by(
    signer: pki.Issued,
    *others: pki.Issued,
    trust: TrustBundle | None = None,
    stamped: Callable[[bytes], bytes] | None = None,
    headers: dict[object, object] | None = None,
) -> Subject:
    """Return content whose manifest this certificate's key signed; `others` go with it."""
    one = Rebuilt(base_store())
    one.chain = [each.der for each in (signer, *others)] if others else signer.der
    one.headers.update(headers or {})
    one.rehash()
    one.sign(signer.key_pem, stamped=stamped)
    return sidecar(one.root.data, trust or trusting())


def stamping(
    authority: pki.Issued, at: datetime = NOW, *, of: bytes | None = None
) -> Callable[[bytes], bytes]:
    """Return what makes tokens that say `at`; of other bytes than it is given, if `of` is."""

    def token(data: bytes) -> bytes:
        digest = hashlib.sha256(data if of is None else of).digest()
        imprint = shapes.MessageImprint(
            algorithm=shapes.AlgorithmIdentifier(algorithm=_SHA256), digest=digest
        )
        request = shapes.TimestampRequest(version=1, imprint=imprint, wants_certificate=True)
        who = TimestampAuthority(authority.certificate, authority.key)  # type: ignore[arg-type]
        reply = asn1.decode_der(
            shapes.TimestampResponse, answer(asn1.encode_der(request), who, at, 7)
        )
        return asn1.encode_der(reply.token)

    return token


@cache
def tsa_root() -> pki.Issued:
    return pki.authority("Damage TSA CA", not_before=NOW - 900 * DAY, not_after=NOW + 900 * DAY)


def tsa(days: tuple[float, float] = (-500, 500)) -> pki.Issued:
    """Return a timestamp authority."""
    return leaf(tsa_root(), usages=TSA_ONLY, days=days, name="Damage TSA", critical=True)


def expired(
    stamped: Callable[[bytes], bytes] | None = None, *, trusted: bool = True
) -> Callable[[], Subject]:
    """Return content signed with a certificate that has expired since."""
    roots = (tsa_root(),) if trusted else ()
    return lambda: signed_by(leaf(days=(-200, -100)), stamped=stamped, trust=trusting(tsa=roots))


def allowed(*, listed: bool) -> Subject:
    """Return content whose signer is on the allow-list, or was taken from it again."""
    signer = leaf(pki.authority("Nobody's CA", not_before=NOW - DAY, not_after=NOW + 900 * DAY))
    fingerprints = (hashlib.sha256(signer.der).hexdigest(),) if listed else ()
    return signed_by(signer, trust=replace(trusting(), allowed=fingerprints))


def chained(*, complete: bool) -> Subject:
    middle = pki.authority(
        "Damage intermediate", root(), not_before=NOW - DAY, not_after=NOW + 900 * DAY
    )
    return signed_by(leaf(middle), *((middle,) if complete else ()))


def _stapled(status: ocsp.OCSPCertStatus) -> Callable[[], Subject]:
    def make() -> Subject:
        signer = leaf()
        responder = leaf(usages=(x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING,), name="Responder")
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=signer.certificate,
                issuer=root().certificate,
                algorithm=hashes.SHA1(),  # noqa: S303 - What OCSP names certificates by.
                cert_status=status,
                this_update=NOW - DAY,
                next_update=NOW + DAY,
                revocation_time=NOW - 2 * DAY if revoked else None,
                revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
            .certificates([responder.certificate, root().certificate])
            .sign(responder.key, hashes.SHA256())
        )
        der = response.public_bytes(serialization.Encoding.DER)
        return signed_by(signer, headers={"rVals": {"ocspVals": [der]}})

    return make


def not_revoked() -> Subject:
    """Return content whose signer an OCSP answer calls good."""
    return _stapled(ocsp.OCSPCertStatus.GOOD)()


# --- Ingredients and updates, which c2pa makes of signed files.


@cache
def _with_part() -> stores.Signed:
    return stores.sign_wav(parts=[stores.sign_wav().asset])


def part_edited() -> Subject:
    """Change the manifest of an ingredient, and sign that again; the whole is as it was."""
    made = _with_part()
    one = Rebuilt(made.store, index=0)
    one.claim["instanceID"] = "xmp.iid:" + "0" * 36
    return Subject(
        with_store(made.asset, made.store, one.store(length=len(made.store))), "whole.wav"
    )


def part_removed() -> Subject:
    """Take the manifest of an ingredient away; the padding of the whole's takes its room."""
    made = _with_part()
    one = Rebuilt(made.store)
    del one.root.children[0]
    return Subject(
        with_store(made.asset, made.store, one.store(length=len(made.store))), "whole.wav"
    )


def redacted_part(signature: bytes | None) -> Callable[[], Subject]:
    """Say that something was redacted from an ingredient that has changed; name its signature."""

    def make() -> Subject:
        made = _with_part()
        one = Rebuilt(made.store)
        part = one.root.children[0].label
        address = f"self#jumbf=/c2pa/{part}"
        (label,) = [node.label for node in one.assertions.children if "ingredient" in node.label]
        value = {**one.value(label), "activeManifest": {"url": address, "hash": bytes(32)}}
        value.pop("claimSignature")
        if signature is not None:
            value["claimSignature"] = {"url": address + "/c2pa.signature", "hash": signature}
        one.put(label, value)
        one.claim["redacted_assertions"] = [f"{address}/c2pa.assertions/org.example.x"]
        return Subject(
            with_store(made.asset, made.store, one.store(length=len(made.store))), "whole.wav"
        )

    return make


def two_parents() -> Subject:
    """Say of one ingredient, twice, that it is the parent."""
    made = _with_part()
    one = Rebuilt(made.store)
    (label,) = [node.label for node in one.assertions.children if "ingredient" in node.label]
    value = {**one.value(label), "relationship": "parentOf"}
    one.put(label, value)
    one.put(label + "__1", value)
    return sidecar(one.store())._replace(data=stores.silence(), name="whole.wav")


@cache
def _updated() -> stores.Signed:
    return stores.update_png(stores.sign_png().asset)


def _update(change: Callable[[Rebuilt], object]) -> Callable[[], Subject]:
    def make() -> Subject:
        made = _updated()
        one = Rebuilt(made.store)
        change(one)
        # An update may be longer than what it updates.
        return Subject(with_store(made.asset, made.store, one.store()), "updated.png")

    return make


def _other_parent(one: Rebuilt) -> None:
    (label,) = [node.label for node in one.assertions.children if "ingredient" in node.label]
    one.put(label, {**one.value(label), "relationship": "componentOf"})


def _second_parent(one: Rebuilt) -> None:
    (label,) = [node.label for node in one.assertions.children if "ingredient" in node.label]
    one.put(label + "__1", one.value(label))


def _edits(one: Rebuilt) -> None:
    (label,) = [node.label for node in one.assertions.children if "actions" in node.label]
    one.put(label, {"actions": [{"action": "c2pa.edited"}]})


_SIGNER, _TIME, _MADE_OF = Axis.SIGNER, Axis.TIME, Axis.INGREDIENTS
_SIGNATURE = Axis.SIGNATURE
_STRANGER, _LATE = Outcome.UNTRUSTED_SIGNER, Outcome.OUTSIDE_VALIDITY
_UNTRUSTED = "signingCredential.untrusted"


def _by(signer: Callable[[], pki.Issued], code: str, *statuses: str) -> Case:
    return Case(lambda: signed_by(signer()), _SIGNER, code, _STRANGER, statuses)


SIGNERS: dict[str, Case] = {
    "signer of another CA": Case(
        lambda: sidecar(base_store(), trusting()),
        _SIGNER,
        "signer-untrusted",
        _STRANGER,
        (_UNTRUSTED,),
    ),
    "intermediate certificate missing": Case(
        lambda: chained(complete=False),
        _SIGNER,
        "signer-unlisted",
        _STRANGER,
        (_UNTRUSTED,),
    ),
    "signer taken from the allow-list": Case(
        lambda: allowed(listed=False), _SIGNER, "signer-untrusted", _STRANGER, (_UNTRUSTED,)
    ),
    "certificate for code": _by(
        lambda: leaf(usages=(pki.CODE_SIGNING,)),
        "signer-purpose-refused",
        "signingCredential.invalid",
    ),
    "certificate for any purpose": _by(
        lambda: leaf(usages=(*GOOD, pki.ANY_PURPOSE)),
        "signer-purpose-refused",
        "signingCredential.invalid",
    ),
    "certificate for no purpose": _by(
        lambda: leaf(usages=()), "signer-purpose-refused", "signingCredential.invalid"
    ),
    "certificate for timestamps": _by(lambda: leaf(usages=TSA_ONLY), "signer-purpose-refused"),
    "certificate that may not sign": _by(
        lambda: leaf(usage=("key_encipherment",)), "signer-invalid", "signingCredential.invalid"
    ),
    "certificate revoked": Case(
        _stapled(ocsp.OCSPCertStatus.REVOKED),
        _TIME,
        "signer-revoked",
        _LATE,
        ("signingCredential.ocsp.revoked",),
    ),
    "certificate expired": Case(
        expired(), _TIME, "signer-expired", _LATE, ("signingCredential.expired",)
    ),
    "certificate not valid yet": Case(
        lambda: signed_by(leaf(days=(100, 200))),
        _TIME,
        "signer-expired",
        _LATE,
        ("signingCredential.expired",),
    ),
    "expired, and a timestamp nobody vouches for": Case(
        expired(stamping(tsa(), NOW - 150 * DAY), trusted=False),
        _TIME,
        "timestamp-not-trusted",
        _LATE,
        ("timeStamp.untrusted", "signingCredential.expired"),
    ),
    "expired, and a timestamp from afterwards": Case(
        expired(stamping(tsa(), NOW - 50 * DAY)),
        _TIME,
        "signer-expired",
        _LATE,
        ("signingCredential.expired",),
    ),
    "expired, and a timestamp of something else": Case(
        expired(stamping(tsa(), NOW - 150 * DAY, of=b"another")),
        _TIME,
        "timestamp-mismatch",
        _LATE,
        ("timeStamp.mismatch",),
    ),
    "expired, and a timestamp that is none": Case(
        expired(lambda _: b"\x30\x03\x02\x01\x01"),
        _TIME,
        "timestamp-malformed",
        _LATE,
        ("timeStamp.malformed",),
    ),
    "expired, and a timestamp by an authority that had expired": Case(
        expired(stamping(tsa(days=(-500, -160)), NOW - 150 * DAY)),
        _TIME,
        "timestamp-out-of-time",
        _LATE,
        ("timeStamp.outsideValidity",),
    ),
    "ingredient's manifest changed": Case(
        part_edited,
        _MADE_OF,
        "ingredient-changed",
        Outcome.TAMPERED,
        ("ingredient.manifest.mismatch",),
    ),
    "redacted ingredient whose signature is not named": Case(
        redacted_part(None),
        Axis.INTEGRITY,
        "malformed-content",
        Outcome.MALFORMED,
    ),
    "redacted ingredient with another signature": Case(
        redacted_part(bytes(32)),
        _MADE_OF,
        "ingredient-changed",
        Outcome.TAMPERED,
        ("ingredient.claimSignature.mismatch",),
    ),
    "update with its history in the cloud": Case(
        _update(lambda one: one.put("c2pa.cloud-data", in_the_cloud("c2pa.actions.v2"))),
        _SIGNATURE,
        "assertion-malformed",
        Outcome.MALFORMED,
        ("assertion.cloud-data.actions",),
    ),
    "two parents": Case(
        two_parents,
        _SIGNATURE,
        "manifest-malformed",
        Outcome.MALFORMED,
        ("manifest.multipleParents",),
    ),
    "ingredient's manifest removed": Case(
        part_removed,
        _MADE_OF,
        "ingredient-missing",
        Outcome.TAMPERED,
        ("ingredient.manifest.missing",),
    ),
    "update that edits": Case(
        _update(_edits),
        _SIGNATURE,
        "manifest-malformed",
        Outcome.MALFORMED,
        ("manifest.update.invalid",),
    ),
    "update of a component": Case(
        _update(_other_parent),
        Axis.INTEGRITY,
        "malformed-content",
        Outcome.MALFORMED,
    ),
    "update of two parents": Case(
        _update(_second_parent),
        _SIGNATURE,
        "manifest-malformed",
        Outcome.MALFORMED,
        ("manifest.update.invalid",),
    ),
}
