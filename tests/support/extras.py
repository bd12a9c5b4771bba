"""Fixtures and helpers that need an extra skip without it; most of Countermark needs none."""

from __future__ import annotations

import pytest

__all__ = ["need_c2pa", "need_timestamp", "need_watermark"]


def need_c2pa() -> None:
    """Skip unless content credentials can be made here."""
    pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")


def need_timestamp() -> None:
    """Skip unless timestamps can be verified here."""
    pytest.importorskip("rfc3161_client", reason="the extra `timestamp` is not installed")


def need_watermark() -> None:
    """Skip unless marks can be made and detected here."""
    for name in ("numba", "numpy", "scipy", "tokenizers"):
        pytest.importorskip(name, reason="the extra `watermark` is not installed")
