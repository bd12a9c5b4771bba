"""Write the rosetta-textseal-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library: the hash is written
out with Python's own integers, wrapped and shifted as signed 64-bit numbers are.
`tests/interop/test_textseal.py` holds these files against TextSeal itself.
"""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Vector = dict[str, Any]

OUTPUTS = 8191
PRIMES = [10000019, 10000247, 10000439, 10000643, 10000747]
PRIMES += [10000867, 10000993, 10001213, 10001357, 10001501]
EDGE_TOKENS = [0, 1, 2, 50256, 128255, 2097151]
LATER = 659101


def wrapped(value: int) -> int:
    """Return what a signed 64-bit integer keeps of a value."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def hashed(key: int, context: list[int], token: int) -> int:
    """Return the hash of one pair, section 2."""
    total = sum(p * t for p, t in zip(PRIMES, context, strict=False))
    total = wrapped((total + 100000007 * token + 500001713 * key) * 15485863 * 40499)
    return (total ^ (total >> 13)) % OUTPUTS


def float32(value: float) -> float:
    """Round to float32."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def green_outputs(gamma: float) -> int:
    """Return how many outputs are green, section 4."""
    return sum(float32(k / OUTPUTS) < float32(gamma) for k in range(OUTPUTS))


def random_pair(rng: random.Random, width: int) -> tuple[list[int], int]:
    """Return a context and a token, some of them at the ends of what ids there are."""
    ids = [rng.choice([rng.randrange(2**21), *EDGE_TOKENS]) for _ in range(width + 1)]
    return ids[:-1], ids[-1]


def hashes() -> Vector:
    """Return hashes for every width, with small and large keys."""
    rng = random.Random(1)
    rows = []
    for width in range(1, 11):
        for key in [0, 42, 2**63 - 1, rng.getrandbits(63)]:
            context, token = random_pair(rng, width)
            k = hashed(key, context, token)
            score = f"{-math.log1p(-k / OUTPUTS):.12g}"
            rows.append(
                {"key": str(key), "context": context, "token": token, "hash": k, "score": score}
            )
    return {"expect": "ok", "spec": "2, 3", "why": "widths and keys", "rows": rows}


def dual() -> Vector:
    """Return scores under two keys."""
    rng = random.Random(2)
    rows = []
    for alpha in [0.1, 0.5, 0.75]:
        for second in [None, 7]:
            context, token = random_pair(rng, 2)
            other = 42 + 12345 if second is None else second
            a, b = (-math.log1p(-hashed(k, context, token) / OUTPUTS) for k in (42, other))
            fields = {"key": "42", "second": second, "alpha": alpha}
            score = f"{alpha * a + (1 - alpha) * b:.12g}"
            rows.append({**fields, "context": context, "token": token, "score": score})
    return {"expect": "ok", "spec": "6", "why": "key A has the weight alpha", "rows": rows}


def greens() -> Vector:
    """Return green shares, some of them on the border between two outputs."""
    gammas = [0.001, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 1000 / OUTPUTS, 4096 / OUTPUTS, 0.9998]
    rows = [{"gamma": gamma, "green": green_outputs(gamma)} for gamma in gammas]
    return {"expect": "ok", "spec": "4", "why": "compared in float32", "rows": rows}


def synthid() -> Vector:
    """Return layers of single tokens."""
    rng = random.Random(3)
    rows = []
    for stride in [1, LATER]:
        for depth, gamma in [(1, 0.5), (2, 0.3), (30, 0.5), (128, 0.25)]:
            context, token = random_pair(rng, 1)
            limit = green_outputs(gamma)
            shifted = [token + layer * stride for layer in range(depth)]
            bits = [int(hashed(42, context, t) < limit) for t in shifted]
            weights = [10 * (depth - 1) - 9 * layer for layer in range(depth)] if depth > 1 else [1]
            fields = {"key": "42", "context": context, "token": token, "stride": stride}
            scores = {
                "count": sum(bits),
                "weighted": sum(w * b for w, b in zip(weights, bits, strict=True)),
            }
            rows.append({**fields, "depth": depth, "gamma": gamma, "bits": bits, **scores})
    return {"expect": "ok", "spec": "5", "why": "layers and weights", "rows": rows}


def shared() -> Vector:
    """Return a text whose tokens share layers, and which of them keep their own."""
    tokens = [5, 100, 5, 101, 5, 102, 5, 103, 6, 101, 70, 5, 99]
    return {
        "expect": "ok",
        "spec": "5.3",
        "why": "after 5: 99, 100, 101, 102, 103 with three layers; 99 and 102 keep theirs",
        "tokens": tokens,
        "width": 1,
        "depth": 3,
        "kept": [2, 4, 5, 6, 8, 9, 10, 11, 12],
        "replaced": [1, 3, 7],
    }


def main() -> None:
    """Write every vector, and delete those of other versions of this script."""
    vectors = {
        "hashes": hashes(),
        "dual": dual(),
        "greens": greens(),
        "synthid": synthid(),
        "shared-layers": shared(),
    }
    VECTORS.mkdir(exist_ok=True)
    for path in VECTORS.glob("*.json"):
        path.unlink()
    for name, vector in vectors.items():
        text = json.dumps(vector, indent=1, sort_keys=True)
        (VECTORS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
