"""Write the watermark-keyring-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library: HKDF is written out
from RFC 5869.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Object = dict[str, Any]

FORMAT = "countermark-keyring-v1"
SALT = b"countermark-watermark-v1"
MASTER = bytes(range(32))
OTHER = bytes(range(1, 33))
SIZES = {"mark": 16, "second": 16, "payload-mac": 32}
LABELS = {"model": "acme-7b", "tenant": "acme", "epoch": "2026"}


def hkdf(secret: bytes, info: bytes, size: int) -> bytes:
    """Return RFC 5869 HKDF-SHA256 with the salt of section 4."""
    key = hmac.new(SALT, secret, hashlib.sha256).digest()
    out, block, count = b"", b"", 0
    while len(out) < size:
        count += 1
        block = hmac.new(key, block + info + bytes([count]), hashlib.sha256).digest()
        out += block
    return out[:size]


def framed(*texts: str) -> bytes:
    """Return each text after its length in two bytes."""
    return b"".join(struct.pack(">H", len(text.encode())) + text.encode() for text in texts)


def about(scheme: str, labels: Object) -> list[str]:
    """Return the scheme and the labels, in their order."""
    return [scheme, labels["model"], labels["tenant"], labels["epoch"]]


def secrets_of(master: bytes, scheme: str, labels: Object, purposes: list[str]) -> dict[str, bytes]:
    """Return the secrets of section 4."""
    words = about(scheme, labels)
    return {p: hkdf(master, framed(p, *words), SIZES[p]) for p in purposes}


def shown(value: object) -> str:
    """Return a parameter as section 5 writes it."""
    if isinstance(value, float):
        return "real:" + struct.pack(">d", value).hex()
    return f"text:{value}" if isinstance(value, str) else f"integer:{value}"


def id_of(secrets: dict[str, bytes], scheme: str, labels: Object, parameters: Object) -> str:
    """Return the id of section 5."""
    purposes = sorted(secrets)
    flat = [text for name in sorted(parameters) for text in (name, shown(parameters[name]))]
    info = framed("key-id", *about(scheme, labels), *purposes, *flat)
    return hkdf(b"".join(secrets[p] for p in purposes), info, 8).hex()


def key(
    scheme: str = "countermark-gumbel-v1",
    parameters: Object | None = None,
    purposes: tuple[str, ...] = ("mark",),
    labels: Object | None = None,
    master: bytes = MASTER,
    **more: object,
) -> tuple[Object, Object]:
    """Return a key of ours as a ring has it, and what a reader makes of it."""
    parameters = {"width": 2} if parameters is None else parameters
    labels = labels or LABELS
    secrets = secrets_of(master, scheme, labels, list(purposes))
    name = id_of(secrets, scheme, labels, parameters)
    # 2.0 is written as 2, and means the same.
    written = {
        k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in parameters.items()
    }
    row = {"id": name, "scheme": scheme, "parameters": written, "labels": labels} | more
    hexes = {p: secret.hex() for p, secret in secrets.items()}
    return row, {"id": name, "secrets_hex": hexes, "integers": []}


def exported(row: Object, meaning: Object) -> Object:
    """Return a key with its secrets, for a ring without a master."""
    texts = {p: text64(bytes.fromhex(h)) for p, h in meaning["secrets_hex"].items()}
    return row | {"secrets": texts}


def foreign(scheme: str, parameters: Object, integers: list[str], **more: object) -> Object:
    """Return a key of somebody else's scheme."""
    name = hashlib.sha256(scheme.encode()).hexdigest()[:16]  # Any text of this form will do.
    row = {"id": name, "scheme": scheme, "parameters": parameters, "labels": LABELS}
    return row | {"integers": integers} | more


def text64(secret: bytes) -> str:
    """Return base64."""
    return base64.b64encode(secret).decode()


def ring(*rows: object, master: bytes | None = MASTER, **more: object) -> str:
    """Return a ring that is right, but for `more`."""
    document: Object = {"format": FORMAT}
    if master is not None:
        document["master"] = text64(master)
    document |= {"keys": list(rows)}
    return json.dumps(document | more, ensure_ascii=False)


def edited(text: str, **more: object) -> str:
    """Return a ring with other members."""
    return json.dumps(json.loads(text) | more)


def good(out: dict[str, Object]) -> None:
    """Add rings that are read."""

    def ok(name: str, spec: str, why: str, text: str, *meanings: Object) -> None:
        about = {"expect": "ok", "spec": spec, "why": why, "ring": text}
        out[f"ok-{name}"] = about | {"keys": list(meanings)}

    row, meaning = key()
    ok("none", "2", "no key, no master", ring(master=None))
    ok("one", "4", "one derived key", ring(row), meaning)
    spaced = json.dumps(json.loads(ring(row)), indent=2, sort_keys=True)
    ok("spaced", "2.1", "white space and order do not matter", spaced, meaning)
    ok(
        "export",
        "3.5",
        "its own secret, and no master",
        ring(exported(row, meaning), master=None),
        meaning,
    )
    ok("both", "3.5", "its own secret beside a master", ring(exported(row, meaning)), meaning)
    rows = [
        key("countermark-gumbel-dual-v1", {"width": 2, "alpha": 0.1}, ("mark", "second")),
        key("countermark-tournament-v1", {"width": 3, "layers": 30}),
        key("countermark-greenlist-v1", {"width": 1, "gamma": 0.25, "delta": 2.0}),
        key("countermark-gumbel-payload-v1", {"width": 2}, ("mark", "payload-mac")),
        key(parameters={"width": 14}),
        key(labels={"model": "", "tenant": "", "epoch": ""}),
        key(labels={"model": "a", "tenant": "bc", "epoch": ""}),
        key(labels={"model": "ab", "tenant": "c", "epoch": ""}),
        key(labels={"model": "Modèle 7", "tenant": "株式会社", "epoch": "2026-Q4"}),
    ]
    ok(
        "schemes",
        "5",
        "every scheme of ours, and labels that could be confused",
        ring(*(r for r, _ in rows)),
        *(m for _, m in rows),
    )
    more: Object = {
        "tokenizer_sha256": "a" * 64,
        "model_sha256": "0" * 64,
        "vocabulary": 2097152,
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2026-01-01T00:00:01Z",
    }
    row, meaning = key(**more)
    ok("circumstances", "3.4", "all that may be known", ring(row), meaning | {"fields": more})
    peers = [
        foreign("transformers-kgw-lefthash", {"greenlist_ratio": 0.25, "bias": 2}, ["15485863"]),
        foreign(
            "transformers-kgw-selfhash",
            {"greenlist_ratio": 0.5, "bias": 2.5, "context_width": 4},
            [str(-(1 << 63))],
        ),
        foreign("lm-watermarking-simple-1", {"gamma": 0.25, "delta": 2}, ["15485863"]),
        foreign(
            "lm-watermarking-selfhash",
            {"gamma": 0.25, "delta": 2, "context_width": 4},
            [str((1 << 63) - 1)],
        ),
        foreign(
            "transformers-synthid",
            {
                "ngram_len": 5,
                "sampling_table_size": 65536,
                "sampling_table_seed": 0,
                "context_history_size": 1024,
            },
            ["654", "400", "-836"],
        ),
        foreign("vllm-gumbel-philox-v1", {"context_width": 4}, [str((1 << 64) - 1)]),
        foreign("vllm-gumbel-hmac-v1", {"context_width": 64}, [str((1 << 256) - 1)]),
        foreign("vllm-gumbel-dual-v1", {"context_width": 4, "alpha": 0.2, "prf": "philox"}, ["0"]),
    ]
    meanings = [{"id": p["id"], "secrets_hex": {}, "integers": p["integers"]} for p in peers]
    ok("foreign", "3.6", "keys of others", ring(*peers, master=None), *meanings)


def bad(out: dict[str, Object]) -> None:
    """Add rings that are refused."""

    def no(name: str, spec: str, why: str, text: str) -> None:
        out[name] = {"expect": "malformed-key-ring", "spec": spec, "why": why, "ring": text}

    row, meaning = key()
    text, own = ring(row), exported(row, meaning)
    vllm = foreign("vllm-gumbel-philox-v1", {"context_width": 4}, ["42"])
    bare = {k: v for k, v in vllm.items() if k != "integers"}
    no("empty", "2.1", "no byte at all", "")
    no("cut", "2.1", "cut short", text[:-1])
    no("array", "2.1", "not an object", "[]")
    no("same-key", "2.1", "a member twice", text.replace('"format"', '"format": "", "format"', 1))
    no("deep", "2.1", "nested deeper than 8", ring(row | {"labels": [[[[[[[[[]]]]]]]]]}))
    no("format", "2.2", "another version", ring(row, format="countermark-keyring-v2"))
    no("no-format", "2.2", "no format", json.dumps({"keys": []}))
    no("no-keys", "2.2", "no keys", json.dumps({"format": FORMAT}))
    no("unknown", "2.2", "an unknown member", ring(row, comment=""))
    no("master-short", "2.3", "31 bytes", ring(row, master=MASTER[1:]))
    no("master-constant", "2.3", "32 zeros", ring(master=bytes(32)))
    no("master-null", "2.3", "null", edited(text, master=None))
    no("master-url", "2.3", "base64url", edited(text, master="_" * 43 + "="))
    hidden = text64(MASTER).replace("8=", "9=")
    no("master-bits", "2.3", "bits that decoding drops", edited(text, master=hidden))
    no("row-array", "3", "a key is an array", ring([]))
    no("row-unknown", "3.1", "an unknown member", ring(row | {"comment": ""}))
    for name in ("id", "scheme", "parameters", "labels"):
        no(f"no-{name}", "3.1", f"no {name}", ring({k: v for k, v in row.items() if k != name}))
    no("id-upper", "3.2", "capital digits", ring(row | {"id": row["id"].upper()}))
    no("id-short", "3.2", "15 digits", ring(row | {"id": row["id"][1:]}))
    no("id-twice", "3.2", "one key twice", ring(row, row))
    no("scheme", "3.3", "no such scheme", ring(row | {"scheme": "countermark-gumbel-v2"}))
    for name, parameters in (
        ("absent", {}),
        ("unknown", {"width": 2, "gamma": 0.5}),
        ("zero", {"width": 0}),
        ("over", {"width": 15}),
        ("real", {"width": 2.0}),
        ("true", {"width": True}),
        ("text", {"width": "2"}),
    ):
        no(
            f"parameter-{name}",
            "3.3",
            "a width from 1 to 14 is wanted",
            ring(row | {"parameters": parameters}),
        )
    small, _ = key("countermark-greenlist-v1", {"width": 1, "gamma": 0.25, "delta": 0.00001})
    no("parameter-small", "3.3", "a number below 0.0001", ring(small))
    for name, labels in (
        ("absent", {"model": "", "tenant": ""}),
        ("unknown", LABELS | {"user": ""}),
        ("number", LABELS | {"epoch": 2026}),
        ("long", LABELS | {"model": "a" * 201}),
        ("invisible", LABELS | {"model": "acme\u200b-7b"}),
        ("line", LABELS | {"model": "acme\n7b"}),
        ("not-nfc", LABELS | {"model": "Mode\u0300le"}),
    ):
        changed = labels if set(labels) == set(LABELS) and name != "number" else None
        bound = key(labels=changed)[0] if changed else row
        no(f"label-{name}", "3.4", "no such label", ring(bound | {"labels": labels}))
    for name, more in (
        ("tokenizer-short", {"tokenizer_sha256": "a" * 63}),
        ("tokenizer-upper", {"tokenizer_sha256": "A" * 64}),
        ("tokenizer-null", {"tokenizer_sha256": None}),
        ("model-number", {"model_sha256": 1}),
        ("vocabulary-zero", {"vocabulary": 0}),
        ("vocabulary-over", {"vocabulary": 2097153}),
        ("vocabulary-true", {"vocabulary": True}),
        ("time-zone", {"not_before": "2026-01-01T00:00:00+00:00"}),
        ("time-fraction", {"not_before": "2026-01-01T00:00:00.0Z"}),
        ("time-date", {"not_before": "2026-01-01"}),
        ("time-none", {"not_before": "2026-02-30T00:00:00Z"}),
        ("time-leap", {"not_before": "2016-12-31T23:59:60Z"}),
        ("window-empty", dict.fromkeys(("not_before", "not_after"), "2026-01-01T00:00:00Z")),
    ):
        no(name, "3.4", "cannot be", ring(row | more))
    no("no-master", "3.5", "neither a master nor a secret", ring(row, master=None))
    no("other-master", "5.2", "another master", ring(row, master=OTHER))
    no(
        "label-changed",
        "5.2",
        "a label is not the one of the id",
        ring(row | {"labels": LABELS | {"tenant": "acne"}}),
    )
    no(
        "parameter-changed",
        "5.2",
        "a parameter is not the one of the id",
        ring(row | {"parameters": {"width": 3}}),
    )
    flipped = bytes.fromhex(meaning["secrets_hex"]["mark"])
    flipped = bytes([flipped[0] ^ 1]) + flipped[1:]
    for name, secrets in (
        ("flipped", {"mark": text64(flipped)}),
        ("short", {"mark": text64(flipped[1:])}),
        ("none", {}),
        ("other", {"second": own["secrets"]["mark"]}),
        ("more", own["secrets"] | {"second": own["secrets"]["mark"]}),
        ("text", {"mark": 1}),
    ):
        no(f"secret-{name}", "3.5", "not the secret of this key", ring(row | {"secrets": secrets}))
    no("own-integers", "3.6", "integers for a key of ours", ring(row | {"integers": ["1"]}))
    no(
        "foreign-secrets",
        "3.6",
        "secrets for a key of others",
        ring(bare | {"secrets": own["secrets"]}),
    )
    for name, integers in (
        ("none", []),
        ("two", ["1", "2"]),
        ("number", [42]),
        ("negative", ["-1"]),
        ("over", [str(1 << 64)]),
        ("hex", ["0x2a"]),
        ("zeros", ["042"]),
        ("plus", ["+42"]),
        ("minus-zero", ["-0"]),
        ("space", ["42 "]),
        ("digits", ["\u0664\u0662"]),
        ("long", ["9" * 79]),
        ("text", "42"),
    ):
        no(
            f"integer-{name}",
            "3.6",
            "one integer from 0 to 2^64 - 1 is wanted",
            ring(vllm | {"integers": integers}),
        )


def build() -> dict[str, Object]:
    """Return every vector by file name without `.json`."""
    out: dict[str, Object] = {}
    good(out)
    bad(out)
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
