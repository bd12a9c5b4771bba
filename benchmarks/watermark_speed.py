"""How fast marks are looked for and made, one thread, in the same run as the peers.

    python benchmarks/watermark_speed.py CORPUS --tokenizer FILE     one to two minutes
    python benchmarks/watermark_speed.py CORPUS --rounds 1 --passages 50 --no-tables   for a look

CORPUS is from watermark_corpus.py with --tokenizer; passages are 400 tokens of its prose, other
ones in each round. Contenders of a group take turns. Figures are CPU seconds of this process, all
threads; torch, numba and the tokenizer are held to one. torch and transformers are peers: without
them their rows and bars are left out, and the reason is printed. A bar without its peer is not met.

vLLM's detector needs a GPU build, so its published formula stands in for it, in torch, one text at
a time as there (`vllm_score`); tests/interop checks such a transcription against our kernels.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as Backend

from countermark.watermark import DetectOptions, Detector, Documents, KeyedDetector
from countermark.watermark.gumbel import DualGumbelDetector, GumbelDetector, GumbelSampler
from countermark.watermark.judgement import detect_ids
from countermark.watermark.kgw import KgwDetector
from countermark.watermark.kgw_file import write_table
from countermark.watermark.power import GUMBEL_AT_1_8_BITS
from countermark.watermark.scoring import score
from countermark.watermark.synthid import SynthIdDetector
from countermark.watermark.texts import detect_many
from countermark.watermark.tokenization import load_tokenizer
from countermark.watermark.tournament import TournamentDetector, TournamentSampler
from countermark.watermark.units import find_units
from countermark.watermark.vllm import VllmGumbelDetector

LENGTH = 400
VOCABULARY = 49_152
LARGE_VOCABULARY = 128_000
BATCH = 8
TOGETHER = 250
KEYS = 1000
KEY = bytes(range(16))
VLLM_KEY = 15726070495360670683
LAYER_KEYS = tuple(range(101, 131))
KGW_KEY = 15485863
WORD = 0xFFFFFFFF
Ids = NDArray[np.uint32]
Run = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Task:
    """One contender.

    Attributes:
        name: What the table calls it.
        run: Does the work; is told the round's number.
        work: How many tokens (or sampling steps) that is.
        rounds: How often at most; for what takes seconds.

    """

    name: str
    run: Run
    work: int
    rounds: int = 99


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise: the rate of `subject`, or how many times the rate of `peer`, at least `limit`."""

    subject: str
    limit: float
    peer: str | None = None


@dataclass(slots=True)
class Figures:
    """CPU seconds by task, and why others have none."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    work: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def rate(self, name: str) -> float:
        """Return the median rate, per CPU second; NaN if there is none."""
        if name not in self.seconds:
            return float("nan")
        return self.work[name] / float(np.median(self.seconds[name]))


GUMBEL, GUMBEL_WHOLE = "Gumbel", "Gumbel, whole detect_ids"
DUAL, TOURNAMENT = "Gumbel, two keys", "tournament, 30 layers"
VLLM, VLLM_TORCH = "vLLM philox", "vLLM philox, torch transcription"
SYNTHID, SYNTHID_1, SYNTHID_64 = (
    "SynthID-compatible",
    "SynthID, transformers, batch 1",
    "SynthID, transformers, batch 64",
)
KGW_TABLE, KGW_MEMORY, KGW_BARE = (
    "KGW left-hash, table file",
    "KGW left-hash, 256 MiB in memory",
    "KGW left-hash, no table",
)
KGW_SELF_1, KGW_SELF_4 = "KGW self-hash of one token", "KGW self-hash over 4, new text"
KGW_TORCH, KGW_SELF_TORCH = "KGW left-hash, transformers", "KGW self-hash, transformers"
MANY_KEYS, MANY_PHILOX = "1,000 keys, Gumbel", "1,000 keys, vLLM philox"
TEXT_IN, TOKENIZER = "text in, detect_many", "the tokenizer alone"
STEP, STEP_TOURNAMENT = "step: Gumbel", "step: tournament"
STEP_TORCH, STEP_SYNTHID = "step: softmax + multinomial, torch", "step: SynthID, transformers"

BARS = (
    Bar(GUMBEL, 10e6),
    Bar(GUMBEL_WHOLE, 10e6),
    Bar(GUMBEL, 200, VLLM_TORCH),
    Bar(VLLM, 200, VLLM_TORCH),
    Bar(GUMBEL, 4000, KGW_TORCH),
    Bar(SYNTHID, 50e6),
    Bar(KGW_TABLE, 1000, KGW_TORCH),
    Bar(MANY_KEYS, KEYS * LENGTH / 0.1),
    Bar(TEXT_IN, 0.9, TOKENIZER),
    Bar(STEP, 1.0, STEP_TORCH),
)


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages of 400 tokens, uint32 [P, 400]; other ones in each round until they run out."""

    ids: Ids

    def batches(self, count: int, turn: int) -> Iterator[Documents]:
        """Yield `count` passages of a round, a batch at a time: what fits the caches."""
        rows = self.rows(count, turn)
        for first in range(0, count, TOGETHER):
            batch = rows[first : first + TOGETHER]
            yield Documents(batch.reshape(-1), np.arange(len(batch) + 1) * LENGTH)

    def rows(self, count: int, turn: int) -> Ids:
        """Return them as they are, uint32 [count, 400]; not copied."""
        first = turn * count % max(len(self.ids) - count, 1)
        return self.ids[first : first + count]


def tails(detector: Detector, passages: Passages, count: int, turn: int) -> int:
    """Take the log p-value of each passage, all but the words of the answer; count the small."""
    found = 0
    for documents in passages.batches(count, turn):
        (scores,) = score(documents, [detector], {})
        found += int(np.count_nonzero(scores.log_p() < math.log(1e-3)))
    return found


def keyed(detector: Detector, number: int = 0) -> KeyedDetector:
    """Return a detector with what answers need beside it."""
    return KeyedDetector(
        key_id=f"{number:032x}",
        detector=detector,
        strength=GUMBEL_AT_1_8_BITS,
        assumption="text of 1.8 bits per token",
    )


def judge(
    detectors: Sequence[KeyedDetector], passages: Passages, count: int, turn: int
) -> list[str]:
    """Give the whole answer for each passage, all in one call: power is found once a length."""
    documents = Documents(passages.rows(count, turn).reshape(-1), np.arange(count + 1) * LENGTH)
    return [one.answer.value for one in detect_ids(documents, detectors, DetectOptions())]


def our_detectors(passages: Passages, count: int) -> Iterator[Task]:
    """Yield the detectors that need nobody else."""
    schemes: dict[str, Detector] = {
        GUMBEL: GumbelDetector(KEY),
        DUAL: DualGumbelDetector(KEY, KEY[::-1]),
        TOURNAMENT: TournamentDetector(KEY),
        VLLM: VllmGumbelDetector(VLLM_KEY),
        SYNTHID: SynthIdDetector(LAYER_KEYS),
    }
    for name, detector in schemes.items():
        yield Task(name, partial(tails, detector, passages, count), count * LENGTH)
    whole = partial(judge, [keyed(GumbelDetector(KEY))], passages, count)
    yield Task(GUMBEL_WHOLE, whole, count * LENGTH)
    rng = np.random.default_rng(1)
    ours = [keyed(GumbelDetector(rng.bytes(16)), i) for i in range(KEYS)]
    yield Task(MANY_KEYS, partial(judge, ours, passages, 1), KEYS * LENGTH)
    theirs = [keyed(VllmGumbelDetector(int(rng.integers(1 << 63))), i) for i in range(KEYS)]
    yield Task(MANY_PHILOX, partial(judge, theirs, passages, 1), KEYS * LENGTH)


def parts(passages: Passages, count: int) -> Iterator[Task]:
    """Yield what the time of a detector is made of."""
    detectors: dict[str, Detector] = {
        GUMBEL: GumbelDetector(KEY),
        TOURNAMENT: TournamentDetector(KEY),
        SYNTHID: SynthIdDetector(LAYER_KEYS),
    }

    def pairs(detector: Detector, turn: int) -> object:
        return [find_units(batch, detector.width) for batch in passages.batches(count, turn)]

    count = min(count, TOGETHER)
    for name, detector in detectors.items():
        documents = next(passages.batches(count, 0))
        positions = find_units(documents, detector.width).positions
        values = partial(detector.values, documents, positions)
        counts = np.full(count, LENGTH - detector.width)
        totals = values().mean() * counts + np.arange(count)  # No two alike, as in life.
        log_p = partial(detector.log_p, totals, counts)
        yield Task(f"  {name}: pairs", partial(pairs, detector), count * LENGTH)
        yield Task(f"  {name}: values", _whenever(values), count * LENGTH)
        yield Task(f"  {name}: tails", _whenever(log_p), count * LENGTH)


def _whenever(work: Callable[[], object]) -> Run:
    return lambda _turn: work()


def our_kgw(passages: Passages, count: int, folder: Path | None) -> Iterator[Task]:
    """Yield the left-hash detector: with all lists in a file, with some in memory, with none."""
    memory = KgwDetector(scheme="transformers-kgw-lefthash", vocabulary=VOCABULARY, key=KGW_KEY)
    few = max(1, count // 200)
    bare = KgwDetector(scheme=memory.scheme, vocabulary=VOCABULARY, key=KGW_KEY, table_bytes=0)
    yield Task(KGW_BARE, partial(tails, bare, passages, few), few * LENGTH, 3)
    for name, width, some in ((KGW_SELF_1, 1, count), (KGW_SELF_4, 4, count // 10)):
        own = KgwDetector(
            scheme="transformers-kgw-selfhash",
            vocabulary=VOCABULARY,
            key=KGW_KEY,
            context_width=width,
        )
        for turn in range(50, 52):  # Text of no later round.
            tails(own, passages, some, turn)
        yield Task(name, partial(tails, own, passages, some), some * LENGTH, 5)
    if folder is None:
        return
    started = time.process_time()
    write_table(folder / "kgw.table", memory.left_hash)
    print(f"all green lists drawn into a file: {time.process_time() - started:.1f} CPU s")
    whole = memory.with_table(folder / "kgw.table")
    yield Task(KGW_TABLE, partial(tails, whole, passages, count), count * LENGTH)
    for turn in range(2):  # What a process has after some time.
        tails(memory, passages, count, turn)
    yield Task(KGW_MEMORY, partial(tails, memory, passages, count), count * LENGTH)


def torch_detectors(passages: Passages) -> Iterator[Task]:
    """Yield the peers; raise ImportError where there are none."""
    import torch
    import transformers

    torch.set_num_threads(1)

    def vllm(turn: int) -> list[float]:
        return [vllm_score(torch, VLLM_KEY, row.tolist(), 4) for row in passages.rows(20, turn)]

    model: Any = transformers.PretrainedConfig()
    model.bos_token_id = -1
    model.vocab_size = VOCABULARY
    lists: Any = transformers.WatermarkDetector(
        model, "cpu", transformers.WatermarkingConfig(hashing_key=KGW_KEY)
    )
    tournament: Any = transformers.SynthIDTextWatermarkingConfig(
        ngram_len=5, keys=list(LAYER_KEYS)
    ).construct_processor(VOCABULARY, "cpu")

    own: Any = transformers.WatermarkDetector(
        model,
        "cpu",
        transformers.WatermarkingConfig(hashing_key=KGW_KEY, seeding_scheme="selfhash"),
    )

    def kgw(detector: Any, turn: int) -> object:  # noqa: ANN401
        return detector(torch.from_numpy(passages.rows(2, turn).astype(np.int64)), return_dict=True)

    def synthid(size: int, turn: int) -> object:
        batch = torch.from_numpy(passages.rows(size, turn).astype(np.int64))
        bits = tournament.compute_g_values(batch)
        mask = tournament.compute_context_repetition_mask(batch)
        weights = torch.linspace(10, 1, len(LAYER_KEYS))
        weights = weights / weights.sum()
        per_token = (bits * weights).sum(-1) * mask
        return per_token.sum(1) / mask.sum(1)

    yield Task(VLLM_TORCH, vllm, 20 * LENGTH)
    yield Task(KGW_TORCH, partial(kgw, lists), 2 * LENGTH, 3)
    yield Task(KGW_SELF_TORCH, partial(kgw, own), 2 * LENGTH, 3)
    yield Task(SYNTHID_1, partial(synthid, 1), LENGTH)
    yield Task(SYNTHID_64, partial(synthid, 64), 64 * LENGTH, 5)


def text_in(corpus: Path, tokenizer_file: Path, count: int) -> Iterator[Task]:
    """Yield detection from text, and its tokenizer alone on the same ASCII texts."""
    tokenizer = load_tokenizer(tokenizer_file)
    path = tokenizer_file / "tokenizer.json" if tokenizer_file.is_dir() else tokenizer_file
    backend = Backend.from_file(str(path))
    texts = []
    with (corpus / "prose.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"].encode("ascii", "ignore").decode()
            texts += [text[at : at + 1700] for at in range(0, len(text) - 1700, 1700)]
            if len(texts) >= count:
                break
    texts = texts[:count]
    tokens = sum(map(len, tokenizer.encode_batch(texts)))
    detectors = [keyed(GumbelDetector(KEY))]

    def ours(_turn: int) -> object:
        return detect_many(
            texts,
            tokenizer=tokenizer,
            detectors=detectors,
            options=DetectOptions(),
            normalise=False,
        )

    def alone(_turn: int) -> object:
        return backend.encode_batch(texts, add_special_tokens=False)

    yield Task(TEXT_IN, ours, tokens)
    yield Task(TOKENIZER, alone, tokens)


def steps() -> Iterator[Task]:
    """Yield one step of sampling for a batch of 8 over 128,000 ids, whole vocabulary."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (BATCH, LARGE_VOCABULARY)).astype(np.float32)
    contexts = rng.integers(0, LARGE_VOCABULARY, (BATCH, 5)).astype(np.uint32)

    def ours(sampler: GumbelSampler | TournamentSampler, turn: int) -> list[int]:
        return [
            sampler.choose(row, context[-2:] ^ np.uint32(turn), rng)
            for row, context in zip(logits, contexts, strict=True)
        ]

    yield Task(STEP, partial(ours, GumbelSampler(KEY)), 1)
    yield Task(STEP_TOURNAMENT, partial(ours, TournamentSampler(KEY)), 1)
    import torch
    import transformers

    torch.set_num_threads(1)
    scores = torch.from_numpy(logits)
    ids = torch.from_numpy(contexts.astype(np.int64))
    processor = transformers.SynthIDTextWatermarkingConfig(
        ngram_len=5, keys=list(LAYER_KEYS)
    ).construct_processor(LARGE_VOCABULARY, "cpu")

    def plain(_turn: int) -> object:
        return torch.multinomial(torch.softmax(scores, -1), 1)

    def synthid(turn: int) -> object:
        marked = processor(ids + turn, scores)
        return torch.multinomial(torch.softmax(marked, -1), 1)

    yield Task(STEP_TORCH, plain, 1)
    yield Task(STEP_SYNTHID, synthid, 1, 2)


def vllm_score(torch: Any, key: int, ids: list[int], width: int) -> float:  # noqa: ANN401
    """Return the score of vLLM's detector for one text: each padded context the first time."""
    seen: set[tuple[int, ...]] = set()
    rows = []
    padded = [-1] * width + ids
    for place in range(len(ids)):
        context = tuple(padded[place : place + width])
        if context not in seen:
            seen.add(context)
            rows.append(padded[place : place + width + 1])
    table = torch.tensor(rows, dtype=torch.int64)
    drawn = _vllm_words(torch, key, table[:, :-1], table[:, -1])
    uniform = (((drawn >> 8).double() + 1) / (2**24 + 1)).float().double()
    total: float = (-torch.log1p(-uniform)).sum().item()
    _poisson_sum(total, len(rows))
    return total


def _poisson_sum(total: float, count: int) -> float:
    """Return P(Gamma(count, 1) >= total) as vLLM takes it: a sum of Poisson terms, in Python."""
    logs = [0.0]
    for k in range(1, count):
        logs.append(logs[-1] + math.log(total / k))
    top = max(logs)
    return math.exp(min(0.0, top - total + math.log(sum(math.exp(x - top) for x in logs))))


def _vllm_words(torch: Any, key: int, contexts: Any, targets: Any) -> Any:  # noqa: ANN401
    """Return philox4x32-10-v1's word for each row (specs/rosetta-vllm-v1), int64 [N]."""
    count, width = contexts.shape
    contexts = contexts & WORD
    low, high = torch.full((count,), key & WORD), torch.full((count,), key >> 32)
    state = [torch.full((count,), start) for start in (0x574D4358, width, 0, 0)]
    for first in range(0, width, 4):
        lanes = [
            contexts[:, first + i] if first + i < width else torch.full((count,), WORD - i)
            for i in range(4)
        ]
        mixed = [(state[i] ^ lanes[i]) & WORD for i in range(4)]
        state = _philox(mixed, (low ^ first) & WORD, high)
    counter = [targets >> 2, state[0], state[1], state[2]]
    out = torch.stack(_philox(counter, (low ^ state[3]) & WORD, (high ^ 0x574D544B) & WORD), 1)
    return out.gather(1, (targets & 3)[:, None])[:, 0]


def _philox(counter: list[Any], first: Any, second: Any) -> list[Any]:  # noqa: ANN401
    """Run the ten rounds, with the tensor operations that vLLM's take: keys are tensors too."""
    for turn in range(10):
        if turn:
            first, second = (first + 0x9E3779B9) & WORD, (second + 0xBB67AE85) & WORD
        high_a, low_a = _product(0xD2511F53, counter[0])
        high_c, low_c = _product(0xCD9E8D57, counter[2])
        counter = [
            (high_c ^ counter[1] ^ first) & WORD,
            low_c,
            (high_a ^ counter[3] ^ second) & WORD,
            low_a,
        ]
    return counter


def _product(constant: int, values: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Return upper and lower word, from four products of 16-bit halves: int64 has no more."""
    upper, lower = constant >> 16, constant & 0xFFFF
    top, bottom = values >> 16, values & 0xFFFF
    middle = top * lower + bottom * upper
    carried = bottom * lower + ((middle & 0xFFFF) << 16)
    return (top * upper + (middle >> 16) + (carried >> 32)) & WORD, carried & WORD


def measure(tasks: Iterator[Task], rounds: int, figures: Figures, group: str) -> None:
    """Let the tasks of a group take turns; what cannot be imported is left out, with a reason."""
    ready = []
    try:
        for task in tasks:
            task.run(rounds)  # Compiles, loads tables and touches memory.
            ready.append(task)
    except ImportError as e:
        figures.left_out.append(f"{group}: {e}")
    for turn in range(rounds):
        for task in ready:
            if turn < task.rounds:
                started = time.process_time()
                task.run(turn)
                spent = time.process_time() - started
                figures.seconds.setdefault(task.name, []).append(spent)
                figures.work[task.name] = task.work


def rows(figures: Figures) -> Iterator[str]:
    """Yield the table of rates."""
    yield f"{'':36} {'median/s':>14}  {'slowest .. fastest':>28}  rounds"
    for name, seconds in figures.seconds.items():
        rates = sorted(figures.work[name] / s for s in seconds)
        middle = f"{_number(rates[0])} .. {_number(rates[-1])}"
        yield f"{name:36} {_number(figures.rate(name)):>14}  {middle:>28}  {len(seconds)}"
    yield from (f"left out: {reason}" for reason in figures.left_out)


def verdicts(figures: Figures) -> Iterator[tuple[Bar, float]]:
    """Yield each bar and its figure; NaN where a contender is absent."""
    for bar in BARS:
        rate = figures.rate(bar.subject)
        yield bar, rate / figures.rate(bar.peer) if bar.peer else rate


def line(bar: Bar, value: float) -> str:
    """Return a bar as a line."""
    of = f"times {bar.peer}" if bar.peer else "per CPU second"
    verdict = "met" if value >= bar.limit else "missed" if value == value else "not measured"
    what = f"{bar.subject}, {of}"
    return f"{what:66} {_number(value):>14}  >= {_number(bar.limit):>11}  {verdict}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> int:
    """Measure, print, and say by the exit status whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json of the corpus, for text in")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--passages", type=int, default=10_000, help="per round, for our detectors")
    parser.add_argument("--no-tables", action="store_true", help="without KGW's 302 MB of lists")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # Looked at when the first text is encoded.
    print(f"load of the machine before: {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    passages = read(arguments.corpus, arguments.passages * (arguments.rounds + 2))
    figures = Figures()
    count, rounds = arguments.passages, arguments.rounds
    with tempfile.TemporaryDirectory() as folder:
        tables = None if arguments.no_tables else Path(folder)
        detectors = [*our_detectors(passages, count), *our_kgw(passages, count, tables)]
        # Peers join the turns of ours.
        measure(_chain(detectors, passages, arguments), rounds, figures, "detectors")
    measure(parts(passages, count), rounds, figures, "parts")
    if arguments.tokenizer:
        tasks = text_in(arguments.corpus, arguments.tokenizer, max(count // 4, 1))
        measure(tasks, rounds, figures, "text in")
    else:
        figures.left_out.append("text in: no --tokenizer")
    if not arguments.no_peers:
        measure(steps(), rounds, figures, "sampling steps")
    print("\n".join(rows(figures)))
    judged = list(verdicts(figures))
    print("\n".join(line(bar, value) for bar, value in judged))
    print(f"load of the machine after: {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    if arguments.json:
        document = {"seconds": figures.seconds, "work": figures.work}
        bars = [{**asdict(bar), "value": value} for bar, value in judged if value == value]
        arguments.json.write_text(json.dumps({**document, "bars": bars}, indent=1) + "\n")
    return 0 if all(value >= bar.limit for bar, value in judged) else 1


def _chain(
    detectors: Sequence[Task], passages: Passages, arguments: argparse.Namespace
) -> Iterator[Task]:
    yield from detectors
    if not arguments.no_peers:
        yield from torch_detectors(passages)


def read(corpus: Path, count: int) -> Passages:
    """Return up to `count` passages of prose, in random order."""
    with np.load(corpus / "ids.npz") as arrays:
        tokens, starts, category = arrays["tokens"], arrays["starts"], arrays["category"]
    places = [
        np.arange(starts[d], starts[d + 1] - LENGTH + 1, LENGTH)
        for d in np.flatnonzero(category == 0)
    ]
    at = np.random.default_rng(2).permutation(np.concatenate(places))[:count]
    return Passages(tokens[at[:, None] + np.arange(LENGTH)])


if __name__ == "__main__":
    sys.exit(main())
