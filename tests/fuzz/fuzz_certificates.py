"""Fuzz certificate loading, chain checks, timestamps and identity patterns with atheris.

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
    from countermark.signing.certificates import examine_chain, load_pem_certificates
    from countermark.signing.identities import parse_identity
    from countermark.signing.timestamps import trusted_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import pki

ROOT = pki.authority("Root")
MIDDLE = pki.authority("Middle", ROOT)
LEAF = pki.signer(MIDDLE, pki.email("a@b.org"), pki.uri("spiffe://b.org/ci"), pki.dns("b.org"))
ROOTS = [ROOT.certificate]
KINDS = ("email", "uri", "dns")


def fuzz_certificates(data: bytes) -> None:
    """Load certificates; let the first of them be a signer below the others."""
    first, *others = load_pem_certificates(data)
    examine_chain(
        first,
        [*others, MIDDLE.certificate],
        [ROOT.certificate],
        identities=["email:a@b.org"],
        at=pki.MOMENT,
        time_source="the fuzzer",
    )


def fuzz_timestamp(data: bytes) -> None:
    """Read one token; random bytes must never become a trusted time."""
    _, time = trusted_time([data], b"signature", ROOTS)
    if time is not None:
        raise RuntimeError("a time that nobody vouched for")


def fuzz_identity(data: bytes) -> None:
    """Match two halves; without a wildcard, only names of one length may agree."""
    text, _, name = data.decode("latin-1").partition("\n")
    pattern = parse_identity(text)
    if "*" in text:
        return
    for kind in KINDS:
        if pattern.matches(f"{kind}:{name}") and name.lower() not in text.lower():
            raise RuntimeError("another name matched")


TARGETS = (fuzz_certificates, fuzz_timestamp, fuzz_identity)


def test_one_input(data: bytes) -> None:
    """Let the first byte choose the target."""
    target = TARGETS[data[0] % len(TARGETS)] if data else fuzz_certificates
    try:
        target(data[1:])
    except countermark.Error:
        return


def main() -> None:
    """Run until libFuzzer stops."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = [b"\0" + LEAF.der, b"\0" + LEAF.pem + MIDDLE.pem, b"\0" + ROOT.der]
        seeds += [b"\x01" + LEAF.der, b"\x02dns:b.org\nb.org", b"\x02uri:x://a/\nx://a."]
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        # libFuzzer leaves with exit(), so the folder's contents go when the process does.
        atheris.Setup([*sys.argv, folder], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
