"""`content sign` and `content verify`: what they write, what they answer, how they refuse."""

import os
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from support.command import Ran, run
from support.media import unsigned
from support.models import make_model

SIGNER = ("--signing-cert", "dev/signer.pem", "--private-key", "dev/signer.key")
MADE = ("--source-type", "digitalCreation")
TRUST = ("--trust", "dev/trust.json")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with credentials, a signed model, and signed content."""
    folder = tmp_path_factory.mktemp("content")
    assert run("cert", "dev-ca", "dev", "-q", cwd=folder).code == 0
    assert run("keygen", "release", "-q", cwd=folder).code == 0
    make_model(folder / "model")
    assert run("sign", "model", "--private-key", "release.key", "-q", cwd=folder).code == 0
    (folder / "cat.png").write_bytes(unsigned("png"))
    (folder / "words.txt").write_text("Some words.\n")
    (folder / "data.bin").write_bytes(bytes(range(256)))
    for name in ("model", "cat.png", "words.txt", "data.bin"):
        of_model = () if name == "model" else ("--generated-by", "model")
        ran = sign(folder, name, *of_model)
        assert (ran.code, ran.err) == (0, ""), ran.err
    return folder


def sign(folder: Path, name: str, *more: str) -> Ran:
    return run("content", "sign", name, *SIGNER, *more, cwd=folder)


def verify(folder: Path, name: str, *more: str, given: bytes = b"") -> Ran:
    return run("content", "verify", name, *more, "--json", cwd=folder, given=given)


def refusal(ran: Ran) -> tuple[int, str]:
    assert ran.document["exit_code"] == ran.code
    return ran.code, str(ran.document["error"]["code"])


def test_outputs_are_beside_their_sources_and_leave_them_alone(made: Path) -> None:
    assert (made / "cat.signed.png").stat().st_size > (made / "cat.png").stat().st_size
    assert (made / "cat.png").read_bytes() == unsigned("png")
    assert (made / "words.signed.txt").exists()
    assert (made / "data.bin.c2pa").exists()
    assert (made / "model.c2pa").exists()


@pytest.mark.parametrize("name", ["cat.signed.png", "words.signed.txt", "data.bin"])
def test_what_was_signed_names_its_model_and_is_verified(made: Path, name: str) -> None:
    ran = verify(made, name, *TRUST, "--model", "model")
    assert (ran.code, ran.err) == (0, "")
    document = ran.document
    assert document["verdict"] == "verified"
    statuses = {axis: said["status"] for axis, said in document["axes"].items()}
    assert statuses == {
        "integrity": "held",
        "signature": "held",
        "signer": "held",
        "time": "held",
        "ingredients": "held",
        "identity": "not-checked",
        "disclosure": "held",
        "model": "held",
    }
    assert [one["verdict"] for one in document["ingredients"]] == ["verified"]
    assert document["signer"]["trusted_by"] == "development signers"
    assert document["disclosure"]["model_name"] == "model"


def test_another_model_is_not_the_one_it_names(made: Path, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other")
    (other / "config.json").write_text("{}")
    key = made / "release.key"
    assert run("sign", other, "--private-key", key, "-q", cwd=tmp_path).code == 0
    ran = verify(made, "cat.signed.png", *TRUST, "--model", str(other))
    assert (ran.code, ran.document["code"]) == (16, "model-differs")
    assert ran.document["axes"]["integrity"]["status"] == "held"


def test_a_models_own_manifest_is_verified_without_its_weights(made: Path) -> None:
    ran = verify(made, "model", *TRUST)
    assert (ran.code, ran.document["carrier"]) == (0, "sidecar")
    (model,) = ran.document["axes"]["model"]["checks"]
    assert (model["code"], model["status"]) == ("weights-not-read", "not-checked")


def test_a_model_without_a_manifest_has_nothing_to_verify(made: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    key = made / "release.key"
    assert run("sign", "m", "--private-key", key, "-q", cwd=tmp_path).code == 0
    assert verify(tmp_path, "m").document["code"] == "no-manifest"


def test_without_a_trust_bundle_nobody_is_believed_and_nothing_is_called_changed(
    made: Path,
) -> None:
    ran = verify(made, "cat.signed.png")
    assert (ran.code, ran.document["code"]) == (12, "no-trust-given")
    assert ran.document["axes"]["integrity"]["status"] == "held"


def test_a_changed_file_is_changed(made: Path, tmp_path: Path) -> None:
    data = bytearray((made / "cat.signed.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "cat.png").write_bytes(data)
    ran = verify(tmp_path, "cat.png", "--trust", str(made / "dev/trust.json"))
    assert (ran.code, ran.document["code"]) == (11, "content-changed")


def test_a_file_without_a_manifest_has_nothing_to_verify(made: Path) -> None:
    ran = verify(made, "cat.png", *TRUST)
    assert (ran.code, ran.document["code"]) == (10, "no-manifest")


def test_standard_input_is_judged_like_a_file(made: Path) -> None:
    for name in ("cat.signed.png", "words.signed.txt"):
        data = (made / name).read_bytes()
        ran = verify(made, "-", *TRUST, given=data)
        assert ran.code == 0
        assert ran.document["subject"] == "standard input"


def test_a_manifest_that_lies_elsewhere_can_be_named(made: Path, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes((made / "data.bin").read_bytes())
    trust = ("--trust", str(made / "dev/trust.json"))
    assert verify(tmp_path, "data.bin", *trust).code == 10
    found = verify(tmp_path, "data.bin", *trust, "--manifest", str(made / "data.bin.c2pa"))
    assert (found.code, found.document["carrier"]) == (0, "sidecar")


def test_a_broken_mark_is_explained_and_stays_broken(made: Path, tmp_path: Path) -> None:
    text = (made / "words.signed.txt").read_text(encoding="utf-8")
    (tmp_path / "pasted.txt").write_text(text.replace("\ufeff", ""), encoding="utf-8")
    ran = verify(tmp_path, "pasted.txt", "--trust", str(made / "dev/trust.json"))
    assert ran.code == 10
    (said,) = ran.document["forensics"]
    assert said["code"] == "marker-removed"
    assert said["repaired_verdict"] == "verified"


def test_people_see_one_line_for_each_question(made: Path) -> None:
    ran = run("content", "verify", "cat.signed.png", *TRUST, "--model", "model", cwd=made)
    labels = [line.split()[0] for line in ran.out.splitlines()]
    assert labels == [
        "VERIFIED", "integrity", "signature", "signer", "time", "ingredients", "disclosure",
        "model", "signed", "made",
    ]  # fmt: skip


def test_quiet_says_nothing_of_what_is_verified_and_one_line_of_what_is_not(made: Path) -> None:
    good = run("content", "verify", "cat.signed.png", *TRUST, "-q", cwd=made)
    assert (good.code, good.out, good.err) == (0, "", "")
    bad = run("content", "verify", "cat.signed.png", "-q", cwd=made)
    assert (bad.code, bad.out, bad.err.count("\n")) == (12, "", 1)


def test_signing_says_what_it_wrote(made: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out.png")
    ran = sign(made, "cat.png", *MADE, "--output", out, "--json")
    assert ran.code == 0
    document = ran.document
    assert (document["written"], document["carrier"]) == (out, "embedded")
    assert document["media_type"] == "image/png"


def test_in_place_replaces_the_file(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Some words.\n")
    assert sign(made, str(path), *MADE, "--in-place").code == 0
    assert verify(made, str(path), *TRUST).code == 0


def test_an_output_that_is_there_is_not_replaced_unasked(made: Path) -> None:
    before = (made / "cat.signed.png").read_bytes()
    assert refusal(sign(made, "cat.png", *MADE, "--json")) == (1, "file-exists")
    assert (made / "cat.signed.png").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--in-place", "--sidecar"), "usage"),
        (("--in-place", "--output", "x.png"), "usage"),
        (("--signer-command", "true"), "usage"),
        (("--training-mining", "nonsense"), "usage"),
        (("--training-mining", "nonsense=allowed"), "manifest-definition"),
        (("--media-type", "no type"), "unsupported-content"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    made: Path, more: tuple[str, ...], code: str
) -> None:
    ran = sign(made, "cat.png", *MADE, *more, "--json")
    assert refusal(ran) == (2, code)


def test_saying_nothing_of_how_it_was_made_is_refused(made: Path, tmp_path: Path) -> None:
    ran = sign(made, "cat.png", "--output", str(tmp_path / "x.png"), "--json")
    assert refusal(ran) == (2, "manifest-definition")
    assert not (tmp_path / "x.png").exists()


def test_a_key_that_is_not_the_certificates_is_refused_before_anything_is_written(
    made: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.png"
    ran = run(
        "content", "sign", "cat.png", "--signing-cert", "dev/signer.pem",
        "--private-key", "dev/tsa.key", *MADE, "--output", out, "--json", cwd=made,
    )  # fmt: skip
    assert refusal(ran)[0] == 2
    assert not out.exists()


def test_a_program_signs_instead_of_a_key(made: Path, tmp_path: Path) -> None:
    program = tmp_path / "sign.py"
    program.write_text(
        "import sys\n"
        "from cryptography.hazmat.primitives import hashes, serialization\n"
        "from cryptography.hazmat.primitives.asymmetric import ec\n"
        f"key = open({str(made / 'dev/signer.key')!r}, 'rb').read()\n"
        "key = serialization.load_pem_private_key(key, None)\n"
        "message = sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write(key.sign(message, ec.ECDSA(hashes.SHA256())))\n"
    )
    import sys

    out = tmp_path / "x.txt"
    ran = run(
        "content", "sign", "words.txt", "--signing-cert", "dev/signer.pem",
        "--signer-command", f"{sys.executable} {program}", *MADE, "--output", out, cwd=made,
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert verify(made, str(out), *TRUST).code == 0


def test_a_folder_that_was_not_signed_has_no_manifest_to_give(made: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    assert refusal(sign(made, str(tmp_path / "m"), "--json"))[0] == 10


def test_names_of_files_and_titles_reach_the_terminal_escaped(made: Path, tmp_path: Path) -> None:
    name = "cat\x1b[2J.png"
    (tmp_path / name).write_bytes(unsigned("png"))
    ran = sign(made, str(tmp_path / name), *MADE, "--title", "t\x1b[2J\x07")
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    signed = str(tmp_path / "cat\x1b[2J.signed.png")
    shown = run("content", "verify", signed, *TRUST, cwd=made)
    assert shown.code == 0
    assert "\x1b" not in shown.out + shown.err


def test_a_signature_leaves_no_files_behind_when_it_fails(made: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(unsigned("png")[:40])
    ran = sign(made, str(tmp_path / "broken.png"), *MADE, "--json")
    assert ran.code != 0
    assert os.listdir(tmp_path) == ["broken.png"]
