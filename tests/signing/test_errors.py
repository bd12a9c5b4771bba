"""Every refusal descends from one class and has a code of its own that never changes."""

import pytest

import countermark
from countermark.signing import errors
from countermark.signing.errors import (
    MalformedSafetensorsError,
    MissingExtraError,
    TooLargeError,
    VerificationError,
)
from countermark.signing.keys import BadSignatureError
from countermark.signing.verdict import Outcome, Verdict, failed

CLASSES: list[type[countermark.Error]] = sorted(
    (item for item in vars(errors).values() if isinstance(item, type)), key=lambda c: c.__name__
)
CODES = {
    "CacheError": "cache-unusable",
    "EmptyModelError": "empty-model",
    "Error": "error",
    "FileChangedError": "changed-while-reading",
    "FileExistsRefusedError": "file-exists",
    "IdentityPatternError": "identity-pattern",
    "KeyMaterialError": "key-unusable",
    "MalformedBundleError": "malformed-bundle",
    "MalformedCertificateError": "malformed-certificate",
    "MalformedError": "malformed",
    "MalformedJsonError": "malformed-json",
    "MalformedSafetensorsError": "malformed-safetensors",
    "MalformedStatementError": "malformed-statement",
    "MalformedTreeError": "malformed-tree",
    "MissingExtraError": "missing-extra",
    "ModelError": "model",
    "ModelNotFoundError": "model-not-found",
    "SignatureNotFoundError": "signature-not-found",
    "SpecialFileError": "special-file",
    "SymlinkError": "symlink-refused",
    "TooLargeError": "too-large",
    "UndecodableNameError": "name-not-utf8",
    "UnsafeNameError": "unsafe-name",
    "UnsupportedKeyError": "unsupported-key",
    "VerificationError": "verification-failed",
    "WrongPasswordError": "wrong-password",
}


def test_codes_are_the_ones_that_were_promised() -> None:
    assert {name: code for name, code in CODES.items() if code != getattr(errors, name).code} == {}


def test_no_two_classes_share_a_code() -> None:
    codes = [kind.code for kind in CLASSES] + [BadSignatureError.code]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_each_class_is_ours_and_says_so(kind: type[countermark.Error]) -> None:
    assert issubclass(kind, countermark.Error)
    assert kind.__name__.endswith("Error")
    assert kind.__doc__


def test_a_hint_is_kept_and_is_empty_by_default() -> None:
    assert countermark.Error("x", hint="do").hint == "do"
    assert countermark.Error("x").hint == ""
    assert str(countermark.Error("x", hint="do")) == "x"


def test_facts_are_attributes() -> None:
    large = TooLargeError("bundle", size=2, limit=1, unit="stamps")
    assert (str(large), large.size, large.limit) == ("bundle: 2 stamps, limit 1", 2, 1)
    assert MalformedSafetensorsError("x", reason="hole").reason == "hole"
    missing = MissingExtraError("timestamps", "timestamp")
    assert (missing.extra, missing.hint) == ("timestamp", "pip install 'countermark[timestamp]'")


def test_a_verification_error_carries_its_verdict_and_speaks_its_sentence() -> None:
    check = failed("wrong-key", Outcome.UNTRUSTED_SIGNER, "another key", "ask")
    verdict = Verdict(subject="m", checks=(check,))
    error = VerificationError(verdict)
    assert (str(error), error.hint, error.verdict) == ("another key", "ask", verdict)
