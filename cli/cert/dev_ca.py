"""`countermark cert dev-ca`: everything that signing content takes, for development."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.options import PATH, framed, unset_by_environment, verb
from countermark.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from countermark.cli.cert.timestamp_server import TimestampServer
    from countermark.provenance.dev_ca import DevCredentials

__all__ = ["command"]

# As in `provenance.dev_ca`, repeated so that --help does not load it (a test compares).
TYPES = ("ec-p256", "ec-p384", "ec-p521", "ed25519", "rsa-3072", "rsa-4096")
_MAX_DAYS = 3650
_PROFILE_DAYS = 365
_PRIVATE = {"signer.key", "tsa.key"}


@verb(
    "cert dev-ca",
    short_help="Make a CA, a signer and a timestamp authority, for development.",
    examples="""\
countermark cert dev-ca dev
countermark cert dev-ca dev --organization 'Acme, for tests' --key-type ed25519 --days 30
countermark cert dev-ca dev --serve-tsa""",
)
@click.argument("folder", type=PATH)
@click.option(
    "--organization",
    default="Countermark",
    metavar="NAME",
    help="Whom the certificates name.",
)
@click.option(
    "--key-type", type=click.Choice(TYPES), default="ec-p256", help="Of the signer's key."
)
@click.option(
    "--days",
    type=click.IntRange(1, _MAX_DAYS),
    default=_PROFILE_DAYS,
    help="How long the signer's certificate is valid.",
)
@click.option("--serve-tsa", is_flag=True, help="Then serve timestamps, as dev-tsa does.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=3161, help="Of --serve-tsa; 0: a free one."
)
@unset_by_environment("--replace", is_flag=True, help="Replace what an earlier run made.")
@framed
def command(
    output: Output,
    folder: Path,
    organization: str,
    key_type: str,
    days: int,
    serve_tsa: bool,
    port: int,
    replace: bool,
) -> int:
    """Make, in FOLDER, what it takes to sign content and to have it verified on this machine.

    ca.pem is the root, signer.pem and signer.key sign content, tsa.pem and tsa.key sign
    timestamps (`cert dev-tsa`), and trust.json is the trust bundle that names this CA for both.
    The signer's certificate is shaped as the C2PA conformance programme asks at Assurance
    Level 1. The CA's own key is forgotten, so nobody can issue another certificate with it. Keys
    are not encrypted, and nobody else trusts any of this: it is for development.
    """
    import os
    from datetime import UTC, datetime, timedelta

    from countermark.provenance.dev_ca import DevRequest, make_dev_credentials

    now = datetime.now(UTC)
    request = DevRequest(
        organization=organization, key_type=key_type, validity=timedelta(days=days)
    )
    made = make_dev_credentials(now, os.urandom, request)
    server = _server(made, port) if serve_tsa else None  # First: the port may be taken.
    try:
        _write(folder, _files(made, organization, now), replace=replace)
        _report(output, folder, made, key_type, days, server)
        if server is not None:
            from countermark.cli.cert.dev_tsa import serve

            serve(output, server)
    finally:
        if server is not None:
            server.server_close()
    return 0


def _server(made: DevCredentials, port: int) -> TimestampServer:
    from countermark.cli.cert.timestamp_server import TimestampServer
    from countermark.provenance.timestamping import load_authority

    return TimestampServer(load_authority(made.tsa_pem, made.tsa_key_pem), port)


def _files(made: DevCredentials, organization: str, now: datetime) -> dict[str, bytes]:
    from countermark.provenance.trust import TrustBundle, TrustList, dump_trust

    bundle = TrustBundle(
        name=f"{organization}: development only",
        dated=now.date(),
        lists=(
            TrustList("development signers", "manifest", (made.ca,)),
            TrustList("development timestamps", "tsa", (made.ca,)),
        ),
    )
    return {
        "ca.pem": made.ca_pem,
        "signer.pem": made.signer_pem,
        "signer.key": made.signer_key_pem,
        "tsa.pem": made.tsa_pem,
        "tsa.key": made.tsa_key_pem,
        "trust.json": dump_trust(bundle),
    }


def _write(folder: Path, files: Mapping[str, bytes], *, replace: bool) -> None:
    """Write all of the files or none: none has its name before every byte is on the disk."""
    from contextlib import ExitStack

    from countermark.signing.atomic import new_file

    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with ExitStack() as stack:
            for name, data in files.items():
                mode = 0o600 if name in _PRIVATE else 0o644
                opened = new_file(folder / name, mode=mode, replace=replace)
                stack.enter_context(opened).write(data)
    except BaseException:
        if made:
            folder.rmdir()
        raise


def _report(
    output: Output,
    folder: Path,
    made: DevCredentials,
    key_type: str,
    days: int,
    server: TimestampServer | None,
) -> None:
    from countermark.signing.names import printable

    output.document(
        {
            "schema": "countermark/cert-dev-ca/v1",
            "verdict": "done",
            "folder": str(folder),
            "ca": str(folder / "ca.pem"),
            "signing_cert": str(folder / "signer.pem"),
            "private_key": str(folder / "signer.key"),
            "tsa_cert": str(folder / "tsa.pem"),
            "tsa_key": str(folder / "tsa.key"),
            "trust": str(folder / "trust.json"),
            "key_type": key_type,
            "not_after": made.not_after.isoformat(),
            "tsa_url": None if server is None else server.url,
        }
    )
    shown = printable(str(folder))
    output.line("signs", f"{shown}/signer.pem with {shown}/signer.key ({key_type})")
    output.line("timestamps", f"{shown}/tsa.pem with {shown}/tsa.key")
    output.line("trusted by", f"{shown}/trust.json, which names {shown}/ca.pem")
    output.line("valid until", f"{made.not_after.isoformat()} ({days} days)")
    _warn(output, shown, days, served=server is not None)


def _warn(output: Output, shown: str, days: int, *, served: bool) -> None:
    output.note(
        "these are for development: the keys are not encrypted, and nobody else trusts them",
        "for content that others are to believe, have a certificate issued by a CA they trust",
    )
    if not served:
        output.note(
            f"what is signed without a timestamp stops being valid after {days} days",
            f"countermark cert dev-tsa {shown}",
        )
    if days > _PROFILE_DAYS:
        output.note(f"C2PA's profile allows a year at most, and {days} days are more")
