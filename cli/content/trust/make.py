"""`countermark content trust make`: lists of certificates become one dated file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.options import EXISTING_FILE, PATH, framed, unset_by_environment, verb
from countermark.cli.output import Output, human_bytes

if TYPE_CHECKING:
    from countermark.provenance.trust import TrustList

__all__ = ["command"]

NamedFile = tuple[str, Path]


def _named(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[NamedFile, ...]:
    """Parse each NAME=FILE."""
    files = []
    for value in values:
        name, _, file = value.partition("=")
        if not name or not file:
            raise click.BadParameter(f"{value!r} is not NAME=FILE", ctx=ctx, param=param)
        files.append((name, Path(EXISTING_FILE.convert(file, param, ctx))))
    return tuple(files)


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as e:
        raise click.BadParameter(f"{value!r} is not YYYY-MM-DD", ctx=ctx, param=param) from e


@verb(
    "content trust make",
    short_help="Make a trust bundle from lists of certificates.",
    examples="""\
countermark content trust make --name "C2PA, August 2026" --dated 2026-08-05 \\
    --list C2PA=C2PA-TRUST-LIST.pem --tsa C2PA-TSA=C2PA-TSA-TRUST-LIST.pem --out trust.json
countermark content trust make --name ours --list ours=ca.pem --allow partner.pem \\
    --out ours.json""",
)
@click.option("--name", required=True, help="What verdicts call it.")
@click.option("--out", type=PATH, required=True, help="Where it goes.")
@unset_by_environment(
    "--list",
    "manifest",
    callback=_named,
    multiple=True,
    metavar="NAME=FILE",
    help="PEM of CAs whose signers of content are believed. May be given again, as all of these.",
)
@unset_by_environment(
    "--tsa", callback=_named, multiple=True, metavar="NAME=FILE", help="PEM of CAs of timestamps."
)
@unset_by_environment(
    "--cawg",
    callback=_named,
    multiple=True,
    metavar="NAME=FILE",
    help="PEM of CAs of CAWG identities.",
)
@unset_by_environment(
    "--allow",
    type=EXISTING_FILE,
    multiple=True,
    help="PEM of signers' own certificates, which are believed by themselves.",
)
@unset_by_environment(
    "--purpose",
    "purposes",
    multiple=True,
    metavar="OID",
    help="Extended key usage of signers.  [default: C2PA claim signing, document signing]",
)
@click.option(
    "--dated", callback=_day, metavar="DATE", help="When you looked at it.  [default: today]"
)
@click.option("--valid-until", callback=_day, metavar="DATE", help="The last day it may be used.")
@unset_by_environment("--replace", is_flag=True, help="Replace a bundle that is there.")
@framed
def command(
    output: Output,
    /,
    name: str,
    out: Path,
    manifest: tuple[NamedFile, ...],
    tsa: tuple[NamedFile, ...],
    cawg: tuple[NamedFile, ...],
    allow: tuple[Path, ...],
    purposes: tuple[str, ...],
    dated: date | None,
    valid_until: date | None,
    replace: bool,
) -> int:
    """Make a trust bundle from PEM files that you checked.

    Whoever is in it is believed. Get the files from those whose lists they are, and sign the
    bundle if others are to use it.
    """
    from countermark.provenance.trust import (
        CLAIM_SIGNING,
        DOCUMENT_SIGNING,
        TrustBundle,
        dump_trust,
    )
    from countermark.signing.atomic import write_file
    from countermark.signing.names import printable

    if not (manifest or allow):
        raise click.UsageError("nobody would be believed: give a --list or --allow")
    bundle = TrustBundle(
        name=name,
        dated=dated or datetime.now(UTC).date(),
        valid_until=valid_until,
        lists=(
            *_lists(manifest, "manifest"),
            *_lists(tsa, "tsa"),
            *_lists(cawg, "cawg"),
        ),
        allowed=_fingerprints(allow),
        purposes=purposes or (CLAIM_SIGNING, DOCUMENT_SIGNING),
    )
    data = dump_trust(bundle)
    write_file(out, data, replace=replace)
    count = sum(len(listed.certificates) for listed in bundle.lists)
    digest = hashlib.sha256(data).hexdigest()
    output.document(
        {
            "schema": "countermark/content-trust-make/v1",
            "verdict": "done",
            "exit_code": 0,
            "out": str(out),
            "sha256": digest,
            "certificates": count,
            "allowed": len(bundle.allowed),
        }
    )
    output.line("written", f"{printable(str(out))}: {human_bytes(len(data))}", tone="good")
    output.line("sha256", digest)
    output.line("holds", f"{count} certificates of CAs, {len(bundle.allowed)} allowed signers")
    output.hint(f"sign it, so that nobody adds to it: countermark sign {printable(str(out))}")
    return 0


def _lists(files: Sequence[NamedFile], kind: str) -> list[TrustList]:
    from cryptography.hazmat.primitives.serialization import Encoding

    from countermark.cli.certificates import read_certificates
    from countermark.provenance.trust import TrustList
    from countermark.signing.names import printable

    return [
        TrustList(
            name=name,
            kind=kind,
            certificates=tuple(
                certificate.public_bytes(Encoding.DER) for certificate in read_certificates([file])
            ),
            source=f"{printable(file.name)[:100]}, "
            f"sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}",
        )
        for name, file in files
    ]


def _fingerprints(files: Sequence[Path]) -> tuple[str, ...]:
    from cryptography.hazmat.primitives.serialization import Encoding

    from countermark.cli.certificates import read_certificates

    found = (certificate.public_bytes(Encoding.DER) for certificate in read_certificates(files))
    return tuple(dict.fromkeys(hashlib.sha256(one).hexdigest() for one in found))
