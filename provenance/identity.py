"""Who signs content: a key in memory, a callback, or a program; always with its certificates.

Whatever can be known to be wrong is refused before c2pa sees it, by the rule that is broken
(`cert_lint`). What a callback or program gives back is checked, too, and what it raised or said
is not lost on the way through the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from countermark.provenance.errors import (
    CredentialError,
    ProvenanceError,
    SignerRefusedError,
    TimestampRefusedError,
)

if TYPE_CHECKING:
    from datetime import datetime

    from c2pa import Signer

__all__ = [
    "CallbackIdentity",
    "ContentIdentity",
    "LocalIdentity",
    "ProgramIdentity",
    "c2pa_signer",
    "callback_identity",
    "load_identity",
    "program_identity",
]

DEFAULT_TIMEOUT_S = 30.0
_ADDRESSES = ("http://", "https://")
_MAX_ADDRESS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalIdentity:
    """A private key in memory; made by `load_identity`.

    Attributes:
        chain: Certificates as PEM, leaf first, without a root.
        key: PKCS#8 PEM, not encrypted. It is not in the representation.
        algorithm: COSE algorithm in small letters, e.g. `es256`.

    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackIdentity:
    """A function that signs; made by `callback_identity`.

    Attributes:
        chain: Certificates as PEM, leaf first, without a root.
        algorithm: COSE algorithm in small letters.
        sign: Gets the bytes to sign, and returns the signature over them: raw, or DER for ECDSA.

    """

    chain: bytes
    algorithm: str
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramIdentity:
    """A program that signs; made by `program_identity`.

    Attributes:
        chain: Certificates as PEM, leaf first, without a root.
        algorithm: COSE algorithm in small letters.
        argv: The program and its arguments. It gets the bytes to sign on standard input, and
            writes the signature to standard output: raw, or DER for ECDSA.
        timeout_s: How many seconds it may take.

    """

    chain: bytes
    algorithm: str
    argv: tuple[str, ...]
    timeout_s: float = DEFAULT_TIMEOUT_S


ContentIdentity: TypeAlias = LocalIdentity | CallbackIdentity | ProgramIdentity


def load_identity(
    chain: bytes,
    key: bytes,
    *,
    at: datetime,
    password: bytes | None = None,
    algorithm: str | None = None,
) -> LocalIdentity:
    """Read certificates and a private key, and refuse those that cannot sign content.

    Args:
        chain: PEM (or one certificate in DER), leaf first; a root at its end is left out.
        key: PEM: PKCS#8, SEC1 or PKCS#1, encrypted or not.
        at: The present, aware.
        password: Opens the key.
        algorithm: By default the one that follows from the key; RSA can do more than one.

    Raises:
        CredentialError: They break a rule of C2PA's; the message says which.
        MalformedError: The certificates cannot be read.
        KeyMaterialError: The key cannot be read, or not without its password.

    """
    from countermark.provenance.cert_lint import accept
    from countermark.signing.keys import load_private_key

    private = load_private_key(key, password=password)
    pem, chosen = accept(chain, private, at, algorithm)
    return LocalIdentity(chain=pem, key=private.pem(None), algorithm=chosen)


def callback_identity(
    chain: bytes, sign: Callable[[bytes], bytes], *, at: datetime, algorithm: str | None = None
) -> CallbackIdentity:
    """Return an identity whose signatures a function makes; raises as `load_identity`."""
    from countermark.provenance.cert_lint import accept

    pem, chosen = accept(chain, None, at, algorithm)
    return CallbackIdentity(chain=pem, algorithm=chosen, sign=sign)


def program_identity(
    chain: bytes,
    argv: tuple[str, ...],
    *,
    at: datetime,
    algorithm: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> ProgramIdentity:
    """Return an identity whose signatures a program makes; raises as `load_identity`."""
    from countermark.provenance.cert_lint import accept

    if not argv or not timeout_s > 0:
        raise CredentialError("a signer needs a program, and more than no time")
    pem, chosen = accept(chain, None, at, algorithm)
    return ProgramIdentity(chain=pem, algorithm=chosen, argv=argv, timeout_s=timeout_s)


@contextmanager
def c2pa_signer(identity: ContentIdentity, tsa_url: str | None = None) -> Iterator[Signer]:
    """Give c2pa a signer for as long as the block lasts; it can sign more than once.

    An exception of a callback or program, which c2pa would replace by a sentence of its own, is
    raised at the end of the block, as the cause of a `SignerRefusedError`.

    Args:
        identity: Who signs.
        tsa_url: A timestamp authority, http or https; c2pa asks it for each signature.

    Raises:
        CredentialError: c2pa does not accept the certificates or the key.
        SignerRefusedError: The callback or program failed, or what it gave is no signature.
        TimestampRefusedError: The authority's address is none, or it did not answer as it should.

    """
    import c2pa

    _check_address(tsa_url)
    outside = _Outside(identity)
    try:
        signer = outside.signer(tsa_url)
    except c2pa.C2paError as e:
        raise CredentialError(f"c2pa does not accept these credentials: {_said(e)}") from e
    try:
        with signer:
            yield signer
    except (c2pa.C2paError, ProvenanceError) as e:
        outside.raise_failure()
        if tsa_url is not None and _is_about_time(e):
            raise TimestampRefusedError(
                f"no timestamp was had from {_said(tsa_url)}: {_said(e.__cause__ or e)}",
                hint="try again, name another authority, or sign without one",
            ) from e
        raise
    outside.raise_failure()


class _Outside:
    """A signer's code, and the exception that c2pa would swallow."""

    def __init__(self, identity: ContentIdentity) -> None:
        self._identity = identity
        self._failure: BaseException | None = None
        self._key: object = None

    def signer(self, tsa_url: str | None) -> Signer:
        import c2pa

        identity = self._identity
        if isinstance(identity, LocalIdentity):
            name = identity.algorithm.encode()
            address = None if tsa_url is None else tsa_url.encode()
            return c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(name, identity.chain, identity.key, address)
            )
        from countermark.signing.x509_loading import load_pem_certificates

        self._key = load_pem_certificates(identity.chain)[0].public_key()
        algorithm = c2pa.C2paSigningAlg[identity.algorithm.upper()]
        return c2pa.Signer.from_callback(
            self._sign, algorithm, identity.chain.decode("ascii"), tsa_url
        )

    def raise_failure(self) -> None:
        """Raise what went wrong in the signer, if anything did."""
        failure, self._failure = self._failure, None
        if failure is None:
            return
        if isinstance(failure, SignerRefusedError) or not isinstance(failure, Exception):
            raise failure  # An interrupt stays an interrupt.
        raise SignerRefusedError(
            f"the signer raised {type(failure).__name__}: {_said(failure)}"
        ) from failure

    def _sign(self, message: bytes) -> bytes:
        from countermark.provenance.claim_signature import cose_signature
        from countermark.provenance.engine_calls import ask_caller

        try:
            given = ask_caller(lambda: self._ask(message))
            signature = cose_signature(given, message, self._key, self._identity.algorithm)
            self._failure = None  # Of an attempt before this one.
            return signature
        except BaseException as e:  # noqa: BLE001 - kept, and raised where Python sees it again.
            self._failure = e
            return b""  # No signature: c2pa gives up.

    def _ask(self, message: bytes) -> bytes:
        match self._identity:
            case CallbackIdentity(sign=sign):
                given: object = sign(message)
                if not isinstance(given, bytes):
                    raise SignerRefusedError(
                        f"the signer returned {type(given).__name__}, expected bytes"
                    )
                return given
            case ProgramIdentity(argv=argv, timeout_s=timeout_s):
                from countermark.provenance.signer_program import run_signer

                return run_signer(argv, message, timeout_s)
            case LocalIdentity():
                raise SignerRefusedError("a key in memory has no callback")


def _check_address(tsa_url: str | None) -> None:
    if tsa_url is None:
        return
    sound = tsa_url.isascii() and tsa_url.isprintable() and " " not in tsa_url
    if not sound or not tsa_url.startswith(_ADDRESSES) or len(tsa_url) > _MAX_ADDRESS:
        raise TimestampRefusedError(
            f"{_said(tsa_url)} is no address of a timestamp authority",
            hint="expected http://… or https://…",
        )


def _is_about_time(error: BaseException) -> bool:
    # c2pa-rs 0.91 has no class for it. An authority that is not there, answers nonsense, refuses,
    # or stamps something else is its "internal error", as is a callback that failed: that one
    # was raised before. Whatever else can be wrong with a signature was refused before it began.
    words = f"{error} {error.__cause__ or ''}".lower()
    return any(word in words for word in ("internal error (", "timestamp", "time stamp"))


def _said(what: object) -> str:
    from countermark.signing.names import printable

    return printable(" ".join(str(what).split())[:300])
