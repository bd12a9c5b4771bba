"""The trials that a detector card counts: many texts at once, answered as `detect` and `scan` do.

The same units, values, tails and corrections as in `judgement`, without the power and the spans
that only a single answer needs: those would take most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.correction import bonferroni, log_threshold
from countermark.watermark.detector import Detector
from countermark.watermark.documents import Documents
from countermark.watermark.scoring import score
from countermark.watermark.units import CommonPairs
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
    for row, scores in zip(rows, score(documents, detectors, common), strict=True):
        row[:] = scores.log_p()
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
    return _corrected(best, tests)


def scan_answers(
    documents: Documents, detectors: Sequence[Detector], common: Mapping[int, CommonPairs]
) -> Floats:
    """Return what `scan` would find in each document: the least ln p of a window, corrected."""
    best = np.zeros(len(documents))
    tests = np.zeros(len(documents), np.int64)
    for scores in score(documents, detectors, common):
        for document in range(len(documents)):
            windows = try_windows(scores.of(document), scores.detector)
            best[document] = min(best[document], windows.ln_p.min(initial=0.0))
            tests[document] += len(windows)
    return _corrected(best, np.maximum(tests, 1))


def hits(ln_p: Floats, alpha: float) -> int:
    """Return how many reach a level."""
    return int(np.count_nonzero(ln_p <= log_threshold(alpha)))


def _corrected(best: Floats, tests: NDArray[np.int64]) -> Floats:
    pairs = zip(best.tolist(), tests.tolist(), strict=True)
    return np.array([bonferroni(ln_p, number) for ln_p, number in pairs], np.float64)
