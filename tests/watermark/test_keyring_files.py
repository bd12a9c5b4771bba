"""Rings on disk: who can read them, what opens them, and that none is ever half a ring."""

import multiprocessing
from pathlib import Path

import pyrage  # type: ignore[import-not-found, import-untyped, unused-ignore]
import pytest

from countermark.signing.errors import FileExistsRefusedError
from countermark.watermark.errors import KeyUseError, LockedRingError, MalformedRingError
from countermark.watermark.keyring_files import (
    Protection,
    RingWarning,
    load_ring,
    save_ring,
)
from countermark.watermark.keyring_json import encode_ring
from support.in_processes import add_to_ring, one_key


def identity() -> tuple[str, str]:
    """Return an age identity and its recipient."""
    secret = pyrage.x25519.Identity.generate()
    return str(secret), str(secret.to_public())


def test_a_plain_ring_is_its_owners_alone_and_says_that_it_is_plain(tmp_path: Path) -> None:
    path, ring = tmp_path / "a.ring", one_key()
    save_ring(ring, path)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = load_ring(path)
    assert loaded.ring == ring
    assert not loaded.encrypted
    assert loaded.warnings == (RingWarning.NOT_ENCRYPTED,)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_plain_ring_that_others_can_open_says_so(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.ring"
    save_ring(one_key(), path)
    path.chmod(mode)
    assert RingWarning.EXPOSED in load_ring(path).warnings


def test_a_ring_is_not_replaced_unless_that_is_asked_for(tmp_path: Path) -> None:
    path, first, second = tmp_path / "a.ring", one_key(), one_key()
    save_ring(first, path)
    with pytest.raises(FileExistsRefusedError):
        save_ring(second, path)
    assert load_ring(path).ring == first
    save_ring(second, path, replace=True)
    assert load_ring(path).ring == second


def test_a_link_to_a_ring_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "a.ring", tmp_path / "link"
    save_ring(one_key(), path)
    link.symlink_to(path)
    ring = one_key()
    save_ring(ring, link, replace=True)
    assert link.is_symlink()
    assert load_ring(path).ring == ring


def test_a_ring_for_two_recipients_opens_for_either_and_for_nobody_else(tmp_path: Path) -> None:
    path, ring = tmp_path / "a.ring", one_key()
    (first, to_first), (second, to_second), (stranger, _) = identity(), identity(), identity()
    save_ring(ring, path, Protection(recipients=(to_first, to_second)))
    assert b"countermark" not in path.read_bytes()
    path.chmod(0o644)  # Whoever reads it reads nothing.
    for text in (first, f"# created today\n\n{second}\n", f"{stranger}\n{first}"):
        loaded = load_ring(path, Protection(identities=(text,)))
        assert loaded.ring == ring
        assert loaded.encrypted
        assert loaded.warnings == ()
    for protection in (None, Protection(), Protection(identities=(stranger,))):
        with pytest.raises(LockedRingError) as caught:
            load_ring(path, protection)
        assert caught.value.code == "key-ring-locked"


def test_an_armoured_ring_opens_too(tmp_path: Path) -> None:
    path, ring = tmp_path / "a.ring", one_key()
    secret = pyrage.x25519.Identity.generate()
    path.write_bytes(pyrage.encrypt(encode_ring(ring), [secret.to_public()], armored=True))
    assert load_ring(path, Protection(identities=(str(secret),))).ring == ring


def test_a_ring_with_a_passphrase_opens_with_it_only(tmp_path: Path) -> None:
    path, ring = tmp_path / "a.ring", one_key()
    save_ring(ring, path, Protection(passphrase="correct horse"))
    assert load_ring(path, Protection(passphrase="correct horse")).ring == ring
    with pytest.raises(LockedRingError):
        load_ring(path, Protection(passphrase="correct horsf"))


def test_an_encrypted_ring_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    secret, recipient = identity()
    save_ring(one_key(), path, Protection(recipients=(recipient,)))
    data = path.read_bytes()
    for place in (25, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises((LockedRingError, MalformedRingError)):
            load_ring(path, Protection(identities=(secret,)))
    path.write_bytes(data[:-1])
    with pytest.raises(LockedRingError):
        load_ring(path, Protection(identities=(secret,)))


def test_an_encrypted_file_that_is_no_ring_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    secret = pyrage.x25519.Identity.generate()
    path.write_bytes(pyrage.encrypt(b"{}", [secret.to_public()]))
    with pytest.raises(MalformedRingError):
        load_ring(path, Protection(identities=(str(secret),)))


@pytest.mark.parametrize("text", ["", "# nothing\n", "AGE-SECRET-KEY-1QQQ", "age1x", "\x00"])
def test_an_identity_that_is_none_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.ring"
    save_ring(one_key(), path, Protection(recipients=(identity()[1],)))
    with pytest.raises(KeyUseError) as caught:
        load_ring(path, Protection(identities=(text,)))
    assert "QQQ" not in str(caught.value)


def test_a_recipient_that_is_none_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    wrong = [("age1x",), ("",), (identity()[0],)]
    for recipients in wrong:
        with pytest.raises(KeyUseError):
            save_ring(one_key(), path, Protection(recipients=recipients))
    with pytest.raises(KeyUseError):
        save_ring(one_key(), path, Protection(recipients=(identity()[1],), passphrase="x"))
    assert list(tmp_path.iterdir()) == []


def test_keys_added_at_once_by_several_processes_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "a.ring"
    save_ring(one_key("0"), path)
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=add_to_ring, args=(path, str(n))) for n in range(1, 5)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    epochs = sorted(key.labels.epoch for key in load_ring(path).ring.keys)
    assert epochs == ["0", "1", "2", "3", "4"]
