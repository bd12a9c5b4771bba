"""Verify a model: `examine` reports everything, `verify` lets only a good model through.

The order is the order of trust, and each step reads only what the one before it vouches
for:

1. Read the bundles: sizes and syntax.
2. Find the signatures of those whom the caller trusts.
3. Parse the signed statement, and recompute its roots.
4. Enumerate the model, and pair its files with the signed ones.
5. Digest the bytes, and compare.
6. Say what the signature does not cover, and refuse weights that it should.

Left to the caller: whether these signers may speak for this model, and that nothing writes
to the model afterwards. Bytes are checked now, and read again by whoever loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from countermark import Error
from countermark.signing.bundle import (
    MAX_BUNDLE_BYTES,
    Bundle,
    parse_bundle,
    parse_bundle_lines,
)
from countermark.signing.cache import DigestCache
from countermark.signing.errors import (
    MalformedError,
    ModelError,
    VerificationError,
)
from countermark.signing.integrity import VerifyOptions, examine_files
from countermark.signing.manifest import Manifest
from countermark.signing.names import printable
from countermark.signing.places import read_evidence, set_file
from countermark.signing.signatures import Trust, examine_signatures
from countermark.signing.statement_reader import parse_statement
from countermark.signing.verdict import (
    Check,
    Outcome,
    Status,
    Verdict,
    failed,
    held,
    warned,
)
from countermark.signing.walk import ModelFile

__all__ = ["Verified", "VerifyOptions", "examine", "read_bundles", "verify"]


class Verified(NamedTuple):
    """A model that was as signed, by somebody the caller trusts, when it was looked at.

    Attributes:
        verdict: Why.
        manifest: What was signed.
        files: Exactly the files that were checked; nothing else in the folder was.

    """

    verdict: Verdict
    manifest: Manifest
    files: tuple[ModelFile, ...]


class _Examined(NamedTuple):
    verdict: Verdict
    manifest: Manifest | None = None
    files: tuple[ModelFile, ...] = ()


def examine(
    model: Path,
    signature: Path,
    trust: Trust,
    options: VerifyOptions | None = None,
    *,
    cache: DigestCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Run every check that can be run, and report all of them.

    Args:
        model: Folder, file or Hub snapshot.
        signature: The bundle; further bundles and leaves are found beside it.
        trust: Whose signature counts.
        options: What to accept; by default nothing unusual.
        cache: Files it knows to be unchanged are not read again, and counted as cached.
        progress: Called with (bytes read, bytes to read).

    Raises:
        OSError: The disk refused; everything else is in the verdict.

    """
    return _examine(model, signature, trust, options or VerifyOptions(), cache, progress).verdict


def verify(
    model: Path,
    signature: Path,
    trust: Trust,
    options: VerifyOptions | None = None,
    *,
    cache: DigestCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """Return the checked files of a model, or refuse; arguments as for `examine`.

    Raises:
        VerificationError: Anything but `Outcome.VERIFIED`; it carries the verdict.
        OSError: The disk refused.

    """
    examined = _examine(model, signature, trust, options or VerifyOptions(), cache, progress)
    if examined.verdict.outcome is not Outcome.VERIFIED or examined.manifest is None:
        raise VerificationError(examined.verdict)
    return Verified(verdict=examined.verdict, manifest=examined.manifest, files=examined.files)


def read_bundles(signature: Path) -> tuple[tuple[Bundle, ...], tuple[Check, ...]]:
    """Read the main bundle and the further ones beside it that are over the same statement.

    Raises:
        FileNotFoundError: There is no main bundle.
        MalformedError: One of the files is not what it should be.

    """
    main = parse_bundle(read_evidence(signature, MAX_BUNDLE_BYTES))
    try:
        lines = read_evidence(set_file(signature), MAX_BUNDLE_BYTES)
    except FileNotFoundError:
        return (main,), ()
    further = parse_bundle_lines(lines)
    same = tuple(bundle for bundle in further if bundle.payload == main.payload)
    checks: tuple[Check, ...] = ()
    if len(same) < len(further):
        checks = (
            warned(
                "other-statement",
                f"{printable(set_file(signature).name)}: {len(further) - len(same)} of "
                f"{len(further)} bundles are about another statement, and were not counted",
            ),
        )
    return (main, *same), checks


def _examine(
    model: Path,
    signature: Path,
    trust: Trust,
    options: VerifyOptions,
    cache: DigestCache | None,
    progress: Callable[[int, int], None] | None,
) -> _Examined:
    subject = str(model)
    try:
        bundles, checks = read_bundles(signature)  # 1.
    except FileNotFoundError:
        name = printable(str(signature))
        check = failed("unsigned", Outcome.NOTHING_TO_VERIFY, f"{name} does not exist")
        return _Examined(Verdict(subject=subject, checks=(check,)))
    except MalformedError as e:
        return _Examined(Verdict(subject=subject, checks=(_malformed(e),)))

    signature_checks, signers = examine_signatures(bundles, trust)  # 2.
    checks = (*signature_checks, *checks)
    if _any_failed(checks):
        return _Examined(Verdict(subject=subject, checks=checks, signers=signers))

    try:
        manifest = parse_statement(bundles[0].payload)  # 3.
    except MalformedError as e:
        checks = (*checks, _malformed(e))
        return _Examined(Verdict(subject=subject, checks=checks, signers=signers))
    checks = (*checks, *_about_statement(manifest))

    try:
        result = examine_files(  # 4. to 6.
            model, manifest, options, signature=signature, cache=cache, progress=progress
        )
    except (ModelError, MalformedError) as e:
        checks = (*checks, _refused(e))
        return _Examined(Verdict(subject=subject, checks=checks, signers=signers), manifest)
    verdict = Verdict(
        subject=subject,
        checks=(*checks, *result.checks),
        findings=result.findings,
        coverage=result.coverage,
        signers=signers,
        model_digest=manifest.model_digest,
    )
    return _Examined(verdict, manifest, result.files)


def _about_statement(manifest: Manifest) -> tuple[Check, ...]:
    count = len(manifest.files)
    fine = held(
        "statement-valid",
        f"the statement is about {count} file{'s' if count != 1 else ''} "
        f"({manifest.hash_type}, {manifest.method})",
    )
    if not manifest.legacy:
        return (fine,)
    old = warned(
        "legacy-statement",
        "the statement has the v0.1 form, which records neither ignored files nor link policy",
        "ask the publisher to sign the model again",
    )
    return (fine, old)


def _any_failed(checks: Sequence[Check]) -> bool:
    return any(check.status is Status.FAILED for check in checks)


def _malformed(error: Error) -> Check:
    return failed(error.code, Outcome.MALFORMED, str(error), error.hint)


def _refused(error: Error) -> Check:
    outcome = Outcome.REFUSED
    if isinstance(error, MalformedError):
        outcome = Outcome.MALFORMED
    elif error.code == "changed-while-reading":
        outcome = Outcome.TAMPERED
    return failed(error.code, outcome, str(error), error.hint)
