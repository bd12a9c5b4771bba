"""Write the rosetta-synthid-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, a peer, or anything but the standard library: torch's generator
is written out, and the hash is the peer's as README.md section 2 states it, in 64-bit integers with
no short cut. `TORCH` was printed by `torch.randint` itself, and nothing is written if it is not
reproduced. tests/interop/test_transformers_synthid.py runs transformers over every vector.
"""

from __future__ import annotations

import hashlib
import json
import random
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Vector = dict[str, Any]

MULTIPLIER = 6364136223846793005
TWO_64 = 1 << 64
ZERO_CONTEXT = [19278, 22446, 74543, 23560]  # Found by lattice reduction; its hash is 0.
# torch 2.13.0: sha256 of the bytes of
# torch.randint(0, 2, (size,), generator=torch.Generator().manual_seed(seed)), by (seed, size).
TORCH = {
    (0, 65536): "a3e9e18ea34546849c5136cf9b06c7bfd03e50e601da14af47cd926f9e623a85",
    ((1 << 32) + 7, 4096): "72cf86dc7eba1c2ac9536c4887134bae787f36efcf3d2ff620f1db1eb8eff7d2",
    (-3, 50000): "3816d33a87a6e394641d1593e295b45e3e69bdee1f00cdf881222d085fd4752d",
}


def mt19937(seed: int, count: int) -> list[int]:
    """Return the first words of the generator of Matsumoto and Nishimura (1998)."""
    state = [seed & 0xFFFFFFFF]
    for i in range(1, 624):
        state.append((1812433253 * (state[-1] ^ state[-1] >> 30) + i) & 0xFFFFFFFF)
    words: list[int] = []
    while len(words) < count:
        for i in range(624):
            y = state[i] & 0x80000000 | state[(i + 1) % 624] & 0x7FFFFFFF
            state[i] = state[(i + 397) % 624] ^ y >> 1 ^ (0x9908B0DF if y & 1 else 0)
        for word in state:
            y = word ^ word >> 11
            y ^= y << 7 & 0x9D2C5680
            y ^= y << 15 & 0xEFC60000
            words.append(y ^ y >> 18)
    return words[:count]


@cache
def sampling_table(seed: int, size: int) -> bytes:
    """Return section 2.1's table, one byte for each bit."""
    return bytes(word & 1 for word in mt19937(seed, size))


def accumulate(state: int, items: list[int]) -> int:
    """Return section 2.2's hash."""
    for item in items:
        state = ((state + item) * MULTIPLIER + 1) % TWO_64
    return state


def signed(word: int) -> int:
    """Return a 64-bit word as an integer with sign."""
    return word - TWO_64 if word >> 63 else word


def g_values(config: Vector, tokens: list[int]) -> list[str]:
    """Return section 2.3's bits: one string for each n-gram, one digit for each layer."""
    size, length = config["sampling_table_size"], config["ngram_len"]
    table = sampling_table(config["sampling_table_seed"], size)
    rows = []
    for end in range(length, len(tokens) + 1):
        state = accumulate(1, tokens[end - length : end])
        layers = [signed(accumulate(state, [key])) % size for key in config["keys"]]
        rows.append("".join(str(table[at]) for at in layers))
    return rows


def mask(config: Vector, tokens: list[int], end_token: int) -> str:
    """Return section 2.4's mask: one digit for each n-gram."""
    width = config["ngram_len"] - 1
    memory = [0] * config["context_history_size"]
    digits = []
    for position in range(width, len(tokens)):
        context = accumulate(1, tokens[position - width : position])
        fresh = context not in memory and end_token not in tokens[: position + 1]
        digits.append(str(int(fresh)))
        memory = [context, *memory][: len(memory)]
    return "".join(digits)


def mean(rows: list[str], digits: str, weights: list[Fraction]) -> str | None:
    """Return section 2.5's score as a fraction, or None where nothing is scored."""
    kept = [row for row, digit in zip(rows, digits, strict=True) if digit == "1"]
    if not kept:
        return None
    total = sum(
        (weight for row in kept for weight, bit in zip(weights, row, strict=True) if bit == "1"),
        Fraction(0),
    )
    return str(total / (sum(weights) * len(kept)))


def linspace(layers: int) -> list[Fraction]:
    """Return the weights from 10 to 1."""
    return [10 - Fraction(9 * layer, max(layers - 1, 1)) for layer in range(layers)]


def vector(why: str, config: Vector, documents: list[list[int]], end_token: int) -> Vector:
    """Return a vector of section 2."""
    rows = [g_values(config, tokens) for tokens in documents]
    masks = [mask(config, tokens, end_token) for tokens in documents]
    layers = len(config["keys"])
    pairs = list(zip(rows, masks, strict=True))
    return {
        "expect": "ok",
        "spec": "2",
        "why": why,
        "config": json.dumps(config, sort_keys=True),
        "eos_token_id": end_token,
        "documents": documents,
        "g_values": rows,
        "mask": masks,
        "mean": [mean(*pair, [Fraction(1)] * layers) for pair in pairs],
        "weighted_mean": [mean(*pair, linspace(layers)) for pair in pairs],
    }


def configuration(**changes: object) -> Vector:
    """Return the peer's defaults with the keys of its documentation, but for `changes`."""
    return {
        "ngram_len": 5,
        "keys": [654, 400, 836, 123, 340, 443, 597, 160, 57],
        "context_history_size": 1024,
        "sampling_table_seed": 0,
        "sampling_table_size": 65536,
        "skip_first_ngram_calls": False,
        "debug_mode": False,
        **changes,
    }


def detections() -> dict[str, Vector]:
    """Return what must be computed."""
    rng = random.Random(11)

    def text(vocabulary: int, count: int = 24) -> list[int]:
        return [rng.randrange(vocabulary) for _ in range(count)]

    wide = [rng.randrange(-(1 << 63), 1 << 63) for _ in range(30)]
    loop = text(50257, 6)
    line = text(65536, 12)
    return {
        "defaults": vector("the peer's defaults", configuration(), [text(50257), text(50257)], 0),
        "wide-keys": vector(
            "keys of 64 bits with sign, 30 layers, ids beyond 16 bits",
            configuration(keys=wide, sampling_table_seed=(1 << 32) + 7, sampling_table_size=4096),
            [text(262144)],
            0,
        ),
        "odd-table": vector(
            "a table whose size is no power of two: the remainder is that of signed integers",
            configuration(keys=wide, sampling_table_seed=-3, sampling_table_size=50000),
            [text(128256)],
            0,
        ),
        "bigrams": vector(
            "one context token, one layer", configuration(ngram_len=2, keys=[7]), [text(9)], 0
        ),
        "repeats": vector(
            "contexts repeat within the memory", configuration(), [loop * 4, text(2, 40)], -1
        ),
        "short-memory": vector(
            "contexts repeat after they were forgotten",
            configuration(context_history_size=4),
            [loop * 4, text(2, 40)],
            -1,
        ),
        "no-memory": vector(
            "nothing is remembered", configuration(context_history_size=0), [loop * 3], -1
        ),
        "zero-context": vector(
            "a context whose hash is 0 counts as seen until the memory has filled",
            configuration(context_history_size=3),
            [[*ZERO_CONTEXT, 7, 8], [9, 8, *ZERO_CONTEXT, 7], [9, 8, 7, *ZERO_CONTEXT, 7]],
            -1,
        ),
        "end-token": vector(
            "nothing counts from the first end token on", configuration(), [[*line, 3, *line]], 3
        ),
        "ids-equal-modulo-65536": vector(
            "section 5.2: both documents have the same g-values",
            configuration(),
            [line, [token + 65536 for token in line]],
            -1,
        ),
        "nothing-to-score": vector(
            "one n-gram, and it holds the end token", configuration(), [[1, 2, 3, 4, 5]], 5
        ),
    }


def refusals() -> dict[str, Vector]:
    """Return configurations that must be refused."""

    def refuse(expect: str, spec: str, why: str, text: str) -> Vector:
        return {"expect": expect, "spec": spec, "why": why, "config": text}

    def malformed(why: str, **changes: object) -> Vector:
        return refuse("malformed-descriptor", "4.1", why, json.dumps(configuration(**changes)))

    def excessive(why: str, **changes: object) -> Vector:
        return refuse("scheme-parameters", "4.2", why, json.dumps(configuration(**changes)))

    good = json.dumps(configuration())
    return {
        "no-object": refuse("malformed-descriptor", "4.1", "not an object", "[]"),
        "no-keys": refuse("malformed-descriptor", "4.1", "no keys", '{"ngram_len": 5}'),
        "no-length": refuse("malformed-descriptor", "4.1", "no ngram_len", '{"keys": [1]}'),
        "keys-twice": refuse(
            "malformed-descriptor", "4.1", "a key twice", good[:-1] + ', "keys": []}'
        ),
        "unknown-key": malformed("an unknown key", watermarking_depth=30),
        "keys-of-text": malformed("a layer key that is text", keys=["654"]),
        "keys-of-truth": malformed("a layer key that is true", keys=[True]),
        "length-of-text": malformed("ngram_len is text", ngram_len="5"),
        "flag-is-number": malformed("a flag that is a number", debug_mode=0),
        "table-size-real": malformed("a size with a fraction", sampling_table_size=65536.0),
        "no-layers": excessive("no layers", keys=[]),
        "too-many-layers": excessive("129 layers", keys=list(range(129))),
        "key-too-wide": excessive("a key of 65 bits with sign", keys=[1 << 63]),
        "unigrams": excessive("n-grams without context", ngram_len=1),
        "long-n-grams": excessive("n-grams of 65 tokens", ngram_len=65),
        "table-too-small": excessive("4,095 entries", sampling_table_size=4095),
        "table-too-large": excessive("2^24 + 1 entries", sampling_table_size=(1 << 24) + 1),
        "negative-memory": excessive("a memory of -1", context_history_size=-1),
    }


def main() -> None:
    """Check the generator against torch's own output, and write all vectors."""
    for (seed, size), digest in TORCH.items():
        if hashlib.sha256(sampling_table(seed, size)).hexdigest() != digest:
            raise SystemExit(f"torch fills the table of seed {seed} otherwise")
    for old in VECTORS.glob("*.json"):
        old.unlink()
    for name, content in (detections() | refusals()).items():
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (VECTORS / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
