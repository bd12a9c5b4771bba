"""Fuzz the rules for claim signers, timestamp requests and claim signatures with atheris.

Run it with libFuzzer's options, for example `-max_total_time=60`. It makes its own seeds.
Anything but a value or a `countermark.Error` is a finding.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["countermark"]):
    import countermark
    from countermark.provenance.cert_lint import lint
    from countermark.provenance.claim_signature import cose_signature
    from countermark.provenance.timestamping import answer, load_authority

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import claim_signers
from support.credentials import make_credentials

MADE = make_credentials().made
AUTHORITY = load_authority(MADE.tsa_pem, MADE.tsa_key_pem)
ROOT = claim_signers.authority("Root")
MIDDLE = claim_signers.authority("Middle", ROOT)
LEAF = claim_signers.claim_signer(MIDDLE)
MESSAGE = b"a claim"
REQUEST = bytes.fromhex("30390201013031300d060960864801650304020105000420")


def fuzz_rules(data: bytes) -> None:
    """Hold certificates against every rule, with a root that some of them may lead to."""
    for check in lint(data, at=claim_signers.MOMENT, anchors=ROOT.pem):
        if not (check.sentence + check.hint).isprintable():
            raise RuntimeError("a sentence that a terminal could act on")


def fuzz_request(data: bytes) -> None:
    """Ask for a timestamp; there is always an answer."""
    if not answer(data, AUTHORITY, claim_signers.MOMENT, 1):
        raise RuntimeError("no answer")


def fuzz_signature(data: bytes) -> None:
    """Take bytes for a signature."""
    cose_signature(data, MESSAGE, LEAF.key.public_key(), "es256")


TARGETS = (fuzz_rules, fuzz_request, fuzz_signature)


def test_one_input(data: bytes) -> None:
    """Let the first byte choose the target, so that one corpus serves all of them."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except countermark.Error:
        return


def seeds(folder: Path) -> None:
    """Write a good sample for each target."""
    chain = claim_signers.pem(LEAF, MIDDLE)
    samples = (chain, REQUEST + bytes(32) + b"\x01\x01\xff", bytes(64))
    for number, sample in enumerate((*samples, LEAF.der)):
        (folder / str(number)).write_bytes(bytes([number % len(TARGETS)]) + sample)


def main() -> None:
    """Fuzz with seeds of our own."""
    with tempfile.TemporaryDirectory() as folder:
        seeds(Path(folder))
        atheris.Setup([*sys.argv, folder], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
