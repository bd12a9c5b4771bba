"""model-signing's Python interface and ours, both ways, in every way it can digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from countermark import signing
from countermark.signing import Dialect, Outcome, SnapshotOptions, Trust
from support.peer import SMALL_FILES, WEIGHTS, countermark, flip_bit, safetensors

pytest.importorskip("model_signing", reason="the peer, model-signing, is not installed")
from model_signing import hashing as peer_hashing
from model_signing import signing as peer_signing
from model_signing import verifying as peer_verifying

SHARD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Profile:
    """One way of digesting, in our words and in the peer's."""

    name: str
    ours: SnapshotOptions
    method: str
    algorithm: str
    guessed_from_ours: bool
    guessed_from_theirs: bool

    def theirs(self) -> peer_hashing.Config:
        """Return a new configuration: the peer's keep state between uses."""
        config = peer_hashing.Config()
        if self.method == "files":
            return config.use_file_serialization(hashing_algorithm=self.algorithm)
        return config.use_shard_serialization(
            hashing_algorithm=self.algorithm, shard_size=SHARD_BYTES
        )


PROFILES = [
    Profile("files-sha256", SnapshotOptions(), "files", "sha256", True, True),
    Profile("files-blake3", SnapshotOptions(algorithm="blake3"), "files", "blake3", True, True),
    Profile("files-blake2b", SnapshotOptions(algorithm="blake2b"), "files", "blake2", False, False),
    Profile(
        "shards-sha256", SnapshotOptions(shard_bytes=SHARD_BYTES), "shards", "sha256", True, False
    ),
    Profile(
        "shards-blake2b",
        SnapshotOptions(algorithm="blake2b", shard_bytes=SHARD_BYTES),
        "shards",
        "blake2",
        False,
        False,
    ),
]


@pytest.fixture(params=PROFILES, ids=lambda profile: profile.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    return cast("Profile", request.param)


Keys = tuple[Path, Path]


def our_sign(
    model: Path,
    signature: Path,
    private: Path,
    options: SnapshotOptions,
    dialect: Dialect = Dialect.PYTHON,
) -> None:
    key = signing.load_private_key(private.read_bytes())
    evidence = (signature, signature.with_name("model.sig.leaves"))
    snapshot = signing.take_snapshot(model, options, exclude=evidence)
    signed = signing.sign_snapshot(snapshot, [signing.Identity(key=key)], dialect=dialect)
    signing.write_signed(signed, signature)


def our_verdict(model: Path, signature: Path, public: Path) -> signing.Verdict:
    trust = Trust(public_keys=(signing.load_public_key(public.read_bytes()),))
    try:
        return signing.verify(model, signature, trust).verdict
    except signing.VerificationError as e:
        return e.verdict


def peer_sign(model: Path, signature: Path, private: Path, config: peer_hashing.Config) -> None:
    signer = peer_signing.Config().use_elliptic_key_signer(private_key=private)
    signer.set_hashing_config(config).sign(model, signature)


def peer_verify(
    model: Path,
    signature: Path,
    public: Path,
    config: peer_hashing.Config | None,
    *,
    ignore_unsigned: bool = False,
) -> None:
    """Verify with the peer, which raises if it refuses."""
    verifier = peer_verifying.Config().use_elliptic_key_verifier(public_key=public)
    if config is not None:
        verifier.set_hashing_config(config)
    verifier.set_ignore_unsigned_files(ignore_unsigned).verify(model, signature)


# Ours to theirs.


def test_our_signature_verifies_there_until_one_bit_of_any_file_changes(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    our_sign(model, signature, keys[0], profile.ours)
    peer_verify(model, signature, keys[1], profile.theirs())
    for name in ("a/z", "données/模型 été.bin", WEIGHTS):
        flip_bit(model / name, 2)
        with pytest.raises(ValueError, match="Hash mismatch for"):
            peer_verify(model, signature, keys[1], profile.theirs())
        flip_bit(model / name, 2)
    peer_verify(model, signature, keys[1], profile.theirs())


def test_our_single_file_verifies_there_until_one_bit_changes(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    file = model / WEIGHTS
    our_sign(file, signature, keys[0], profile.ours)
    peer_verify(file, signature, keys[1], profile.theirs())
    flip_bit(file, file.stat().st_size - 1)
    with pytest.raises(ValueError, match="Hash mismatch for"):
        peer_verify(file, signature, keys[1], profile.theirs())


@pytest.mark.parametrize("signer", ["ours", "theirs"])
def test_the_peer_finds_out_how_a_model_was_digested_where_it_can(
    model: Path, signature: Path, keys: Keys, profile: Profile, signer: str
) -> None:
    if signer == "ours":
        our_sign(model, signature, keys[0], profile.ours)
        guessed = profile.guessed_from_ours
    else:
        peer_sign(model, signature, keys[0], profile.theirs())
        guessed = profile.guessed_from_theirs
    if guessed:
        peer_verify(model, signature, keys[1], None)
        return
    # The peer's faults: it writes blake2b and knows only blake2; it writes the size of a
    # shard as a float, of which it then cannot make ranges. We write an integer.
    with pytest.raises((ValueError, TypeError)) as caught:
        peer_verify(model, signature, keys[1], None)
    assert "Signature mismatch" not in str(caught.value)


@pytest.mark.parametrize("inside", [False, True], ids=["outside-the-model", "inside-it"])
def test_our_signature_with_its_leaves_beside_it_verifies_there(
    model: Path,
    tmp_path: Path,
    keys: Keys,
    profile: Profile,
    inside: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Only models over 1 GiB have so many leaves; a lower limit makes the same files.
    monkeypatch.setattr("countermark.signing.snapshot.MAX_INLINE_BLOCKS", 0)
    signature = (model if inside else tmp_path) / "model.sig"
    our_sign(model, signature, keys[0], profile.ours)
    assert signature.with_name("model.sig.leaves").is_file()
    peer_verify(model, signature, keys[1], profile.theirs())
    assert our_verdict(model, signature, keys[1]).outcome is Outcome.VERIFIED
    flip_bit(model / WEIGHTS, (model / WEIGHTS).stat().st_size - 1)
    verdict = our_verdict(model, signature, keys[1])
    assert [finding.path for finding in verdict.findings] == [WEIGHTS]
    assert [tensor.name for tensor in verdict.findings[0].tensors] == ["head.weight"]


def test_our_links_and_ignored_paths_are_understood_there(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    (model / "link.json").symlink_to("config.json")
    options = SnapshotOptions(
        algorithm=profile.ours.algorithm,
        shard_bytes=profile.ours.shard_bytes,
        ignore_paths=("tokenizer",),
        allow_symlinks=True,
    )
    our_sign(model, signature, keys[0], options)
    peer_verify(model, signature, keys[1], profile.theirs().set_allow_symlinks(True))
    (model / "tokenizer/more.txt").write_text("ignored")
    peer_verify(model, signature, keys[1], profile.theirs().set_allow_symlinks(True))
    with pytest.raises(ValueError, match="symlink"):
        peer_verify(model, signature, keys[1], profile.theirs())


@pytest.mark.parametrize("kind", ["folder", "single-file"])
def test_the_spec_dialect_verifies_there_only_where_the_peer_follows_the_spec(
    model: Path, signature: Path, keys: Keys, profile: Profile, kind: str
) -> None:
    target = model if kind == "folder" else model / WEIGHTS
    our_sign(target, signature, keys[0], profile.ours, Dialect.SPEC)
    assert our_verdict(target, signature, keys[1]).outcome is Outcome.VERIFIED
    if kind == "folder" and profile.method == "files":
        peer_verify(target, signature, keys[1], profile.theirs())
        return
    # The peer's faults: a single file has no name, and a shard's algorithm is not OMS's.
    with pytest.raises(ValueError, match="Signature mismatch"):
        peer_verify(target, signature, keys[1], profile.theirs())


# Theirs to ours.


def test_a_peers_signature_verifies_here_and_the_changed_file_is_named(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    peer_sign(model, signature, keys[0], profile.theirs())
    assert our_verdict(model, signature, keys[1]).outcome is Outcome.VERIFIED
    command = ("verify", model, "--signature", signature, "--public-key", keys[1], "--json")
    assert countermark(*command).code == 0
    for name in ("a/z", "données/模型 été.bin", WEIGHTS):
        flip_bit(model / name, (model / name).stat().st_size - 1)
        verdict = our_verdict(model, signature, keys[1])
        assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "file-changed")
        assert [(found.kind, found.path) for found in verdict.findings] == [("changed", name)]
        ran = countermark(*command)
        assert (ran.code, ran.paths) == (11, [("changed", name)])
        flip_bit(model / name, (model / name).stat().st_size - 1)


def test_a_peers_single_file_verifies_here_until_one_bit_changes(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    file = model / WEIGHTS
    peer_sign(file, signature, keys[0], profile.theirs())
    verdict = our_verdict(file, signature, keys[1])
    assert verdict.outcome is Outcome.VERIFIED
    assert "name-not-bound" in {check.code for check in verdict.checks}
    flip_bit(file, 2**20)
    assert [f.path for f in our_verdict(file, signature, keys[1]).findings] == [WEIGHTS]


def test_a_peers_links_and_ignored_paths_are_understood_here(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    (model / "link.json").symlink_to("config.json")
    config = profile.theirs().set_allow_symlinks(True)
    peer_sign(model, signature, keys[0], config.set_ignored_paths(paths=["tokenizer"]))
    verdict = our_verdict(model, signature, keys[1])
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.coverage is not None
    assert ("tokenizer/deep/er/merges.txt", "ignored-by-signer") in {
        (item.path, item.reason) for item in verdict.coverage.uncovered
    }
    (model / "config.json").write_bytes(b"changed behind the link")
    changed = {finding.path for finding in our_verdict(model, signature, keys[1]).findings}
    assert changed == {"config.json", "link.json"}


def test_an_empty_file_is_always_covered_by_ours_and_by_the_peers_whole_files_only(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    (model / "__init__.py").write_bytes(b"")
    our_sign(model, signature, keys[0], profile.ours)
    peer_verify(model, signature, keys[1], profile.theirs())
    assert our_verdict(model, signature, keys[1]).outcome is Outcome.VERIFIED
    peer_sign(model, signature, keys[0], profile.theirs())
    verdict = our_verdict(model, signature, keys[1])
    if profile.method == "files":
        assert verdict.outcome is Outcome.VERIFIED
        return
    # The peer's fault: an empty file has no shard, so anybody may add or remove one.
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "file-extra")
    assert [finding.path for finding in verdict.findings] == ["__init__.py"]


def test_unsigned_files_pass_there_and_here_only_when_told(
    model: Path, signature: Path, keys: Keys, profile: Profile
) -> None:
    our_sign(model, signature, keys[0], profile.ours)
    (model / "notes.txt").write_text("unsigned")
    with pytest.raises(ValueError, match=r"Extra files.*notes\.txt"):
        peer_verify(model, signature, keys[1], profile.theirs())
    assert our_verdict(model, signature, keys[1]).code == "file-extra"
    if profile.method == "files":
        peer_verify(model, signature, keys[1], profile.theirs(), ignore_unsigned=True)
    else:
        # The peer's fault: it looks for files called path:start:end.
        with pytest.raises(ValueError, match="as file or directory"):
            peer_verify(model, signature, keys[1], profile.theirs(), ignore_unsigned=True)


def test_a_shard_of_a_file_with_a_colon_in_its_name_verifies_only_here(
    tmp_path: Path, signature: Path, keys: Keys
) -> None:
    profile = next(p for p in PROFILES if p.name == "shards-sha256")
    model = tmp_path / "colons"
    model.mkdir()
    (model / "x:y.bin").write_bytes(safetensors())
    peer_sign(model, signature, keys[0], profile.theirs())
    # The peer's fault: it splits at every colon, and so cannot read what it wrote.
    with pytest.raises(ValueError, match="3 components"):
        peer_verify(model, signature, keys[1], profile.theirs())
    assert our_verdict(model, signature, keys[1]).outcome is Outcome.VERIFIED


def test_both_find_the_same_digests_of_the_same_files(model: Path, profile: Profile) -> None:
    theirs = {
        found.identifier: (found.digest.algorithm, found.digest.digest_value.hex())
        for found in profile.theirs().hash(model).resource_descriptors()
    }
    manifest = signing.take_snapshot(model, profile.ours).manifest
    ours = {}
    algorithm = profile.ours.algorithm
    for file in manifest.files:
        if profile.method == "files":
            ours[file.path] = (algorithm, file.digest)
        for shard in file.shards:
            name = f"{file.path}:{shard.start}:{shard.end}"
            ours[name] = (f"{algorithm}-sharded-{SHARD_BYTES}", shard.digest)
    assert ours == theirs
    assert len(ours) >= len(SMALL_FILES)
