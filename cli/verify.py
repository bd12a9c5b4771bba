"""`countermark verify`: may I rely on this model?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.exits import EXIT_OF
from countermark.cli.files import read_bounded
from countermark.cli.options import (
    EXISTING_FILE,
    PATH,
    cache_option,
    framed,
    model_argument,
    relative_to_model,
    unset_by_environment,
    verb,
)
from countermark.cli.output import Output

if TYPE_CHECKING:
    from countermark.signing import Trust

__all__ = ["command"]


@verb(
    "verify",
    short_help="Verify a model against its signature.",
    examples="""\
countermark verify model/ --public-key release.pub
countermark verify model/ --cert-chain ca.pem --identity 'email:release@example.org'
countermark verify model/ --public-key release.pub --partial --json""",
)
@model_argument
@click.option("--signature", type=PATH, help="The bundle.  [default: model.sig in or beside MODEL]")
@click.option(
    "--public-key",
    "public_keys",
    type=EXISTING_FILE,
    multiple=True,
    help="PEM key that must have signed. Given again, all of them must.",
)
@click.option(
    "--cert-chain",
    "cert_chains",
    type=EXISTING_FILE,
    multiple=True,
    help="PEM certificates that the signer's certificate must lead to.",
)
@click.option(
    "--identity",
    "identities",
    multiple=True,
    help="Whose certificate: email:…, uri:… or dns:…, * within one part. Any one of them.",
)
@click.option(
    "--tsa-chain",
    "tsa_chains",
    type=EXISTING_FILE,
    multiple=True,
    help="PEM roots of timestamp authorities; certificates are judged at the stamped time.",
)
@unset_by_environment(
    "--ignore-path",
    "ignore_paths",
    type=PATH,
    multiple=True,
    help="Do not look at this file or folder.",
)
@unset_by_environment(
    "--ignore-unsigned", is_flag=True, help="Accept files that nobody signed, but no weights."
)
@unset_by_environment(
    "--partial", is_flag=True, help="Signed files may be absent: exit 15, with what is covered."
)
@unset_by_environment(
    "--accept-partial",
    is_flag=True,
    help="As --partial, and exit 0 if all that is here is as signed.",
)
@unset_by_environment(
    "--allow-uncovered-weights",
    is_flag=True,
    help="Accept weights that the signature does not cover.",
)
@click.option("--no-ignore-git", is_flag=True, help="Check .git and its like, too.")
@click.option("--thorough", is_flag=True, help="Recompute every signed digest, not the fastest.")
@cache_option
@framed
def command(
    output: Output,
    model: Path,
    signature: Path | None,
    public_keys: tuple[Path, ...],
    cert_chains: tuple[Path, ...],
    identities: tuple[str, ...],
    tsa_chains: tuple[Path, ...],
    ignore_paths: tuple[Path, ...],
    ignore_unsigned: bool,
    partial: bool,
    accept_partial: bool,
    allow_uncovered_weights: bool,
    no_ignore_git: bool,
    thorough: bool,
    cache: Path | None,
) -> int:
    """Verify MODEL: a folder, a single file, or a snapshot in a Hugging Face cache.

    Say whose signature counts with --public-key, or with --cert-chain and --identity. Nothing
    is fetched, and nothing in the model is run.
    """
    from countermark.cli.verdicts import print_verdict, unsigned
    from countermark.signing.errors import SignatureNotFoundError
    from countermark.signing.examination import VerifyOptions, examine
    from countermark.signing.places import find_signature

    if identities and not cert_chains:
        raise click.UsageError("--identity needs --cert-chain")
    options = VerifyOptions(
        ignore_paths=relative_to_model(model, ignore_paths, must_exist=False),
        ignore_unsigned=ignore_unsigned,
        partial=partial,
        accept_partial=accept_partial,
        allow_uncovered_weights=allow_uncovered_weights,
        skip_git=not no_ignore_git,
        thorough=thorough,
        mapped=True,
    )
    trust = _trust(public_keys, cert_chains, identities, tsa_chains)
    known = None
    if cache is not None:
        from countermark.cli.secrets import cache_key
        from countermark.signing.cache import DigestCache

        known = DigestCache.load(cache, cache_key())
    try:
        verdict = examine(
            model,
            signature or find_signature(model),
            trust,
            options,
            cache=known,
            progress=output.progress_bar("verifying"),
        )
    except SignatureNotFoundError as e:
        verdict = unsigned(model, e)
    if known is not None:
        known.save()
    print_verdict(output, verdict)
    return EXIT_OF[verdict.outcome]


def _trust(
    public_keys: tuple[Path, ...],
    cert_chains: tuple[Path, ...],
    identities: tuple[str, ...],
    tsa_chains: tuple[Path, ...],
) -> Trust:
    from countermark.signing.keys import MAX_KEY_BYTES, load_public_key
    from countermark.signing.signatures import Trust

    keys = tuple(load_public_key(read_bounded(path, MAX_KEY_BYTES)) for path in public_keys)
    if not cert_chains and not tsa_chains:
        return Trust(public_keys=keys)
    from countermark.cli.certificates import read_certificates

    return Trust(
        public_keys=keys,
        roots=read_certificates(cert_chains),
        identities=identities,
        tsa_roots=read_certificates(tsa_chains),
    )
