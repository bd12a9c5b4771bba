"""`watermark keygen` and `watermark vllm-config`: what is made, printed, and never printed."""

import hashlib
import json
from pathlib import Path

import pyrage  # type: ignore[import-not-found, import-untyped, unused-ignore]
import pytest

from countermark.cli.exits import EXIT_OK, EXIT_USAGE
from countermark.watermark.descriptor import describe, encode_descriptor, parse_descriptor
from countermark.watermark.keyring import KeyRing
from countermark.watermark.keyring_files import Protection, load_ring
from countermark.watermark.parameters import Purpose
from support.command import Ran, run

GROUP = ("watermark", "keygen", "--ring", "a.ring")


def keygen(folder: Path, *arguments: str | Path) -> Ran:
    return run(*GROUP, *arguments, cwd=folder)


def code_of(ran: Ran) -> str:
    return str(ran.document["error"]["code"])


def ring_in(folder: Path, name: str = "a.ring", identity: str = "") -> KeyRing:
    identities = (identity,) if identity else ()
    return load_ring(folder / name, Protection(identities=identities)).ring


def secrets_of(ring: KeyRing) -> list[str]:
    """Return every secret of a ring, in the forms in which one might be printed."""
    raw = [secret for key in ring.keys for secret in key.secrets.values()]
    raw += [ring.master.secret] if ring.master else []
    texts = [form for secret in raw for form in (secret.hex(), repr(secret)[2:-1])]
    return texts + [str(integer) for key in ring.keys for integer in key.integers]


def test_keygen_makes_a_ring_with_one_key_and_prints_no_secret(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    about = ("--model", "acme-7b", "--tenant", "acme", "--epoch", "2026")
    window = ("--not-before", "2026-01-01", "--not-after", "2027-01-01T12:00:00Z")
    files = ("--tokenizer", "tokenizer.json", "--vocabulary", "49152", "--model-digest", "b" * 64)
    ran = keygen(tmp_path, *about, *window, *files, "--json")
    assert ran.code == EXIT_OK
    ring = ring_in(tmp_path)
    assert (tmp_path / "a.ring").stat().st_mode & 0o777 == 0o600
    (key,) = ring.keys
    assert ran.document == {
        "schema": "countermark/watermark-keygen/v1",
        "verdict": "done",
        "ring": "a.ring",
        "created": True,
        "encrypted": False,
        "keys": 1,
        "key": {
            "id": key.id,
            "scheme": "countermark-gumbel-v1",
            "parameters": {"width": 2},
            "labels": {"model": "acme-7b", "tenant": "acme", "epoch": "2026"},
            "tokenizer_sha256": hashlib.sha256(b"{}").hexdigest(),
            "model_sha256": "b" * 64,
            "vocabulary": 49152,
            "not_before": "2026-01-01T00:00:00Z",
            "not_after": "2027-01-01T12:00:00Z",
        },
        "descriptor": None,
        "detector_ring": None,
    }


def test_keygen_adds_keys_of_any_scheme_and_keeps_those_that_are_there(tmp_path: Path) -> None:
    outputs: list[str] = []
    for arguments in (
        ("--scheme", "countermark-greenlist-v1", "--parameter", "gamma=0.5"),
        ("--scheme", "transformers-synthid", "--parameter", "ngram_len=4"),
        ("--scheme", "vllm-gumbel-dual-v1", "--parameter", "prf=hmac_sha256", "--json"),
        ("--epoch", "2", "-q"),
    ):
        before = ring_in(tmp_path).keys if outputs else ()
        ran = keygen(tmp_path, *arguments)
        assert ran.code == EXIT_OK, ran.err
        outputs.append(ran.out + ran.err)
        assert ring_in(tmp_path).keys[:-1] == before
    ring = ring_in(tmp_path)
    assert [dict(key.parameters) for key in ring.keys] == [
        {"delta": 2.0, "gamma": 0.5, "width": 1},
        {
            "context_history_size": 1024,
            "ngram_len": 4,
            "sampling_table_seed": 0,
            "sampling_table_size": 65536,
        },
        {"alpha": 0.1, "context_width": 4, "prf": "hmac_sha256"},
        {"width": 2},
    ]
    assert not any(secret in text for text in outputs for secret in secrets_of(ring))


def test_the_tokenizer_may_be_a_folder_and_must_hold_one(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    ran = keygen(tmp_path, "--tokenizer", "model", "--json")
    assert code_of(ran) == "io-error"
    (tmp_path / "model" / "tokenizer.json").write_bytes(b"{}")
    assert keygen(tmp_path, "--tokenizer", "model").code == EXIT_OK
    assert ring_in(tmp_path).keys[0].tokenizer_sha256 == hashlib.sha256(b"{}").hexdigest()


def test_two_keygens_have_different_masters(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run("watermark", "keygen", "--ring", name, cwd=tmp_path)
    one, two = ring_in(tmp_path, "one"), ring_in(tmp_path, "two")
    assert one.master != two.master
    assert one.keys[0].id != two.keys[0].id


def test_the_same_key_twice_is_refused_and_the_ring_is_left_as_it_was(tmp_path: Path) -> None:
    keygen(tmp_path, "--model", "m")
    before = (tmp_path / "a.ring").read_bytes()
    ran = keygen(tmp_path, "--model", "m", "--json")
    assert ran.code not in (EXIT_OK, 130)
    assert code_of(ran) == "key-unusable"
    assert (tmp_path / "a.ring").read_bytes() == before


def test_a_key_in_use_is_imported_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("15485863\n")
    scheme = ("--scheme", "transformers-kgw-lefthash")
    assert keygen(tmp_path, *scheme, "--import-key", "key").code == EXIT_OK
    assert ring_in(tmp_path).keys[0].integers == (15485863,)
    (tmp_path / "key").write_text("secret\n")
    ran = keygen(tmp_path, *scheme, "--import-key", "key", "--json")
    assert code_of(ran) == "key-unusable"
    assert "secret" not in ran.out + ran.err
    (tmp_path / "key").write_text("1\n")
    assert code_of(keygen(tmp_path, "--import-key", "key", "--json")) == "scheme-parameters"


def test_an_encrypted_ring_stays_encrypted(tmp_path: Path) -> None:
    secret = pyrage.x25519.Identity.generate()
    recipient, identity = str(secret.to_public()), str(secret)
    (tmp_path / "id").write_text(identity)
    ran = keygen(tmp_path, "--age-recipient", recipient, "--detector-ring", "d.ring", "--json")
    assert ran.document["encrypted"] is True
    assert "not encrypted" not in ran.err
    for name in ("a.ring", "d.ring"):
        assert (tmp_path / name).read_bytes().startswith(b"age-encryption.org/v1\n")
    before = (tmp_path / "a.ring").read_bytes()
    locked = keygen(tmp_path, "--epoch", "2", "--age-recipient", recipient, "--json")
    assert code_of(locked) == "key-ring-locked"
    bare = keygen(tmp_path, "--epoch", "2", "--age-identity", "id", "--json")
    assert (bare.code, code_of(bare)) == (EXIT_USAGE, "usage")
    assert (tmp_path / "a.ring").read_bytes() == before
    both = ("--age-identity", "id", "--age-recipient", recipient)
    assert keygen(tmp_path, "--epoch", "2", *both).code == EXIT_OK
    assert len(ring_in(tmp_path, identity=identity).keys) == 2


def test_a_detectors_ring_has_the_one_key_and_no_master(tmp_path: Path) -> None:
    keygen(tmp_path, "--epoch", "1")
    keygen(tmp_path, "--epoch", "2", "--detector-ring", "d.ring")
    ring, copy = ring_in(tmp_path), ring_in(tmp_path, "d.ring")
    assert copy.master is None
    assert [key.id for key in copy.keys] == [ring.keys[1].id]
    assert copy.keys[0].secret(Purpose.MARK) == ring.keys[1].secret(Purpose.MARK)
    ran = run("watermark", "keygen", "--ring", "d.ring", "--epoch", "3", "--json", cwd=tmp_path)
    assert code_of(ran) == "key-unusable"


def test_files_that_would_be_lost_stop_keygen_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    for option in ("--descriptor", "--detector-ring"):
        ran = keygen(tmp_path, option, "there", "--json")
        assert code_of(ran) == "file-exists"
        assert keygen(tmp_path, option, "a.ring", "--json").code == EXIT_USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--scheme", "no-such"), "usage"),
        (("--parameter", "width"), "usage"),
        (("--parameter", "width=15"), "scheme-parameters"),
        (("--parameter", "width=2.5"), "scheme-parameters"),
        (("--parameter", "depth=2"), "scheme-parameters"),
        (("--model", "a\u200b"), "scheme-parameters"),
        (("--model-digest", "abc"), "scheme-parameters"),
        (("--not-before", "soon"), "usage"),
        (("--not-before", "2026-01-02", "--not-after", "2026-01-01"), "scheme-parameters"),
        (("--age-recipient", "age1x"), "key-unusable"),
        (("--ring", "no/such/folder/a.ring"), "io-error"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    tmp_path: Path, arguments: tuple[str, ...], code: str
) -> None:
    ran = keygen(tmp_path, *arguments, "--json", "--descriptor", "d.json")
    assert ran.code not in (EXIT_OK, 130)
    assert code_of(ran) == code
    assert list(tmp_path.iterdir()) == []


def test_a_ring_that_is_damaged_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.ring").write_text("{}")
    ran = keygen(tmp_path, "--json")
    assert code_of(ran) == "malformed-key-ring"
    assert (tmp_path / "a.ring").read_text() == "{}"


def test_a_ring_that_others_can_read_is_told(tmp_path: Path) -> None:
    keygen(tmp_path)
    (tmp_path / "a.ring").chmod(0o644)
    ran = keygen(tmp_path, "--epoch", "2")
    assert "chmod 600 a.ring" in ran.err
    assert (tmp_path / "a.ring").stat().st_mode & 0o777 == 0o600


def test_a_descriptor_is_signed_and_verified_like_any_file(tmp_path: Path) -> None:
    keygen(tmp_path, "--model", "acme-7b", "--descriptor", "mark.json")
    data = (tmp_path / "mark.json").read_bytes()
    assert data == encode_descriptor(describe(ring_in(tmp_path).keys[0]))
    assert b"acme" not in data
    for name in ("release", "stranger"):
        run("keygen", name, cwd=tmp_path)
    assert run("sign", "mark.json", "--private-key", "release.key", cwd=tmp_path).code == EXIT_OK
    trusted = ("verify", "mark.json", "--public-key", "release.pub")
    assert run(*trusted, cwd=tmp_path).code == EXIT_OK
    assert parse_descriptor(data).id == ring_in(tmp_path).keys[0].id
    stranger = ("verify", "mark.json", "--public-key", "stranger.pub")
    assert run(*stranger, cwd=tmp_path).code == 12
    (tmp_path / "mark.json").write_bytes(data.replace(b'"width":2', b'"width":3'))
    assert run(*trusted, cwd=tmp_path).code == 11


def vllm_config(folder: Path, *arguments: str) -> Ran:
    return run("watermark", "vllm-config", "--keys", "a.ring", *arguments, cwd=folder)


def test_vllm_config_is_the_json_that_vllm_takes(tmp_path: Path) -> None:
    keygen(tmp_path, "--scheme", "vllm-gumbel-philox-v1", "--parameter", "context_width=2")
    key = ring_in(tmp_path).keys[0]
    ran = vllm_config(tmp_path)
    assert ran.code == EXIT_OK
    expected = {
        "algorithm": "gumbel",
        "key": key.integers[0],
        "context_width": 2,
        "prf": "philox",
    }
    assert json.loads(ran.out) == expected
    document = vllm_config(tmp_path, "--key-id", key.id, "--json").document
    assert (document["key_id"], document["config"]) == (key.id, expected)
    assert "secret key" in ran.err


def test_vllm_config_of_two_keys_has_their_share(tmp_path: Path) -> None:
    keygen(tmp_path, "--scheme", "vllm-gumbel-dual-v1", "--parameter", "alpha=0.25")
    config = json.loads(vllm_config(tmp_path, "-q").out)
    assert (config["algorithm"], config["alpha"]) == ("dual_key_gumbel", 0.25)


def test_vllm_config_names_one_key_that_vllm_has_and_that_marks_now(tmp_path: Path) -> None:
    keygen(tmp_path)
    assert vllm_config(tmp_path, "--json").code == EXIT_USAGE
    own = ring_in(tmp_path).keys[0].id
    assert code_of(vllm_config(tmp_path, "--key-id", own, "--json")) == "key-unusable"
    assert code_of(vllm_config(tmp_path, "--key-id", "0" * 16, "--json")) == "key-unusable"
    for window in ("--not-after", "--not-before"):
        date = "2020-01-01" if window == "--not-after" else "2999-01-01"
        keygen(tmp_path, "--scheme", "vllm-gumbel-hmac-v1", window, date)
        outside = ring_in(tmp_path).keys[-1].id
        ran = vllm_config(tmp_path, "--key-id", outside, "--json")
        assert code_of(ran) == "key-unusable"
        assert date in ran.out
    assert vllm_config(tmp_path, "--json").code == EXIT_USAGE
