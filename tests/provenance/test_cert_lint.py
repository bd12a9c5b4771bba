"""For every rule of the profile a certificate that breaks it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

import countermark
from countermark import provenance
from countermark.provenance.cert_lint import ALGORITHMS, lint
from countermark.provenance.certificate_asn1 import CertificateBody
from countermark.provenance.errors import CredentialError
from countermark.signing.errors import MalformedCertificateError, TooLargeError, WrongPasswordError
from countermark.signing.keys import generate
from countermark.signing.verdict import Check, Outcome, Status, outcome_of
from countermark.signing.x509_loading import MAX_PEM_BYTES
from support.claim_signers import (
    CLAIM_SIGNING,
    DOCUMENT_SIGNING,
    MOMENT,
    SOUND_PURPOSES,
    authority,
    claim_signer,
    issue,
    pem,
    resigned,
    subject,
)
from support.extras import need_c2pa
from support.pki import DAY, Issued, key_usage, rsa_key
from support.signing_content import state_of, store_by

EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
TIMES = ExtendedKeyUsageOID.TIME_STAMPING
REVOCATIONS = ExtendedKeyUsageOID.OCSP_SIGNING
LEVEL = x509.ObjectIdentifier("1.3.6.1.4.1.62558.3")
RECORD = x509.ObjectIdentifier("1.3.6.1.4.1.62558.4")


@cache
def root() -> Issued:
    return authority("Root")


@cache
def middle() -> Issued:
    return authority("Middle", root(), path_length=0)


@cache
def rsa_root() -> Issued:
    return authority("RSA root", key=rsa_key(2048))


def leaf(**changes: object) -> Issued:
    return claim_signer(root(), **changes)  # type: ignore[arg-type]


def purposes(*oids: x509.ObjectIdentifier) -> Issued:
    return leaf(extensions={x509.ExtendedKeyUsage: x509.ExtendedKeyUsage(oids)})


def with_pss(mask: hashes.HashAlgorithm, digest: hashes.HashAlgorithm) -> Issued:
    pss = padding.PSS(padding.MGF1(mask), 32)
    return claim_signer(rsa_root(), pss=pss, digest=digest)  # type: ignore[arg-type]


def changed(change: Callable[[CertificateBody], None]) -> Issued:
    return resigned(leaf(), root(), change)


def without_version(body: CertificateBody) -> None:
    body.version = None


def with_unique_id(body: CertificateBody) -> None:
    body.subject_unique_id = asn1.BitString(b"\x05", 0)


def of_the_programme(**lacking: None) -> Issued:
    """Return what claims Assurance Level 1; a part that is named lacks."""
    parts: dict[str, x509.ExtensionType] = {
        "level": x509.UnrecognizedExtension(
            LEVEL, asn1.encode_der(x509.ObjectIdentifier(f"{LEVEL.dotted_string}.10"))
        ),
        "record": x509.UnrecognizedExtension(RECORD, asn1.encode_der("x" * 36)),
        "policy": x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.62558.1.1"), None)]
        ),
        "responder": x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    x509.oid.AuthorityInformationAccessOID.OCSP,
                    x509.UniformResourceIdentifier("http://ocsp.invalid/"),
                )
            ]
        ),
    }
    # Two are of one class, so the keys are only names.
    kept = {part: value for part, value in parts.items() if part not in lacking}
    span = (MOMENT - DAY, MOMENT - DAY + (366 if "time" not in lacking else 367) * DAY)
    return leaf(extensions=kept, span=span)


def unknown(*, critical: bool) -> Issued:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    return leaf(extensions={x509.UnrecognizedExtension: (odd, critical)})


SIGNERS: dict[str, tuple[str, Callable[[], Issued]]] = {
    "sha-224": ("cert-signature-algorithm", lambda: leaf(digest=hashes.SHA224())),
    "pss-masks-differ": ("cert-pss-parameters", lambda: with_pss(hashes.SHA384(), hashes.SHA256())),
    "secp256k1": ("cert-key", lambda: leaf(key=ec.generate_private_key(ec.SECP256K1()))),
    "rsa-1024": ("cert-key", lambda: leaf(key=rsa_key(1024))),
    "ml-dsa": ("cert-key", lambda: leaf(key=mldsa.MLDSA65PrivateKey.generate())),
    "version-1": ("cert-version", lambda: changed(without_version)),
    "unique-id": ("cert-unique-ids", lambda: changed(with_unique_id)),
    "ca": (
        "cert-not-a-ca",
        lambda: leaf(extensions={x509.BasicConstraints: (x509.BasicConstraints(True, None), True)}),
    ),
    "no-aki": (
        "cert-authority-key-id",
        lambda: leaf(extensions={x509.AuthorityKeyIdentifier: None}),
    ),
    "no-key-usage": ("cert-key-usage", lambda: leaf(extensions={x509.KeyUsage: None})),
    "no-digital-signature": (
        "cert-key-usage",
        lambda: leaf(extensions={x509.KeyUsage: (key_usage("content_commitment"), True)}),
    ),
    "key-cert-sign": (
        "cert-key-cert-sign",
        lambda: leaf(
            extensions={x509.KeyUsage: (key_usage("digital_signature", "key_cert_sign"), True)}
        ),
    ),
    "any-purpose": (
        "cert-purpose-any",
        lambda: purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, *SOUND_PURPOSES),
    ),
    "times-mixed": ("cert-purpose-exclusive", lambda: purposes(*SOUND_PURPOSES, TIMES)),
    "revocations-mixed": ("cert-purpose-exclusive", lambda: purposes(REVOCATIONS, *SOUND_PURPOSES)),
    "odd-extension": ("cert-critical-extensions", lambda: unknown(critical=True)),
}
# These cannot help to break a second rule: it says nothing accepted, so nothing usual either.
WITH_A_WARNING: dict[str, tuple[str, str, Callable[[], Issued]]] = {
    "no-purpose": (
        "cert-purpose-present",
        "cert-purpose-usual",
        lambda: leaf(extensions={x509.ExtendedKeyUsage: None}),
    ),
    "times-alone": ("cert-purpose-accepted", "cert-purpose-usual", lambda: purposes(TIMES)),
    "revocations-alone": (
        "cert-purpose-accepted",
        "cert-purpose-usual",
        lambda: purposes(REVOCATIONS),
    ),
    "code-signing": (
        "cert-purpose-accepted",
        "cert-purpose-usual",
        lambda: purposes(ExtendedKeyUsageOID.CODE_SIGNING),
    ),
}
ODD: dict[str, tuple[str, Callable[[], Issued]]] = {
    "no-ski": ("cert-subject-key-id", lambda: leaf(extensions={x509.SubjectKeyIdentifier: None})),
    "key-usage-not-critical": (
        "cert-key-usage-critical",
        lambda: leaf(extensions={x509.KeyUsage: (key_usage("digital_signature"), False)}),
    ),
    "claims-alone": ("cert-purpose-usual", lambda: purposes(CLAIM_SIGNING)),
    "documents-alone": ("cert-purpose-usual", lambda: purposes(DOCUMENT_SIGNING)),
    "email-alone": ("cert-purpose-usual", lambda: purposes(EMAIL)),
    "no-organisation": ("cert-subject", lambda: leaf(name=subject(C="ZZ", CN="Signer"))),
    "no-common-name": ("cert-subject", lambda: leaf(name=subject(C="ZZ", O="Test"))),
    "own-key": ("cert-self-signed", lambda: claim_signer(None)),
    "no-record": ("cert-product-record", lambda: of_the_programme(record=None)),
    "no-policy": ("cert-policy", lambda: of_the_programme(policy=None)),
    "no-responder": ("cert-responder", lambda: of_the_programme(responder=None)),
    "over-366-days": ("cert-lifetime", lambda: of_the_programme(time=None)),
    "level-unreadable": (
        "cert-assurance-level",
        lambda: leaf(
            extensions={x509.UnrecognizedExtension: x509.UnrecognizedExtension(LEVEL, b"\x05\x00")}
        ),
    ),
}


def chain_of(*between: Issued, top: Issued | None = None) -> tuple[Issued, ...]:
    """Return a signer below these CAs, lowest first; `top` issued the last of them."""
    return (claim_signer(between[0] if between else top), *between)


def issuer_with(**changes: object) -> tuple[Issued, ...]:
    return chain_of(authority("Odd", root(), **changes))  # type: ignore[arg-type]


def impostor() -> tuple[Issued, ...]:
    """Return a signer with another CA of its CA's name, and no key ids that tell them apart."""
    other = authority("Middle", root())
    signer = claim_signer(
        middle(),
        {
            x509.AuthorityKeyIdentifier: x509.AuthorityKeyIdentifier.from_issuer_public_key(
                other.key.public_key()
            )
        },
    )
    return (signer, other)


def another_key_id() -> tuple[Issued, ...]:
    other = x509.AuthorityKeyIdentifier.from_issuer_public_key(root().key.public_key())
    return (claim_signer(middle(), {x509.AuthorityKeyIdentifier: other}), middle())


def deep() -> tuple[Issued, ...]:
    low = authority("Low", middle())
    return (claim_signer(low), low, middle())


CHAINS: dict[str, tuple[str, Callable[[], tuple[Issued, ...]]]] = {
    "reversed": ("cert-chain-order", lambda: chain_of(middle())[::-1]),
    "stranger-between": (
        "cert-chain-order",
        lambda: (claim_signer(middle()), authority("Stranger"), middle()),
    ),
    "other-key": ("cert-chain-signature", impostor),
    "other-key-id": ("cert-key-ids", another_key_id),
    "too-deep": ("cert-issuer-path-length", deep),
    "issuer-no-ca": (
        "cert-issuer-is-a-ca",
        lambda: issuer_with(
            extensions={x509.BasicConstraints: (x509.BasicConstraints(False, None), True)}
        ),
    ),
    "issuer-no-cert-sign": (
        "cert-issuer-key-usage",
        lambda: issuer_with(extensions={x509.KeyUsage: (key_usage("crl_sign"), True)}),
    ),
    "issuer-no-ski": (
        "cert-issuer-subject-key-id",
        lambda: issuer_with(extensions={x509.SubjectKeyIdentifier: None}),
    ),
    "issuer-no-aki": (
        "cert-issuer-authority-key-id",
        lambda: issuer_with(extensions={x509.AuthorityKeyIdentifier: None}),
    ),
}
TIMES_OF: dict[str, tuple[str, Callable[[], tuple[Issued, ...]]]] = {
    "expired": ("certificate-expired", lambda: (leaf(span=(MOMENT - DAY, MOMENT - DAY / 86400)),)),
    "early": (
        "certificate-not-yet-valid",
        lambda: (leaf(span=(MOMENT + DAY / 86400, MOMENT + DAY)),),
    ),
    "issuer-expired": (
        "issuer-certificate-expired",
        lambda: issuer_with(span=(MOMENT - DAY, MOMENT - DAY / 86400)),
    ),
    "issuer-early": (
        "issuer-certificate-not-yet-valid",
        lambda: issuer_with(span=(MOMENT + DAY / 86400, MOMENT + DAY)),
    ),
}


def codes(checks: tuple[Check, ...], status: Status) -> list[str]:
    """Return what has this status, but for the advice that every sound certificate gets."""
    return [
        check.code
        for check in checks
        if check.status is status and check.code != "cert-without-timestamp"
    ]


def check_of(checks: tuple[Check, ...], code: str) -> Check:
    (found,) = [check for check in checks if check.code == code]
    return found


def test_a_sound_chain_breaks_no_rule_and_warns_of_nothing() -> None:
    checks = lint(pem(*chain_of(middle())), at=MOMENT, anchors=root().pem)
    assert codes(checks, Status.FAILED) == codes(checks, Status.WARNED) == []
    assert outcome_of(checks) is Outcome.VERIFIED
    assert check_of(checks, "cert-chain-complete").status is Status.HELD


@pytest.mark.parametrize(("code", "make"), SIGNERS.values(), ids=SIGNERS)
def test_signer_with_one_fault_breaks_that_rule_alone(
    code: str, make: Callable[[], Issued]
) -> None:
    checks = lint(make().pem, at=MOMENT)
    assert codes(checks, Status.FAILED) == [code]
    assert codes(checks, Status.WARNED) == []
    assert check_of(checks, code).hint
    assert outcome_of(checks) is Outcome.REFUSED


@pytest.mark.parametrize(("code", "warning", "make"), WITH_A_WARNING.values(), ids=WITH_A_WARNING)
def test_signer_without_an_accepted_purpose_breaks_one_rule(
    code: str, warning: str, make: Callable[[], Issued]
) -> None:
    checks = lint(make().pem, at=MOMENT)
    assert codes(checks, Status.FAILED) == [code]
    assert codes(checks, Status.WARNED) == [warning]


@pytest.mark.parametrize(("code", "make"), ODD.values(), ids=ODD)
def test_signer_that_does_what_it_should_not_is_warned_of_that_alone(
    code: str, make: Callable[[], Issued]
) -> None:
    checks = lint(make().pem, at=MOMENT)
    assert codes(checks, Status.FAILED) == []
    assert codes(checks, Status.WARNED) == [code]
    assert outcome_of(checks) is Outcome.VERIFIED


@pytest.mark.parametrize(("code", "make"), CHAINS.values(), ids=CHAINS)
def test_chain_with_one_fault_breaks_that_rule_alone(
    code: str, make: Callable[[], tuple[Issued, ...]]
) -> None:
    checks = lint(pem(*make()), at=MOMENT)
    assert codes(checks, Status.FAILED) == [code]
    assert outcome_of(checks) is Outcome.REFUSED


@pytest.mark.parametrize(("code", "make"), TIMES_OF.values(), ids=TIMES_OF)
def test_certificate_that_is_a_second_off_is_out_of_its_time(
    code: str, make: Callable[[], tuple[Issued, ...]]
) -> None:
    checks = lint(pem(*make()), at=MOMENT)
    assert codes(checks, Status.FAILED) == [code]
    assert outcome_of(checks) is Outcome.OUTSIDE_VALIDITY


@pytest.mark.parametrize("at", [MOMENT - DAY, MOMENT + DAY])
def test_first_and_last_second_of_a_certificate_are_in_its_time(at: object) -> None:
    checks = lint(leaf(span=(MOMENT - DAY, MOMENT + DAY)).pem, at=at)  # type: ignore[arg-type]
    assert codes(checks, Status.FAILED) == []


def test_every_rule_that_can_be_broken_has_a_certificate_here_that_breaks_it() -> None:
    folder = Path(provenance.__path__[0])
    found = {
        code
        for path in folder.glob("cert_lint*.py")
        for code in re.findall(r'\b(?:failed|warned)\(\s*"([a-z-]+)"', path.read_text())
    }
    tables = (SIGNERS, ODD, CHAINS, TIMES_OF, WITH_A_WARNING)
    known = {row[0] for table in tables for row in table.values()}
    elsewhere = {
        "cert-chain-complete",
        "cert-key-match",
        "cert-algorithm",
        "cert-root-included",
        "cert-without-timestamp",
    }
    assert len(found) > 30
    assert found - known == elsewhere


# --- The engine's own opinion

# Rules of C2PA's that c2pa-rs 0.91.3 does not enforce; it says that these signers are trusted.
OVERLOOKED = {
    "no-digital-signature",  # It has contentCommitment.
    "times-alone",
    "revocations-alone",
    "other-key-id",
    "issuer-no-ski",
    "issuer-no-aki",
}
BROKEN: dict[str, Callable[[], Issued | tuple[Issued, ...]]] = {
    name: row[-1] for table in (SIGNERS, WITH_A_WARNING, CHAINS) for name, row in table.items()
}


def engines_state(made: Issued | tuple[Issued, ...]) -> str:
    """Return what c2pa says of content that these sign, or that it does not sign with them."""
    need_c2pa()
    import c2pa

    chain = made if isinstance(made, tuple) else (made,)
    algorithm = b"ps256" if isinstance(chain[0].key, rsa.RSAPrivateKey) else b"es256"
    anchors = pem(root(), rsa_root()).decode()
    settings_ = {
        "trust": {
            "anchors": [{"trust_anchors": anchors, "trust_kind": "manifest", "trust_uri": "x"}],
            "trust_config": "".join(
                f"{oid.dotted_string}\n" for oid in (CLAIM_SIGNING, DOCUMENT_SIGNING, EMAIL)
            ),
        },
        "verify": {"verify_trust": True, "verify_after_sign": False},
    }
    info = c2pa.C2paSignerInfo(algorithm, pem(*chain), chain[0].key_pem, None)
    try:
        with c2pa.Signer.from_info(info) as signer:
            store = store_by(signer, settings_)
    except c2pa.C2paError:
        return "does not sign"
    return state_of(store, settings_)[0]


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_engine_trusts_no_signer_that_breaks_a_rule_but_those_that_it_overlooks(name: str) -> None:
    assert (engines_state(BROKEN[name]()) == "Trusted") == (name in OVERLOOKED)


@pytest.mark.parametrize("name", sorted(ODD))
def test_engine_signs_with_every_certificate_that_is_only_warned_of(name: str) -> None:
    assert engines_state(ODD[name][1]()) == ("Valid" if name == "own-key" else "Trusted")


def test_reversed_chain_is_told_its_order_and_judged_as_if_it_had_it() -> None:
    signer, above = chain_of(middle())
    check = check_of(lint(pem(above, signer), at=MOMENT), "cert-chain-order")
    assert "CN=Signer,O=Test,C=ZZ | CN=Middle" in check.hint


def test_missing_intermediate_is_found_once_the_root_is_named() -> None:
    signer, between = chain_of(middle())
    unasked = check_of(lint(signer.pem, at=MOMENT), "cert-chain-complete")
    assert (unasked.status, "CN=Middle" in unasked.sentence) == (Status.NOT_CHECKED, True)
    lacking = lint(signer.pem, at=MOMENT, anchors=root().pem)
    assert codes(lacking, Status.FAILED) == ["cert-chain-complete"]
    whole = lint(pem(signer, between), at=MOMENT, anchors=root().pem)
    assert codes(whole, Status.FAILED) == []
    # An intermediate may itself be what readers trust.
    assert codes(lint(pem(signer, between), at=MOMENT, anchors=between.pem), Status.FAILED) == []


def test_included_root_warns() -> None:
    checks = lint(pem(*chain_of(middle()), root()), at=MOMENT)
    assert codes(checks, Status.FAILED) == []
    assert codes(checks, Status.WARNED) == ["cert-root-included"]


@pytest.mark.parametrize("kind", ["ec-p256", "ed25519"])
def test_key_of_the_certificate_matches_and_another_of_its_kind_does_not(kind: str) -> None:
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else None
    signer = leaf(key=key)
    assert codes(lint(signer.pem, signer.key_pem, at=MOMENT), Status.FAILED) == []
    other = lint(signer.pem, generate(kind).pem(None), at=MOMENT)
    assert codes(other, Status.FAILED) == ["cert-key-match"]


def test_locked_key_without_its_password_is_an_error_and_no_broken_rule() -> None:
    locked = generate("ec-p256").pem(b"secret")
    with pytest.raises(WrongPasswordError):
        lint(leaf().pem, locked, at=MOMENT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithm_has_to_be_one_of_the_key(algorithm: str) -> None:
    checks = lint(leaf().pem, at=MOMENT, algorithm=algorithm)
    assert codes(checks, Status.FAILED) == ([] if algorithm == "es256" else ["cert-algorithm"])
    checks = lint(leaf(key=rsa_key(2048)).pem, at=MOMENT, algorithm=algorithm)
    fits = algorithm.startswith("ps")
    assert codes(checks, Status.FAILED) == ([] if fits else ["cert-algorithm"])


def test_algorithm_that_there_is_not_is_an_error() -> None:
    with pytest.raises(CredentialError, match="es999"):
        lint(leaf().pem, at=MOMENT, algorithm="es999")


def test_pss_with_equal_hashes_and_rsa_of_2048_bits_hold() -> None:
    checks = lint(with_pss(hashes.SHA256(), hashes.SHA256()).pem, at=MOMENT)
    assert codes(checks, Status.FAILED) == []
    assert check_of(checks, "cert-pss-parameters").status is Status.HELD
    assert codes(lint(leaf(key=rsa_key(2048)).pem, at=MOMENT), Status.FAILED) == []


def test_claimed_assurance_level_is_told_and_an_odd_extension_is_ignored_unless_critical() -> None:
    checks = lint(of_the_programme().pem, at=MOMENT)
    assert "Level 1" in check_of(checks, "cert-assurance-level").sentence
    assert codes(checks, Status.WARNED) == []
    assert codes(lint(unknown(critical=False).pem, at=MOMENT), Status.FAILED) == []


def test_end_of_the_chain_is_when_everything_without_a_timestamp_ends() -> None:
    below = authority("Short", root(), span=(MOMENT - DAY, MOMENT + 9 * DAY))
    checks = lint(pem(*chain_of(below)), at=MOMENT)
    sentence = check_of(checks, "cert-without-timestamp").sentence
    assert (MOMENT + 9 * DAY).isoformat() in sentence
    assert "in 9 days" in sentence


def test_names_in_sentences_cannot_steer_a_terminal() -> None:
    odd = issue(subject(C="ZZ", O="Test", CN="a\x1b[31mb\u202e"), None, {})
    signer = claim_signer(odd)
    checks = lint(pem(signer, authority("Other")), at=MOMENT)
    text = "".join(check.sentence + check.hint for check in checks)
    assert text.isprintable()
    assert "\x1b" not in text


@pytest.mark.parametrize("data", [b"", b"-----BEGIN CERTIFICATE-----\n", b"0\x03\x02\x01\x05"])
def test_what_is_no_certificate_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCertificateError):
        lint(data, at=MOMENT)


def test_limit_of_a_certificate_file_is_kept() -> None:
    whole = leaf().pem
    assert lint(whole + b"\n" * (MAX_PEM_BYTES - len(whole)), at=MOMENT)
    with pytest.raises(TooLargeError):
        lint(whole + b"\n" * (MAX_PEM_BYTES - len(whole) + 1), at=MOMENT)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damaged_certificate_gives_checks_or_our_own_error(data: st.DataObject) -> None:
    der = bytearray(_sound_der())
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        checks = lint(bytes(der), at=MOMENT)
    except countermark.Error:
        return
    assert all(isinstance(check, Check) for check in checks)
    assert all(check.sentence.isprintable() for check in checks)


@cache
def _sound_der() -> bytes:
    return of_the_programme().der
