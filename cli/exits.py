"""Exit codes: one number for each way a command can end (specs/cli.md section 2)."""

from __future__ import annotations

from countermark import Error
from countermark.signing.errors import (
    KeyMaterialError,
    MalformedError,
    SignatureNotFoundError,
    VerificationError,
)
from countermark.signing.verdict import Outcome

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "EXIT_OF", "EXIT_OK", "EXIT_USAGE", "exit_code_of"]

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

EXIT_OF = {
    Outcome.VERIFIED: EXIT_OK,
    Outcome.NOTHING_TO_VERIFY: 10,
    Outcome.TAMPERED: 11,
    Outcome.UNTRUSTED_SIGNER: 12,
    Outcome.OUTSIDE_VALIDITY: 13,
    Outcome.MALFORMED: 14,
    Outcome.INCONCLUSIVE: 15,
    Outcome.REFUSED: 16,
}


def exit_code_of(error: Error) -> int:
    """Return the exit code of a refusal that was raised."""
    match error:
        case VerificationError():
            return EXIT_OF[error.verdict.outcome]
        case SignatureNotFoundError():
            return EXIT_OF[Outcome.NOTHING_TO_VERIFY]
        case MalformedError():
            return EXIT_OF[Outcome.MALFORMED]
        case KeyMaterialError():
            return EXIT_USAGE
        case _:
            return _exit_code_of_others(error)


def _exit_code_of_others(error: Error) -> int:
    # Here, since `verify` should not pay for what it does not raise.
    from countermark.provenance.errors import ProvenanceError

    if isinstance(error, ProvenanceError):
        return _exit_code_of_provenance(error)
    return _exit_code_of_watermark(error)


def _exit_code_of_provenance(error: Error) -> int:
    from countermark.provenance import errors

    match error:
        case errors.ContentRefusedError():
            return EXIT_OF[error.verdict.outcome]
        case (
            errors.MalformedContentError()
            | errors.MalformedStoreError()
            | errors.MalformedTrustError()
        ):
            return EXIT_OF[Outcome.MALFORMED]
        case errors.NoManifestError():
            return EXIT_OF[Outcome.NOTHING_TO_VERIFY]
        case (
            errors.CredentialError()
            | errors.DefinitionError()
            | errors.ModelEvidenceError()
            | errors.UnsupportedContentError()
        ):
            return EXIT_USAGE
        case _:
            return EXIT_ERROR


def _exit_code_of_watermark(error: Error) -> int:
    from countermark.watermark import errors

    match error:
        case (
            errors.MalformedRingError()
            | errors.MalformedDescriptorError()
            | errors.MalformedPairsError()
            | errors.MalformedTableError()
            | errors.MalformedTokenizerError()
            | errors.MalformedInputError()
        ):
            return EXIT_OF[Outcome.MALFORMED]
        case errors.WrongTokenizerError() | errors.KeyUseError() | errors.SchemeError():
            return EXIT_USAGE
        case _:
            return EXIT_ERROR
