"""Let a real model write the texts that power, robustness and quality are measured on.

    python benchmarks/watermark_generate.py MODEL OUT --corpus CORPUS
    python benchmarks/watermark_generate.py MODEL OUT --schemes none gumbel kgw --count 64

MODEL is from watermark_model.py, CORPUS from watermark_corpus.py with --tokenizer. Every scheme
continues the same human prompts, through `generate` of transformers: `kgw` and `synthid` are its
own; the others are ours, and only choose the token. Nothing is cut off (no top-k, no top-p) but
special tokens, so a text has as many tokens as were asked for.

OUT gets prompts.jsonl (prompt and what the human wrote next) and SCHEME-tT.jsonl, a text per line
(see `Text`). What is there is not made again: an interrupted run goes on where it stopped, with
the same result. About 80 tokens per second on one core; SynthID takes a hundred times as long.
"""

import argparse
import hashlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    AutoTokenizer,
    LlamaForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    SynthIDTextWatermarkingConfig,
    WatermarkingConfig,
)
from transformers.generation.configuration_utils import BaseWatermarkingConfig

from countermark.watermark.gumbel import DualGumbelSampler, GumbelSampler
from countermark.watermark.huggingface import KeyedWatermark
from countermark.watermark.sampling import Sampler
from countermark.watermark.tournament import TournamentSampler

PROMPT_TOKENS = 50
SPECIAL_TOKENS = range(17)  # SmolLM2's own: ends of text, chat roles, repository marks.
PROMPT_SEED = 7
KGW: dict[str, Any] = {"greenlist_ratio": 0.25, "bias": 2.0, "hashing_key": 15485863}  # lefthash
SYNTHID: dict[str, Any] = {"ngram_len": 5, "keys": list(range(101, 131))}


def evaluation_key(name: str) -> bytes:
    """Return a key of 16 bytes that everybody can know: it guards nothing but these figures."""
    return hashlib.sha256(f"countermark evaluation key: {name}".encode()).digest()[:16]


OURS: dict[str, Callable[[], Sampler]] = {
    "gumbel": lambda: GumbelSampler(evaluation_key("gumbel")),
    "gumbel-dual": lambda: DualGumbelSampler(
        evaluation_key("gumbel-dual first"), evaluation_key("gumbel-dual second")
    ),
    "tournament": lambda: TournamentSampler(evaluation_key("tournament")),
}
PEERS: dict[str, Callable[[], BaseWatermarkingConfig]] = {
    "kgw": lambda: WatermarkingConfig(**KGW),
    "synthid": lambda: SynthIDTextWatermarkingConfig(**SYNTHID),
}
SCHEMES = ("none", *OURS, *PEERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One line of an output file.

    Attributes:
        prompt: Number of the prompt in prompts.jsonl.
        scheme: One of `SCHEMES`.
        temperature: Of sampling.
        prompt_ids: What was continued; contexts of the first tokens reach into it.
        ids: The continuation.
        text: The continuation, decoded.
        entropy_bits: Mean entropy of what each token was drawn from, mark left aside.
        surprise_bits: Mean -log2 p of the tokens by the model at temperature 1; 2 to the power of
            it is the perplexity.

    """

    prompt: int
    scheme: str
    temperature: float
    prompt_ids: list[int]
    ids: list[int]
    text: str
    entropy_bits: float
    surprise_bits: float


@dataclass(slots=True)
class _Witness(LogitsProcessor):  # type: ignore[misc]
    """Watches from before temperature and mark, changes nothing, and shows progress."""

    temperature: float
    total: int
    entropy: list[torch.Tensor] = field(default_factory=list)
    surprise: list[torch.Tensor] = field(default_factory=list)
    _before: torch.Tensor | None = None
    _started: float = field(default_factory=time.monotonic)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        log_p = torch.log_softmax(scores, -1)
        heated = torch.softmax(scores / self.temperature, -1)
        self.entropy.append(torch.special.entr(heated).sum(-1) / np.log(2))
        if self._before is not None:
            chosen = self._before.gather(1, input_ids[:, -1:])
            self.surprise.append(-chosen[:, 0] / np.log(2))
        self._before = log_p
        done = len(self.entropy)
        rate = done * len(scores) / (time.monotonic() - self._started)
        print(f"\r  token {done} of {self.total}, {rate:.0f} tok/s ", end="", flush=True)
        return scores


def prompts(corpus: Path, count: int, tokens: int) -> Iterator[dict[str, list[int]]]:
    """Yield prompts from random places of the prose, and how their author went on."""
    length = PROMPT_TOKENS + tokens
    with np.load(corpus / "ids.npz") as ids:
        all_tokens, starts = ids["tokens"], ids["starts"]
        fit = (ids["category"] == 0) & (np.diff(starts) >= length)
        fit &= ~np.array([str(name).startswith("dict-") for name in ids["source"]])
    rng = np.random.default_rng(PROMPT_SEED)
    # By length, so that every place is as likely; each document at most once.
    lengths = np.diff(starts)[fit]
    chosen = rng.choice(np.flatnonzero(fit), count, replace=False, p=lengths / lengths.sum())
    for document in chosen:
        begin = int(starts[document] + rng.integers(0, np.diff(starts)[document] - length + 1))
        row = all_tokens[begin : begin + length].tolist()
        yield {"prompt_ids": row[:PROMPT_TOKENS], "human_ids": row[PROMPT_TOKENS:]}


def write_batch(
    model: LlamaForCausalLM,
    prompt_ids: NDArray[np.int64],
    scheme: str,
    temperature: float,
    tokens: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return continuations int64 [B, tokens], mean entropy and surprise in bits, float64 [B]."""
    # From what is being made, so that a batch comes out the same in whatever run it is made.
    seed = zlib.crc32(f"{scheme} {temperature} {prompt_ids.tolist()}".encode())
    torch.manual_seed(seed)
    if scheme in OURS:
        mark: BaseWatermarkingConfig | None = KeyedWatermark(OURS[scheme]())
    else:
        mark = PEERS[scheme]() if scheme in PEERS else None
    # One token more than asked for: only then is the last one's surprise known.
    witness = _Witness(temperature, tokens + 1)
    untyped: Any = model  # As transformers declares them, no model could call its own generate.
    batch = torch.from_numpy(prompt_ids)
    with torch.inference_mode():
        out = untyped.generate(
            batch,
            attention_mask=torch.ones_like(batch),
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=tokens + 1,
            suppress_tokens=list(SPECIAL_TOKENS),
            logits_processor=LogitsProcessorList([witness]),
            watermarking_config=mark,
        )
    print()
    entropy = torch.stack(witness.entropy[:tokens]).mean(0)
    surprise = torch.stack(witness.surprise).mean(0)
    written = out[:, prompt_ids.shape[1] : -1]
    return written.numpy(), entropy.double().numpy(), surprise.double().numpy()


def fill(
    path: Path,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    rows: NDArray[np.int64],
    job: "_Job",
) -> None:
    """Append to `path` the texts that it lacks, a batch at a time."""
    done = len(path.read_text().splitlines()) if path.is_file() else 0
    for first in range(done, len(rows), job.batch):
        batch = rows[first : first + job.batch]
        print(f"{path.name}: texts {first} to {first + len(batch) - 1}", flush=True)
        ids, entropy, surprise = write_batch(model, batch, job.scheme, job.temperature, job.tokens)
        texts = tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False)
        lines = [
            Text(
                prompt=first + i,
                scheme=job.scheme,
                temperature=job.temperature,
                prompt_ids=batch[i].tolist(),
                ids=ids[i].tolist(),
                text=texts[i],
                entropy_bits=round(float(entropy[i]), 4),
                surprise_bits=round(float(surprise[i]), 4),
            )
            for i in range(len(batch))
        ]
        _append(path, "".join(json.dumps(asdict(line)) + "\n" for line in lines))


@dataclass(frozen=True, slots=True)
class _Job:
    scheme: str
    temperature: float
    tokens: int
    batch: int


def _append(path: Path, lines: str) -> None:
    # Whole batches only: a new file takes the place of the old one.
    part = path.with_suffix(".part")
    part.write_text((path.read_text() if path.is_file() else "") + lines)
    os.replace(part, path)


def main() -> int:
    """Make prompts unless OUT has them, then every scheme at every temperature."""
    arguments = _arguments()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    prompt_file = out / "prompts.jsonl"
    if not prompt_file.is_file():
        if arguments.corpus is None:
            print("watermark_generate: --corpus is needed, for the prompts", file=sys.stderr)
            return 2
        made = prompts(arguments.corpus, arguments.count, arguments.tokens)
        _append(prompt_file, "".join(json.dumps(row) + "\n" for row in made))
    lines = prompt_file.read_text().splitlines()[: arguments.count]
    if len(lines) < arguments.count:
        print(f"watermark_generate: {prompt_file} has only {len(lines)} prompts", file=sys.stderr)
        return 2
    rows = np.array([json.loads(line)["prompt_ids"] for line in lines], np.int64)
    torch.set_num_threads(arguments.threads)
    model = LlamaForCausalLM.from_pretrained(arguments.model)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    for scheme in arguments.schemes:
        for temperature in arguments.temperatures:
            job = _Job(scheme, temperature, arguments.tokens, arguments.batch)
            fill(out / f"{scheme}-t{temperature}.jsonl", model, tokenizer, rows, job)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--corpus", type=Path, help="only needed for the first run")
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=["none", "gumbel", "kgw"])
    parser.add_argument("--temperatures", nargs="+", type=float, default=[1.0, 0.7])
    parser.add_argument("--count", type=int, default=64, help="texts per scheme and temperature")
    parser.add_argument("--tokens", type=int, default=220)
    parser.add_argument("--batch", type=int, default=64, help="texts written side by side")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
