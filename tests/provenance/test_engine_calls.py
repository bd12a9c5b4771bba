"""An interrupt while c2pa works is one, whatever c2pa was in the middle of."""

import io
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from countermark.provenance.definition import ContentRequest
from countermark.provenance.engine import read_report
from countermark.provenance.engine_calls import ask_caller, interruptible
from countermark.provenance.errors import MalformedContentError, SignerRefusedError
from countermark.provenance.identity import CallbackIdentity
from countermark.provenance.sign import sign_file
from support.credentials import make_credentials
from support.media import signed, unsigned
from support.trusted import identity_of

REQUEST = ContentRequest(source_type="digitalCreation")


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    assert threading.active_count() == 1


class Interrupting(io.BytesIO):
    """Content whose n-th read is interrupted, and goes on as if nothing had happened."""

    def __init__(self, data: bytes, read: int) -> None:
        super().__init__(data)
        self.left = read

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        self.left -= 1
        if not self.left:
            interrupt()
        return super().readinto(buffer)


@pytest.mark.parametrize("read", [1, 2, 5, 10])
def test_reading_that_is_interrupted_ends_in_an_interrupt(read: int) -> None:
    source = Interrupting(signed("png")[0], read)
    with pytest.raises(KeyboardInterrupt):
        read_report("image/png", source)
    assert source.left <= 0, "it was never interrupted"


def test_reading_that_is_not_interrupted_ends_in_a_report() -> None:
    source = Interrupting(signed("png")[0], -1)
    assert "claim" in read_report("image/png", source)


@pytest.mark.parametrize("name", ["png", "txt"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_signing_that_is_interrupted_leaves_nothing(name: str, moment: str, tmp_path: Path) -> None:
    path = tmp_path / f"content.{name}"
    path.write_bytes(unsigned("png") if name == "png" else b"Some words.\n")
    credentials = make_credentials()
    key = serialization.load_pem_private_key(credentials.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    callers = []

    def sign(message: bytes) -> bytes:
        callers.append(threading.current_thread())
        if moment == "before":
            interrupt()
        signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
        if moment == "after":
            interrupt()
        return signature

    identity = CallbackIdentity(chain=credentials.chain_pem, algorithm="es256", sign=sign)
    with pytest.raises(KeyboardInterrupt):
        sign_file(path, tmp_path / "out", REQUEST, identity)
    assert callers == [threading.main_thread()]
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_signer_that_fails_is_still_said_to_have_failed(tmp_path: Path) -> None:
    def sign(_: bytes) -> bytes:
        raise ValueError("no token")

    path = tmp_path / "content.png"
    path.write_bytes(unsigned("png"))
    credentials = make_credentials()
    identity = CallbackIdentity(chain=credentials.chain_pem, algorithm="es256", sign=sign)
    with pytest.raises(SignerRefusedError, match="no token"):
        sign_file(path, tmp_path / "out", REQUEST, identity)


def test_a_stream_fails_once_nobody_waits_and_never_says_that_a_file_ended() -> None:
    entered = threading.Event()

    def work(call: object) -> bytes:
        stream = call.stream(io.BytesIO(b"data"))  # type: ignore[attr-defined]
        assert stream.read(1) == b"d"
        interrupt()
        entered.wait(60)  # Until the thread that waits has noticed.
        for use in (stream.read, stream.flush, lambda: stream.seek(0), lambda: stream.write(b"x")):
            with pytest.raises(InterruptedError):
                use()
        with pytest.raises(InterruptedError):
            ask_caller(lambda: b"signature")
        return b"not wanted"

    def noticed(_number: int, _frame: object) -> None:
        threading.Timer(0.1, entered.set).start()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, noticed)
    try:
        with pytest.raises(KeyboardInterrupt):
            interruptible(work)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("in_thread", [False, True])
def test_errors_and_results_come_through_from_any_thread(in_thread: bool, tmp_path: Path) -> None:
    path = tmp_path / "content.txt"
    path.write_text("Some words.\n")
    raised: list[Exception] = []

    def use() -> None:
        sign_file(path, tmp_path / "out", REQUEST, identity_of(make_credentials()))
        try:
            read_report("image/png", io.BytesIO(signed("png")[0][:-30]))
        except MalformedContentError as e:
            raised.append(e)

    if in_thread:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    else:
        use()
    assert (tmp_path / "out").exists()
    assert len(raised) == 1
