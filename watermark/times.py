"""Moments as the files of this folder write them: RFC 3339, UTC, whole seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from countermark.watermark.errors import SchemeError

__all__ = ["parse_moment", "whole_second", "written_moment"]

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def parse_moment(text: str) -> datetime:
    """Return the aware moment that `2026-11-22T18:00:00Z` names; no other form is read.

    Raises:
        SchemeError: It is no such text, or there is no such moment.

    """
    if not _FORM.fullmatch(text):
        raise SchemeError("a moment is written like 2026-11-22T18:00:00Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError as e:
        raise SchemeError(f"there is no moment {text}") from e


def written_moment(moment: datetime) -> str:
    """Return the text that `parse_moment` reads."""
    return whole_second(moment).isoformat().replace("+00:00", "Z")


def whole_second(moment: datetime) -> datetime:
    """Return an aware moment in UTC.

    Raises:
        SchemeError: It has no time zone, or a fraction of a second.

    """
    if moment.tzinfo is None or moment.microsecond:
        raise SchemeError("a moment has a time zone, and whole seconds")
    return moment.astimezone(UTC)
