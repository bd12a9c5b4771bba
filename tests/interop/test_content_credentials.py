"""Every format that we sign, read by engines that others wrote; and what others sign, by us.

c2pa's Reader is the reference where it can read a format; encypher-c2pa was written apart from it,
and so was c2patxt. Each is asked with our CA alone, without network and telemetry. Where they do
not agree, the tests say who says what.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import c2pa
import pytest

from countermark.provenance.cross_check import SecondOpinion, ask_second_engine
from countermark.provenance.definition import ContentRequest
from countermark.provenance.examine import ExamineOptions, examine, examine_file
from countermark.provenance.identity import LocalIdentity
from countermark.provenance.sign import SignOptions, sign_file
from countermark.provenance.verdict import Axis, ContentVerdict
from countermark.signing.verdict import Outcome, Status
from support import damage_signers as signers
from support import pki
from support.credentials import make_credentials
from support.damage import Subject, our_trust
from support.damage_media import boxes_hashed, png_chunk
from support.media import MEDIA, unsigned
from support.models import TENSORS, write_safetensors
from support.peer import tool

pytestmark = pytest.mark.interop

GOOD = ("Trusted", "match", "valid")
TEXTS = {
    "note.txt": b"A line of text, na\xc3\xafve and caf\xc3\xa9.\nAnother line.\n",
    "script.py": b'#!/usr/bin/env python3\nprint("hello")\n',
    "read.md": b"# Title\n\nSome words.\n",
    "page.html": b"<!DOCTYPE html><html><head><title>t</title></head><body>b</body></html>",
}
MODELS = ("model.safetensors", "model.onnx")
# What of the content is changed, and into what: as long, and nowhere in a manifest.
WORDS = {
    "model.onnx": (b"tests", b"stets"),
    "note.txt": (b"Another", b"Another"[::-1]),
    "script.py": (b"hello", b"jello"),
    "read.md": (b"words", b"sword"),
    "page.html": (b">b<", b">c<"),
}
BMFF = ("avif", "heic", "mp4", "mov", "m4a")
ZIPS = ("zip", "docx")


class Made(NamedTuple):
    """A signed file.

    Attributes:
        path: Where it lies.
        media_type: What it is.
        store: Its manifest store.

    """

    path: Path
    media_type: str
    store: bytes


def identity() -> LocalIdentity:
    who = make_credentials()
    return LocalIdentity(chain=who.chain_pem, key=who.key_pem, algorithm="es256")


def content(folder: Path, name: str) -> Path:
    path = folder / (name if "." in name else f"content.{name}")
    if name == "model.safetensors":
        write_safetensors(path, TENSORS)
    elif name == "model.onnx":
        path.write_bytes(onnx_model())
    else:
        others = {**TEXTS, "data.bin": bytes(range(256)) * 40}
        path.write_bytes(others.get(name) or unsigned(name))
    return path


def onnx_model() -> bytes:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    ends = [onnx.helper.make_tensor_value_info(name, 1, [3]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    return bytes(onnx.helper.make_model(graph, producer_name="tests").SerializeToString())


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Return a function that signs a file of a kind; each kind once."""
    folder = tmp_path_factory.mktemp("signed")
    made: dict[str, Made] = {}

    def sign(name: str) -> Made:
        if name not in made:
            source = content(folder, name)
            output = folder / f"signed-{source.name}"
            request = ContentRequest(source_type="digitalCreation")
            done = sign_file(source, output, request, identity())
            made[name] = Made(output, done.media_type, store_of(output))
        return made[name]

    return sign


def store_of(path: Path) -> bytes:
    from countermark.provenance.extract import find_store
    from countermark.provenance.formats import HEAD_BYTES, carriers_of, detect_format

    data = path.read_bytes()
    format_ = detect_format(path.name, data[:HEAD_BYTES])
    for carrier in carriers_of(format_, path.name):
        place = carrier.find(io.BytesIO(data))
        assert place is not None
        return place.store
    return find_store(io.BytesIO(data), format_.media_type) or b""


def ours(data: bytes, name: str) -> ContentVerdict:
    return examine(io.BytesIO(data), name, ExamineOptions(trust=our_trust(), forensics=False))


def encypher(data: bytes, media_type: str) -> tuple[str, str, str]:
    """Return what encypher-c2pa says of the whole, the hash and the signature."""
    peer = pytest.importorskip("encypher_c2pa", reason="encypher-c2pa is not installed")
    try:
        report = peer.verify(
            data,
            media_type,
            trust_pem=make_credentials().ca_pem.decode(),
            no_default_trust=True,
            telemetry=False,
            online=False,
        )
    except ValueError as e:
        return ("refused", str(e), "")
    return report["validation_state"], report["hard_binding"], report["signature"]


def reader(data: bytes, media_type: str, store: bytes | None = None) -> tuple[str, set[str]]:
    """Return the state that c2pa's Reader finds, and what it calls a success."""
    context = c2pa.Context(c2pa.Settings.from_dict(make_credentials().settings))
    media_type = {"application/zip": "application/x-zip"}.get(media_type, media_type)
    try:
        with c2pa.Reader(
            media_type, io.BytesIO(data), manifest_data=store, context=context
        ) as read:
            results = read.get_validation_results()["activeManifest"]["success"]
            return str(read.get_validation_state()), {row["code"] for row in results}
    except c2pa.C2paError as e:
        return f"refused: {e}", set()


def flipped(name: str, made: Made) -> bytes:
    data = bytearray(made.path.read_bytes())
    if name in WORDS:
        return bytes(data).replace(*WORDS[name], 1)
    start = data.find(made.store)
    at = len(data) - 2
    if start >= 0 and start + len(made.store) > at - 8:  # The manifest is at the end.
        at = start - 40
    data[at] ^= 1
    return bytes(data)


def moved(name: str, made: Made, folder: Path) -> bytes:
    """Return another file, signed like this one, with this one's manifest in place of its own."""
    if name in WORDS:
        return made.path.read_bytes().replace(*WORDS[name], 1)
    other = folder / made.path.name.removeprefix("signed-")
    data = bytearray(unsigned(name))
    data[-24] ^= 1
    # Where a byte is not just a byte.
    written = {"svg": (b"9", b"8"), "pdf": (b"[0 0 9 9]", b"[0 0 8 8]")}.get(name)
    other.write_bytes(unsigned(name).replace(*written) if written else bytes(data))
    sign_file(other, folder / "o", ContentRequest(source_type="digitalCreation"), identity())
    data, store = bytearray((folder / "o").read_bytes()), store_of(folder / "o")
    forms: list[Callable[[bytes], bytes]] = [bytes, base64.b64encode, in_sub_blocks]
    form = next(form for form in forms if form(store) in data)
    assert len(form(store)) == len(form(made.store))
    start = data.index(form(store))
    data[start : start + len(form(store))] = form(made.store)
    if name == "png":
        return (
            bytes(data[: start - 8])
            + png_chunk(b"caBX", made.store)
            + bytes(data[start + len(store) + 4 :])
        )
    return bytes(data)


def in_sub_blocks(data: bytes) -> bytes:
    """Return data as GIF keeps it."""
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes([len(block)]) + block for block in blocks)


# --- What we signed.


@pytest.mark.parametrize("name", [*MEDIA, *TEXTS])
def test_encypher_trusts_what_we_signed(name: str, signed: Callable[[str], Made]) -> None:
    made = signed(name)
    assert ours(made.path.read_bytes(), made.path.name).outcome is Outcome.VERIFIED
    said = encypher(made.path.read_bytes(), made.media_type)
    if name in ZIPS:
        # It counts other files of an archive than c2pa-rs does, which wrote this.
        assert said == ("Invalid", "mismatch", "valid")
    else:
        assert said == GOOD


@pytest.mark.parametrize("name", MEDIA)
def test_c2pa_trusts_what_we_signed_with_it(name: str, signed: Callable[[str], Made]) -> None:
    made = signed(name)
    assert reader(made.path.read_bytes(), made.media_type)[0] == "Trusted"


@pytest.mark.parametrize("name", [*MEDIA, *TEXTS])
def test_a_flipped_byte_is_refused_by_all(name: str, signed: Callable[[str], Made]) -> None:
    made = signed(name)
    data = flipped(name, made)
    assert ours(data, made.path.name).outcome in (Outcome.TAMPERED, Outcome.MALFORMED)
    assert encypher(data, made.media_type)[0] in ("Invalid", "refused")
    if name in MEDIA:
        assert reader(data, made.media_type)[0] != "Trusted"


@pytest.mark.parametrize("name", [*MEDIA, *TEXTS])
def test_an_appended_byte_is_refused(name: str, signed: Callable[[str], Made]) -> None:
    made = signed(name)
    data = made.path.read_bytes() + b"x"
    assert ours(data, made.path.name).outcome in (Outcome.TAMPERED, Outcome.MALFORMED)
    if name in MEDIA:
        assert reader(data, made.media_type)[0] != "Trusted"
    said = encypher(data, made.media_type)
    if name in BMFF:
        assert said == GOOD  # One byte is no box, and it looks at boxes only.
    else:
        assert said[0] in ("Invalid", "refused")


@pytest.mark.parametrize("name", [*MEDIA, *TEXTS])
def test_a_manifest_moved_to_another_file_is_refused_by_all(
    name: str, signed: Callable[[str], Made], tmp_path: Path
) -> None:
    made = signed(name)
    data = moved(name, made, tmp_path)
    assert ours(data, made.path.name).outcome in (Outcome.TAMPERED, Outcome.MALFORMED)
    assert encypher(data, made.media_type)[0] in ("Invalid", "refused")


def test_c2patxt_finds_text_valid_and_refuses_what_we_refuse(
    signed: Callable[[str], Made],
) -> None:
    peer = pytest.importorskip("c2patxt", reason="c2patxt is not installed")
    made = signed("note.txt")
    text = made.path.read_bytes().decode()
    assert str(peer.verify(text).state.value) == "valid"
    assert str(peer.verify(text + "x").state.value) == "invalid"
    assert str(peer.verify(flipped("note.txt", made).decode()).state.value) == "invalid"


@pytest.mark.parametrize("name", MODELS)
def test_c2pa_hashes_a_signed_model_to_the_same_and_a_changed_one_does_not(
    name: str, signed: Callable[[str], Made]
) -> None:
    # It does not know where models keep manifests, so it cannot trust; what it hashes, it hashes.
    made = signed(name)
    data = made.path.read_bytes()
    assert ours(data, made.path.name).outcome is Outcome.VERIFIED
    shown = {"assertion.dataHash.match", "claimSignature.validated", "signingCredential.trusted"}
    assert shown <= reader(data, "application/octet-stream", made.store)[1]
    for bad in (flipped(name, made), data + b"x"):
        assert ours(bad, made.path.name).outcome in (Outcome.TAMPERED, Outcome.MALFORMED)
        codes = reader(bad, "application/octet-stream", made.store)[1]
        assert "assertion.dataHash.match" not in codes


def test_signed_models_still_load(signed: Callable[[str], Made]) -> None:
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    made = signed("model.safetensors")
    with safetensors.safe_open(made.path, framework="numpy") as file:
        assert set(file.keys()) == set(TENSORS)
        assert "c2pa:manifest" in file.metadata()
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnx.checker.check_model(onnx.load(signed("model.onnx").path))


def test_sidecars_are_trusted_by_both_and_speak_for_every_byte(tmp_path: Path) -> None:
    pytest.importorskip("encypher_c2pa", reason="encypher-c2pa is not installed")
    options = SignOptions(sidecar=True)
    for name in ("data.bin", "png"):
        path = content(tmp_path, name)
        beside = path.with_name(path.name + ".c2pa")
        sign_file(path, beside, ContentRequest(source_type="digitalCreation"), identity(), options)
        store, data = beside.read_bytes(), path.read_bytes()
        verdict = examine_file(path, ExamineOptions(trust=our_trust()))
        assert verdict.outcome is Outcome.VERIFIED
        for bad in (data + b"x", data[:-1], bytes([data[0] ^ 1]) + data[1:]):
            assert reader(bad, "application/octet-stream", store)[0] != "Trusted"
        assert reader(data, "application/octet-stream", store)[0] == "Trusted"
        if name == "png":
            second = ask_second_engine(path, verdict, our_trust(), manifest=beside)
            assert second.agrees, second.sentence


# --- What others signed.


def axes(verdict: ContentVerdict) -> dict[str, str]:
    return {axis.value: verdict.status_on(axis).value for axis in list(Axis)[:4]}


WHOLE = {"integrity": "held", "signature": "held", "signer": "held", "time": "held"}


@pytest.mark.parametrize("name", ["jpeg", "png", "wav", "mp4", "pdf", "zip"])
def test_what_c2pa_signs_with_its_own_defaults_is_verified(name: str) -> None:
    """Thumbnails on, actions only gathered: as somebody who just calls it has it."""
    media_type = MEDIA[name][0]
    actions = {"actions": [{"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/x"}]}
    definition = {"assertions": [{"label": "c2pa.actions", "data": actions}]}
    who = make_credentials()
    info = c2pa.C2paSignerInfo(b"es256", who.chain_pem, who.key_pem, None)
    context = c2pa.Context(c2pa.Settings.from_dict({"trust": who.settings["trust"]}))
    out = io.BytesIO()
    c2pa.Builder(definition, context).sign(
        c2pa.Signer.from_info(info), media_type, io.BytesIO(unsigned(name)), out
    )
    verdict = ours(out.getvalue(), f"theirs.{name}")
    assert axes(verdict) == WHOLE
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.disclosure is not None
    assert verdict.disclosure.digital_source_type == "x"
    worse = bytearray(out.getvalue())
    worse[len(worse) // 2] ^= 1
    assert ours(bytes(worse), f"theirs.{name}").outcome is not Outcome.VERIFIED


def c2patxt_signed(text: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    peer: Any = pytest.importorskip("c2patxt", reason="c2patxt is not installed")
    who = make_credentials(key="ed25519")
    signer = peer.Signer(
        private_key=load_pem_private_key(who.key_pem, None),
        certificates=tuple(load_pem_x509_certificates(who.chain_pem)),
    )
    disclosed = peer.Disclosure(media_type="text/plain", model_type=peer.ModelType.GENERIC)
    return bytes(peer.embed(text, signer, disclosed).encode())


def ed25519_trust() -> Any:  # noqa: ANN401
    from dataclasses import replace

    from countermark.provenance.trust import TrustList

    listed = TrustList("theirs", "manifest", (make_credentials(key="ed25519").ca_der,))
    return replace(our_trust(), lists=(listed,))


def test_text_that_c2patxt_signed_has_every_axis() -> None:
    data = c2patxt_signed("A line of text.\nAnother.\n")
    options = ExamineOptions(trust=ed25519_trust())
    verdict = examine(io.BytesIO(data), "theirs.txt", options)
    assert axes(verdict) == WHOLE
    assert (verdict.outcome, verdict.carrier) == (Outcome.VERIFIED, "text-wrapper")
    assert verdict.signer is not None
    assert verdict.signer.algorithm == "ed25519"
    stranger = ours(data, "theirs.txt")
    assert stranger.outcome is Outcome.UNTRUSTED_SIGNER
    assert stranger.status_on(Axis.INTEGRITY) is Status.HELD
    changed = examine(io.BytesIO(data.replace(b"Another", b"Annother")), "theirs.txt", options)
    assert (changed.outcome, changed.code) == (Outcome.TAMPERED, "content-changed")
    assert changed.status_on(Axis.SIGNATURE) is Status.HELD


# --- Where engines differ.


def asked(subject: Subject, folder: Path) -> tuple[ContentVerdict, SecondOpinion]:
    pytest.importorskip("encypher_c2pa", reason="encypher-c2pa is not installed")
    trust = subject.trust or our_trust()
    path, beside = folder / subject.name, None
    path.write_bytes(subject.data)
    if subject.manifest is not None:
        beside = folder / f"{subject.name}.c2pa"
        beside.write_bytes(subject.manifest)
    verdict = examine_file(path, ExamineOptions(trust=trust))
    return verdict, ask_second_engine(path, verdict, trust, manifest=beside)


@pytest.mark.parametrize("name", ["jpeg", "wav", "note.txt", "page.html", "script.py"])
def test_the_second_engine_agrees_on_what_is_whole_and_on_what_is_not(
    name: str, signed: Callable[[str], Made], tmp_path: Path
) -> None:
    made = signed(name)
    for data, outcome in (
        (made.path.read_bytes(), Outcome.VERIFIED),
        (flipped(name, made), Outcome.TAMPERED),
    ):
        verdict, second = asked(Subject(data, made.path.name), tmp_path)
        assert verdict.outcome is outcome
        assert second.agrees, second.sentence
        assert second.sentence.endswith("agrees")


def test_a_byte_behind_a_film_is_where_the_second_engine_differs(
    signed: Callable[[str], Made], tmp_path: Path
) -> None:
    made = signed("mp4")
    verdict, second = asked(Subject(made.path.read_bytes() + b"x", made.path.name), tmp_path)
    assert verdict.status_on(Axis.INTEGRITY) is Status.FAILED
    assert not second.agrees
    assert second.answers["integrity"] == "match"
    assert second.disagreements == ("integrity: it says match, we say failed",)


def test_an_archive_is_where_the_second_engine_differs(
    signed: Callable[[str], Made], tmp_path: Path
) -> None:
    made = signed("zip")
    verdict, second = asked(Subject(made.path.read_bytes(), made.path.name), tmp_path)
    assert verdict.outcome is Outcome.VERIFIED
    assert second.disagreements == ("integrity: it says mismatch, we say held",)


def test_bytes_behind_hashed_parts_match_for_c2pa_and_for_nobody_else(tmp_path: Path) -> None:
    whole = boxes_hashed()
    grown = whole._replace(data=whole.data + b"behind")
    assert reader(grown.data, "image/png")[0] == "Trusted"
    verdict, second = asked(grown, tmp_path)
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "content-added")
    assert second.agrees
    assert second.answers["integrity"] == "mismatch"
    assert asked(whole, tmp_path)[0].outcome is Outcome.VERIFIED


def test_a_certificate_for_timestamps_is_trusted_by_c2pa_and_not_by_us() -> None:
    subject = signers.signed_by(signers.leaf(usages=signers.TSA_ONLY))
    from countermark.provenance.engine import DETACHED, read_report
    from countermark.provenance.trust import engine_settings

    assert subject.trust is not None
    report = json.loads(
        read_report(
            DETACHED,
            io.BytesIO(),
            store=subject.manifest,
            trust=engine_settings(subject.trust),
        )
    )
    said = {row["code"] for row in report["manifests"][0]["validationResults"]["success"]}
    assert "signingCredential.trusted" in said
    verdict = examine(
        io.BytesIO(subject.data),
        subject.name,
        ExamineOptions(trust=subject.trust, manifest=subject.manifest),
    )
    assert (verdict.outcome, verdict.code) == (Outcome.UNTRUSTED_SIGNER, "signer-purpose-refused")


# --- Time, as OpenSSL tells it.

AUTHORITY = """\
[tsa]
default_tsa = ours
[ours]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = tsa.pem
signer_digest = sha256
default_policy = 1.3.6.1.4.1.62558.1.1
digests = sha256
ess_cert_id_alg = sha256
"""


def openssl_token(folder: Path, authority: pki.Issued) -> Callable[[bytes], bytes]:
    for name, data in {
        "tsa.cnf": AUTHORITY.encode(),
        "tsa.pem": authority.pem,
        "tsa.key": authority.key_pem,
        "serial": b"01\n",
    }.items():
        (folder / name).write_bytes(data)

    def token(data: bytes) -> bytes:
        (folder / "data").write_bytes(data)
        tool("openssl", *"ts -query -data data -sha256 -cert -out query".split(), cwd=folder)
        reply = "ts -reply -config tsa.cnf -queryfile query -token_out -out token"
        tool("openssl", *reply.split(), cwd=folder)
        return (folder / "token").read_bytes()

    return token


def test_openssls_timestamp_keeps_what_was_signed_until_long_after_the_signer(
    tmp_path: Path,
) -> None:
    second = 1 / 86400
    since = (datetime.now(UTC) - signers.NOW).total_seconds() * second
    signer = signers.leaf(days=(-1, since + 2 * second))
    stamp = openssl_token(tmp_path, signers.tsa())
    stamped = signers.signed_by(
        signer, stamped=stamp, trust=signers.trusting(tsa=(signers.tsa_root(),))
    )
    nobody = stamped._replace(trust=signers.trusting())
    bare = signers.signed_by(signer, trust=stamped.trust)
    while datetime.now(UTC) <= signer.certificate.not_valid_after_utc + timedelta(seconds=1):
        time.sleep(0.2)

    def judged(subject: Subject) -> ContentVerdict:
        options = ExamineOptions(trust=subject.trust, manifest=subject.manifest)
        return examine(io.BytesIO(subject.data), subject.name, options)

    assert judged(stamped).outcome is Outcome.VERIFIED
    for late in (bare, nobody):
        verdict = judged(late)
        assert (verdict.outcome, verdict.code) == (Outcome.OUTSIDE_VALIDITY, "signer-expired")
        assert verdict.status_on(Axis.SIGNER) is Status.HELD
