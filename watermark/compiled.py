"""The one door to numba: a decorator that keeps a function's type."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code at its first call, and keep it on disk for the next run.

    It takes plain arrays and numbers, and releases the GIL while it runs.
    """
    wrapped: Callable[P, R] = numba.njit(cache=True, nogil=True)(function)
    return wrapped
