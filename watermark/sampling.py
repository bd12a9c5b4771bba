"""Marking while a model writes: from logits and context to the next token.

Nothing here needs a deep-learning framework: `sample` is the whole rule in numpy, and `Marker`
keeps what one sequence must remember. The keyed part is integer arithmetic and the same on any
device; which token wins is then decided in float64 on the logits that are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.errors import SchemeError
from countermark.watermark.gumbel import GumbelSampler, race

__all__ = ["Marker", "Sampler", "sample", "shape_logits"]


class Sampler(Protocol):
    """One scheme with one key, on the writing side."""

    @property
    def width(self) -> int:
        """How many tokens before the next one are its context."""
        ...

    def choose(
        self,
        logits: NDArray[np.float32],
        context: NDArray[np.uint32],
        rng: np.random.Generator,
    ) -> int:
        """Return the next token.

        Args:
            logits: float32 [V]; temperature and truncation applied, -inf where excluded.
            context: uint32 [width], oldest first.
            rng: For what the scheme leaves to chance.

        """
        ...


def sample(
    logits: NDArray[np.floating],
    context: Sequence[int] | NDArray[np.integer],
    key: bytes,
    *,
    temperature: float = 1.0,
) -> int:
    """Return the token that `key` draws from softmax(logits / temperature) after `context`.

    The plain rule of `countermark-gumbel-v1`: a pure function, the same everywhere. To stay
    free of distortion a context must be marked once only, which `Marker` sees to.

    Args:
        logits: [V] of any float type; -inf excludes a token.
        context: The tokens before, oldest first; all of them are used (2 by default elsewhere).
        key: 16 bytes.
        temperature: Above 0.

    """
    shaped = shape_logits(logits, temperature=temperature)
    nobody = np.random.default_rng(0)  # This scheme leaves nothing to chance.
    return GumbelSampler(key, width=len(context)).choose(
        shaped, np.asarray(context, np.uint32), nobody
    )


@dataclass(slots=True)
class Marker:
    """Draws the tokens of one sequence, and marks each context once.

    A second draw for the same context would be the same dice: the text would repeat itself, and a
    reader with many answers could see it. Such a token, and any with too little before it, is
    drawn from `rng` instead.

    Attributes:
        sampler: The scheme and key.
        rng: Seeded from the operating system unless a test needs otherwise.
        marked: How many tokens were drawn with the key.
        drawn: How many tokens were drawn at all.

    """

    sampler: Sampler
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    marked: int = 0
    drawn: int = 0
    _seen: set[bytes] = field(default_factory=set, repr=False)

    def __call__(
        self, logits: NDArray[np.float32], context: Sequence[int] | NDArray[np.integer]
    ) -> int:
        """Return the next token after `context` (all tokens so far, or at least `width`)."""
        self.drawn += 1
        width = self.sampler.width
        last = np.asarray(context[-width:], np.uint32)
        name = last.tobytes()
        if len(last) < width or name in self._seen:
            candidates = np.flatnonzero(logits > -np.inf)
            return race(logits, self.rng.standard_exponential(len(candidates)), candidates)
        self._seen.add(name)
        self.marked += 1
        return self.sampler.choose(logits, last, self.rng)


def shape_logits(
    logits: NDArray[np.floating],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> NDArray[np.float32]:
    """Return float32 [V] logits over `temperature`, with -inf outside top-k and top-p.

    Raises:
        SchemeError: If no token could be drawn: a temperature of 0 leaves nothing to mark.

    """
    if not temperature > 0:
        raise SchemeError(
            f"a temperature of {temperature}: only what is drawn by chance can carry a mark"
        )
    shaped = np.asarray(logits, np.float32) / np.float32(temperature)
    if np.isnan(shaped).any() or not np.max(shaped, initial=-np.inf) > -np.inf:
        raise SchemeError("logits with no token to draw from")
    if 0 < top_k < len(shaped):
        shaped[shaped < np.partition(shaped, -top_k)[-top_k]] = -np.inf
    if top_p < 1:
        order = np.argsort(-shaped)
        shares = np.exp(shaped[order] - shaped[order[0]], dtype=np.float64)
        before = np.cumsum(shares) - shares
        shaped[order[before >= top_p * shares.sum()]] = -np.inf
    return shaped
