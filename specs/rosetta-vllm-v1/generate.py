"""Write the rosetta-vllm-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library: both keyed functions
are written out for one pair at a time. `PUBLISHED` are vLLM's own compatibility vectors, and the
script refuses to write anything if it does not reproduce them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import random
import struct
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Vector = dict[str, Any]

MASK = 0xFFFFFFFF
EDGE_TOKENS = [0, 1, 2, 3, 50256, 128255, 2097151]
PUBLISHED = {  # key 42; (context, token) -> upper 24 bits, from vLLM's tests.
    "philox": {
        ((1, 2, 3, 4), 7): 1661833,
        ((1, 2, 3, 4), 8): 10571167,
        ((4, 5, 6, 7), 7): 9742331,
        ((4, 5, 6, 7), 8): 13375724,
    },
    "hmac_sha256": {
        ((1, 2, 3, 4), 7): 6202050,
        ((1, 2, 3, 4), 8): 16483231,
        ((4, 5, 6, 7), 7): 11455363,
        ((4, 5, 6, 7), 8): 10557370,
    },
}

# 1. The two keyed functions, sections 3 and 5.


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Return the four output words of Philox4x32-10."""
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        x, y = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (y >> 32) ^ b ^ k, y & MASK, (x >> 32) ^ d ^ m, x & MASK
        k, m = (k + 0x9E3779B9) & MASK, (m + 0xBB67AE85) & MASK
    return [a, b, c, d]


def philox_word(key: int, context: list[int], token: int) -> int:
    """Return the word of one pair, section 3."""
    low, high = key & MASK, key >> 32
    state = [0x574D4358, len(context), 0, 0]
    for offset in range(0, len(context), 4):
        block = [word & MASK for word in context[offset : offset + 4]]
        block += [MASK - lane for lane in range(len(block), 4)]
        state = philox([s ^ w for s, w in zip(state, block, strict=True)], [low ^ offset, high])
    words = philox([token >> 2, *state[:3]], [low ^ state[3], high ^ 0x574D544B])
    return words[token & 3]


def hmac_word(key: int, context: list[int], token: int) -> int:
    """Return the word of one pair, section 5."""
    message = b"vllm-watermark-hmac-sha256-v1\0" + struct.pack("<I", len(context))
    message += struct.pack(f"<{len(context) + 1}q", *context, token)
    digest = hmac.new(key.to_bytes(32, "little"), message, hashlib.sha256).digest()
    return int.from_bytes(digest[:4], "little")


WORD = {"philox": philox_word, "hmac_sha256": hmac_word}

# 2. Uniforms, scores, keys: sections 4 and 6.


def uniform(word: int) -> float:
    """Return the uniform of a word, a float32."""
    value: float = struct.unpack("<f", struct.pack("<f", ((word >> 8) + 1) / (2**24 + 1)))[0]
    return value


def score(word: int) -> float:
    """Return -ln(1 - u)."""
    return -math.log1p(-uniform(word))


def derived(master: int, domain: str) -> int:
    """Return key A or key B."""
    digest = hashlib.sha256(domain.encode() + master.to_bytes(8, "big")).digest()
    return int.from_bytes(digest[:8], "big")


# 3. Vectors.


def row(prf: str, key: int, context: list[int], token: int) -> Vector:
    """Return all that follows from one pair."""
    word = WORD[prf](key, context, token)
    return {
        "key": str(key),
        "context": context,
        "token": token,
        "word": word,
        "uniform": uniform(word).hex(),
        "score": f"{score(word):.12g}",
    }


def published(prf: str) -> Vector:
    """Return vLLM's own vector, or stop."""
    rows = []
    for (context, token), mantissa in PUBLISHED[prf].items():
        rows.append(row(prf, 42, list(context), token))
        if rows[-1]["word"] >> 8 != mantissa:
            raise SystemExit(f"{prf}: {context} {token} is not as published")
    spec = "3" if prf == "philox" else "5"
    return {
        "expect": "ok",
        "spec": spec,
        "why": "vLLM's own compatibility vector",
        "prf": prf,
        "rows": rows,
    }


def pairs(prf: str, seed: int) -> Vector:
    """Return random pairs of many widths, whole and padded contexts, small and large keys."""
    rng = random.Random(seed)
    bits = 64 if prf == "philox" else 256
    rows = []
    for width in [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17]:
        for key in [0, 1, 2**bits - 1, rng.getrandbits(bits)]:
            context = [rng.choice([rng.randrange(2**21), *EDGE_TOKENS]) for _ in range(width)]
            padding = rng.randrange(width + 1)
            token = rng.choice([rng.randrange(2**21), *EDGE_TOKENS])
            rows.append(row(prf, key, context, token))
            rows.append(row(prf, key, [-1] * padding + context[padding:], token))
    spec = "2, 3" if prf == "philox" else "2, 5"
    return {
        "expect": "ok",
        "spec": spec,
        "why": "widths, padding and keys",
        "prf": prf,
        "rows": rows,
    }


def uniforms() -> Vector:
    """Return uniforms where rounding to float32 matters."""
    words = [0, 255, 256, 0x7FFFFFFF, 0x80000000, 0x80000100, 0xFFFFFEFF, 0xFFFFFF00, MASK]
    rows = [{"word": w, "uniform": uniform(w).hex(), "score": f"{score(w):.12g}"} for w in words]
    why = "the ends, the middle, and the low byte not counting"
    return {"expect": "ok", "spec": "4", "why": why, "rows": rows}


def dual() -> Vector:
    """Return derived keys, and scores of pairs under both."""
    rng = random.Random(3)
    rows = []
    for master in [0, 42, 2**64 - 1]:
        a, b = derived(master, "key_a"), derived(master, "key_b")
        for alpha in [0.0, 0.1, 0.5, 1.0]:
            context, token = [rng.randrange(50000) for _ in range(4)], rng.randrange(50000)
            first, second = (score(philox_word(k, context, token)) for k in (a, b))
            mixed = (1 - alpha) * first + alpha * second
            fields = {"key": str(master), "key_a": str(a), "key_b": str(b), "alpha": alpha}
            rows.append({**fields, "context": context, "token": token, "score": f"{mixed:.12g}"})
    return {
        "expect": "ok",
        "spec": "6",
        "why": "key A and key B come from one master",
        "rows": rows,
    }


def document() -> Vector:
    """Return a text with repeated contexts, and what vLLM's detector makes of it."""
    rng = random.Random(4)
    tokens = [rng.randrange(4) for _ in range(60)]
    width, seen, scored, total = 2, set(), [], 0.0
    prefix = [-1] * width
    for place, token in enumerate(tokens):
        context = tuple(prefix[-width:])
        if context not in seen:
            seen.add(context)
            scored.append(place)
            total += score(philox_word(42, list(context), token))
        prefix.append(token)
    fields = {"prf": "philox", "key": "42", "width": width, "tokens": tokens}
    return {
        "expect": "ok",
        "spec": "2, 8",
        "why": "padded starts count, each context once",
        **fields,
        "scored": scored,
        "total": f"{total:.12g}",
    }


def configs() -> dict[str, Vector]:
    """Return configurations, section 9."""
    good: dict[str, Vector] = {
        "least": {"key": 42},
        "all": {
            "algorithm": "dual_key_gumbel",
            "key": 7,
            "alpha": 0.25,
            "context_width": 2,
            "prf": "philox",
            "deduplicate_contexts": "all",
            "deduplicate_contexts_max_history": 8192,
            "allow_target_only_watermarking": True,
        },
        "null-width": {"algorithm": "gumbel", "key": 2**64 - 1, "context_width": None},
        "hmac": {"key": 2**64, "prf": "hmac_sha256"},
    }
    bad: dict[str, tuple[str, object]] = {
        "no-key": ("malformed-descriptor", {"algorithm": "gumbel"}),
        "true-key": ("malformed-descriptor", {"key": True}),
        "text-key": ("malformed-descriptor", {"key": "42"}),
        "list": ("malformed-descriptor", [42]),
        "unknown-field": ("malformed-descriptor", {"key": 42, "kee": 1}),
        "true-width": ("malformed-descriptor", {"key": 42, "context_width": True}),
        "text-alpha": ("malformed-descriptor", {"key": 42, "alpha": "0.1"}),
        "scope": ("malformed-descriptor", {"key": 42, "deduplicate_contexts": "turn"}),
        "number-prf": ("malformed-descriptor", {"key": 42, "prf": 1}),
        "negative-key": ("scheme-parameters", {"key": -1}),
        "long-key": ("scheme-parameters", {"key": 2**64}),
        "long-hmac-key": ("scheme-parameters", {"key": 2**256, "prf": "hmac_sha256"}),
        "long-master": (
            "scheme-parameters",
            {"key": 2**64, "prf": "hmac_sha256", "algorithm": "dual_key_gumbel"},
        ),
        "no-width": ("scheme-parameters", {"key": 42, "context_width": 0}),
        "wide": ("scheme-parameters", {"key": 42, "context_width": 65}),
        "alpha": ("scheme-parameters", {"key": 42, "alpha": 1.01}),
        "other-prf": ("scheme-parameters", {"key": 42, "prf": "sha1"}),
        "other-algorithm": ("scheme-parameters", {"key": 42, "algorithm": "sbw"}),
        "no-history": ("scheme-parameters", {"key": 42, "deduplicate_contexts_max_history": 0}),
    }
    out: dict[str, Vector] = {}
    for name, config in good.items():
        is_dual = config.get("algorithm") == "dual_key_gumbel"
        want = {
            "algorithm": config.get("algorithm", "gumbel"),
            "key": str(config["key"]),
            "width": config.get("context_width") or 4,
            "prf": config.get("prf", "philox"),
            **({"alpha": config["alpha"]} if is_dual else {}),
        }
        out[f"config-{name}"] = {
            "expect": "ok",
            "spec": "9",
            "why": name.replace("-", " "),
            "config": config,
            "want": want,
        }
    for name, (code, refused) in bad.items():
        out[f"config-{name}"] = {
            "expect": code,
            "spec": "9",
            "why": name.replace("-", " "),
            "config": refused,
        }
    return out


def main() -> None:
    """Write every vector, and delete those of other versions of this script."""
    vectors = {
        "philox-published": published("philox"),
        "hmac-published": published("hmac_sha256"),
        "philox-pairs": pairs("philox", 1),
        "hmac-pairs": pairs("hmac_sha256", 2),
        "uniforms": uniforms(),
        "dual": dual(),
        "document": document(),
        **configs(),
    }
    VECTORS.mkdir(exist_ok=True)
    for path in VECTORS.glob("*.json"):
        path.unlink()
    for name, vector in vectors.items():
        text = json.dumps(vector, indent=1, sort_keys=True)
        (VECTORS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
