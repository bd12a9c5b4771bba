"""Files against their signed manifest: steps 4 to 6 of verification."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from countermark.signing.cache import DigestCache, read_all
from countermark.signing.compare import (
    Matching,
    is_as_signed,
    match_files,
    plan_jobs,
)
from countermark.signing.coverage import coverage_checks, coverage_of
from countermark.signing.digest import FileDigest, Plan
from countermark.signing.manifest import FileEntry, Manifest
from countermark.signing.names import is_below, printable
from countermark.signing.places import evidence_files
from countermark.signing.verdict import (
    Check,
    Coverage,
    Finding,
    Outcome,
    failed,
    held,
    warned,
)
from countermark.signing.walk import GIT_NAMES, HUB_METADATA, ModelFile, walk

__all__ = ["FilesExamined", "VerifyOptions", "examine_files"]

_MAX_LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """What the caller accepts beyond "exactly what was signed".

    Attributes:
        ignore_paths: POSIX paths below the root that are not looked at.
        ignore_unsigned: Files that nobody signed may lie around, but no weights.
        partial: Signed files may be absent; the verdict is then inconclusive.
        accept_partial: ... or verified, for those that are here.
        allow_uncovered_weights: Weights may lie here that the signature does not cover.
        skip_git: Leave git's own files at the top unchecked, as OMS does, unless signed.
        thorough: Recompute every signed digest of each file, not only the fastest.
        mapped: Map files under a read lease instead of copying them (see `mapping`).

    """

    ignore_paths: tuple[str, ...] = ()
    ignore_unsigned: bool = False
    partial: bool = False
    accept_partial: bool = False
    allow_uncovered_weights: bool = False
    skip_git: bool = True
    thorough: bool = False
    mapped: bool = False


class FilesExamined(NamedTuple):
    """What steps 4 to 6 found; `files` are those that are as signed."""

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    coverage: Coverage
    files: tuple[ModelFile, ...]


def examine_files(
    model: Path,
    manifest: Manifest,
    options: VerifyOptions,
    *,
    signature: Path,
    cache: DigestCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FilesExamined:
    """Compare a model with the manifest that was signed.

    Raises:
        ModelError: The model cannot be read safely.
        MalformedError: Manifest and model are not of one shape.
        OSError: The disk refused.

    """
    tree = walk(
        model,
        ignored=list(_ignored(manifest, options)),
        allow_symlinks=manifest.allow_symlinks,
        exclude=evidence_files(signature),
        skip_git=options.skip_git,
        keep=_signed_leftovers(manifest),
    )
    matching = match_files(manifest, tree, ignored=options.ignore_paths)
    jobs, cached = plan_jobs(matching.pairs, manifest, cache=cache, thorough=options.thorough)
    digests = read_all(jobs, cache=cache, progress=progress, mapped=options.mapped)
    entries = {file.path: entry for entry, file in matching.pairs}
    bad = [found for found in digests if not is_as_signed(entries[found.file.path], found)]
    findings = [
        *_changed(bad, entries, manifest, signature),
        *_displaced(matching, manifest, options),
    ]
    coverage = coverage_of(
        manifest, tree, matching, digests, cached, look_at_unsigned=options.ignore_unsigned
    )
    wrong = {found.file.path for found in bad}
    return FilesExamined(
        checks=tuple(
            itertools.chain(
                _integrity_checks(findings, matching, coverage, options),
                coverage_checks(coverage, allow_uncovered_weights=options.allow_uncovered_weights),
                [
                    warned("malformed-safetensors", f"{printable(d.file.path)}: {d.malformed}")
                    for d in digests
                    if d.malformed
                ],
            )
        ),
        findings=tuple(findings),
        coverage=coverage,
        files=tuple([file for _, file in matching.pairs if file.path not in wrong]),
    )


def _ignored(manifest: Manifest, options: VerifyOptions) -> Iterator[tuple[str, str]]:
    for path in options.ignore_paths:
        yield path, "ignored-by-you"
    for path in manifest.ignore_paths:
        # With skip_git off, the caller wants git's files checked, whatever the signer says.
        if options.skip_git or path.partition("/")[0] not in GIT_NAMES:
            yield path.rstrip("/"), "ignored-by-signer"


def _signed_leftovers(manifest: Manifest) -> frozenset[str]:
    """Return what is usually left out, and was signed here: then it must be as signed."""
    hidden = [entry.path for entry in manifest.files if entry.path.startswith(".")]
    return frozenset(
        name for name in (*GIT_NAMES, HUB_METADATA) if any(is_below(path, name) for path in hidden)
    )


def _changed(
    bad: Sequence[FileDigest],
    entries: Mapping[str, FileEntry],
    manifest: Manifest,
    signature: Path,
) -> Iterator[Finding]:
    if not bad:
        return
    from countermark.signing.explain import explain_change
    from countermark.signing.signed_trees import signed_leaves

    leaves = signed_leaves(signature, [entries[found.file.path] for found in bad])
    for found in bad:
        entry = entries[found.file.path]
        yield explain_change(
            entry, found, hash_type=manifest.hash_type, leaves=leaves.get(entry.path)
        )


def _displaced(matching: Matching, manifest: Manifest, options: VerifyOptions) -> Iterator[Finding]:
    """Yield findings for names that are missing, new, or exchanged."""
    if not (matching.renamed or matching.missing or matching.extra):
        return
    from countermark.signing.explain import explain_extra, explain_missing, pair_renamed

    if matching.renamed:
        pair = matching.pairs[0]
        yield Finding(
            path=pair.entry.path,
            kind="renamed",
            sentence=f"the file was signed as {printable(pair.entry.path)} and is called "
            f"{printable(pair.file.path)}",
            hint="give the file back its name",
            other_path=pair.file.path,
            size_bytes=pair.file.identity.size_bytes,
        )

    plan = Plan(manifest.hash_type, manifest.shard_bytes)
    renamed, old, new = pair_renamed(matching.missing, matching.extra, plan)
    yield from renamed
    for entry in matching.missing:
        if entry.path not in old and not (options.partial or options.accept_partial):
            yield explain_missing(entry)
    for file in matching.extra:
        if file.path not in new and not options.ignore_unsigned:
            yield explain_extra(file)


def _integrity_checks(
    findings: Sequence[Finding],
    matching: Matching,
    coverage: Coverage,
    options: VerifyOptions,
) -> Iterator[Check]:
    if not matching.pairs and not findings:
        yield failed(
            "nothing-present",
            Outcome.INCONCLUSIVE,
            "not one of the signed files is here",
            "is this the right folder?",
        )
    for finding in findings[:_MAX_LISTED]:
        yield failed(f"file-{finding.kind}", Outcome.TAMPERED, finding.sentence, finding.hint)
    if len(findings) > _MAX_LISTED:
        more = len(findings) - _MAX_LISTED
        yield failed("more-findings", Outcome.TAMPERED, f"and {more} more files are not as signed")
    if matching.name_unbound:
        yield warned(
            "name-not-bound",
            "the signature does not say what the file is called: it would hold under any name",
        )
    if matching.missing and (options.partial or options.accept_partial):
        here, all_files = coverage.files_checked, coverage.files_signed
        sentence = f"{here} of {all_files} signed files are here; nothing is said about the others"
        if options.accept_partial:
            yield warned("partial", sentence)
        else:
            yield failed(
                "partial",
                Outcome.INCONCLUSIVE,
                sentence,
                "accept that with --accept-partial",
            )
    if matching.pairs and not findings:
        cached = f", {coverage.files_cached} of them cached" if coverage.files_cached else ""
        yield held(
            "files-match",
            f"{coverage.files_checked} file{'s are' if coverage.files_checked != 1 else ' is'} "
            f"as signed ({coverage.bytes_checked} bytes{cached})",
        )
