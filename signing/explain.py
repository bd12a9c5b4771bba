"""Why a file is not as signed: the answers people otherwise spend an afternoon on.

A Git LFS pointer instead of the file, converted line endings, a download that stopped, a
changed tensor, a name in another Unicode normal form. Nothing here changes a verdict; it
only makes it readable.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence

from countermark.signing.digest import FileDigest, Job, Plan, digest_files, open_unchanged
from countermark.signing.errors import ModelError
from countermark.signing.leaves import FileLeaves
from countermark.signing.manifest import FileEntry
from countermark.signing.names import printable
from countermark.signing.signed_trees import signed_tensors
from countermark.signing.trees import diff_tensors, first_bad_block
from countermark.signing.verdict import Finding
from countermark.signing.walk import ModelFile

__all__ = ["explain_change", "explain_extra", "explain_missing", "pair_renamed"]

_MAX_TEXT_BYTES = 16 * 1024 * 1024
_LFS_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n"
)
_MAX_LFS_BYTES = 1024


def explain_change(
    entry: FileEntry, found: FileDigest, *, hash_type: str, leaves: FileLeaves | None
) -> Finding:
    """Say why a file's bytes are not the signed ones.

    Args:
        entry: What was signed.
        found: What was read.
        hash_type: The manifest's algorithm.
        leaves: The signed file's block digests, checked against its root; None if unknown.

    """
    if entry.path == ".":  # The signer bound no name; a reader wants the one it has here.
        entry = entry._replace(path=found.file.path)
    return (
        _lfs_pointer(entry, found)
        or _line_endings(entry, found, hash_type)
        or _tensors(entry, found)
        or _truncated(entry, found)
        or _blocks(entry, found, leaves)
        or _finding(entry, found, "changed", "is not the file that was signed")
    )


def explain_missing(entry: FileEntry) -> Finding:
    """Say that a signed file is not here."""
    return Finding(
        path=entry.path,
        kind="missing",
        sentence=f"{printable(entry.path)} was signed and is not here",
        hint="finish the download, or pass --partial if only a part is wanted",
        size_bytes=entry.size_bytes,
    )


def explain_extra(file: ModelFile) -> Finding:
    """Say that a file is here that nobody signed."""
    return Finding(
        path=file.path,
        kind="extra",
        sentence=f"{printable(file.path)} is here and was not signed",
        hint="remove it; or accept unsigned files with --ignore-unsigned",
        size_bytes=file.identity.size_bytes,
    )


def pair_renamed(
    missing: Sequence[FileEntry],
    extra: Sequence[ModelFile],
    plan: Plan,
) -> tuple[list[Finding], set[str], set[str]]:
    """Find missing files that lie here under another name.

    Args:
        missing: Signed and not here.
        extra: Here and not signed.
        plan: The digests that were signed. Each extra file is read at most once, and not
            at all if nothing of its length is missing.

    Returns:
        The findings, the missing paths they explain, and the extra paths they explain.

    Raises:
        FileChangedError: An extra file does not stay the one the walk saw.
        OSError: An extra file cannot be read.

    """
    sizes = {entry.size_bytes for entry in missing}
    candidates = [file for file in extra if sizes & {None, file.identity.size_bytes}]
    digests = digest_files([Job(file, plan) for file in candidates])
    findings: list[Finding] = []
    old: set[str] = set()
    new: set[str] = set()
    # Of several files with the signed bytes, the one whose name looks the same is the one.
    for name_of in (_composed, _any_name):
        left: dict[object, list[ModelFile]] = {}
        for found in reversed(digests):
            if found.file.path not in new:
                key = (name_of(found.file.path), found.digest, found.shards)
                left.setdefault(key, []).append(found.file)
        for entry in missing:
            twins = left.get((name_of(entry.path), entry.digest, entry.shards))
            if twins and entry.path not in old:
                file = twins.pop()
                findings.append(_renamed(entry, file))
                old.add(entry.path)
                new.add(file.path)
    return findings, old, new


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _any_name(_: str) -> str:
    return ""


def _same_letters(first: str, second: str) -> bool:
    return _composed(first) == _composed(second)


def _renamed(entry: FileEntry, file: ModelFile) -> Finding:
    if _same_letters(entry.path, file.path):
        form = "NFC" if unicodedata.is_normalized("NFC", entry.path) else "NFD"
        return Finding(
            path=entry.path,
            kind="normalisation",
            sentence=f"{printable(entry.path)} is here with its name in another Unicode form "
            f"(signed: {form}); the two look alike and are different names",
            hint="copy the model with a tool that keeps names as they are",
            other_path=file.path,
            size_bytes=file.identity.size_bytes,
        )
    return Finding(
        path=entry.path,
        kind="renamed",
        sentence=f"{printable(entry.path)} is here under the name {printable(file.path)}",
        hint="give the file back its name",
        other_path=file.path,
        size_bytes=file.identity.size_bytes,
    )


def _finding(entry: FileEntry, found: FileDigest, kind: str, what: str, hint: str = "") -> Finding:
    return Finding(
        path=entry.path,
        kind=kind,
        sentence=f"{printable(entry.path)} {what}",
        hint=hint,
        size_bytes=found.file.identity.size_bytes,
    )


def _lfs_pointer(entry: FileEntry, found: FileDigest) -> Finding | None:
    size = found.file.identity.size_bytes
    if size > _MAX_LFS_BYTES:
        return None
    pointer = _LFS_POINTER.match(_read(found.file))
    if pointer is None:
        return None
    same = pointer.group(1).decode() == entry.digest
    return _finding(
        entry,
        found,
        "lfs-pointer",
        "is a Git LFS pointer, not the file" + (" (it points to the signed one)" if same else ""),
        "run 'git lfs pull', or download the file itself",
    )


def _line_endings(entry: FileEntry, found: FileDigest, hash_type: str) -> Finding | None:
    size = found.file.identity.size_bytes
    if not entry.digest or size > _MAX_TEXT_BYTES or found.kind not in ("config", "code", "other"):
        return None
    data = _read(found.file)
    unix = data.replace(b"\r\n", b"\n")
    for text, now in ((unix, "CRLF"), (unix.replace(b"\n", b"\r\n"), "LF")):
        if text != data and _digest(text, hash_type) == entry.digest:
            return _finding(
                entry,
                found,
                "line-endings",
                f"has other line endings than the signed file (now {now}), and no other change",
                "git does that: set 'core.autocrlf=false', or mark the file '-text'",
            )
    return None


def _truncated(entry: FileEntry, found: FileDigest) -> Finding | None:
    size = found.file.identity.size_bytes
    if entry.size_bytes is None or size >= entry.size_bytes:
        return None
    return _finding(
        entry,
        found,
        "truncated",
        f"ends after {size} of {entry.size_bytes} signed bytes",
        "fetch the file again; its download may have stopped early",
    )


def _tensors(entry: FileEntry, found: FileDigest) -> Finding | None:
    signed = signed_tensors(entry.trees)
    if signed is None or found.tree is None or found.tree.tensor_root is None:
        return None
    changes = diff_tensors(signed, found.tree.tensors)
    if not changes:
        return _finding(
            entry, found, "changed", "has another header than was signed; all tensors are the same"
        )
    size = found.file.identity.size_bytes
    changed_bytes = sum(c.size_bytes for c in changes if c.change != "reshaped")
    first = changes[0]
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    share = f"{100 * changed_bytes / size:.2g} % of its bytes" if size else "no byte"
    return Finding(
        path=entry.path,
        kind="changed",
        sentence=f"{printable(entry.path)}: tensor {printable(first.name)} is {first.change}{more}"
        f" ({len(changes)} of {len(signed)} tensors, {share})",
        tensors=changes,
        tensors_total=len(signed),
        changed_bytes=changed_bytes,
        size_bytes=size,
    )


def _blocks(entry: FileEntry, found: FileDigest, leaves: FileLeaves | None) -> Finding | None:
    if leaves is None or found.tree is None:
        return None
    now, then = found.tree.segments, leaves.segments
    if now != then and max(len(now), len(then)) > 1:
        return None  # Cut at other places, so that no two blocks can be compared.
    bad = first_bad_block(leaves.block_digests, found.tree.block_digests, leaves.segments)
    if bad is None:
        return None
    offset, length = bad
    where = f"between bytes {offset} and {offset + length}" if length else f"after byte {offset}"
    return _finding(entry, found, "changed", f"differs from the signed file first {where}")


def _digest(data: bytes, hash_type: str) -> str:
    if hash_type == "blake3":
        from blake3 import blake3

        return blake3(data).hexdigest()
    return hashlib.new(hash_type, data).hexdigest()


def _read(file: ModelFile) -> bytes:
    """Return a small file's bytes, or nothing if it changes right now."""
    try:
        with open_unchanged(file) as descriptor, os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(_MAX_TEXT_BYTES)
    except ModelError:
        return b""
