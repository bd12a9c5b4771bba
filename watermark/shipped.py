"""Commonplaces that come with the package, so that the first detection is safe on templates.

They were learnt from English documentation and prose (specs/watermark-common-pairs-v1, section 8).
Whoever judges other text learns a table of their own: `calibrate`.
"""

from __future__ import annotations

from importlib.resources import files

from countermark.watermark.common_pairs import Calibration, load_calibration

__all__ = ["shipped_calibrations"]


def shipped_calibrations(vocabulary_sha256: str) -> list[Calibration]:
    """Return the tables for a vocabulary; usually there is none."""
    tables = []
    for entry in sorted(files("countermark.watermark").joinpath("data").iterdir(), key=str):
        if entry.name.endswith(".pairs"):
            calibration = load_calibration(entry.read_bytes())
            if calibration.vocabulary_sha256 == vocabulary_sha256:
                tables.append(calibration)
    return tables
