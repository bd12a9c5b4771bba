"""The trials that a detector card counts: many texts at once, answered as `detect` and `scan` do.

The same units, values, tails and corrections as in `judgement`, without the power and the spans
that only a single answer needs: those would take most of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.detector import Detector, Forgetful
from countermark.watermark.documents import Documents
from countermark.watermark.draws import distinct_draws
from countermark.watermark.units import NO_PAIRS, CommonPairs, Units, find_units
from countermark.watermark.windows import try_windows

__all__ = ["answers", "hits", "laid_out", "log_p_values", "scan_answers"]

Floats = NDArray[np.float64]


def laid_out(texts: Sequence[NDArray[np.uint32]]) -> Documents:
    """Return texts that are known to be token ids as documents."""
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    tokens = np.concatenate(texts) if texts else np.zeros(0, np.uint32)
    return Documents(tokens.astype(np.uint32, copy=False), starts)


def log_p_values(
    documents: Documents, detectors: Sequence[Detector], common: Mapping[int, CommonPairs]
) -> Floats:
    """Return ln p of each whole document by each key alone, float64 [K, D]."""
    rows = np.zeros((len(detectors), len(documents)))
    for row, (detector, units, values) in zip(
        rows, _scored(documents, detectors, common), strict=True
    ):
        counts = np.diff(units.starts)
        owners = np.repeat(np.arange(len(documents)), counts)
        totals = np.bincount(owners, weights=values, minlength=len(documents))
        row[:] = detector.log_p(np.asarray(totals, np.float64), counts)
    return rows


def answers(ln_p: Floats, variants: Sequence[int] | None = None) -> Floats:
    """Return what `detect` would answer for each text: the least ln p, corrected; float64 [T].

    Args:
        ln_p: float64 [K, D], from `log_p_values`.
        variants: How many of the D documents are variants of each text; None for one each.

    """
    best = ln_p.min(axis=0)
    tests = np.full(len(best), len(ln_p))
    if variants is not None:
        sizes = np.asarray(variants, np.int64)
        starts = np.cumsum(sizes) - sizes
        best = np.minimum.reduceat(best, starts) if len(sizes) else best
        tests = len(ln_p) * sizes
    return np.asarray(np.minimum(0.0, best + np.log(tests)), np.float64)


def scan_answers(
    documents: Documents, detectors: Sequence[Detector], common: Mapping[int, CommonPairs]
) -> Floats:
    """Return what `scan` would find in each document: the least ln p of a window, corrected."""
    best = np.zeros(len(documents))
    tests = np.zeros(len(documents), np.int64)
    for detector, units, values in _scored(documents, detectors, common):
        for document in range(len(documents)):
            own = values[units.starts[document] : units.starts[document + 1]]
            windows = try_windows(own, detector)
            best[document] = min(best[document], windows.ln_p.min(initial=0.0))
            tests[document] += len(windows)
    return np.asarray(np.minimum(0.0, best + np.log(np.maximum(tests, 1))), np.float64)


def hits(ln_p: Floats, alpha: float) -> int:
    """Return how many reach a level."""
    return int(np.count_nonzero(ln_p <= math.log(alpha)))


def _scored(
    documents: Documents, detectors: Sequence[Detector], common: Mapping[int, CommonPairs]
) -> Iterator[tuple[Detector, Units, Floats]]:
    by_width: dict[int, Units] = {}
    for detector in detectors:
        width = detector.width
        if width not in by_width:
            by_width[width] = find_units(documents, width, common.get(width, NO_PAIRS))
        units = by_width[width]
        if isinstance(detector, Forgetful):
            units = distinct_draws(units, detector.identities(documents, units.positions))
        yield detector, units, detector.values(documents, units.positions)
