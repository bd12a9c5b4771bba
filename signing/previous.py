"""An earlier signature, verified, as the ground on which to sign a changed model again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from countermark.signing import leaves as leaves_format
from countermark.signing.cache import DigestCache
from countermark.signing.errors import MalformedError, VerificationError
from countermark.signing.examine import read_bundles
from countermark.signing.keys import PublicKey
from countermark.signing.leaves import FileLeaves
from countermark.signing.manifest import Manifest
from countermark.signing.places import leaves_file
from countermark.signing.signatures import Trust, examine_signatures
from countermark.signing.snapshot import Previous
from countermark.signing.statement_reader import parse_statement
from countermark.signing.verdict import Outcome, Verdict

__all__ = ["load_previous"]


def load_previous(signature: Path, keys: Sequence[PublicKey], cache: DigestCache) -> Previous:
    """Read an earlier signature whose digests may be used again.

    Args:
        signature: The earlier bundle; its leaves are found beside it.
        keys: All of these must have signed it.
        cache: Knows which files are still the ones that were digested then.

    Raises:
        VerificationError: One of the keys did not sign it.
        MalformedError: It cannot be read.
        OSError: The disk refused.

    """
    bundles, _ = read_bundles(signature)
    checks, signers = examine_signatures(bundles, Trust(public_keys=tuple(keys)))
    verdict = Verdict(subject=str(signature), checks=checks, signers=signers)
    if verdict.outcome is not Outcome.VERIFIED:
        raise VerificationError(verdict)
    manifest = parse_statement(bundles[0].payload)
    return Previous(manifest=manifest, leaves=_leaves(signature, manifest), cache=cache)


def _leaves(signature: Path, manifest: Manifest) -> dict[str, FileLeaves]:
    """Return the leaves that give their signed roots; a file without them is read again."""
    try:
        with leaves_file(signature).open("rb") as file:
            found = leaves_format.decode(file.read(leaves_format.MAX_LEAVES_BYTES + 1))
    except (FileNotFoundError, MalformedError):
        return {}
    good = {}
    for entry in manifest.files:
        if entry.trees is not None and entry.path in found:
            try:
                leaves_format.check(found[entry.path], bytes.fromhex(entry.trees.block_root))
            except MalformedError:
                continue
            good[entry.path] = found[entry.path]
    return good
