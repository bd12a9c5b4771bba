"""Write the model-link-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Vector = dict[str, Any]


def name_of(digest: bytes) -> str:
    """Return the name of section 3.2."""
    return "ni:///sha-256;" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def statement(resources: list[tuple[str, str, bytes]], **serialization: object) -> Vector:
    """Return an OMS statement over resources: name, algorithm, raw digest."""
    root = hashlib.sha256(b"".join(digest for _, _, digest in resources)).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "tiny", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": [
                {"name": name, "algorithm": algorithm, "digest": digest.hex()}
                for name, algorithm, digest in resources
            ],
            "serialization": {"method": "files", "hash_type": "sha256", **serialization},
        },
    }


def sha256(text: str) -> bytes:
    """Return the digest of a file with this text."""
    return hashlib.sha256(text.encode()).digest()


def build() -> dict[str, Vector]:
    """Return every vector by file name without `.json`."""
    out: dict[str, Vector] = {}

    def asset(name: str, why: str, resources: list[tuple[str, str, bytes]], **more: object) -> None:
        listed = b"".join(digest for _, _, digest in resources)
        root = hashlib.sha256(listed).digest()
        out[f"asset-{name}"] = {
            "expect": "ok",
            "spec": "2.1",
            "why": why,
            "statement": statement(resources, **more),
            "asset_hex": listed.hex(),
            "sha256": root.hex(),
            "name": name_of(root),
        }

    files = [("b", "sha256", sha256("b")), ("a", "sha256", sha256("a"))]
    asset("two-files", "the order is that of the statement, not of the names", files)
    asset("one-file", "one file is a list of one digest, and not the file", files[:1])
    blake = hashlib.blake2b(b"a").digest()
    asset("blake2b", "64 bytes a file", [("a", "blake2b", blake)], hash_type="blake2b")
    shards = [
        (f"a:{start}:{start + 5}", "sha256-sharded-5", sha256(str(start))) for start in (0, 10, 5)
    ]
    asset(
        "shards",
        "shards count in the order of the statement, not in that of the file",
        shards,
        method="shards",
        shard_size=5,
    )

    def address(name: str, why: str, text: str, digest: bytes | None) -> None:
        out[f"name-{name}"] = {
            "expect": "ok" if digest else "no-digest",
            "spec": "3.2",
            "why": why,
            "address": text,
            "sha256": digest.hex() if digest else "",
        }

    hello = hashlib.sha256(b"Hello World!").digest()
    good = name_of(hello)
    address("rfc", "the example of RFC 6920 section 8.1", good, hello)
    address("query", "a media type may be said, and is ignored", good + "?ct=text/plain", hello)
    address("padded", "base64url without padding", good + "=", None)
    address("bits", "two bits behind the last byte are set", good[:-1] + "l", None)
    address("authority", "a host would mean where, not what", good.replace("///", "//h/"), None)
    address("short", "a truncated hash names no digest", "ni:///sha-256-32;f4OxZQ", None)
    return out


def main() -> None:
    """Replace everything in `vectors/`."""
    VECTORS.mkdir(exist_ok=True)
    for path in VECTORS.glob("*.json"):
        path.unlink()
    for name, vector in build().items():
        text = json.dumps(vector, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (VECTORS / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
