"""Whatever a released version wrote verifies with this one, and with every later one.

Each release has a folder: a model, evidence for it, public keys, `cases.json`, which says
what has to hold, and the script that made them. None of it is ever edited.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from countermark import signing
from countermark.signing import Outcome, Trust, leaves, statement_reader
from countermark.signing import bundle as bundles
from countermark.signing.errors import MalformedTreeError
from support.peer import flip_bit

HERE = Path(__file__).parent
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Case:
    """One signature of a release, and whom to trust."""

    release: Path
    signature: str
    model: str
    public_keys: tuple[str, ...]
    roots: tuple[str, ...]
    identities: tuple[str, ...]
    now: str | None

    def trust(self) -> Trust:
        return Trust(
            public_keys=tuple(
                signing.load_public_key((self.release / key).read_bytes())
                for key in self.public_keys
            ),
            roots=tuple(
                certificate
                for root in self.roots
                for certificate in signing.load_pem_certificates((self.release / root).read_bytes())
            ),
            identities=self.identities,
            now=datetime.fromisoformat(self.now) if self.now else None,
        )


def cases_of(release: Path) -> list[Case]:
    return [
        Case(
            release=release,
            signature=row["signature"],
            model=row["model"],
            public_keys=tuple(row.get("public_keys", [])),
            roots=tuple(row.get("roots", [])),
            identities=tuple(row.get("identities", [])),
            now=row.get("now"),
        )
        for row in json.loads((release / "cases.json").read_bytes())
    ]


RELEASES = sorted(path.parent for path in HERE.glob("*/cases.json"))
CASES = [case for release in RELEASES for case in cases_of(release)]


def name_of(case: Case) -> str:
    return f"{case.release.name}-{Path(case.signature).stem}"


def outcome(case: Case, model: Path) -> tuple[Outcome, str]:
    trust = case.trust()
    try:
        verdict = signing.verify(model, case.release / case.signature, trust).verdict
    except signing.VerificationError as e:
        verdict = e.verdict
    return verdict.outcome, verdict.code


def test_every_release_left_its_evidence_here() -> None:
    assert [release.name for release in RELEASES][:1] == ["0.1.0"]
    for release in RELEASES:
        listed = {case.signature for case in cases_of(release)}
        assert listed == {f"signatures/{path.name}" for path in release.glob("signatures/*.sig")}
        assert len(listed) >= 20
        texts = [path.read_bytes() for path in release.rglob("*") if path.is_file()]
        assert sum(map(len, texts)) < 200_000
        assert not any(b"PRIVATE KEY-----" in text for text in texts)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_released_signature_verifies_for_ever(case: Case) -> None:
    assert outcome(case, case.release / case.model) == (Outcome.VERIFIED, "verified")


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_released_signature_refuses_one_flipped_bit(case: Case, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(case.release / "model", model)
    weights = model / WEIGHTS
    flip_bit(weights, weights.stat().st_size - 1)
    target = tmp_path / case.model
    assert outcome(case, target) == (Outcome.TAMPERED, "file-changed")


@pytest.mark.parametrize(
    "file", [path for r in RELEASES for path in r.glob("signatures/*.leaves")], ids=lambda p: p.stem
)
def test_released_leaves_belong_to_the_signed_roots(file: Path) -> None:
    decoded = leaves.decode(file.read_bytes())
    bundle = bundles.parse_bundle(file.with_suffix("").read_bytes())
    roots = {
        entry.path: bytes.fromhex(entry.trees.block_root)
        for entry in statement_reader.parse_statement(bundle.payload).files
        if entry.trees is not None
    }
    assert decoded.keys() == roots.keys() == {WEIGHTS}
    for path, found in decoded.items():
        leaves.check(found, roots[path])
        with pytest.raises(MalformedTreeError):
            leaves.check(found, bytes(32))


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_released_signature_refuses_another_signer(case: Case) -> None:
    trust = Trust(public_keys=(signing.generate("ec-p256").public_key,))
    with pytest.raises(signing.VerificationError) as caught:
        signing.verify(case.release / case.model, case.release / case.signature, trust)
    assert caught.value.verdict.code == "wrong-key"
