"""Write the watermark-descriptor-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Object = dict[str, Any]

FORMAT = "countermark-watermark-descriptor-v1"
BASE: Object = {
    "format": FORMAT,
    "id": "0123456789abcdef",
    "scheme": "countermark-gumbel-v1",
    "parameters": {"width": 2},
}
FULL = BASE | {
    "tokenizer_sha256": "a" * 64,
    "model_sha256": "b" * 64,
    "vocabulary": 49152,
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00Z",
}


def canonical(value: object) -> str:
    """Return RFC 8785 JSON of a value whose names are ASCII and whose numbers are written so."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def build() -> dict[str, Object]:
    """Return every vector by file name without `.json`."""
    out: dict[str, Object] = {}

    def ok(name: str, why: str, document: Object) -> None:
        text = canonical(document)
        out[f"ok-{name}"] = {"expect": "ok", "spec": "2", "why": why, "descriptor": text}

    def no(name: str, spec: str, why: str, text: str) -> None:
        expect = "malformed-descriptor"
        out[name] = {"expect": expect, "spec": spec, "why": why, "descriptor": text}

    green = {"width": 1, "gamma": 0.25, "delta": 2}
    dual = {"context_width": 4, "alpha": 0.0001, "prf": "hmac_sha256"}
    ok("least", "what must be there", BASE)
    ok("full", "all that may be there", FULL)
    ok(
        "reals",
        "numbers with and without a fraction",
        BASE | {"scheme": "countermark-greenlist-v1", "parameters": green},
    )
    ok(
        "foreign",
        "somebody else's scheme",
        BASE | {"scheme": "vllm-gumbel-dual-v1", "parameters": dual},
    )
    text = canonical(FULL)
    no("empty", "2.1", "no byte at all", "")
    no("array", "2.1", "not an object", "[]")
    no("cut", "2.1", "cut short", text[:-1])
    no("same-key", "2.1", "a member twice", text.replace('"id"', '"id":"","id"', 1))
    no("line-feed", "2.2", "a line feed at the end", text + "\n")
    no("space", "2.2", "white space", text.replace(":", ": ", 1))
    swapped = {k: FULL[k] for k in sorted(FULL, reverse=True)}
    no("order", "2.2", "another order", json.dumps(swapped, separators=(",", ":")))
    no("escape", "2.2", "an escape that is not needed", text.replace("gumbel", "\\u0067umbel"))
    long = canonical(
        BASE | {"scheme": "countermark-greenlist-v1", "parameters": green | {"delta": 2.0}}
    )
    no("number", "2.2", "2.0 for 2", long)
    no("format", "2.3", "another version", canonical(BASE | {"format": FORMAT[:-1] + "2"}))
    no("unknown", "2.3", "an unknown member", canonical(BASE | {"tenant": "acme"}))
    no("secret", "2.3", "a secret", canonical(BASE | {"secrets": {"mark": "AAAA"}}))
    for name in ("id", "scheme", "parameters", "format"):
        no(
            f"no-{name}",
            "2.3",
            f"no {name}",
            canonical({k: v for k, v in BASE.items() if k != name}),
        )
    for name, more in (
        ("id-short", {"id": "0123456789abcde"}),
        ("id-upper", {"id": "0123456789ABCDEF"}),
        ("scheme", {"scheme": "countermark-gumbel-v0"}),
        ("parameter-absent", {"parameters": {}}),
        ("parameter-over", {"parameters": {"width": 15}}),
        ("parameter-unknown", {"parameters": {"width": 2, "key": 1}}),
        ("tokenizer", {"tokenizer_sha256": "sha256:" + "a" * 64}),
        ("vocabulary", {"vocabulary": 0}),
        ("moment", {"not_before": "2026-01-01 00:00:00Z"}),
        ("window", {"not_after": "2026-01-01T00:00:00Z", "not_before": "2026-01-02T00:00:00Z"}),
        ("null", {"model_sha256": None}),
    ):
        no(name, "2.4", "cannot be", canonical(BASE | more))
    return out


def main() -> None:
    """Write the vectors and remove stale ones."""
    VECTORS.mkdir(exist_ok=True)
    vectors = build()
    for stale in VECTORS.glob("*.json"):
        if stale.stem not in vectors:
            stale.unlink()
    for name, vector in vectors.items():
        text = json.dumps(vector, indent=1, ensure_ascii=True) + "\n"
        (VECTORS / f"{name}.json").write_text(text, encoding="ascii")
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
