"""`countermark cert dev-tsa`: timestamps for this machine, as long as it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.files import read_bounded
from countermark.cli.options import framed, verb
from countermark.cli.output import Output

if TYPE_CHECKING:
    from countermark.cli.cert.timestamp_server import TimestampServer

__all__ = ["command", "serve"]

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@verb(
    "cert dev-tsa",
    short_help="Serve timestamps on this machine, with the authority that dev-ca made.",
    examples="""\
countermark cert dev-tsa dev
countermark cert dev-tsa dev --port 0""",
)
@click.argument("folder", type=_FOLDER)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=3161, help="Where to listen; 0: a free one."
)
@framed
def command(output: Output, folder: Path, port: int) -> int:
    """Serve RFC 3161 timestamps over HTTP on 127.0.0.1 until interrupted.

    FOLDER is what `cert dev-ca` made: tsa.pem and tsa.key are read. Signers ask the address that
    is printed (content sign: --tsa-url). Timestamps tell the time of this machine's clock, and
    only those who take FOLDER's trust bundle believe them.
    """
    from countermark.cli.cert.timestamp_server import TimestampServer
    from countermark.provenance.timestamping import load_authority
    from countermark.signing.keys import MAX_KEY_BYTES
    from countermark.signing.x509_loading import MAX_PEM_BYTES

    authority = load_authority(
        read_bounded(folder / "tsa.pem", MAX_PEM_BYTES),
        read_bounded(folder / "tsa.key", MAX_KEY_BYTES),
    )
    with TimestampServer(authority, port) as server:
        output.document(
            {
                "schema": "countermark/cert-dev-tsa/v1",
                "verdict": "serving",
                "folder": str(folder),
                "tsa_url": server.url,
            }
        )
        serve(output, server)
    return 0


def serve(output: Output, server: TimestampServer) -> None:
    """Answer requests until somebody interrupts; that is how it is meant to end."""
    import gc
    import sys

    output.line("serving", f"{server.url} (interrupt to stop)")
    sys.stdout.flush()
    gc.enable()  # The command line does without, as it is short-lived; this is not.
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        output.note("no longer serving timestamps")
