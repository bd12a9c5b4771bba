"""Key rings as the verbs open them: what unlocks them, and what their owner should know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from countermark.cli.options import EXISTING_FILE
from countermark.cli.output import Output

if TYPE_CHECKING:
    from countermark.watermark.keyring_files import LoadedRing, Protection

__all__ = ["open_ring", "protection", "tell", "unlocking_options"]

F = TypeVar("F", bound=Callable[..., object])

_MAX_IDENTITY_BYTES = 64 << 10


def unlocking_options(function: F) -> F:
    """Add the options that open an encrypted ring: `age_identities`, `passphrase_file`."""
    function = click.option(
        "--passphrase-file",
        type=EXISTING_FILE,
        help="First line: the passphrase of the key ring.",
    )(function)
    return click.option(
        "--age-identity",
        "age_identities",
        type=EXISTING_FILE,
        multiple=True,
        help="File with the age identity that opens the key ring.",
    )(function)


def protection(
    identities: Sequence[Path], passphrase_file: Path | None, recipients: Sequence[str] = ()
) -> Protection:
    """Return what the options say.

    Raises:
        KeyUseError: A file holds no identity, or no passphrase.
        OSError: A file cannot be read.

    """
    from countermark.cli.files import read_bounded
    from countermark.cli.secrets import key_password
    from countermark.signing.names import printable
    from countermark.watermark.errors import KeyUseError
    from countermark.watermark.keyring_files import Protection

    texts = []
    for path in identities:
        data = read_bounded(path, _MAX_IDENTITY_BYTES)
        if len(data) > _MAX_IDENTITY_BYTES or not data.isascii():
            raise KeyUseError(f"{printable(str(path))} is no age identity file")
        texts.append(data.decode("ascii"))
    passphrase = None if passphrase_file is None else key_password(passphrase_file)
    try:
        text = None if passphrase is None else passphrase.decode()
    except UnicodeDecodeError as e:
        raise KeyUseError("the passphrase is not UTF-8") from e
    return Protection(recipients=tuple(recipients), identities=tuple(texts), passphrase=text)


def open_ring(output: Output, path: Path, unlocking: Protection) -> LoadedRing:
    """Read a key ring, and tell its owner what is not as it should be."""
    from countermark.watermark.keyring_files import load_ring

    loaded = load_ring(path, unlocking)
    tell(output, path, loaded)
    return loaded


def tell(output: Output, path: Path, loaded: LoadedRing) -> None:
    """Print the warnings about a ring's file, as notes."""
    from countermark.signing.names import printable
    from countermark.watermark.keyring_files import RingWarning

    name = printable(str(path))
    for warning in loaded.warnings:
        if warning is RingWarning.EXPOSED:
            output.note(f"{name} can be read by others", f"chmod 600 {name}")
        else:
            output.note(
                f"{name} is not encrypted",
                "keep it where nobody else reads it, or use --age-recipient when making it",
            )
