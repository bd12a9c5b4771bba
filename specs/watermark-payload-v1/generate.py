"""Write the watermark-payload-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark. The keyed function is computed block by block from the
specifications' sentences; only AES comes from a library.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import math
import random
import struct
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

VECTORS = Path(__file__).parent / "vectors"
VOCABULARY = 32_000
CANDIDATES = 64
PLACES = 8
MODULUS = 0x1100B
Row = dict[str, Any]


def word(key: bytes, tag: int, symbol: int, context: list[int], token: int) -> int:
    """Return w0 of watermark-schemes-v1, section 2."""
    words = 4 * math.ceil((len(context) + 2) / 4)
    message = [tag | len(context) << 8 | symbol << 16, *context]
    message += [0] * (words - 1 - len(message)) + [token]
    data = struct.pack(f"<{words}I", *message)
    state = bytes(16)
    for at in range(0, len(data), 16):
        mixed = bytes(a ^ b for a, b in zip(state, data[at : at + 16], strict=True))
        cipher = Cipher(algorithms.AES128(key), modes.ECB())  # noqa: S305
        state = cipher.encryptor().update(mixed)
    return int.from_bytes(state[:8], "little")


def multiply(a: int, b: int) -> int:
    """Return the product of two elements of the field of 1.4: of polynomials, then reduced."""
    product = 0
    for bit in range(16):
        product ^= (a << bit) * (b >> bit & 1)
    for bit in range(30, 15, -1):
        product ^= (MODULUS << bit - 16) * (product >> bit & 1)
    return product


def inverse(a: int) -> int:
    """Return 1 / a, which is a^(2^16 - 2)."""
    result = 1
    for _ in range(15):
        a = multiply(a, a)
        result = multiply(result, a)
    return result


def value_at(point: int, values: list[int]) -> int:
    """Return the value at a point of the polynomial with these at 0, 1, 2 and 3 (Lagrange)."""
    total = 0
    for one, term in enumerate(values):
        for other in set(range(len(values))) - {one}:
            term = multiply(multiply(term, point ^ other), inverse(one ^ other))  # noqa: PLW2901
        total ^= term
    return total


def symbols_of(mac_key: bytes, identifier: int) -> list[int]:
    """Return the eight symbols of section 1."""
    text = b"countermark-gumbel-payload-v1\x00" + identifier.to_bytes(6, "big")
    mac = hmac.new(mac_key, text, hashlib.sha256).digest()
    message = [identifier >> 16 * i & 0xFFFF for i in range(3)] + [mac[0] * 256 + mac[1]]
    return message + [value_at(point, message) for point in range(4, PLACES)]


def place_of(key: bytes, context: list[int]) -> int:
    """Return the place of a context (2.1)."""
    return word(key, 5, 0, context, 0) & 7


def write(
    rng: random.Random, key: bytes, symbols: list[int] | None, width: int, length: int
) -> list[int]:
    """Write over 64 equally likely tokens per step, which makes the draw the largest u."""
    tokens = [rng.randrange(VOCABULARY) for _ in range(width)]
    seen = set()
    while len(tokens) < length:
        context = tokens[-width:]
        candidates = rng.sample(range(VOCABULARY), CANDIDATES)
        if symbols is None or tuple(context) in seen:
            tokens.append(candidates[0])
            continue
        seen.add(tuple(context))
        symbol = symbols[place_of(key, context)]
        tokens.append(max(candidates, key=lambda t: word(key, 4, symbol, context, t) >> 12))
    return tokens


def log_tail(count: int, total: float) -> float:
    """Return ln Q(n, x) from the Poisson sum."""
    if count == 0:
        return 0.0
    terms = [k * math.log(total) - total - math.lgamma(k + 1) for k in range(count)]
    highest = max(terms)
    return min(0.0, highest + math.log(math.fsum(math.exp(t - highest) for t in terms)))


def read(key: bytes, symbols: list[int], tokens: list[int], width: int) -> Row:
    """Return places, totals and both bounds under a message (sections 3 and 5)."""
    places, counts, parts, seen = [], [0] * PLACES, [[] for _ in range(PLACES)], set()
    for at in range(width, len(tokens)):
        pair = tuple(tokens[at - width : at + 1])
        if pair in seen:
            continue
        seen.add(pair)
        place = place_of(key, list(pair[:-1]))
        upper = word(key, 4, symbols[place], list(pair[:-1]), pair[-1]) >> 12
        places.append(place)
        counts[place] += 1
        parts[place].append(-math.log(((1 << 52) - 1 - upper + 0.5) / 2.0**52))
    totals = [math.fsum(part) for part in parts]
    ln_p = 48 * math.log(2) + log_tail(sum(counts), math.fsum(totals))
    worst = -math.inf
    for size in range(5, PLACES + 1):
        share = 1 / (4 * math.comb(PLACES, size))
        for chosen in itertools.combinations(range(PLACES), size):
            tail = log_tail(sum(counts[d] for d in chosen), math.fsum(totals[d] for d in chosen))
            worst = max(worst, 16 * (size - 5) * math.log(2) + tail - math.log(share))
    return {
        "places": places,
        "totals": totals,
        "ln_p": min(0.0, ln_p),
        "ln_w": min(0.0, worst),
    }


def may_tell(found: Row) -> bool:
    """Say whether both bounds allow to tell a message (4.3)."""
    return bool(found["ln_p"] <= math.log(1e-6) and found["ln_w"] <= math.log(1e-4))


def text_rows(rng: random.Random) -> list[Row]:
    """Return texts that are read, and their nearest that are not."""
    rows = []
    for width in (1, 2, 3, 7, 14):
        key, mac_key, identifier = rng.randbytes(16), rng.randbytes(32), rng.randrange(1 << 48)
        symbols = symbols_of(mac_key, identifier)
        tokens = write(rng, key, symbols, width, 140)
        base = {"key": key.hex(), "mac_key": mac_key.hex(), "width": width, "tokens": tokens}
        found = {"expect": "ok", "identifier": identifier} | read(key, symbols, tokens, width)
        rows.append({"why": f"a marked text, width {width}", "spec": "4"} | base | found)
        if width != 2:
            continue
        none: Row = {"expect": "not-enough-evidence"}
        other = bytes([mac_key[0] ^ 1]) + mac_key[1:]
        rows.append(
            {"why": "another MAC key", "spec": "5.2"} | base | none | {"mac_key": other.hex()}
        )
        other = bytes([key[0] ^ 1]) + key[1:]
        rows.append({"why": "another key", "spec": "5.1"} | base | none | {"key": other.hex()})
        short = next(
            n for n in range(width, 140) if may_tell(read(key, symbols, tokens[:n], width))
        )
        rows.append(
            {"why": "a token too short", "spec": "4.3"}
            | base
            | none
            | {"tokens": tokens[: short - 1]}
        )
        rows.append({"why": "context only", "spec": "3.1"} | base | none | {"tokens": tokens[:2]})
        rows.append({"why": "no token", "spec": "3.1"} | base | none | {"tokens": []})
        plain = write(rng, key, None, width, 400)
        rows.append(
            {"why": "a text without a mark", "spec": "5.1"} | base | none | {"tokens": plain}
        )
        twice = tokens + tokens
        found = {"expect": "ok", "identifier": identifier} | read(key, symbols, twice, width)
        rows.append(
            {"why": "each pair counts once", "spec": "3.1"} | base | found | {"tokens": twice}
        )
    return rows


def message_rows(rng: random.Random) -> list[Row]:
    """Return identifiers with their symbols."""
    rows = []
    for identifier in (
        0,
        1,
        0xFFFF,
        0x10000,
        (1 << 48) - 1,
        *(rng.randrange(1 << 48) for _ in range(5)),
    ):
        mac_key = rng.randbytes(32)
        rows.append(
            {
                "mac_key": mac_key.hex(),
                "identifier": identifier,
                "expect": "ok",
                "symbols": symbols_of(mac_key, identifier),
            }
        )
    for size, identifier in ((32, 1 << 48), (32, -1), (31, 5), (33, 5)):
        rows.append(
            {
                "mac_key": rng.randbytes(size).hex(),
                "identifier": identifier,
                "expect": "scheme-parameters",
            }
        )
    return rows


def main() -> None:
    """Write every vector."""
    VECTORS.mkdir(exist_ok=True)
    for old in VECTORS.glob("*.json"):
        old.unlink()
    rng = random.Random(20261122)
    documents = {
        "messages": {"spec": "1", "why": "from identifier to symbols", "rows": message_rows(rng)},
        "texts": {"spec": "2 to 5", "why": "what is read from token ids", "rows": text_rows(rng)},
    }
    for name, document in documents.items():
        text = json.dumps(document, separators=(",", ":")).replace('{"why"', '\n{"why"') + "\n"
        (VECTORS / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
