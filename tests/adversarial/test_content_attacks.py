"""Content made to exhaust, to hang, to reach out of its place, or to talk to the terminal."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from countermark.provenance.definition import ContentRequest
from countermark.provenance.errors import ContentNotFoundError, MalformedStoreError
from countermark.provenance.examine import ExamineOptions, examine, examine_file
from countermark.provenance.identity import LocalIdentity
from countermark.provenance.sign import sign_file
from countermark.provenance.store import read_store
from countermark.provenance.trust import dump_trust
from countermark.signing.verdict import Outcome
from support import pki
from support.credentials import make_credentials
from support.damage import CONTENT, base_store, our_trust, sidecar
from support.damage_media import chunks, png_chunk
from support.damage_signers import leaf, root, signed_by, trusting
from support.media import boxed, chunk, riff, signed, unsigned
from support.rebuilt import Node, Rebuilt, superbox_of
from support.stores import Made, box, data_hash, make_store, superbox

MIB = 1 << 20
# A store of the largest accepted size costs 64 MiB; the rest is Python and libraries.
MAX_RSS_MIB = 192
TIMEOUT_S = 120  # Only ever met by what hangs.

_JUDGE = r"""
import re, sys
from pathlib import Path
from countermark.provenance.errors import ProvenanceError
from countermark.provenance.examine import examine_file
try:
    verdict = examine_file(Path(sys.argv[1]))
    code, outcome = verdict.code, verdict.outcome.value
except ProvenanceError as e:
    code, outcome = e.code, 'refused'
# Not ru_maxrss, which starts with the peak of the process that started this one.
status = Path('/proc/self/status').read_text()
print(outcome, code, int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) // 1024)
"""


def judged_in_a_process(path: Path) -> tuple[str, str, int]:
    """Return the outcome, its code, and the peak resident set in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE, path],
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    outcome, code, peak = done.stdout.split()
    return outcome, code, int(peak)


def beside(store: bytes) -> dict[str, bytes]:
    return {"content.bin": CONTENT, "content.bin.c2pa": store}


# --- Manifest stores.


def nested(levels: int) -> bytes:
    inner = box(b"cbor", b"\x01")
    for _ in range(levels):
        inner = superbox(b"c2as", "x", inner)
    return superbox(b"c2pa", "c2pa", inner)


def many_boxes() -> bytes:
    return superbox(b"c2pa", "c2pa", box(b"free", b"") * 2_000_000)


def huge_box() -> bytes:
    return struct.pack(">I", 1) + b"jumb" + struct.pack(">Q", 1 << 62) + bytes(64)


def packed_bomb() -> bytes:
    brotli = importlib.import_module("brotli")
    packed = brotli.compress(bytes(512 * MIB), quality=5)
    return superbox(b"c2pa", "c2pa", superbox(b"c2cm", "urn:c2pa:bomb", box(b"brob", packed)))


def with_claim(content: bytes) -> bytes:
    one = Rebuilt(base_store())
    one.write_claim(content)
    return one.store(rehash=False, sign=False)


def with_assertion(content: bytes) -> bytes:
    one = Rebuilt(base_store())
    one.put("org.example.bomb", content)
    return one.store()


def many_assertions() -> bytes:
    """Return a store of so many assertions, all of them there, that c2pa would take a minute."""
    one = Rebuilt(base_store())
    labels = [f"org.example.x__{number}" for number in range(20_000)]
    for label in labels:
        one.assertions.children.append(superbox_of(b"cbor", label, Node(b"cbor", b"\x01")))
    one.refer(*(f"self#jumbf=c2pa.assertions/{label}" for label in labels))
    return one.store()


def many_manifests() -> bytes:
    made = [
        Made(label=f"urn:c2pa:{n}", assertions={"c2pa.hash.data": data_hash(CONTENT)})
        for n in range(10_000)
    ]
    return make_store(*made)


def arrays(levels: int) -> bytes:
    return b"\x81" * levels + b"\x01"


STORES: dict[str, Callable[[], bytes]] = {
    "boxes a thousand deep": partial(nested, 1000),
    "a hundred thousand empty boxes": lambda: box(b"jumb", b"") * 100_000,
    "two million boxes": many_boxes,
    "a box of exabytes": huge_box,
    "64 MiB and a byte": lambda: box(b"jumb", bytes(64 * MIB)),
    "a decompression bomb": packed_bomb,
    "CBOR a million deep": lambda: with_claim(arrays(1_000_000)),
    "CBOR a million deep, in an assertion": lambda: with_assertion(arrays(1_000_000)),
    "a CBOR string of exabytes": lambda: with_claim(b"\x7b" + b"\x7f" * 8),
    "a CBOR array of exabytes": lambda: with_claim(b"\x9b" + b"\x7f" * 8),
    "a CBOR array of ten million": lambda: with_claim(
        b"\x9a" + struct.pack(">I", 10**7) + b"\x01" * 10**7
    ),
    "CBOR without an end": lambda: with_claim(b"\x9f" * 100_000),
    "a claim of twenty thousand assertions": many_assertions,
    "ten thousand manifests": many_manifests,
}


@pytest.mark.parametrize("name", STORES)
def test_a_hostile_store_is_refused_in_bounded_memory(name: str, tmp_path: Path) -> None:
    for file, data in beside(STORES[name]()).items():
        (tmp_path / file).write_bytes(data)
    outcome, _, peak = judged_in_a_process(tmp_path / "content.bin")
    assert outcome in ("malformed", "tampered", "untrusted-signer", "inconclusive", "refused")
    assert peak < MAX_RSS_MIB


def test_the_references_of_all_claims_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countermark.provenance.store.MAX_REFERENCES", 4)
    two = [
        Made(label=f"urn:c2pa:{n}", assertions={f"org.example.{m}": 1 for m in range(2)})
        for n in range(3)
    ]
    assert len(read_store(make_store(*two[:2])).manifests) == 2
    with pytest.raises(MalformedStoreError, match="more than 4 references"):
        read_store(make_store(*two))


# --- Containers.


def app11(count: int) -> bytes:
    segments = b"".join(
        b"\xff\xeb"
        + struct.pack(">H", 2 + 2 + 2 + 4 + 8)
        + b"JP\x02\x11"
        + struct.pack(">I", number + 1)
        + b"\xff\xff\xff\xffjumb"
        for number in range(count)
    )
    plain = unsigned("jpeg")
    return plain[:2] + segments + plain[2:]


def zip_bomb(*, with_manifest: bool) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("zeros.bin", "w", force_zip64=True) as entry:
            for _ in range(1024):
                entry.write(bytes(MIB))
        if with_manifest:
            store = zipfile.ZipInfo("META-INF/content_credential.c2pa")
            file.writestr(store, base_store(), zipfile.ZIP_STORED)
    return out.getvalue()


def id3(length: int, data: bytes) -> bytes:
    size = bytes((length >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + size + data


def png_bomb() -> bytes:
    parts = [data for _, data in chunks(unsigned("png"))]
    packed = zlib.compress(bytes(256 * MIB))
    return b"".join([*parts[:2], png_chunk(b"zTXt", b"a\0\0" + packed), *parts[2:]])


def selectors(count: int) -> bytes:
    return "text\ufeff".encode() + "\ufe00".encode() * count


def deep_html() -> bytes:
    return b"<!DOCTYPE html><html><head>" + b"<meta a>" * 1_000_000 + b"</head></html>"


def scripts() -> bytes:
    element = b'<script type="application/c2pa">AAAA</script>'
    return b"<html><head>" + element * 100_000 + b"</head></html>"


def svg_entities() -> bytes:
    laughs = [b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12)]
    declared = b'<!ENTITY a0 "aaaaaaaaaa">' + b"".join(laughs)
    return b"<!DOCTYPE svg [" + declared + b"]><svg>&a11;</svg>"


FILES: dict[str, Callable[[], tuple[str, bytes]]] = {
    "50,000 APP11 segments": lambda: ("a.jpg", app11(50_000)),
    "a hundred thousand fill bytes": lambda: ("a.jpg", b"\xff\xd8" + b"\xff" * 100_000),
    "a ZIP bomb": lambda: ("a.zip", zip_bomb(with_manifest=False)),
    "a ZIP bomb with a manifest": lambda: ("a.zip", zip_bomb(with_manifest=True)),
    "an ID3 frame of 256 MiB": lambda: (
        "a.mp3",
        id3(0x0FFFFFFF, b"GEOB\x0f\x7f\x7f\x7f\0\0" + bytes(MIB)),
    ),
    "ID3 frames without end": lambda: ("a.mp3", id3(8 * MIB, b"TXXX\0\0\0\x01\0\0a" * 700_000)),
    "a PNG bomb": lambda: ("a.png", png_bomb()),
    "a million PNG chunks": lambda: (
        "a.png",
        unsigned("png")[:33] + png_chunk(b"tEXt", b"") * 1_000_000,
    ),
    "a RIFF of a million chunks": lambda: ("a.wav", riff(b"WAVE", chunk(b"junk", b"") * 1_000_000)),
    "a million BMFF boxes": lambda: (
        "a.mp4",
        boxed(b"ftyp", b"mp42\0\0\0\0") + boxed(b"free", b"") * 1_000_000,
    ),
    "BMFF boxes a thousand deep": lambda: (
        "a.mp4",
        boxed(b"ftyp", b"mp42\0\0\0\0") + b"\0\0\x20\0moov" * 1000,
    ),
    "a store of 64 MiB and a byte inside": lambda: (
        "a.wav",
        riff(b"WAVE", chunk(b"C2PA", bytes(64 * MIB + 1))),
    ),
    "64 MiB of selectors": lambda: ("a.txt", selectors(64 * MIB // 3)),
    "a hundred thousand marks": lambda: ("a.txt", selectors(9) * 100_000),
    "a million tags": lambda: ("a.html", deep_html()),
    "a hundred thousand manifests in HTML": lambda: ("a.html", scripts()),
    "open comments": lambda: ("a.html", b"<!--" * 500_000),
    "open tags": lambda: ("a.html", b"<html><head><script " + b"a='" * 500_000),
    "a billion laughs": lambda: ("a.svg", svg_entities()),
    "SVG a hundred thousand deep": lambda: ("a.svg", b"<svg>" + b"<g>" * 100_000),
    "a million blocks of code": lambda: (
        "a.py",
        b"# -----BEGIN C2PA MANIFEST----- x -----END C2PA MANIFEST-----\n" * 200_000,
    ),
    "blocks that do not end": lambda: ("a.py", b"# -----BEGIN C2PA MANIFEST----- " * 200_000),
    "spaces for a regular expression": lambda: ("a.py", b"# " + b" " * 4_000_000 + b"x"),
    "dashes for a regular expression": lambda: ("a.md", b"-" * 4_000_000 + b"\n"),
    "PDF objects without end": lambda: (
        "a.pdf",
        b"%PDF-1.7\n" + b"/C2PA_Manifest stream\n" * 200_000,
    ),
    "a header of exabytes": lambda: ("a.safetensors", b"\xff" * 7 + b"\x7f" + b"{" * 99),
    "a deep header": lambda: (
        "a.safetensors",
        struct.pack("<Q", 10**6) + b'{"a":' + b"[" * (10**6 - 5),
    ),
    "ONNX without end": lambda: ("a.onnx", b"\x72\xff\xff\xff\xff\x0f" + b"\x0a\x00" * 100_000),
    "a comment without end": lambda: (
        "a.gif",
        unsigned("gif")[:13] + b"\x21\xfe" + b"\x01a" * MIB,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_judged_in_bounded_memory(name: str, tmp_path: Path) -> None:
    file, data = FILES[name]()
    (tmp_path / file).write_bytes(data)
    outcome, code, peak = judged_in_a_process(tmp_path / file)
    assert outcome not in ("verified", "untrusted-signer"), code
    assert peak < MAX_RSS_MIB, (outcome, code)


def test_ordinary_content_stays_far_below_the_bound(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(signed("png")[0])
    outcome, _, peak = judged_in_a_process(tmp_path / "a.png")
    assert outcome == "untrusted-signer"
    assert peak < MAX_RSS_MIB / 2


# --- What is no file, or wants to be another.


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "a.png"
    os.mkfifo(fifo)
    with pytest.raises(ContentNotFoundError, match="not a regular file"):
        examine_file(fifo)
    with pytest.raises(ContentNotFoundError, match="not a regular file"):
        sign_file(fifo, tmp_path / "out.png", ContentRequest(), identity())


def test_a_device_is_refused_and_not_read() -> None:
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(ContentNotFoundError, match="not a regular file"):
            examine_file(Path(device))


def test_a_fifo_in_the_place_of_a_manifest_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "content.bin"
    path.write_bytes(CONTENT)
    os.mkfifo(tmp_path / "content.bin.c2pa")
    with pytest.raises(ContentNotFoundError, match="not a regular file"):
        examine_file(path)


def test_a_name_as_long_as_names_can_be_has_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".txt")
    path.write_bytes(b"words")
    assert examine_file(path).outcome is Outcome.NOTHING_TO_VERIFY


def identity() -> LocalIdentity:
    who = make_credentials()
    return LocalIdentity(chain=who.chain_pem, key=who.key_pem, algorithm="es256")


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "a/../../outside.txt", "C:\\x"])
def test_names_in_an_archive_lead_nowhere(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside.txt").write_bytes(b"outside")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, b"inside")
        store = zipfile.ZipInfo("META-INF/content_credential.c2pa")
        file.writestr(store, archive_store(name))
    before = sorted(tmp_path.rglob("*"))
    (inside / "a.zip").write_bytes(out.getvalue())
    verdict = examine_file(inside / "a.zip", ExamineOptions(trust=our_trust()))
    assert verdict.outcome is not Outcome.VERIFIED
    assert sorted(tmp_path.rglob("*")) == sorted([*before, inside / "a.zip"])


def archive_store(name: str) -> bytes:
    one = Rebuilt(base_store())
    one.remove("c2pa.hash.data")
    entry = {"uri": name, "hash": hashlib.sha256(b"outside").digest(), "size": 7}
    value = {"alg": "sha256", "uris": [entry], "zip_central_directory_hash": bytes(32)}
    one.put("c2pa.hash.collection.data", value)
    return one.store()


# --- The terminal.

ESCAPE = "\x1b[2K\x1b[1A\x1b[32mVERIFIED\x1b[0m\u202e\x9b31m"
_ACTS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
)
Cli = Callable[..., Any]


@pytest.fixture(params=["pipe", "terminal"])
def run(request: pytest.FixtureRequest) -> Cli:
    chosen: Cli = request.getfixturevalue("cli" if request.param == "pipe" else "terminal")
    return chosen


def talking_store() -> bytes:
    """Return a store whose every name talks to the terminal; signed, but for its hash."""
    one = Rebuilt(base_store())
    one.claim["dc:title"] = ESCAPE
    one.claim["claim_generator_info"] = {"name": ESCAPE, "version": ESCAPE}
    actions = one.value("c2pa.actions.v2")
    actions["actions"][0]["digitalSourceType"] = f"http://x/{ESCAPE}"
    one.put("c2pa.actions.v2", actions)
    one.put("c2pa.ai-disclosure", {"modelType": ESCAPE, "modelName": ESCAPE})
    one.put("c2pa.ingredient.v3", {"dc:title": ESCAPE, "relationship": "componentOf"})
    one.put("org.example.talks", {ESCAPE: ESCAPE})
    return one.store()


def expect_silence(run: Cli, *arguments: str | Path) -> None:
    for style in ((), ("--json",)):
        ran = run("content", "verify", *arguments, *style)
        shown = (ran.out + ran.err).decode()
        assert shown
        acts = _ACTS.search(shown)
        assert acts is None, f"{acts} in {shown!r}"


def test_nothing_in_a_manifest_reaches_the_terminal_raw(run: Cli, tmp_path: Path) -> None:
    path = tmp_path / f"{ESCAPE[:20]}.bin".replace("/", "")
    path.write_bytes(CONTENT)
    beside = Path(f"{path}.c2pa")
    (tmp_path / "trust.json").write_bytes(dump_trust(our_trust()))
    beside.write_bytes(talking_store())
    expect_silence(run, path, "--trust", tmp_path / "trust.json")
    path.write_bytes(b"another")
    expect_silence(run, path)
    one = Rebuilt(base_store())
    one.manifest.label = ESCAPE
    beside.write_bytes(one.store())
    expect_silence(run, path)
    one = Rebuilt(base_store())
    one.put(f"org.example.{ESCAPE}", {"a": 1})
    beside.write_bytes(one.store())
    expect_silence(run, path)
    beside.write_bytes(superbox(b"c2pa", ESCAPE))
    expect_silence(run, path)


def test_nothing_in_a_certificate_reaches_the_terminal_raw(run: Cli, tmp_path: Path) -> None:
    talking = pki.authority(
        f"CA {ESCAPE}",
        not_before=root().certificate.not_valid_before_utc,
        not_after=root().certificate.not_valid_after_utc,
    )
    subject = signed_by(leaf(talking, name=ESCAPE), trust=trusting(talking))
    path = tmp_path / "content.bin"
    path.write_bytes(subject.data)
    (tmp_path / "content.bin.c2pa").write_bytes(subject.manifest or b"")
    assert subject.trust is not None
    (tmp_path / "trust.json").write_bytes(dump_trust(subject.trust))
    (tmp_path / "ours.json").write_bytes(dump_trust(our_trust()))
    expect_silence(run, path, "--trust", tmp_path / "trust.json")
    expect_silence(run, path, "--trust", tmp_path / "ours.json")


def test_an_address_of_a_manifest_reaches_no_terminal_raw(run: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(f'<html><head><link rel="c2pa-manifest" href="https://x/{ESCAPE}"></head>')
    expect_silence(run, path)


def test_a_talking_manifest_was_judged_and_not_just_refused() -> None:
    # Else the tests above would show nothing.
    subject = sidecar(talking_store())
    options = ExamineOptions(trust=our_trust(), manifest=subject.manifest)
    verdict = examine(io.BytesIO(subject.data), subject.name, options)
    assert verdict.ingredients
    assert verdict.signer is not None
