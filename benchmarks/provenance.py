"""Content credentials beside the bare SDK: sidecars, small and large files, pre-filter, scan.

    python benchmarks/provenance.py                          the table; about five minutes
    python benchmarks/provenance.py --sidecar-mib 64 --files 500 --repeats 3      a quick look

CPU seconds of this process (of the scan: of its workers too), medians of repeats that take turns,
and ratios within one run. "SDK" is c2pa-python used as its documentation does, thumbnails off, with
the same certificate, key and trust.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import c2pa

from countermark.provenance.definition import ContentRequest, plan_manifest
from countermark.provenance.dev_ca import DevRequest, make_dev_credentials
from countermark.provenance.examine import ExamineOptions, verify_file
from countermark.provenance.identity import LocalIdentity, load_identity
from countermark.provenance.prefilter import may_carry
from countermark.provenance.scan import PoolOptions, ScanOptions, items_of_folder, scan
from countermark.provenance.sign import SignOptions, sign_file
from countermark.provenance.trust import TrustBundle, TrustList, engine_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.media import image

MIB = 1 << 20
REQUEST = ContentRequest(source_type="digitalCreation", software=("benchmark", "1"))
AGAIN = SignOptions(replace=True)


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit: `ours` costs at most `limit` times what `peer` does."""

    ours: str
    peer: str
    limit: float | None


BARS = (
    Bar("sidecar: sign", "sidecar: hash alone", 1.05),
    Bar("sidecar: sign, SDK", "sidecar: hash alone", None),
    Bar("sidecar: verify", "sidecar: hash alone", None),
    Bar("4 kB PNG: sign", "4 kB PNG: sign, SDK", 1.1),
    Bar("4 kB PNG: verify", "4 kB PNG: verify, SDK", 1.1),
    Bar("3.6 MB JPEG: sign", "3.6 MB JPEG: sign, SDK", 1.1),
    Bar("3.6 MB JPEG: verify", "3.6 MB JPEG: verify, SDK", 1.1),
    Bar("scan", "scan, loop over SDK", None),
)
PREFILTER_PER_S = 100_000


@dataclass(slots=True)
class Kit:
    """Who signs, who is trusted, and the same for the bare SDK."""

    identity: LocalIdentity
    trust: TrustBundle
    context: c2pa.Context
    signer: c2pa.Signer
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def take(self, name: str, work: Callable[[], object], *, times: int = 1) -> None:
        """Measure `work`, repeated `times`; keep CPU seconds of one."""
        started = _cpu_s()
        for _ in range(times):
            work()
        self.seconds.setdefault(name, []).append((_cpu_s() - started) / times)

    @property
    def medians(self) -> dict[str, float]:
        """Median CPU seconds by name."""
        return {name: statistics.median(values) for name, values in self.seconds.items()}


def make_kit() -> Kit:
    """Make certificates for this run."""
    now = datetime.now(UTC)
    made = make_dev_credentials(now, os.urandom, DevRequest(validity=timedelta(days=30)))
    lists = (TrustList("benchmark", "manifest", (made.ca,)),)
    trust = TrustBundle(name="benchmark", dated=now.date(), lists=lists, sha256="0" * 64)
    settings = {
        **engine_settings(trust),
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"remote_manifest_fetch": False},
    }
    info = c2pa.C2paSignerInfo(b"es256", made.signer_pem, made.signer_key_pem, None)
    return Kit(
        load_identity(made.signer_pem, made.signer_key_pem, at=now),
        trust,
        c2pa.Context(c2pa.Settings.from_dict(settings)),
        c2pa.Signer.from_info(info),
    )


def sign_with_sdk(kit: Kit, media_type: str, path: Path, out: Path, *, embed: bool = True) -> None:
    """Sign as c2pa-python's documentation does, with the manifest that ours has."""
    builder = c2pa.Builder(plan_manifest(REQUEST).definition, kit.context)
    if not embed:
        builder.set_no_embed()
    with path.open("rb") as source, out.open("w+b") as sink:
        builder.sign(kit.signer, media_type, source, sink)


def read_with_sdk(kit: Kit, path: Path) -> str:
    """Return the SDK's report of a file; empty if it carries nothing."""
    reader = c2pa.Reader.try_create(path, context=kit.context)
    if reader is None:
        return ""
    with reader:
        return str(reader.json())


def measure_sidecar(kit: Kit, folder: Path, mib: int, repeats: int) -> None:
    """Sign and verify beside a large file."""
    path, out = folder / "large.bin", folder / "sdk.bin"
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(block)
    sidecar = path.with_name(path.name + ".c2pa")
    beside = SignOptions(sidecar=True, replace=True)
    asked = ExamineOptions(trust=kit.trust)
    kind = "application/octet-stream"

    def hash_alone() -> None:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    for _ in range(repeats):
        kit.take("sidecar: hash alone", hash_alone)
        kit.take("sidecar: sign", lambda: sign_file(path, sidecar, REQUEST, kit.identity, beside))
        kit.take("sidecar: verify", lambda: verify_file(path, asked))
    # It is slow, and one look tells.
    kit.take("sidecar: sign, SDK", lambda: sign_with_sdk(kit, kind, path, out, embed=False))


def measure_file(kit: Kit, name: str, media_type: str, path: Path, repeats: int) -> None:
    """Sign and verify one file, ours and the SDK in turns."""
    ours = path.with_name(f"ours-{path.name}")
    theirs = path.with_name(f"theirs-{path.name}")
    asked = ExamineOptions(trust=kit.trust)
    for _ in range(repeats):
        kit.take(f"{name}: sign", lambda: sign_file(path, ours, REQUEST, kit.identity, AGAIN))
        kit.take(f"{name}: sign, SDK", lambda: sign_with_sdk(kit, media_type, path, theirs))
        kit.take(f"{name}: verify", lambda: verify_file(ours, asked), times=4)
        kit.take(f"{name}: verify, SDK", lambda: read_with_sdk(kit, theirs), times=4)


def measure_prefilter(kit: Kit, repeats: int) -> None:
    """Look at an unsigned JPEG of about 100 kB."""
    data = image("JPEG", side=420, quality=95)
    for _ in range(repeats):
        kit.take("prefilter", lambda: may_carry(data, "image/jpeg"), times=20_000)


def measure_scan(kit: Kit, folder: Path, files: int) -> None:
    """Scan mixed files, one in ten of them signed."""
    many = folder / "many"
    many.mkdir()
    plain = {
        "jpg": image("JPEG", side=200, quality=90),
        "png": image("PNG", side=64),
        "txt": b"Some words of a text that nobody signed.\n" * 40,
        "bin": os.urandom(20_000),
    }
    signed = {}
    for suffix in ("jpg", "png"):
        source = folder / f"one.{suffix}"
        source.write_bytes(plain[suffix])
        out = folder / f"signed.{suffix}"
        sign_file(source, out, REQUEST, kit.identity)
        signed[suffix] = out.read_bytes()
    kinds = list(plain)
    for number in range(files):
        suffix = kinds[number % 4]
        carries = number % 10 == 0 and suffix in signed
        data = signed[suffix] if carries else plain[suffix]
        (many / f"{number}.{suffix}").write_bytes(data)

    def loop() -> None:
        for path in many.iterdir():
            if path.suffix in (".jpg", ".png"):
                read_with_sdk(kit, path)

    def ours() -> None:
        scan(
            items_of_folder(many),
            folder / "verdicts.jsonl",
            options=ScanOptions(trust=kit.trust),
            pool=PoolOptions(jobs=2),
        )

    kit.take("scan, loop over SDK", loop)
    started = time.perf_counter()
    kit.take("scan", ours)
    print(f"scan of {files} files with 2 workers: {time.perf_counter() - started:.1f} s of wall")


def verdict(bar: Bar, medians: Mapping[str, float]) -> tuple[float | None, str]:
    """Return the ratio and whether the bar is met; None where something was not measured."""
    if bar.ours not in medians or bar.peer not in medians:
        return None, "not measured"
    ratio = medians[bar.ours] / medians[bar.peer]
    if bar.limit is None:
        return ratio, ""
    return ratio, "met" if ratio <= bar.limit else "missed"


def show(medians: Mapping[str, float]) -> None:
    """Print every figure, and every bar."""
    for name, seconds in medians.items():
        print(f"{name:28} {seconds * 1000:12.3f} ms")
    for bar in BARS:
        ratio, word = verdict(bar, medians)
        limit = "" if bar.limit is None else f"<= {bar.limit}"
        shown = "" if ratio is None else f"{ratio:.2f}"
        print(f"{bar.ours:28} {shown:>8} of {bar.peer:28} {limit:8} {word}")
    if "prefilter" in medians:
        rate = 1 / medians["prefilter"]
        word = "met" if rate >= PREFILTER_PER_S else "missed"
        print(f"{'prefilter':28} {rate:12,.0f} files/s >= {PREFILTER_PER_S:,} {word}")


def main() -> int:
    """Run what was asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sidecar-mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10_000, help="of the scan")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    kit = make_kit()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_prefilter(kit, asked.repeats)
        small, large = folder / "small.png", folder / "large.jpg"
        small.write_bytes(image("PNG", side=36))
        large.write_bytes(image("JPEG", side=2200, quality=92))
        measure_file(kit, "4 kB PNG", "image/png", small, asked.repeats)
        measure_file(kit, "3.6 MB JPEG", "image/jpeg", large, asked.repeats)
        measure_scan(kit, folder, asked.files)
        measure_sidecar(kit, folder, asked.sidecar_mib, max(1, asked.repeats // 3))
        sizes = {path.name: path.stat().st_size for path in (small, large)}
    print(json.dumps(sizes))
    show(kit.medians)
    if asked.json is not None:
        asked.json.write_text(json.dumps({"cpu_s": kit.seconds, "sizes": sizes}, indent=2))
    return 0


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    sys.exit(main())
