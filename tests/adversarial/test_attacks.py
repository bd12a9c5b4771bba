"""An attacker who holds the model's folder, the evidence beside it, or the cache."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from countermark.cli.exits import EXIT_OF
from countermark.signing import leaves as leaves_format
from countermark.signing import walk as walking
from countermark.signing.cache import DigestCache
from countermark.signing.errors import (
    CacheError,
    ModelNotFoundError,
    TooLargeError,
    UndecodableNameError,
    UnsafeNameError,
    UnsupportedKeyError,
)
from countermark.signing.examination import examine
from countermark.signing.integrity import VerifyOptions
from countermark.signing.keys import PublicKey, generate, load_public_key
from countermark.signing.leaves import FileLeaves
from countermark.signing.places import evidence_files, leaves_file, set_file
from countermark.signing.snapshot import SnapshotOptions
from countermark.signing.trees import block_root_of
from countermark.signing.verdict import Outcome, Status, Verdict
from countermark.signing.walk import Layout, walk
from support.models import (
    WEIGHTS,
    make_hub_snapshot,
    make_model,
    resign_statement,
    sign,
    statement_of,
    trust,
    write_public_key,
)

THOROUGH = VerifyOptions(thorough=True)


def exit_and_code(verdict: Verdict) -> tuple[int, str]:
    return EXIT_OF[verdict.outcome], verdict.code


def warnings(verdict: Verdict) -> set[str]:
    return {check.code for check in verdict.checks if check.status is Status.WARNED}


class Signed:
    """A signed model, the trusted key, and its statement for bending."""

    def __init__(self, folder: Path) -> None:
        self.key = generate("ec-p256")
        self.model = make_model(folder / "model")
        self.signature, self.public = sign(self.model, key=self.key)
        self.statement: Any = statement_of(self.signature)

    def row(self, name: str = WEIGHTS) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.statement["predicate"]["resources"]
        return next(row for row in rows if row["name"] == name)

    def ignore(self, *paths: str) -> None:
        self.statement["predicate"]["serialization"]["ignore_paths"] = list(paths)
        self.resign()

    def resign(self) -> None:
        # The roots over changed rows are dropped: the attacks here are on other things.
        self.signature.write_bytes(resign_statement(self.statement, self.key))

    def verdict(self, options: VerifyOptions | None = None) -> Verdict:
        return examine(self.model, self.signature, trust(self.public), options)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


# The evidence files, where the attacker chooses what they are.


@pytest.mark.parametrize("evil", ["evil.py", "evil.safetensors"])
@pytest.mark.parametrize("which", [1, 2], ids=["set", "leaves"])
def test_a_link_in_the_place_of_an_evidence_file_hides_nothing(
    signed: Signed, evil: str, which: int
) -> None:
    (signed.model / evil).write_bytes(b"")  # As a set file, an empty one is well-formed.
    evidence_files(signed.signature)[which].symlink_to(evil)
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (11, "file-extra")
    assert [finding.path for finding in verdict.findings] == [evil]


def test_a_folder_in_the_place_of_an_evidence_file_is_mentioned_and_holds_no_weights(
    signed: Signed,
) -> None:
    folder = leaves_file(signed.signature)
    folder.mkdir()
    (folder / "evil.py").write_text("evil")
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (0, "verified")  # The signer left this name out, and said so.
    assert "not-covered-ignored-by-signer" in warnings(verdict)
    (folder / "evil.safetensors").write_bytes(b"x")
    assert exit_and_code(signed.verdict()) == (16, "weights-not-covered")


@pytest.mark.parametrize("make", ["fifo", "folder", "device"])
@pytest.mark.parametrize("which", [0, 1], ids=["bundle", "set"])
def test_evidence_that_is_no_regular_file_is_malformed_and_never_waited_for(
    signed: Signed, make: str, which: int
) -> None:
    place = evidence_files(signed.signature)[which]
    place.unlink(missing_ok=True)
    if make == "fifo":
        os.mkfifo(place)
    elif make == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero")
    assert exit_and_code(signed.verdict()) == (14, "malformed")


@pytest.mark.parametrize("make", ["fifo", "device", "junk"])
def test_a_leaves_file_of_any_kind_cannot_change_the_verdict(signed: Signed, make: str) -> None:
    place = leaves_file(signed.signature)
    weights = signed.model / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    before = signed.verdict()
    if make == "fifo":
        os.mkfifo(place)
    elif make == "device":
        place.symlink_to("/dev/zero")
    else:
        place.write_bytes(b"junk")
    if make == "junk":
        assert exit_and_code(signed.verdict()) == exit_and_code(before) == (11, "file-changed")
    else:
        assert signed.verdict().outcome is not Outcome.VERIFIED


def test_leaves_of_other_bytes_are_not_used_to_explain(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", {"w.bin": bytes(3 << 20)}, tensors=None)
    key = generate("ec-p256")
    signature, public = sign(model, key=key)
    statement: Any = statement_of(signature)
    blocks = statement["predicate"]["resources"][0]["countermark"]["blocks"]
    del blocks["leaves"], blocks["segments"]
    signature.write_bytes(resign_statement(statement, key))
    data = bytearray(3 << 20)
    data[2 << 20] = 1
    (model / "w.bin").write_bytes(data)
    lies = FileLeaves(segments=(3 << 20,), block_digests=b"\x01" * 96)
    leaves_file(signature).write_bytes(leaves_format.encode({"w.bin": lies}))
    verdict = examine(model, signature, trust(public))
    assert exit_and_code(verdict) == (11, "file-changed")
    assert "between bytes" not in verdict.sentence


def test_a_bundle_over_another_model_does_not_verify_this_one(
    signed: Signed, tmp_path: Path
) -> None:
    other = make_model(tmp_path / "other", {"config.json": b"{}"})
    signature, _ = sign(other, key=signed.key)
    verdict = examine(signed.model, signature, trust(signed.public))
    assert verdict.outcome is Outcome.TAMPERED


def test_a_counter_signature_over_another_statement_does_not_count(
    signed: Signed, tmp_path: Path
) -> None:
    second = generate("ed25519")
    other, _ = sign(make_model(tmp_path / "other", {"x": b"y"}), key=second)
    set_file(signed.signature).write_bytes(other.read_bytes() + b"\n")
    both = trust(signed.public, second.public_key)
    assert exit_and_code(examine(signed.model, signed.signature, both)) == (12, "wrong-key")
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (0, "verified")
    assert "other-statement" in warnings(verdict)


@pytest.mark.parametrize("junk", [b"{}\n", b"x\n", b"\xff\n", b"[]\n", b"null\n"])
def test_junk_in_the_set_of_further_signatures_is_malformed(signed: Signed, junk: bytes) -> None:
    set_file(signed.signature).write_bytes(junk)
    assert EXIT_OF[signed.verdict().outcome] == 14


def test_a_signature_of_one_key_cannot_be_passed_off_as_anothers(signed: Signed) -> None:
    other = generate("ec-p256").public_key
    bundle = json.loads(signed.signature.read_bytes())
    bundle["verificationMaterial"]["publicKey"]["hint"] = other.key_id
    signed.signature.write_text(json.dumps(bundle))
    verdict = examine(signed.model, signed.signature, trust(other))
    assert exit_and_code(verdict) == (11, "signature-invalid")


def test_a_statement_of_another_type_is_never_taken_for_a_signed_model(signed: Signed) -> None:
    for predicate in ("https://slsa.dev/provenance/v1", "https://model_signing/signature/v2"):
        signed.statement["predicateType"] = predicate
        signed.resign()
        assert exit_and_code(signed.verdict()) == (14, "malformed-statement")


# A trusted signer who lies in the extension.


def test_a_signed_length_that_is_not_that_of_the_bytes_is_malformed(signed: Signed) -> None:
    for name in (WEIGHTS, "README.md"):
        row = signed.row(name)
        true = row["countermark"]
        bare = isinstance(true, int)
        row["countermark"] = true + 1 if bare else true | {"size": true["size"] + 1}
        signed.resign()
        for options in (None, THOROUGH):
            assert exit_and_code(signed.verdict(options)) == (14, "malformed-statement")
        row["countermark"] = true
    signed.resign()
    assert exit_and_code(signed.verdict()) == (0, "verified")


def test_a_signed_tensor_root_that_is_not_that_of_the_bytes_is_malformed(signed: Signed) -> None:
    signed.row()["countermark"]["tensors"]["root"] = "0" * 64
    signed.resign()
    for options in (None, THOROUGH):
        assert exit_and_code(signed.verdict(options)) == (14, "malformed-statement")


def test_a_signed_block_root_of_other_bytes_verifies_neither_them_nor_the_signed_ones(
    signed: Signed,
) -> None:
    signed.row()["countermark"]["blocks"]["root"] = "0" * 64
    signed.resign()
    for options in (None, THOROUGH):
        assert exit_and_code(signed.verdict(options))[0] == 11


def test_two_digests_of_different_bytes_are_only_seen_by_a_thorough_verifier(
    signed: Signed,
) -> None:
    # The limit of the fast mode: a trusted signer can show OMS verifiers another file.
    signed.row()["digest"] = "0" * 64
    rows = signed.statement["predicate"]["resources"]
    joined = b"".join(bytes.fromhex(row["digest"]) for row in rows)
    signed.statement["subject"][0]["digest"] = {"sha256": hashlib.sha256(joined).hexdigest()}
    signed.resign()
    assert exit_and_code(signed.verdict()) == (0, "verified")
    assert exit_and_code(signed.verdict(THOROUGH))[0] == 11


def test_a_tensor_list_that_does_not_give_its_root_never_names_a_tensor(signed: Signed) -> None:
    signed.row()["countermark"]["tensors"]["leaves"][0][3] = "0" * 64
    signed.resign()
    weights = signed.model / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (11, "file-changed")
    assert verdict.findings[0].tensors == ()


def test_block_leaves_that_do_not_give_their_root_do_not_weaken_the_check(signed: Signed) -> None:
    blocks = signed.row()["countermark"]["blocks"]
    count = len(base64.b64decode(blocks["leaves"])) // 32
    blocks["leaves"] = base64.b64encode(b"\x01" * 32 * count).decode()
    signed.resign()
    assert exit_and_code(signed.verdict()) == (0, "verified")  # The root is what counts.
    blocks["root"] = block_root_of(b"\x01" * 32 * count).hex()
    signed.resign()
    assert exit_and_code(signed.verdict()) == (11, "file-changed")


@pytest.mark.parametrize(
    "extension",
    [
        {"v": 1, "file": "a/b"},
        {"v": 1, "file": "../x"},
        {"v": 1, "size": -1},
        {"v": 1, "size": True},
        {"v": 1, "size": 1.0},
        {"v": 1, "size": 2**63},
        {"v": 1, "empty": ["../x"]},
        {"v": 1, "empty": ["x", "x"]},
        {"v": 1, "blocks": {"root": "0" * 63}},
        {"v": 1, "blocks": {"root": "0" * 64, "leaves": "AAAA", "segments": [1]}},
        {"v": 1, "tensors": {"root": "0" * 64}},
        {"v": 1, "unknown": 1},
        {"size": 1},
        [],
    ],
    ids=json.dumps,
)
def test_an_extension_that_breaks_its_rules_is_malformed(signed: Signed, extension: object) -> None:
    signed.row()["countermark"] = extension
    signed.resign()
    assert EXIT_OF[signed.verdict().outcome] == 14


def test_an_empty_list_that_names_a_resource_is_malformed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", {"a": b"abc", "e": b""}, tensors=None)
    key = generate("ec-p256")
    signature, public = sign(model, key=key, options=SnapshotOptions(shard_bytes=2))
    statement: Any = statement_of(signature)
    statement["predicate"]["resources"][0]["countermark"]["empty"] = ["a", "e"]
    signature.write_bytes(resign_statement(statement, key))
    verdict = examine(model, signature, trust(public))
    assert exit_and_code(verdict) == (14, "malformed-statement")


def test_a_name_that_is_both_a_file_and_a_folder_is_malformed(signed: Signed) -> None:
    signed.row("README.md")["name"] = "tokenizer"
    signed.resign()
    assert exit_and_code(signed.verdict()) == (14, "malformed-statement")


# Ignored paths.


@pytest.mark.parametrize("path", ["", ".", "/", "..", "./", "../model", "//", "model"])
def test_an_ignored_path_that_means_everything_ignores_nothing(signed: Signed, path: str) -> None:
    signed.ignore(path)
    assert exit_and_code(signed.verdict()) == (0, "verified")
    (signed.model / "extra.py").write_text("x")
    assert exit_and_code(signed.verdict()) == (11, "file-extra")


def test_a_signed_file_that_is_also_ignored_is_not_passed_over(signed: Signed) -> None:
    signed.ignore(WEIGHTS)
    (signed.model / WEIGHTS).write_bytes(b"evil")
    assert EXIT_OF[signed.verdict().outcome] == 11
    verdict = signed.verdict(VerifyOptions(accept_partial=True))
    assert exit_and_code(verdict) == (16, "weights-not-covered")


def test_a_hundred_thousand_ignored_paths_cost_one_lookup_each_not_one_per_file(
    signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    class Counting(str):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

        def startswith(self, *arguments: Any) -> bool:  # noqa: ANN401
            nonlocal compared
            compared += 1
            return str.startswith(self, *arguments)

    monkeypatch.setattr(walking, "check_name", Counting)
    many = [(f"ignored/{number}", "ignored-by-signer") for number in range(100_000)]
    tree = walk(signed.model, ignored=many)
    assert len(tree.files) >= 4
    assert compared < 1000


def test_a_signer_cannot_exempt_git_from_a_caller_who_wants_it_checked(signed: Signed) -> None:
    (signed.model / ".git").mkdir()
    (signed.model / ".git" / "config").write_text("x")
    for path in (".git", ".git/", ".git/config"):
        signed.ignore(path)
        verdict = signed.verdict(VerifyOptions(skip_git=False))
        assert exit_and_code(verdict) == (11, "file-extra")


def test_a_git_folder_that_is_a_link_is_not_followed(signed: Signed) -> None:
    (signed.model / ".git").symlink_to("/")
    verdict = signed.verdict()
    assert exit_and_code(verdict) == (0, "verified")
    assert "not-covered-git" in warnings(verdict)
    assert exit_and_code(signed.verdict(VerifyOptions(skip_git=False))) == (16, "symlink-refused")


# The place.


def test_a_tree_deeper_than_the_limit_is_refused_before_the_stack_or_the_path_ends(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "model")
    signature, key = sign(model, signature=tmp_path / "model.sig")
    here = os.open(model, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    verdict = examine(model, signature, trust(key))
    assert exit_and_code(verdict) == (14, "unsafe-name")


def test_names_as_long_as_the_file_system_allows_verify(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", {"n" * 255: b"x", "é" * 127: b"y"})
    signature, key = sign(model)
    assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")


def test_a_backslash_in_a_file_name_is_refused(signed: Signed) -> None:
    (signed.model / "a\\b").write_text("x")
    assert exit_and_code(signed.verdict()) == (14, "unsafe-name")
    with pytest.raises(UnsafeNameError):
        sign(signed.model, replace=True)


def test_names_that_differ_by_case_only_are_two_files(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", {"A.txt": b"1", "a.txt": b"2"})
    signature, key = sign(model)
    assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")
    (model / "A.txt").write_bytes(b"2")
    (model / "a.txt").write_bytes(b"1")
    assert exit_and_code(examine(model, signature, trust(key))) == (11, "file-changed")


def test_a_folder_whose_own_name_is_not_utf8_is_refused_and_crashes_nothing(
    tmp_path: Path,
) -> None:
    model = make_model(Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xff")))
    with pytest.raises(UndecodableNameError):
        sign(model, signature=tmp_path / "model.sig")


def test_a_file_cannot_pass_for_another_of_the_same_name_in_another_folder(
    tmp_path: Path,
) -> None:
    files = {"a.json": b"good", "sub/a.json": b"other", "sub/b.json": b"b", "c.json": b"c"}
    model = make_model(tmp_path / "model", files, tensors=None)
    signature, key = sign(model)
    (model / "sub" / "a.json").write_bytes(b"good")
    part = VerifyOptions(accept_partial=True)
    for name in ("sub/a.json", "a.json", "sub/b.json"):
        verdict = examine(model / name, signature, trust(key), part)
        assert exit_and_code(verdict) == (14, "malformed-statement"), name
    verdict = examine(model / "c.json", signature, trust(key), part)
    assert exit_and_code(verdict) == (0, "verified")


def test_a_hard_link_to_a_signed_file_is_an_extra_file(signed: Signed) -> None:
    os.link(signed.model / WEIGHTS, signed.model / "copy.safetensors")
    assert exit_and_code(signed.verdict()) == (11, "file-extra")


def test_a_sparse_terabyte_in_place_of_a_file_is_refused_without_being_named_the_same(
    signed: Signed,
) -> None:
    # Extra and larger than anything missing: refused by its name alone, never read.
    with (signed.model / "huge.safetensors").open("wb") as file:
        file.truncate(1 << 40)
    assert exit_and_code(signed.verdict()) == (11, "file-extra")


@pytest.mark.parametrize("count", [300])
def test_renaming_every_file_does_not_make_each_be_read_more_than_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    files = {f"{index}.txt": f"{index:08d}".encode() for index in range(count)}
    model = make_model(tmp_path / "model", files, tensors=None)
    signature, key = sign(model)
    for name in files:
        (model / name).rename(model / f"x{name}")
    opened = 0
    real = os.open

    def counting(*arguments: Any, **more: Any) -> int:  # noqa: ANN401 - as os.open
        nonlocal opened
        opened += 1
        return real(*arguments, **more)

    monkeypatch.setattr(os, "open", counting)
    verdict = examine(model, signature, trust(key))
    assert exit_and_code(verdict) == (11, "file-renamed")
    assert len(verdict.findings) == count
    assert opened < 2 * count


@pytest.mark.parametrize("argument", [".", "../model", "./", "link", "sub/.."])
def test_a_model_named_in_any_way_is_the_same_model(
    signed: Signed, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    (signed.model.parent / "elsewhere").symlink_to(signed.model)
    monkeypatch.chdir(signed.model)
    name = {"link": "../elsewhere", "sub/..": "tokenizer/.."}.get(argument, argument)
    verdict = examine(Path(name), signed.signature, trust(signed.public))
    assert exit_and_code(verdict) == (0, "verified")


def test_a_model_that_is_a_dangling_or_circular_link_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("loop", "dangling"):
        with pytest.raises(ModelNotFoundError):
            walk(tmp_path / name)


def test_too_many_files_are_refused(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_FILES", 4)
    assert len(walk(signed.model, exclude=evidence_files(signed.signature)).files) == 4
    (signed.model / "one-more").touch()
    with pytest.raises(TooLargeError):
        walk(signed.model, exclude=evidence_files(signed.signature))


# A Hub cache.


def relink(link: Path, target: Path) -> None:
    link.unlink()
    link.symlink_to(target)


def test_a_hub_link_that_leaves_its_own_blobs_is_refused_by_every_way_out(
    tmp_path: Path,
) -> None:
    hub = tmp_path / "hub"
    snapshot = make_hub_snapshot(hub)
    signature, key = sign(snapshot, signature=tmp_path / "model.sig")
    link = snapshot / "README.md"
    content = link.read_bytes()
    other = make_hub_snapshot(tmp_path / "hub2", repository="models--evil--other")
    (hub / "models--evil--other" / "blobs").mkdir(parents=True)
    for target in (
        tmp_path / "outside",
        hub / "models--evil--other" / "blobs" / "0",
        hub / "models--org--tiny" / "blobs-evil",
        other / "blob",
        hub / "models--org--tiny" / "refs",
    ):
        target.write_bytes(content)
        relink(link, target)
        assert exit_and_code(examine(snapshot, signature, trust(key))) == (16, "symlink-refused")
        chain = hub / "models--org--tiny" / "blobs" / "chain"
        chain.unlink(missing_ok=True)
        chain.symlink_to(target)
        relink(link, chain)
        assert exit_and_code(examine(snapshot, signature, trust(key))) == (16, "symlink-refused")
    good = hub / "models--org--tiny" / "blobs" / "good"
    good.write_bytes(content)
    relink(link, good)
    assert exit_and_code(examine(snapshot, signature, trust(key))) == (0, "verified")


def test_a_blobs_folder_that_is_itself_a_link_does_not_widen_where_links_may_lead(
    tmp_path: Path,
) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub")
    signature, key = sign(snapshot, signature=tmp_path / "model.sig")
    blobs = tmp_path / "hub" / "models--org--tiny" / "blobs"
    blobs.rename(tmp_path / "outside")
    blobs.symlink_to(tmp_path / "outside")
    assert exit_and_code(examine(snapshot, signature, trust(key))) == (16, "symlink-refused")


def test_a_folder_is_no_hub_snapshot_because_a_parent_is_called_models(tmp_path: Path) -> None:
    model = make_model(tmp_path / "models" / "snapshots" / "v1")
    (tmp_path / "models" / "blobs").mkdir()
    (tmp_path / "models" / "blobs" / "x").write_text("x")
    (model / "x").symlink_to(tmp_path / "models" / "blobs" / "x")
    signature, key = sign(make_model(tmp_path / "plain", {"x": b"x"}), signature=tmp_path / "s.sig")
    assert exit_and_code(examine(model, signature, trust(key))) == (16, "symlink-refused")
    (model / "x").unlink()
    assert walk(model).layout is Layout.FOLDER


# The digest cache.

SECRET = b"k" * 32


def long_after() -> int:
    return 2**62


def load(path: Path, key: bytes = SECRET) -> DigestCache:
    return DigestCache.load(path, key, clock_ns=long_after)


@pytest.fixture
def cached(signed: Signed, tmp_path: Path) -> Path:
    path = tmp_path / "digests.json"
    cache = load(path)
    examine(signed.model, signed.signature, trust(signed.public), cache=cache)
    cache.save()
    return path


def with_cache(signed: Signed, path: Path) -> Verdict:
    return examine(signed.model, signed.signature, trust(signed.public), cache=load(path))


def test_what_comes_out_of_a_cache_is_counted_as_cached(signed: Signed, cached: Path) -> None:
    verdict = with_cache(signed, cached)
    assert exit_and_code(verdict) == (0, "verified")
    assert verdict.coverage is not None
    assert verdict.coverage.files_cached == 4


def test_a_file_changed_in_place_with_its_times_put_back_is_read_again(
    signed: Signed, cached: Path
) -> None:
    weights = signed.model / WEIGHTS
    before = weights.stat()
    while weights.stat().st_ctime_ns == before.st_ctime_ns:  # The clock ticks in milliseconds.
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.stat().st_mtime_ns == before.st_mtime_ns
    assert exit_and_code(with_cache(signed, cached)) == (11, "file-changed")


def test_a_file_replaced_by_one_of_equal_length_and_times_is_read_again(
    signed: Signed, cached: Path
) -> None:
    weights = signed.model / WEIGHTS
    before = weights.stat()
    evil = signed.model.parent / "evil"
    evil.write_bytes(weights.read_bytes()[:-1] + b"!")
    os.utime(evil, ns=(before.st_atime_ns, before.st_mtime_ns))
    evil.replace(weights)
    assert exit_and_code(with_cache(signed, cached)) == (11, "file-changed")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b":", b";", 1),
        lambda data: data[:-1],
        lambda data: data[:0],
        lambda data: data[:1] + data[-1:],
        lambda data: data.replace(b'"mac":"', b'"mac":"0'),
        lambda data: data.replace(b'"sha256":"', b'"sha512":"', 1),
    ],
)
def test_a_cache_edited_without_the_key_is_refused(
    cached: Path, damage: Callable[[bytes], bytes]
) -> None:
    data = cached.read_bytes()
    damaged = damage(data)
    if damaged == data:
        damaged = data.replace(b"blake3-blocks", b"blake3-blockz", 1)
    cached.write_bytes(damaged)
    with pytest.raises(CacheError) as refusal:
        load(cached)
    assert refusal.value.code == "cache-unusable"


def test_a_cache_written_with_another_key_is_refused(cached: Path) -> None:
    with pytest.raises(CacheError):
        load(cached, b"x" * 32)


def test_a_cache_key_that_others_can_read_is_refused(
    cli: Callable[..., Any], signed: Signed, tmp_path: Path
) -> None:
    key = write_public_key(tmp_path, signed.public)
    verify = ("verify", signed.model, "--public-key", key, "--cache", tmp_path / "c.json")
    assert cli(*verify).code == 0
    (secret,) = tmp_path.rglob("cache.key")
    assert secret.stat().st_mode & 0o777 == 0o600
    secret.chmod(0o644)
    ran = cli(*verify, "--json")
    assert ran.code == 1
    assert ran.document["error"]["code"] == "cache-unusable"


# Keys.


@pytest.mark.parametrize("name", ["secp256k1", "secp224r1", "rsa-1024", "x25519"])
def test_a_key_of_a_kind_that_is_weak_or_cannot_sign_is_refused(name: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made: dict[str, Callable[[], Any]] = {
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "secp224r1": lambda: ec.generate_private_key(ec.SECP224R1()),
        "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - the point
        "x25519": x25519.X25519PrivateKey.generate,
    }
    pem = made[name]().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(UnsupportedKeyError):
        load_public_key(pem)


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "ec-p521", "ed25519", "ml-dsa-65"])
def test_a_signature_of_another_algorithm_never_passes_for_this_keys(
    signed: Signed, kind: str
) -> None:
    other: PublicKey = generate(kind).public_key
    bundle = json.loads(signed.signature.read_bytes())
    bundle["verificationMaterial"]["publicKey"] = {"hint": other.key_id}
    signed.signature.write_text(json.dumps(bundle))
    verdict = examine(signed.model, signed.signature, trust(other))
    assert exit_and_code(verdict) == (11, "signature-invalid")


def test_options_that_accept_more_never_accept_a_changed_file(signed: Signed) -> None:
    everything = replace(
        VerifyOptions(),
        ignore_unsigned=True,
        partial=True,
        accept_partial=True,
        allow_uncovered_weights=True,
    )
    assert exit_and_code(signed.verdict(everything)) == (0, "verified")
    (signed.model / "config.json").write_text("{}")
    assert EXIT_OF[signed.verdict(everything).outcome] == 11


def test_an_ignored_link_out_of_the_model_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "model")
    outside = tmp_path / "outside"
    outside.write_bytes((model / WEIGHTS).read_bytes())
    (model / "cache").mkdir()
    (model / "cache/0").symlink_to(outside)
    (model / "cache/1").write_bytes(b"plain")
    signature, key = sign(model, options=SnapshotOptions(ignore_paths=("cache",)))
    opened: list[str] = []
    real = os.open

    def recording(path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        opened.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        return descriptor

    monkeypatch.setattr(os, "open", recording)
    assert exit_and_code(examine(model, signature, trust(key))) == (0, "verified")
    assert str(model / "cache/1") in opened
    assert str(outside) not in opened
