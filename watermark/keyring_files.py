"""Key rings as files: plain or encrypted with age (age-encryption.org/v1), replaced as a whole.

Secrets that open a ring are handed in; where they come from is the caller's business.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from countermark.signing.atomic import write_file
from countermark.signing.errors import MissingExtraError
from countermark.signing.names import printable
from countermark.watermark.errors import (
    KeyUseError,
    LockedRingError,
    MalformedRingError,
)
from countermark.watermark.keyring import KeyRing
from countermark.watermark.keyring_json import MAX_RING_BYTES, encode_ring, parse_ring

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["LoadedRing", "Protection", "RingWarning", "exclusively", "load_ring", "save_ring"]

# age adds a header and 16 bytes to every 64 KiB; its armour is base64 in lines of 64.
_MAX_FILE_BYTES = 2 * MAX_RING_BYTES
_AGE = b"age-encryption.org/v1\n"
_ARMOURED_AGE = b"-----BEGIN AGE ENCRYPTED FILE-----"
_SECRET_KEY = "AGE-SECRET-KEY-1"  # noqa: S105 - how identities begin, not one of them


class RingWarning(StrEnum):
    """What the owner of a ring should know."""

    NOT_ENCRYPTED = "key-ring-not-encrypted"
    EXPOSED = "key-ring-exposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What encrypts and opens a ring; all empty for a plain one.

    Attributes:
        recipients: age recipients, `age1…`, that a written ring is encrypted to.
        identities: Text of age identity files: lines of `AGE-SECRET-KEY-1…`, and comments.
        passphrase: Instead of both: what the ring is encrypted with.

    """

    recipients: tuple[str, ...] = ()
    identities: tuple[str, ...] = field(default=(), repr=False)
    passphrase: str | None = field(default=None, repr=False)

    @property
    def encrypts(self) -> bool:
        """Whether a ring that is written with this is encrypted."""
        return bool(self.recipients) or self.passphrase is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRing:
    """A ring, and what was noticed about its file.

    Attributes:
        ring: The keys.
        encrypted: Whether the file is.
        warnings: What its owner should know.

    """

    ring: KeyRing
    encrypted: bool
    warnings: tuple[RingWarning, ...]


def load_ring(path: Path, protection: Protection | None = None) -> LoadedRing:
    """Read a ring, and open it if it is encrypted.

    Raises:
        MalformedRingError: It is over a limit, damaged, or no key ring.
        LockedRingError: It is encrypted, and nothing here opens it.
        MissingExtraError: It is encrypted, and pyrage is not installed.
        KeyUseError: An identity is not one.
        OSError: The file cannot be read.

    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        data = file.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise MalformedRingError(f"key ring: over {_MAX_FILE_BYTES} bytes")
    encrypted = data.startswith((_AGE, _ARMOURED_AGE))
    warnings = []
    if encrypted:
        data = _opened(data, protection or Protection(), printable(str(path)))
    else:
        warnings.append(RingWarning.NOT_ENCRYPTED)
        if mode & 0o077:
            warnings.append(RingWarning.EXPOSED)
    return LoadedRing(ring=parse_ring(data), encrypted=encrypted, warnings=tuple(warnings))


def save_ring(
    ring: KeyRing, path: Path, protection: Protection | None = None, *, replace: bool = False
) -> None:
    """Write a ring whole or not at all, readable by its owner only.

    Raises:
        FileExistsRefusedError: The file exists, and `replace` is False.
        MissingExtraError: It is to be encrypted, and pyrage is not installed.
        KeyUseError: A recipient is not one.
        OSError: The disk refused.

    """
    data = encode_ring(ring)
    if protection is not None and protection.encrypts:
        data = _closed(data, protection)
    # A link is followed: what it names is replaced, not the link.
    write_file(path.resolve(), data, mode=0o600, replace=replace)


@contextlib.contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Keep other processes that ask for the same from changing a ring in between.

    The lock is on the ring's folder: a lock on the file would be lost when it is replaced.

    Raises:
        OSError: The folder cannot be opened.

    """
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(data: bytes, protection: Protection, name: str) -> bytes:
    age = _age()
    if protection.passphrase is None and not protection.identities:
        raise LockedRingError(
            f"{name} is encrypted with age", hint="name an identity file or a passphrase file"
        )
    try:
        if protection.passphrase is not None:
            return _bytes(age.passphrase.decrypt(data, protection.passphrase))
        return _bytes(age.decrypt(data, _identities(age, protection.identities)))
    except age.DecryptError as e:
        raise LockedRingError(f"{name} does not open with this: {printable(str(e))}") from e


def _closed(data: bytes, protection: Protection) -> bytes:
    age = _age()
    if protection.passphrase is not None:
        if protection.recipients:
            raise KeyUseError("a ring is encrypted to recipients or with a passphrase, not both")
        return _bytes(age.passphrase.encrypt(data, protection.passphrase))
    try:
        recipients = [age.x25519.Recipient.from_str(text) for text in protection.recipients]
    except age.RecipientError as e:
        raise KeyUseError("an age recipient is written age1…, and this is none") from e
    return _bytes(age.encrypt(data, recipients))


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):  # pyrage has no types of its own.
        raise TypeError(type(value))
    return value


def _identities(age: ModuleType, texts: tuple[str, ...]) -> list[object]:
    lines = [line.strip() for text in texts for line in text.splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    try:
        found = [age.x25519.Identity.from_str(line) for line in wanted]
    except age.IdentityError as e:
        # The line itself may be most of a secret.
        raise KeyUseError(f"an identity file has lines of {_SECRET_KEY}… and comments only") from e
    if not found:
        raise KeyUseError("the identity file is empty")
    return found


def _age() -> ModuleType:
    try:
        import pyrage  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as e:
        raise MissingExtraError("a key ring encrypted with age", "age") from e
    module: ModuleType = pyrage
    return module
