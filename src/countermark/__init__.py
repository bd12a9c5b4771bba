"""Countermark: one chain of evidence, from the weights to the words they produce.

This module owns the version and the base of every error; everything else lives in
`countermark.signing`, and is imported from there.
"""

from typing import ClassVar

__version__ = "0.1.0"

__all__ = ["Error", "__version__"]


class Error(Exception):
    """Base of everything we refuse; `except countermark.Error` catches it all.

    Attributes:
        code: Stable name of the failure. It never changes: JSON output, exit codes
            and test vectors use it.
        hint: What the reader can do about it, as one imperative sentence; may be empty.

    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
