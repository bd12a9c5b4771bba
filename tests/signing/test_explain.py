"""Findings: each kind of damage is called by its name, and its nearest neighbour is not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from countermark.signing import snapshot as snapshot_module
from countermark.signing.examination import VerifyOptions, examine
from countermark.signing.places import leaves_file
from countermark.signing.snapshot import SnapshotOptions
from countermark.signing.verdict import Finding, Outcome
from support.models import (
    FILES,
    TENSORS,
    WEIGHTS,
    Tensor,
    make_model,
    sign,
    trust,
    write_safetensors,
)
from support.reads import record_reads

MIB = 1 << 20
PLAIN = SnapshotOptions()
README = "README.md"
TEXT = FILES[README]


class Case:
    """A signed model that a test damages, and what is then found."""

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, bytes] = FILES,
        *,
        options: SnapshotOptions = PLAIN,
    ) -> None:
        self.model = make_model(folder / "m", files)
        self.signature, self.key = sign(
            self.model,
            signature=folder / "s.sig",
            options=options,
        )

    def findings(self, accept: VerifyOptions | None = None) -> tuple[Finding, ...]:
        verdict = examine(self.model, self.signature, trust(self.key), accept)
        for finding in verdict.findings:
            assert f"file-{finding.kind}" in {check.code for check in verdict.checks}
            assert verdict.outcome is Outcome.TAMPERED
        return verdict.findings

    def only(self) -> Finding:
        (finding,) = self.findings()
        return finding

    def write(self, name: str, data: bytes) -> None:
        (self.model / name).parent.mkdir(parents=True, exist_ok=True)
        (self.model / name).write_bytes(data)


def test_a_model_as_signed_has_no_findings(tmp_path: Path) -> None:
    assert Case(tmp_path).findings() == ()


def test_a_changed_file_is_changed(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write(README, TEXT.replace(b"three", b"seven"))
    found = case.only()
    assert (found.path, found.kind, found.size_bytes) == (README, "changed", len(TEXT))
    assert (found.tensors, found.tensors_total, found.changed_bytes) == ((), None, None)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / README).unlink()
    found = case.only()
    assert (found.path, found.kind, found.size_bytes) == (README, "missing", len(TEXT))
    assert "--partial" in found.hint


def test_an_extra_file_is_extra(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write("new/file", b"123")
    found = case.only()
    assert (found.path, found.kind, found.size_bytes) == ("new/file", "extra", 3)


def test_names_in_findings_are_escaped_in_sentences_and_plain_in_paths(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write("\x1b[2J", b"")
    found = case.only()
    assert found.path == "\x1b[2J"
    assert "\x1b" not in found.sentence


# Names.


def test_a_renamed_file_is_found_under_its_other_name(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / README).rename(case.model / "readme")
    found = case.only()
    assert (found.path, found.kind, found.other_path) == (README, "renamed", "readme")


def test_a_renamed_file_that_changed_too_is_missing_and_extra(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (case.model / README).unlink()
    case.write("readme", TEXT.replace(b"three", b"seven"))
    assert [(found.path, found.kind) for found in case.findings()] == [
        (README, "missing"),
        ("readme", "extra"),
    ]


def test_exchanged_names_are_two_changes(tmp_path: Path) -> None:
    case = Case(tmp_path, {"a": b"one", "b": b"two"})
    case.write("a", b"two")
    case.write("b", b"one")
    assert [(found.path, found.kind) for found in case.findings()] == [
        ("a", "changed"),
        ("b", "changed"),
    ]


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("shard_bytes", [None, 7])
def test_renamed_weights_are_found_whatever_was_signed(
    tmp_path: Path, algorithm: str, shard_bytes: int | None
) -> None:
    options = SnapshotOptions(algorithm=algorithm, shard_bytes=shard_bytes)
    case = Case(tmp_path, options=options)
    (case.model / WEIGHTS).rename(case.model / "weights.bin")
    found = case.only()
    assert (found.kind, found.other_path) == ("renamed", "weights.bin")


def test_equal_files_are_paired_one_to_one(tmp_path: Path) -> None:
    same = {f"{name}": b"same bytes" for name in "abc"}
    case = Case(tmp_path, same)
    for name in "abc":
        (case.model / name).rename(case.model / f"{name}2")
    (case.model / "c2").unlink()
    assert [(found.path, found.kind, found.other_path) for found in case.findings()] == [
        ("a", "renamed", "a2"),
        ("b", "renamed", "b2"),
        ("c", "missing", None),
    ]


COMPOSED, DECOMPOSED = "caf\u00e9.txt", "cafe\u0301.txt"


@pytest.mark.parametrize(
    ("signed", "here", "form"), [(COMPOSED, DECOMPOSED, "NFC"), (DECOMPOSED, COMPOSED, "NFD")]
)
def test_a_name_in_another_unicode_form_is_called_that(
    tmp_path: Path, signed: str, here: str, form: str
) -> None:
    case = Case(tmp_path, {signed: b"menu", "other": b"x"})
    (case.model / signed).rename(case.model / here)
    case.write("a copy", b"menu")  # Its bytes fit as well, its name does not.
    renamed, extra = case.findings()
    assert (renamed.path, renamed.kind, renamed.other_path) == (signed, "normalisation", here)
    assert form in renamed.sentence
    assert (extra.path, extra.kind) == ("a copy", "extra")


def test_each_extra_file_is_read_once_and_only_if_its_length_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path, {f"{index:02}": b"%02d" % index for index in range(30)})
    for index in range(30):
        (case.model / f"{index:02}").unlink()
        case.write(f"x{index:02}", b"ab")
    case.write("long", b"of a length that nothing has")
    reads = record_reads(monkeypatch)
    assert len(case.findings()) == 61
    assert sorted(reads) == sorted([WEIGHTS, *(f"x{index:02}" for index in range(30))])


def test_many_files_in_another_folder_are_all_found(tmp_path: Path) -> None:
    case = Case(tmp_path, {f"a/{index}": b"" for index in range(3000)})
    (case.model / "a").rename(case.model / "b")
    assert {found.kind for found in case.findings()} == {"renamed"}


def test_a_single_file_under_another_name_is_renamed(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    signature, key = sign(folder / README, signature=tmp_path / "s.sig")
    (folder / README).rename(folder / "other.md")
    verdict = examine(folder / "other.md", signature, trust(key))
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "file-renamed")
    (found,) = verdict.findings
    assert (found.path, found.other_path) == (README, "other.md")


# Downloads and checkouts.


def pointer(oid: str) -> bytes:
    return (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + oid.encode() + b"\nsize 1234\n"
    )


def test_an_lfs_pointer_to_the_signed_file_is_recognised(tmp_path: Path) -> None:
    case = Case(tmp_path)
    oid = hashlib.sha256((case.model / WEIGHTS).read_bytes()).hexdigest()
    case.write(WEIGHTS, pointer(oid))
    found = case.only()
    assert (found.path, found.kind) == (WEIGHTS, "lfs-pointer")
    assert "points to the signed one" in found.sentence
    assert "git lfs pull" in found.hint


def test_an_lfs_pointer_to_another_file_is_a_pointer_and_not_to_the_signed_one(
    tmp_path: Path,
) -> None:
    case = Case(tmp_path)
    case.write(WEIGHTS, pointer("0" * 64))
    found = case.only()
    assert found.kind == "lfs-pointer"
    assert "points to the signed one" not in found.sentence


def test_what_only_looks_like_an_lfs_pointer_is_not_called_one(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write(README, pointer("xyz") + b"and more text, longer than the signed one" * 9)
    assert case.only().kind == "changed"


def test_a_pointer_that_was_signed_is_as_signed(tmp_path: Path) -> None:
    assert Case(tmp_path, {"w.bin": pointer("0" * 64)}).findings() == ()


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize(
    ("signed", "here", "now"),
    [(TEXT, TEXT.replace(b"\n", b"\r\n"), "CRLF"), (TEXT.replace(b"\n", b"\r\n"), TEXT, "LF")],
)
def test_other_line_endings_are_recognised_in_both_directions(
    tmp_path: Path, algorithm: str, signed: bytes, here: bytes, now: str
) -> None:
    case = Case(tmp_path, {README: signed}, options=SnapshotOptions(algorithm=algorithm))
    case.write(README, here)
    found = case.only()
    assert found.kind == "line-endings"
    assert f"(now {now})" in found.sentence


def test_other_line_endings_and_one_more_change_are_a_change(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write(README, TEXT.replace(b"\n", b"\r\n").replace(b"three", b"seven"))
    assert case.only().kind == "changed"


def test_line_endings_are_not_looked_for_in_weights(tmp_path: Path) -> None:
    case = Case(tmp_path, {"w.bin": b"a\nb"})
    case.write("w.bin", b"a\r\nb")
    assert case.only().kind == "changed"


@pytest.mark.parametrize("name", [WEIGHTS, README])
def test_a_file_that_ends_early_is_truncated(tmp_path: Path, name: str) -> None:
    case = Case(tmp_path)
    data = (case.model / name).read_bytes()
    case.write(name, data[:-1])
    found = case.only()
    assert (found.path, found.kind) == (name, "truncated")
    assert f"ends after {len(data) - 1} of {len(data)} signed bytes" in found.sentence


def test_a_file_that_became_longer_is_changed(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write(README, TEXT + b"x")
    assert case.only().kind == "changed"


def test_appended_bytes_are_not_blamed_on_the_header_of_a_safetensors_file(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write(WEIGHTS, (case.model / WEIGHTS).read_bytes() + b"x")
    found = case.only()
    assert found.kind == "changed"
    assert "between bytes" not in found.sentence


# Tensors.


def reweighted(case: Case, **changes: Tensor) -> Finding:
    names = {"head": "head.bias", "zero": "layer.0.weight"}
    tensors = {**TENSORS, **{names.get(name, name): tensor for name, tensor in changes.items()}}
    write_safetensors(case.model / WEIGHTS, tensors)
    return case.only()


def test_one_changed_bit_is_reported_by_its_tensors_name_and_share(tmp_path: Path) -> None:
    case = Case(tmp_path)
    data = bytearray((case.model / WEIGHTS).read_bytes())
    data[-1] ^= 1
    case.write(WEIGHTS, bytes(data))
    found = case.only()
    assert (found.kind, found.tensors_total, found.changed_bytes) == ("changed", 3, 8)
    (tensor,) = found.tensors
    assert (tensor.name, tensor.change, tensor.size_bytes) == ("head.bias", "changed", 8)
    share = 100 * 8 / len(data)
    assert f"tensor head.bias is changed (1 of 3 tensors, {share:.2g} % of its bytes)" in (
        found.sentence
    )


def test_a_reshaped_tensor_is_reshaped_and_no_byte_of_it_changed(tmp_path: Path) -> None:
    found = reweighted(Case(tmp_path), zero=("F32", (16,), bytes(range(64))))
    (tensor,) = found.tensors
    assert (tensor.name, tensor.change, found.changed_bytes) == ("layer.0.weight", "reshaped", 0)


def test_a_tensor_of_another_type_is_reshaped_too(tmp_path: Path) -> None:
    found = reweighted(Case(tmp_path), zero=("I32", (4, 4), bytes(range(64))))
    assert [tensor.change for tensor in found.tensors] == ["reshaped"]


def test_added_and_missing_tensors_are_told_apart(tmp_path: Path) -> None:
    case = Case(tmp_path)
    tensors = {**TENSORS, "extra": b"1234"}
    del tensors["head.bias"]
    write_safetensors(case.model / WEIGHTS, tensors)
    found = case.only()
    assert [(tensor.name, tensor.change, tensor.size_bytes) for tensor in found.tensors] == [
        ("extra", "added", 4),
        ("head.bias", "missing", 0),
    ]
    assert (found.tensors_total, found.changed_bytes) == (3, 4)
    assert "and 1 more" in found.sentence


def test_a_changed_header_over_the_same_tensors_is_said_to_be_that(tmp_path: Path) -> None:
    case = Case(tmp_path)
    write_safetensors(case.model / WEIGHTS, TENSORS, metadata={"format": "pt"})
    found = case.only()
    assert (found.kind, found.tensors) == ("changed", ())
    assert "another header" in found.sentence


def test_without_signed_tensors_a_changed_file_is_just_changed(tmp_path: Path) -> None:
    case = Case(tmp_path, options=SnapshotOptions(trees=False))
    data = bytearray((case.model / WEIGHTS).read_bytes())
    data[-1] ^= 1
    case.write(WEIGHTS, bytes(data))
    assert (case.only().kind, case.only().tensors) == ("changed", ())


@pytest.mark.parametrize("inline", [0, 1024])
def test_the_first_changed_block_of_a_large_file_is_named(
    tmp_path: Path, inline: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", inline)
    case = Case(tmp_path, {"big.gguf": bytes(3 * MIB)})
    assert leaves_file(case.signature).exists() == (inline == 0)
    data = bytearray(3 * MIB)
    data[MIB + 5] = data[2 * MIB + 5] = 1
    case.write("big.gguf", bytes(data))
    assert f"between bytes {MIB} and {2 * MIB}" in case.only().sentence
    case.write("big.gguf", bytes(3 * MIB) + b"x")
    assert f"after byte {3 * MIB}" in case.only().sentence


@pytest.mark.parametrize("damage", ["lost", "garbage"])
def test_a_file_is_still_found_changed_if_its_leaves_are_lost(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "MAX_INLINE_BLOCKS", 0)
    case = Case(tmp_path, {"big.gguf": bytes(3 * MIB)})
    if damage == "lost":
        leaves_file(case.signature).unlink()
    else:
        leaves_file(case.signature).write_bytes(b"\xff" * 99)
    assert case.findings() == ()
    case.write("big.gguf", bytes(3 * MIB - 1) + b"x")
    found = case.only()
    assert found.kind == "changed"
    assert "between bytes" not in found.sentence
