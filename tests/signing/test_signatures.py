"""Who signed: bundles held against keys and roots, before any byte of the statement counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from countermark.signing.bundle import Bundle, parse_bundle
from countermark.signing.dsse import PAYLOAD_TYPE, legacy_pae, pae
from countermark.signing.errors import IdentityPatternError
from countermark.signing.keys import PrivateKey, generate, load_private_key
from countermark.signing.sign import Identity, sign_statement
from countermark.signing.signatures import LEGACY_MARK, Trust, claimed_signer, examine_signatures
from countermark.signing.verdict import Check, Outcome, Status
from support import pki

STATEMENT = b"any bytes: nothing here parses them"
NOW = pki.MOMENT


def bundle_by(key: PrivateKey, statement: bytes = STATEMENT, *chain: bytes) -> Bundle:
    return parse_bundle(sign_statement(statement, Identity(key=key, chain=chain)))


def codes(checks: tuple[Check, ...]) -> list[str]:
    return [check.code for check in checks]


def failure(checks: tuple[Check, ...]) -> tuple[str, Outcome]:
    (check,) = [check for check in checks if check.status is Status.FAILED]
    return check.code, check.outcome


def test_trust_refuses_a_naive_time() -> None:
    with pytest.raises(ValueError, match="aware"):
        Trust(now=datetime(2026, 1, 1))  # noqa: DTZ001
    assert Trust(now=NOW).now is NOW


def test_a_signature_by_the_key_holds_and_one_by_another_does_not() -> None:
    key, other = generate("ec-p256"), generate("ec-p256")
    checks, signers = examine_signatures([bundle_by(key)], Trust(public_keys=(key.public_key,)))
    assert codes(checks) == ["signature-valid"]
    assert [(signer.key_id, signer.trusted) for signer in signers] == [
        (key.public_key.key_id, True)
    ]
    checks, signers = examine_signatures([bundle_by(other)], Trust(public_keys=(key.public_key,)))
    assert failure(checks) == ("wrong-key", Outcome.UNTRUSTED_SIGNER)
    assert [signer.trusted for signer in signers] == [False]


def test_a_claim_to_be_the_key_that_is_false_is_tampering() -> None:
    key = generate("ec-p256")
    forged = replace(bundle_by(generate("ec-p256")), key_hint=key.public_key.key_id)
    checks, signers = examine_signatures([forged], Trust(public_keys=(key.public_key,)))
    assert failure(checks) == ("signature-invalid", Outcome.TAMPERED)
    assert not any(signer.trusted for signer in signers)


def test_a_false_claim_does_not_hide_the_keys_true_signature() -> None:
    key = generate("ec-p256")
    forged = replace(bundle_by(generate("ec-p256")), key_hint=key.public_key.key_id)
    checks, _ = examine_signatures([forged, bundle_by(key)], Trust(public_keys=(key.public_key,)))
    assert codes(checks) == ["signature-valid"]


def test_a_bundle_without_a_hint_is_tried_with_every_key_and_counted_once() -> None:
    first, second = generate("ec-p256"), generate("ed25519")
    bundles = [replace(bundle_by(key), key_hint=None) for key in (first, second)]
    checks, signers = examine_signatures(
        bundles, Trust(public_keys=(first.public_key, second.public_key))
    )
    assert codes(checks) == ["signature-valid", "key-hint-missing"] * 2
    assert [signer.trusted for signer in signers] == [True, True]


def test_an_unnamed_stranger_is_still_mentioned() -> None:
    key = generate("ec-p256")
    stranger = replace(bundle_by(generate("ec-p256")), key_hint=None)
    checks, signers = examine_signatures(
        [bundle_by(key), stranger], Trust(public_keys=(key.public_key,))
    )
    assert codes(checks) == ["signature-valid", "further-signature-not-checked"]
    assert [(signer.key_id, signer.trusted) for signer in signers] == [
        (key.public_key.key_id, True),
        ("", False),
    ]


def test_one_bundle_cannot_count_for_two_keys() -> None:
    first, second = generate("ec-p256"), generate("ec-p256")
    trusting = Trust(public_keys=(first.public_key, second.public_key))
    checks, _ = examine_signatures([bundle_by(first)], trusting)
    assert failure(checks) == ("wrong-key", Outcome.UNTRUSTED_SIGNER)


def test_a_pinned_key_counts_behind_its_certificate_and_no_other_key_does() -> None:
    root = pki.authority()
    issued = pki.signer(root, pki.dns("example.org"))
    key = load_private_key(issued.key_pem)
    bundle = bundle_by(key, STATEMENT, issued.der)
    checks, signers = examine_signatures([bundle], Trust(public_keys=(key.public_key,)))
    assert [check.code for check in checks] == ["signature-valid"]
    assert [signer.trusted for signer in signers] == [True]
    other = generate("ec-p256").public_key
    checks, _ = examine_signatures([bundle], Trust(public_keys=(other,)))
    assert failure(checks)[0] == "wrong-key"


def rooted(root: pki.Issued, *identities: str) -> Trust:
    return Trust(roots=(root.certificate,), identities=identities, now=NOW)


def test_the_first_certificate_that_satisfies_is_enough() -> None:
    root, other = pki.authority(), pki.authority("Other CA")
    good, bad = pki.signer(root, pki.dns("a.example")), pki.signer(other, pki.dns("a.example"))
    bundles = [bundle_by(load_private_key(i.key_pem), STATEMENT, i.der) for i in (bad, good)]
    checks, signers = examine_signatures(bundles, rooted(root, "a.example"))
    assert not any(check.status is Status.FAILED for check in checks)
    assert [signer.trusted for signer in signers] == [True, False]
    assert codes(checks)[-1] == "further-signature-not-checked"


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"not der" * 9])
def test_bytes_that_are_no_certificate_are_malformed(der: bytes) -> None:
    bundle = bundle_by(generate("ec-p256"), STATEMENT, der)
    checks, signers = examine_signatures([bundle], rooted(pki.authority(), "a.example"))
    assert failure(checks) == ("malformed-certificate", Outcome.MALFORMED)
    assert not any(signer.trusted for signer in signers)


def test_a_certificate_with_a_key_we_do_not_know_is_untrusted() -> None:
    root = pki.authority()
    odd = pki.signer(root, pki.dns("a.example"), key=ec.generate_private_key(ec.SECP256K1()))
    bundle = bundle_by(generate("ec-p256"), STATEMENT, odd.der)
    checks, _ = examine_signatures([bundle], rooted(root, "a.example"))
    assert failure(checks) == ("unsupported-key", Outcome.UNTRUSTED_SIGNER)


def test_an_identity_that_means_nothing_is_the_callers_error() -> None:
    root = pki.authority()
    issued = pki.signer(root, pki.dns("a.example"))
    bundle = bundle_by(load_private_key(issued.key_pem), STATEMENT, issued.der)
    with pytest.raises(IdentityPatternError) as caught:
        examine_signatures([bundle], rooted(root, "*.*.*"))
    assert caught.value.code == "identity-pattern"


def test_both_a_key_and_a_certificate_must_hold_if_both_are_named() -> None:
    root, key = pki.authority(), generate("ed25519")
    issued = pki.signer(root, pki.dns("a.example"))
    both = [
        bundle_by(load_private_key(issued.key_pem), STATEMENT, issued.der),
        bundle_by(key),
    ]
    trusting = replace(rooted(root, "a.example"), public_keys=(key.public_key,))
    checks, signers = examine_signatures(both, trusting)
    assert not any(check.status is Status.FAILED for check in checks)
    assert [signer.trusted for signer in signers] == [True, True]
    checks, _ = examine_signatures(both[:1], trusting)
    assert failure(checks)[0] == "wrong-key"
    checks, _ = examine_signatures(both[1:], trusting)
    assert failure(checks)[0] == "no-certificate"


def legacy_bundle(statement: bytes) -> tuple[Bundle, PrivateKey]:
    private = ec.generate_private_key(ec.SECP384R1())
    issued = pki.Issued(pki.authority().certificate, private)
    key = load_private_key(issued.key_pem)
    signature = private.sign(legacy_pae(PAYLOAD_TYPE, statement), ec.ECDSA(hashes.SHA256()))
    return Bundle(payload=statement, signature=signature, method="key"), key


def test_the_old_way_of_signing_counts_for_statements_of_the_old_type_only() -> None:
    bundle, key = legacy_bundle(b"... " + LEGACY_MARK + b" ...")
    checks, _ = examine_signatures([bundle], Trust(public_keys=(key.public_key,)))
    assert "legacy-signature" in codes(checks)
    bundle, key = legacy_bundle(STATEMENT)
    checks, _ = examine_signatures([bundle], Trust(public_keys=(key.public_key,)))
    assert failure(checks)[0] == "wrong-key"


def test_a_signature_over_the_bare_statement_does_not_count() -> None:
    key = generate("ed25519")
    raw = Bundle(
        payload=STATEMENT,
        signature=key.sign(STATEMENT),
        method="key",
        key_hint=key.public_key.key_id,
    )
    checks, _ = examine_signatures([raw], Trust(public_keys=(key.public_key,)))
    assert failure(checks)[0] == "signature-invalid"
    good = replace(raw, signature=key.sign(pae(PAYLOAD_TYPE, STATEMENT)))
    assert codes(examine_signatures([good], Trust(public_keys=(key.public_key,)))[0]) == [
        "signature-valid"
    ]


def test_no_trust_names_the_option_that_would_give_it() -> None:
    root = pki.authority()
    issued = pki.signer(root, pki.dns("a.example"))
    by_key = bundle_by(generate("ec-p256"))
    by_chain = bundle_by(load_private_key(issued.key_pem), STATEMENT, issued.der)
    for bundle, option in ((by_key, "--public-key"), (by_chain, "--cert-chain")):
        checks, signers = examine_signatures([bundle], Trust())
        assert failure(checks) == ("no-trust-given", Outcome.UNTRUSTED_SIGNER)
        assert option in checks[0].hint
        assert not signers[0].trusted


def test_a_claim_is_described_and_never_trusted() -> None:
    root = pki.authority()
    issued = pki.signer(root, pki.email("a@example.org"))
    key = load_private_key(issued.key_pem)
    claimed = claimed_signer(bundle_by(key, STATEMENT, issued.der))
    assert (claimed.method, claimed.identities) == ("certificate", ("email:a@example.org",))
    assert (claimed.key_id, claimed.trusted) == (key.public_key.key_id, False)
    garbage = claimed_signer(bundle_by(key, STATEMENT, b"no der"))
    assert (garbage.method, garbage.key_id, garbage.trusted) == ("certificate", "", False)
