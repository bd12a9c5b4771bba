"""The timestamp authority for development: what it signs, what it refuses, what it is good for."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from cryptography import x509
from cryptography.hazmat import asn1
from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.cli.cert.timestamp_server import TimestampServer
from countermark.provenance import timestamp_asn1 as shapes
from countermark.provenance.dev_ca import DevRequest, make_dev_credentials
from countermark.provenance.errors import CredentialError, TimestampRefusedError
from countermark.provenance.identity import load_identity
from countermark.provenance.timestamping import (
    MAX_REQUEST_BYTES,
    REQUEST_TYPE,
    RESPONSE_TYPE,
    TimestampAuthority,
    answer,
    load_authority,
)
from countermark.signing.errors import MalformedCertificateError, TooLargeError
from countermark.signing.keys import MAX_KEY_BYTES, generate
from countermark.signing.timestamps import trusted_time
from countermark.signing.x509_loading import load_der
from support import pki
from support.credentials import Credentials, make_credentials
from support.signing_content import signed_store, state_of
from support.timestamp_authority import timestamp_authority

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
SHA1, SHA256, SHA384, SHA512 = (
    x509.ObjectIdentifier(oid)
    for oid in (
        "1.3.14.3.2.26",
        "2.16.840.1.101.3.4.2.1",
        "2.16.840.1.101.3.4.2.2",
        "2.16.840.1.101.3.4.2.3",
    )
)
SIGNED = b"what is stamped"


def ours() -> TimestampAuthority:
    made = make_credentials().made
    return load_authority(made.tsa_pem, made.tsa_key_pem)


def request(
    *,
    algorithm: x509.ObjectIdentifier = SHA256,
    digest: bytes = hashlib.sha256(SIGNED).digest(),
    null: bool = True,
    nonce: int | None = 0x1234567890ABCDEF,
    version: int = 1,
    policy: str | None = None,
    with_certificate: bool = True,
) -> bytes:
    return asn1.encode_der(
        shapes.TimestampRequest(
            version=version,
            imprint=shapes.MessageImprint(
                algorithm=shapes.AlgorithmIdentifier(
                    algorithm=algorithm, parameters=asn1.Null() if null else None
                ),
                digest=digest,
            ),
            policy=None if policy is None else x509.ObjectIdentifier(policy),
            nonce=nonce,
            wants_certificate=with_certificate,
        )
    )


class Answered(NamedTuple):
    status: int
    text: str
    info: shapes.TimestampInfo | None
    certificates: int


def read(response: bytes) -> Answered:
    decoded = asn1.decode_der(shapes.TimestampResponse, response)
    text = (decoded.status.text or [""])[0]
    if decoded.token is None:
        return Answered(decoded.status.status, text, None, 0)
    signed = decoded.token.content
    info = asn1.decode_der(shapes.TimestampInfo, signed.content.content)
    held = 0 if signed.certificates is None else len(signed.certificates.as_list())
    return Answered(decoded.status.status, text, info, held)


def root() -> x509.Certificate:
    return load_der(make_credentials().ca_der)


# --- Tokens


def test_token_is_believed_by_our_reader_of_timestamps_and_tells_the_given_time() -> None:
    stamp = datetime.now(UTC).replace(microsecond=0)
    token = answer(request(), ours(), stamp, 77)
    checks, at = trusted_time([token], SIGNED, [root()])
    assert at == stamp
    assert [check.code for check in checks] == ["timestamp-valid"]
    checks, at = trusted_time([token], SIGNED + b"!", [root()])
    assert (at, checks[0].code) == (None, "timestamp-invalid")
    stranger = load_der(make_credentials(name="Other").ca_der)
    checks, at = trusted_time([token], SIGNED, [stranger])
    assert (at, checks[0].code) == (None, "timestamp-untrusted")


def test_token_repeats_what_was_asked_and_has_the_given_serial_number_and_second() -> None:
    answered = read(answer(request(nonce=5), ours(), NOW, 77))
    assert answered.status == 0
    assert answered.info is not None
    assert (answered.info.serial, answered.info.nonce) == (77, 5)
    assert answered.info.time.as_datetime().replace(tzinfo=UTC) == NOW.replace(microsecond=0)
    assert answered.info.imprint.digest == hashlib.sha256(SIGNED).digest()


def test_time_of_another_zone_is_written_in_utc() -> None:
    from datetime import timezone

    local = NOW.astimezone(timezone(timedelta(hours=-7)))
    info = read(answer(request(), ours(), local, 1)).info
    assert info is not None
    assert info.time.as_datetime().replace(tzinfo=UTC) == NOW.replace(microsecond=0)


@pytest.mark.parametrize("wanted", [True, False])
def test_certificate_is_sent_only_if_it_is_asked_for(wanted: bool) -> None:
    assert read(answer(request(with_certificate=wanted), ours(), NOW, 1)).certificates == wanted


@pytest.mark.parametrize(
    ("algorithm", "size"), [(SHA256, 32), (SHA384, 48), (SHA512, 64)], ids=["256", "384", "512"]
)
def test_each_digest_is_stamped_at_its_own_length_and_at_no_other(
    algorithm: x509.ObjectIdentifier, size: int
) -> None:
    for null in (True, False):
        asked = request(algorithm=algorithm, digest=bytes(size), null=null)
        assert read(answer(asked, ours(), NOW, 1)).status == 0
    for wrong in (size - 1, size + 1):
        answered = read(answer(request(algorithm=algorithm, digest=bytes(wrong)), ours(), NOW, 1))
        assert (answered.status, answered.info) == (2, None)


def test_request_without_a_nonce_and_with_the_longest_is_answered_and_a_longer_refused() -> None:
    assert read(answer(request(nonce=None), ours(), NOW, 1)).info is not None
    for nonce in (2**256 - 1, -(2**256) + 1):
        info = read(answer(request(nonce=nonce), ours(), NOW, 1)).info
        assert info is not None
        assert info.nonce == nonce
    assert read(answer(request(nonce=2**256), ours(), NOW, 1)).status == 2


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request(algorithm=SHA1, digest=bytes(20)), "only SHA-256"),
        (request(version=2), "version 1"),
        (request(policy="1.2.3"), "only the policy"),
        (b"", "cannot|can be read"),
        (request() + b"\0", "can be read"),
        (request()[:-1], "can be read"),
        (bytes(MAX_REQUEST_BYTES), "can be read"),
        (bytes(MAX_REQUEST_BYTES + 1), "limit"),
    ],
    ids=["sha-1", "version", "policy", "empty", "more", "less", "at-limit", "over-limit"],
)
def test_request_that_is_refused_is_told_why(asked: bytes, reason: str) -> None:
    answered = read(answer(asked, ours(), NOW, 1))
    assert answered.status == 2
    assert re.search(reason, answered.text)


def test_policy_of_the_certificate_is_accepted() -> None:
    assert read(answer(request(policy="1.3.6.1.4.1.62558.1.1"), ours(), NOW, 1)).status == 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=6).map(lambda tail: request()[:-6] + tail))
def test_any_bytes_get_an_answer(asked: bytes) -> None:
    assert read(answer(asked, ours(), NOW, 1)).status in (0, 2)


# --- Its credentials


def test_credentials_that_are_not_an_authoritys_are_refused() -> None:
    made = make_credentials().made
    other = make_credentials(name="Other").made
    for certificate, key, reason in (
        (made.tsa_pem, other.tsa_key_pem, "not the one"),
        (made.signer_pem, made.signer_key_pem, "timestamps alone"),
        (made.ca_pem, made.tsa_key_pem, "not the one"),
        (made.tsa_pem, generate("ec-p384").pem(None), "P-256"),
        (made.tsa_pem, generate("ed25519").pem(None), "P-256"),
        (made.tsa_pem, generate("ec-p256").pem(b"locked"), "unencrypted"),
        (made.tsa_pem, b"nothing", "unencrypted"),
    ):
        with pytest.raises(CredentialError, match=reason):
            load_authority(certificate, key)
    with pytest.raises(MalformedCertificateError):
        load_authority(b"nothing", made.tsa_key_pem)
    with pytest.raises(TooLargeError):
        load_authority(made.tsa_pem, bytes(MAX_KEY_BYTES + 1))


def test_certificate_without_a_purpose_or_not_critically_for_timestamps_is_refused() -> None:
    top = pki.authority()
    times = x509.oid.ExtendedKeyUsageOID.TIME_STAMPING
    sound = pki.signer(top, purposes=(times,), purposes_critical=True)
    assert load_authority(sound.pem, sound.key_pem).certificate == sound.certificate
    for odd in (
        pki.signer(top, purposes=()),
        pki.signer(top, purposes=(times,)),
        pki.signer(
            top, purposes=(times, x509.oid.ExtendedKeyUsageOID.CODE_SIGNING), purposes_critical=True
        ),
    ):
        with pytest.raises(CredentialError):
            load_authority(odd.pem, odd.key_pem)


# --- The server


@pytest.fixture(scope="module")
def server() -> Iterator[TimestampServer]:
    with timestamp_authority(make_credentials().made) as running:
        yield running


def post(
    server: TimestampServer,
    body: bytes | None,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    sent = {"Content-Type": REQUEST_TYPE} | (headers or {})
    connection.request(method, "/", body, {k: v for k, v in sent.items() if v})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, response.headers.get_content_type(), data


def test_server_listens_on_the_loopback_interface_only(server: TimestampServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.port}/"


def test_server_answers_with_a_token_and_with_another_serial_number_each_time(
    server: TimestampServer,
) -> None:
    serials = set()
    for _ in range(3):
        status, kind, data = post(server, request())
        assert (status, kind) == (200, RESPONSE_TYPE)
        info = read(data).info
        assert info is not None
        serials.add(info.serial)
        assert 0 < info.serial < 2**159
    assert len(serials) == 3


def test_server_answers_nonsense_with_a_rejection(server: TimestampServer) -> None:
    status, _, data = post(server, b"nonsense")
    assert (status, read(data).status) == (200, 2)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Host": "attacker.example"}, 421),
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "x"}, 411),
        ({"Content-Length": str(MAX_REQUEST_BYTES + 1)}, 413),
        ({"Content-Length": "9" * 30}, 411),
    ],
    ids=["type", "no-type", "host", "chunked", "negative", "word", "over-limit", "huge"],
)
def test_server_refuses_what_no_signer_sends(
    server: TimestampServer, headers: dict[str, str], status: int
) -> None:
    assert post(server, b"", headers)[0] == status


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT", "DELETE"])
def test_server_knows_no_other_method(server: TimestampServer, method: str) -> None:
    assert post(server, None, method=method)[0] == 501


def test_server_accepts_a_request_at_the_limit(server: TimestampServer) -> None:
    assert post(server, bytes(MAX_REQUEST_BYTES))[0] == 200


def post_until_refused(server: TimestampServer) -> None:
    for _ in range(100):  # The last of the idle connections may not have been taken yet.
        post(server, request())


def test_server_that_is_full_drops_a_connection_and_answers_again_later(
    server: TimestampServer,
) -> None:
    import socket

    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(16)]
    try:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            post_until_refused(server)
    finally:
        for connection in idle:
            connection.close()
    for _ in range(200):
        try:
            assert post(server, request())[0] == 200
            break
        except (http.client.RemoteDisconnected, ConnectionError):
            time.sleep(0.01)
    else:
        pytest.fail("never answered again")


# --- What it is good for


class Expired(NamedTuple):
    credentials: Credentials
    bare: bytes
    stamped: bytes
    stamped_by_another: bytes


@pytest.fixture(scope="module")
def expired() -> Expired:
    """Return stores that were signed with a certificate which has expired by now."""
    life = timedelta(seconds=4)
    now = datetime.now(UTC)
    made = make_dev_credentials(now, bytes_of, DevRequest(validity=life))
    credentials = replace(
        make_credentials(),
        ca_pem=made.ca_pem,
        chain_pem=made.signer_pem,
        key_pem=made.signer_key_pem,
        leaf_der=made.signer,
        ca_der=made.ca,
        made=made,
    )
    identity = load_identity(made.signer_pem, made.signer_key_pem, at=now)
    with (
        timestamp_authority(made) as own,
        timestamp_authority(make_credentials(name="Other").made) as other,
    ):
        stores = [
            signed_store(identity, credentials.settings, url) for url in (None, own.url, other.url)
        ]
    for store in stores:
        assert state_of(store, credentials.settings)[0] == "Trusted"
    while datetime.now(UTC) <= made.not_after + timedelta(seconds=1):
        time.sleep(0.1)
    return Expired(credentials, *stores)


def bytes_of(count: int) -> bytes:
    import os

    return os.urandom(count)


def test_expired_signer_with_a_trusted_timestamp_is_still_trusted(expired: Expired) -> None:
    state, codes = state_of(expired.stamped, expired.credentials.settings)
    assert state == "Trusted"
    assert {"timeStamp.validated", "timeStamp.trusted"} <= codes


def test_expired_signer_without_a_timestamp_is_not(expired: Expired) -> None:
    state, codes = state_of(expired.bare, expired.credentials.settings)
    assert (state, "signingCredential.expired" in codes) == ("Invalid", True)


def test_expired_signer_with_a_timestamp_of_an_authority_that_is_not_trusted_is_not(
    expired: Expired,
) -> None:
    state, codes = state_of(expired.stamped_by_another, expired.credentials.settings)
    assert (state, "timeStamp.trusted" in codes) == ("Invalid", False)
    assert "timeStamp.untrusted" in codes


def test_timestamp_of_another_time_than_the_certificates_does_not_help() -> None:
    # The authority of these credentials, with a clock that is two years ahead.
    credentials = make_credentials()
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(days=730)
    with timestamp_authority(credentials.made, lambda: later) as ahead:
        store = signed_store(identity, credentials.settings, ahead.url)
    assert state_of(store, credentials.settings)[0] == "Invalid"


REFUSALS = {
    "unavailable": (503, b"later"),
    "nonsense": (200, b"nonsense"),
    "rejection": (200, answer(b"", ours(), NOW, 1)),
    "about-something-else": (200, answer(request(nonce=None), ours(), datetime.now(UTC), 1)),
    "empty": (200, b""),
}


@pytest.mark.parametrize(("status", "body"), REFUSALS.values(), ids=REFUSALS)
def test_authority_that_does_not_answer_as_it_should_is_named(status: int, body: bytes) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", RESPONSE_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    credentials = make_credentials()
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=datetime.now(UTC))
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with pytest.raises(TimestampRefusedError, match=url) as raised:
            signed_store(identity, credentials.settings, url)
        server.shutdown()
    assert raised.value.code == "timestamp-refused"
