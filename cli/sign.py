"""`countermark sign`: a model and a key in, `model.sig` out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

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
from countermark.cli.output import Output, human_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countermark.signing import DigestCache, Identity, Previous, Snapshot

__all__ = ["command"]


@verb(
    "sign",
    short_help="Sign a model.",
    examples="""\
countermark sign model/ --private-key release.key
countermark sign model/ --private-key release.key --signing-cert release.pem --cert-chain ca.pem
countermark sign model/ --private-key release.key --private-key later.key
countermark sign model/ --private-key release.key --replace --cache digests.json \\
    --previous model/model.sig""",
)
@model_argument
@click.option(
    "--private-key",
    "private_keys",
    type=EXISTING_FILE,
    multiple=True,
    required=True,
    help="PEM private key. Given again, each further key signs the same statement, into "
    "model.sigs.jsonl.",
)
@click.option("--password-file", type=EXISTING_FILE, help="First line: the key's password.")
@click.option("--signing-cert", type=EXISTING_FILE, help="Certificate of the (first) key.")
@click.option(
    "--cert-chain",
    "cert_chains",
    type=EXISTING_FILE,
    multiple=True,
    help="Issuers of the certificate, PEM.",
)
@click.option("--signature", type=PATH, help="Where to write.  [default: model.sig, see above]")
@click.option(
    "--digest",
    "algorithm",
    type=click.Choice(["sha256", "blake3", "blake2b"]),
    default="sha256",
    help="What files are signed by.",
)
@click.option("--shard-size", type=click.IntRange(min=1), help="OMS shards of this many bytes.")
@click.option("--no-trees", is_flag=True, help="Leave out the block and tensor trees of the files.")
@click.option(
    "--dialect",
    type=click.Choice(["python", "spec"]),
    default="python",
    help="Whom to write for where OMS and its reference tool differ.",
)
@unset_by_environment(
    "--ignore-path",
    "ignore_paths",
    type=PATH,
    multiple=True,
    help="Leave this file or folder out, and say so in the signature.",
)
@unset_by_environment(
    "--allow-symlinks", is_flag=True, help="Follow links to files inside the model."
)
@click.option("--no-ignore-git", is_flag=True, help="Sign .git and its like, too.")
@unset_by_environment("--replace", is_flag=True, help="Replace a signature that is there.")
@cache_option
@click.option(
    "--previous",
    type=EXISTING_FILE,
    help="An earlier signature: files that --cache knows to be unchanged are not read again.",
)
@click.option(
    "--public-key",
    "public_keys",
    type=EXISTING_FILE,
    multiple=True,
    help="Verifies --previous. [default: the public half of --private-key]",
)
@framed
def command(
    output: Output,
    model: Path,
    private_keys: tuple[Path, ...],
    password_file: Path | None,
    signing_cert: Path | None,
    cert_chains: tuple[Path, ...],
    signature: Path | None,
    algorithm: str,
    shard_size: int | None,
    no_trees: bool,
    dialect: str,
    ignore_paths: tuple[Path, ...],
    allow_symlinks: bool,
    no_ignore_git: bool,
    replace: bool,
    cache: Path | None,
    previous: Path | None,
    public_keys: tuple[Path, ...],
) -> int:
    """Sign MODEL: a folder, a single file, or a snapshot in a Hugging Face cache.

    The signature is an OpenSSF Model Signing bundle, which other OMS tools verify. Without
    --signature it is MODEL/model.sig, or model.sig beside a single file.
    """
    from countermark.signing.places import default_signature, evidence_files
    from countermark.signing.sign import sign_snapshot, write_signed
    from countermark.signing.snapshot import SnapshotOptions, take_snapshot
    from countermark.signing.statement import Dialect

    if previous is not None and cache is None:
        raise click.UsageError("--previous needs --cache, which knows what did not change")
    if cert_chains and signing_cert is None:
        raise click.UsageError("--cert-chain needs --signing-cert")
    ignored = relative_to_model(model, ignore_paths, must_exist=True)
    target = signature or default_signature(model)
    signers = _signers(private_keys, password_file, signing_cert, cert_chains)
    known = _load_cache(cache)
    snapshot = take_snapshot(
        model,
        SnapshotOptions(
            algorithm=algorithm,
            shard_bytes=shard_size,
            trees=not no_trees,
            ignore_paths=ignored,
            allow_symlinks=allow_symlinks,
            skip_git=not no_ignore_git,
            mapped=True,
        ),
        exclude=evidence_files(target),
        cache=known,
        previous=_previous(previous, signers, public_keys, known),
        progress=output.progress_bar("signing"),
    )
    written = write_signed(
        sign_snapshot(snapshot, signers, dialect=Dialect(dialect)), target, replace=replace
    )
    if known is not None:
        known.save()
    _report(output, snapshot, signers, written)
    return 0


def _signers(
    private_keys: Sequence[Path],
    password_file: Path | None,
    signing_cert: Path | None,
    cert_chains: Sequence[Path],
) -> list[Identity]:
    from countermark.cli.secrets import key_password
    from countermark.signing.errors import WrongPasswordError
    from countermark.signing.keys import MAX_KEY_BYTES, load_private_key
    from countermark.signing.sign import Identity

    password = key_password(password_file)
    signers = []
    for index, path in enumerate(private_keys):
        data = read_bounded(path, MAX_KEY_BYTES)
        # A password in the environment may be meant for another of several keys.
        encrypted = b"ENCRYPTED" in data
        key = load_private_key(data, password=password if encrypted or password_file else None)
        chain: tuple[bytes, ...] = ()
        if index == 0 and signing_cert is not None:
            from countermark.cli.certificates import signing_chain

            chain = signing_chain(key, signing_cert, cert_chains)
        signers.append(Identity(key=key, chain=chain))
    if password_file is not None and not signers:
        raise WrongPasswordError("a password, and no key it could open")
    return signers


def _load_cache(path: Path | None) -> DigestCache | None:
    if path is None:
        return None
    from countermark.cli.secrets import cache_key
    from countermark.signing.cache import DigestCache

    return DigestCache.load(path, cache_key())


def _previous(
    path: Path | None,
    signers: Sequence[Identity],
    public_keys: Sequence[Path],
    cache: DigestCache | None,
) -> Previous | None:
    if path is None or cache is None:
        return None
    from countermark.signing.keys import MAX_KEY_BYTES, load_public_key
    from countermark.signing.previous import load_previous

    keys = [load_public_key(read_bounded(key, MAX_KEY_BYTES)) for key in public_keys]
    return load_previous(path, keys or [signer.key.public_key for signer in signers], cache)


def _report(
    output: Output, snapshot: Snapshot, signers: Sequence[Identity], written: Sequence[Path]
) -> None:
    from countermark.signing.names import printable
    from countermark.signing.verdict import check_document

    manifest = snapshot.manifest
    size = sum(file.size_bytes or 0 for file in manifest.files)
    output.document(
        {
            "schema": "countermark/sign/v1",
            "verdict": "done",
            "signature": str(written[0]),
            "files_written": [str(path) for path in written],
            "files": len(manifest.files),
            "files_reused": snapshot.files_reused,
            "bytes": size,
            "digest": manifest.hash_type,
            "signers": [
                {"key_id": s.key.public_key.key_id, "algorithm": s.key.public_key.algorithm}
                for s in signers
            ],
            "notes": [check_document(note) for note in snapshot.notes],
        }
    )
    reused = f", {snapshot.files_reused} not read again" if snapshot.files_reused else ""
    count = len(manifest.files)
    output.line(
        "signed",
        f"{printable(manifest.name)} ({count} file{'s' if count != 1 else ''}, "
        f"{human_bytes(size)}{reused})",
        tone="good",
    )
    for signer in signers:
        key = signer.key.public_key
        output.line("by", f"key {key.key_id[:16]}… ({key.algorithm})")
    output.line("written", ", ".join(printable(str(path)) for path in written))
    for note in snapshot.notes:
        output.note(note.sentence, note.hint)
