"""False alarms on human text: how often each detector calls unmarked passages marked.

    python benchmarks/watermark_false_alarms.py CORPUS [--keys 8] [--schemes ...] [--json FILE]

CORPUS is from watermark_corpus.py with --tokenizer (ids.npz). Documents are cut into passages of
200 tokens; sets are prose, technical text, the same with a snippet repeated 4 and 8 times, and
documents that share a template. Each key's share of passages with p at most 1e-2, 1e-3 and 1e-4 is
one observation; the interval is Student's over keys, since over random keys the rate is exact and
whatever one fixed key does to a whole collection is part of it. Of 20 intervals one misses the rate
by chance. P-values of bits that are counted (green lists) come in steps, so their rate is compared
with the largest step that is not above the nominal rate. Commonplaces are learnt from the
other half of the documents (cross-fitting), as an operator would from text of their own.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from countermark.watermark import Detector, Documents, PairCounter
from countermark.watermark.green_list import GreenListDetector
from countermark.watermark.gumbel import DualGumbelDetector, GumbelDetector
from countermark.watermark.kgw import KgwDetector
from countermark.watermark.scoring import score
from countermark.watermark.synthid import SynthIdDetector
from countermark.watermark.textseal import TextSealGumbelDetector
from countermark.watermark.tournament import TournamentDetector
from countermark.watermark.units import NO_PAIRS, CommonPairs
from countermark.watermark.vllm import VllmDualGumbelDetector, VllmGumbelDetector

LENGTH = 200
LEVELS = (1e-2, 1e-3, 1e-4)
VOCABULARY = 49_152
MIN_DOCUMENTS = 20
Ids = NDArray[np.uint32]


def integers(seed: int, count: int, bits: int) -> list[int]:
    """Return key integers that everybody can know."""
    rng = np.random.default_rng(seed)
    return [int(i) | 1 for i in rng.integers(1, 1 << bits, count)]


def secret(seed: int) -> bytes:
    """Return a key of 16 bytes that everybody can know."""
    return np.random.default_rng(seed).bytes(16)


MAKERS: dict[str, Callable[[int], Detector]] = {
    "countermark-gumbel-v1": lambda i: GumbelDetector(secret(i)),
    "countermark-gumbel-dual-v1": lambda i: DualGumbelDetector(secret(i), secret(i + 10_000)),
    "countermark-tournament-v1": lambda i: TournamentDetector(secret(i)),
    "countermark-greenlist-v1": lambda i: GreenListDetector(secret(i)),
    "vllm-gumbel-philox-v1": lambda i: VllmGumbelDetector(integers(i, 1, 63)[0]),
    "vllm-gumbel-dual-v1": lambda i: VllmDualGumbelDetector(integers(i, 1, 63)[0]),
    "transformers-synthid": lambda i: SynthIdDetector(tuple(integers(i, 30, 62))),
    "textseal-gumbel": lambda i: TextSealGumbelDetector(integers(i, 1, 31)[0], width=2),
    "transformers-kgw-lefthash": lambda i: KgwDetector(
        scheme="transformers-kgw-lefthash", vocabulary=VOCABULARY, key=integers(i, 1, 31)[0]
    ),
    "transformers-kgw-selfhash": lambda i: KgwDetector(
        scheme="transformers-kgw-selfhash",
        vocabulary=VOCABULARY,
        key=integers(i, 1, 20)[0],
        context_width=4,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one detector did on one set.

    Attributes:
        nominal: The share of passages that is expected at each of `LEVELS`.
        rates: Mean over keys of the share that was observed.
        low: Lower ends of the 95 % intervals.
        high: Upper ends.

    """

    scheme: str
    passages: str
    common_left_out: bool
    keys: int
    count: int
    nominal: tuple[float, ...]
    rates: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def holds(self) -> list[bool]:
        """Whether each interval contains the rate that is expected."""
        rows = zip(self.low, self.nominal, self.high, strict=True)
        return [low <= expected <= high for low, expected, high in rows]


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages of one set, [P, 200] ids each, by half of the collection."""

    name: str
    halves: tuple[Ids, Ids]


def cut(tokens: Ids, starts: NDArray[np.int64], chosen: NDArray[np.int64]) -> Ids:
    """Return the passages of some documents, uint32 [P, 200]."""
    first = [np.arange(starts[d], starts[d + 1] - LENGTH + 1, LENGTH) for d in chosen]
    at = np.concatenate(first) if first else np.zeros(0, np.int64)
    return np.asarray(tokens[at[:, None] + np.arange(LENGTH)], np.uint32)


def repeated(passages: Ids, times: int) -> Ids:
    """Return passages whose first part is repeated until they are full."""
    snippet = LENGTH // times
    return np.tile(passages[:, :snippet], (1, times))


def templated(passages: Ids, templates: Ids, rng: np.random.Generator) -> Ids:
    """Return passages of which every second stretch of 25 tokens is that of one of 5 templates."""
    out = passages.copy()
    which = rng.integers(0, 5, len(passages))
    for start in range(0, LENGTH, 50):
        out[:, start : start + 25] = templates[which, start : start + 25]
    return out


def sets_of(corpus: Path, limit: int) -> Iterator[tuple[Passages, tuple[Ids, Ids]]]:
    """Yield each set, and the documents of each half that commonplaces are learnt from."""
    with np.load(corpus / "ids.npz") as arrays:
        tokens, starts, category = arrays["tokens"], arrays["starts"], arrays["category"]
    rng = np.random.default_rng(1)
    for number, name in ((0, "prose"), (1, "technical")):
        chosen = np.flatnonzero(category == number)
        halves = tuple(cut(tokens, starts, chosen[half::2]) for half in (0, 1))
        halves = tuple(rng.permutation(h)[: limit // 2] for h in halves)
        yield Passages(name, (halves[0], halves[1])), (halves[0], halves[1])
        if number == 0:
            for times in (4, 8):
                made = tuple(repeated(h, times) for h in halves)
                yield Passages(f"prose, snippet x{times}", (made[0], made[1])), (made[0], made[1])
            templates = halves[0][:5]
            made = tuple(templated(h[5:], templates, rng) for h in halves)
            yield Passages("prose, templated", (made[0], made[1])), (made[0], made[1])


def commonplaces(passages: Ids, width: int) -> CommonPairs:
    """Learn the common pairs of passages; each counts as a document."""
    counter = PairCounter(width)
    for first in range(0, len(passages), 20_000):
        counter.add(as_documents(passages[first : first + 20_000]))
    return counter.common(MIN_DOCUMENTS)


def as_documents(passages: Ids) -> Documents:
    """Return passages as documents."""
    return Documents(passages.reshape(-1), np.arange(len(passages) + 1) * LENGTH)


def ln_p(
    detector: Detector, passages: Ids, common: CommonPairs
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the log p-value of each passage, and how many pairs it counts."""
    (scores,) = score(as_documents(passages), [detector], {detector.width: common})
    return scores.log_p(), scores.counts


def attainable(detector: Detector, counts: NDArray[np.int64], level: float) -> float:
    """Return the share of passages with p at most `level` that chance gives, with steps."""
    if not isinstance(detector, GreenListDetector | KgwDetector):
        return level
    lengths, passages = np.unique(counts, return_counts=True)
    steps = []
    for length in lengths:
        hits = np.arange(length + 1, dtype=np.float64)
        p = np.exp(detector.log_p(hits, np.full(length + 1, length, np.int64)))
        steps.append(p[p <= level].max(initial=0.0))
    return float(np.average(steps, weights=passages))


def measure(
    scheme: str, keys: int, passages: Passages, tables: tuple[CommonPairs, CommonPairs] | None
) -> Row:
    """Measure one detector on one set."""
    shares = np.zeros((keys, len(LEVELS)))
    nominal: tuple[float, ...] = LEVELS
    for key in range(keys):
        detector = MAKERS[scheme](1000 + key)
        halves = [
            ln_p(detector, passages.halves[h], NO_PAIRS if tables is None else tables[1 - h])
            for h in (0, 1)
        ]
        together = np.concatenate([half[0] for half in halves])
        if key == 0:  # Counts do not depend on the key, but for schemes that forget by it.
            counts = np.concatenate([half[1] for half in halves])
            nominal = tuple(attainable(detector, counts, level) for level in LEVELS)
        shares[key] = [(together <= np.log(level)).mean() for level in LEVELS]
    mean = shares.mean(0)
    half = stdtrit(keys - 1, 0.975) * shares.std(0, ddof=1) / np.sqrt(keys)
    return Row(
        scheme=scheme,
        passages=passages.name,
        common_left_out=tables is not None,
        keys=keys,
        count=sum(map(len, passages.halves)),
        nominal=nominal,
        rates=tuple(mean.tolist()),
        low=tuple((mean - half).tolist()),
        high=tuple((mean + half).tolist()),
    )


def line(row: Row) -> str:
    """Return a row of the table; rates are relative to nominal."""
    cells = [
        f"{r / n:5.2f} [{lo / n:5.2f}, {hi / n:5.2f}]{' ' if ok else '!'}"
        for r, lo, hi, n, ok in zip(
            row.rates, row.low, row.high, row.nominal, row.holds, strict=True
        )
    ]
    what = "left out" if row.common_left_out else "counted"
    return f"{row.scheme:28} {row.passages:18} {what:8} {row.count:7} x {row.keys:2}  " + "  ".join(
        cells
    )


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--keys", type=int, default=8)
    parser.add_argument("--passages", type=int, default=60_000, help="of each set, at most")
    parser.add_argument("--schemes", nargs="+", default=list(MAKERS), choices=list(MAKERS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"observed share / nominal share at {LEVELS}, with 95 % intervals over keys")
    rows = []
    widths = {scheme: MAKERS[scheme](1).width for scheme in arguments.schemes}
    for passages, learnt in sets_of(arguments.corpus, arguments.passages):
        tables = {
            w: (commonplaces(learnt[0], w), commonplaces(learnt[1], w))
            for w in sorted(set(widths.values()))
        }
        for scheme in arguments.schemes:
            for table in (None, tables[widths[scheme]]):
                started = time.monotonic()
                rows.append(measure(scheme, arguments.keys, passages, table))
                print(line(rows[-1]), f" {time.monotonic() - started:.0f} s", flush=True)
    for left_out in (False, True):
        cells = [ok for row in rows if row.common_left_out is left_out for ok in row.holds]
        what = "left out" if left_out else "counted"
        print(f"commonplaces {what}: {sum(cells)} of {len(cells)} intervals contain the rate")
    if arguments.json:
        text = json.dumps([asdict(row) for row in rows], indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
