"""Write the digest-cache-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Vector = dict[str, Any]

FORMAT = "countermark-digest-cache-v1"
KEY = bytes(range(32))
NAME = "65024:1311:4096:1700000000123456789:1700000001000000000"
OTHER = "65024:1312:0:1700000000000000000:1700000000000000000"
ENTRIES = {
    NAME: {"blake3-blocks": "a" * 64, "sha256": "b" * 64},
    OTHER: {"blake2b": "c" * 128},
}


def compact(value: object) -> str:
    """Return JSON without white space, keys sorted."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def mac(entries: object, key: bytes = KEY) -> str:
    """Return the authentication code of section 3."""
    return hmac.new(key, f"{FORMAT}\n{compact(entries)}".encode(), hashlib.sha256).hexdigest()


def cache(entries: object = ENTRIES, **more: object) -> str:
    """Return a cache file that is right, but for `more`."""
    return compact({"format": FORMAT, "mac": mac(entries), "entries": entries} | more)


def build() -> dict[str, Vector]:
    """Return every vector by file name without `.json`."""
    out: dict[str, Vector] = {}

    def ok(name: str, why: str, text: str, entries: object) -> None:
        about = {"expect": "ok", "spec": "2", "why": why, "key_hex": KEY.hex()}
        out[f"ok-{name}"] = about | {"cache": text, "entries": entries}

    def no(name: str, spec: str, why: str, text: str, **more: object) -> None:
        about = {"expect": "cache-unusable", "spec": spec, "why": why, "key_hex": KEY.hex()}
        out[name] = about | more | {"cache": text}

    ok("two", "two files", cache(), ENTRIES)
    ok("none", "no file", cache({}), {})
    spaced = json.dumps({"mac": mac(ENTRIES), "entries": ENTRIES, "format": FORMAT}, indent=1)
    ok("spaced", "white space and order do not matter", spaced, ENTRIES)
    good = cache()
    no("empty", "2.1", "no byte at all", "")
    no("cut", "2.1", "cut short", good[:-1])
    no("array", "2.1", "not an object", "[]")
    no("same-key", "2.1", "a key twice", good.replace('"format"', '"format":"","format"'))
    no("format", "2.2", "another format", cache(format="countermark-digest-cache-v2"))
    no("no-mac", "2.2", "no mac", compact({"format": FORMAT, "entries": ENTRIES}))
    no("unknown-key", "2.2", "a key that no mac covers", cache(more=1))
    no("entries-array", "2.2", "entries is an array", cache([]))
    no("mac", "3.2", "one bit of the mac", cache(mac=f"{int(mac(ENTRIES), 16) ^ 1:064x}"))
    no("mac-upper", "3.2", "capital hex digits", cache(mac=mac(ENTRIES).upper()))
    no("mac-text", "3.2", "not ASCII", cache(mac="\u00e9"))
    no("other-key", "3.2", "written with another key", good, key_hex=bytes(32).hex())
    no("short-key", "3.1", "a key of 31 bytes", good, key_hex=KEY[1:].hex())
    no("digest", "3.2", "one digit of a digest", good.replace("b" * 64, "b" * 63 + "c"))
    no("identity", "3.2", "one digit of an inode", good.replace(":1311:", ":1313:"))
    no("entry-gone", "3.2", "an entry left out", cache({OTHER: ENTRIES[OTHER]}, mac=mac(ENTRIES)))
    for name, row in (
        ("row-array", []),
        ("row-number", {"sha256": 1}),
        ("row-upper", {"sha256": "B" * 64}),
        ("row-short", {"sha256": "b" * 63}),
        ("row-between", {"sha256": "b" * 96}),
    ):
        no(name, "2.4", "authentic, and no digest", cache({NAME: row}))
    return out


def text_of(vector: Vector) -> str:
    """Return the file text of a vector."""
    return json.dumps(vector, indent=1, ensure_ascii=True) + "\n"


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
