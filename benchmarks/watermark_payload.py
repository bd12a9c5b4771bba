"""How often a 64-bit message is read rightly, wrongly, or not at all, on the distribution tape.

    python benchmarks/watermark_payload.py                 the table; a quarter of an hour, one core
    python benchmarks/watermark_payload.py --texts 2000    ten times as many
    python benchmarks/watermark_payload.py --first 5000    other texts

Every text has its own key, MAC key and identifier, all seeded. A wrong message is too rare to be
counted, so there is a bound as well: what `bound_of` gives each text that was written, averaged.
"Unsure and wrong" are best guesses that are wrong and that a limit of one in ten would have told.
"""

import argparse
import itertools
import math
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from countermark.watermark.documents import Documents
from countermark.watermark.payload import PayloadDetector, PayloadSampler
from countermark.watermark.prf import Tag, context_blocks
from countermark.watermark.sampling import Marker
from countermark.watermark.statistics import log_gamma_tail
from countermark.watermark.units import find_units
from countermark.watermark.verdict import WRONG_LIMIT

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.tape import from_logits, load_tape, simulate, temperature_for, unmarked

ALPHA = 1e-6
UNSURE = 0.1
PLACES = 8
FEWEST = 5  # Places at which two messages differ.
DIFFERENCES = [
    at for size in range(FEWEST, PLACES + 1) for at in itertools.combinations(range(PLACES), size)
]


@dataclass(frozen=True, slots=True)
class Cell:
    """One row: bits of entropy per token, length, share of tokens replaced; 0 bits: no mark.

    With `other_key` the text is marked, but not with the key that reads it.
    """

    bits: float
    tokens: int
    replaced: float = 0.0
    other_key: bool = False


CELLS = (
    Cell(5.0, 100),
    Cell(5.0, 200),
    Cell(5.0, 200, 0.1),
    Cell(1.8, 200),
    Cell(1.8, 300),
    Cell(1.8, 400),
    Cell(1.8, 300, 0.1),
    Cell(1.8, 500, 0.1),
    Cell(1.8, 300, 0.2),
    Cell(5.0, 200, 0.4),
    Cell(0.0, 300),
    Cell(5.0, 200, other_key=True),
)


@dataclass(slots=True)
class Tally:
    """What became of the texts of one cell."""

    right: int = 0
    wrong: int = 0
    found: int = 0
    unsure: int = 0
    bound: float = 0.0
    seconds: list[float] = field(default_factory=list)


@cache
def temperature_of(bits: float) -> float:
    """Return the temperature at which the tape has so many bits per token."""
    return temperature_for(load_tape(), bits)


def text_of(cell: Cell, sampler: PayloadSampler, rng: np.random.Generator) -> NDArray[np.uint32]:
    """Return token ids, uint32 [cell.tokens], after the replacements."""
    tape = load_tape()
    if not cell.bits:
        return simulate(tape, unmarked(rng), cell.tokens, rng)
    write = from_logits(Marker(sampler, rng=np.random.default_rng(rng.integers(1 << 63))), 49_152)
    ids = simulate(tape, write, cell.tokens, rng, temperature_of(cell.bits))
    hit = rng.random(len(ids)) < cell.replaced
    ids[hit] = rng.integers(0, tape.vocabulary, int(hit.sum()))
    return ids


def bound_of(values: NDArray[np.float64], places: NDArray[np.int64]) -> float:
    """Return how likely this text was to be misread, at most, given its scores under its message.

    A wrong message that differs at some places must score better there than the right one, and
    well enough to be told (specs/watermark-payload-v1, 5.2).
    """
    counts = np.bincount(places, minlength=PLACES)
    totals = np.bincount(places, weights=values, minlength=PLACES)
    bound = 0.0
    for at in map(list, DIFFERENCES):
        share = 1 / (4 * math.comb(PLACES, len(at)))
        tail = log_gamma_tail(totals[at].sum(keepdims=True), counts[at].sum(keepdims=True))[0]
        better = tail + 16 * math.log(2) * (len(at) - FEWEST)
        bound += math.exp(min(better, math.log(WRONG_LIMIT * share)))
    return bound


def try_text(cell: Cell, seed: int, tally: Tally) -> None:
    """Write one text, read it, and count."""
    rng = np.random.default_rng([seed, int(cell.bits * 10), cell.tokens, int(cell.replaced * 100)])
    key, mac_key, identifier = rng.bytes(16), rng.bytes(32), int(rng.integers(1 << 48))
    ids = text_of(cell, PayloadSampler(key, mac_key, identifier), rng)
    start = time.process_time()
    documents = Documents.of([ids], vocabulary=load_tape().vocabulary)
    positions = find_units(documents, 2).positions
    if cell.other_key:
        key = rng.bytes(16)
    values, (payload,) = PayloadDetector(key, mac_key).read(documents, positions)
    tally.seconds.append(time.process_time() - start)
    if payload is None:
        raise SystemExit(f"{cell}: a text without pairs")
    found = payload.ln_p <= math.log(ALPHA)
    tally.found += found
    right = payload.identifier == identifier and cell.bits > 0 and not cell.other_key
    if found and payload.readable:
        tally.right += right
        tally.wrong += not right
    tally.unsure += not right and payload.ln_wrong <= math.log(UNSURE)
    if right:
        words = context_blocks(key, Tag.PAYLOAD_POSITION, documents, positions, 2)
        tally.bound += bound_of(values, (words[:, 0] & np.uint64(7)).astype(np.int64))
    else:
        tally.bound += WRONG_LIMIT  # The right one may not have been tried.


def limits(hits: int, texts: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Clopper and Pearson, 1934)."""
    low = float(betaincinv(hits, texts - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, texts - hits, 0.975)) if hits < texts else 1.0
    return low, high


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="read messages of 64 bits on the tape")
    parser.add_argument("--texts", type=int, default=200, help="per row")
    parser.add_argument("--first", type=int, default=0, help="seed of the first text of a row")
    parser.add_argument("--rows", type=int, nargs="*", help="which rows, from 0")
    arguments = parser.parse_args()
    print(f"{arguments.texts} texts per row; alpha {ALPHA:g}, wrong-message limit {WRONG_LIMIT:g}")
    print(
        "bits tokens replaced | read rightly [95 %]     | mark found | wrong | unsure and wrong |"
        " bound   | CPU ms/text"
    )
    for number, cell in enumerate(CELLS):
        if arguments.rows is not None and number not in arguments.rows:
            continue
        tally = Tally()
        for seed in range(arguments.first, arguments.first + arguments.texts):
            try_text(cell, seed, tally)
        n = arguments.texts
        low, high = limits(tally.right, n)
        of_key = cell.bits and not cell.other_key
        bound = f"{tally.bound / n:7.1e}" if of_key else "      -"
        print(
            f"{cell.bits:4.1f} {cell.tokens:6} {cell.replaced:8.0%} |"
            f" {tally.right / n:7.2%} [{low:.2%}, {high:.2%}] | {tally.found / n:10.2%} |"
            f" {tally.wrong:5} | {tally.unsure:16} | {bound} |"
            f" {1000 * float(np.median(tally.seconds)):5.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
