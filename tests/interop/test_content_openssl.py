"""OpenSSL as the judge of the development's certificates and timestamps, and as a maker of both."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from countermark.provenance.cert_lint import lint
from countermark.provenance.identity import load_identity, program_identity
from countermark.provenance.timestamping import RESPONSE_TYPE, answer, load_authority
from countermark.signing.timestamps import trusted_time
from countermark.signing.verdict import Outcome, Status, outcome_of
from countermark.signing.x509_loading import load_pem_certificates
from support.credentials import make_credentials
from support.peer import run_tool, tool
from support.signing_content import signed_store, state_of

NOW = datetime.now(UTC)
DATA = b"what is stamped"

# What somebody would write who has OpenSSL and nothing else.
REQUEST = """\
[req]
distinguished_name = name
prompt = no
[name]
C = ZZ
O = Acme
CN = Acme signer
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = 1.3.6.1.4.1.62558.2.1,1.3.6.1.5.5.7.3.36
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ca]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
TSA = """\
[tsa]
default_tsa = ours
[ours]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = tsa.pem
signer_digest = sha256
default_policy = 1.3.6.1.4.1.62558.1.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    credentials = make_credentials()
    for name, data in {
        "ca.pem": credentials.ca_pem,
        "signer.pem": credentials.chain_pem,
        "signer.key": credentials.key_pem,
        "tsa.pem": credentials.made.tsa_pem,
        "tsa.key": credentials.made.tsa_key_pem,
        "data": DATA,
        "serial": b"01\n",
        "tsa.cnf": TSA.encode(),
        "req.cnf": REQUEST.encode(),
    }.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(("name", "purpose"), [("signer", "any"), ("tsa", "timestampsign")])
def test_openssl_accepts_the_certificates_strictly_and_only_below_their_own_root(
    made: Path, name: str, purpose: str
) -> None:
    certificate = made / f"{name}.pem"
    strict = ("verify", "-x509_strict", "-purpose", purpose, "-CAfile")
    assert run_tool("openssl", *strict, made / "ca.pem", certificate).returncode == 0
    (made / "other.pem").write_bytes(make_credentials(name="Other").ca_pem)
    assert run_tool("openssl", *strict, made / "other.pem", certificate).returncode != 0
    if name == "signer":
        strict = ("verify", "-x509_strict", "-purpose", "timestampsign", "-CAfile")
        assert run_tool("openssl", *strict, made / "ca.pem", certificate).returncode != 0


@pytest.mark.parametrize("options", [("-cert",), (), ("-cert", "-no_nonce")], ids=" ".join)
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_openssl_believes_our_timestamps_until_the_data_changes(
    made: Path, digest: str, options: tuple[str, ...]
) -> None:
    query, reply = made / "query", made / "reply"
    asked = ("ts", "-query", "-data", made / "data", f"-{digest}", "-out", query)
    tool("openssl", *asked, *options)
    credentials = make_credentials().made
    authority = load_authority(credentials.tsa_pem, credentials.tsa_key_pem)
    reply.write_bytes(answer(query.read_bytes(), authority, NOW, 1))
    roots = ("-CAfile", made / "ca.pem", "-untrusted", made / "tsa.pem")
    verify = ("ts", "-verify", "-in", reply, *roots)
    assert run_tool("openssl", *verify, "-queryfile", query).returncode == 0
    assert run_tool("openssl", *verify, "-data", made / "data").returncode == 0
    (made / "data").write_bytes(DATA + b"!")
    assert run_tool("openssl", *verify, "-data", made / "data").returncode != 0


def test_openssl_reads_why_a_request_was_refused(made: Path) -> None:
    query, reply = made / "query", made / "reply"
    tool("openssl", "ts", "-query", "-data", made / "data", "-sha1", "-out", query)
    credentials = make_credentials().made
    authority = load_authority(credentials.tsa_pem, credentials.tsa_key_pem)
    reply.write_bytes(answer(query.read_bytes(), authority, NOW, 1))
    text = tool("openssl", "ts", "-reply", "-in", reply, "-text").decode()
    assert "Status: Rejected." in text
    assert "unrecognized or unsupported algorithm identifier" in text


def openssl_reply(made: Path, query: bytes) -> bytes:
    (made / "asked").write_bytes(query)
    done = run_tool(
        "openssl",
        *("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "asked", "-out", "told"),
        cwd=made,
    )
    assert done.returncode == 0, done
    return (made / "told").read_bytes()


def test_openssl_stamps_with_the_credentials_we_made_and_we_believe_it(made: Path) -> None:
    query = tool("openssl", "ts", "-query", "-data", made / "data", "-sha256", "-cert")
    reply = openssl_reply(made, query)
    (root,) = load_pem_certificates((made / "ca.pem").read_bytes())
    checks, at = trusted_time([reply], DATA, [root])
    assert [check.code for check in checks] == ["timestamp-valid"]
    assert at is not None


@contextmanager
def openssl_authority(made: Path) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = openssl_reply(made, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", RESPONSE_TYPE)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_c2pa_believes_openssls_authority_only_if_its_root_is_one_for_timestamps(
    made: Path,
) -> None:
    credentials = make_credentials()
    identity = load_identity(credentials.chain_pem, credentials.key_pem, at=NOW)
    with openssl_authority(made) as url:
        store = signed_store(identity, credentials.settings, url)
    assert "timeStamp.trusted" in state_of(store, credentials.settings)[1]
    without = make_credentials(name="Other").settings
    assert "timeStamp.trusted" not in state_of(store, without)[1]


NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config req.cnf"
RECIPE = (
    f"req -x509 {NEW_KEY} -extensions ca -subj /C=ZZ/O=Acme/CN=CA -days 99 -keyout top.key "
    "-out top.pem",
    f"req {NEW_KEY} -keyout own.key -out own.csr",
    "x509 -req -in own.csr -CA top.pem -CAkey top.key -CAcreateserial -days 30 -extfile req.cnf "
    "-extensions leaf -out own.pem",
)


def issued_by_openssl(made: Path) -> None:
    for words in RECIPE:
        done = run_tool("openssl", *words.split(), cwd=made)
        assert done.returncode == 0, done


def test_chain_that_openssl_issued_passes_the_rules_and_signs(made: Path) -> None:
    issued_by_openssl(made)
    chain, key, top = ((made / name).read_bytes() for name in ("own.pem", "own.key", "top.pem"))
    soon = datetime.now(UTC) + timedelta(minutes=1)  # They are valid from now on.
    checks = lint(chain, key, at=soon, anchors=top)
    assert [check for check in checks if check.status is Status.FAILED] == []
    assert outcome_of(checks) is Outcome.VERIFIED
    identity = load_identity(chain, key, at=soon)
    store = signed_store(identity, make_credentials().settings)
    assert state_of(store, make_credentials().settings)[0] == "Valid"


def test_openssl_signs_claims_as_an_external_program(made: Path) -> None:
    credentials = make_credentials()
    argv = ("openssl", "dgst", "-sha256", "-sign", str(made / "signer.key"))
    identity = program_identity(credentials.chain_pem, argv, at=NOW)
    store = signed_store(identity, credentials.settings)
    assert state_of(store, credentials.settings)[0] == "Trusted"
