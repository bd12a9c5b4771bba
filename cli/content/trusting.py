"""Trust bundles named on the command line, and the key that must have signed them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from countermark.cli.options import EXISTING_FILE

if TYPE_CHECKING:
    from countermark.provenance.trust import TrustBundle

__all__ = ["TrustGiven", "read_trust_given", "trust_options"]

P = ParamSpec("P")
T = TypeVar("T")


class TrustGiven:
    """Which bundle, and who must have signed it."""

    def __init__(self, file: Path | None, key: Path | None, signature: Path | None) -> None:
        self.file = file
        self.key = key
        self.signature = signature
        if file is None and (key or signature):
            raise click.UsageError("--trust-key and --trust-signature are about --trust")
        if signature is not None and key is None:
            raise click.UsageError("--trust-signature without --trust-key shows nothing")


def trust_options(function: Callable[P, T]) -> Callable[P, T]:
    """Add `--trust` and what goes with it; the command gets them as `trust`, a `TrustGiven`."""

    @click.option("--trust", "trust_", type=EXISTING_FILE, help="Trust bundle: whom to believe.")
    @click.option("--trust-key", type=EXISTING_FILE, help="Public key that must have signed it.")
    @click.option(
        "--trust-signature",
        type=EXISTING_FILE,
        help="Its signature.  [default: FILE.sig or model.sig beside it]",
    )
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        file, key = kwargs.pop("trust_"), kwargs.pop("trust_key")
        kwargs["trust"] = TrustGiven(file, key, kwargs.pop("trust_signature"))  # type: ignore[arg-type]
        return function(*args, **kwargs)

    return wrapper


def read_trust_given(given: TrustGiven) -> TrustBundle | None:
    """Return the bundle; None if none was named.

    Raises:
        MalformedTrustError: It is none.
        SignatureNotFoundError: A key was named, and there is no signature.
        VerificationError: It does not hold, or is another's.

    """
    from countermark.provenance.trust_files import read_signed_trust, read_trust

    if given.file is None:
        return None
    if given.key is None:
        return read_trust(given.file)
    from countermark.cli.files import read_bounded
    from countermark.signing.keys import load_public_key
    from countermark.signing.places import find_signature
    from countermark.signing.signatures import Trust

    key = load_public_key(read_bounded(given.key, 1 << 16))
    signature = given.signature or find_signature(given.file)
    return read_signed_trust(given.file, signature, Trust(public_keys=(key,)))
