"""Write the damaged corpus to a folder: what `test_damage` judges, for other verifiers to try.

    python tests/provenance/make_damage.py FOLDER

One folder for each case, with the content, the manifest beside it if it has one, the trust bundle,
and `expected.json`. Keys and certificates are new each time, so no two corpora are alike.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from countermark.provenance.trust import dump_trust
from support.damage import Case, our_trust
from support.damage_manifests import MANIFESTS
from support.damage_media import MEDIA
from support.damage_signers import SIGNERS

__all__ = ["CASES", "write_corpus"]

CASES: dict[str, Case] = {**MANIFESTS, **MEDIA, **SIGNERS}


def write_corpus(folder: Path) -> list[Path]:
    """Write every case; return their folders."""
    return [_write(folder, name, case) for name, case in CASES.items()]


def _write(folder: Path, name: str, case: Case) -> Path:
    here = folder / re.sub(r"[^a-z0-9]+", "-", name.lower())
    here.mkdir(parents=True)
    subject = case.make()
    (here / subject.name).write_bytes(subject.data)
    if subject.manifest is not None:
        (here / f"{subject.name}.c2pa").write_bytes(subject.manifest)
    (here / "trust.json").write_bytes(dump_trust(subject.trust or our_trust()))
    expected = {
        "case": name,
        "file": subject.name,
        "axis": case.axis.value,
        "code": case.code,
        "outcome": case.outcome.value,
        "statuses": case.statuses,
    }
    (here / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
    return here


if __name__ == "__main__":
    print(f"{len(write_corpus(Path(sys.argv[1])))} cases")
