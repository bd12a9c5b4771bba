"""An earlier signature, verified, as the ground on which to sign a changed model again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from countermark.signing.cache import DigestCache
from countermark.signing.errors import VerificationError
from countermark.signing.examination import read_bundles
from countermark.signing.keys import PublicKey
from countermark.signing.signatures import Trust, examine_signatures
from countermark.signing.signed_trees import signed_leaves
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
    return Previous(manifest=manifest, leaves=signed_leaves(signature, manifest.files), cache=cache)
