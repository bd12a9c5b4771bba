"""The tournament mark: many keyed coin tosses per token, each shifting the odds a little.

Dathathri et al., "Scalable watermarking for identifying large language model outputs", Nature 634
(2024). In layer l every candidate token i has a keyed fair bit g_i, and its probability becomes
p_i (1 + g_i - sum_j g_j p_j): what two candidates drawn from p give if the one with the larger bit
wins and ties are tossed ("vectorised", non-distortionary form, two candidates a match). Over random
bits that has mean p_i in each layer, so the draw that ends the tournament is a draw from p: nothing
is distorted as long as no context is used twice. Bits of chosen tokens are 1 more often than not.

The bits are the first ones of one PRF block for (context, token): bit l is bit l % 64, from the
least, of word l // 64. So 30 layers cost what one does, and all of a block's 128 are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.compiled import compiled
from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.prf import Tag, blocks, vocabulary_blocks
from countermark.watermark.statistics import log_weighted_bits_tail

__all__ = [
    "DEFAULT_LAYERS",
    "MAX_LAYERS",
    "TournamentDetector",
    "TournamentSampler",
    "layer_weights",
    "tournament_sample",
    "tournament_sample_batch",
]

DEFAULT_LAYERS = 30
MAX_LAYERS = 128


def layer_weights(layers: int) -> tuple[int, ...]:
    """Return how much each layer's bit counts: layers, layers - 1, … 1.

    A layer shifts the odds by what uncertainty the layers before it have left, so later bits
    say less. Against weights fitted to the text itself, unknown to a detector, the loss is
    2 to 5 % of the signal-to-noise ratio at 30 layers and 0.7 to 4.4 bits per token; with equal
    weights it is 3 to 18 %.
    """
    return tuple(range(layers, 0, -1))


@dataclass(frozen=True, slots=True)
class TournamentDetector:
    """`countermark-tournament-v1` with one key.

    Raises:
        SchemeError: Fewer than 1 or more than `MAX_LAYERS` layers.

    """

    key: bytes = field(repr=False)
    width: int = 2
    layers: int = DEFAULT_LAYERS
    scheme: str = "countermark-tournament-v1"

    def __post_init__(self) -> None:
        _check_layers(self.layers)

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weighted sum of the bits of each token, float64 [M], whole numbers."""
        words = blocks(self.key, Tag.TOURNAMENT, documents, positions, self.width)
        return _weigh(words, _byte_sums(self.layers))

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(weighted sum of counts x layers fair bits >= totals)."""
        return log_weighted_bits_tail(totals, counts, layer_weights(self.layers), 0.5)


@dataclass(frozen=True, slots=True)
class TournamentSampler:
    """Draws tokens for `countermark-tournament-v1`.

    Raises:
        SchemeError: Fewer than 1 or more than `MAX_LAYERS` layers.

    """

    key: bytes = field(repr=False)
    width: int = 2
    layers: int = DEFAULT_LAYERS

    def __post_init__(self) -> None:
        _check_layers(self.layers)

    def choose(
        self,
        logits: NDArray[np.float32],
        context: NDArray[np.uint32],
        rng: np.random.Generator,
    ) -> int:
        """Return a token: the tournament on softmax(`logits`) after `context`, then a draw.

        Args:
            logits: float32 [V]; -inf excludes a token.
            context: uint32 [width], oldest first.
            rng: Draws from what the tournament leaves, with one uniform number.

        """
        candidates = np.flatnonzero(logits > -np.inf)
        words = vocabulary_blocks(self.key, Tag.TOURNAMENT, context, candidates.astype(np.uint32))
        shares = logits[candidates].astype(np.float64)
        shares -= shares.max(initial=-np.inf)
        np.exp(shares, out=shares)
        return int(candidates[tournament_sample(shares, words, rng, layers=self.layers)])


def tournament_sample(
    probabilities: NDArray[np.float64],
    words: NDArray[np.uint64],
    rng: np.random.Generator,
    *,
    layers: int = DEFAULT_LAYERS,
) -> int:
    """Return the index of the candidate that is drawn.

    Sums are taken in four lanes, by index modulo 4, and added as (0 + 1) + (2 + 3), in float64:
    the same bits and the same uniform number give the same token anywhere.

    Args:
        probabilities: float64 [C], in any scale; 0 excludes a candidate.
        words: uint64 [C, 2], PRF blocks of the candidates.
        rng: Asked for one uniform number.
        layers: 1 to `MAX_LAYERS`.

    Raises:
        SchemeError: The probabilities have no positive finite sum, or `layers` is out of range.

    """
    return int(tournament_sample_batch(probabilities[None], words[None], rng, layers=layers)[0])


def tournament_sample_batch(
    probabilities: NDArray[np.float64],
    words: NDArray[np.uint64],
    rng: np.random.Generator,
    *,
    layers: int = DEFAULT_LAYERS,
) -> NDArray[np.int64]:
    """Return the index of the candidate drawn for each of B sequences, int64 [B].

    Args:
        probabilities: float64 [B, C], as for `tournament_sample`; pad with zeros.
        words: uint64 [B, C, 2].
        rng: Asked for B uniform numbers, in order.
        layers: 1 to `MAX_LAYERS`.

    Raises:
        SchemeError: As for `tournament_sample`.

    """
    _check_layers(layers)
    chosen = _sample(
        np.ascontiguousarray(probabilities, np.float64),
        np.ascontiguousarray(words, np.uint64),
        rng.random(len(probabilities)),
        layers,
    )
    if len(chosen) and chosen.min() < 0:
        raise SchemeError("probabilities without a positive finite sum: nothing can be drawn")
    return chosen


def _check_layers(layers: int) -> None:
    if not 1 <= layers <= MAX_LAYERS:
        raise SchemeError(f"{layers} layers; 1 to {MAX_LAYERS} are possible")


def _byte_sums(layers: int) -> NDArray[np.int32]:
    """Return the weighted sum of each byte of a block by its value, int32 [B, 256]."""
    weights = np.zeros(-(-layers // 8) * 8, np.int32)
    weights[:layers] = layer_weights(layers)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    return np.ascontiguousarray(weights.reshape(-1, 8) @ bits.T.astype(np.int32), np.int32)


@compiled
def _weigh(words: NDArray[np.uint64], sums: NDArray[np.int32]) -> NDArray[np.float64]:
    out = np.empty(len(words), np.float64)
    for i in range(len(words)):
        total = np.int32(0)
        for byte in range(len(sums)):
            value = words[i, byte >> 3] >> np.uint64(8 * (byte & 7))
            total += sums[byte, value & np.uint64(255)]
        out[i] = total
    return out


@compiled
def _sample(
    probabilities: NDArray[np.float64],
    words: NDArray[np.uint64],
    uniforms: NDArray[np.float64],
    layers: int,
) -> NDArray[np.int64]:
    """Return the index drawn in each row, -1 where there is nothing to draw from."""
    rows, count = probabilities.shape
    chosen = np.full(rows, -1, np.int64)
    lanes = (count + 3) // 4 * 4
    odds = np.zeros(lanes, np.float64)
    bits = np.zeros(lanes, np.uint64)
    for row in range(rows):
        odds[:count] = probabilities[row]
        total = _lane_sum(odds)
        if not 0 < total < np.inf or odds.min() < 0:
            continue
        odds /= total
        for word in range((layers + 63) // 64):
            bits[:count] = words[row, :, word]
            _play(odds, bits, min(64, layers - 64 * word))
        chosen[row] = _pick(odds[:count], uniforms[row])
    return chosen


@compiled
def _lane_sum(values: NDArray[np.float64]) -> float:
    a = b = c = d = 0.0
    for i in range(0, len(values), 4):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
    return (a + b) + (c + d)


@compiled
def _play(odds: NDArray[np.float64], bits: NDArray[np.uint64], layers: int) -> None:
    """Run the layers of one word, in place; `bits` is used up, the next one always lowest."""
    one = np.uint64(1)
    for _layer in range(layers):
        a = b = c = d = 0.0
        for i in range(0, len(odds), 4):
            a += odds[i] * np.float64(bits[i] & one)
            b += odds[i + 1] * np.float64(bits[i + 1] & one)
            c += odds[i + 2] * np.float64(bits[i + 2] & one)
            d += odds[i + 3] * np.float64(bits[i + 3] & one)
        # Rounding may take the sum past 1, and a probability below 0.
        loss = 1.0 - min((a + b) + (c + d), 1.0)
        for i in range(len(odds)):
            odds[i] *= np.float64(bits[i] & one) + loss
            bits[i] >>= one


@compiled
def _pick(odds: NDArray[np.float64], uniform: float) -> int:
    """Return the first index at which the running sum passes `uniform` of the whole."""
    bound = uniform * odds.sum()
    last = -1
    total = 0.0
    for i in range(len(odds)):
        if odds[i] > 0:
            total += odds[i]
            last = i
            if total > bound:
                break
    return last
