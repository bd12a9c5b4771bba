"""Content that changes while it is read is neither signed nor judged; and how far reading is."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from countermark.provenance import engine
from countermark.provenance.definition import ContentRequest
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.examine import examine_file, verify_file
from countermark.provenance.identity import LocalIdentity
from countermark.provenance.sign import SignOptions, sign_file
from countermark.signing.errors import FileChangedError
from countermark.signing.verdict import Outcome
from support.credentials import make_credentials
from support.media import unsigned
from support.models import TENSORS, write_safetensors
from support.races import later_than, overwrite
from support.trusted import identity_of, options_for

REQUEST = ContentRequest(source_type="digitalCreation")
BULK = 3 << 20
KINDS = ("data.bin", "note.txt", "image.png", "model.safetensors")

Change = Callable[[Path], object]


def replaced(file: Path) -> None:
    other = file.with_name(".other")
    other.write_bytes(file.read_bytes())
    other.replace(file)


CHANGES: dict[str, Change] = {
    "overwritten": lambda file: overwrite(file, file.stat().st_size - 40),
    "overwritten-mtime-restored": lambda file: overwrite(
        file, file.stat().st_size - 40, keep_mtime=True
    ),
    "cut": lambda file: os.truncate(file, 60),
    "longer": lambda file: os.truncate(file, file.stat().st_size + 1),
    "replaced": replaced,
    "removed": lambda file: file.unlink(missing_ok=True),
}


@pytest.fixture(scope="module")
def identity() -> LocalIdentity:
    return identity_of(make_credentials())


def content(folder: Path, name: str) -> Path:
    path = folder / name
    match path.suffix:
        case ".png":
            path.write_bytes(unsigned("png"))
        case ".txt":
            path.write_text("Some words of a text.\n" * 20)
        case ".safetensors":
            write_safetensors(path, {**TENSORS, "bulk": os.urandom(BULK)})
        case _:
            path.write_bytes(os.urandom(BULK))
    later_than(path.stat().st_ctime_ns, path)
    return path


def before(monkeypatch: pytest.MonkeyPatch, name: str, action: Callable[[], object]) -> None:
    """Let `action` happen before each call of c2pa's by this name."""
    call = getattr(engine, name)

    def first_act(*args: object, **kwargs: object) -> object:
        action()
        return call(*args, **kwargs)

    monkeypatch.setattr(engine, name, first_act)


def sign(path: Path, out: Path, identity: LocalIdentity) -> None:
    sign_file(path, out, REQUEST, identity, SignOptions(sidecar=path.suffix == ".bin"))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", KINDS)
def test_content_that_changes_while_it_is_signed_is_refused_and_nothing_is_kept(
    name: str,
    change: str,
    tmp_path: Path,
    identity: LocalIdentity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = content(tmp_path, name)
    call = "sign_media" if path.suffix == ".png" else "sign_detached"
    before(monkeypatch, call, lambda: path.exists() and CHANGES[change](path))
    with pytest.raises(FileChangedError) as refused:
        sign(path, tmp_path / "out", identity)
    assert refused.value.code == "changed-while-reading"
    assert {one.name for one in tmp_path.iterdir()} <= {name}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", KINDS)
def test_content_that_changes_between_our_reading_and_c2pas_has_no_verdict(
    name: str,
    change: str,
    tmp_path: Path,
    identity: LocalIdentity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = content(tmp_path, name)
    signed = tmp_path / (f"{name}.c2pa" if path.suffix == ".bin" else f"signed-{name}")
    sign(path, signed, identity)
    subject = path if path.suffix == ".bin" else signed
    later_than(subject.stat().st_ctime_ns, subject)
    asked = options_for(make_credentials())
    assert verify_file(subject, asked).outcome is Outcome.VERIFIED
    before(monkeypatch, "read_report", lambda: CHANGES[change](subject))
    verdict = examine_file(subject, asked)
    assert (verdict.outcome, verdict.code) == (Outcome.INCONCLUSIVE, "changed-while-reading")
    assert verdict.signer is None


def test_malformed_content_that_nobody_writes_to_stays_malformed(
    tmp_path: Path, identity: LocalIdentity
) -> None:
    path = content(tmp_path, "model.safetensors")
    os.truncate(path, BULK)
    with pytest.raises(MalformedContentError):
        sign(path, tmp_path / "out", identity)


def test_a_file_that_is_replaced_by_its_own_signed_copy_did_not_change(
    tmp_path: Path, identity: LocalIdentity
) -> None:
    for name in ("note.txt", "image.png", "model.safetensors"):
        path = content(tmp_path, name)
        sign_file(path, path, REQUEST, identity, SignOptions(replace=True))
        assert verify_file(path, options_for(make_credentials())).outcome is Outcome.VERIFIED


class Seen(list[tuple[int, int]]):
    """What a progress function was told; it never goes back."""

    def __call__(self, done: int, total: int) -> None:
        assert done >= self.done
        self.append((done, total))

    @property
    def done(self) -> int:
        return self[-1][0] if self else 0


@pytest.fixture(params=[True, False], ids=["kernel-copies", "we-copy"])
def copies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_call(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if not request.param:
        monkeypatch.setattr(os, "copy_file_range", no_such_call, raising=False)


@pytest.mark.usefixtures("copies")
@pytest.mark.parametrize(("name", "passes"), [("data.bin", 1), ("model.safetensors", 2)])
def test_every_byte_of_what_is_large_is_counted(
    name: str, passes: int, tmp_path: Path, identity: LocalIdentity
) -> None:
    path = content(tmp_path, name)
    signed = tmp_path / (f"{name}.c2pa" if passes == 1 else f"signed-{name}")
    seen = Seen()
    options = SignOptions(sidecar=passes == 1)
    sign_file(path, signed, REQUEST, identity, options, progress=seen)
    total = passes * path.stat().st_size
    assert {one for _, one in seen} == {total}
    assert seen.done == total
    assert len(seen) > BULK // (1 << 20), "it was told once, at the end"
    subject = path if passes == 1 else signed
    again = Seen()
    verdict = examine_file(subject, options_for(make_credentials()), progress=again)
    assert verdict.outcome is Outcome.VERIFIED
    assert {one for _, one in again} == {subject.stat().st_size}
    # All but the manifest, which is not hashed.
    assert again.done >= path.stat().st_size


def test_what_is_counted_is_signed_and_judged_as_what_is_not(
    tmp_path: Path, identity: LocalIdentity
) -> None:
    asked = options_for(make_credentials())
    for name in ("note.txt", "image.png"):
        path = content(tmp_path, name)
        out = tmp_path / f"signed-{name}"
        sign_file(path, out, REQUEST, identity, progress=Seen())
        plain, told = examine_file(out, asked), examine_file(out, asked, progress=Seen())
        assert plain == told
        assert plain.outcome is Outcome.VERIFIED
