"""Compare signing and verifying with the peers; run `python benchmarks/signing.py --help`.

Owns what is compared with what, and the bars. `README.md` says how to read the table.
"""

import argparse
import json
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import checkpoints
from compare import Bar, Job, Report, Row, all_bars_met, run_row
from signing_tools import Lab, Tools, digest_jobs, make_keys, reader_jobs
from table import render, to_json

SMALL_FILES = 20_000
TINY_REPEAT = 5
RSS_SHRINK = 16  # 4 GiB against 256 MiB.

SHA256_TO_MODEL_SIGNING = 0.8
SHA256_TO_OPENSSL = 1.0
BLAKE3_TO_B3SUM = 1.1
CACHED_TO_MODEL_SIGNING = 0.02
SMALL_FILES_TO_MODEL_SIGNING = 0.1
VERSION_CPU_S = 0.10
VERIFY_TINY_CPU_S = 0.20
RSS_GROWTH = 1.1

PEER_SIGN, PEER_VERIFY = "model-signing: sign", "model-signing: verify"


def hashing_row(lab: Lab, key: str, title: str, model: Path) -> Row:
    """Compare everything that reads all bytes of a large model."""
    signature = partial(lab.signature, key)
    peer, tree, blake3 = signature("peer"), signature("trees"), signature("blake3")
    jobs = (
        *reader_jobs(model),
        *digest_jobs(lab.tools, model),
        lab.peer_sign(PEER_SIGN, model, peer),
        lab.sign("sign sha256", model, tree),
        lab.sign("sign sha256, no trees", model, signature("plain"), "--no-trees"),
        lab.sign("sign blake3", model, blake3, "--digest", "blake3"),
        lab.sign(
            "sign blake3, no trees", model, signature("b3"), "--digest", "blake3", "--no-trees"
        ),
        lab.peer_verify(PEER_VERIFY, model, peer),
        lab.verify("verify model-signing's", model, peer),
        lab.verify("verify our own", model, tree),
        lab.verify("verify blake3", model, blake3),
    )
    sha256 = {
        "sign sha256": PEER_SIGN,
        "sign sha256, no trees": PEER_SIGN,
        "verify model-signing's": PEER_VERIFY,
        "verify our own": PEER_VERIFY,
    }
    bars: list[Bar] = []
    for subject, rival in sha256.items():
        bars.append(Bar(subject=subject, peer=rival, limit=SHA256_TO_MODEL_SIGNING))
        bars.append(Bar(subject=subject, peer="openssl dgst -sha256", limit=SHA256_TO_OPENSSL))
    bars.extend(
        Bar(subject=subject, peer="b3sum --no-mmap", limit=BLAKE3_TO_B3SUM)
        for subject in ("sign blake3", "sign blake3, no trees", "verify blake3")
    )
    return Row(key=key, title=title, jobs=jobs, bars=tuple(bars))


def shards_row(lab: Lab) -> Row:
    """Sign and verify three large shards."""
    title = f"{lab.size_gib:g} GiB in 3 safetensors shards, and JSON files"
    return hashing_row(lab, "shards", title, lab.sharded())


def file_row(lab: Lab) -> Row:
    """Sign and verify one large file."""
    model = lab.single(lab.size_bytes)
    return hashing_row(lab, "file", f"one file of {lab.size_gib:g} GiB", model)


def small_row(lab: Lab) -> Row:
    """Sign and verify many small files."""
    model, ours, peer = lab.many(), lab.signature("small", "ours"), lab.signature("small", "peer")
    limit = SMALL_FILES_TO_MODEL_SIGNING
    return Row(
        key="small",
        title=f"{lab.small_files:,} files of 16 to 1,024 bytes",
        jobs=(
            *reader_jobs(model),
            *digest_jobs(lab.tools, model),
            lab.peer_sign(PEER_SIGN, model, peer),
            lab.sign("sign sha256", model, ours),
            lab.peer_verify(PEER_VERIFY, model, peer),
            lab.verify("verify our own", model, ours),
        ),
        bars=(
            Bar(subject="sign sha256", peer=PEER_SIGN, limit=limit),
            Bar(subject="verify our own", peer=PEER_VERIFY, limit=limit),
        ),
    )


def tiny_row(lab: Lab) -> Row:
    """Start the programs, and verify a model of a few dozen KiB."""
    model, ours, peer = lab.tiny(), lab.signature("tiny", "ours"), lab.signature("tiny", "peer")
    python = lab.tools.python
    return Row(
        key="tiny",
        title="start-up, and a model of 37 KiB",
        setup=(
            lab.sign("sign", model, ours),
            lab.peer_sign("peer: sign", model, peer),
        ),
        jobs=(
            Job(name="python -c pass", argv=(*python, "-c", "pass")),
            Job(name="python -c 'import click'", argv=(*python, "-c", "import click")),
            lab.peer("model-signing: --version", "--version"),
            lab.ours("--version", "--version"),
            lab.peer_verify(PEER_VERIFY, model, peer),
            lab.verify("verify with a key", model, ours),
        ),
        bars=(
            Bar(subject="--version", peer=None, limit=VERSION_CPU_S),
            Bar(subject="--version", peer="python -c pass", limit=None),
            Bar(subject="verify with a key", peer=None, limit=VERIFY_TINY_CPU_S),
            Bar(subject="verify with a key", peer=PEER_VERIFY, limit=None),
        ),
        repeat=TINY_REPEAT,
    )


def cache_row(lab: Lab) -> Row:
    """Verify again what was verified before, with the digest cache."""
    model, ours, peer = (
        lab.sharded(),
        lab.signature("cache", "ours"),
        lab.signature("cache", "peer"),
    )
    cache = str(lab.work / "verify.cache")
    cached = lab.verify("verify, cached", model, ours, "--cache", cache)
    return Row(
        key="cache",
        title=f"{lab.size_gib:g} GiB in 3 shards, verified before",
        setup=(
            lab.peer_sign("peer: sign", model, peer),
            lab.sign("sign", model, ours),
            cached,
        ),
        jobs=(lab.peer_verify(PEER_VERIFY, model, peer), cached),
        bars=(Bar(subject=cached.name, peer=PEER_VERIFY, limit=CACHED_TO_MODEL_SIGNING),),
    )


def resign_row(lab: Lab) -> Row:
    """Sign again after README.md has changed."""
    model = lab.sharded()
    before, after = lab.signature("resign", "before"), lab.signature("resign", "after")
    cache = ("--cache", str(lab.work / "sign.cache"))
    reuse = ("--previous", str(before), "--public-key", str(lab.public_key), *cache)
    edit = partial(_append_line, model / "README.md")
    resign = lab.sign("sign, from previous", model, after, *reuse, also_before=edit)
    return Row(
        key="resign",
        title=f"{lab.size_gib:g} GiB in 3 shards, signed before; only README.md edited",
        setup=(lab.sign("sign", model, before, *cache),),
        jobs=(lab.peer_sign(PEER_SIGN, model, lab.signature("resign", "peer")), resign),
        bars=(Bar(subject=resign.name, peer=PEER_SIGN, limit=None),),
    )


def rss_row(lab: Lab) -> Row:
    """Compare peak memory on one file and on a file a sixteenth of its size."""
    jobs: list[Job] = []
    bars: list[Bar] = []
    variants = {"sha256": (), "blake3": ("--digest", "blake3")}
    for digest, options in variants.items():
        for size, label in ((lab.size_bytes // RSS_SHRINK, "1/16"), (lab.size_bytes, "1/1")):
            model, signature = lab.single(size), lab.signature("rss", f"{digest}-{size}")
            jobs.append(lab.sign(f"sign {digest} {label}", model, signature, *options))
            jobs.append(lab.verify(f"verify {digest} {label}", model, signature))
        for verb in ("sign", "verify"):
            name = f"{verb} {digest}"
            bar = Bar(subject=f"{name} 1/1", peer=f"{name} 1/16", limit=RSS_GROWTH, metric="rss")
            bars.append(bar)
    title = f"peak memory: one file of {lab.size_gib:g} GiB (1/1) and of a sixteenth of that"
    return Row(key="rss", title=title, jobs=tuple(jobs), bars=tuple(bars))


ROWS: dict[str, Callable[[Lab], Row]] = {
    "shards": shards_row,
    "file": file_row,
    "small": small_row,
    "tiny": tiny_row,
    "cache": cache_row,
    "resign": resign_row,
    "rss": rss_row,
}


def main() -> int:
    """Run the chosen rows; return 0 if every bar was measured and met, 2 on bad use, else 1."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that the data is removed.
    tools = Tools.find(
        countermark=shlex.split(options.countermark),
        model_signing=shlex.split(options.model_signing),
    )
    needed = int(2.1 * options.size_gib * checkpoints.GIB)
    free = shutil.disk_usage(options.work or tempfile.gettempdir()).free
    if tools.openssl is None or free < needed:
        why = f"{free} bytes free, {needed} needed" if tools.openssl else "openssl is not on PATH"
        print(f"signing benchmark: {why}", file=sys.stderr)
        return 2
    about = _about(tools)  # Runs each program once: compiles Python files, warms the cache.
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.work) as work:
            reports = _run(options, tools, Path(work))
    except KeyboardInterrupt:
        return 130
    print(render(reports))
    if options.json:
        options.json.write_text(json.dumps(to_json(reports, about), indent=1) + "\n")
    return 0 if all_bars_met(reports) else 1


def _run(options: argparse.Namespace, tools: Tools, work: Path) -> list[Report]:
    private_key, public_key = make_keys(work)
    lab = Lab(
        tools=tools,
        work=work,
        private_key=private_key,
        public_key=public_key,
        size_gib=options.size_gib,
        small_files=options.small_files,
        progress=_progress,
    )
    keys = options.only or list(ROWS)
    return [run_row(ROWS[key](lab), options.rounds, _progress) for key in keys]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="runs of each contender (default 3)")
    add("--size-gib", type=float, default=4.0, help="size of the large models (default 4)")
    add("--small-files", type=int, default=SMALL_FILES, help="files of the small row")
    add("--only", action="append", choices=list(ROWS), help="run this row; may be repeated")
    add("--work", type=Path, help="make the data in a new folder below this one")
    add("--json", type=Path, help="also write every sample to this file")
    add("--countermark", default="countermark", help="our command, options allowed")
    add("--model-signing", default="model_signing", help="the peer's command, options allowed")
    return parser


def _about(tools: Tools) -> dict[str, str]:
    return {"python": platform.python_version(), "machine": platform.machine()} | tools.versions()


def _append_line(path: Path) -> None:
    with path.open("a") as file:
        file.write("One more line.\n")


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as e:
        sys.exit(f"signing benchmark: {e}")
