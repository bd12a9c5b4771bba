"""Strict JSON for hostile bytes: limits first, then one meaning or none.

Two parsers that disagree about one document are an attack (which of two equal keys
counts?), so everything RFC 8259 leaves open is refused here: repeated keys, NaN and
Infinity, a byte order mark, lone surrogates, and nesting past a limit.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable

from countermark.signing.errors import MalformedJsonError, TooLargeError

__all__ = ["DEFAULT_MAX_DEPTH", "dumps", "loads"]

DEFAULT_MAX_DEPTH = 32

# Possessive, and content with a missing last quote: no input makes it look twice.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_ONLY_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ONLY_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_STEP = bytes(2 if byte in b"[{" else 0 for byte in range(256))
_MAX_INT_DIGITS = 20
_MAX_SPLIT_QUOTES = 4_000_000


def loads(
    data: bytes,
    *,
    what: str,
    max_bytes: int,
    max_depth: int = DEFAULT_MAX_DEPTH,
    max_items: int | None = None,
) -> object:
    """Parse one JSON document that can only mean one thing.

    Args:
        data: UTF-8 text.
        what: Name of the document for error messages; already safe to print.
        max_bytes: Larger input is refused before anything is parsed.
        max_depth: Deepest nesting of arrays and objects.
        max_items: Most commas and opening brackets, those inside strings included: `[],[],…`
            costs thirty times its size once parsed.

    Raises:
        TooLargeError: The input is over `max_bytes` or `max_items`.
        MalformedJsonError: It is not strict JSON; the message says why.

    """
    if len(data) > max_bytes:
        raise TooLargeError(what, size=len(data), limit=max_bytes)
    if max_items is not None:
        items = data.count(b",") + data.count(b"[") + data.count(b"{")
        if items > max_items:
            raise TooLargeError(what, size=items, limit=max_items, unit="values")
    if _depth(data, max_depth) > max_depth:
        raise MalformedJsonError(f"{what}: nested deeper than {max_depth} levels")
    try:
        text = data.decode("utf-8")
        value: object = json.loads(
            text,
            object_pairs_hook=_pairs_hook(what),
            parse_constant=_constant_hook(what),
            parse_int=_int_hook(what),
            parse_float=_float_hook(what),
        )
    except MalformedJsonError:
        raise
    except UnicodeDecodeError as e:
        raise MalformedJsonError(f"{what}: not UTF-8 at byte {e.start}") from e
    except (ValueError, RecursionError) as e:
        reason = e.msg if isinstance(e, json.JSONDecodeError) else "cannot be parsed"
        raise MalformedJsonError(f"{what}: not JSON: {reason}") from e
    if "\\u" in text and _has_lone_surrogate(value):
        raise MalformedJsonError(f"{what}: a string holds a lone surrogate")
    return value


def dumps(value: object) -> bytes:
    """Encode as compact UTF-8 JSON with sorted keys: one value, one encoding."""
    text = json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    )
    return text.encode("utf-8")


def _depth(data: bytes, max_depth: int) -> int:
    """Return an upper bound of the nesting depth, without parsing."""
    if data.count(b"[") + data.count(b"{") <= max_depth:
        return 0  # Too few brackets to nest too deep: the usual case for small documents.
    if b"\\" in data:
        brackets = _STRING.sub(b"", data).translate(None, _ONLY_BRACKETS)
    else:
        # A bracket counts if an even number of quotes stands before it, so two quotes side
        # by side can go: what is left is short, and no string without a bracket is in it.
        marks = data.translate(None, _ONLY_MARKS).replace(b'""', b"")
        if marks.count(b'"') <= _MAX_SPLIT_QUOTES:
            brackets = b"".join(marks.split(b'"')[::2])
        else:
            brackets = _STRING.sub(b"", marks)
    steps = (step - 1 for step in brackets.translate(_STEP))
    return max(itertools.accumulate(steps), default=0)


def _pairs_hook(what: str) -> Callable[[list[tuple[str, object]]], dict[str, object]]:
    def refuse_repeated_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise MalformedJsonError(f"{what}: an object holds the same key twice")
        return result

    return refuse_repeated_keys


def _constant_hook(what: str) -> Callable[[str], object]:
    def refuse(name: str) -> object:
        raise MalformedJsonError(f"{what}: {name} is not JSON")

    return refuse


def _int_hook(what: str) -> Callable[[str], int]:
    def bounded(digits: str) -> int:
        if len(digits) > _MAX_INT_DIGITS:
            raise MalformedJsonError(f"{what}: an integer of {len(digits)} digits")
        return int(digits)

    return bounded


def _float_hook(what: str) -> Callable[[str], float]:
    def finite(digits: str) -> float:
        number = float(digits)
        if math.isinf(number):
            raise MalformedJsonError(f"{what}: a number beyond the range of a double")
        return number

    return finite


def _has_lone_surrogate(value: object) -> bool:
    # Depth is bounded by now, so a stack of pending values is enough.
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if not item.isascii() and any("\ud800" <= char <= "\udfff" for char in item):
                return True
        elif isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
