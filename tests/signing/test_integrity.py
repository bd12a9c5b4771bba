"""Options of verification, and what a verdict says the signature does not cover."""

from __future__ import annotations

from pathlib import Path

import pytest

from countermark.signing import integrity
from countermark.signing.examination import VerifyOptions, examine
from countermark.signing.keys import PublicKey
from countermark.signing.snapshot import SnapshotOptions
from countermark.signing.verdict import Outcome, Status, Uncovered, Verdict
from support.models import FILES, WEIGHTS, make_local_dir, make_model, sign, trust

PLAIN = VerifyOptions()


def warnings(verdict: Verdict) -> list[str]:
    return [check.code for check in verdict.checks if check.status is Status.WARNED]


def uncovered(verdict: Verdict) -> set[tuple[str, str, str]]:
    assert verdict.coverage is not None
    return {(item.path, item.reason, item.kind) for item in verdict.coverage.uncovered}


class Case:
    """A signed model, to be examined with one option or another."""

    def __init__(self, folder: Path, signing: SnapshotOptions | None = None) -> None:
        self.model = make_model(folder / "m")
        self.signature = folder / "s.sig"
        self.key: PublicKey
        self.sign(signing or SnapshotOptions())

    def sign(self, options: SnapshotOptions) -> None:
        _, self.key = sign(self.model, signature=self.signature, options=options, replace=True)

    def examine(self, options: VerifyOptions = PLAIN) -> Verdict:
        return examine(self.model, self.signature, trust(self.key), options)

    def outcome(self, options: VerifyOptions = PLAIN) -> tuple[Outcome, str]:
        verdict = self.examine(options)
        return verdict.outcome, verdict.code


VERIFIED = (Outcome.VERIFIED, "verified")


# Partial models.


def test_a_missing_file_is_tampering_unless_a_part_was_asked_for(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / WEIGHTS).unlink()
    assert case.outcome() == (Outcome.TAMPERED, "file-missing")
    assert case.outcome(VerifyOptions(partial=True)) == (Outcome.INCONCLUSIVE, "partial")
    assert case.outcome(VerifyOptions(accept_partial=True)) == VERIFIED
    both = VerifyOptions(partial=True, accept_partial=True)
    assert case.outcome(both) == VERIFIED


def test_a_partial_verdict_says_exactly_what_is_here(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / WEIGHTS).unlink()
    verdict = case.examine(VerifyOptions(accept_partial=True))
    assert verdict.coverage is not None
    assert (verdict.coverage.files_signed, verdict.coverage.files_checked) == (4, 3)
    assert uncovered(verdict) == {(WEIGHTS, "not-present", "weights")}
    (partial,) = [check for check in verdict.checks if check.code == "partial"]
    assert (partial.status, partial.sentence[:30]) == (
        Status.WARNED,
        "3 of 4 signed files are here; ",
    )


def test_a_whole_model_is_not_partial_though_a_part_would_do(tmp_path: Path) -> None:
    case = Case(tmp_path)
    assert case.outcome(VerifyOptions(partial=True)) == VERIFIED
    assert warnings(case.examine(VerifyOptions(accept_partial=True))) == []


def test_a_changed_file_in_a_part_is_still_tampering(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / WEIGHTS).unlink()
    (case.model / "config.json").write_bytes(b"{}")
    for options in (VerifyOptions(partial=True), VerifyOptions(accept_partial=True)):
        assert case.outcome(options)[0] is Outcome.TAMPERED


def test_a_part_of_nothing_is_never_verified(tmp_path: Path) -> None:
    case = Case(tmp_path)
    for path in (*FILES, WEIGHTS):
        (case.model / path).unlink()
    accepting = VerifyOptions(accept_partial=True, ignore_unsigned=True)
    assert case.outcome(accepting) == (Outcome.INCONCLUSIVE, "nothing-present")
    assert case.outcome() == (Outcome.TAMPERED, "file-missing")


def test_one_file_of_a_signed_folder_is_a_part_of_it(tmp_path: Path) -> None:
    case = Case(tmp_path)
    one = case.model / WEIGHTS
    accepted = VerifyOptions(accept_partial=True)
    assert examine(one, case.signature, trust(case.key), accepted).outcome is Outcome.VERIFIED
    refused = examine(one, case.signature, trust(case.key))
    assert (refused.outcome, refused.code) == (Outcome.TAMPERED, "file-missing")


# Unsigned files.


def test_an_unsigned_file_is_tampering_unless_it_is_accepted(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / "notes.txt").write_bytes(b"x")
    assert case.outcome() == (Outcome.TAMPERED, "file-extra")
    verdict = case.examine(VerifyOptions(ignore_unsigned=True))
    assert verdict.outcome is Outcome.VERIFIED
    assert warnings(verdict) == ["not-covered-unsigned"]
    assert uncovered(verdict) == {("notes.txt", "unsigned", "config")}


@pytest.mark.parametrize("name", ["more.safetensors", "w.gguf", "deep/x.pt", "pytorch_model.bin"])
def test_unsigned_weights_are_refused_even_if_unsigned_files_are_accepted(
    tmp_path: Path, name: str
) -> None:
    case = Case(tmp_path)
    make_model(case.model, {name: b"x"}, tensors=None)
    accepting = VerifyOptions(ignore_unsigned=True)
    assert case.outcome(accepting) == (Outcome.REFUSED, "weights-not-covered")
    more = VerifyOptions(ignore_unsigned=True, allow_uncovered_weights=True)
    assert case.outcome(more) == VERIFIED


def test_weights_that_the_signer_left_out_are_refused(tmp_path: Path) -> None:
    case = Case(tmp_path, SnapshotOptions(ignore_paths=(WEIGHTS,)))
    assert case.outcome() == (Outcome.REFUSED, "weights-not-covered")
    verdict = case.examine(VerifyOptions(allow_uncovered_weights=True))
    assert verdict.outcome is Outcome.VERIFIED
    assert (WEIGHTS, "ignored-by-signer", "weights") in uncovered(verdict)
    assert "not-covered-ignored-by-signer" in warnings(verdict)


def test_weights_in_a_folder_that_the_signer_left_out_are_refused(tmp_path: Path) -> None:
    case = Case(tmp_path)
    make_model(case.model, {"cache/deep/w.gguf": b"x"}, tensors=None)
    case.sign(SnapshotOptions(ignore_paths=("cache",)))
    assert case.outcome() == (Outcome.REFUSED, "weights-not-covered")


def test_other_files_that_the_signer_left_out_are_mentioned(tmp_path: Path) -> None:
    case = Case(tmp_path, SnapshotOptions(ignore_paths=("tokenizer",)))
    verdict = case.examine()
    assert (verdict.outcome, warnings(verdict)) == (
        Outcome.VERIFIED,
        ["not-covered-ignored-by-signer"],
    )


# What the caller ignores.


def test_an_unsigned_file_that_the_caller_ignores_is_mentioned_only(tmp_path: Path) -> None:
    case = Case(tmp_path)
    make_model(case.model, {"logs/a.gguf": b"x"}, tensors=None)
    verdict = case.examine(VerifyOptions(ignore_paths=("logs",)))
    assert (verdict.outcome, warnings(verdict)) == (
        Outcome.VERIFIED,
        ["not-covered-ignored-by-you"],
    )
    assert uncovered(verdict) == {("logs/a.gguf", "ignored-by-you", "weights")}
    assert case.outcome(VerifyOptions(ignore_paths=("log",)))[0] is Outcome.TAMPERED


# What git and the Hub leave behind.


def test_gits_files_are_left_unchecked_and_mentioned(tmp_path: Path) -> None:
    case = Case(tmp_path)
    make_model(case.model, {".git/config": b"x", ".gitattributes": b"x"}, tensors=None)
    verdict = case.examine()
    assert (verdict.outcome, warnings(verdict)) == (Outcome.VERIFIED, ["not-covered-git"])
    assert uncovered(verdict) == {
        (".git/", "git", "other"),
        (".gitattributes", "git", "other"),
    }


def test_gits_files_are_extra_if_the_caller_wants_them_checked(tmp_path: Path) -> None:
    case = Case(tmp_path)
    make_model(case.model, {".gitattributes": b"x"}, tensors=None)
    assert case.outcome(VerifyOptions(skip_git=False)) == (Outcome.TAMPERED, "file-extra")


def test_gits_files_are_checked_if_they_were_signed(tmp_path: Path) -> None:
    case = Case(tmp_path)
    make_model(case.model, {".gitattributes": b"* -text", ".github/w.yml": b"x"}, tensors=None)
    case.sign(SnapshotOptions(skip_git=False))
    for options in (PLAIN, VerifyOptions(skip_git=False)):
        verdict = case.examine(options)
        assert verdict.outcome is Outcome.VERIFIED
        assert verdict.coverage is not None
        assert verdict.coverage.files_checked == 6
    (case.model / ".gitattributes").write_bytes(b"*  text")
    assert case.outcome() == (Outcome.TAMPERED, "file-changed")


def test_hub_metadata_is_mentioned_whatever_it_holds(tmp_path: Path) -> None:
    case = Case(tmp_path)
    make_local_dir(case.model)
    make_model(case.model, {".cache/huggingface/w.gguf": b"x"}, tensors=None)
    verdict = case.examine()
    assert (verdict.outcome, warnings(verdict)) == (Outcome.VERIFIED, ["not-covered-hub-metadata"])
    assert uncovered(verdict) == {(".cache/huggingface/", "hub-metadata", "other")}


def test_empty_folders_are_mentioned(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / "none").mkdir()
    verdict = case.examine()
    assert (verdict.outcome, warnings(verdict)) == (
        Outcome.VERIFIED,
        ["not-covered-empty-directory"],
    )


# Coverage and flags.


def test_pickles_code_and_executables_among_the_signed_files_are_flagged(tmp_path: Path) -> None:
    case = Case(tmp_path)
    make_model(
        case.model,
        {"a.dat": b"\x80\x04.", "b.py": b"pass", "run": b"#!/bin/sh\n", "c.txt": b"x"},
        tensors=None,
    )
    (case.model / "c.txt").chmod(0o755)
    case.sign(SnapshotOptions())
    verdict = case.examine()
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.coverage is not None
    assert set(verdict.coverage.flagged) == {
        ("a.dat", "pickle"),
        ("b.py", "code"),
        ("run", "code"),
        ("c.txt", "executable"),
    }
    assert warnings(verdict) == ["pickle-present", "code-present", "executable-present"]


def test_coverage_says_which_digests_were_recomputed(tmp_path: Path) -> None:
    case = Case(tmp_path)
    fast, thorough = case.examine(), case.examine(VerifyOptions(thorough=True))
    assert fast.coverage is not None
    assert thorough.coverage is not None
    assert fast.coverage.digests == thorough.coverage.digests == ("blake3-blocks", "sha256")
    make_model(tmp_path / "w", {})
    signature, key = sign(tmp_path / "w", signature=tmp_path / "w.sig")
    only = examine(tmp_path / "w", signature, trust(key)).coverage
    assert only is not None
    assert only.digests == ("blake3-blocks",)


def test_coverage_counts_bytes_and_files(tmp_path: Path) -> None:
    case = Case(tmp_path)
    coverage = case.examine().coverage
    assert coverage is not None
    size = sum(path.stat().st_size for path in case.model.rglob("*") if path.is_file())
    assert (coverage.bytes_checked, coverage.files_cached) == (size, 0)
    assert coverage.flagged == ()


def test_a_malformed_safetensors_file_that_was_signed_is_a_warning(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / WEIGHTS).write_bytes(b"\x00" * 9)
    case.sign(SnapshotOptions())
    verdict = case.examine()
    assert (verdict.outcome, warnings(verdict)) == (Outcome.VERIFIED, ["malformed-safetensors"])


def test_a_long_list_of_findings_is_cut_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_MAX_LISTED", 2)
    case = Case(tmp_path)
    make_model(case.model, {f"x{index}": b"" for index in range(5)}, tensors=None)
    verdict = case.examine()
    assert [check.code for check in verdict.checks if check.status is Status.FAILED] == [
        "file-extra",
        "file-extra",
        "more-findings",
    ]
    assert len(verdict.findings) == 5
    assert "3 more" in next(c.sentence for c in verdict.checks if c.code == "more-findings")


def test_uncovered_entries_are_values(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / "none").mkdir()
    coverage = case.examine().coverage
    assert coverage is not None
    assert coverage.uncovered == (Uncovered(path="none/", reason="empty-directory", kind="other"),)


# What files really are, and what was set aside.


def test_unsigned_weights_under_a_harmless_name_are_refused_also_where_extras_are_accepted(
    tmp_path: Path,
) -> None:
    case = Case(tmp_path)
    lenient = VerifyOptions(ignore_unsigned=True)
    (case.model / "notes").write_bytes((case.model / WEIGHTS).read_bytes())
    assert case.outcome(lenient) == (Outcome.REFUSED, "weights-not-covered")
    (case.model / "notes").write_bytes(b"GGUF\x03\x00\x00\x00")
    assert case.outcome(lenient) == (Outcome.REFUSED, "weights-not-covered")
    (case.model / "notes").write_bytes(b"GUFF\x03\x00\x00\x00")
    assert case.outcome(lenient) == VERIFIED


def test_weights_in_an_ignored_folder_are_refused_whatever_they_are_called(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / "cache").mkdir()
    (case.model / "cache/0").write_bytes(b"plain")
    case.sign(SnapshotOptions(ignore_paths=("cache",)))
    assert case.outcome() == VERIFIED
    (case.model / "cache/0").write_bytes((case.model / WEIGHTS).read_bytes())
    assert case.outcome() == (Outcome.REFUSED, "weights-not-covered")


def test_a_signed_file_that_the_caller_ignores_is_not_checked_and_not_missing(
    tmp_path: Path,
) -> None:
    case = Case(tmp_path)
    (case.model / "README.md").write_bytes((case.model / "README.md").read_bytes().swapcase())
    assert case.outcome() == (Outcome.TAMPERED, "file-changed")
    verdict = case.examine(VerifyOptions(ignore_paths=("README.md",)))
    assert verdict.outcome is Outcome.VERIFIED
    assert ("README.md", "ignored-by-you", "config") in uncovered(verdict)
    assert verdict.coverage is not None
    assert verdict.coverage.files_checked == verdict.coverage.files_signed - 1


def test_ignoring_everything_verifies_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    everything = tuple(path.name for path in case.model.iterdir())
    assert case.outcome(VerifyOptions(ignore_paths=everything)) == (
        Outcome.INCONCLUSIVE,
        "nothing-present",
    )


def test_a_download_that_did_not_finish_is_named(tmp_path: Path) -> None:
    case = Case(tmp_path)
    downloads = case.model / ".cache/huggingface/download/sub"
    downloads.mkdir(parents=True)
    assert "not-covered-incomplete-download" not in warnings(case.examine())
    (downloads / "abc.incomplete").write_bytes(b"")
    (downloads / "abc.metadata").write_bytes(b"")
    verdict = case.examine()
    assert verdict.outcome is Outcome.VERIFIED
    assert "not-covered-incomplete-download" in warnings(verdict)
    path = ".cache/huggingface/download/sub/abc.incomplete"
    assert (path, "incomplete-download", "other") in uncovered(verdict)
