"""Who signed a statement: every bundle held against the keys and roots the caller trusts.

No byte of the statement is parsed here. Only when somebody the caller trusts has signed
it does it become worth reading.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from countermark.signing.bundle import Bundle
from countermark.signing.dsse import PAYLOAD_TYPE, legacy_pae, pae
from countermark.signing.errors import MalformedCertificateError, UnsupportedKeyError
from countermark.signing.keys import BadSignatureError, PublicKey, public_key_from
from countermark.signing.verdict import (
    Check,
    Outcome,
    Signer,
    Status,
    failed,
    held,
    not_checked,
    warned,
)

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Trust", "claimed_signer", "examine_signatures"]


# Old signatures are over other bytes; only statements of the old type may use that.
LEGACY_MARK = b"https://model_signing/Digests/v0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom the caller trusts. Every key must have signed; one certificate must lead to a root.

    Attributes:
        public_keys: Pinned keys.
        roots: Certificates that signers' chains must lead to.
        identities: Patterns of which a signer's certificate must match one
            (see `identities.parse_identity`); empty pins nobody.
        tsa_roots: Roots of timestamp authorities; with them, time is what a token says.
        now: The present, aware; certificates are judged at it if no timestamp speaks.

    """

    public_keys: tuple[PublicKey, ...] = ()
    roots: tuple[x509.Certificate, ...] = ()
    identities: tuple[str, ...] = ()
    tsa_roots: tuple[x509.Certificate, ...] = ()
    now: datetime | None = None

    def __post_init__(self) -> None:
        if self.now is not None and self.now.tzinfo is None:
            raise ValueError("Trust.now must be an aware time")


class _Opinion(NamedTuple):
    """What one trusted party makes of the bundles."""

    checks: tuple[Check, ...]
    signer: Signer | None
    bundle: Bundle | None = None  # Whose signature this is about.


def examine_signatures(
    bundles: Sequence[Bundle], trust: Trust
) -> tuple[tuple[Check, ...], tuple[Signer, ...]]:
    """Check every bundle over one statement against what the caller trusts.

    Args:
        bundles: The main bundle first; all carry the same payload, which the caller checked.
        trust: Keys and roots.

    Returns:
        The checks, all of which must hold, and everybody who is known to have signed.

    """
    if not trust.public_keys and not trust.roots:
        return (_no_trust(bundles[0]),), tuple(claimed_signer(bundle) for bundle in bundles)
    keys = {key.key_id: key for key in trust.public_keys}
    opinions = [_by_key(bundles, key) for key in keys.values()]
    if trust.roots:
        opinions.append(_by_roots(bundles, trust))
    checks = [check for opinion in opinions for check in opinion.checks]
    signers = [opinion.signer for opinion in opinions if opinion.signer is not None]
    known = {signer.key_id for signer in signers}
    judged = [opinion.bundle for opinion in opinions]
    for bundle in bundles:
        if bundle in judged:
            continue
        stranger = claimed_signer(bundle)
        if stranger.key_id not in known:
            signers.append(stranger)
            checks.append(
                not_checked(
                    "further-signature-not-checked",
                    f"there is also a signature by {_who(stranger)}, about whom you said nothing",
                )
            )
    return tuple(checks), tuple(signers)


def _no_trust(bundle: Bundle) -> Check:
    option = "--cert-chain and --identity" if bundle.certificates else "--public-key"
    return failed(
        "no-trust-given",
        Outcome.UNTRUSTED_SIGNER,
        "there is a signature, and nobody was named whose signature would count",
        f"say whom you trust with {option}",
    )


def _by_key(bundles: Sequence[Bundle], key: PublicKey) -> _Opinion:
    """Find this key's signature among the bundles."""
    candidates = [b for b in bundles if _may_be_by(b, key)]
    signer = Signer(method="key", key_id=key.key_id, algorithm=key.algorithm)
    short = key.key_id[:16]
    for bundle in candidates:
        try:
            legacy = _check(bundle, key)
        except BadSignatureError:
            continue
        checks = [
            held("signature-valid", f"the statement is signed by key {short}… ({key.algorithm})")
        ]
        if bundle.key_hint is None and not bundle.certificates:
            checks.append(warned("key-hint-missing", "the bundle does not say which key signed it"))
        if legacy:
            checks.append(warned("legacy-signature", "signed in the way of OMS before v1.0"))
        return _Opinion(tuple(checks), signer._replace(trusted=True), bundle)
    if any(bundle.key_hint is not None or bundle.certificates for bundle in candidates):
        check = failed(
            "signature-invalid",
            Outcome.TAMPERED,
            f"the signature claims key {short}…, and is not that key's over this statement",
            "the signature file was altered; fetch it again from its publisher",
        )
    else:
        check = failed(
            "wrong-key",
            Outcome.UNTRUSTED_SIGNER,
            f"no signature by key {short}… ({key.algorithm}); signed by "
            + ", ".join(_who(claimed_signer(bundle)) for bundle in bundles[:4]),
            "ask the publisher for the key, or check that this is his signature file",
        )
    return _Opinion((check,), None)


def _may_be_by(bundle: Bundle, key: PublicKey) -> bool:
    """Return whether a bundle names this key, or names none."""
    if bundle.method == "key":
        return bundle.key_hint in (None, key.key_id)
    # A pinned key needs no chain, so a certificate is only another way to name it.
    return bundle.method == "certificate" and claimed_signer(bundle).key_id == key.key_id


def _by_roots(bundles: Sequence[Bundle], trust: Trust) -> _Opinion:
    """Return the first certificate that satisfies the caller, or why the first does not."""
    opinions = [_by_certificate(b, trust) for b in bundles if b.method == "certificate"]
    for opinion in opinions:
        if all(check.status is not Status.FAILED for check in opinion.checks):
            return opinion
    if opinions:
        return opinions[0]
    if any(bundle.method == "sigstore" for bundle in bundles):
        check = failed(
            "keyless-unsupported",
            Outcome.INCONCLUSIVE,
            "this is a Sigstore keyless signature, which this version cannot judge",
            "verify it with a Sigstore client",
        )
    else:
        check = failed(
            "no-certificate",
            Outcome.UNTRUSTED_SIGNER,
            "no signature here comes with a certificate",
            "it was made with a bare key: use --public-key",
        )
    return _Opinion((check,), None)


def _by_certificate(bundle: Bundle, trust: Trust) -> _Opinion:
    from countermark.signing.certificates import examine_chain
    from countermark.signing.x509_loading import load_der

    try:
        chain = [load_der(der) for der in bundle.certificates]
        key = public_key_from(chain[0].public_key())
    except MalformedCertificateError as e:
        return _Opinion((failed(e.code, Outcome.MALFORMED, str(e), e.hint),), None)
    except UnsupportedKeyError as e:
        return _Opinion((failed(e.code, Outcome.UNTRUSTED_SIGNER, str(e), e.hint),), None)
    at, source, time_checks = _trusted_time(bundle, trust)
    chain_checks, facts = examine_chain(
        chain[0],
        chain[1:],
        trust.roots,
        identities=trust.identities,
        at=at,
        time_source=source,
    )
    try:
        legacy = _check(bundle, key)
    except BadSignatureError:
        signature = failed(
            "signature-invalid",
            Outcome.TAMPERED,
            "the signature is not the certificate's over this statement",
            "the signature file was altered; fetch it again from its publisher",
        )
    else:
        signature = held("signature-valid", f"the statement is signed by {key.algorithm}")
        if legacy:
            time_checks += (warned("legacy-signature", "signed in the way of OMS before v1.0"),)
    signer = Signer(
        method="certificate",
        key_id=key.key_id,
        algorithm=key.algorithm,
        identities=facts.identities,
        issuer=facts.issuer,
        trusted=facts.trusted and signature.status is Status.HELD,
    )
    return _Opinion((signature, *time_checks, *chain_checks), signer, bundle)


def _trusted_time(bundle: Bundle, trust: Trust) -> tuple[datetime, str, tuple[Check, ...]]:
    now = trust.now or datetime.now(UTC)
    if not bundle.timestamps:
        return now, "the clock", ()
    from countermark.signing.timestamps import trusted_time

    checks, stamped = trusted_time(bundle.timestamps, bundle.signature, trust.tsa_roots)
    return (now, "the clock", checks) if stamped is None else (stamped, "a timestamp", checks)


def _check(bundle: Bundle, key: PublicKey) -> bool:
    """Return whether the signature needed the v0.1 way of signing.

    Raises:
        BadSignatureError: Neither way matches.

    """
    try:
        key.check(bundle.signature, pae(PAYLOAD_TYPE, bundle.payload))
    except BadSignatureError:
        if LEGACY_MARK not in bundle.payload:
            raise
        key.check_legacy(bundle.signature, legacy_pae(PAYLOAD_TYPE, bundle.payload))
        return True
    return False


_KEY_ID = re.compile(r"[0-9a-f]{64}")


def claimed_signer(bundle: Bundle) -> Signer:
    """Describe who a bundle claims to be from; nothing of it is verified."""
    if not bundle.certificates:
        # Anybody can write a hint, so only what can be a key id is repeated to people.
        hint = bundle.key_hint or ""
        key_id = hint if _KEY_ID.fullmatch(hint) else ""
        return Signer(method="key", key_id=key_id, algorithm="")
    from countermark.signing.certificates import describe
    from countermark.signing.x509_loading import load_der

    try:
        leaf = load_der(bundle.certificates[0])
        facts = describe(leaf)
        key_id = public_key_from(leaf.public_key()).key_id
    except (MalformedCertificateError, UnsupportedKeyError):
        return Signer(method=bundle.method, key_id="", algorithm="")
    return Signer(
        method=bundle.method,
        key_id=key_id,
        algorithm="",
        identities=facts.identities,
        issuer=facts.issuer,
    )


def _who(signer: Signer) -> str:
    from countermark.signing.names import printable

    if signer.identities:
        return printable(signer.identities[0])
    return f"key {signer.key_id[:16]}…" if signer.key_id else "an unnamed key"
