"""Let these tests import the benchmarks, which are scripts and no package."""

import sys
from pathlib import Path

# At the end, so that `signing.py` there can hide nothing.
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
