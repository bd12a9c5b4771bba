"""A timestamp authority that listens on this machine for as long as a test needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from countermark.cli.cert.timestamp_server import TimestampServer
from countermark.provenance.dev_ca import DevCredentials
from countermark.provenance.timestamping import load_authority


@contextmanager
def timestamp_authority(
    made: DevCredentials, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[TimestampServer]:
    """Serve timestamps of these credentials' authority; `.url` is where."""
    with TimestampServer(load_authority(made.tsa_pem, made.tsa_key_pem), 0, now) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
