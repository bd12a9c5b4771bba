"""How often marks are found, by length, after edits, and in long mixed documents.

    python benchmarks/watermark_power.py                                    on the tape alone
    python benchmarks/watermark_power.py --eval DIR --corpus CORPUS --tokenizer FILE --vocabulary V

The tape (tests/watermark/tape) gives texts of known entropy: at "1.8 bits" its temperature is such
that the mean over its steps is 1.8, and every text meets the same steps in the long run. DIR is
from watermark_generate.py: texts of a real model, of which some loop and have next to no entropy,
so temperature 0.7 is not 1.8 bits for each. `kgw` and `synthid` there were written by transformers
and are found by our detectors of its schemes; for `kgw` its own z-score stands beside them if
transformers is installed. CORPUS (watermark_corpus.py) is what human text is taken from.

Every share is of texts, at a false alarm rate of 1e-6 unless said otherwise. Edits of letters are
tokenized again, and are answered as `detect` does: all normalised variants are tried, and count.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countermark.watermark import Detector, Documents
from countermark.watermark.card_trials import answers, laid_out, log_p_values, scan_answers
from countermark.watermark.edits import TEXT_EDITS, TOKEN_EDITS, dilute, edit_rng
from countermark.watermark.green_list import GreenListDetector, GreenListSampler
from countermark.watermark.gumbel import (
    DualGumbelDetector,
    DualGumbelSampler,
    GumbelDetector,
    GumbelSampler,
)
from countermark.watermark.kgw import KgwDetector
from countermark.watermark.normalise import variants
from countermark.watermark.sampling import Marker, Sampler
from countermark.watermark.scoring import score
from countermark.watermark.synthid import SynthIdDetector
from countermark.watermark.tokenization import Tokenizer, load_tokenizer
from countermark.watermark.tournament import TournamentDetector, TournamentSampler, layer_weights
from countermark.watermark.units import find_units

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.tape import from_logits, load_tape, simulate, temperature_for

ALPHA = 1e-6
SCAN_ALPHA = 1e-3
LENGTHS = (20, 30, 40, 50, 60, 80, 100, 120, 150, 200)
EDITED = 200
RATIOS = (5, 20, 80, 320)
DILUTED = 64  # Texts of each kind: 4 million tokens in the last column.
BITS = (5.0, 1.8)
LN_10 = math.log(10)
Ids = NDArray[np.uint32]

SCHEMES: dict[str, Callable[[bytes], tuple[Sampler, Detector]]] = {
    "gumbel": lambda key: (GumbelSampler(key), GumbelDetector(key)),
    "gumbel-dual": lambda key: (
        DualGumbelSampler(key, key[::-1]),
        DualGumbelDetector(key, key[::-1]),
    ),
    "tournament": lambda key: (TournamentSampler(key), TournamentDetector(key)),
    "green-list": lambda key: (GreenListSampler(key), GreenListDetector(key)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Marked texts of one kind.

    Attributes:
        name: Scheme and entropy or temperature.
        detectors: With the key that marked them: one for all, or one for each text.
        texts: uint32 [N] each.
        entropies: Mean bits per token of each text; empty on the tape.
        is_kgw: Whether transformers has a z-score for them.

    """

    name: str
    detectors: tuple[Detector, ...]
    texts: list[Ids]
    entropies: tuple[float, ...] = ()
    is_kgw: bool = False

    def parts(self, texts: Sequence[Ids]) -> Iterator[tuple[Detector, Documents]]:
        """Yield each key with its texts, given what became of `self.texts`, in order."""
        if len(self.detectors) == 1:
            yield self.detectors[0], laid_out(texts)
        else:  # The last texts may be left out.
            for detector, text in zip(self.detectors, texts, strict=False):
                yield detector, laid_out([text])


def of_tape(scheme: str, bits: float, count: int, tokens: int) -> Source:
    """Let a scheme write texts on the tape, each with its own key; the same ones in every run."""
    tape = load_tape()
    heat = temperature_for(tape, bits)
    detectors, texts = [], []
    for number in range(count):
        rng = np.random.default_rng([number, round(bits * 10)])
        sampler, detector = SCHEMES[scheme](rng.bytes(16))
        detectors.append(detector)
        marker = Marker(sampler, rng=np.random.default_rng(rng.integers(1 << 63)))
        write = from_logits(marker, tape.vocabulary)
        texts.append(simulate(tape, write, tokens, rng, heat))
    return Source(name=f"{scheme}, {bits} bits", detectors=tuple(detectors), texts=texts)


def of_model(folder: Path, vocabulary: int) -> Iterator[Source]:
    """Yield the texts of watermark_generate.py that are there, with the keys it used."""
    from watermark_generate import KGW, SYNTHID, evaluation_key  # It needs torch.

    detectors: dict[str, Detector] = {
        "gumbel": GumbelDetector(evaluation_key("gumbel")),
        "gumbel-dual": DualGumbelDetector(
            evaluation_key("gumbel-dual first"), evaluation_key("gumbel-dual second")
        ),
        "tournament": TournamentDetector(evaluation_key("tournament")),
        "kgw": KgwDetector(
            scheme="transformers-kgw-lefthash",
            vocabulary=vocabulary,
            ratio=KGW["greenlist_ratio"],
            key=KGW["hashing_key"],
        ),
        "synthid": SynthIdDetector(tuple(SYNTHID["keys"]), SYNTHID["ngram_len"]),
    }
    for scheme, detector in detectors.items():
        for path in sorted(folder.glob(f"{scheme}-t*.jsonl"), reverse=True):
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            temperature = path.stem.rsplit("-t", 1)[1]
            yield Source(
                name=f"{scheme}, T={temperature}",
                detectors=(detector,),
                texts=[np.array(row["ids"], np.uint32) for row in rows],
                entropies=tuple(row["entropy_bits"] for row in rows),
                is_kgw=scheme == "kgw",
            )


def ln_p(source: Source, texts: Sequence[Ids]) -> NDArray[np.float64]:
    """Return the log p-value of each text."""
    rows = [log_p_values(ids, [one], {})[0] for one, ids in source.parts(texts)]
    return np.concatenate(rows)


def share(log_p: NDArray[np.float64], alpha: float = ALPHA) -> float:
    """Return the share of texts that are found at a level."""
    return float(np.mean(log_p <= math.log(alpha)))


def print_lengths(sources: Sequence[Source]) -> None:
    """Print the share found by length, and after how many tokens 99 % are."""
    print(f"\nfound at {ALPHA:g}, by tokens of the text")
    print(f"{'':24} {'n':>4} " + " ".join(f"{n:>5}" for n in LENGTHS) + "  99 % by  median log10 p")
    for source in sources:
        longest = max(map(len, source.texts))
        grid = range(10, longest + 1, 10)
        found = {n: share(ln_p(source, [t[:n] for t in source.texts])) for n in {*grid, *LENGTHS}}
        enough = next((n for n in grid if min(found[m] for m in grid if m >= n) >= 0.99), None)
        last = float(np.median(ln_p(source, [t[:EDITED] for t in source.texts]))) / LN_10
        print(
            f"{source.name:24} {len(source.texts):4} "
            + " ".join(f"{found[n]:5.2f}" for n in LENGTHS)
            + f"  {enough or '-':>7}  {last:8.1f} at {EDITED}",
            flush=True,
        )
        if source.is_kgw:
            print_peer(source)


def print_peer(source: Source) -> None:
    """Print what transformers' own z-score says of the same texts."""
    try:
        import torch
        import transformers
        from watermark_generate import KGW
    except ImportError as e:
        print(f"{'  transformers: left out':24} {e}")
        return
    torch.set_num_threads(1)
    assert isinstance(source.detectors[0], KgwDetector)  # noqa: S101 - of `of_model`
    model: Any = transformers.PretrainedConfig()
    model.bos_token_id = -1
    model.vocab_size = source.detectors[0].vocabulary
    config = transformers.WatermarkingConfig(**KGW)
    judge: Any = transformers.WatermarkDetector(model, "cpu", config, ignore_repeated_ngrams=True)
    ids = torch.tensor(np.array([text[:EDITED] for text in source.texts], np.int64))
    found = judge(ids, return_dict=True)
    at_3, nominal = np.mean(found.z_score >= 3), np.mean(found.p_value <= ALPHA)
    print(
        f"{'  by transformers':24} {len(ids):4}  at {EDITED}: z >= 3, its own limit: {at_3:.2f};"
        f" its p <= {ALPHA:g}: {nominal:.2f}"
    )


def print_missed(sources: Sequence[Source]) -> None:
    """Print what the texts have in common that are not found."""
    print(
        f"\nnot found at {ALPHA:g} in {EDITED} tokens: entropy in bits, pairs it repeats, log10 p"
    )
    for source in sources:
        if not source.entropies:
            continue
        texts = [text[:EDITED] for text in source.texts]
        log_p = ln_p(source, texts)
        width = source.detectors[0].width
        units = find_units(laid_out(texts), width)
        low = sum(bits < 1.0 for bits in source.entropies)
        mean = float(np.mean(source.entropies))
        enough = np.array(source.entropies) >= 1.0
        print(
            f"{source.name:24} mean entropy {mean:.2f}, below 1 bit: {low} of {len(texts)};"
            f" found of the others: {share(log_p[enough]):.2f}"
        )
        for i in np.flatnonzero(log_p > math.log(ALPHA)):
            repeats = units.repeated[i] / (len(texts[i]) - width)
            print(
                f"  text {i:3}: {source.entropies[i]:5.2f} bits, {repeats:4.0%} repeated,"
                f" {log_p[i] / LN_10:6.1f}"
            )


def print_edits(sources: Sequence[Source], pool: Ids, tokenizer: Tokenizer | None) -> None:
    """Print the share found after each edit, and the median of log10 p."""
    print(f"\nafter edits of texts of {EDITED} tokens: found at 1e-3 / {ALPHA:g} (median log10 p)")
    for source in sources:
        print(source.name)
        texts = [text[:EDITED] for text in source.texts]
        _print_edit("none", 0.0, ln_p(source, texts))
        for edit in TOKEN_EDITS:
            edited = [
                edit(text, pool, edit_rng(1, edit.name, edit.strength, i))
                for i, text in enumerate(texts)
            ]
            _print_edit(edit.name, edit.strength, ln_p(source, edited))
        if tokenizer is None or not source.entropies:
            continue  # Texts of the tape are no sentences.
        plain = [tokenizer.decode(text) for text in texts]
        for change in TEXT_EDITS:
            tried = [
                change(text, edit_rng(1, change.name, change.strength, i))
                for i, text in enumerate(plain)
            ]
            as_is = ln_p(source, tokenizer.encode_batch(tried))
            lattice = [[v.text for v in variants(text)] for text in tried]
            ids = tokenizer.encode_batch([text for of_text in lattice for text in of_text])
            rows = log_p_values(laid_out(ids), [source.detectors[0]], {})
            normalised = answers(rows, [len(of_text) for of_text in lattice])
            _print_edit(change.name, change.strength, normalised, as_is)


def _print_edit(
    name: str,
    strength: float,
    log_p: NDArray[np.float64],
    as_is: NDArray[np.float64] | None = None,
) -> None:
    def cell(values: NDArray[np.float64]) -> str:
        median = float(np.median(values)) / LN_10
        return f"{share(values, SCAN_ALPHA):.2f} / {share(values):.2f} ({median:6.1f})"

    without = "" if as_is is None else f"   as it is: {cell(as_is)}"
    print(f"  {name:18} {strength:4.0%}  {cell(log_p)}{without}", flush=True)


def print_dilution(sources: Sequence[Source], pool: Ids) -> None:
    """Print how often a span of 200 tokens is found in longer human text, by the scan."""
    print(f"\n{EDITED} marked tokens in human text, by scan: found at {SCAN_ALPHA:g} / {ALPHA:g}")
    print(f"{'':24} {'n':>4} " + " ".join(f"{f'in {r * EDITED:,}':>14}" for r in RATIOS))
    for source in sources:
        cells = []
        mixed: list[Ids] = []
        for ratio in RATIOS:
            mixed = [
                dilute(text[:EDITED], ratio, pool, edit_rng(2, "dilute", ratio, i))
                for i, text in enumerate(source.texts[:DILUTED])
            ]
            log_p = np.concatenate([scan_answers(d, [one], {}) for one, d in source.parts(mixed)])
            cells.append(f"{share(log_p, SCAN_ALPHA):6.2f} / {share(log_p):.2f}")
        print(f"{source.name:24} {len(mixed):4} " + " ".join(f"{c:>14}" for c in cells), flush=True)


def print_strengths(sources: Sequence[Source]) -> None:
    """Print what a marked token scores: the figures of watermark/strengths.py."""
    print("\nscore of a marked token: mean, variance per token of a text's total")
    for source in sources:
        counts, totals = _totals(source)
        mean = float(totals.sum() / counts.sum())
        variance = float(np.mean((totals - counts * mean) ** 2 / counts))
        print(
            f"{source.name:24} {mean:9.4f} {variance:11.4f}   {_relative(source, mean, variance)}"
        )


def _totals(source: Source) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how many tokens of each text count, and what they score together."""
    counts, totals = [], []
    for detector, documents in source.parts(source.texts):
        (scores,) = score(documents, [detector], {})
        counts.append(scores.counts)
        totals.append(scores.totals)
    return np.concatenate(counts), np.concatenate(totals)


def _relative(source: Source, mean: float, variance: float) -> str:
    """Return the figures as watermark/strengths.py has them, for schemes that count bits."""
    detector = source.detectors[0]
    if isinstance(detector, GreenListDetector | KgwDetector):
        gamma = detector.gamma if isinstance(detector, GreenListDetector) else detector.ratio
        raised = gamma * math.exp(GreenListSampler(bytes(16)).delta)
        movable = (mean - gamma) / (raised / (raised + 1 - gamma) - gamma)
        return f"movable {movable:.3f}, variance {variance / (mean * (1 - mean)):.2f} of a coin's"
    if isinstance(detector, TournamentDetector | SynthIdDetector):
        weights = (
            detector.weights
            if isinstance(detector, SynthIdDetector)
            else layer_weights(detector.layers)
        )
        lift = 2 * mean / sum(weights) - 1
        coins = sum(w * w for w in weights) / 4
        return f"lift {lift:.3f}, variance {variance / coins:.2f} of fair bits'"
    return "null: mean 1" + (", variance 1" if isinstance(detector, GumbelDetector) else "")


def human(corpus: Path) -> Ids:
    """Return the prose of a corpus, end to end."""
    with np.load(corpus / "ids.npz") as arrays:
        owners = np.repeat(arrays["category"], np.diff(arrays["starts"]))
        prose: Ids = arrays["tokens"][owners == 0]
    return prose


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=200, help="on the tape, per scheme")
    parser.add_argument("--schemes", nargs="*", default=list(SCHEMES), choices=list(SCHEMES))
    parser.add_argument("--eval", type=Path, help="folder of watermark_generate.py")
    parser.add_argument("--corpus", type=Path, help="human text: for edits and dilution")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json: for edits of letters")
    parser.add_argument("--vocabulary", type=int, default=49_152, help="of the model, for kgw")
    arguments = parser.parse_args()
    print(f"load of the machine: {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    started = time.process_time()
    tape = [
        of_tape(scheme, bits, arguments.texts, EDITED)
        for bits in BITS
        for scheme in arguments.schemes
    ]
    real: list[Source] = []
    if arguments.eval:
        try:
            real = list(of_model(arguments.eval, arguments.vocabulary))
        except ImportError as e:
            print(f"texts of {arguments.eval} left out: {e}")
    print_lengths([*tape, *real])
    print_strengths([*tape, *real])
    print_missed(real)
    if arguments.corpus:
        pool = human(arguments.corpus)
        tokenizer = load_tokenizer(arguments.tokenizer) if arguments.tokenizer else None
        print_edits([*tape, *real], pool, tokenizer)
        print_dilution([*tape, *real], pool)
    else:
        print("\nedits and dilution left out: no --corpus")
    print(f"\n{time.process_time() - started:.0f} CPU s")


if __name__ == "__main__":
    main()
