"""Write the watermark-schemes-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark. The keyed function is computed block by block from the
specification's sentences; only AES comes from a library.
"""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

VECTORS = Path(__file__).parent / "vectors"


def aes(key: bytes, block: bytes) -> bytes:
    """Return one block of AES-128."""
    return Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update(block)  # noqa: S305


def output(key: bytes, tag: int, symbol: int, context: list[int], token: int) -> bytes:
    """Return the 16 bytes of section 2.3."""
    words = 4 * math.ceil((len(context) + 2) / 4)
    message = [tag | len(context) << 8 | symbol << 16, *context]
    message += [0] * (words - 1 - len(message)) + [token]
    data = struct.pack(f"<{words}I", *message)
    state = bytes(16)
    for at in range(0, len(data), 16):
        mixed = bytes(a ^ b for a, b in zip(state, data[at : at + 16], strict=True))
        state = aes(key, mixed)
    return state


def main() -> None:
    """Write every vector."""
    VECTORS.mkdir(exist_ok=True)
    for old in VECTORS.glob("*.json"):
        old.unlink()
    rng = random.Random(20261122)
    rows = []
    for width in range(1, 15):
        for tag in (1, 2, 3, 4, 5):
            key = rng.randbytes(16)
            symbol = rng.randrange(65536) if tag == 4 else 0
            context = [rng.randrange(1 << 21) for _ in range(width)]
            token = rng.randrange(1 << 21)
            block = output(key, tag, symbol, context, token)
            row: dict[str, object] = {
                "key": key.hex(),
                "tag": tag,
                "symbol": symbol,
                "context": context,
                "token": token,
                "output": block.hex(),
            }
            first = struct.unpack("<Q", block[:8])[0]
            if tag == 1:
                x = first >> 12
                # 1 - u among integers, since a double next to 1 would lose its last bits.
                row["gumbel_score"] = -math.log(((1 << 52) - 1 - x + 0.5) / 2.0**52)
            if tag == 3:
                row["green"] = {str(g): first >> 32 < round(g * 2**32) for g in (0.25, 0.5)}
            if tag == 2:
                bits = int.from_bytes(block, "little")
                row["layers"] = "".join(str(bits >> i & 1) for i in range(128))
            rows.append(row)
    document = {
        "spec": "2",
        "why": "the keyed function for every width and tag, and what each scheme reads off it",
        "rows": rows,
    }
    text = json.dumps(document, indent=1) + "\n"
    (VECTORS / "keyed-function.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
