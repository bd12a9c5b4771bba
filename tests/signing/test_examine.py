"""Whole verdicts: one model, one signature, and what may be said about them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from countermark.signing import Verdict, VerificationError, Verified
from countermark.signing.bundle import parse_bundle
from countermark.signing.cache import DigestCache
from countermark.signing.compare import Pair, plan_jobs
from countermark.signing.digest import Job
from countermark.signing.examination import VerifyOptions, examine, verify
from countermark.signing.keys import PrivateKey, PublicKey, generate, load_private_key
from countermark.signing.manifest import Manifest
from countermark.signing.places import set_file
from countermark.signing.sign import Identity, sign_statement
from countermark.signing.signatures import Trust
from countermark.signing.snapshot import SnapshotOptions
from countermark.signing.statement import Dialect
from countermark.signing.verdict import Outcome, Status
from support import pki
from support.models import (
    WEIGHTS,
    make_hub_snapshot,
    make_local_dir,
    make_model,
    resign_statement,
    sign,
    statement_of,
    trust,
)
from support.reads import record_reads


def codes(verdict: Verdict, status: Status) -> list[str]:
    return [check.code for check in verdict.checks if check.status is status]


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def bend(signature: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change a bundle's JSON."""
    document = json.loads(signature.read_bytes())
    change(document)
    signature.write_text(json.dumps(document))


def test_a_good_model_gives_a_verdict_that_says_everything(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    verdict = examine(model, signature, trust(key))
    assert (verdict.outcome, verdict.code, verdict.decisive) == (Outcome.VERIFIED, "verified", None)
    assert verdict.subject == str(model)
    assert [check.code for check in verdict.checks] == [
        "signature-valid",
        "statement-valid",
        "files-match",
    ]
    assert {check.status for check in verdict.checks} == {Status.HELD}
    assert verdict.findings == ()
    assert verdict.model_digest == parse_subject(signature)
    (signer,) = verdict.signers
    assert (signer.method, signer.key_id, signer.trusted) == ("key", key.key_id, True)
    assert verdict.coverage is not None
    assert (verdict.coverage.files_signed, verdict.coverage.files_checked) == (4, 4)
    assert verdict.coverage.uncovered == ()


def parse_subject(signature: Path) -> str:
    statement = json.loads(parse_bundle(signature.read_bytes()).payload)
    return str(statement["subject"][0]["digest"]["sha256"])


def test_verify_returns_exactly_the_files_that_were_checked(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    (model / "unsigned.txt").write_bytes(b"x")
    verified = verify(model, signature, trust(key), VerifyOptions(ignore_unsigned=True))
    assert isinstance(verified, Verified)
    assert [file.path for file in verified.files] == [
        entry.path for entry in verified.manifest.files
    ]
    assert verified.verdict.outcome is Outcome.VERIFIED


def test_verify_raises_with_the_verdict_of_examine(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    flip(model / "config.json")
    with pytest.raises(VerificationError) as caught:
        verify(model, signature, trust(key))
    assert caught.value.code == "verification-failed"
    assert caught.value.verdict == examine(model, signature, trust(key))
    assert caught.value.verdict.outcome is Outcome.TAMPERED


def test_a_verdict_is_not_a_bool(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    with pytest.raises(TypeError, match="not a bool"):
        bool(examine(model, signature, trust(key)))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("shard_bytes", [None, 50])
@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("thorough", [False, True])
def test_every_way_of_signing_verifies_and_notices_one_bit(
    tmp_path: Path,
    dialect: Dialect,
    shard_bytes: int | None,
    algorithm: str,
    single: bool,
    thorough: bool,
) -> None:
    folder = make_model(tmp_path / "m")
    model = folder / WEIGHTS if single else folder
    options = SnapshotOptions(algorithm=algorithm, shard_bytes=shard_bytes)
    signature, key = sign(model, options=options, dialect=dialect, signature=tmp_path / "s.sig")
    accept = VerifyOptions(thorough=thorough)
    assert examine(model, signature, trust(key), accept).code == "verified"
    flip(folder / WEIGHTS)
    verdict = examine(model, signature, trust(key), accept)
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "file-changed")


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "ec-p521", "ed25519", "ml-dsa-65"])
def test_every_kind_of_key_verifies_and_another_of_its_kind_does_not(
    tmp_path: Path, kind: str
) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model, key=generate(kind))
    assert examine(model, signature, trust(key)).outcome is Outcome.VERIFIED
    verdict = examine(model, signature, trust(generate(kind).public_key))
    assert (verdict.outcome, verdict.code) == (Outcome.UNTRUSTED_SIGNER, "wrong-key")


def test_a_model_without_its_signature_is_unsigned(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    verdict = examine(model, model / "model.sig", trust(generate("ec-p256").public_key))
    assert (verdict.outcome, verdict.code) == (Outcome.NOTHING_TO_VERIFY, "unsigned")


def test_another_key_is_refused_before_the_model_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "m")
    signature, _ = sign(model)
    reads = record_reads(monkeypatch)
    verdict = examine(model, signature, trust(generate("ec-p256").public_key))
    assert (verdict.outcome, verdict.code) == (Outcome.UNTRUSTED_SIGNER, "wrong-key")
    assert (reads, verdict.coverage, verdict.findings) == ([], None, ())
    assert not any(signer.trusted for signer in verdict.signers)


def test_a_signature_counts_for_nobody_if_nobody_was_named(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, _ = sign(model)
    verdict = examine(model, signature, Trust())
    assert (verdict.outcome, verdict.code) == (Outcome.UNTRUSTED_SIGNER, "no-trust-given")


def test_a_tampered_payload_is_tampered(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    text = signature.read_bytes()
    bundle = parse_bundle(text)
    changed = bundle.payload.replace(b"config.json", b"config.jsom")
    assert changed != bundle.payload

    def replace_payload(document: dict[str, object]) -> None:
        envelope = document["dsseEnvelope"]
        assert isinstance(envelope, dict)
        envelope["payload"] = base64.b64encode(changed).decode()

    bend(signature, replace_payload)
    verdict = examine(model, signature, trust(key))
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "signature-invalid")


def test_a_missing_key_hint_is_a_warning_and_no_further_signer(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)

    def forget(document: dict[str, object]) -> None:
        material = document["verificationMaterial"]
        assert isinstance(material, dict)
        material["publicKey"] = {"hint": ""}

    bend(signature, forget)
    verdict = examine(model, signature, trust(key))
    assert verdict.outcome is Outcome.VERIFIED
    assert codes(verdict, Status.WARNED) == ["key-hint-missing"]
    assert codes(verdict, Status.NOT_CHECKED) == []
    assert [signer.key_id for signer in verdict.signers] == [key.key_id]
    other = examine(model, signature, trust(generate("ec-p256").public_key))
    assert other.code == "wrong-key"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "malformed-json"),
        (b"{", "malformed-json"),
        (b"{}", "malformed-bundle"),
        (b"[]", "malformed-bundle"),
        (b"\xff\xfe", "malformed-json"),
        (b'{"a":1,"a":1}', "malformed-json"),
    ],
)
def test_bytes_that_are_no_bundle_are_malformed(tmp_path: Path, data: bytes, code: str) -> None:
    model = make_model(tmp_path / "m")
    (model / "model.sig").write_bytes(data)
    verdict = examine(model, model / "model.sig", trust(generate("ec-p256").public_key))
    assert (verdict.outcome, verdict.code) == (Outcome.MALFORMED, code)


def test_two_signatures_in_one_bundle_are_malformed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)

    def double(document: dict[str, object]) -> None:
        envelope = document["dsseEnvelope"]
        assert isinstance(envelope, dict)
        envelope["signatures"] *= 2

    bend(signature, double)
    verdict = examine(model, signature, trust(key))
    assert (verdict.outcome, verdict.code) == (Outcome.MALFORMED, "malformed-bundle")


def test_a_well_signed_statement_that_is_none_is_malformed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    key = generate("ec-p256")
    (model / "model.sig").write_bytes(resign_statement({"_type": "else"}, key))
    verdict = examine(model, model / "model.sig", trust(key.public_key))
    assert (verdict.outcome, verdict.code) == (Outcome.MALFORMED, "malformed-statement")
    assert [signer.trusted for signer in verdict.signers] == [True]


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    signature, key = sign(make_model(tmp_path / "m"), signature=tmp_path / "s.sig")
    verdict = examine(tmp_path / "no", signature, trust(key))
    assert (verdict.outcome, verdict.code) == (Outcome.REFUSED, "model-not-found")


def test_a_link_that_was_not_signed_as_one_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("README.md")
    verdict = examine(model, signature, trust(key))
    assert (verdict.outcome, verdict.code) == (Outcome.REFUSED, "symlink-refused")


def test_a_file_that_changes_while_it_is_read_is_tampered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)

    def late(
        pairs: Sequence[Pair], manifest: Manifest, *, cache: DigestCache | None, thorough: bool
    ) -> tuple[list[Job], list[Pair]]:
        flip(model / "config.json")  # After the walk, before the read.
        return plan_jobs(pairs, manifest, cache=cache, thorough=thorough)

    monkeypatch.setattr("countermark.signing.integrity.plan_jobs", late)
    verdict = examine(model, signature, trust(key))
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "changed-while-reading")


# Keyless and certificates.


def test_a_keyless_bundle_cannot_be_judged_yet(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    root = pki.authority()
    issued = pki.signer(root, pki.email("a@example.org"))
    signature, _ = sign(model, key=key_of(issued), chain=(issued.der,))

    def keyless(document: dict[str, object]) -> None:
        material = document["verificationMaterial"]
        assert isinstance(material, dict)
        chain = material.pop("x509CertificateChain")
        material["certificate"] = chain["certificates"][0]

    bend(signature, keyless)
    verdict = examine(model, signature, certificate_trust(root))
    assert (verdict.outcome, verdict.code) == (Outcome.INCONCLUSIVE, "keyless-unsupported")
    with_key = examine(model, signature, trust(generate("ec-p256").public_key))
    assert with_key.outcome is Outcome.UNTRUSTED_SIGNER


def key_of(issued: pki.Issued) -> PrivateKey:
    assert isinstance(issued.key, ec.EllipticCurvePrivateKey)
    return load_private_key(issued.key_pem)


def certificate_trust(root: pki.Issued, *, days: int = 0, identity: str = "a@example.org") -> Trust:
    return Trust(
        roots=(root.certificate,),
        identities=(identity,),
        now=pki.MOMENT + timedelta(days=days),
    )


def signed_by_certificate(tmp_path: Path) -> tuple[Path, Path, pki.Issued]:
    model = make_model(tmp_path / "m")
    root = pki.authority()
    issued = pki.signer(root, pki.email("a@example.org"))
    signature, _ = sign(model, key=key_of(issued), chain=(issued.der,))
    return model, signature, root


def test_a_certificate_that_leads_to_the_root_verifies_and_names_the_signer(tmp_path: Path) -> None:
    model, signature, root = signed_by_certificate(tmp_path)
    verdict = examine(model, signature, certificate_trust(root))
    assert verdict.outcome is Outcome.VERIFIED
    (signer,) = verdict.signers
    assert (signer.method, signer.trusted) == ("certificate", True)
    assert signer.identities == ("email:a@example.org",)


def test_an_expired_certificate_is_outside_validity(tmp_path: Path) -> None:
    model, signature, root = signed_by_certificate(tmp_path)
    verdict = examine(model, signature, certificate_trust(root, days=31))
    assert verdict.outcome is Outcome.OUTSIDE_VALIDITY
    assert not any(signer.trusted for signer in verdict.signers)
    early = examine(model, signature, certificate_trust(root, days=-31))
    assert early.outcome is Outcome.OUTSIDE_VALIDITY


def test_another_identity_and_another_root_are_untrusted(tmp_path: Path) -> None:
    model, signature, root = signed_by_certificate(tmp_path)
    verdict = examine(model, signature, certificate_trust(root, identity="b@example.org"))
    assert verdict.outcome is Outcome.UNTRUSTED_SIGNER
    stranger = examine(model, signature, certificate_trust(pki.authority("Other CA")))
    assert stranger.outcome is Outcome.UNTRUSTED_SIGNER


def test_a_certificate_does_not_make_up_for_a_wrong_signature(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    root = pki.authority()
    issued = pki.signer(root, pki.email("a@example.org"))
    signature, _ = sign(model, key=generate("ec-p256"), chain=(issued.der,))
    verdict = examine(model, signature, certificate_trust(root))
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "signature-invalid")
    assert not any(signer.trusted for signer in verdict.signers)


def test_roots_do_not_accept_a_bare_key(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, _ = sign(model)
    verdict = examine(model, signature, certificate_trust(pki.authority()))
    assert (verdict.outcome, verdict.code) == (Outcome.UNTRUSTED_SIGNER, "no-certificate")


# Several signers.


def two_signers(tmp_path: Path) -> tuple[Path, Path, PublicKey, PublicKey]:
    second = generate("ed25519")
    model = make_model(tmp_path / "m")
    signature, first = sign(model, further=[second])
    return model, signature, first, second.public_key


def test_every_key_that_is_named_must_have_signed(tmp_path: Path) -> None:
    model, signature, first, second = two_signers(tmp_path)
    verdict = examine(model, signature, trust(first, second))
    assert verdict.outcome is Outcome.VERIFIED
    assert codes(verdict, Status.HELD).count("signature-valid") == 2
    assert [signer.trusted for signer in verdict.signers] == [True, True]
    third = generate("ec-p256").public_key
    refused = examine(model, signature, trust(first, second, third))
    assert (refused.outcome, refused.code) == (Outcome.UNTRUSTED_SIGNER, "wrong-key")


def test_a_further_signer_suffices_alone_and_the_main_one_is_mentioned(tmp_path: Path) -> None:
    model, signature, first, second = two_signers(tmp_path)
    verdict = examine(model, signature, trust(second))
    assert verdict.outcome is Outcome.VERIFIED
    assert codes(verdict, Status.NOT_CHECKED) == ["further-signature-not-checked"]
    assert [(signer.key_id, signer.trusted) for signer in verdict.signers] == [
        (second.key_id, True),
        (first.key_id, False),
    ]


def test_a_required_further_signature_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    model, signature, first, second = two_signers(tmp_path)
    set_file(signature).unlink()
    verdict = examine(model, signature, trust(first, second))
    assert (verdict.outcome, verdict.code) == (Outcome.UNTRUSTED_SIGNER, "wrong-key")
    assert examine(model, signature, trust(first)).outcome is Outcome.VERIFIED


def test_a_further_bundle_over_another_statement_does_not_count(tmp_path: Path) -> None:
    model, signature, first, _ = two_signers(tmp_path)
    stranger = generate("ed25519")
    other = sign_statement(b"{}", Identity(key=stranger))
    set_file(signature).write_bytes(other + b"\n")
    verdict = examine(model, signature, trust(first))
    assert verdict.outcome is Outcome.VERIFIED
    assert codes(verdict, Status.WARNED) == ["other-statement"]
    needed = examine(model, signature, trust(first, stranger.public_key))
    assert (needed.outcome, needed.code) == (Outcome.UNTRUSTED_SIGNER, "wrong-key")


def test_a_further_bundle_that_is_none_is_malformed(tmp_path: Path) -> None:
    model, signature, first, _ = two_signers(tmp_path)
    set_file(signature).write_bytes(b"not json\n")
    verdict = examine(model, signature, trust(first))
    assert (verdict.outcome, verdict.code) == (Outcome.MALFORMED, "malformed-json")


def test_an_empty_set_of_further_bundles_changes_nothing(tmp_path: Path) -> None:
    model, signature, first, _ = two_signers(tmp_path)
    set_file(signature).write_bytes(b"\n\n")
    assert examine(model, signature, trust(first)).outcome is Outcome.VERIFIED


# Places, options, caches.


def test_a_hub_snapshot_verifies_by_the_signature_of_the_plain_folder(tmp_path: Path) -> None:
    signature, key = sign(make_model(tmp_path / "m"), signature=tmp_path / "s.sig")
    snapshot = make_hub_snapshot(tmp_path / "hub")
    assert examine(snapshot, signature, trust(key)).code == "verified"
    flip((snapshot / WEIGHTS).resolve())
    assert examine(snapshot, signature, trust(key)).code == "file-changed"


def test_a_local_dir_verifies_and_its_metadata_is_mentioned(tmp_path: Path) -> None:
    signature, key = sign(make_model(tmp_path / "m"), signature=tmp_path / "s.sig")
    verdict = examine(make_local_dir(tmp_path / "local"), signature, trust(key))
    assert verdict.outcome is Outcome.VERIFIED
    assert codes(verdict, Status.WARNED) == ["not-covered-hub-metadata"]


def test_nothing_is_read_again_with_a_cache_and_the_verdict_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    cache = DigestCache(tmp_path / "cache", b"k" * 32, clock_ns=lambda: 2**62)
    examine(model, signature, trust(key), cache=cache)
    reads = record_reads(monkeypatch)
    verdict = examine(model, signature, trust(key), cache=cache)
    assert (verdict.outcome, reads) == (Outcome.VERIFIED, [])
    assert verdict.coverage is not None
    assert (verdict.coverage.files_cached, verdict.coverage.digests) == (4, ())
    assert "4 of them cached" in verdict.checks[-1].sentence
    flip(model / "config.json")
    refused = examine(model, signature, trust(key), cache=cache)
    assert refused.code == "file-changed"
    assert set(reads) == {"config.json"}


def test_a_cache_of_block_roots_is_not_enough_to_be_thorough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model)
    cache = DigestCache(tmp_path / "cache", b"k" * 32, clock_ns=lambda: 2**62)
    examine(model, signature, trust(key), cache=cache)
    reads = record_reads(monkeypatch)
    thorough = VerifyOptions(thorough=True)
    examine(model, signature, trust(key), thorough, cache=cache)
    assert reads == [WEIGHTS]
    reads.clear()
    examine(model, signature, trust(key), thorough, cache=cache)
    assert reads == []


def test_progress_reports_the_bytes_of_the_model(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    signature, key = sign(model, signature=tmp_path / "s.sig")
    seen: list[tuple[int, int]] = []
    examine(model, signature, trust(key), progress=lambda done, all_: seen.append((done, all_)))
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    assert seen[-1] == (size, size)


def test_a_signer_who_contradicts_himself_about_tensors_is_malformed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", {})
    key = generate("ec-p256")
    signature, _ = sign(model, key=key)
    statement = json.loads(json.dumps(statement_of(signature)))
    (row,) = statement["predicate"]["resources"]
    row["countermark"]["tensors"] = {"root": "0" * 64}
    signature.write_bytes(resign_statement(statement, key))
    verdict = examine(model, signature, trust(key.public_key))
    assert (verdict.outcome, verdict.code) == (Outcome.MALFORMED, "malformed-statement")
