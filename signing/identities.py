"""Identity patterns: whom a certificate has to name.

A pattern is `email:…`, `uri:…` or `dns:…`; text without one of these three prefixes is a URI
if it begins with a scheme, an e-mail address if it has an `@`, and a DNS name otherwise.
Only the pattern may hold wildcards; what stands in a certificate is literal.

1. `*` stands for one or more characters of one DNS label (letters, digits, `-`, `_`), of
   one path segment of a URI, or of the local part of an e-mail address. It never stands
   for a separator, for another `*`, or for a whole `.` or `..` segment, and there is at
   most one in each label or segment. No other character is special.
2. DNS names, and the domain of an e-mail address, are compared without regard to ASCII
   case; local parts and URIs exactly. Nothing is decoded or normalised: internationalised
   names are written as A-labels (`xn--…`), as certificates hold them.
3. A certificate's name with anything but visible ASCII in it (NUL, blanks, controls)
   matches no pattern.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from countermark.signing.errors import IdentityPatternError
from countermark.signing.names import printable

__all__ = ["MAX_IDENTITY_CHARS", "IdentityPattern", "parse_identity"]

MAX_IDENTITY_CHARS = 2048
_KINDS = ("email", "uri", "dns")

_VISIBLE = frozenset(chr(point) for point in range(0x21, 0x7F))
_ALPHANUMERIC = frozenset(string.ascii_letters + string.digits)
_IN_LABEL = _ALPHANUMERIC | {"-", "_"}
# "?" and "#" end a path; a backslash, or "%2F", is a slash to some readers of URIs.
_IN_SEGMENT = _VISIBLE - set("/?#*%\\")
_IN_LOCAL = _VISIBLE - set('@*"\\')
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# RFC 3986 section 3: the authority ends at the first of "/", "?", "#".
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)(?://([^/?#]*))?(.*)")


@dataclass(frozen=True, slots=True)
class _Part:
    """One label, segment or local part, and what a wildcard in it may stand for."""

    text: str
    alphabet: frozenset[str]

    def matches(self, value: str) -> bool:
        head, star, tail = self.text.partition("*")
        if not star:
            return self.text == value
        middle = value[len(head) : len(value) - len(tail)]
        return (
            len(value) > len(head) + len(tail)
            and value.startswith(head)
            and value.endswith(tail)
            and value not in (".", "..")
            and self.alphabet.issuperset(middle)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityPattern:
    """A parsed pattern.

    Attributes:
        text: As the caller wrote it; visible ASCII.
        kind: `email`, `uri` or `dns`.

    """

    text: str
    kind: str
    _parts: tuple[_Part, ...]

    def matches(self, identity: str) -> bool:
        """Return whether a certificate's name, e.g. `email:a@b.c`, is one the pattern means."""
        kind, _, value = identity.partition(":")
        if kind != self.kind or len(value) > MAX_IDENTITY_CHARS or not _VISIBLE.issuperset(value):
            return False
        found = _split(kind, value)
        return len(found) == len(self._parts) and all(
            want.matches(got.text) for want, got in zip(self._parts, found, strict=True)
        )


def parse_identity(text: str) -> IdentityPattern:
    """Return the pattern that `text` means; the module's docstring has the rules.

    Raises:
        IdentityPatternError: It cannot match what it seems to say.

    """
    if len(text) > MAX_IDENTITY_CHARS or not _VISIBLE.issuperset(text):
        raise IdentityPatternError(
            f"identity '{printable(text[:80])}' is not visible ASCII",
            hint="Write internationalised names as A-labels: xn--….",
        )
    prefix, _, rest = text.partition(":")
    if prefix in _KINDS:
        kind, value = prefix, rest
    elif _SCHEME.match(text):
        kind, value = "uri", text
    else:
        kind, value = ("email" if "@" in text else "dns"), text
    if (kind == "email" and "@" not in value) or (kind == "uri" and not _SCHEME.match(value)):
        raise IdentityPatternError(f"identity '{text}' is not of the kind {kind}")
    parts = _split(kind, value)
    if any(part.text.count("*") > 1 for part in parts):
        raise IdentityPatternError(
            f"identity '{text}' has more than one '*' in a label or segment",
            hint="Use one '*' in each; it never crosses '.', '/' or '@'.",
        )
    hosts = parts if kind == "dns" else parts[1:] if kind == "email" else ()
    if not all((_IN_LABEL | {"*"}).issuperset(part.text) for part in hosts):
        raise IdentityPatternError(f"identity '{text}' holds what is no DNS name")
    if not any(_ALPHANUMERIC.intersection(part.text) for part in parts[kind == "uri" :]):
        raise IdentityPatternError(f"identity '{text}' names nobody in particular")
    return IdentityPattern(text=text, kind=kind, _parts=parts)


def _split(kind: str, value: str) -> tuple[_Part, ...]:
    """Cut a name at its separators; two names of one kind agree if all their parts do."""
    if kind == "dns":
        return _labels(value.lower())
    if kind == "email":
        local, at, domain = value.rpartition("@")
        # A quoted local part may hold anything; no wildcard reaches into it.
        return (_Part(local + at, _IN_LOCAL), *_labels(domain.lower()))
    match = _URI.fullmatch(value)
    if match is None:  # Not a URI: literal, so that only the same text is equal.
        return (_mark(value),)
    scheme, authority, rest = match.groups()
    # The marks keep hosts apart from paths: "x://a." is not "x://a/", "x:a" not "x://a".
    host = (_mark("//"), *_labels(authority), _mark("/")) if authority is not None else ()
    path = tuple(_Part(segment, _IN_SEGMENT) for segment in rest.split("/"))
    return (_mark(scheme), *host, *path)


def _mark(text: str) -> _Part:
    return _Part(text, frozenset())


def _labels(name: str) -> tuple[_Part, ...]:
    return tuple(_Part(label, _IN_LABEL) for label in name.split("."))
