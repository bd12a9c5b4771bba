"""Certificates named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from countermark.cli.files import read_bounded
from countermark.signing.errors import KeyMaterialError
from countermark.signing.keys import SigningKey, public_key_from
from countermark.signing.names import printable
from countermark.signing.x509_loading import MAX_PEM_BYTES, load_pem_certificates

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["read_certificates", "signing_chain"]


def read_certificates(paths: Sequence[Path]) -> tuple[x509.Certificate, ...]:
    """Return every certificate in these PEM (or DER) files, in order."""
    return tuple(
        certificate
        for path in paths
        for certificate in load_pem_certificates(read_bounded(path, MAX_PEM_BYTES))
    )


def signing_chain(key: SigningKey, leaf_file: Path, chain: Sequence[Path]) -> tuple[bytes, ...]:
    """Return the DER chain for a bundle, leaf first.

    Raises:
        KeyMaterialError: The certificate is not the key's.

    """
    leaf, *more = read_certificates([leaf_file])
    if public_key_from(leaf.public_key()).pem != key.public_key.pem:
        raise KeyMaterialError(
            f"{printable(str(leaf_file))}: the first certificate is not the private key's",
            hint="put the signer's own certificate first",
        )
    certificates = (leaf, *more, *read_certificates(chain))
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)
