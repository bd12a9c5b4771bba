"""Which rules of C2PA's certificate profile a signer's certificates and key break.

The engine has one sentence for six faults; here each rule has a code, a sentence and a hint. What
is refused here cannot sign content that validators accept; what warns can, and should be known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from countermark.provenance.errors import CredentialError
from countermark.signing.verdict import Check, Outcome, failed, held, not_checked

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from countermark.signing.keys import PrivateKey

__all__ = ["ALGORITHMS", "Linted", "accept", "algorithms_for", "lint", "lint_certificates"]

# By what `signing.keys` calls a key: COSE algorithms in small letters, the first by default.
_OF_KEY = {
    "ecdsa-p256-sha256": ("es256",),
    "ecdsa-p384-sha384": ("es384",),
    "ecdsa-p521-sha512": ("es512",),
    "ed25519": ("ed25519",),
    "rsa-pkcs1v15-sha256": ("ps256", "ps384", "ps512"),
}
ALGORITHMS = tuple(name for names in _OF_KEY.values() for name in names)


class Linted(NamedTuple):
    """What was found out.

    Attributes:
        checks: One for each rule, in the order of the profile; some rules have one per issuer.
        chain: The certificates, leaf first, as far as they could be put in order.

    """

    checks: tuple[Check, ...]
    chain: tuple[x509.Certificate, ...]


def algorithms_for(key: object) -> tuple[str, ...]:
    """Return the algorithms that a public key signs claims with; none if it cannot.

    Args:
        key: A public key of `cryptography`.

    """
    from countermark.signing.errors import UnsupportedKeyError
    from countermark.signing.keys import public_key_from

    try:
        return _OF_KEY.get(public_key_from(key).algorithm, ())
    except UnsupportedKeyError:
        return ()


def lint(
    chain: bytes,
    key: bytes | None = None,
    *,
    at: datetime,
    password: bytes | None = None,
    algorithm: str | None = None,
    anchors: bytes | None = None,
) -> tuple[Check, ...]:
    """Return one check for each rule that C2PA has for claim signers.

    Args:
        chain: The certificates that are signed with, leaf first: PEM, or one in DER.
        key: The private key, PEM; whether it fits is not checked without it.
        at: The moment to judge for, aware.
        password: Opens the key.
        algorithm: The COSE algorithm that is to be used, one of `ALGORITHMS`; by default the key's.
        anchors: CAs that readers trust, PEM; with them it is checked that no link is missing.

    Raises:
        MalformedError: The certificates cannot be read, or are too many.
        KeyMaterialError: The key cannot be read, or not without its password.

    """
    from countermark.signing.keys import load_private_key
    from countermark.signing.x509_loading import load_pem_certificates

    private = None if key is None else load_private_key(key, password=password)
    return lint_certificates(
        load_pem_certificates(chain),
        private,
        at=at,
        algorithm=algorithm,
        anchors=() if anchors is None else load_pem_certificates(anchors),
    ).checks


def lint_certificates(
    certificates: tuple[x509.Certificate, ...],
    key: PrivateKey | None = None,
    *,
    at: datetime,
    algorithm: str | None = None,
    anchors: tuple[x509.Certificate, ...] = (),
) -> Linted:
    """Return what `lint` does, of certificates that were read, and their order.

    Raises:
        CredentialError: There is no certificate, or no such algorithm.

    """
    from countermark.provenance.cert_lint_chain import check_chain, check_times, in_order
    from countermark.provenance.cert_lint_leaf import check_leaf_profile
    from countermark.provenance.cert_lint_programme import check_programme

    if not certificates:
        raise CredentialError("no certificate to sign with")
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise CredentialError(f"algorithm {algorithm!r}, expected one of {', '.join(ALGORITHMS)}")
    # Rules about the signer's certificate say nothing of use about the one that only comes first.
    ordered = in_order(certificates)
    chain = ordered or certificates[:1]
    checks = (
        _order(certificates, ordered),
        *check_leaf_profile(chain[0]),
        *check_chain(chain, anchors),
        _key_matches(chain[0], key),
        _algorithm(chain[0], algorithm),
        *check_programme(chain[0]),
        *check_times(chain, at),
    )
    return Linted(checks, chain)


def accept(
    chain: bytes, key: PrivateKey | None, at: datetime, algorithm: str | None
) -> tuple[bytes, str]:
    """Return the chain to sign with, as PEM without its root, and the algorithm.

    Raises:
        CredentialError: A rule is broken; the message has its sentence, and names the others.
        MalformedError: The certificates cannot be read, or are too many.

    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from countermark.provenance.cert_lint_chain import is_root
    from countermark.signing.verdict import Status, decisive_check
    from countermark.signing.x509_loading import load_pem_certificates

    linted = lint_certificates(load_pem_certificates(chain), key, at=at, algorithm=algorithm)
    first = decisive_check(linted.checks)
    if first is not None:
        broken = [check.code for check in linted.checks if check.status is Status.FAILED]
        more = f" ({len(broken)} rules are broken: {', '.join(broken)})" if broken[1:] else ""
        raise CredentialError(f"{first.sentence}{more}", hint=first.hint)
    certificates = list(linted.chain)
    # C2PA 2.5, "X.509 Certificates": the trust anchor's certificate should not be included.
    if len(certificates) > 1 and is_root(certificates[-1]):
        certificates.pop()
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
    return pem, algorithm or algorithms_for(certificates[0].public_key())[0]


def _order(
    given: tuple[x509.Certificate, ...], ordered: tuple[x509.Certificate, ...] | None
) -> Check:
    from countermark.signing.names import printable

    if given == ordered:
        return held("cert-chain-order", "the chain begins with the signer and follows its issuers")
    if ordered is None:
        return failed(
            "cert-chain-order",
            Outcome.REFUSED,
            f"the {len(given)} certificates are no chain: not each was issued by another of them",
            "put the signer's certificate first, then its issuer's, and nothing else",
        )
    names = [printable(one.subject.rfc4514_string()[:80]) for one in ordered]
    return failed(
        "cert-chain-order",
        Outcome.REFUSED,
        f"the chain begins with {printable(given[0].subject.rfc4514_string()[:80])}, expected "
        "the signer's certificate first and each one's issuer after it",
        f"put them in this order: {' | '.join(names)}",
    )


def _key_matches(leaf: x509.Certificate, key: PrivateKey | None) -> Check:
    from countermark.signing.errors import UnsupportedKeyError
    from countermark.signing.keys import public_key_from

    if key is None:
        return not_checked("cert-key-match", "no private key was given to compare")
    try:
        same = public_key_from(leaf.public_key()).pem == key.public_key.pem
    except UnsupportedKeyError:
        same = False
    if same:
        return held("cert-key-match", "the private key is the certificate's")
    return failed(
        "cert-key-match",
        Outcome.REFUSED,
        f"the private key ({key.public_key.algorithm}) is not the one that the certificate is for",
        "take the key that the certificate was requested with",
    )


def _algorithm(leaf: x509.Certificate, wanted: str | None) -> Check:
    possible = algorithms_for(leaf.public_key())
    if not possible:
        return not_checked("cert-algorithm", "the certificate's key signs no claims")
    if wanted is None or wanted in possible:
        return held("cert-algorithm", f"claims are signed with {wanted or possible[0]}")
    return failed(
        "cert-algorithm",
        Outcome.REFUSED,
        f"claims are to be signed with {wanted}, and the certificate's key does "
        f"{', '.join(possible)}",
        f"sign with {possible[0]}",
    )
