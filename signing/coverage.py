"""What a signature speaks for and what it does not: said out loud in every verdict."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from countermark.signing.cache import BLOCKS
from countermark.signing.compare import Matching, Pair, bytes_of
from countermark.signing.digest import FileDigest
from countermark.signing.filekinds import HEAD_BYTES, is_weights, kind_of_head, kind_of_name
from countermark.signing.manifest import Manifest
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Coverage, Outcome, Uncovered, failed, warned
from countermark.signing.walk import ModelTree

__all__ = ["coverage_checks", "coverage_of"]

_REASONS = {
    "ignored-by-signer": "left out by the signer",
    "ignored-by-you": "left out at your wish",
    "git": "git's own",
    "hub-metadata": "download metadata",
    "incomplete-download": "a download that did not finish",
    "unsigned": "not signed",
    "empty-directory": "empty folders, which no signature covers",
}


def coverage_of(
    manifest: Manifest,
    tree: ModelTree,
    matching: Matching,
    digests: Sequence[FileDigest],
    cached: Sequence[Pair],
    *,
    look_at_unsigned: bool,
) -> Coverage:
    """Return how much of what lies here, and of what was signed, was checked.

    With `look_at_unsigned`, files that nobody signed are judged by their first bytes: whoever
    accepts such files does not mean weights under a harmless name.
    """
    kinds = {found.file.path: found.kind for found in digests}
    uncovered = [
        Uncovered(path=item.path, reason=item.reason, kind=_kind_below(tree.root, item.path))
        for item in tree.skipped
    ]
    for file in matching.extra:
        kind = kind_of_name(file.path)
        if look_at_unsigned:
            kind = _kind_at(file.location, file.path)
        uncovered.append(Uncovered(path=file.path, reason="unsigned", kind=kind))
    for entries, reason in (
        (matching.missing, "not-present"),
        (matching.ignored, "ignored-by-you"),
    ):
        uncovered.extend(
            Uncovered(path=entry.path, reason=reason, kind=kind_of_name(entry.path))
            for entry in entries
        )
    flagged = []
    for _, (path, _, _, executable) in matching.pairs:
        # A file that the cache knows is not opened again, so its name has to do.
        kind = kinds.get(path) or kind_of_name(path)
        if kind in ("pickle", "code"):
            flagged.append((path, kind))
        if executable:
            flagged.append((path, "executable"))
    recomputed = {BLOCKS for found in digests if found.tree is not None}
    recomputed |= {found.algorithm for found in digests if found.algorithm}
    return Coverage(
        files_signed=len(manifest.files),
        files_checked=len(matching.pairs),
        files_cached=len(cached),
        bytes_checked=bytes_of([file for _, file in matching.pairs]),
        digests=tuple(sorted(recomputed)),
        uncovered=tuple(uncovered),
        flagged=tuple(flagged),
    )


def _kind_below(root: str, path: str) -> str:
    if path.endswith("/"):
        return kind_of_name(path[:-1])
    return _kind_at(os.path.join(root, path), path)


def _kind_at(location: str, path: str) -> str:
    """Return the kind of a file that was not read, by its first bytes, whatever its name.

    Only regular files are opened, and no link is followed: what an ignored link leads to may
    lie outside the model, and opening a device can do things.
    """
    try:
        if not stat.S_ISREG(os.lstat(location).st_mode):
            return kind_of_name(path)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(location, flags)
    except OSError:
        return kind_of_name(path)
    try:
        return kind_of_head(path, os.read(descriptor, HEAD_BYTES))
    except OSError:
        return kind_of_name(path)
    finally:
        os.close(descriptor)


def coverage_checks(coverage: Coverage, *, allow_uncovered_weights: bool) -> Iterator[Check]:
    """Yield what the reader should know about it, and refuse weights that nobody vouches for."""
    bare = [
        item
        for item in coverage.uncovered
        if is_weights(item.kind) and item.reason in ("ignored-by-signer", "unsigned")
    ]
    if bare and not allow_uncovered_weights:
        yield failed(
            "weights-not-covered",
            Outcome.REFUSED,
            f"{_listed([item.path for item in bare])}: weights that the signature does not cover",
            "remove them, or accept them with --allow-uncovered-weights",
        )
    for reason, words in _REASONS.items():
        paths = [item.path for item in coverage.uncovered if item.reason == reason]
        if paths:
            yield warned(f"not-covered-{reason}", f"not checked: {_listed(paths)} ({words})")
    for kind, words in (
        ("pickle", "pickles: loading one runs whatever it says"),
        ("code", "code, which runs if it is loaded with trust_remote_code or called"),
        ("executable", "marked executable, which no signature covers"),
    ):
        paths = [path for path, flag in coverage.flagged if flag == kind]
        if paths:
            yield warned(f"{kind}-present", f"{_listed(paths)}: {words}")


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(printable(path) for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
