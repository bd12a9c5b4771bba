"""A timestamp authority on the loopback interface: RFC 3161 over HTTP, for this machine only.

It listens on 127.0.0.1 and nowhere else, reads nothing but one small request from each
connection, and keeps none. A web page cannot make a browser ask it: its media type needs a
permission that is never given, and a host name that merely leads here is refused.
"""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from countermark.provenance.timestamping import (
    MAX_REQUEST_BYTES,
    REQUEST_TYPE,
    RESPONSE_TYPE,
    answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from countermark.provenance.timestamping import TimestampAuthority

__all__ = ["HOST", "TimestampServer"]

HOST = "127.0.0.1"
_TIMEOUT_S = 5.0
_MAX_CONNECTIONS = 16
_SERIAL_BITS = 127  # Positive, in 16 octets; drawn anew, so that a restart repeats none.


class TimestampServer(ThreadingHTTPServer):
    """Answers requests until it is shut down.

    Args:
        authority: Who signs.
        port: Where to listen; 0 takes a free one.
        now: The clock that timestamps tell.

    """

    daemon_threads = True
    # Whoever else listens on this port would otherwise be half replaced.
    allow_reuse_port = False

    def __init__(
        self,
        authority: TimestampAuthority,
        port: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.authority = authority
        self.now = now
        self._room = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__((HOST, port), _Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """The address that signers ask."""
        return f"http://{HOST}:{self.port}/"

    def process_request(self, request: socket | tuple[bytes, socket], client: object) -> None:
        """Take a connection if there is room; drop it otherwise."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket | tuple[bytes, socket], client: object
    ) -> None:
        """Answer one connection, and make room again."""
        try:
            super().process_request_thread(request, client)
        finally:
            self._room.release()

    def handle_error(self, request: object, client: object) -> None:
        """Say nothing of a client that hung up; its connection is closed all the same."""


class _Handler(BaseHTTPRequestHandler):
    server: TimestampServer
    server_version = "countermark"
    sys_version = ""
    timeout = _TIMEOUT_S

    def do_POST(self) -> None:
        """Answer a `TimeStampReq`."""
        refusal = self._refusal()
        if refusal is not None:
            self.send_error(refusal)
            return
        request = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        serial = 1 + secrets.randbits(_SERIAL_BITS)
        response = answer(request, server.authority, server.now(), serial)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", RESPONSE_TYPE)
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there.
        """Write no log."""

    def _refusal(self) -> HTTPStatus | None:
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Host") not in (
            f"{HOST}:{self.server.port}",
            f"localhost:{self.server.port}",
        ):
            return HTTPStatus.MISDIRECTED_REQUEST
        kinds = self.headers.get_all("Content-Type", [])
        if len(kinds) != 1 or self.headers.get_content_type() != REQUEST_TYPE:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if "Transfer-Encoding" in self.headers or len(lengths) != 1 or not _is_number(lengths[0]):
            return HTTPStatus.LENGTH_REQUIRED
        if int(lengths[0]) > MAX_REQUEST_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
