"""Every way in which marking and detecting can refuse.

    Error
    └── WatermarkError
        ├── BatchError                a batch that cannot start, be resumed, or be finished
        ├── MalformedRingError        a key ring that cannot be read: damaged, hostile, not ours
        ├── MalformedDescriptorError  a scheme descriptor that cannot be read
        ├── MalformedPairsError       a common-pairs file that cannot be read
        ├── MalformedTableError       a file of green lists that is damaged, or another key's
        ├── MalformedTokenizerError   a tokenizer's file that cannot be read
        ├── MalformedInputError       text or token ids that cannot be scored at all
        ├── WrongTokenizerError       a tokenizer other than the one the key was made for
        ├── KeyUseError               a key that cannot be used: unknown, out of its window
        │   └── LockedRingError       an encrypted key ring that nothing here opens
        └── SchemeError               parameters that the scheme does not allow

Too little text is none of these: it is the answer "not enough evidence".
"""

from __future__ import annotations

from typing import ClassVar

from countermark import Error

__all__ = [
    "BatchError",
    "KeyUseError",
    "LockedRingError",
    "MalformedDescriptorError",
    "MalformedInputError",
    "MalformedPairsError",
    "MalformedRingError",
    "MalformedTableError",
    "MalformedTokenizerError",
    "SchemeError",
    "WatermarkError",
    "WrongTokenizerError",
]


class WatermarkError(Error):
    """Base of what this folder refuses."""

    code: ClassVar[str] = "watermark"


class BatchError(WatermarkError):
    """A batch that cannot start, be resumed, or be finished."""

    code: ClassVar[str] = "batch"


class MalformedRingError(WatermarkError):
    """A key ring that cannot be read."""

    code: ClassVar[str] = "malformed-key-ring"


class MalformedDescriptorError(WatermarkError):
    """A scheme descriptor that cannot be read."""

    code: ClassVar[str] = "malformed-descriptor"


class MalformedPairsError(WatermarkError):
    """A file of common (context, token) pairs that cannot be read."""

    code: ClassVar[str] = "malformed-common-pairs"


class MalformedTableError(WatermarkError):
    """A file of green lists that is damaged, or of another key or vocabulary."""

    code: ClassVar[str] = "malformed-green-table"


class MalformedTokenizerError(WatermarkError):
    """A tokenizer's file that cannot be read."""

    code: ClassVar[str] = "malformed-tokenizer"


class MalformedInputError(WatermarkError):
    """Text or token ids that cannot be scored: not UTF-8, not integers, over a limit."""

    code: ClassVar[str] = "malformed-input"


class WrongTokenizerError(WatermarkError):
    """A tokenizer other than the one the key was made for: its ids mean other words."""

    code: ClassVar[str] = "wrong-tokenizer"


class KeyUseError(WatermarkError):
    """A key that cannot be used here: unknown, locked, or outside its window."""

    code: ClassVar[str] = "key-unusable"


class LockedRingError(KeyUseError):
    """An encrypted key ring, and no identity or passphrase that opens it."""

    code: ClassVar[str] = "key-ring-locked"


class SchemeError(WatermarkError):
    """Parameters that the scheme does not allow."""

    code: ClassVar[str] = "scheme-parameters"
