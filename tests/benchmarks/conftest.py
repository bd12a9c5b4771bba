"""Let these tests import the benchmarks, which are scripts and no package."""

import sys
from pathlib import Path

_BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")

# At the end, so that `signing.py` there can hide nothing.
sys.path.append(_BENCHMARKS)


def pytest_collection_finish() -> None:
    """Take the folder off the path again: other tests look at what a bare import finds."""
    sys.path.remove(_BENCHMARKS)
