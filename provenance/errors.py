"""Every way in which attaching and reading content credentials can refuse.

    Error
    └── ProvenanceError
        ├── MalformedContentError       an asset whose container, or mark, cannot be read
        ├── MalformedStoreError         a manifest store that cannot be read: damaged or hostile
        ├── MalformedTrustError         a trust bundle that cannot be read
        ├── ContentNotFoundError        no such file, or not one that can be read
        ├── NoManifestError             nothing to verify: the content carries no credentials
        ├── UnsupportedContentError     a kind of content that cannot carry a manifest this way
        ├── DefinitionError             a manifest that was asked for and cannot be made
        ├── ModelEvidenceError          a model whose signature and manifest do not belong together
        ├── CredentialError             a certificate or key that cannot sign content
        │   └── SignerRefusedError      the program or callback that signs did not
        ├── TimestampRefusedError       the timestamp authority did not answer as it should
        ├── EngineError                 c2pa refused, in words we do not know
        ├── SecondEngineError           the engine for a second opinion is absent, or cannot judge
        ├── ScanError                   a scan that cannot start, be resumed, or be finished
        └── ContentRefusedError         `verify` was called, and the verdict is not acceptable

That content was changed, or its signer is not trusted, is none of the first: it is a verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from countermark import Error

if TYPE_CHECKING:
    from countermark.provenance.verdict import ContentVerdict

__all__ = [
    "ContentNotFoundError",
    "ContentRefusedError",
    "CredentialError",
    "DefinitionError",
    "EngineError",
    "MalformedContentError",
    "MalformedStoreError",
    "MalformedTrustError",
    "ModelEvidenceError",
    "NoManifestError",
    "ProvenanceError",
    "ScanError",
    "SecondEngineError",
    "SignerRefusedError",
    "TimestampRefusedError",
    "UnsupportedContentError",
]


class ProvenanceError(Error):
    """Base of what this folder refuses."""

    code: ClassVar[str] = "provenance"


class MalformedContentError(ProvenanceError):
    """An asset whose container, or whose mark, cannot be read.

    Attributes:
        offset: Byte of the asset at which reading failed; None if it is not known.

    """

    code: ClassVar[str] = "malformed-content"

    def __init__(self, message: str, *, offset: int | None = None, hint: str = "") -> None:
        super().__init__(message if offset is None else f"{message}, at byte {offset}", hint=hint)
        self.offset = offset


class MalformedStoreError(ProvenanceError):
    """A manifest store that cannot be read.

    Attributes:
        offset: Byte of the store at which reading failed; None if it is not known.

    """

    code: ClassVar[str] = "malformed-manifest"

    def __init__(self, message: str, *, offset: int | None = None, hint: str = "") -> None:
        super().__init__(message if offset is None else f"{message}, at byte {offset}", hint=hint)
        self.offset = offset


class MalformedTrustError(ProvenanceError):
    """A trust bundle that cannot be read."""

    code: ClassVar[str] = "malformed-trust-bundle"


class ContentNotFoundError(ProvenanceError):
    """No such file, or not one that can be read."""

    code: ClassVar[str] = "content-not-found"


class NoManifestError(ProvenanceError):
    """The content carries no credentials, and none lie beside it."""

    code: ClassVar[str] = "no-manifest"


class UnsupportedContentError(ProvenanceError):
    """A kind of content that cannot carry a manifest this way."""

    code: ClassVar[str] = "unsupported-content"


class DefinitionError(ProvenanceError):
    """A manifest that was asked for and cannot be made."""

    code: ClassVar[str] = "manifest-definition"


class ModelEvidenceError(ProvenanceError):
    """A model whose signature and manifest do not belong together, or to its weights."""

    code: ClassVar[str] = "model-evidence"


class CredentialError(ProvenanceError):
    """A certificate or key that cannot sign content."""

    code: ClassVar[str] = "content-credential"


class SignerRefusedError(CredentialError):
    """The program or callback that signs did not."""

    code: ClassVar[str] = "signer-refused"


class TimestampRefusedError(ProvenanceError):
    """The timestamp authority did not answer as it should."""

    code: ClassVar[str] = "timestamp-refused"


class EngineError(ProvenanceError):
    """The c2pa library refused, in words we do not know."""

    code: ClassVar[str] = "c2pa-engine"


class SecondEngineError(ProvenanceError):
    """The engine for a second opinion is not installed, or cannot judge this content."""

    code: ClassVar[str] = "second-engine"


class ScanError(ProvenanceError):
    """A scan that cannot start, be resumed, or be finished."""

    code: ClassVar[str] = "content-scan"


class ContentRefusedError(ProvenanceError):
    """The verdict on the content is not acceptable; it is in `verdict`."""

    code: ClassVar[str] = "content-refused"

    def __init__(self, verdict: ContentVerdict) -> None:
        super().__init__(f"{verdict.subject}: {verdict.sentence}", hint=verdict.hint)
        self.verdict = verdict
