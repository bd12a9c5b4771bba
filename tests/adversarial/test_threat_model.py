"""docs/threat-model.md names tests; each of them must be there, under that very name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "threat-model.md"
# Of a test in another folder the document says in which.
_NAMED = re.compile(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`")
_STORED = (
    "model.sig",
    "model.sigs.jsonl",
    "model.sig.leaves",
    "--cache FILE",
    "cache.key",
    "Private key files",
    "--public-key",
    "--cert-chain",
    "--keys FILE",
    "tokenizer.json",
    "--descriptor FILE",
    "--common FILE",
    "Green-table file",
    "--out FILE",
    "--card FILE",
    "NUMBA_CACHE_DIR",
    "FILE.c2pa",
    "--trust FILE",
    "signer.key",
    "content scan --out FILE",
)


def named() -> set[tuple[str, str]]:
    return set(_NAMED.findall(DOCUMENT.read_text(encoding="utf-8")))


def defined(file: str) -> set[str]:
    path = HERE.parent / file if "/" in file else HERE / file
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_test_that_the_threat_model_names_exists() -> None:
    rows = named()
    assert len(rows) > 50  # A pattern that finds nothing must not pass.
    assert [row for row in sorted(rows) if row[1] not in defined(row[0])] == []


def test_every_row_of_an_attack_table_names_a_test() -> None:
    attacks = DOCUMENT.read_text(encoding="utf-8").partition("## Attacks")[2]
    attacks = attacks.partition("## Every stored file")[0]
    rows = [line for line in attacks.splitlines() if line.startswith("| ")]
    bare = [row for row in rows if not _NAMED.search(row) and not row.startswith("| Attack |")]
    assert bare == []


def test_each_of_the_33_measured_attacks_has_a_test_of_its_number() -> None:
    names = [name for file in HERE.glob("test_*.py") for name in defined(file.name)]
    numbers = {int(name.split("_")[2]) for name in names if name.startswith("test_row_")}
    assert numbers == set(range(1, 34))


def test_every_stored_file_is_said_to_be_trusted_or_not() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition("## Every stored file")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    for stored in _STORED:
        (row,) = [row for row in rows if f"`{stored}`" in row or stored in row.split("|")[1]][:1]
        assert "whoever can" in row, stored
