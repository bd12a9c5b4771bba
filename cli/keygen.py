"""`countermark keygen`: a key pair in two PEM files."""

from __future__ import annotations

from pathlib import Path

import click

from countermark.cli.options import EXISTING_FILE, PATH, framed, verb
from countermark.cli.output import Output

__all__ = ["command"]

# As `keys.KEY_TYPES`, repeated so that --help does not load cryptography (a test compares).
TYPES = ("ec-p256", "ec-p384", "ec-p521", "ed25519", "rsa-3072", "rsa-4096", "ml-dsa-65")


@verb(
    "keygen",
    short_help="Make a signing key.",
    examples="""\
countermark keygen release
countermark keygen release --password-file secret.txt
countermark keygen later --type ml-dsa-65""",
)
@click.argument("prefix", type=PATH)
@click.option(
    "--type", "kind", type=click.Choice(TYPES), default="ec-p256", help="Algorithm and size."
)
@click.option(
    "--password-file",
    type=EXISTING_FILE,
    help="Encrypt the private key with the first line of this file.",
)
@framed
def command(output: Output, prefix: Path, kind: str, password_file: Path | None) -> int:
    """Make a key pair: PREFIX.key (keep it secret) and PREFIX.pub (give it away).

    The password is taken from --password-file, or from COUNTERMARK_KEY_PASSWORD; without
    either the private key is stored unencrypted. Released OMS verifiers read the ec types;
    ml-dsa-65 (post-quantum) is meant as a second signature beside one of those.
    """
    from countermark.cli.secrets import key_password
    from countermark.signing.atomic import write_file
    from countermark.signing.keys import generate
    from countermark.signing.names import printable

    private, public = Path(f"{prefix}.key"), Path(f"{prefix}.pub")
    password = key_password(password_file)
    key = generate(kind)
    write_file(private, key.pem(password), mode=0o600, replace=False)
    try:
        write_file(public, key.public_key.pem, replace=False)
    except BaseException:
        private.unlink()  # Half a key pair is of no use, and would block the next try.
        raise
    output.document(
        {
            "schema": "countermark/keygen/v1",
            "verdict": "done",
            "private_key": str(private),
            "public_key": str(public),
            "key_id": key.public_key.key_id,
            "algorithm": key.public_key.algorithm,
            "encrypted": password is not None,
        }
    )
    secrecy = "encrypted" if password else "not encrypted"
    output.line("private key", f"{printable(str(private))} ({secrecy})")
    output.line("public key", printable(str(public)))
    output.line("key id", f"{key.public_key.key_id} ({key.public_key.algorithm})")
    if password is None:
        output.note(
            "the private key is not encrypted",
            "keep the file where nobody else reads it, or use --password-file",
        )
    return 0
