"""Where evidence lies: the signature, the further signatures, and the tree leaves.

model.sig           one Sigstore bundle, which every OMS verifier reads
model.sigs.jsonl    further bundles over the same statement, one a line
model.sig.leaves    block digests of the model, for checking parts of it
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from countermark.signing.errors import MalformedError, SignatureNotFoundError
from countermark.signing.names import printable

__all__ = [
    "LEAVES_SUFFIX",
    "SIGNATURE_NAME",
    "credentials_file",
    "default_signature",
    "evidence_files",
    "find_signature",
    "leaves_file",
    "read_evidence",
    "set_file",
]

SIGNATURE_NAME = "model.sig"
LEAVES_SUFFIX = ".leaves"
_SET_SUFFIX = ".sigs.jsonl"


def default_signature(model: Path) -> Path:
    """Return where a signature goes if nobody says: inside a folder, beside a file."""
    return (model if model.is_dir() else model.parent) / SIGNATURE_NAME


def find_signature(model: Path) -> Path:
    """Return the signature that lies inside or beside a model.

    Raises:
        SignatureNotFoundError: There is none.

    """
    candidates = [default_signature(model)]
    if model.is_dir():
        candidates.append(model.resolve().parent / SIGNATURE_NAME)
    else:
        candidates.insert(0, model.with_name(model.name + ".sig"))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise SignatureNotFoundError(
        f"no signature: neither {' nor '.join(printable(str(path)) for path in candidates)} exists",
        hint="pass --signature FILE, or sign the model first",
    )


def set_file(signature: Path) -> Path:
    """Return where further bundles over the same statement lie."""
    return signature.with_name(signature.name.removesuffix(".sig") + _SET_SUFFIX)


def leaves_file(signature: Path) -> Path:
    """Return where the tree leaves lie."""
    return signature.with_name(signature.name + LEAVES_SUFFIX)


def credentials_file(signature: Path) -> Path:
    """Return where the model's content credentials lie (C2PA), which refer to the signature."""
    return signature.with_name(signature.name.removesuffix(".sig") + ".c2pa")


def evidence_files(signature: Path) -> tuple[Path, ...]:
    """Return every file that belongs to a signature; none of them is part of the model."""
    return (
        signature,
        set_file(signature),
        leaves_file(signature),
        credentials_file(signature),
    )


def read_evidence(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes, one more than `max_bytes` at most, so that its parser can refuse.

    Evidence may lie in the model's own folder, where whoever made the model chose what it
    is: a FIFO would make a verifier wait for ever.

    Raises:
        MalformedError: It is not a regular file.
        FileNotFoundError: It is not there.
        OSError: The disk refused.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MalformedError(f"{printable(str(path))} is a folder, FIFO or device, not a file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(max_bytes + 1)
