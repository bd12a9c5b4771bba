"""Optional dependencies: one line that says what to install, instead of a traceback."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["has_c2pa", "has_watermark", "require_c2pa", "require_transformers", "require_watermark"]


def has_watermark() -> bool:
    """Return whether the packages of the extra `watermark` are there."""
    return _all_there("numba", "numpy", "scipy", "tokenizers")


def require_watermark() -> None:
    """Refuse to go on without the extra `watermark`.

    Raises:
        MissingExtraError: One of its packages is missing.

    """
    if not has_watermark():
        from countermark.signing.errors import MissingExtraError

        raise MissingExtraError("detecting marks in text", "watermark")


def require_transformers() -> None:
    """Refuse to go on without torch and transformers.

    Raises:
        MissingExtraError: One of them is missing.

    """
    require_watermark()
    if not _all_there("torch", "transformers"):
        from countermark.signing.errors import MissingExtraError

        raise MissingExtraError("writing with a model", "transformers")


def has_c2pa() -> bool:
    """Return whether the package of the extra `c2pa` is there."""
    return _all_there("c2pa")


def require_c2pa() -> None:
    """Refuse to go on without c2pa-python.

    Raises:
        MissingExtraError: It is missing.

    """
    if not has_c2pa():
        from countermark.signing.errors import MissingExtraError

        raise MissingExtraError("content credentials", "c2pa")


def _all_there(*names: str) -> bool:
    return all(find_spec(name) is not None for name in names)
