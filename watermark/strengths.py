"""How loud each scheme's mark is expected to be, where nobody measured it for the model at hand.

These figures only decide between "no mark found" and "not enough evidence". They are those of
text with 1.8 bits of entropy per token, close to what `benchmarks/watermark_power.py` measures on
the distribution tape (0.29 and 0.150 there), so that "no mark found" is not said too easily. Totals
of real texts vary three times as much as those of the tape, whose steps are independent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from countermark.watermark.power import GUMBEL_AT_1_8_BITS, Strength

if TYPE_CHECKING:
    from countermark.watermark.detector import Detector
    from countermark.watermark.keyring import KeyEntry

__all__ = ["ASSUMPTION", "assumed_strength"]

ASSUMPTION = "text of 1.8 bits per token, every token drawn with the key"

_VARIANCE_OF_TEXTS = 3.0
# Share of the tokens that a bias can move at all: the others have one likely candidate.
_MOVABLE = 0.271
# How much more than half of the weighted bits of a 30-layer tournament are 1, relatively.
_TOURNAMENT_LIFT = 0.154


def assumed_strength(entry: KeyEntry, detector: Detector) -> Strength:
    """Return what a token marked by this key is expected to score."""
    from countermark.watermark.synthid import SynthIdDetector
    from countermark.watermark.textseal import TextSealSynthidDetector
    from countermark.watermark.tournament import TournamentDetector, layer_weights

    if isinstance(detector, TournamentDetector):
        return _of_bits(layer_weights(detector.layers))
    if isinstance(detector, SynthIdDetector | TextSealSynthidDetector):
        return _of_bits(detector.weights)
    if "alpha" in entry.parameters:
        return _of_two_keys(_real(entry, "alpha"))
    for share, bias in (("gamma", "delta"), ("greenlist_ratio", "bias")):
        if share in entry.parameters:
            # A key of TextSeal's green list does not say the bias: 2, as others have by default.
            delta = _real(entry, bias) if bias in entry.parameters else 2.0
            return _of_green_list(_real(entry, share), delta)
    return GUMBEL_AT_1_8_BITS


def _of_two_keys(alpha: float) -> Strength:
    """A token of the first key scores as marked in one part and as unmarked in the other."""
    marked, first, second = GUMBEL_AT_1_8_BITS.mean, 1 - alpha, alpha
    mean = first * (first * marked + second) + second * (first + second * marked)
    return Strength(mean, GUMBEL_AT_1_8_BITS.variance * (first**2 + second**2))


def _of_green_list(gamma: float, delta: float) -> Strength:
    raised = gamma * math.exp(delta)
    most = raised / (raised + 1 - gamma)
    mean = gamma + _MOVABLE * (most - gamma)
    return Strength(mean, _VARIANCE_OF_TEXTS * mean * (1 - mean))


def _of_bits(weights: tuple[int, ...]) -> Strength:
    mean = (1 + _TOURNAMENT_LIFT) * sum(weights) / 2
    return Strength(mean, _VARIANCE_OF_TEXTS * sum(w * w for w in weights) / 4)


def _real(entry: KeyEntry, name: str) -> float:
    return float(entry.parameters[name])  # type: ignore[arg-type]
