"""Content whose credentials are damaged, each in one way: what to make, and what must be said.

`CASES` is built on the spot from files that c2pa signs; nothing is kept. `STATUSES_WITHOUT_A_CASE`
says of every status of the table that no file can provoke why that is so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache
from typing import NamedTuple

from countermark.provenance.trust import TrustBundle, TrustList
from countermark.provenance.verdict import Axis
from countermark.signing.verdict import Outcome
from support.credentials import make_credentials
from support.rebuilt import Rebuilt
from support.stores import sign_sidecar

__all__ = [
    "CONTENT",
    "STATUSES_WITHOUT_A_CASE",
    "Case",
    "Subject",
    "base_store",
    "our_trust",
    "rebuilt",
    "sidecar",
]

CONTENT = b"what was signed, byte for byte\n" * 8


class Subject(NamedTuple):
    """What is to be judged.

    Attributes:
        data: The content.
        name: Its file name.
        manifest: The store that lies beside it; None for one inside, or none at all.
        trust: Who is trusted; None for the CA of the tests.

    """

    data: bytes
    name: str
    manifest: bytes | None = None
    trust: TrustBundle | None = None


class Case(NamedTuple):
    """One way to damage, and what must be said of it.

    Attributes:
        make: Returns the damaged content.
        axis: On which question it is answered.
        code: Of the check that says so.
        outcome: Of the whole verdict.
        statuses: Status codes of C2PA that c2pa reports of it, as failures or for information.

    """

    make: Callable[[], Subject]
    axis: Axis
    code: str
    outcome: Outcome
    statuses: tuple[str, ...] = ()


@cache
def our_trust() -> TrustBundle:
    """Return a bundle in which the CA of the tests vouches for signers and for timestamps."""
    ca = make_credentials().ca_der
    lists = (TrustList("tests", "manifest", (ca,)), TrustList("tests tsa", "tsa", (ca,)))
    return TrustBundle(name="tests", dated=date(2026, 1, 1), lists=lists, sha256="0" * 64)


@cache
def base_store() -> bytes:
    """Return the store of a sidecar of `CONTENT`, as c2pa signs it."""
    return sign_sidecar(CONTENT)


def sidecar(store: bytes, trust: TrustBundle | None = None) -> Subject:
    """Return `CONTENT` with a store beside it."""
    return Subject(CONTENT, "content.bin", store, trust)


def rebuilt(change: Callable[[Rebuilt], object], **how: bool) -> Callable[[], Subject]:
    """Return what makes a sidecar whose manifest was changed inside, and signed again."""

    def make() -> Subject:
        one = Rebuilt(base_store())
        change(one)
        return sidecar(one.store(**how))  # type: ignore[arg-type]

    return make


# Codes that c2pa-rs 0.91.3 has no words for at all are marked "never said"; its library holds no
# such text. They stay in the table since other versions, and the standard, have them.
STATUSES_WITHOUT_A_CASE = {
    "assertion.dataHash.malformed": "never said: our own binding says binding-malformed",
    "assertion.boxesHash.unknownBox": "said as assertion.boxesHash.mismatch",
    "assertion.collectionHash.incorrectFileCount": "said as assertion.collectionHash.mismatch",
    "manifest.inaccessible": "raised as an error, from which we say manifest-elsewhere",
    "assertion.boxesHash.malformed": "refused before any status: c2pa raises an error",
    "assertion.collectionHash.malformed": "refused before any status: c2pa raises an error",
    "assertion.collectionHash.invalidURI": "refused before any status: c2pa raises an error",
    "hashedURI.mismatch": "of data boxes (claims of version 1), which c2pa writes no more",
    "hashedURI.missing": "never said",
    "claim.multiple": "our reader refuses a second claim before c2pa sees it",
    "claim.cbor.invalid": "never said: our reader refuses the claim before c2pa sees it",
    "assertion.metadata.disallowed": "never said",
    "assertion.inaccessible": "never said: nothing is fetched",
    "assertion.timestamp.malformed": "refused with an error that leaves no report",
    "algorithm.unsupported": "refused with an error; our own binding says algorithm-unsupported",
    "assertion.undeclared": "refused with an error that leaves no report",
    "claim.hardBindings.missing": "refused with an error that leaves no report",
    "general.error": "what c2pa calls errors of its own; it raises them instead",
    "claimSignature.outsideValidity": "never said: signingCredential.expired says it",
    "timeOfSigning.outsideValidity": "never said: signingCredential.expired says it",
    "signingCredential.revoked": "never said: signingCredential.ocsp.revoked says it",
    "signingCredential.ocsp.unknown": "kept to itself: such a response is as good as none",
    "manifest.update.wrongParents": "refused with an error: without a parent nothing is bound",
    "ingredient.claimSignature.missing": "refused with an error that leaves no report",
    "ingredient.hashedURI.mismatch": "never said: ingredient.manifest.mismatch says it",
    "assertion.ingredient.malformed": "refused with an error that leaves no report",
}
