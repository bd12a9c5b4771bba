"""Enumeration: what belongs to a model, what is left out and said so, what is refused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from countermark.signing import walk as walk_module
from countermark.signing.errors import (
    ModelError,
    ModelNotFoundError,
    SpecialFileError,
    SymlinkError,
    TooLargeError,
    UndecodableNameError,
    UnsafeNameError,
)
from countermark.signing.walk import GIT_NAMES, FileIdentity, Layout, ModelTree, Skipped, walk
from support.models import make_hub_snapshot, make_local_dir, make_model

SIGNER = "ignored-by-signer"


def paths(tree: ModelTree) -> list[str]:
    return [file.path for file in tree.files]


def plant(root: Path, *names: str) -> Path:
    return make_model(root, {name: name.encode() for name in names}, tensors=None)


def test_walk_lists_nested_and_hidden_files_in_code_point_order(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "b", "a/z/deep", ".hidden", "a/.dot", "B", "é")
    tree = walk(model)
    assert paths(tree) == [".hidden", "B", "a/.dot", "a/z/deep", "b", "é"]
    assert (tree.layout, tree.name, tree.skipped) == (Layout.FOLDER, "m", ())
    assert tree.root == os.path.realpath(model)


def test_walk_gives_each_file_the_identity_that_stat_reports(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a")
    (file,) = walk(model).files
    assert file.location == str(model.resolve() / "a")
    assert file.identity == FileIdentity.of((model / "a").stat())
    assert file.identity.size_bytes == 1


def test_walk_says_which_files_anybody_may_execute(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "plain", "run")
    (model / "run").chmod(0o654)
    (model / "plain").chmod(0o644)
    assert {file.path: file.executable for file in walk(model).files} == {
        "plain": False,
        "run": True,
    }


@pytest.mark.parametrize("name", sorted(GIT_NAMES))
def test_walk_leaves_out_gits_names_at_the_top_and_nowhere_else(tmp_path: Path, name: str) -> None:
    model = plant(tmp_path / "m", name, f"sub/{name}", f"{name}x")
    tree = walk(model)
    assert paths(tree) == sorted([f"sub/{name}", f"{name}x"])
    assert tree.skipped == (Skipped(name, "git"),)


def test_walk_names_a_git_folder_with_a_slash_and_does_not_enter_it(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a", ".git/config", ".git/objects/00/x")
    tree = walk(model)
    assert (paths(tree), tree.skipped) == (["a"], (Skipped(".git/", "git"),))


def test_walk_lists_gits_files_if_they_are_not_to_be_skipped(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", ".gitattributes", ".git/config", "a")
    assert paths(walk(model, skip_git=False)) == [".git/config", ".gitattributes", "a"]


def test_walk_keeps_what_somebody_signed_of_the_names_usually_left_out(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", ".gitattributes", ".gitignore", ".cache/huggingface/x", "a")
    tree = walk(model, keep=[".gitattributes", ".cache/huggingface"])
    assert paths(tree) == [".cache/huggingface/x", ".gitattributes", "a"]
    assert tree.skipped == (Skipped(".gitignore", "git"),)


def test_walk_leaves_out_hub_metadata_at_the_top_only(tmp_path: Path) -> None:
    model = make_local_dir(tmp_path / "m")
    plant(model, "sub/.cache/huggingface/x", ".cache/other", ".cache/huggingface2/y")
    tree = walk(model, skip_git=False)
    assert Skipped(".cache/huggingface/", "hub-metadata") in tree.skipped
    assert ".cache/other" in paths(tree)
    assert ".cache/huggingface2/y" in paths(tree)
    assert "sub/.cache/huggingface/x" in paths(tree)
    assert not any(path.startswith(".cache/huggingface/") for path in paths(tree))


def test_walk_mentions_empty_folders_but_not_an_empty_root(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "full/a")
    (model / "empty" / "inner").mkdir(parents=True)
    assert walk(model).skipped == (Skipped("empty/inner/", "empty-directory"),)
    (tmp_path / "nothing").mkdir()
    bare = walk(tmp_path / "nothing")
    assert (bare.files, bare.skipped) == ((), ())


def test_walk_leaves_out_an_ignored_file_and_names_it(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a", "ab", "b")
    tree = walk(model, ignored=[("a", SIGNER)])
    assert (paths(tree), tree.skipped) == (["ab", "b"], (Skipped("a", SIGNER),))


def test_walk_names_every_file_below_an_ignored_folder(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "x/w.bin", "x/y/code.py", "xy", "z/x/a")
    (model / "x/none").mkdir()
    tree = walk(model, ignored=[("x", SIGNER)])
    assert paths(tree) == ["xy", "z/x/a"]
    assert tree.skipped == (
        Skipped("x/none/", "empty-directory"),
        Skipped("x/w.bin", SIGNER),
        Skipped("x/y/code.py", SIGNER),
    )


def test_walk_gives_the_first_of_several_reasons(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "x/y/a", "x/b")
    both = [("x/y", "ignored-by-you"), ("x", SIGNER), ("x/y", SIGNER)]
    assert walk(model, ignored=both).skipped == (
        Skipped("x/b", SIGNER),
        Skipped("x/y/a", "ignored-by-you"),
    )
    wide = [("x", "ignored-by-you"), ("x/y", SIGNER)]
    assert {item.reason for item in walk(model, ignored=wide).skipped} == {"ignored-by-you"}


def test_walk_ignores_without_comparing_every_file_to_every_pattern(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", *(f"{index:03}" for index in range(200)))
    many = [(f"no/{index}", SIGNER) for index in range(100_000)]
    assert len(walk(model, ignored=many).files) == 200  # Quadratic, this would take a minute.


def test_walk_does_not_refuse_what_is_ignored(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a")
    os.mkfifo(model / "pipe")
    (model / "link").symlink_to("/etc/passwd")
    tree = walk(model, ignored=[("pipe", SIGNER), ("link", SIGNER)])
    assert (paths(tree), len(tree.skipped)) == (["a"], 2)


def test_walk_leaves_out_excluded_files_without_a_word(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a", "model.sig", "sub/model.sig")
    tree = walk(model, exclude=[model / "model.sig", tmp_path / "elsewhere.sig"])
    assert (paths(tree), tree.skipped) == (["a", "sub/model.sig"], ())


def test_walk_excludes_evidence_that_is_named_through_a_link_to_the_folder(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a", "model.sig")
    (tmp_path / "alias").symlink_to(model)
    assert paths(walk(tmp_path / "alias", exclude=[tmp_path / "alias/model.sig"])) == ["a"]
    assert paths(walk(model, exclude=[tmp_path / "alias/model.sig"])) == ["a"]


def test_walk_excludes_evidence_that_is_a_link_to_somewhere_else(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a")
    plant(tmp_path, "real.sig")
    (model / "model.sig").symlink_to(tmp_path / "real.sig")
    assert paths(walk(model, exclude=[model / "model.sig"])) == ["a"]


def test_walk_does_not_exclude_another_name_that_leads_to_the_evidence(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a", "model.sig.leaves")
    (model / "extra.safetensors").symlink_to("model.sig.leaves")
    evidence = [model / "model.sig.leaves"]
    with pytest.raises(SymlinkError) as caught:
        walk(model, exclude=evidence)
    assert caught.value.code == "symlink-refused"
    assert paths(walk(model, exclude=evidence, allow_symlinks=True)) == ["a", "extra.safetensors"]


def test_walk_does_not_exclude_a_folder_that_is_called_like_the_evidence(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a", "model.sigs.jsonl/evil.py")
    assert paths(walk(model, exclude=[model / "model.sigs.jsonl"])) == [
        "a",
        "model.sigs.jsonl/evil.py",
    ]


LINKS: dict[str, tuple[str, type[ModelError], type[ModelError] | None]] = {
    # name: (target, refused without --allow-symlinks, refused with it)
    "inside": ("a", SymlinkError, None),
    "chain": ("hop", SymlinkError, None),
    "outside": ("../outside", SymlinkError, SymlinkError),
    "absolute": ("/etc/passwd", SymlinkError, SymlinkError),
    "prefix": ("../m2/a", SymlinkError, SymlinkError),
    "dangling": ("nowhere", SymlinkError, SymlinkError),
    "loop": ("link", SymlinkError, SpecialFileError),
    "folder": ("sub", SymlinkError, SymlinkError),
    "device": ("/dev/null", SymlinkError, SymlinkError),
}


@pytest.mark.parametrize("case", LINKS)
@pytest.mark.parametrize("allowed", [False, True])
def test_walk_follows_a_link_only_to_a_file_inside_and_only_if_allowed(
    tmp_path: Path, case: str, allowed: bool
) -> None:
    model = plant(tmp_path / "m", "a", "sub/b")
    plant(tmp_path, "outside", "m2/a")
    target, refused, refused_if_allowed = LINKS[case]
    refusal = refused_if_allowed if allowed else refused
    if case == "chain":
        (model / "hop").symlink_to("a")
    (model / "link").symlink_to(target)
    if refusal is None:
        files = {file.path: file for file in walk(model, allow_symlinks=allowed).files}
        assert files["link"].location == str(model.resolve() / "a")
    else:
        with pytest.raises(refusal) as caught:
            walk(model, allow_symlinks=allowed)
        assert type(caught.value) is refusal
        assert caught.value.code == refusal.code


def test_walk_understands_a_hub_snapshot_whose_links_lead_to_its_blobs(tmp_path: Path) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub")
    tree = walk(snapshot)
    assert tree.layout is Layout.HUB_SNAPSHOT
    assert paths(tree) == ["README.md", "config.json", "model.safetensors", "tokenizer/vocab.txt"]
    blobs = (tmp_path / "hub/models--org--tiny/blobs").resolve()
    assert {Path(file.location).parent for file in tree.files} == {blobs}


def test_walk_follows_snapshot_links_into_blobs_that_the_whole_cache_shares(tmp_path: Path) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub")
    plant(tmp_path / "hub", "blobs/shared")
    (snapshot / "shared.bin").symlink_to("../../../blobs/shared")
    assert "shared.bin" in paths(walk(snapshot))


@pytest.mark.parametrize(
    "target",
    [
        "../../../secret",
        "../../../blobs2/x",
        "../../../models--other--one/blobs/x",
        "../../refs/main",
        "/etc/passwd",
        "config.json",
    ],
)
def test_walk_refuses_a_snapshot_link_that_leads_anywhere_else(tmp_path: Path, target: str) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub")
    plant(
        tmp_path / "hub",
        "secret",
        "blobs2/x",
        "models--other--one/blobs/x",
        "models--org--tiny/refs/main",
    )
    (snapshot / "link").symlink_to(target)
    if target == "config.json":  # A link to a link that ends in a blob is fine.
        assert "link" in paths(walk(snapshot))
        return
    with pytest.raises(SymlinkError) as caught:
        walk(snapshot)
    assert caught.value.code == "symlink-refused"


def test_walk_refuses_snapshot_links_through_blobs_that_are_a_link_elsewhere(
    tmp_path: Path,
) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub")
    plant(tmp_path, "outside/x")
    (tmp_path / "hub/blobs").symlink_to(tmp_path / "outside")
    (snapshot / "link").symlink_to("../../../blobs/x")
    with pytest.raises(SymlinkError):
        walk(snapshot)


@pytest.mark.parametrize("repository", ["blobs", "org--tiny", "model--org--tiny"])
def test_walk_takes_only_a_hub_repository_for_one(tmp_path: Path, repository: str) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub", repository=repository)
    with pytest.raises(SymlinkError):
        walk(snapshot)


def test_walk_takes_a_single_file_under_its_own_name(tmp_path: Path) -> None:
    plant(tmp_path, "weights.bin")
    tree = walk(tmp_path / "weights.bin")
    assert (tree.layout, tree.name, paths(tree)) == (Layout.FILE, "weights.bin", ["weights.bin"])


def test_walk_follows_a_single_file_that_is_a_link_and_keeps_the_links_name(tmp_path: Path) -> None:
    snapshot = make_hub_snapshot(tmp_path / "hub")
    (file,) = walk(snapshot / "config.json").files
    assert file.path == "config.json"
    assert "/blobs/" in file.location


@pytest.mark.parametrize("name", ["nothing", "dangling", "a/below"])
def test_walk_refuses_a_model_that_is_not_there(tmp_path: Path, name: str) -> None:
    plant(tmp_path, "a")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(ModelNotFoundError) as caught:
        walk(tmp_path / name)
    assert caught.value.code == "model-not-found"


def test_walk_refuses_a_fifo_as_the_model_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecialFileError):
        walk(tmp_path / "pipe")


def test_walk_refuses_a_fifo_in_the_model(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a")
    os.mkfifo(model / "pipe")
    with pytest.raises(SpecialFileError) as caught:
        walk(model)
    assert caught.value.code == "special-file"


def test_walk_refuses_a_link_to_a_fifo_inside_the_model(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a")
    os.mkfifo(model / "zpipe")
    (model / "alink").symlink_to("zpipe")
    with pytest.raises(SpecialFileError):
        walk(model, allow_symlinks=True, ignored=[("zpipe", SIGNER)])


def test_walk_refuses_a_socket_in_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = plant(tmp_path / "m", "a")
    monkeypatch.chdir(model)  # A socket's path may hold about a hundred bytes only.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(SpecialFileError):
            walk(model)


@pytest.mark.parametrize("name", [b"\xff.bin", b"a\xc3", b"\xed\xa0\x80"])
def test_walk_refuses_a_name_that_is_not_utf8(tmp_path: Path, name: bytes) -> None:
    model = plant(tmp_path / "m", "a")
    with open(os.path.join(os.fsencode(model), name), "wb"):
        pass
    with pytest.raises(UndecodableNameError) as caught:
        walk(model)
    assert caught.value.code == "name-not-utf8"
    str(caught.value).encode()  # The message itself can be printed anywhere.


@pytest.mark.parametrize("name", ["a\\b", "..\\x", "C:"])
def test_walk_refuses_a_name_that_another_system_reads_as_a_path(tmp_path: Path, name: str) -> None:
    model = plant(tmp_path / "m", "a")
    (model / name).write_bytes(b"")
    with pytest.raises(UnsafeNameError) as caught:
        walk(model)
    assert caught.value.code == "unsafe-name"


def test_walk_escapes_control_characters_in_what_it_refuses(tmp_path: Path) -> None:
    model = plant(tmp_path / "m", "a")
    os.mkfifo(model / "\x1b[2Jfine")
    with pytest.raises(SpecialFileError, match=r"\\x1b\[2Jfine"):
        walk(model)


def test_walk_takes_as_many_files_as_the_limit_and_not_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk_module, "MAX_FILES", 3)
    model = plant(tmp_path / "m", "a", "b", "sub/c")
    assert len(walk(model).files) == 3
    plant(model, "d")
    with pytest.raises(TooLargeError) as caught:
        walk(model)
    assert (caught.value.code, caught.value.limit) == ("too-large", 3)
