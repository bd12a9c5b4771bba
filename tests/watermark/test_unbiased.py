"""Over keys, every step of the tape is drawn from its own distribution: chi-square by step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import chdtrc

from countermark.watermark.green_list import GreenListSampler
from countermark.watermark.gumbel import DualGumbelSampler, GumbelSampler
from countermark.watermark.payload import PayloadSampler
from countermark.watermark.sampling import Sampler
from countermark.watermark.tournament import TournamentSampler
from support.tape import load_tape

KEY, OTHER = bytes(range(16)), bytes(range(16, 32))
STEPS, DRAWS = 24, 1500
UNBIASED: list[Sampler] = [
    GumbelSampler(KEY),
    DualGumbelSampler(KEY, OTHER, alpha=0.3),
    TournamentSampler(KEY),
    PayloadSampler(KEY, OTHER * 2, 123456789),
]


def chi_squares(
    sampler: Sampler, draws: int = DRAWS
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the p-value of each step; a context that never comes again is as good as a new key."""
    tape = load_tape()
    rng = np.random.default_rng(11)
    p_values = []
    for number, step in enumerate(rng.choice(len(tape), STEPS, replace=False)):
        candidates, shares = tape.candidates[step], tape.probabilities[step]
        logits = np.log(np.maximum(shares, 1e-300)).astype(np.float32)
        drawn = np.zeros(len(shares))
        for draw in range(draws):
            context = np.array([number, draw][-sampler.width :], np.uint32)
            drawn[sampler.choose(logits, context, rng)] += 1
        assert len(candidates) == len(shares)
        # Candidates are in falling order: the rare ones share a cell, so that each expects five.
        cells = max(1, int((shares * draws >= 5).sum()))
        seen = np.append(drawn[:cells], drawn[cells:].sum())
        expected = np.append(shares[:cells], shares[cells:].sum()) * draws
        kept = expected >= 5
        if kept.sum() > 1:
            statistic = ((seen - expected)[kept] ** 2 / expected[kept]).sum()
            p_values.append(float(chdtrc(kept.sum() - 1, statistic)))
    return np.array(p_values)


@pytest.mark.parametrize("sampler", UNBIASED, ids=lambda s: type(s).__name__)
def test_every_step_is_drawn_from_the_model_s_distribution(sampler: Sampler) -> None:
    p = chi_squares(sampler)
    assert len(p) >= STEPS // 2
    assert p.min() > 1e-3 / len(p)
    # Fisher's sum over the steps: a small bias that each step hides would show here.
    assert chdtrc(2 * len(p), -2 * np.log(p).sum()) > 1e-3


def test_a_scheme_that_biases_fails_the_same_test() -> None:
    p = chi_squares(GreenListSampler(KEY, width=2), draws=300)  # A fifth is more than enough.
    # The bias differs with each context, and yet unlikely tokens come too often over all.
    assert chdtrc(2 * len(p), -2 * np.log(p).sum()) < 1e-9
