"""Everything that can be wrong with content credentials: the right question, word and exit code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from countermark.cli.exits import EXIT_OF
from countermark.provenance.boxes_binding import check_boxes
from countermark.provenance.definition import ContentRequest
from countermark.provenance.engine import DETACHED, read_report
from countermark.provenance.errors import ProvenanceError
from countermark.provenance.examine import ExamineOptions, examine
from countermark.provenance.identity import LocalIdentity
from countermark.provenance.sign import sign_file
from countermark.provenance.statuses import STATUSES
from countermark.provenance.store import read_store
from countermark.provenance.trust import dump_trust, engine_settings
from countermark.provenance.verdict import Axis, ContentVerdict
from countermark.signing.verdict import Outcome, Status
from support import damage_signers as signers
from support.command import run
from support.credentials import make_credentials
from support.damage import STATUSES_WITHOUT_A_CASE, Case, Subject, base_store, our_trust, sidecar
from support.damage_manifests import MANIFESTS
from support.damage_media import MEDIA, boxes_hashed, photograph_hashed, second_hole, stored_boxes
from support.media import MEDIA as FILES
from support.media import sign_media, signed, unsigned

CASES: dict[str, Case] = {**MANIFESTS, **MEDIA, **signers.SIGNERS}


def judged(subject: Subject) -> ContentVerdict:
    options = ExamineOptions(trust=subject.trust or our_trust(), manifest=subject.manifest)
    return examine(io.BytesIO(subject.data), subject.name, options)


def reported(subject: Subject, media_type: str) -> set[str]:
    """Return every failure and information that c2pa reports, those about ingredients too."""
    apart = subject.manifest is not None
    text = read_report(
        DETACHED if apart else media_type,
        io.BytesIO(b"" if apart else subject.data),
        store=subject.manifest,
        trust=engine_settings(subject.trust or our_trust()),
    )
    found = set()
    for manifest in json.loads(text)["manifests"]:
        deltas = [one["validationDeltas"] for one in manifest.get("ingredientDeltas", [])]
        for results in (manifest.get("validationResults", {}), *deltas):
            for kind in ("failure", "informational"):
                found |= {entry["code"] for entry in results.get(kind, [])}
    return found


@pytest.mark.parametrize("name", CASES)
def test_damage_is_told_on_its_axis_by_its_code_with_its_outcome(name: str) -> None:
    case = CASES[name]
    subject = case.make()
    verdict = judged(subject)
    told = {check.code: check for check in verdict.on(case.axis)}
    assert case.code in told, verdict.checks
    assert told[case.code].status in (Status.FAILED, Status.WARNED)
    assert verdict.outcome is case.outcome
    assert verdict.outcome is not Outcome.VERIFIED
    if case.statuses:
        assert set(case.statuses) <= reported(subject, verdict.media_type)


def test_every_status_of_the_table_has_a_case_or_a_reason_why_not() -> None:
    with_a_case = {status for case in CASES.values() for status in case.statuses}
    assert with_a_case - set(STATUSES) == set()
    assert with_a_case & set(STATUSES_WITHOUT_A_CASE) == set()
    assert with_a_case | set(STATUSES_WITHOUT_A_CASE) == set(STATUSES)
    assert all(STATUSES_WITHOUT_A_CASE.values())


def test_the_script_writes_every_case_for_other_verifiers(tmp_path: Path) -> None:
    script = Path(__file__).with_name("make_damage.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path / "corpus"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{len(CASES)} cases\n"
    written = [json.loads(path.read_bytes()) for path in tmp_path.glob("corpus/*/expected.json")]
    assert {one["case"]: one["code"] for one in written} == {
        name: case.code for name, case in CASES.items()
    }


def test_an_untrusted_signer_is_the_only_thing_wrong_where_it_is() -> None:
    for name in ("signer of another CA", "intermediate certificate missing"):
        verdict = judged(CASES[name].make())
        for axis in (Axis.INTEGRITY, Axis.SIGNATURE, Axis.TIME):
            assert verdict.status_on(axis) is Status.HELD, name


def test_a_signer_that_has_expired_is_late_and_not_a_stranger() -> None:
    verdict = judged(signers.expired()())
    assert (verdict.outcome, verdict.code) == (Outcome.OUTSIDE_VALIDITY, "signer-expired")
    assert verdict.status_on(Axis.SIGNER) is Status.HELD
    assert "timestamp" in verdict.sentence


def test_an_expired_stranger_is_a_stranger() -> None:
    verdict = judged(signers.expired()()._replace(trust=our_trust()))
    assert verdict.outcome is Outcome.UNTRUSTED_SIGNER
    assert verdict.status_on(Axis.SIGNER) is Status.FAILED
    assert verdict.status_on(Axis.TIME) is Status.FAILED


def test_a_trusted_timestamp_keeps_what_an_expired_signer_signed() -> None:
    at = signers.NOW - timedelta(days=150)
    verdict = judged(signers.expired(signers.stamping(signers.tsa(), at))())
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.signer is not None
    assert verdict.signer.timestamp == at.isoformat(timespec="seconds")
    assert "timestamp-trusted" in {check.code for check in verdict.on(Axis.TIME)}


def test_a_whole_chain_and_an_allowed_signer_are_trusted() -> None:
    assert judged(signers.chained(complete=True)).outcome is Outcome.VERIFIED
    verdict = judged(signers.allowed(listed=True))
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.signer is not None
    assert verdict.signer.trusted_by == "allowed"


def test_a_missing_intermediate_is_named_as_what_may_be_missing() -> None:
    verdict = judged(signers.chained(complete=False))
    (check,) = [one for one in verdict.on(Axis.SIGNER) if one.code == "signer-unlisted"]
    assert "Damage intermediate" in check.sentence
    assert "left out a certificate" in check.hint


def test_a_certificate_that_is_known_to_be_good_changes_nothing() -> None:
    assert judged(signers.not_revoked()).outcome is Outcome.VERIFIED


def test_parts_hashed_one_by_one_hold_as_they_were_signed() -> None:
    assert judged(boxes_hashed()).outcome is Outcome.VERIFIED
    assert judged(photograph_hashed()).outcome is Outcome.VERIFIED


def test_parts_of_a_format_whose_end_is_not_known_are_inconclusive() -> None:
    store = read_store(stored_boxes())
    check = check_boxes(io.BytesIO(unsigned("gif")), "image/gif", store)
    assert check is not None
    assert (check.code, check.outcome) == ("binding-unsupported", Outcome.INCONCLUSIVE)
    assert check_boxes(io.BytesIO(), "image/gif", read_store(base_store())) is None


@pytest.mark.parametrize("make", [second_hole, lambda: boxes_hashed(excluded="IDAT")])
def test_what_a_signer_left_out_on_purpose_is_told(make: object) -> None:
    verdict = judged(make())  # type: ignore[operator]
    told = {check.code: check.status for check in verdict.on(Axis.INTEGRITY)}
    assert told["exclusions-additional"] is Status.WARNED


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_never_verifies(name: str) -> None:
    data = signed(name)[0]
    for tenth in range(1, 10):
        cut = Subject(data[: len(data) * tenth // 10], f"a.{name}")
        assert judged(cut).outcome is not Outcome.VERIFIED, tenth


# --- Manifests that lie elsewhere.


@contextmanager
def listener(answer: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer on this machine; yield where, and a list of what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/c2pa")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/store.c2pa", asked
        server.shutdown()


def test_a_manifest_that_lies_elsewhere_is_not_fetched_and_not_judged() -> None:
    with listener(b"") as (url, asked):
        data, _ = sign_media("image/png", unsigned("png"), remote=url, embed=False)
        verdict = judged(Subject(data, "a.png"))
    assert (verdict.outcome, verdict.code) == (Outcome.INCONCLUSIVE, "manifest-elsewhere")
    assert url in verdict.sentence
    assert "--online" in verdict.hint
    assert asked == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "# -----BEGIN C2PA MANIFEST----- {} -----END C2PA MANIFEST-----\nprint(1)\n"),
        ("a.html", '<html><head><link rel="c2pa-manifest" href="{}"></head></html>'),
    ],
)
def test_text_whose_manifest_lies_elsewhere_is_not_fetched_either(name: str, text: str) -> None:
    with listener(base_store()) as (url, asked):
        # Where only https is an address, that is no manifest; nobody may be asked in either case.
        plain = judged(Subject(text.format(url).encode(), name))
        verdict = judged(Subject(text.format("https://127.0.0.1:9/x.c2pa").encode(), name))
    assert plain.outcome is not Outcome.VERIFIED
    assert (verdict.outcome, verdict.code) == (Outcome.INCONCLUSIVE, "manifest-elsewhere")
    assert asked == []


def test_a_manifest_that_lies_elsewhere_is_fetched_when_asked_for() -> None:
    with listener(b"no store") as (url, asked):
        data, _ = sign_media("image/png", unsigned("png"), remote=url, embed=False)
        options = ExamineOptions(trust=our_trust(), online=True)
        verdict = examine(io.BytesIO(data), "a.png", options)
    assert asked == ["/store.c2pa"]
    assert verdict.outcome is not Outcome.VERIFIED


def test_a_mark_that_could_be_repaired_is_still_broken(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("naïve words\n".encode())
    who = make_credentials()
    identity = LocalIdentity(chain=who.chain_pem, key=who.key_pem, algorithm="es256")
    request = ContentRequest(source_type="digitalCreation")
    sign_file(tmp_path / "a.txt", tmp_path / "signed.txt", request, identity)
    whole = (tmp_path / "signed.txt").read_bytes()
    assert judged(Subject(whole, "a.txt")).outcome is Outcome.VERIFIED
    for broken, outcome in (
        (whole.replace("\ufeff".encode(), b""), Outcome.NOTHING_TO_VERIFY),
        (whole.replace(b"\n", b"\r\n"), Outcome.TAMPERED),
    ):
        verdict = judged(Subject(broken, "a.txt"))
        assert verdict.outcome is outcome
        assert Outcome.VERIFIED in {one.repaired_outcome for one in verdict.forensics}


# --- At the command line.

AT_THE_PROMPT = (
    "claim flipped",
    "picture flipped",
    "picture cut",
    "film flipped",
    "boxes with bytes behind them",
    "collection with a file changed",
    "manifest of another file",
    "signer of another CA",
    "certificate for timestamps",
    "signer taken from the allow-list",
    "certificate expired",
    "certificate revoked",
    "hash that leaves content out",
    "ingredient's manifest changed",
)


@pytest.mark.parametrize("name", AT_THE_PROMPT)
def test_the_command_ends_with_the_code_of_the_outcome_and_names_the_reason(
    name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    subject = case.make()
    (tmp_path / subject.name).write_bytes(subject.data)
    if subject.manifest is not None:
        (tmp_path / f"{subject.name}.c2pa").write_bytes(subject.manifest)
    (tmp_path / "trust.json").write_bytes(dump_trust(subject.trust or our_trust()))
    ran = run("content", "verify", subject.name, "--trust", "trust.json", cwd=tmp_path)
    assert ran.code == EXIT_OF[case.outcome]
    said = run("content", "verify", subject.name, "--trust", "trust.json", "--json", cwd=tmp_path)
    assert said.code == ran.code
    assert case.code in said.out


def test_a_damaged_sidecar_raises_nothing_but_our_own_errors() -> None:
    store = base_store()
    for at in range(0, len(store), 37):
        damaged = bytearray(store)
        damaged[at] ^= 0x55
        try:
            verdict = judged(sidecar(bytes(damaged)))
        except ProvenanceError:
            continue
        assert verdict.outcome is not Outcome.VERIFIED, at
