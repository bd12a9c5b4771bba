"""What may be said in public about a key: the part that key rings and descriptors share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, TypeVar

from countermark.watermark.errors import SchemeError, WrongTokenizerError
from countermark.watermark.parameters import Scheme, Value, scheme_named
from countermark.watermark.times import parse_moment, whole_second, written_moment

__all__ = ["KEY_ID", "Circumstances", "Terms", "TermsFields", "terms_document", "terms_fields"]

MAX_VOCABULARY = 1 << 21
KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

T = TypeVar("T")


class Circumstances(TypedDict, total=False):
    """Where and when a key is used, as far as it is known."""

    tokenizer_sha256: str | None
    model_sha256: str | None
    vocabulary: int | None
    not_before: datetime | None
    not_after: datetime | None


class TermsFields(Circumstances):
    """The fields of `Terms`."""

    id: str
    scheme: str
    parameters: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a key marks text, and when.

    Attributes:
        id: Public name of the key: 16 lowercase hex digits.
        scheme: Name and version of the scheme; a row of `parameters.SCHEMES`.
        parameters: All parameters of the scheme; not to be changed.
        tokenizer_sha256: SHA-256 of the tokenizer's file, 64 lowercase hex digits, if known.
        model_sha256: Digest of the signed model's statement, likewise.
        vocabulary: How many token ids the tokenizer has, if known.
        not_before: When text may first be marked with this key, UTC; None for always.
        not_after: The first moment at which it may not, UTC; None for never.

    Raises:
        SchemeError: One of these cannot be.

    """

    id: str
    scheme: str
    parameters: Mapping[str, Value]
    tokenizer_sha256: str | None = None
    model_sha256: str | None = None
    vocabulary: int | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None

    def __post_init__(self) -> None:
        if not KEY_ID.fullmatch(self.id):
            raise SchemeError("a key's id is 16 lowercase hex digits")
        object.__setattr__(self, "parameters", self.form.check(self.parameters))
        for digest in (self.tokenizer_sha256, self.model_sha256):
            if digest is not None and not _SHA256.fullmatch(digest):
                raise SchemeError("a SHA-256 digest is 64 lowercase hex digits")
        if self.vocabulary is not None and not 0 < self.vocabulary <= MAX_VOCABULARY:
            raise SchemeError(f"a vocabulary of {self.vocabulary}, limit {MAX_VOCABULARY}")
        for name in ("not_before", "not_after"):
            moment = getattr(self, name)
            object.__setattr__(self, name, None if moment is None else whole_second(moment))
        if self.not_before and self.not_after and self.not_before >= self.not_after:
            raise SchemeError("a key's window ends before it begins")

    @property
    def form(self) -> Scheme:
        """The scheme's row of the table."""
        return scheme_named(self.scheme)

    def valid_at(self, moment: datetime) -> bool:
        """Return whether text may have been marked with this key at an aware moment."""
        return (self.not_before is None or self.not_before <= moment) and (
            self.not_after is None or moment < self.not_after
        )

    def check_tokenizer(self, sha256: str) -> None:
        """Refuse a tokenizer other than the one the key was made for, if that is known.

        Raises:
            WrongTokenizerError: Its file has another digest.

        """
        if self.tokenizer_sha256 not in (None, sha256):
            raise WrongTokenizerError(
                f"key {self.id} is for the tokenizer with sha256 {self.tokenizer_sha256}, "
                f"and this one has {sha256}"
            )


def terms_document(terms: Terms) -> dict[str, object]:
    """Return the members of a JSON object; what is not known is left out."""
    members: dict[str, object] = {
        "id": terms.id,
        "scheme": terms.scheme,
        "parameters": {name: _number(value) for name, value in terms.parameters.items()},
        "tokenizer_sha256": terms.tokenizer_sha256,
        "model_sha256": terms.model_sha256,
        "vocabulary": terms.vocabulary,
        "not_before": terms.not_before and written_moment(terms.not_before),
        "not_after": terms.not_after and written_moment(terms.not_after),
    }
    return {name: value for name, value in members.items() if value is not None}


def terms_fields(members: dict[str, object]) -> TermsFields:
    """Take the members of `terms_document` out of a JSON object, for `Terms`.

    What is left in `members` is the caller's to judge.

    Raises:
        SchemeError: A member is absent, or of another type; whether the values can be is
            for `Terms` to say.

    """
    scheme = _typed(members, "scheme", str)
    parameters = members.pop("parameters", None)
    if not isinstance(parameters, dict):
        raise SchemeError("'parameters' is absent, or of another type than it should be")
    # A file that leaves a parameter out would change its meaning with our defaults.
    if set(parameters) != set(scheme_named(scheme).parameters):
        raise SchemeError(f"{scheme} has the parameters {sorted(scheme_named(scheme).parameters)}")
    return {
        "id": _typed(members, "id", str),
        "scheme": scheme,
        "parameters": parameters,
        "tokenizer_sha256": _optional(members, "tokenizer_sha256", str),
        "model_sha256": _optional(members, "model_sha256", str),
        "vocabulary": _optional(members, "vocabulary", int),
        "not_before": _moment(members, "not_before"),
        "not_after": _moment(members, "not_after"),
    }


def _typed(members: dict[str, object], name: str, kind: type[T]) -> T:
    value = members.pop(name, None)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise SchemeError(f"'{name}' is absent, or of another type than it should be")
    return value


def _optional(members: dict[str, object], name: str, kind: type[T]) -> T | None:
    return _typed(members, name, kind) if name in members else None


def _moment(members: dict[str, object], name: str) -> datetime | None:
    text = _optional(members, name, str)
    return None if text is None else parse_moment(text)


def _number(value: Value) -> Value:
    # RFC 8785 writes the number 2.0 as 2.
    return int(value) if isinstance(value, float) and value.is_integer() else value
