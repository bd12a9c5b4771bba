"""RFC 3161 timestamps, with real tokens made by `openssl ts` and authorities made on the spot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.signing.certificates import examine_chain
from countermark.signing.errors import MissingExtraError
from countermark.signing.timestamps import MAX_TIMESTAMP_BYTES, MAX_TIMESTAMPS, trusted_time
from countermark.signing.verdict import Check, Outcome, Status, Verdict
from support import pki
from support.pki import DAY, TIME_STAMPING, Issued, authority, email, signer

pytest.importorskip("rfc3161_client", reason="the extra 'timestamp' is not installed")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

SIGNATURE = b"raw bytes of a DSSE signature"
# `openssl ts` can only stamp the present, so these certificates are made around it.
NOW = datetime.now(UTC).replace(microsecond=0)
CONFIG = """
[tsa]
default_tsa = one
[one]
serial = serial
default_policy = 1.2.3.4.1
digests = sha1, sha256, sha384, sha512
signer_digest = sha256
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class Tsa:
    """A timestamp authority below its own root."""

    folder: Path
    root: Issued
    leaf: Issued

    def stamp(
        self, signature: bytes = SIGNATURE, *, digest: str = "sha256", embed: bool = True
    ) -> bytes:
        """Return a DER TimeStampResp over `signature`."""
        (self.folder / "data").write_bytes(signature)
        ask = ["-query", "-data", "data", f"-{digest}", "-out", "query"]
        self._openssl(*ask, *(["-cert"] if embed else []))
        give = ["-reply", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key"]
        self._openssl(*give, "-config", "tsa.cnf", "-out", "reply")
        return (self.folder / "reply").read_bytes()

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", "ts", *arguments], cwd=self.folder, check=True, capture_output=True
        )


def _authority_certificate(
    issuer: Issued,
    *,
    purposes: tuple[x509.ObjectIdentifier, ...] = (TIME_STAMPING,),
    critical: bool = True,
    not_after: datetime = NOW + 30 * DAY,
    key: CertificateIssuerPrivateKeyTypes | None = None,
) -> Issued:
    return signer(
        issuer,
        name="TSA",
        key=key,
        purposes=purposes,
        purposes_critical=critical,
        not_before=NOW - 30 * DAY,
        not_after=not_after,
    )


def _tsa(folder: Path, root: Issued, leaf: Issued) -> Tsa:
    folder.mkdir(exist_ok=True)
    (folder / "tsa.cnf").write_text(CONFIG)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.pem").write_bytes(leaf.pem)
    (folder / "tsa.key").write_bytes(leaf.key_pem)
    return Tsa(folder, root, leaf)


def _root(name: str = "TSA root") -> Issued:
    return authority(name, not_before=NOW - 100 * DAY, not_after=NOW + 100 * DAY)


@pytest.fixture
def tsa(tmp_path: Path) -> Tsa:
    root = _root()
    return _tsa(tmp_path / "tsa", root, _authority_certificate(root))


def _examine(
    tokens: list[bytes],
    *roots: Issued,
    signature: bytes = SIGNATURE,
    intermediates: tuple[Issued, ...] = (),
) -> tuple[Verdict, datetime | None]:
    checks, time = trusted_time(
        tokens,
        signature,
        [root.certificate for root in roots],
        [one.certificate for one in intermediates],
    )
    return Verdict(subject="test", checks=checks), time


def _only(verdict: Verdict) -> Check:
    (check,) = verdict.checks
    return check


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_timestamp_of_a_pinned_authority_gives_its_aware_time(tsa: Tsa, digest: str) -> None:
    verdict, time = _examine([tsa.stamp(digest=digest)], tsa.root)
    assert _only(verdict).code == "timestamp-valid"
    assert _only(verdict).status is Status.HELD
    assert time is not None
    assert time.utcoffset() is not None
    assert NOW <= time < NOW + DAY


def test_a_timestamp_of_another_signature_refuses_the_bundle(tsa: Tsa) -> None:
    verdict, time = _examine([tsa.stamp()], tsa.root, signature=SIGNATURE + b"!")
    assert (verdict.code, verdict.outcome) == ("timestamp-invalid", Outcome.TAMPERED)
    assert time is None


@pytest.mark.parametrize("name", ["TSA root", "Another root"])
def test_a_timestamp_below_another_root_warns_and_gives_no_time(tsa: Tsa, name: str) -> None:
    verdict, time = _examine([tsa.stamp()], _root(name))
    assert _only(verdict).code == "timestamp-untrusted"
    assert _only(verdict).status is Status.WARNED
    assert time is None


@pytest.mark.parametrize(
    ("purposes", "critical"),
    [((TIME_STAMPING, pki.CODE_SIGNING), True), ((pki.CODE_SIGNING,), True), ((), True)],
)
def test_an_authority_that_is_not_for_timestamps_alone_gives_no_time(
    tsa: Tsa, purposes: tuple[x509.ObjectIdentifier, ...], critical: bool
) -> None:
    # OpenSSL will not sign with such a certificate, so it signs with the sound one, and the
    # token leaves the certificate out; the verifier is given the unsound one of that name.
    twin = _twin(tsa, purposes, critical=critical)
    token = tsa.stamp(embed=False)
    assert _examine([token], tsa.root, intermediates=(tsa.leaf,))[1] is not None
    verdict, time = _examine([token], tsa.root, intermediates=(twin,))
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_an_authority_whose_purpose_is_not_critical_gives_no_time(tsa: Tsa) -> None:
    twin = _twin(tsa, (TIME_STAMPING,), critical=False)
    verdict, time = _examine([tsa.stamp(embed=False)], tsa.root, intermediates=(twin,))
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_an_authority_that_may_not_sign_data_gives_no_time(tsa: Tsa) -> None:
    twin = _twin(tsa, (TIME_STAMPING,), critical=True, usage=("key_agreement",))
    verdict, time = _examine([tsa.stamp(embed=False)], tsa.root, intermediates=(twin,))
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_an_authority_with_a_weak_key_gives_no_time(tmp_path: Path) -> None:
    root = _root()
    weak = _authority_certificate(root, key=pki.rsa_key(1024))
    token = _tsa(tmp_path / "weak", root, weak).stamp()
    verdict, time = _examine([token], root)
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_an_authority_that_signs_over_sha1_gives_no_time(tsa: Tsa) -> None:
    config = tsa.folder / "tsa.cnf"
    config.write_text(CONFIG.replace("signer_digest = sha256", "signer_digest = sha1"))
    verdict, time = _examine([tsa.stamp()], tsa.root)
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_a_root_that_is_not_self_signed_gives_no_time(tmp_path: Path) -> None:
    root = _root()
    middle = authority("Middle", root, not_before=NOW - DAY, not_after=NOW + DAY)
    token = _tsa(tmp_path / "deep", root, _authority_certificate(middle)).stamp()
    verdict, time = _examine([token], middle)
    assert _only(verdict).code == "timestamp-untrusted"
    assert "self-signed" in _only(verdict).sentence
    assert time is None


def _twin(
    tsa: Tsa,
    purposes: tuple[x509.ObjectIdentifier, ...],
    *,
    critical: bool,
    usage: tuple[str, ...] = ("digital_signature",),
) -> Issued:
    """Return a certificate of the authority's key, issuer and serial number for `purposes`."""
    old = tsa.leaf.certificate
    return signer(
        tsa.root,
        name="TSA",
        key=tsa.leaf.key,
        serial=old.serial_number,
        purposes=purposes,
        purposes_critical=critical,
        usage=usage,
        not_before=old.not_valid_before_utc,
        not_after=old.not_valid_after_utc,
    )


def test_an_authority_that_had_expired_when_it_stamped_gives_no_time(tmp_path: Path) -> None:
    root = _root()
    expired = _authority_certificate(root, not_after=NOW - DAY)
    token = _tsa(tmp_path / "expired", root, expired).stamp()
    verdict, time = _examine([token], root)
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_an_authority_below_an_intermediate_needs_that_intermediate(tmp_path: Path) -> None:
    root = _root()
    middle = authority("Middle", root, not_before=NOW - DAY, not_after=NOW + DAY)
    token = _tsa(tmp_path / "deep", root, _authority_certificate(middle)).stamp()
    assert _examine([token], root, intermediates=(middle,))[1] is not None
    verdict, time = _examine([token], root)
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_a_self_signed_intermediate_does_not_become_a_root(tsa: Tsa) -> None:
    verdict, time = _examine([tsa.stamp()], _root("Another"), intermediates=(tsa.root,))
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


def test_a_root_of_one_call_is_unknown_to_the_next(tsa: Tsa) -> None:
    token = tsa.stamp()
    assert _examine([token], tsa.root)[1] is not None
    assert _examine([token], _root("Another"))[1] is None


def test_a_timestamp_over_sha1_gives_no_time(tsa: Tsa) -> None:
    verdict, time = _examine([tsa.stamp(digest="sha1")], tsa.root)
    assert _only(verdict).code == "timestamp-untrusted"
    assert time is None


@pytest.mark.parametrize("length", [0, 1, 40, -1])
def test_a_truncated_timestamp_is_malformed(tsa: Tsa, length: int) -> None:
    verdict, time = _examine([tsa.stamp()[:length]], tsa.root)
    assert (verdict.code, verdict.outcome) == ("timestamp-invalid", Outcome.MALFORMED)
    assert time is None


def test_a_timestamp_with_a_flipped_bit_in_its_signature_refuses_the_bundle(tsa: Tsa) -> None:
    token = bytearray(tsa.stamp(embed=False))
    token[-1] ^= 1  # Without certificates or unsigned attributes, the signature comes last.
    verdict, time = _examine([bytes(token)], tsa.root, intermediates=(tsa.leaf,))
    assert (verdict.code, verdict.outcome) == ("timestamp-invalid", Outcome.TAMPERED)
    assert time is None


def test_a_timestamp_signed_by_another_key_of_the_same_name_refuses_the_bundle(tsa: Tsa) -> None:
    impostor = signer(
        tsa.root,
        name="TSA",
        serial=tsa.leaf.certificate.serial_number,
        purposes=(TIME_STAMPING,),
        purposes_critical=True,
        not_before=NOW - DAY,
        not_after=NOW + DAY,
    )
    token = _tsa(tsa.folder, tsa.root, impostor).stamp(embed=False)
    verdict, _ = _examine([token], tsa.root, intermediates=(tsa.leaf,))
    assert (verdict.code, verdict.outcome) == ("timestamp-invalid", Outcome.TAMPERED)


def test_a_request_that_was_not_granted_is_malformed(tsa: Tsa) -> None:
    # TimeStampResp ::= SEQUENCE { status PKIStatusInfo { INTEGER 2 (rejection) } }
    verdict, _ = _examine([bytes.fromhex("30053003020102")], tsa.root)
    assert (verdict.code, verdict.outcome) == ("timestamp-invalid", Outcome.MALFORMED)


def test_a_timestamp_that_was_only_granted_with_changes_is_malformed(tsa: Tsa) -> None:
    # PKIStatusInfo follows the outer length; status 1 is grantedWithMods.
    token = tsa.stamp()
    changed = token.replace(bytes.fromhex("3003020100"), bytes.fromhex("3003020101"), 1)
    assert changed != token
    verdict, time = _examine([changed], tsa.root)
    assert (verdict.code, verdict.outcome) == ("timestamp-invalid", Outcome.MALFORMED)
    assert "grant" in verdict.sentence
    assert time is None


def test_one_untrusted_timestamp_does_not_spoil_a_valid_one(tsa: Tsa, tmp_path: Path) -> None:
    root = _root("Stranger")
    other = _tsa(tmp_path / "other", root, _authority_certificate(root))
    verdict, time = _examine([other.stamp(), tsa.stamp()], tsa.root)
    assert [check.code for check in verdict.checks] == ["timestamp-untrusted", "timestamp-valid"]
    assert verdict.outcome is Outcome.VERIFIED
    assert time is not None


def test_one_invalid_timestamp_spoils_a_valid_one(tsa: Tsa) -> None:
    verdict, time = _examine([tsa.stamp(), tsa.stamp(b"another")], tsa.root)
    assert verdict.code == "timestamp-invalid"
    assert time is None


def test_timestamps_without_roots_are_not_checked() -> None:
    verdict, time = _examine([b"not even read"])
    assert _only(verdict).code == "timestamp-not-checked"
    assert _only(verdict).status is Status.NOT_CHECKED
    assert time is None


def test_roots_without_timestamps_say_so_and_neither_says_nothing() -> None:
    assert _only(_examine([], _root())[0]).code == "timestamp-absent"
    assert _examine([]) == (Verdict(subject="test", checks=()), None)


def test_timestamps_are_limited_in_number(tsa: Tsa) -> None:
    token = tsa.stamp()
    assert _examine([token] * MAX_TIMESTAMPS, tsa.root)[1] is not None
    verdict, time = _examine([token] * (MAX_TIMESTAMPS + 1), tsa.root)
    assert (verdict.code, verdict.outcome) == ("timestamp-invalid", Outcome.MALFORMED)
    assert time is None


def test_a_timestamp_over_the_size_limit_is_not_parsed(tsa: Tsa) -> None:
    at, above = (_examine([bytes(MAX_TIMESTAMP_BYTES + n)], tsa.root)[0] for n in (0, 1))
    assert "limit" not in at.sentence
    assert "limit" in above.sentence
    assert (above.code, above.outcome) == ("timestamp-invalid", Outcome.MALFORMED)


def test_a_missing_client_says_which_extra_to_install(
    tsa: Tsa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(MissingExtraError) as caught:
        _examine([tsa.stamp()], tsa.root)
    assert caught.value.extra == "timestamp"


def _signer_at(leaf: Issued, root: Issued, at: datetime) -> Verdict:
    checks, _ = examine_chain(
        leaf.certificate,
        (),
        [root.certificate],
        identities=["a@b.org"],
        at=at,
        time_source="the test",
    )
    return Verdict(subject="test", checks=checks)


def test_a_signer_expired_now_is_accepted_at_a_timestamp_within_validity(tsa: Tsa) -> None:
    _, time = _examine([tsa.stamp()], tsa.root)
    assert time is not None
    leaf = signer(tsa.root, email("a@b.org"), not_before=time - DAY, not_after=time + DAY)
    later = time + 30 * DAY
    assert _signer_at(leaf, tsa.root, later).code == "certificate-expired"
    assert _signer_at(leaf, tsa.root, time).outcome is Outcome.VERIFIED


def test_a_signer_valid_later_is_refused_at_a_timestamp_before_validity(tsa: Tsa) -> None:
    _, time = _examine([tsa.stamp()], tsa.root)
    assert time is not None
    leaf = signer(tsa.root, email("a@b.org"), not_before=time + DAY, not_after=time + 60 * DAY)
    later = time + 30 * DAY
    assert _signer_at(leaf, tsa.root, later).outcome is Outcome.VERIFIED
    assert _signer_at(leaf, tsa.root, time).code == "certificate-not-yet-valid"


def test_a_signer_that_had_expired_before_the_timestamp_is_refused(tsa: Tsa) -> None:
    _, time = _examine([tsa.stamp()], tsa.root)
    assert time is not None
    leaf = signer(tsa.root, email("a@b.org"), not_before=time - 9 * DAY, not_after=time - DAY)
    assert _signer_at(leaf, tsa.root, time - 2 * DAY).outcome is Outcome.VERIFIED
    assert _signer_at(leaf, tsa.root, time).code == "certificate-expired"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tsa, bytes]:
    root = _root()
    made = _tsa(tmp_path_factory.mktemp("tsa"), root, _authority_certificate(root))
    return made, made.stamp()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_timestamp_gives_a_check_and_never_another_time(
    sample: tuple[Tsa, bytes], data: st.DataObject
) -> None:
    tsa, token = sample
    sound = _examine([token], tsa.root)[1]
    at = data.draw(st.integers(0, len(token) - 1))
    damaged = token[:at] + data.draw(st.binary(max_size=4)) + token[at + 1 :]
    verdict, time = _examine([damaged], tsa.root)
    assert _only(verdict).code.startswith("timestamp-")
    assert time in (None, sound)


@settings(deadline=None)
@given(token=st.binary(max_size=300))
def test_any_bytes_as_a_timestamp_are_refused(token: bytes) -> None:
    verdict, time = _examine([token], pki.authority())
    assert verdict.code == "timestamp-invalid"
    assert time is None
