"""Sign a model: digests into a statement, a statement into bundles, bundles onto disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from countermark.signing import leaves as leaves_format
from countermark.signing.atomic import write_files
from countermark.signing.bundle import Bundle, encode_bundle
from countermark.signing.dsse import PAYLOAD_TYPE, pae
from countermark.signing.errors import FileExistsRefusedError, KeyMaterialError
from countermark.signing.keys import SigningKey
from countermark.signing.names import printable
from countermark.signing.places import leaves_file, set_file
from countermark.signing.snapshot import Snapshot
from countermark.signing.statement import Dialect, encode_statement

__all__ = ["Identity", "Signed", "sign_snapshot", "write_signed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs.

    Attributes:
        key: Signs the statement.
        chain: DER certificates, leaf first, that vouch for the key; empty for a bare key.

    """

    key: SigningKey
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What signing made, not yet on disk.

    Attributes:
        bundle: The contents of `model.sig`.
        further: Bundles of further signers over the same statement.
        leaves: The contents of the leaves file; None if all leaves travel inside.

    """

    bundle: bytes
    further: tuple[bytes, ...] = ()
    leaves: bytes | None = None


def sign_snapshot(
    snapshot: Snapshot,
    signers: Sequence[Identity],
    *,
    dialect: Dialect = Dialect.PYTHON,
) -> Signed:
    """Sign one statement about a model, by everybody in `signers`.

    Args:
        snapshot: What `take_snapshot` found.
        signers: The first one's bundle is the one that every OMS verifier reads.
        dialect: Whom to write for, where OMS and its reference implementation differ.

    Raises:
        KeyMaterialError: No signer, or a certificate that is not the key's.
        EmptyModelError: Nothing to sign.

    """
    if not signers:
        raise KeyMaterialError("nobody to sign with")
    statement = encode_statement(snapshot.manifest, dialect=dialect)
    bundles = [sign_statement(statement, signer) for signer in signers]
    return Signed(
        bundle=bundles[0],
        further=tuple(bundles[1:]),
        leaves=leaves_format.encode(snapshot.leaves) if snapshot.leaves else None,
    )


def sign_statement(statement: bytes, signer: Identity) -> bytes:
    """Return the bundle in which `signer` signs `statement`."""
    key = signer.key
    return encode_bundle(
        Bundle(
            payload=statement,
            signature=key.sign(pae(PAYLOAD_TYPE, statement)),
            method="certificate" if signer.chain else "key",
            key_hint=None if signer.chain else key.public_key.key_id,
            certificates=signer.chain,
        )
    )


def write_signed(signed: Signed, signature: Path, *, replace: bool = False) -> tuple[Path, ...]:
    """Write the evidence, each file whole; the signature last, so that it never lacks the rest.

    Returns:
        The files written, the signature first.

    Raises:
        FileExistsRefusedError: A file is there already and `replace` is False.
        OSError: The disk refused; a full one costs nothing that was there before.

    """
    companions = {leaves_file(signature): signed.leaves}
    if signed.further:
        companions[set_file(signature)] = b"".join(line + b"\n" for line in signed.further)
    else:
        companions[set_file(signature)] = None
    if not replace:
        for path in (signature, *companions):
            if path.exists() or path.is_symlink():
                raise FileExistsRefusedError(
                    f"{printable(str(path))} exists and would be lost",
                    hint="use --replace to sign anew, or another --signature name",
                )
    present = {path: data for path, data in companions.items() if data is not None}
    write_files({**present, signature: signed.bundle})
    for path in companions.keys() - present.keys():
        # What belongs to a replaced signature would only contradict the new one.
        path.unlink(missing_ok=True)
    return (signature, *present)
