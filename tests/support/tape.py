"""The distribution tape: what a language model would say next, without the language model.

tests/watermark/tape/ holds real next-token distributions and says where they come from. Here they
are loaded, heated or cooled, and walked at random while a sampler picks the tokens: as much text
as a test needs, of known entropy. Only the order of the distributions is unlike a real text's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "TAPE_FILE",
    "Tape",
    "TapeSampler",
    "from_logits",
    "load_tape",
    "simulate",
    "temperature_for",
    "unmarked",
]

TAPE_FILE = Path(__file__).parents[1] / "watermark/tape/tape.npz"

# Takes probabilities float64 [K], candidates uint32 [K] and all tokens so far; returns a candidate.
TapeSampler = Callable[[NDArray[np.float64], NDArray[np.uint32], list[int]], int]

_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """Next-token distributions, likeliest token first.

    Attributes:
        candidates: uint32 [S, K], the K likeliest tokens of each step, all different.
        probabilities: float64 [S, K], falling within a row; each row sums to 1.
        mass: float64 [S], what part of the model's own distribution the K tokens had.
        full_entropy_bits: float64 [S], entropy of the model's whole distribution, before the cut.
        vocabulary: How many ids the model's tokenizer has.

    """

    candidates: NDArray[np.uint32]
    probabilities: NDArray[np.float64]
    mass: NDArray[np.float64]
    full_entropy_bits: NDArray[np.float64]
    vocabulary: int

    def __len__(self) -> int:
        return len(self.candidates)

    def entropy_bits(self, temperature: float = 1.0) -> NDArray[np.float64]:
        """Return the entropy of each step's kept candidates at a temperature, float64 [S]."""
        p = _heat(self.probabilities, temperature)
        logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
        return np.asarray(-(p * logs).sum(-1), np.float64)


@cache
def load_tape() -> Tape:
    """Return the tape that is committed; its arrays are read-only."""
    with np.load(TAPE_FILE) as arrays:
        candidates = arrays["ids"].astype(np.uint32)
        kept = arrays["probabilities"].astype(np.float64)
        entropy = arrays["entropy_bits"].astype(np.float64)
        vocabulary = int(arrays["vocabulary"])
    mass = kept.sum(-1)
    tape = Tape(candidates, kept / mass[:, None], mass, entropy, vocabulary)
    for array in (tape.candidates, tape.probabilities, tape.mass, tape.full_entropy_bits):
        array.setflags(write=False)  # Every test of a run shares them.
    return tape


def temperature_for(tape: Tape, bits: float) -> float:
    """Return the temperature at which the tape has `bits` of entropy per token on average.

    Raises:
        ValueError: If no temperature from 0.05 to 20 gives that.

    """
    low, high = _COLDEST, _HOTTEST
    if not tape.entropy_bits(low).mean() < bits < tape.entropy_bits(high).mean():
        raise ValueError(f"the tape cannot have {bits} bits per token")
    while high - low > 1e-4:  # Entropy grows with temperature.
        middle = (low + high) / 2
        if tape.entropy_bits(middle).mean() < bits:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def simulate(
    tape: Tape,
    sampler: TapeSampler,
    tokens: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
) -> NDArray[np.uint32]:
    """Let `sampler` write `tokens` tokens over random steps of the tape; return them, uint32 [N].

    Args:
        tape: From `load_tape`.
        sampler: Called once per token with the step's distribution, and all tokens so far. It must
            neither keep nor change that list.
        tokens: How many.
        rng: Chooses the steps. A sampler that draws needs a generator of its own.
        temperature: Applied to the kept candidates.

    """
    context: list[int] = []
    for step in rng.integers(0, len(tape), tokens):
        context.append(
            sampler(_heat(tape.probabilities[step], temperature), tape.candidates[step], context)
        )
    return np.asarray(context, np.uint32)


def unmarked(rng: np.random.Generator) -> TapeSampler:
    """Return a sampler that draws with `rng` and leaves no mark."""

    def draw(
        probabilities: NDArray[np.float64], candidates: NDArray[np.uint32], _: list[int]
    ) -> int:
        place = np.searchsorted(np.cumsum(probabilities), rng.random())
        return int(candidates[min(int(place), len(candidates) - 1)])

    return draw


def from_logits(
    choose: Callable[[NDArray[np.float32], Sequence[int]], int], vocabulary: int
) -> TapeSampler:
    """Return a sampler for whoever wants logits over the whole vocabulary: `sampling.Marker`.

    All tokens but the step's candidates get -inf. The logits are lent, and only until the return.
    """
    logits = np.full(vocabulary, -np.inf, np.float32)

    def draw(
        probabilities: NDArray[np.float64], candidates: NDArray[np.uint32], context: list[int]
    ) -> int:
        logits[candidates] = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
        token = choose(logits, context)
        logits[candidates] = -np.inf
        return token

    return draw


def _heat(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    if temperature == 1.0:
        return probabilities
    # Relative to the likeliest token, so that a cold one does not underflow to 0/0.
    heated = (probabilities / probabilities[..., :1]) ** (1.0 / temperature)
    return np.asarray(heated / heated.sum(-1, keepdims=True), np.float64)
