"""Every way in which signing and verifying can refuse.

The tree says who has to act:

    Error
    ├── MalformedError         evidence that cannot be read: hostile, damaged or not ours
    ├── ModelError             a model folder that cannot be signed or checked as it lies
    ├── KeyMaterialError       a key, certificate or password that cannot be used
    ├── CacheError             a digest cache that cannot be trusted
    └── VerificationError      evidence that was read, and does not hold
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from countermark import Error

if TYPE_CHECKING:
    from countermark.signing.verdict import Verdict


class MalformedError(Error):
    """Evidence that cannot be read."""

    code: ClassVar[str] = "malformed"


class TooLargeError(MalformedError):
    """Input over a limit, refused before it was parsed."""

    code: ClassVar[str] = "too-large"

    def __init__(self, what: str, *, size: int, limit: int, unit: str = "bytes") -> None:
        super().__init__(f"{what}: {size} {unit}, limit {limit}")
        self.size = size
        self.limit = limit


class MalformedJsonError(MalformedError):
    """Bytes that are not strict JSON: bad syntax, a repeated key, nested too deep."""

    code: ClassVar[str] = "malformed-json"


class MalformedBundleError(MalformedError):
    """JSON that is not a Sigstore bundle with one DSSE envelope."""

    code: ClassVar[str] = "malformed-bundle"


class MalformedStatementError(MalformedError):
    """A signed payload that is not an OMS statement."""

    code: ClassVar[str] = "malformed-statement"


class UnsafeNameError(MalformedError):
    """A file name in evidence that could point outside the model."""

    code: ClassVar[str] = "unsafe-name"


class MalformedSafetensorsError(MalformedError):
    """A file that claims to be safetensors and breaks the format's rules."""

    code: ClassVar[str] = "malformed-safetensors"

    def __init__(self, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason  # Stable name of the broken rule, from specs/tree-v1 section 3.


class MalformedTreeError(MalformedError):
    """Tree leaves, proofs or a leaves file that are damaged or do not give their root."""

    code: ClassVar[str] = "malformed-tree"


class MalformedCertificateError(MalformedError):
    """Bytes that are not an X.509 certificate or an RFC 3161 timestamp."""

    code: ClassVar[str] = "malformed-certificate"


class ModelError(Error):
    """A model folder that cannot be signed or checked as it lies."""

    code: ClassVar[str] = "model"


class ModelNotFoundError(ModelError):
    """Nothing at the path, or nothing that can be a model."""

    code: ClassVar[str] = "model-not-found"


class EmptyModelError(ModelError):
    """No regular file is left to sign."""

    code: ClassVar[str] = "empty-model"


class SymlinkError(ModelError):
    """A symbolic link that is not allowed, leaves the model, or names a directory."""

    code: ClassVar[str] = "symlink-refused"


class SpecialFileError(ModelError):
    """A FIFO, socket or device inside a model."""

    code: ClassVar[str] = "special-file"


class UndecodableNameError(ModelError):
    """A file name that is not UTF-8, so no JSON manifest can carry it."""

    code: ClassVar[str] = "name-not-utf8"


class FileChangedError(ModelError):
    """A file was written, truncated or replaced while it was read."""

    code: ClassVar[str] = "changed-while-reading"


class FileExistsRefusedError(ModelError):
    """A file that we would have to overwrite."""

    code: ClassVar[str] = "file-exists"


class SignatureNotFoundError(ModelError):
    """No signature was given, and none lies beside or inside the model."""

    code: ClassVar[str] = "signature-not-found"


class KeyMaterialError(Error):
    """A key, certificate or password that cannot be used."""

    code: ClassVar[str] = "key-unusable"


class WrongPasswordError(KeyMaterialError):
    """An encrypted key without its password, or with another one."""

    code: ClassVar[str] = "wrong-password"


class UnsupportedKeyError(KeyMaterialError):
    """A key type, curve or size that we do not sign or verify with."""

    code: ClassVar[str] = "unsupported-key"


class IdentityPatternError(KeyMaterialError):
    """A signer's identity that is written so that it cannot mean what it seems to say."""

    code: ClassVar[str] = "identity-pattern"


class MissingExtraError(Error):
    """A feature whose optional dependency is not installed."""

    code: ClassVar[str] = "missing-extra"

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra '{extra}'",
            hint=f"pip install 'countermark[{extra}]'",
        )
        self.extra = extra


class CacheError(Error):
    """A digest cache that is damaged or was not written with this key."""

    code: ClassVar[str] = "cache-unusable"


class VerificationError(Error):
    """Evidence was read, and does not hold.

    Attributes:
        verdict: Everything that was checked, for those who want to explain it.

    """

    code: ClassVar[str] = "verification-failed"

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.sentence, hint=verdict.hint)
        self.verdict = verdict
