"""Which certificate may speak for a model, and the exact code of each refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import example, given, settings
from hypothesis import strategies as st

import countermark
from countermark.signing.certificates import (
    CertificateFacts,
    describe,
    examine_chain,
    load_der,
    load_pem_certificates,
)
from countermark.signing.errors import (
    IdentityPatternError,
    MalformedCertificateError,
    TooLargeError,
)
from countermark.signing.identities import MAX_IDENTITY_CHARS, parse_identity
from countermark.signing.verdict import Check, Outcome, Status, Verdict
from countermark.signing.x509_loading import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    MAX_PEM_BYTES,
)
from countermark.signing.x509_paths import MAX_INTERMEDIATES
from support import pki
from support.pki import CODE_SIGNING, DAY, MOMENT, Issued, authority, email, signer

SECOND = timedelta(seconds=1)
WHO = email("release@example.org")
ROOT = authority("Root")
MIDDLE = authority("Middle", ROOT)
GOOD = signer(MIDDLE, WHO)
RSA_ROOT = authority("RSA root", key=pki.rsa_key(2048))


@dataclass(frozen=True)
class Case:
    """One signer and its surroundings; the defaults are accepted."""

    leaf: Issued
    intermediates: tuple[Issued, ...] = (MIDDLE,)
    roots: tuple[Issued, ...] = (ROOT,)
    identities: tuple[str, ...] = ("email:release@example.org",)
    at: datetime = MOMENT
    require_code_signing: bool = True

    def examine(self) -> tuple[Verdict, CertificateFacts]:
        checks, facts = examine_chain(
            self.leaf.certificate,
            [one.certificate for one in self.intermediates],
            [one.certificate for one in self.roots],
            identities=self.identities,
            at=self.at,
            time_source="the test",
            require_code_signing=self.require_code_signing,
        )
        return Verdict(subject="test", checks=checks), facts


def _long(length: int) -> Case:
    """Return a signer below `length` intermediates."""
    issuers = [ROOT]
    for number in range(length):
        issuers.append(authority(f"CA {number}", issuers[-1]))
    return Case(signer(issuers[-1], WHO), tuple(issuers[1:]))


def _below(issuer: Issued) -> Case:
    return Case(signer(issuer, WHO), (issuer,))


def _constrained(domain: str) -> Case:
    limits = x509.NameConstraints([x509.RFC822Name(domain)], None)
    return _below(authority("Narrow", ROOT, constraints=limits))


def _self_signed() -> Case:
    leaf = signer(None, WHO)
    return Case(leaf, (), (leaf,))


def _renewed() -> Case:
    old = authority("Renewed", ROOT, not_after=MOMENT - DAY)
    new = authority("Renewed", ROOT, key=old.key)
    return Case(signer(old, WHO), (old, new))


def _path_length_zero() -> Case:
    first = authority("Zero", ROOT, path_length=0)
    second = authority("Below zero", first)
    return Case(signer(second, WHO), (first, second))


def _forged() -> Case:
    """Somebody else's key behind the intermediate's name."""
    return Case(signer(authority("Middle", ROOT), WHO))


def _sha1_issuer() -> Case:
    middle = pki.with_sha1(authority("Old hash", RSA_ROOT), RSA_ROOT)
    return Case(signer(middle, WHO), (middle,), (RSA_ROOT,))


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")

ACCEPTED: dict[str, Callable[[], Case]] = {
    "below one intermediate": lambda: Case(GOOD),
    "below the root itself": lambda: Case(signer(ROOT, WHO), ()),
    "at the first second": lambda: Case(GOOD, at=MOMENT - 30 * DAY),
    "at the last second": lambda: Case(GOOD, at=MOMENT + 30 * DAY),
    "within the last second": lambda: Case(GOOD, at=MOMENT + 30 * DAY + 0.5 * SECOND),
    "code signing among others": lambda: Case(
        signer(MIDDLE, WHO, purposes=(pki.SERVER_AUTH, CODE_SIGNING))
    ),
    "no EKU, when allowed": lambda: Case(
        signer(MIDDLE, WHO, purposes=()), require_code_signing=False
    ),
    "no key usage": lambda: Case(signer(MIDDLE, WHO, usage=None)),
    "no basic constraints": lambda: Case(signer(MIDDLE, WHO, is_ca=None)),
    "marked as CA but unable to issue": lambda: Case(signer(MIDDLE, WHO, is_ca=True)),
    "as many intermediates as allowed": lambda: _long(MAX_INTERMEDIATES),
    "path length respected": lambda: _below(authority("Zero", ROOT, path_length=0)),
    "issuer limited to code signing": lambda: _below(
        authority("Code", ROOT, purposes=(CODE_SIGNING,))
    ),
    "issuer for any purpose": lambda: _below(authority("Any", ROOT, purposes=(pki.ANY_PURPOSE,))),
    "issuer without key usage": lambda: _below(authority("Plain", ROOT, usage=None)),
    "inside name constraints": lambda: _constrained("example.org"),
    "intermediate given as root": lambda: Case(GOOD, (), (MIDDLE,)),
    "self-signed and pinned": _self_signed,
    "leaf pinned as root": lambda: Case(GOOD, (), (GOOD,)),
    "old intermediate beside its renewal": _renewed,
    "unknown extension, not critical": lambda: Case(signer(MIDDLE, WHO, extra=((UNKNOWN, False),))),
    "RSA 2048": lambda: Case(signer(MIDDLE, WHO, key=pki.rsa_key(2048))),
    "RSA root": lambda: Case(signer(RSA_ROOT, WHO), (), (RSA_ROOT,)),
    "Ed25519": lambda: Case(signer(MIDDLE, WHO, key=ed25519.Ed25519PrivateKey.generate())),
    "P-521": lambda: Case(signer(MIDDLE, WHO, key=ec.generate_private_key(ec.SECP521R1()))),
    "identity pinned second": lambda: Case(GOOD, identities=("dns:x.org", "release@example.org")),
    "identity by glob": lambda: Case(GOOD, identities=("email:*@example.org",)),
}


WRONG_TIME = Outcome.OUTSIDE_VALIDITY
STRANGER = Outcome.UNTRUSTED_SIGNER

REFUSED: dict[str, tuple[Callable[[], Case], str, Outcome]] = {
    "one second before its time": (
        lambda: Case(GOOD, at=MOMENT - 30 * DAY - SECOND),
        "certificate-not-yet-valid",
        WRONG_TIME,
    ),
    "one second after its time": (
        lambda: Case(GOOD, at=MOMENT + 30 * DAY + SECOND),
        "certificate-expired",
        WRONG_TIME,
    ),
    "pinned itself, and expired": (
        lambda: Case(GOOD, (), (GOOD,), at=MOMENT + 31 * DAY),
        "certificate-expired",
        WRONG_TIME,
    ),
    "below an expired intermediate": (
        lambda: _below(authority("Old", ROOT, not_after=MOMENT - DAY)),
        "issuer-certificate-expired",
        WRONG_TIME,
    ),
    "below an intermediate of tomorrow": (
        lambda: _below(authority("New", ROOT, not_before=MOMENT + DAY)),
        "issuer-certificate-not-yet-valid",
        WRONG_TIME,
    ),
    "below an expired root": (
        lambda: Case(
            signer(root := authority("Old root", not_after=MOMENT - DAY), WHO), (), (root,)
        ),
        "issuer-certificate-expired",
        WRONG_TIME,
    ),
    "below an intermediate that expired before the leaf began": (
        lambda: _below(authority("Older", ROOT, not_after=MOMENT - 40 * DAY)),
        "chain-untrusted",
        STRANGER,
    ),
    "for TLS servers only": (
        lambda: Case(signer(MIDDLE, WHO, purposes=(pki.SERVER_AUTH,))),
        "certificate-not-for-code-signing",
        STRANGER,
    ),
    "for any purpose": (
        lambda: Case(signer(MIDDLE, WHO, purposes=(pki.ANY_PURPOSE,))),
        "certificate-not-for-code-signing",
        STRANGER,
    ),
    "for TLS servers only, when absence is allowed": (
        lambda: Case(signer(MIDDLE, WHO, purposes=(pki.SERVER_AUTH,)), require_code_signing=False),
        "certificate-not-for-code-signing",
        STRANGER,
    ),
    "no EKU": (
        lambda: Case(signer(MIDDLE, WHO, purposes=())),
        "certificate-without-code-signing",
        STRANGER,
    ),
    "key usage without signatures": (
        lambda: Case(signer(MIDDLE, WHO, usage=("key_agreement",))),
        "certificate-not-for-signatures",
        STRANGER,
    ),
    "a CA that may issue": (
        lambda: Case(signer(MIDDLE, WHO, is_ca=True, usage=("digital_signature", "key_cert_sign"))),
        "certificate-is-a-ca",
        STRANGER,
    ),
    "a CA without key usage": (
        lambda: Case(signer(MIDDLE, WHO, is_ca=True, usage=None)),
        "certificate-is-a-ca",
        STRANGER,
    ),
    "another root": (lambda: Case(GOOD, roots=(authority("Other"),)), "chain-untrusted", STRANGER),
    "another root of the same name": (
        lambda: Case(GOOD, roots=(authority("Root"),)),
        "chain-untrusted",
        STRANGER,
    ),
    "no roots at all": (lambda: Case(GOOD, roots=()), "no-trust-roots", STRANGER),
    "the root only among the intermediates": (
        lambda: Case(GOOD, (MIDDLE, ROOT), (authority("Other"),)),
        "chain-untrusted",
        STRANGER,
    ),
    "missing intermediate": (lambda: Case(GOOD, ()), "chain-untrusted", STRANGER),
    "issuer's name with another key": (_forged, "chain-untrusted", STRANGER),
    "self-signed, not among the roots": (
        lambda: Case(signer(None, WHO), ()),
        "chain-untrusted",
        STRANGER,
    ),
    "one intermediate too many": (
        lambda: _long(MAX_INTERMEDIATES + 1),
        "chain-too-long",
        STRANGER,
    ),
    "path length exceeded": (_path_length_zero, "chain-untrusted", STRANGER),
    "issued by a signer": (
        lambda: Case(signer(GOOD, WHO), (GOOD, MIDDLE)),
        "chain-untrusted",
        STRANGER,
    ),
    "issuer that is no CA but may sign certificates": (
        lambda: _below(authority("No CA", ROOT, is_ca=False)),
        "chain-untrusted",
        STRANGER,
    ),
    "issuer without basic constraints": (
        lambda: _below(authority("None", ROOT, is_ca=None)),
        "chain-untrusted",
        STRANGER,
    ),
    "issuer that may not sign certificates": (
        lambda: _below(authority("No sign", ROOT, usage=("crl_sign",))),
        "chain-untrusted",
        STRANGER,
    ),
    "issuer limited to TLS": (
        lambda: _below(authority("TLS", ROOT, purposes=(pki.SERVER_AUTH,))),
        "chain-untrusted",
        STRANGER,
    ),
    "outside name constraints": (lambda: _constrained("example.com"), "chain-untrusted", STRANGER),
    "unknown critical extension": (
        lambda: Case(signer(MIDDLE, WHO, extra=((UNKNOWN, True),))),
        "chain-untrusted",
        STRANGER,
    ),
    "RSA 1024": (
        lambda: Case(signer(MIDDLE, WHO, key=pki.rsa_key(1024))),
        "certificate-weak-key",
        STRANGER,
    ),
    "RSA 1024, though pinned itself": (
        lambda: Case(leaf := signer(None, WHO, key=pki.rsa_key(1024)), (), (leaf,)),
        "certificate-weak-key",
        STRANGER,
    ),
    "a curve nobody verifies": (
        lambda: Case(signer(MIDDLE, WHO, key=ec.generate_private_key(ec.SECP256K1()))),
        "certificate-weak-key",
        STRANGER,
    ),
    "RSA 1024 issuer": (
        lambda: _below(authority("Weak", ROOT, key=pki.rsa_key(1024))),
        "chain-untrusted",
        STRANGER,
    ),
    "SHA-1": (
        lambda: Case(pki.with_sha1(signer(RSA_ROOT, WHO), RSA_ROOT), (), (RSA_ROOT,)),
        "certificate-weak-signature",
        STRANGER,
    ),
    "issuer signed over SHA-1": (_sha1_issuer, "chain-untrusted", STRANGER),
    "another e-mail address": (
        lambda: Case(signer(MIDDLE, email("Release@example.org"))),
        "identity-mismatch",
        STRANGER,
    ),
    "the identity in the common name only": (
        lambda: Case(signer(MIDDLE, name="release@example.org")),
        "identity-mismatch",
        STRANGER,
    ),
    "the identity of another kind": (
        lambda: Case(signer(MIDDLE, pki.uri("release@example.org"))),
        "identity-mismatch",
        STRANGER,
    ),
    "a NUL behind the identity": (
        lambda: Case(signer(MIDDLE, email("release@example.org\0.evil.test"))),
        "identity-mismatch",
        STRANGER,
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_examine_chain_accepts_a_signer(name: str) -> None:
    verdict, facts = ACCEPTED[name]().examine()
    assert verdict.outcome is Outcome.VERIFIED, verdict.checks
    assert facts.trusted


@pytest.mark.parametrize("name", REFUSED)
def test_examine_chain_refuses_a_signer_with_the_code_of_its_fault(name: str) -> None:
    case, code, outcome = REFUSED[name]
    verdict, facts = case().examine()
    assert (verdict.code, verdict.outcome) == (code, outcome), verdict.checks
    assert not facts.trusted


def _by_code(verdict: Verdict, code: str) -> Check:
    return next(check for check in verdict.checks if check.code == code)


def test_examine_chain_reports_the_chain_as_valid_when_only_the_leaf_is_expired() -> None:
    verdict, _ = Case(GOOD, at=MOMENT + 31 * DAY).examine()
    assert _by_code(verdict, "chain-valid").status is Status.HELD


def test_examine_chain_without_a_pinned_identity_warns_and_says_whom_it_found() -> None:
    verdict, facts = Case(GOOD, identities=()).examine()
    check = _by_code(verdict, "identity-not-pinned")
    assert check.status is Status.WARNED
    assert "email:release@example.org" in check.sentence
    assert facts.trusted


def test_examine_chain_lists_the_identities_found_when_none_matches() -> None:
    case = Case(signer(MIDDLE, email("a@x.org"), pki.dns("y.org")), identities=("dns:z.org",))
    sentence = _by_code(case.examine()[0], "identity-mismatch").sentence
    assert all(part in sentence for part in ("email:a@x.org", "dns:y.org", "dns:z.org"))


def test_examine_chain_escapes_a_terminal_sequence_in_an_identity() -> None:
    case = Case(signer(MIDDLE, email("\x1b[2Jverified@x.org"), name="\x1b[2J"))
    assert "\x1b" not in "".join(check.sentence for check in case.examine()[0].checks)


def test_examine_chain_names_the_missing_issuer() -> None:
    check = _by_code(Case(GOOD, ()).examine()[0], "chain-untrusted")
    assert "CN=Middle" in check.sentence
    assert check.hint


def test_examine_chain_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="aware"):
        Case(GOOD, at=MOMENT.replace(tzinfo=None)).examine()


def test_examine_chain_refuses_a_bad_pattern_before_it_looks_at_the_certificate() -> None:
    with pytest.raises(IdentityPatternError):
        Case(GOOD, identities=("",)).examine()


def test_describe_tells_identities_issuer_serial_and_validity() -> None:
    leaf = signer(MIDDLE, email("a@b.org"), pki.uri("spiffe://b.org/ci"), pki.dns("b.org"))
    facts = describe(leaf.certificate)
    assert facts.identities == ("email:a@b.org", "uri:spiffe://b.org/ci", "dns:b.org")
    assert facts.issuer == "CN=Middle"
    assert int(facts.serial, 16) == leaf.certificate.serial_number
    assert (facts.not_before, facts.not_after) == (MOMENT - 30 * DAY, MOMENT + 30 * DAY)
    assert not facts.trusted


MATCHES = [
    ("email:release@example.org", "email:release@EXAMPLE.org"),
    ("release@example.org", "email:release@example.org"),
    ("email:*@example.org", "email:a.b+c@example.org"),
    ("email:ci-*@example.org", "email:ci-7@example.org"),
    ("email:bot@*.example.org", "email:bot@eu.example.org"),
    ("dns:ci.example.org", "dns:CI.Example.org"),
    ("ci.example.org", "dns:ci.example.org"),
    ("dns:*.example.org", "dns:a.example.org"),
    ("dns:build-*.example.org", "dns:build-1.example.org"),
    ("uri:spiffe://example.org/ci/*", "uri:spiffe://example.org/ci/release"),
    ("spiffe://example.org/ci/release", "uri:spiffe://example.org/ci/release"),
    ("uri:https://*.example.org/x", "uri:https://a.example.org/x"),
    ("uri:https://h.org/r/w.yml@refs/tags/*", "uri:https://h.org/r/w.yml@refs/tags/v1.2"),
    ("uri:https://h.org/*/w/*", "uri:https://h.org/a/w/b"),
    ("uri:urn:example:*", "uri:urn:example:model"),
    ("uri:https://h.org/[a]?q", "uri:https://h.org/[a]?q"),
]
NEIGHBOURS = [
    ("email:release@example.org", "email:Release@example.org"),
    ("release@example.org", "uri:release@example.org"),
    ("email:*@example.org", "email:@example.org"),
    ("email:*@example.org", "email:a@b@example.org"),
    ("email:*@example.org", "email:a@sub.example.org"),
    ("email:*@example.org", 'email:"a"@example.org'),
    ("email:bot@*.example.org", "email:bot@a.b.example.org"),
    ("email:bot@*.example.org", "email:x@bot@eu.example.org"),
    ("dns:ci.example.org", "dns:ci.example.org."),
    ("dns:ci.example.org", "dns:ci.example.org\0"),
    ("dns:ci.example.org", "dns:ci.example.org\0.evil.test"),
    ("dns:ci.example.org", "email:ci.example.org"),
    ("dns:localhost", "uri:localhost"),
    ("dns:*.example.org", "dns:example.org"),
    ("dns:*.example.org", "dns:.example.org"),
    ("dns:*.example.org", "dns:a.b.example.org"),
    ("dns:*.example.org", "dns:*.example.org"),
    ("dns:a.example.org", "dns:*.example.org"),
    ("dns:build-*.example.org", "dns:build-.example.org"),
    ("uri:spiffe://example.org/ci/*", "uri:spiffe://example.org/ci/"),
    ("uri:spiffe://example.org/ci/*", "uri:spiffe://example.org/ci/a/b"),
    ("uri:spiffe://example.org/ci/*", "uri:spiffe://example.org/ci/.."),
    ("uri:spiffe://example.org/ci/*", "uri:spiffe://example.org/ci/a%2Fb"),
    ("uri:spiffe://example.org/ci/*", "uri:spiffe://example.org/ci/*"),
    ("uri:spiffe://example.org/ci/*", "uri:spiffe://Example.org/ci/release"),
    ("uri:https://*.example.org/x", "uri:https://evil.test/.example.org/x"),
    ("uri:https://*.example.org/x", "uri:https://evil.test?.example.org/x"),
    ("uri:https://*.example.org/x", "uri:https://evil.test#.example.org/x"),
    ("uri:https://*.example.org/x", "uri:https://a@b.example.org/x"),
    ("uri:https://*.example.org/x", "uri:https://a.b.example.org/x"),
    ("uri:https://h.org/*/w/*", "uri:https://h.org/a/x/b"),
    ("uri:https://h.org/[a]?q", "uri:https://h.org/a?q"),
    ("uri:https://h.org/[a]?q", "uri:https://h.org/[a]xq"),
    ("uri:x://a/", "uri:x://a."),
    ("uri:urn:example:*", "uri:urn:example:a/b"),
]


@pytest.mark.parametrize(("pattern", "identity"), MATCHES)
def test_identity_pattern_matches(pattern: str, identity: str) -> None:
    assert parse_identity(pattern).matches(identity)


@pytest.mark.parametrize(("pattern", "identity"), NEIGHBOURS)
def test_identity_pattern_does_not_match_its_neighbour(pattern: str, identity: str) -> None:
    assert not parse_identity(pattern).matches(identity)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "dns:*",
        "email:*@*",
        "uri:https://*",
        "uri:no-scheme",
        "uri:ht*s://example.org",
        "email:nobody",
        "dns:**.example.org",
        "uri:https://example.org/**",
        "dns:a/b",
        "email:a@b/c",
        "dns:münchen.example",
        "dns:a b",
        "dns:a\0",
        "a" * (MAX_IDENTITY_CHARS + 1),
    ],
)
def test_parse_identity_refuses_what_cannot_mean_anybody(text: str) -> None:
    with pytest.raises(IdentityPatternError) as caught:
        parse_identity(text)
    assert caught.value.code == "identity-pattern"


def test_parse_identity_accepts_the_longest_pattern() -> None:
    text = "a" * MAX_IDENTITY_CHARS
    assert parse_identity(text).matches(f"dns:{text}")
    assert not parse_identity(text).matches(f"dns:{text}a")


_NAMES = st.tuples(
    st.sampled_from(["email", "uri", "dns"]), st.text("aA.@/:?#%*-\0 ", max_size=8)
).map(":".join)


def _folded(identity: str) -> str:
    """Fold what rule 2 of the module folds, said in another way than the module says it."""
    kind, _, value = identity.partition(":")
    at = value.rfind("@")
    keep = {"uri": len(value), "email": at + 1, "dns": 0}[kind]
    return f"{kind}:{value[:keep]}{value[keep:].lower()}"


@settings(max_examples=400, deadline=None)
@given(pattern=_NAMES, identity=_NAMES)
@example(pattern="uri:x://a/", identity="uri:x://a.")
@example(pattern="uri:a:", identity="uri:a://")
def test_a_pattern_without_a_wildcard_matches_only_the_equal_name(
    pattern: str, identity: str
) -> None:
    try:
        parsed = parse_identity(pattern.replace("*", "b"))
    except IdentityPatternError:
        return
    assert parsed.matches(identity) == (_folded(identity) == _folded(pattern.replace("*", "b")))


@settings(deadline=None)
@given(middle=st.text(max_size=6))
def test_a_wildcard_never_stands_for_a_separator_or_what_cannot_be_seen(middle: str) -> None:
    allowed = middle != "" and all(c.isascii() and (c.isalnum() or c in "-_") for c in middle)
    assert parse_identity("dns:a-*.org").matches(f"dns:a-{middle}.org") == allowed


def test_load_pem_certificates_keeps_order_and_drops_repeats() -> None:
    data = GOOD.pem + b"a note between\n" + MIDDLE.pem + GOOD.pem
    assert load_pem_certificates(data) == (GOOD.certificate, MIDDLE.certificate)


def test_load_pem_certificates_reads_one_der() -> None:
    assert load_pem_certificates(GOOD.der) == (GOOD.certificate,)


@pytest.mark.parametrize("data", [b"", b"\x30", b"text", GOOD.key_pem, GOOD.pem[:-40]])
def test_load_pem_certificates_refuses_what_holds_no_certificate(data: bytes) -> None:
    with pytest.raises(MalformedCertificateError) as caught:
        load_pem_certificates(data)
    assert caught.value.code == "malformed-certificate"


def test_load_pem_certificates_refuses_der_with_a_byte_behind_it() -> None:
    with pytest.raises(MalformedCertificateError):
        load_pem_certificates(GOOD.der + b"\0")


def test_load_pem_certificates_limits_the_count() -> None:
    assert load_pem_certificates(GOOD.pem * MAX_CERTIFICATES) == (GOOD.certificate,)
    with pytest.raises(TooLargeError):
        load_pem_certificates(GOOD.pem * (MAX_CERTIFICATES + 1))


def test_load_pem_certificates_limits_the_bytes() -> None:
    padding = b"#" * (MAX_PEM_BYTES - len(GOOD.pem) - 1) + b"\n"
    assert load_pem_certificates(padding + GOOD.pem) == (GOOD.certificate,)
    with pytest.raises(TooLargeError):
        load_pem_certificates(b"#" + padding + GOOD.pem)


def test_load_der_limits_the_bytes() -> None:
    with pytest.raises(MalformedCertificateError):
        load_der(GOOD.der.ljust(MAX_CERTIFICATE_BYTES, b"\0"))
    with pytest.raises(TooLargeError):
        load_der(GOOD.der.ljust(MAX_CERTIFICATE_BYTES + 1, b"\0"))


def test_load_der_refuses_a_negative_serial_number() -> None:
    serial = GOOD.certificate.serial_number.to_bytes(20)
    with pytest.raises(MalformedCertificateError):
        load_der(GOOD.der.replace(serial, b"\x80" + serial[1:]))


def test_load_der_refuses_a_name_of_an_unknown_string_type() -> None:
    name = b"Release signer"
    utf8 = bytes([0x0C, len(name)]) + name
    assert utf8 in GOOD.der
    with pytest.raises(MalformedCertificateError):
        load_der(GOOD.der.replace(utf8, b"\x08" + utf8[1:]))


def test_load_der_refuses_a_country_that_is_no_country_code_and_says_so() -> None:
    common_name, country = (bytes.fromhex(f"060355040{kind}") for kind in "36")
    data = GOOD.der.replace(common_name, country)
    with pytest.raises(MalformedCertificateError, match="length"):
        load_der(data)


def test_load_der_refuses_a_repeated_extension() -> None:
    # A repeated extension is only found when extensions are first read.
    twice = signer(MIDDLE, WHO, extra=((UNKNOWN, False),)).der
    other = twice.replace(b"\x55\x1d\x25", b"\x55\x1d\x0f")  # extKeyUsage becomes keyUsage.
    assert other != twice
    with pytest.raises(MalformedCertificateError):
        load_der(other)


@settings(max_examples=300, deadline=None)
@example(data=b"\x80", cut=15, at=0)
@given(data=st.binary(max_size=200), cut=st.integers(0, 700), at=st.integers(0, 700))
def test_loaders_give_certificates_or_our_own_error_for_any_bytes(
    data: bytes, cut: int, at: int
) -> None:
    der = GOOD.der
    candidates = (data, der[:cut] + data[:1] + der[cut + 1 :], der[:at] + data + der[at:])
    for candidate in candidates:
        for text in (candidate, b"-----BEGIN CERTIFICATE-----\n" + candidate):
            try:
                found = load_pem_certificates(text)
            except countermark.Error:
                continue
            Case(Issued(found[0], GOOD.key)).examine()
