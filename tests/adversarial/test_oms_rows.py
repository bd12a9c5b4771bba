"""The 33 hostile inputs that the reference tool was measured on; the number is the row's.

Rows that need moments (races), memory or a terminal are in their own modules beside this.
"""

from __future__ import annotations

import json
import os
import pickle
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from countermark.cli.exits import EXIT_OF
from countermark.signing.bundle import encode_bundle, parse_bundle
from countermark.signing.errors import (
    EmptyModelError,
    SpecialFileError,
    SymlinkError,
    UndecodableNameError,
)
from countermark.signing.examination import examine
from countermark.signing.integrity import VerifyOptions
from countermark.signing.keys import PrivateKey, generate, load_private_key
from countermark.signing.places import set_file
from countermark.signing.signatures import Trust
from countermark.signing.snapshot import SnapshotOptions
from countermark.signing.verdict import Outcome, Status, Verdict
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
    write_public_key,
)


def exit_and_code(verdict: Verdict) -> tuple[int, str]:
    return EXIT_OF[verdict.outcome], verdict.code


def warnings(verdict: Verdict) -> set[str]:
    return {check.code for check in verdict.checks if check.status is Status.WARNED}


class Signed:
    """One signed model whose statement a test bends and signs again with the trusted key."""

    def __init__(self, folder: Path) -> None:
        self.key: PrivateKey = generate("ec-p256")
        self.model = make_model(folder / "model")
        self.signature, public = sign(self.model, key=self.key)
        self.trust = trust(public)
        self.statement: Any = statement_of(self.signature)

    @property
    def resources(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.statement["predicate"]["resources"]
        return rows

    def resign(self, payload: object = None) -> None:
        made = resign_statement(self.statement if payload is None else payload, self.key)
        self.signature.write_bytes(made)

    def verdict(self, **options: bool) -> Verdict:
        return examine(self.model, self.signature, self.trust, replace(VerifyOptions(), **options))  # type: ignore[arg-type]


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


def test_the_model_that_every_row_bends_verifies_as_it_is(signed: Signed) -> None:
    assert exit_and_code(signed.verdict()) == (0, "verified")
    signed.resign()
    assert exit_and_code(signed.verdict()) == (0, "verified")


def test_row_01_a_resource_that_leaves_the_model_makes_the_evidence_malformed(
    signed: Signed,
) -> None:
    signed.resources[0]["name"] = "../out.bin"
    signed.resign()
    assert exit_and_code(signed.verdict()) == (14, "unsafe-name")


@pytest.mark.parametrize("name", ["../out.bin", "tokenizer/../../out.bin", "..", "./a", "a//b"])
def test_row_02_ignore_unsigned_does_not_let_a_resource_read_outside_the_model(
    signed: Signed, name: str
) -> None:
    outside = signed.model.parent / "out.bin"
    outside.write_bytes((signed.model / "README.md").read_bytes())
    signed.resources[0]["name"] = name
    signed.resign()
    verdict = signed.verdict(ignore_unsigned=True, accept_partial=True)
    assert exit_and_code(verdict) == (14, "unsafe-name")
    assert verdict.coverage is None  # Nothing was enumerated, so nothing was read.


@pytest.mark.parametrize("name", ["/etc/passwd", "C:/x", "C:", "a\\b", "a\x00b", ""])
def test_row_03_an_absolute_or_ambiguous_resource_name_is_malformed_and_says_why(
    signed: Signed, name: str
) -> None:
    signed.resources[0]["name"] = name
    signed.resign()
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (14, "unsafe-name")
    assert "file name" in verdict.sentence


def test_row_04_two_resources_of_one_name_are_malformed_whichever_is_true(signed: Signed) -> None:
    false = signed.resources[0] | {"digest": "0" * 64}
    for rows in ([false, *signed.resources], [*signed.resources, false]):
        signed.statement["predicate"]["resources"] = rows
        signed.resign()
        assert exit_and_code(signed.verdict()) == (14, "malformed-statement")
        signed.statement["predicate"]["resources"] = [row for row in rows if row is not false]


def test_row_05_a_key_given_twice_in_the_signed_payload_is_malformed(signed: Signed) -> None:
    text = json.dumps(signed.statement)
    signed.resign(text.replace('"_type":', '"_type": "x", "_type":', 1).encode())
    assert exit_and_code(signed.verdict()) == (14, "malformed-json")


def test_row_05_a_key_given_twice_in_the_bundle_is_malformed(signed: Signed) -> None:
    text = signed.signature.read_text()
    for key in ("mediaType", "payload", "sig", "hint"):
        signed.signature.write_text(text.replace(f'"{key}":', f'"{key}":"x","{key}":', 1))
        assert exit_and_code(signed.verdict()) == (14, "malformed-json")


@pytest.mark.parametrize("place", [0, 1])
def test_row_06_two_signatures_in_one_bundle_are_malformed_wherever_the_junk_is(
    signed: Signed, place: int
) -> None:
    bundle = json.loads(signed.signature.read_bytes())
    bundle["dsseEnvelope"]["signatures"].insert(place, {"sig": "anVuaw==", "keyid": ""})
    signed.signature.write_text(json.dumps(bundle))
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (14, "malformed-bundle")
    assert "exactly one" in verdict.sentence


def test_row_06_no_signature_in_a_bundle_is_malformed(signed: Signed) -> None:
    bundle = json.loads(signed.signature.read_bytes())
    bundle["dsseEnvelope"]["signatures"] = []
    signed.signature.write_text(json.dumps(bundle))
    assert exit_and_code(signed.verdict()) == (14, "malformed-bundle")


def test_row_07_an_altered_payload_says_that_the_signature_does_not_match(signed: Signed) -> None:
    good = parse_bundle(signed.signature.read_bytes())
    altered = good.payload.replace(b"README.md", b"README.mb")
    signed.signature.write_bytes(encode_bundle(replace(good, payload=altered)))
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (11, "signature-invalid")
    assert "over this statement" in verdict.sentence
    assert verdict.hint


def test_row_08_an_extra_file_is_refused_and_named(signed: Signed) -> None:
    (signed.model / "tokenizer" / "extra.txt").write_text("hi")
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (11, "file-extra")
    assert [finding.path for finding in verdict.findings] == ["tokenizer/extra.txt"]


def test_row_09_files_below_git_are_said_to_be_unchecked_and_refused_on_demand(
    signed: Signed,
) -> None:
    (signed.model / ".git" / "hooks").mkdir(parents=True)
    (signed.model / ".git" / "hooks" / "post-checkout").write_text("#!/bin/sh\n")
    (signed.model / ".gitattributes").write_text("* filter=evil\n")
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (0, "verified")
    assert "not-covered-git" in warnings(verdict)
    assert exit_and_code(signed.verdict(skip_git=False)) == (11, "file-extra")


def test_row_09_git_below_the_top_is_not_exempt(signed: Signed) -> None:
    (signed.model / "tokenizer" / ".git").mkdir()
    (signed.model / "tokenizer" / ".git" / "config").write_text("x")
    assert exit_and_code(signed.verdict()) == (11, "file-extra")


def test_row_10_an_empty_folder_and_an_executable_bit_are_reported(signed: Signed) -> None:
    (signed.model / "new").mkdir()
    (signed.model / "README.md").chmod(0o755)
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (0, "verified")
    assert {"not-covered-empty-directory", "executable-present"} <= warnings(verdict)


def test_row_11_weights_that_the_signer_left_out_are_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", {"README.md": b"x", "weights/w.bin": b"1"}, tensors=None)
    signature, key = sign(model, options=SnapshotOptions(ignore_paths=("weights",)))
    (model / "weights" / "w.bin").write_bytes(b"replaced")
    (model / "weights" / "run.py").write_text("evil")
    verdict = examine(model, signature, trust(key))
    assert exit_and_code(verdict) == (16, "weights-not-covered")
    assert "weights/w.bin" in verdict.sentence
    assert "not-covered-ignored-by-signer" in warnings(verdict)
    accepted = examine(model, signature, trust(key), VerifyOptions(allow_uncovered_weights=True))
    assert exit_and_code(accepted) == (0, "verified")
    assert "not-covered-ignored-by-signer" in warnings(accepted)


def test_row_12_an_empty_folder_cannot_be_signed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(EmptyModelError) as refusal:
        sign(tmp_path / "model")
    assert refusal.value.code == "empty-model"


def test_row_12_a_signed_statement_about_no_file_is_malformed(signed: Signed) -> None:
    signed.statement["predicate"]["resources"] = []
    signed.statement["subject"][0]["digest"] = {
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }
    signed.resign()
    verdict = signed.verdict(ignore_unsigned=True, accept_partial=True)
    assert exit_and_code(verdict) == (14, "malformed-statement")


@pytest.mark.parametrize("allowed", [False, True])
def test_row_13_a_link_out_of_the_model_is_never_signed(tmp_path: Path, allowed: bool) -> None:
    model = make_model(tmp_path / "model")
    (model / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(SymlinkError) as refusal:
        sign(model, options=SnapshotOptions(allow_symlinks=allowed))
    assert refusal.value.code == "symlink-refused"


def test_row_13_a_link_is_verified_only_if_it_stays_inside_and_the_signer_allowed_links(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "model")
    (model / "copy.md").symlink_to("README.md")
    signature, key = sign(model, options=SnapshotOptions(allow_symlinks=True))
    assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")
    outside = tmp_path / "outside.md"
    outside.write_bytes((model / "README.md").read_bytes())
    (model / "copy.md").unlink()
    (model / "copy.md").symlink_to(outside)
    assert exit_and_code(examine(model, signature, trust(key))) == (16, "symlink-refused")


def test_row_13_a_file_replaced_by_a_link_to_the_same_bytes_is_refused(signed: Signed) -> None:
    (signed.model / "README.md").rename(signed.model.parent / "README.md")
    (signed.model / "README.md").symlink_to(signed.model.parent / "README.md")
    assert exit_and_code(signed.verdict()) == (16, "symlink-refused")


@pytest.mark.parametrize("allowed", [False, True])
def test_row_14_a_link_to_a_folder_is_refused_when_signing_and_when_verifying(
    tmp_path: Path, allowed: bool
) -> None:
    model = make_model(tmp_path / "model")
    signature, key = sign(model, options=SnapshotOptions(allow_symlinks=allowed))
    (model / "linked").symlink_to("tokenizer")
    assert exit_and_code(examine(model, signature, trust(key))) == (16, "symlink-refused")
    with pytest.raises(SymlinkError):
        sign(model, options=SnapshotOptions(allow_symlinks=allowed), replace=True)


def test_row_16_a_line_feed_in_a_name_signs_and_verifies_and_is_shown_escaped(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "model", {"new\nline.txt": b"x"})
    signature, key = sign(model)
    assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")
    (model / "new\nline.txt").write_bytes(b"y")
    verdict = examine(model, signature, trust(key))
    assert exit_and_code(verdict) == (11, "file-changed")
    assert "new\\x0aline.txt" in verdict.sentence


def test_row_17_a_name_that_is_not_utf8_is_refused_in_plain_words(signed: Signed) -> None:
    name = os.path.join(os.fsencode(signed.model), b"caf\xe9.txt")
    with open(name, "wb") as file:
        file.write(b"x")
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (16, "name-not-utf8")
    assert "not UTF-8" in verdict.sentence
    with pytest.raises(UndecodableNameError):
        sign(signed.model, replace=True)


def test_row_18_a_name_in_another_normal_form_is_refused_and_explained(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "café.txt")
    decomposed = unicodedata.normalize("NFD", composed)
    model = make_model(tmp_path / "model", {composed: b"x"})
    signature, key = sign(model)
    (model / composed).rename(model / decomposed)
    verdict = examine(model, signature, trust(key))
    assert exit_and_code(verdict) == (11, "file-normalisation")
    assert [(f.path, f.other_path) for f in verdict.findings] == [(composed, decomposed)]


def test_row_19_a_fifo_is_refused_and_not_opened(signed: Signed) -> None:
    os.mkfifo(signed.model / "pipe")
    assert exit_and_code(signed.verdict()) == (16, "special-file")
    with pytest.raises(SpecialFileError):
        sign(signed.model, replace=True)


def test_row_20_a_single_file_is_bound_to_its_name(tmp_path: Path) -> None:
    model = make_model(tmp_path) / WEIGHTS
    signature, key = sign(model)
    assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")
    renamed = model.rename(tmp_path / "malware.exe")
    verdict = examine(renamed, signature, trust(key))
    assert exit_and_code(verdict) == (11, "file-renamed")


def test_row_20_a_foreign_signature_that_binds_no_name_says_so(tmp_path: Path) -> None:
    model = make_model(tmp_path) / WEIGHTS
    private = generate("ec-p256")
    signature, key = sign(model, key=private)
    statement: Any = statement_of(signature)
    del statement["predicate"]["resources"][0]["countermark"]
    del statement["subject"][0]["digest"]["dirHash"]  # It is over the file's name.
    signature.write_bytes(resign_statement(statement, private))
    verdict = examine(model.rename(tmp_path / "malware.exe"), signature, trust(key))
    assert exit_and_code(verdict) == (0, "verified")
    assert "name-not-bound" in warnings(verdict)


def test_row_21_a_zero_byte_file_is_covered_by_a_shards_signature(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", {"pkg/__init__.py": b"", "a.txt": b"abcdef"})
    signature, key = sign(model, options=SnapshotOptions(shard_bytes=4))
    assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")
    (model / "other.py").touch()
    assert exit_and_code(examine(model, signature, trust(key))) == (11, "file-extra")
    (model / "other.py").unlink()
    (model / "pkg" / "__init__.py").unlink()
    assert exit_and_code(examine(model, signature, trust(key))) == (11, "file-missing")
    (model / "pkg" / "__init__.py").write_bytes(b"x")
    assert exit_and_code(examine(model, signature, trust(key))) == (11, "file-changed")


@pytest.mark.parametrize("name", ["x:y.bin", "x:0:6", "a:b:c:d", ":1:2", ".:x"])
def test_row_22_colons_in_a_name_are_no_trouble_for_shards(tmp_path: Path, name: str) -> None:
    model = make_model(tmp_path / "model", {name: b"abcdef", "b.txt": b"xy"})
    for options in (SnapshotOptions(shard_bytes=4), SnapshotOptions()):
        signature, key = sign(model, options=options, replace=True)
        assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")
        (model / name).write_bytes(b"abcdeg")
        assert exit_and_code(examine(model, signature, trust(key))) == (11, "file-changed")
        (model / name).write_bytes(b"abcdef")


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_row_27_deep_nesting_is_malformed_in_bundle_and_payload(
    signed: Signed, start: str, end: str
) -> None:
    deep = start * 10_000 + "1" + end * 10_000
    signed.signature.write_text(deep)
    assert exit_and_code(signed.verdict()) == (14, "malformed-json")
    signed.resign(deep.encode())
    assert exit_and_code(signed.verdict()) == (14, "malformed-json")


def certified(model: Path, leaf: pki.Issued, root: pki.Issued) -> tuple[int, str]:
    signature, _ = sign(model, key=load_private_key(leaf.key_pem), chain=(leaf.der,), replace=True)
    known = Trust(roots=(root.certificate,), identities=("email:me@example.org",), now=pki.MOMENT)
    return exit_and_code(examine(model, signature, known))


def test_row_28_a_tls_or_expired_or_future_or_foreign_certificate_is_no_signer(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "model")
    root, me = pki.authority(), pki.email("me@example.org")
    assert certified(model, pki.signer(root, me), root) == (0, "verified")
    tls = pki.signer(root, me, purposes=(pki.SERVER_AUTH,))
    assert certified(model, tls, root) == (12, "certificate-not-for-code-signing")
    ended = pki.signer(root, me, not_after=pki.MOMENT - pki.DAY)
    assert certified(model, ended, root)[0] == 13
    future = pki.signer(root, me, not_before=pki.MOMENT + pki.DAY)
    assert certified(model, future, root)[0] == 13
    other = pki.signer(root, pki.email("you@example.org"))
    assert certified(model, other, root)[0] == 12
    assert certified(model, pki.signer(pki.authority("Other CA"), me), root)[0] == 12


def test_row_29_a_missing_hint_verifies_with_a_structured_warning(signed: Signed) -> None:
    bundle = json.loads(signed.signature.read_bytes())
    bundle["verificationMaterial"]["publicKey"] = {"rawBytes": "AAAA", "keyDetails": "X"}
    signed.signature.write_text(json.dumps(bundle))
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (0, "verified")
    assert "key-hint-missing" in warnings(verdict)
    signed.trust = trust(generate("ec-p256").public_key)
    assert exit_and_code(signed.verdict()) == (12, "wrong-key")


def test_row_30_a_wrong_key_is_named_beside_the_one_that_signed(signed: Signed) -> None:
    stranger = generate("ec-p256").public_key
    verdict = examine(signed.model, signed.signature, trust(stranger))
    assert exit_and_code(verdict) == (12, "wrong-key")
    assert stranger.key_id[:16] in verdict.sentence
    assert signed.key.public_key.key_id[:16] in verdict.sentence


def test_row_30_no_key_at_all_is_not_success(signed: Signed) -> None:
    verdict = examine(signed.model, signed.signature, Trust())
    assert exit_and_code(verdict) == (12, "no-trust-given")
    assert not any(signer.trusted for signer in verdict.signers)


def test_row_31_a_pickle_is_flagged_when_verified_whatever_it_is_called(tmp_path: Path) -> None:
    evil = pickle.dumps({"w": [1.0]}, protocol=2)
    model = make_model(tmp_path / "model", {"pytorch_model.bin": evil, "harmless.txt": evil})
    signature, key = sign(model)
    verdict = examine(model, signature, trust(key))
    assert exit_and_code(verdict) == (0, "verified")
    assert "pickle-present" in warnings(verdict)
    assert verdict.coverage is not None
    assert {path for path, kind in verdict.coverage.flagged if kind == "pickle"} == {
        "pytorch_model.bin",
        "harmless.txt",
    }


def test_row_32_models_with_exchanged_names_share_the_oms_root_but_not_ours(
    tmp_path: Path,
) -> None:
    key = generate("ec-p256")
    digests: list[dict[str, str]] = []
    for name, files in (
        ("good", {"a.json": b"1", "b.json": b"2"}),
        ("evil", {"x_README.md": b"1", "zz_pickle.bin": b"2"}),
    ):
        statement: Any = statement_of(
            sign(make_model(tmp_path / name, files, tensors=None), key=key)[0]
        )
        digests.append(statement["subject"][0]["digest"])
    assert digests[0]["sha256"] == digests[1]["sha256"]
    assert digests[0]["countermark-names-v1"] != digests[1]["countermark-names-v1"]
    assert digests[0]["dirHash"] != digests[1]["dirHash"]


@pytest.mark.parametrize("root", ["sha256", "countermark-names-v1", "dirHash"])
def test_row_32_a_root_that_is_not_that_of_the_resources_is_malformed(
    signed: Signed, root: str
) -> None:
    signed.statement["subject"][0]["digest"][root] = "0" * 64
    signed.resign()
    assert exit_and_code(signed.verdict()) == (14, "malformed-statement")


def test_row_33_a_hub_snapshot_of_links_verifies(tmp_path: Path) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub")
    signature, key = sign(snapshot, signature=tmp_path / "model.sig")
    verdict = examine(snapshot, signature, trust(key))
    assert exit_and_code(verdict) == (0, "verified")
    assert verdict.coverage is not None
    assert verdict.coverage.files_checked == 4
    blob = (snapshot / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x41")
    assert exit_and_code(examine(snapshot, signature, trust(key))) == (11, "file-changed")


def test_row_33_a_local_dir_download_verifies_and_says_what_was_not_looked_at(
    tmp_path: Path,
) -> None:
    plain = make_model(tmp_path / "published")
    signature, key = sign(plain, signature=tmp_path / "model.sig")
    verdict = examine(make_local_dir(tmp_path / "here"), signature, trust(key))
    assert exit_and_code(verdict) == (0, "verified")
    assert "not-covered-hub-metadata" in warnings(verdict)


def test_row_33_a_partial_download_says_exactly_what_is_covered(signed: Signed) -> None:
    (signed.model / WEIGHTS).unlink()
    assert exit_and_code(signed.verdict()) == (11, "file-missing")
    verdict = signed.verdict(partial=True)
    assert exit_and_code(verdict) == (15, "partial")
    assert verdict.coverage is not None
    assert (verdict.coverage.files_checked, verdict.coverage.files_signed) == (3, 4)
    missing = [item.path for item in verdict.coverage.uncovered if item.reason == "not-present"]
    assert missing == [WEIGHTS]
    assert exit_and_code(signed.verdict(accept_partial=True)) == (0, "verified")
    (signed.model / "README.md").write_bytes(b"!" * 34)
    assert exit_and_code(signed.verdict(accept_partial=True)) == (11, "file-changed")


def test_row_33_a_partial_download_of_nothing_is_inconclusive_at_best(signed: Signed) -> None:
    empty = signed.model.parent / "empty"
    empty.mkdir()
    verdict = examine(empty, signed.signature, signed.trust, VerifyOptions(accept_partial=True))
    assert exit_and_code(verdict) == (15, "nothing-present")


def test_a_thinned_set_of_further_signatures_is_noticed_by_whoever_asks_for_both(
    tmp_path: Path,
) -> None:
    model, second = make_model(tmp_path / "model"), generate("ml-dsa-65")
    signature, key = sign(model, further=[second])
    both = trust(key, second.public_key)
    assert examine(model, signature, both).outcome is Outcome.VERIFIED
    set_file(signature).unlink()
    assert exit_and_code(examine(model, signature, both)) == (12, "wrong-key")
    assert write_public_key(tmp_path, key).exists()
