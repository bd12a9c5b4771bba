"""Make the model and the evidence beside this file. Run once, before the release of 0.1.0.

    PYTHONPATH=src:tests python tests/compat/0.1.0/make.py

What it made must verify for ever, so it refuses to make it anew. The private keys live in
memory only, and nobody has them any more.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric import ec

from countermark import signing
from countermark.signing import Dialect, Identity, SnapshotOptions, snapshot
from support import pki
from support.peer import safetensors


class Span(TypedDict):
    """From when to when a certificate is valid."""

    not_before: datetime
    not_after: datetime


VALID: Span = {
    "not_before": datetime(2026, 1, 1, tzinfo=UTC),
    "not_after": datetime(2036, 1, 1, tzinfo=UTC),
}
HERE = Path(__file__).parent
MODEL, SIGNATURES, KEYS = HERE / "model", HERE / "signatures", HERE / "keys"
WEIGHTS = "model.safetensors"
MOMENT = "2026-06-01T12:00:00+00:00"
FILES = {
    WEIGHTS: safetensors({"embed.weight": 3000, "head.weight": 1000, "norm.empty": 0}),
    "config.json": b'{"hidden_size": 8}\n',
    "tokenizer/merges with space.txt": b"a b\nb c\n",
    "tokenizer/empty.txt": b"",
    "données/模型.bin": b"names that are not ASCII",
    "logs/train.txt": b"left out by one signature\n",
}

Case = dict[str, object]


class Maker:
    """Signs, and writes down what has to hold for each signature."""

    def __init__(self) -> None:
        self.keys = {kind: signing.generate(kind) for kind in signing.keys.KEY_TYPES}
        self.cases: list[Case] = []

    def sign(
        self,
        name: str,
        *kinds: str,
        options: SnapshotOptions | None = None,
        dialect: Dialect = Dialect.PYTHON,
        model: Path = MODEL,
    ) -> None:
        """Sign with keys of these kinds, into `signatures/<name>.sig`."""
        signers = [Identity(key=self.keys[kind]) for kind in kinds]
        self._write(name, signers, options or SnapshotOptions(), dialect, model)
        self.cases.append(
            {
                "signature": f"signatures/{name}.sig",
                "model": model.relative_to(HERE).as_posix(),
                "public_keys": [f"keys/{kind}.pub" for kind in kinds],
            }
        )

    def certify(self, name: str, curve: ec.EllipticCurve) -> None:
        """Sign with a certificate under an intermediate under a root of its own."""
        root = pki.authority(f"Compat root {name}", **VALID)
        middle = pki.authority(f"Compat intermediate {name}", root, **VALID)
        leaf = pki.signer(
            middle,
            pki.email("release@example.com"),
            pki.uri("https://example.com/release"),
            key=ec.generate_private_key(curve),
            **VALID,
        )
        signer = Identity(key=signing.load_private_key(leaf.key_pem), chain=(leaf.der, middle.der))
        self._write(name, [signer], SnapshotOptions(), Dialect.PYTHON, MODEL)
        (KEYS / f"{name}-root.pem").write_bytes(root.pem)
        self.cases.append(
            {
                "signature": f"signatures/{name}.sig",
                "model": "model",
                "roots": [f"keys/{name}-root.pem"],
                "identities": ["email:release@example.com"],
                "now": MOMENT,
            }
        )

    def finish(self) -> None:
        """Write the public keys and the list of what has to hold."""
        for kind, key in self.keys.items():
            (KEYS / f"{kind}.pub").write_bytes(key.public_key.pem)
        cases = sorted(self.cases, key=lambda case: str(case["signature"]))
        (HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")

    def _write(
        self,
        name: str,
        signers: list[Identity],
        options: SnapshotOptions,
        dialect: Dialect,
        model: Path,
    ) -> None:
        found = signing.take_snapshot(model, options)
        signed = signing.sign_snapshot(found, signers, dialect=dialect)
        signing.write_signed(signed, SIGNATURES / f"{name}.sig")


def main() -> None:
    """Make everything."""
    if SIGNATURES.exists():
        sys.exit(f"{SIGNATURES} is there; what was released is never made anew")
    SIGNATURES.mkdir()
    KEYS.mkdir()
    for name, data in FILES.items():
        path = MODEL / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    maker = Maker()
    for kind in maker.keys:
        maker.sign(f"key-{kind}", kind)
    maker.sign("two-signers", "ec-p256", "ml-dsa-65")
    maker.sign("plain", "ec-p256", options=SnapshotOptions(trees=False))
    for algorithm in ("blake3", "blake2b"):
        maker.sign(algorithm, "ec-p256", options=SnapshotOptions(algorithm=algorithm))
    maker.sign("ignored-paths", "ec-p256", options=SnapshotOptions(ignore_paths=("logs",)))
    for dialect in Dialect:
        end = dialect.value
        shards = SnapshotOptions(shard_bytes=1024)
        maker.sign(f"files-{end}", "ec-p256", dialect=dialect)
        maker.sign(f"shards-{end}", "ec-p256", options=shards, dialect=dialect)
        maker.sign(f"single-file-{end}", "ec-p256", dialect=dialect, model=MODEL / WEIGHTS)
    maker.certify("certificate-p256", ec.SECP256R1())
    maker.certify("certificate-p384", ec.SECP384R1())
    snapshot.MAX_INLINE_BLOCKS = 0  # As for models over 1 GiB.
    maker.sign("leaves-beside", "ec-p256")
    maker.finish()


main()
