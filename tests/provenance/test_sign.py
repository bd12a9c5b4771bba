"""Sign each kind of content and judge it: what was signed holds, what was touched does not."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from countermark.provenance.carrier import Exclusion, Layout, Place
from countermark.provenance.definition import ContentRequest
from countermark.provenance.errors import (
    ContentNotFoundError,
    ContentRefusedError,
    CredentialError,
    UnsupportedContentError,
)
from countermark.provenance.examine import (
    MAX_STORE_BYTES,
    ExamineOptions,
    examine,
    examine_file,
    verify_file,
)
from countermark.provenance.identity import LocalIdentity
from countermark.provenance.sign import SignOptions, carried_inside, embed, sign_file
from countermark.provenance.verdict import Axis, ContentVerdict
from countermark.signing.errors import FileExistsRefusedError
from countermark.signing.verdict import Outcome, Status
from support.credentials import Credentials, make_credentials
from support.media import unsigned
from support.models import TENSORS, write_safetensors
from support.trusted import identity_of, options_for

MEDIA = ("jpeg", "png", "webp", "gif", "tiff", "wav", "mp3", "mp4", "pdf", "zip", "svg")
TEXTS = {
    "note.txt": "A line of text, naïve and café.\nAnother line.\n",
    "script.py": '#!/usr/bin/env python3\nprint("hello")\n',
    "read.md": "# Title\n\nSome words.\n",
    "page.html": "<!DOCTYPE html><html><head><title>t</title></head><body>b</body></html>",
}
REQUEST = ContentRequest(source_type="digitalCreation")


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    return make_credentials()


@pytest.fixture(scope="session")
def options(credentials: Credentials) -> ExamineOptions:
    return options_for(credentials)


def content(folder: Path, name: str) -> Path:
    """Write unsigned content of a kind, and return where."""
    if name in TEXTS:
        path = folder / name
        path.write_bytes(TEXTS[name].encode())
    elif name == "model.safetensors":
        path = folder / name
        write_safetensors(path, TENSORS)
    elif name == "data.bin":
        path = folder / name
        path.write_bytes(bytes(range(256)) * 40)
    else:
        path = folder / f"content.{name}"
        path.write_bytes(unsigned(name))
    return path


INSIDE = (*MEDIA, *TEXTS, "model.safetensors")


@pytest.fixture(scope="session")
def signed(
    tmp_path_factory: pytest.TempPathFactory, credentials: Credentials
) -> Callable[[str], Path]:
    """Return a function that signs content of a kind, each kind once."""
    folder = tmp_path_factory.mktemp("signed")
    made: dict[str, Path] = {}

    def sign(name: str) -> Path:
        if name not in made:
            source = content(folder, name)
            made[name] = folder / f"signed-{source.name}"
            sign_file(source, made[name], REQUEST, identity_of(credentials))
        return made[name]

    return sign


def judged(data: bytes, like: Path, options: ExamineOptions) -> ContentVerdict:
    return examine(io.BytesIO(data), like.name, options)


@pytest.mark.parametrize("name", INSIDE)
def test_what_was_signed_is_verified(
    name: str, signed: Callable[[str], Path], options: ExamineOptions
) -> None:
    verdict = verify_file(signed(name), options)
    for axis in (Axis.INTEGRITY, Axis.SIGNATURE, Axis.SIGNER, Axis.TIME):
        assert verdict.status_on(axis) is Status.HELD
    assert verdict.signer is not None
    assert verdict.signer.trusted_by == "tests"
    assert verdict.trust is not None
    assert verdict.trust.sha256 == "0" * 64


@pytest.mark.parametrize("name", INSIDE)
def test_without_anybody_trusted_it_is_whole_and_by_a_stranger(
    name: str, signed: Callable[[str], Path]
) -> None:
    verdict = examine_file(signed(name))
    assert (verdict.outcome, verdict.code) == (Outcome.UNTRUSTED_SIGNER, "no-trust-given")
    assert verdict.status_on(Axis.INTEGRITY) is Status.HELD


@pytest.mark.parametrize("name", INSIDE)
def test_somebody_elses_signature_is_not_trusted_and_not_called_a_change(
    name: str, signed: Callable[[str], Path]
) -> None:
    others = options_for(make_credentials(name="Others"))
    verdict = examine_file(signed(name), others)
    assert verdict.outcome is Outcome.UNTRUSTED_SIGNER
    assert verdict.status_on(Axis.INTEGRITY) is Status.HELD


@pytest.mark.parametrize("name", INSIDE)
def test_a_byte_more_at_the_end_is_refused(
    name: str, signed: Callable[[str], Path], options: ExamineOptions
) -> None:
    path = signed(name)
    verdict = judged(path.read_bytes() + b"x", path, options)
    assert verdict.outcome in (Outcome.TAMPERED, Outcome.MALFORMED)


# A byte of the content itself, well away from the manifest.
FLIPS: dict[str, bytes] = {
    "note.txt": b"Another",
    "script.py": b"hello",
    "read.md": b"words",
    "page.html": b">b<",
    "model.safetensors": b"__last__",
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_flipped_byte_of_the_content_is_refused(
    name: str, signed: Callable[[str], Path], options: ExamineOptions
) -> None:
    path = signed(name)
    data = bytearray(path.read_bytes())
    mark = FLIPS.get(name, b"__last__")
    at = len(data) - 1 if mark == b"__last__" else data.index(mark) + 1
    data[at] ^= 1
    verdict = judged(bytes(data), path, options)
    assert verdict.outcome in (Outcome.TAMPERED, Outcome.MALFORMED)
    if name in FLIPS:
        assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "content-changed")


@pytest.mark.parametrize("name", ["jpeg", "png", "note.txt", "script.py", "model.safetensors"])
def test_a_flipped_byte_anywhere_never_verifies(
    name: str, signed: Callable[[str], Path], options: ExamineOptions
) -> None:
    path = signed(name)
    data = path.read_bytes()
    asked = ExamineOptions(trust=options.trust, media_type=verdict_type(path), forensics=False)
    for at in range(0, len(data), max(1, len(data) // 60)):
        damaged = bytearray(data)
        damaged[at] ^= 0x20
        verdict = judged(bytes(damaged), path, asked)
        assert verdict.outcome is not Outcome.VERIFIED, at


def verdict_type(path: Path) -> str:
    return examine_file(path).media_type


@pytest.mark.parametrize("name", ["png", "note.txt", "script.py", "page.html"])
def test_a_manifest_moved_to_other_content_is_refused(
    name: str,
    signed: Callable[[str], Path],
    options: ExamineOptions,
) -> None:
    data = signed(name).read_bytes()
    changed = {
        "png": (b"IDAT", b"IDAT"),
        "note.txt": (b"A line", b"B line"),
        "script.py": (b"hello", b"jello"),
        "page.html": (b">t<", b">u<"),
    }[name]
    if name == "png":
        at = data.index(changed[0]) + 6
        moved = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    else:
        moved = data.replace(*changed, 1)
    verdict = judged(moved, signed(name), options)
    assert (verdict.outcome, verdict.code) == (Outcome.TAMPERED, "content-changed")


def test_a_sidecar_speaks_for_every_byte_and_leaves_the_file_alone(
    tmp_path: Path, credentials: Credentials, options: ExamineOptions
) -> None:
    path = content(tmp_path, "data.bin")
    before = path.read_bytes(), path.stat().st_mtime_ns
    sidecar = tmp_path / "data.bin.c2pa"
    done = sign_file(path, sidecar, REQUEST, identity_of(credentials), SignOptions(sidecar=True))
    assert (done.carrier, done.path, done.tries) == ("sidecar", sidecar, 1)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert verify_file(path, options).carrier == "sidecar"
    path.write_bytes(before[0][:-1])
    assert examine_file(path, options).code == "content-changed"


def test_a_sidecar_of_another_file_is_a_change(
    tmp_path: Path, credentials: Credentials, options: ExamineOptions
) -> None:
    path = content(tmp_path, "data.bin")
    sidecar = tmp_path / "s.c2pa"
    sign_file(path, sidecar, REQUEST, identity_of(credentials), SignOptions(sidecar=True))
    other = tmp_path / "other.bin"
    other.write_bytes(b"\0other")
    from dataclasses import replace

    asked = replace(options, manifest=sidecar.read_bytes())
    assert examine_file(path, asked).outcome is Outcome.VERIFIED
    assert examine_file(other, asked).outcome is Outcome.TAMPERED


def test_a_sidecar_of_any_size_gets_a_verdict(tmp_path: Path, options: ExamineOptions) -> None:
    path = content(tmp_path, "data.bin")
    with path.with_name("data.bin.c2pa").open("wb") as sidecar:
        sidecar.truncate(MAX_STORE_BYTES + 1)
    verdict = examine_file(path, options)
    assert (verdict.outcome, verdict.code) == (Outcome.MALFORMED, "malformed-manifest")


def test_media_may_have_a_sidecar_too(
    tmp_path: Path, credentials: Credentials, options: ExamineOptions
) -> None:
    path = content(tmp_path, "png")
    sidecar = path.with_name(path.name + ".c2pa")
    sign_file(path, sidecar, REQUEST, identity_of(credentials), SignOptions(sidecar=True))
    assert verify_file(path, options).carrier == "sidecar"


def test_content_that_carries_nothing_has_nothing_to_verify(
    tmp_path: Path, options: ExamineOptions
) -> None:
    for name in (*INSIDE, "data.bin"):
        verdict = examine_file(content(tmp_path, name), options)
        assert (verdict.outcome, verdict.code) == (Outcome.NOTHING_TO_VERIFY, "no-manifest"), name


def test_signing_in_place_replaces_the_file_only_when_asked(
    tmp_path: Path, credentials: Credentials, options: ExamineOptions
) -> None:
    path = content(tmp_path, "note.txt")
    before = path.read_bytes()
    with pytest.raises(FileExistsRefusedError):
        sign_file(path, path, REQUEST, identity_of(credentials))
    assert path.read_bytes() == before
    sign_file(path, path, REQUEST, identity_of(credentials), SignOptions(replace=True))
    assert verify_file(path, options).carrier == "text-wrapper"


def test_signing_again_replaces_the_manifest(
    tmp_path: Path, credentials: Credentials, options: ExamineOptions
) -> None:
    path = content(tmp_path, "script.py")
    again = SignOptions(replace=True)
    first = sign_file(path, path, REQUEST, identity_of(credentials), again)
    size = path.stat().st_size
    second = sign_file(path, path, REQUEST, identity_of(credentials), again)
    assert first.manifest != second.manifest
    assert abs(path.stat().st_size - size) < 16
    assert verify_file(path, options).manifest == second.manifest


@pytest.mark.parametrize("name", ["note.txt", "png"])
def test_nothing_is_left_of_a_signature_that_failed(
    name: str, tmp_path: Path, credentials: Credentials
) -> None:
    path = content(tmp_path, name)
    wrong = LocalIdentity(
        chain=credentials.chain_pem,
        key=make_credentials(name="Others").key_pem,
        algorithm="es256",
    )
    with pytest.raises(CredentialError):
        sign_file(path, tmp_path / f"out-{path.name}", REQUEST, wrong)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_cannot_carry_a_manifest_says_so(tmp_path: Path, credentials: Credentials) -> None:
    path = content(tmp_path, "data.bin")
    assert not carried_inside(path)
    with pytest.raises(UnsupportedContentError) as refused:
        sign_file(path, tmp_path / "out.bin", REQUEST, identity_of(credentials))
    assert "--sidecar" in refused.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, credentials: Credentials) -> None:
    for call in (
        lambda path: sign_file(path, tmp_path / "out", REQUEST, identity_of(credentials)),
        examine_file,
        carried_inside,
    ):
        with pytest.raises(ContentNotFoundError):
            call(tmp_path / "nothing")


def test_verify_gives_the_verdict_of_what_it_refuses(
    signed: Callable[[str], Path], tmp_path: Path, options: ExamineOptions
) -> None:
    changed = tmp_path / "note.txt"
    changed.write_bytes(signed("note.txt").read_bytes().replace(b"Another", b"Annother"))
    with pytest.raises(ContentRefusedError) as refused:
        verify_file(changed, options)
    assert refused.value.verdict.outcome is Outcome.TAMPERED


@pytest.mark.parametrize("key", ["ec-p384", "ed25519"])
def test_other_keys_sign_as_well(key: str, tmp_path: Path) -> None:
    credentials = make_credentials(key=key)
    algorithm = {"ec-p384": "es384", "ed25519": "ed25519"}[key]
    for name in ("note.txt", "png"):
        path = content(tmp_path, name)
        out = tmp_path / f"{key}-{path.name}"
        sign_file(path, out, REQUEST, identity_of(credentials, algorithm))
        verdict = verify_file(out, options_for(credentials))
        assert verdict.signer is not None
        assert verdict.signer.algorithm == algorithm


class Stubborn:
    """A carrier whose place no store ever fills."""

    name = "stubborn"
    media_types: tuple[str, ...] = ()

    def find(self, source: object) -> Place | None:
        return None

    def digest(self, source: object, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        return bytes(32)

    def lay_out(self, source: object, store_bytes: int) -> Layout:
        return Layout(store_bytes, (), bytes(32), 0)

    def fits(self, layout: Layout, store: bytes) -> bool:
        return False

    def refine(self, source: object, layout: Layout, store: bytes) -> Layout:
        return layout

    def repad(self, layout: Layout, store: bytes) -> bytes:
        return store

    def write(self, source: object, layout: Layout, store: bytes, sink: object) -> None:
        raise AssertionError


def test_a_store_that_never_fits_is_given_up() -> None:
    tries: list[Layout] = []

    def sign(layout: Layout) -> bytes:
        tries.append(layout)
        return b"store"

    with pytest.raises(UnsupportedContentError):
        embed(Stubborn(), io.BytesIO(), sign, io.BytesIO())
    assert 10 < len(tries) <= 1000
