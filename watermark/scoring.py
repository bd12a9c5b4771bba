"""What a key says of a batch of texts: which pairs it counts, what they score, how likely that is.

Answers, detector cards and benchmarks all score through here, so that they count the same pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.detector import Detector, as_carrier, as_forgetful
from countermark.watermark.documents import Documents
from countermark.watermark.draws import as_one_pass, distinct_draws
from countermark.watermark.units import NO_PAIRS, CommonPairs, Units, find_units
from countermark.watermark.verdict import Payload

__all__ = ["Scores", "parts", "score"]

_TOGETHER = 1 << 16  # Tokens: what a key is asked at once, so that it stays in the caches.


@dataclass(frozen=True, slots=True)
class Scores:
    """The values of one detector on every document of a batch.

    Attributes:
        detector: Which.
        units: The pairs that it counts.
        counts: int64 [D], how many each document has.
        values: float64 [M], of each of them.
        totals: float64 [D], what those of each document add up to.
        payloads: The message of each document; empty if the scheme carries none.

    """

    detector: Detector
    units: Units
    counts: NDArray[np.int64]
    values: NDArray[np.float64]
    totals: NDArray[np.float64]
    payloads: list[Payload | None]

    def log_p(self) -> NDArray[np.float64]:
        """Return ln p of each whole document by this key alone, float64 [D]."""
        return self.detector.log_p(self.totals, self.counts)

    def of(self, document: int) -> NDArray[np.float64]:
        """Return the values of one document."""
        return self.values[self.units.starts[document] : self.units.starts[document + 1]]


def score(
    documents: Documents, detectors: Iterable[Detector], common: Mapping[int, CommonPairs]
) -> Iterator[Scores]:
    """Yield what each detector says of the documents.

    Args:
        documents: The texts.
        detectors: Any number; pairs are looked for once for each context width.
        common: Commonplaces by context width.

    """
    by_width: dict[int, tuple[Units, NDArray[np.int64]]] = {}
    for detector in detectors:
        width = detector.width
        if width not in by_width:
            found = find_units(documents, width, common.get(width, NO_PAIRS))
            by_width[width] = found, np.diff(found.starts)
        units, counts = by_width[width]
        one_pass = as_one_pass(detector)
        draws = None if one_pass is None else one_pass.distinct_scores(documents, units)
        if draws is not None:
            counts = np.diff(draws.units.starts)
            yield Scores(detector, draws.units, counts, draws.values, draws.totals, [])
            continue
        forgetful = as_forgetful(detector)
        if forgetful is not None:
            units = distinct_draws(units, forgetful.identities(documents, units.positions))
            counts = np.diff(units.starts)
        payloads: list[Payload | None] = []
        carrier = as_carrier(detector)
        if carrier is not None:
            values, payloads = carrier.read(documents, units.positions)
        else:
            values = detector.values(documents, units.positions)
        yield Scores(detector, units, counts, values, _sums(values, units.starts), payloads)


def parts(documents: Documents, sizes: Sequence[int]) -> Iterator[tuple[Documents, int]]:
    """Yield the documents in parts that are quick to score, and need little memory for many keys.

    Args:
        documents: The documents.
        sizes: How many of them belong together, from the first on; those stay together.

    Yields:
        Some documents, and how many of `sizes` they are.

    """
    first, last, count = 0, 0, 0
    for size in sizes:
        tokens = documents.starts[last + size] - documents.starts[first]
        if count and tokens > _TOGETHER:
            yield documents.part(first, last), count
            first, count = last, 0
        last, count = last + size, count + 1
    if count:
        yield documents.part(first, last), count


@compiled
def _sums(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    out = np.empty(len(starts) - 1)
    for document in range(len(out)):
        total = 0.0
        for i in range(starts[document], starts[document + 1]):
            total += values[i]
        out[document] = total
    return out
