"""The development CA: shaped as C2PA asks, trusted with its root alone, forgotten afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from countermark.provenance.dev_ca import (
    DEV_KEY_TYPES,
    MAX_DAYS,
    PROFILE_DAYS,
    DevRequest,
    make_dev_credentials,
)
from countermark.provenance.errors import CredentialError
from countermark.provenance.identity import load_identity
from countermark.signing.verdict import Outcome, Status, outcome_of
from support.credentials import make_credentials
from support.signing_content import signed_store, state_of

NOW = datetime(2026, 3, 1, 12, 30, 15, 999, tzinfo=UTC)
KINDS = [kind for kind in DEV_KEY_TYPES if kind != "rsa-4096"]  # As rsa-3072, and slow to make.


def drawn(size: int) -> bytes:
    return bytes(range(255, 255 - size, -1))


def extension(certificate: x509.Certificate, oid: str) -> x509.Extension[x509.ExtensionType]:
    return certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid))


def test_signer_has_what_the_profile_of_assurance_level_1_asks_for() -> None:
    made = make_dev_credentials(NOW, drawn)
    leaf = x509.load_der_x509_certificate(made.signer)
    critical = {each.oid.dotted_string: each.critical for each in leaf.extensions}
    assert critical == {
        "2.5.29.14": False,
        "2.5.29.35": False,
        "2.5.29.19": True,
        "2.5.29.15": True,
        "2.5.29.37": False,
        "2.5.29.32": False,
        "1.3.6.1.5.5.7.1.1": False,
        "1.3.6.1.4.1.62558.3": False,
        "1.3.6.1.4.1.62558.4": False,
    }
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.content_commitment) == (True, True)
    assert not usage.key_cert_sign
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.dotted_string for each in purposes] == [
        "1.3.6.1.4.1.62558.2.1",
        "1.3.6.1.5.5.7.3.36",
    ]
    level = extension(leaf, "1.3.6.1.4.1.62558.3").value
    assert isinstance(level, x509.UnrecognizedExtension)
    assert asn1.decode_der(x509.ObjectIdentifier, level.value).dotted_string.endswith(".3.10")
    record = extension(leaf, "1.3.6.1.4.1.62558.4").value
    assert isinstance(record, x509.UnrecognizedExtension)
    assert len(asn1.decode_der(str, record.value)) == 36
    assert [attribute.oid for attribute in leaf.subject] == [
        NameOID.COUNTRY_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.COMMON_NAME,
    ]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=366)


def test_clock_and_serial_numbers_are_the_ones_that_were_given() -> None:
    made = make_dev_credentials(NOW, drawn, DevRequest(validity=timedelta(days=7)))
    leaf = x509.load_der_x509_certificate(made.signer)
    assert leaf.not_valid_before_utc == NOW.replace(microsecond=0) - timedelta(minutes=5)
    assert leaf.not_valid_after_utc == NOW.replace(microsecond=0) + timedelta(days=7)
    assert made.not_after == leaf.not_valid_after_utc
    assert leaf.serial_number == int.from_bytes(drawn(20)) >> 1
    nothing = make_dev_credentials(NOW, bytes)
    assert x509.load_der_x509_certificate(nothing.signer).serial_number == 1  # Never zero.


def test_authority_is_for_timestamps_alone_and_critically() -> None:
    tsa = x509.load_der_x509_certificate(make_dev_credentials(NOW, drawn).tsa)
    purposes = tsa.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert (list(purposes.value), purposes.critical) == ([ExtendedKeyUsageOID.TIME_STAMPING], True)
    assert "1.3.6.1.4.1.62558.3" not in {each.oid.dotted_string for each in tsa.extensions}


def test_root_may_issue_end_entities_only_and_its_key_is_nowhere_in_the_result() -> None:
    made = make_dev_credentials(NOW, drawn)
    root = x509.load_der_x509_certificate(made.ca)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    keys = [load_pem_private_key(pem, None) for pem in (made.signer_key_pem, made.tsa_key_pem)]
    assert root.public_key() not in [key.public_key() for key in keys]
    for certificate in (made.signer, made.tsa):
        x509.load_der_x509_certificate(certificate).verify_directly_issued_by(root)


@pytest.mark.parametrize("kind", KINDS)
def test_c2pa_trusts_what_the_signer_signs_with_this_root_and_not_with_another(kind: str) -> None:
    credentials = make_credentials(key=kind)
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=datetime.now(UTC))
    store = signed_store(identity, credentials.settings)
    assert state_of(store, credentials.settings)[0] == "Trusted"
    state, codes = state_of(store, make_credentials(name="Somebody else").settings)
    assert (state, "signingCredential.untrusted" in codes) == ("Valid", True)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_of_the_profile_is_broken_and_none_but_the_missing_timestamp_warns(
    kind: str,
) -> None:
    from countermark.provenance.cert_lint import lint

    made = make_credentials(key=kind).made
    checks = lint(made.signer_pem, made.signer_key_pem, at=datetime.now(UTC), anchors=made.ca_pem)
    assert outcome_of(checks) is Outcome.VERIFIED
    assert [check.code for check in checks if check.status is Status.WARNED] == [
        "cert-without-timestamp"
    ]


@pytest.mark.parametrize(
    "request_",
    [
        DevRequest(organization=""),
        DevRequest(organization="x" * 42),
        DevRequest(organization=" x"),
        DevRequest(organization="a\u202eb"),
        DevRequest(key_type="ml-dsa-65"),
        DevRequest(validity=timedelta(0)),
        DevRequest(validity=timedelta(days=MAX_DAYS, seconds=1)),
    ],
    ids=["no-name", "long-name", "blank", "bidirectional", "key", "no-time", "too-long"],
)
def test_a_request_that_no_certificate_can_say_is_refused(request_: DevRequest) -> None:
    with pytest.raises(CredentialError) as raised:
        make_dev_credentials(NOW, drawn, request_)
    assert raised.value.code == "content-credential"


def test_the_longest_name_and_the_longest_time_are_accepted() -> None:
    request = DevRequest(organization="x" * 41, validity=timedelta(days=MAX_DAYS))
    made = make_dev_credentials(NOW, drawn, request)
    assert made.not_after == NOW.replace(microsecond=0) + timedelta(days=MAX_DAYS)
    root = x509.load_der_x509_certificate(made.ca)
    assert root.not_valid_after_utc >= made.not_after
    assert PROFILE_DAYS < MAX_DAYS
