"""Record real next-token distributions of a language model in tape.npz.

    python tests/watermark/tape/make_tape.py MODEL CORPUS

MODEL is what benchmarks/watermark_model.py makes, CORPUS what benchmarks/watermark_corpus.py makes
with --tokenizer. The model reads 132 passages of human prose, from random places, and at 40 places
of each its 256 likeliest next tokens are kept. No token of the passages themselves is. Two minutes
on one core; the same model, corpus, torch and processor give the same file.
"""

import argparse
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

PASSAGES = 132
PASSAGE_TOKENS = 192
FIRST_PLACE, PLACE_STEP = 32, 4  # Before token 32 the model has read too little to be sure.
CANDIDATES = 256
SEED = 20260
LIMIT_BYTES = 5_000_000
LEFT_OUT = ("dict-",)  # They change their subject every line, which no model expects.


def passages(corpus: Path) -> NDArray[np.uint32]:
    """Return passages from random places of the prose, uint32 [PASSAGES, PASSAGE_TOKENS]."""
    with np.load(corpus / "ids.npz") as ids:
        tokens, starts = ids["tokens"], ids["starts"]
        prose = (ids["category"] == 0) & (np.diff(starts) >= PASSAGE_TOKENS)
        prose &= ~np.array([str(name).startswith(LEFT_OUT) for name in ids["source"]])
    lengths, firsts = np.diff(starts)[prose], starts[:-1][prose]
    # A whole number of passages per document, end to end: none crosses an end, none meets another.
    begins = np.concatenate(
        [
            first + PASSAGE_TOKENS * np.arange(length // PASSAGE_TOKENS)
            for first, length in zip(firsts, lengths, strict=True)
        ]
    )
    chosen = np.sort(np.random.default_rng(SEED).choice(begins, PASSAGES, replace=False))
    return np.stack([tokens[b : b + PASSAGE_TOKENS] for b in chosen])


def record(model_folder: Path, texts: NDArray[np.uint32]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of the tape; the README beside this script says what they are."""
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    ids, probabilities, entropy, surprise = [], [], [], []
    for number, text in enumerate(texts):
        batch = torch.from_numpy(text.astype(np.int64))[None]
        with torch.inference_mode():
            logits = model(batch).logits[0].double()
        log_p = torch.log_softmax(logits, dim=-1)
        after = log_p[:-1].gather(1, batch[0, 1:, None])
        surprise.append(-after[FIRST_PLACE - 1 :].mean().item())
        places = log_p[FIRST_PLACE - 1 : PASSAGE_TOKENS - 1 : PLACE_STEP]
        best = places.exp().topk(CANDIDATES)
        ids.append(best.indices.numpy().astype(np.uint16))
        probabilities.append(best.values.numpy().astype(np.float16))
        entropy.append((-(places.exp() * places).sum(-1) / np.log(2)).numpy())
        print(f"\r{number + 1} of {len(texts)} passages", end="", flush=True)
    print()
    return {
        "ids": np.concatenate(ids),
        "probabilities": np.concatenate(probabilities),
        "entropy_bits": np.concatenate(entropy).astype(np.float32),
        "human_bits_per_token": np.array(np.mean(surprise) / np.log(2), np.float32),
        "vocabulary": np.array(model.config.vocab_size, np.uint32),
    }


def save(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Write an npz that holds no dates, compressed as far as zlib goes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def main() -> None:
    """Make the tape beside this script and say what it holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("tape.npz"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arrays = record(arguments.model, passages(arguments.corpus))
    save(arguments.output, arrays)
    size = arguments.output.stat().st_size
    if size > LIMIT_BYTES:
        raise SystemExit(f"{arguments.output} has {size} bytes, the limit is {LIMIT_BYTES}")
    kept = arrays["probabilities"].astype(np.float64).sum(-1).mean()
    print(f"{size} bytes, {len(arrays['ids'])} distributions, {kept:.3f} of their mass,")
    print(f"{arrays['entropy_bits'].mean():.3f} bits of entropy before the cut,")
    print(f"{float(arrays['human_bits_per_token']):.3f} bits per token of the human text")


if __name__ == "__main__":
    main()
