"""Evidence built to exhaust the verifier: refused, and within memory that anybody has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from countermark.signing.keys import generate
from support.models import make_model, resign_statement, sign, statement_of, write_public_key

MIB = 1 << 20
# Reading a bundle of the largest accepted size costs 64 MiB; the rest is Python and libraries.
MAX_RSS_MIB = 224

_VERIFY = r"""
import re, sys
from pathlib import Path
from countermark.signing.examination import examine
from countermark.signing.keys import load_public_key
from countermark.signing.signatures import Trust
model, signature, key = map(Path, sys.argv[1:])
verdict = examine(model, signature, Trust(public_keys=(load_public_key(key.read_bytes()),)))
# Not ru_maxrss, which starts with the peak of the process that started this one.
status = Path('/proc/self/status').read_text()
print(verdict.code, int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) // 1024)
"""


def verify_in_a_process(model: Path, signature: Path, key: Path) -> tuple[str, int]:
    """Return the verdict's code and the peak resident set in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _VERIFY, model, signature, key],
        capture_output=True,
        text=True,
        check=True,
    )
    code, peak = done.stdout.split()
    return code, int(peak)


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path, Path]:
    model = make_model(tmp_path / "model")
    signature, key = sign(model, signature=tmp_path / "model.sig")
    return model, signature, write_public_key(tmp_path, key)


def test_an_ordinary_bundle_stays_far_below_the_bound(place: tuple[Path, Path, Path]) -> None:
    code, peak = verify_in_a_process(*place)
    assert code == "verified"
    assert peak < MAX_RSS_MIB / 2


def test_row_25_a_bundle_of_a_million_resources_is_refused_before_it_is_parsed(
    place: tuple[Path, Path, Path],
) -> None:
    row = b'{"algorithm":"sha256","digest":"' + b"0" * 64 + b'","name":"%07d/' + b"x" * 40 + b'"},'
    with place[1].open("wb") as file:
        file.write(b'{"mediaType":[')
        for _ in range(1000):
            file.write(row % 0 * 1000)
    assert place[1].stat().st_size > 140 * MIB
    code, peak = verify_in_a_process(*place)
    assert code == "too-large"
    assert peak < MAX_RSS_MIB


def test_row_26_a_payload_of_400_megabytes_is_refused_before_it_is_parsed(
    place: tuple[Path, Path, Path],
) -> None:
    with place[1].open("wb") as file:
        file.write(b'{"mediaType":"x","dsseEnvelope":{"payload":"')
        for _ in range(400):
            file.write(b"QUFB" * (MIB // 4))
    code, peak = verify_in_a_process(*place)
    assert code == "too-large"
    assert peak < MAX_RSS_MIB


@pytest.mark.parametrize("item", [b"[],", b"{},", b"0,", b'"",', b"[["])
def test_a_bundle_within_the_size_limit_that_would_swell_when_parsed_is_refused(
    place: tuple[Path, Path, Path], item: bytes
) -> None:
    count = 60 * MIB // len(item)
    place[1].write_bytes(b'{"mediaType":[' + item * count + b"0]}")
    code, peak = verify_in_a_process(*place)
    assert code == "too-large"
    assert peak < MAX_RSS_MIB


def test_a_set_of_too_many_bundles_is_refused(place: tuple[Path, Path, Path]) -> None:
    place[1].with_name("model.sigs.jsonl").write_bytes(b"{}\n" * (20 * MIB))
    code, peak = verify_in_a_process(*place)
    assert code == "too-large"
    assert peak < MAX_RSS_MIB


def test_one_resource_too_many_is_refused_even_from_a_trusted_signer(tmp_path: Path) -> None:
    model, private = make_model(tmp_path / "model"), generate("ec-p256")
    signature, key = sign(model, key=private)
    statement: Any = statement_of(signature)
    rows = [{"name": f"{n}", "algorithm": "sha256", "digest": "0" * 64} for n in range(250_001)]
    statement["predicate"]["resources"] = rows
    signature.write_bytes(resign_statement(json.dumps(statement).encode(), private))
    code, _ = verify_in_a_process(model, signature, write_public_key(tmp_path, key))
    assert code == "too-large"
