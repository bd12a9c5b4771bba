"""File names inside a model: which are safe, how they are ordered, how they are shown.

A name is a POSIX path below the model root, as OMS v1.0 section 6.1.2 defines it. Names
come from whoever made the evidence, so they are checked before they are joined to
anything, and escaped before they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from countermark.signing.errors import UnsafeNameError

__all__ = ["MAX_DEPTH", "MAX_NAME_BYTES", "check_name", "check_names", "is_below", "printable"]

MAX_NAME_BYTES = 4096
MAX_DEPTH = 64

# Everything a terminal or a log viewer may act on, or nobody can see: C0 and C1 controls,
# line and paragraph separators, surrogates, and Unicode's Default_Ignorable_Code_Point
# (bidirectional marks, zero-width characters, fillers, variation selectors, tags).
_UNSAFE_TO_PRINT = (
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_DRIVE = re.compile(r"[A-Za-z]:(?:/|$)")  # "C:" and "C:/x", but not a file named "a:b".
_ODD = ("//", "/./", "/../", "\\", ":")  # What may be wrong with a short name between slashes.
_OBVIOUSLY_FINE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


def check_name(name: str) -> str:
    """Return `name` if it can only mean a file below the model root.

    Raises:
        UnsafeNameError: It is empty, absolute, has `.` or `..` or empty components, a NUL
            or a backslash, is longer than `MAX_NAME_BYTES` (UTF-8), or more than
            `MAX_DEPTH` parts.

    """
    # 2 * MAX_DEPTH characters hold at most MAX_DEPTH parts that are not empty.
    if len(name) <= 2 * MAX_DEPTH and _OBVIOUSLY_FINE.fullmatch(name):
        return name
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise UnsafeNameError(f"a file name of {len(name)} characters")
    # A backslash separates folders on Windows, so one name would mean two files.
    if "\\" in name or "\x00" in name:
        raise UnsafeNameError(f"file name {printable(name)} holds a backslash or NUL")
    if name.startswith("/") or _DRIVE.match(name):
        raise UnsafeNameError(f"file name {printable(name)} is absolute")
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise UnsafeNameError(f"file name {printable(name)} has an empty, '.' or '..' part")
    if len(parts) > MAX_DEPTH:
        raise UnsafeNameError(f"a file name of {len(parts)} parts, limit {MAX_DEPTH}")
    return name


def check_names(names: Sequence[str]) -> None:
    """Check names as `check_name` does, looking at each of them only if one looks odd.

    Raises:
        UnsafeNameError: As for `check_name`.

    """
    # With a slash around each, an empty part is "//" wherever it stands in its name.
    text = "/" + "/\x00/".join(names) + "/"
    if (
        any(odd in text for odd in _ODD)
        or text.count("\x00") != len(names) - 1
        or max(map(len, names)) > 2 * MAX_DEPTH
    ):
        for name in names:
            check_name(name)


def is_below(name: str, parent: str) -> bool:
    """Return whether `name` is `parent` or lies below it; both are safe names."""
    return name == parent or name.startswith(parent + "/")


def printable(name: str) -> str:
    r"""Return `name` with everything a terminal could act on written as `\xNN` or `\uNNNN`."""
    if name.isascii() and name.isprintable():
        return name
    return re.sub(_UNSAFE_TO_PRINT, _escape, name)


def _escape(match: re.Match[str]) -> str:
    point = ord(match.group())
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
