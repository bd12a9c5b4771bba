"""Write the rosetta-kgw-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, a peer, or anything but the standard library and blake3: the
shuffle is written out as torch does it, one draw after the other. `TORCH` was printed by
`torch.randperm` itself, and nothing is written if it is not reproduced. What the peers say of the
vectors is compared by tests/interop/test_transformers_kgw.py.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from blake3 import blake3

VECTORS = Path(__file__).parent / "vectors"
Vector = dict[str, Any]

MILLIONTH_PRIME = 15485863
LM_WATERMARKING_SEED = 2971215073
HASH_SIZE = 1_000_003
INT64 = 1 << 64
# torch 2.13.0: torch.randperm(10, generator=torch.Generator().manual_seed(seed)).
TORCH = {
    0: [4, 1, 7, 5, 3, 9, 0, 8, 6, 2],
    1: [5, 6, 1, 2, 0, 8, 9, 3, 7, 4],
    15485863: [8, 5, 7, 0, 2, 6, 9, 1, 4, 3],
    (1 << 64) - 1: [1, 4, 6, 2, 0, 5, 8, 7, 9, 3],
    (1 << 32) + 1: [5, 6, 1, 2, 0, 8, 9, 3, 7, 4],
}


# 1. Section 4: the generator and the shuffle.


def outputs(seed: int, count: int) -> tuple[int, ...]:
    """Return the first words that mt19937 says after it was seeded with one."""
    words = [seed & 0xFFFFFFFF]
    for i in range(1, 624):
        words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + i) & 0xFFFFFFFF)
    generator = random.Random()
    generator.setstate((3, (*words, 624), None))
    together = generator.getrandbits(32 * count)  # The first word is the lowest.
    return struct.unpack(f"<{count}I", together.to_bytes(4 * count, "little"))


def shuffled(size: int, seed: int, draws: int | None = None) -> list[int]:
    """Return the permutation of 0 to size - 1, of which `draws` places are final."""
    ids = list(range(size))
    for i, word in enumerate(outputs(seed, size - 1 if draws is None else draws)):
        other = i + word % (size - i)
        ids[i], ids[other] = ids[other], ids[i]
    return ids


@cache
def green_ids(size: int, ratio: float, seed: int) -> frozenset[int]:
    """Return the green list of one seed."""
    count = int(size * ratio)
    return frozenset(shuffled(size, seed, count)[:count])


# 2. Section 3: seeds.


@cache
def hash_table(seed: int) -> list[int]:
    """Return the permutation of 0 to 1,000,002."""
    return shuffled(HASH_SIZE, seed)


def wrapped(number: int) -> int:
    """Return the int64 that a product ends up as."""
    number %= INT64
    return number - INT64 if number >= INT64 >> 1 else number


def seed_of(vector: Vector, window: list[int]) -> int:
    """Return the seed for the last of `window`, which is as long as the scheme looks back."""
    key, scheme = vector["key"], vector["scheme"]
    if scheme in ("transformers-kgw-lefthash", "lm-watermarking-simple-1"):
        return key * window[0] % (INT64 - 1)
    table = hash_table(key if scheme.startswith("transformers") else LM_WATERMARKING_SEED)
    hashed = [table[token % HASH_SIZE] + 1 for token in window]
    return min(wrapped(key * value * hashed[-1]) for value in hashed) % (INT64 - 1)


def scored(scheme: str, vocabulary: int, tokens: list[int], **more: Any) -> Vector:  # noqa: ANN401
    """Return a vector with the seeds of every token that can be scored, and its green ones."""
    vector: Vector = {"scheme": scheme, "vocabulary": vocabulary, "ratio": 0.25}
    vector |= {"key": MILLIONTH_PRIME, "context_width": 1} | more | {"tokens": tokens}
    left = scheme in ("transformers-kgw-lefthash", "lm-watermarking-simple-1")
    width = 1 if left else vector["context_width"] - 1
    seeds = [seed_of(vector, tokens[i - width : i + 1]) for i in range(width, len(tokens))]
    flags = [
        token in green_ids(vocabulary, vector["ratio"], seed)
        for seed, token in zip(seeds, tokens[width:], strict=True)
    ]
    green = "".join("01"[flag] for flag in flags)
    return vector | {"width": width, "seeds_low": [s & 0xFFFFFFFF for s in seeds], "green": green}


def text(vocabulary: int, count: int, seed: int) -> list[int]:
    """Return ids as unequal as those of a text, the first and the last one among them."""
    generator = random.Random(seed)
    ids = [int(vocabulary * generator.random() ** 4) for _ in range(count)]
    return [*ids, 0, vocabulary - 1, 0, 0, vocabulary - 1]


# 3. Vectors.


def membership() -> Iterator[tuple[str, str, str, Vector]]:
    """Yield name, section, reason and contents of vectors of green tokens."""
    left, own = "transformers-kgw-lefthash", "transformers-kgw-selfhash"
    simple, anchored = "lm-watermarking-simple-1", "lm-watermarking-selfhash"
    for size, count in ((49_152, 25), (50_257, 25), (128_256, 15)):
        yield f"left-{size}", "3.1", "defaults", scored(left, size, text(size, count, size))
        selfhash = scored(own, size, text(size, count, size), context_width=4)
        yield f"self-{size}", "3.2", "a window of four", selfhash
    small = text(1000, 100, 7)
    yield "left-half", "4.3", "half are green", scored(left, 1000, small, ratio=0.5)
    yield (
        "left-floor",
        "4.3",
        "100 * 0.29 is below 29",
        scored(left, 100, text(100, 99, 8), ratio=0.29),
    )
    yield "left-most", "4.3", "all but one are green", scored(left, 32, text(32, 99, 9), ratio=0.97)
    yield "left-one", "4.3", "one is green", scored(left, 700, text(700, 99, 9), ratio=0.0015)
    yield "left-two-ids", "4.3", "the least vocabulary", scored(left, 2, [0, 1] * 20, ratio=0.5)
    for count in (623, 624, 625, 1248):
        tokens = text(5000, 99, count)
        block = scored(left, 5000, tokens, ratio=(count + 0.5) / 5000)
        yield f"left-draws-{count}", "4.1", f"{count} draws", block
    for name, key in (
        ("zero", 0),
        ("one", 1),
        ("negative", -12345),
        ("largest", INT64 // 2 - 1),
        ("least", -(INT64 // 2)),
        ("even", 1 << 31),
    ):
        yield f"left-key-{name}", "3.1", f"the key is {key}", scored(left, 1000, small, key=key)
        if name in ("negative", "largest", "least"):
            wide = scored(own, 1000, small, key=key, context_width=3)
            yield f"self-key-{name}", "3.2", f"the key is {key}; products wrap", wide
    factor = (INT64 - 1) // 65_535
    modulus = scored(left, 70_000, [65_535, 1, 65_535, 2, 65_534, 3, 65_535, 17], key=factor)
    yield "left-modulus", "3.1", "65535 times the key is 2^64 - 1, so 0", modulus
    negative = scored(left, 70_000, [65_535, 1, 65_534, 2, 1, 3], key=-factor)
    yield "left-modulus-negative", "3.1", "the same below zero", negative
    yield "self-alone", "3.2", "a window of one: no context", scored(own, 1000, small)
    yield "self-wide", "3.2", "a window of nine", scored(own, 1000, small, context_width=9)
    huge = [2_097_151, 1_000_003, 1_000_002, 0, 1_999_999, 2_000_006, 1_000_004, 1]
    wrap = scored(own, 1 << 21, huge, context_width=2, ratio=0.0002)
    yield "self-table-wraps", "3.2", "ids beyond the hash table", wrap
    yield (
        "simple-1",
        "3.3",
        "lm-watermarking, first version",
        scored(simple, 50_265, text(50_265, 20, 1)),
    )
    anchor = scored(anchored, 50_265, text(50_265, 20, 1), context_width=4)
    yield "anchored", "3.3", "lm-watermarking, recommended: the table's seed is fixed", anchor
    other = scored(anchored, 1000, small, context_width=2, key=23456789, ratio=0.5)
    yield "anchored-other-key", "3.3", "the key does not reach the table", other


def configurations() -> Iterator[tuple[str, str, Vector]]:
    """Yield name, reason and contents of vectors of configurations, section 7."""
    good = {
        "greenlist_ratio": 0.5,
        "bias": 1.5,
        "hashing_key": 97,
        "seeding_scheme": "selfhash",
        "context_width": 3,
    }

    def read(scheme: str, ratio: float, key: int, window: int) -> Vector:
        return {"scheme": scheme, "ratio": ratio, "key": key, "context_width": window}

    def case(config: object, expect: str | Vector) -> Vector:
        shown = config if isinstance(config, str) else json.dumps(config)
        if isinstance(expect, str):
            return {"expect": expect, "config": shown}
        return {"expect": "ok", "config": shown, "detector": expect}

    left, own = "transformers-kgw-lefthash", "transformers-kgw-selfhash"
    malformed, refused = "malformed-descriptor", "scheme-parameters"
    yield "ok", "every key", case(good, read(own, 0.5, 97, 3))
    yield "ok-defaults", "no key", case({}, read(left, 0.25, MILLIONTH_PRIME, 1))
    waits = {"context_width": 4}
    yield (
        "ok-left-wide",
        "left-hash looks at one token",
        case(waits, read(left, 0.25, MILLIONTH_PRIME, 1)),
    )
    for name, why, change in (
        ("unknown", "an unknown key", {"skip_first_ngram_calls": False}),
        ("scheme", "no such seeding scheme", {"seeding_scheme": "minhash"}),
        ("scheme-list", "a seeding scheme that is a list", {"seeding_scheme": []}),
        ("key-text", "a key in quotes", {"hashing_key": "97"}),
        ("key-real", "a key with a fraction", {"hashing_key": 97.0}),
        ("key-bool", "a key that is true", {"hashing_key": True}),
        ("ratio-null", "a share that is null", {"greenlist_ratio": None}),
        ("bias-text", "a bias in quotes", {"bias": "2"}),
        ("width-real", "a width with a fraction", {"context_width": 1.5}),
    ):
        yield name, why, case(good | change, malformed)
    for name, why, change in (
        ("width-zero", "a width of nothing", {"context_width": 0}),
        ("width-large", "a width of 65", {"context_width": 65}),
        ("ratio-zero", "no green ids", {"greenlist_ratio": 0}),
        ("ratio-one", "no others", {"greenlist_ratio": 1}),
        ("ratio-tiny", "a share of less than one id", {"greenlist_ratio": 1e-6}),
        ("key-large", "a key of 2^63", {"hashing_key": 1 << 63}),
    ):
        yield name, why, case(good | change, refused)
    yield "empty", "no byte", case("", malformed)
    yield "array", "an array", case("[]", malformed)
    twice = '{"context_width": 1, "context_width": 2}'
    yield "twice", "a key twice", case(twice, malformed)
    yield "not-a-number", "NaN is no JSON", case('{"bias": NaN}', malformed)


def table() -> Vector:
    """Return a vector with a whole table file, section 6."""
    size, ratio, key = 70, 0.25, 97
    green = int(size * ratio)
    rows = b""
    for context in range(size):
        bits = sum(1 << token for token in green_ids(size, ratio, key * context))
        rows += bits.to_bytes(16, "little")
    magic = b"countermark-kgw1"
    name = blake3(magic + struct.pack("<IIq", size, green, key)).digest()
    fields = magic + struct.pack("<II", size, green) + name + blake3(rows).digest()
    file = fields.ljust(4096, b"\0") + rows
    about = {"expect": "ok", "spec": "6", "why": "70 ids: two words a row"}
    shape = {"vocabulary": size, "ratio": ratio, "key": key}
    digest = {"fields_hex": fields.hex(), "sha256": hashlib.sha256(file).hexdigest()}
    return about | shape | digest | {"rows_hex": rows.hex()}


def build() -> dict[str, Vector]:
    """Return every vector by file name without `.json`."""
    for seed, expected in TORCH.items():
        if shuffled(10, seed) != expected:
            raise SystemExit(f"seed {seed}: {shuffled(10, seed)}, but torch said {expected}")
    out: dict[str, Vector] = {"table": table()}
    for name, section, why, vector in membership():
        out[f"green-{name}"] = {"expect": "ok", "spec": section, "why": why} | vector
    for name, why, vector in configurations():
        expect = {"expect": vector["expect"], "spec": "7", "why": why}
        out[f"config-{name}"] = expect | vector
    return out


def text_of(vector: Vector) -> str:
    """Return the file text of a vector; lists of numbers on one line."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in vector.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write the vectors and remove stale ones."""
    VECTORS.mkdir(exist_ok=True)
    vectors = build()
    for stale in VECTORS.glob("*.json"):
        if stale.stem not in vectors:
            stale.unlink()
    for name, vector in vectors.items():
        (VECTORS / f"{name}.json").write_text(text_of(vector), encoding="ascii")
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
