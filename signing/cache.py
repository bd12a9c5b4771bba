"""Digests remembered between runs: opt-in, authenticated, and always said aloud.

An entry says: the file that had this device, inode, length and these times had these
digests. It is as good as the file system's times: whoever can write the disk directly, or
set the clock, can fool it, which is why nothing uses a cache unless told to and every
verdict counts what came out of one. Whoever can write the cache file but lacks the key
cannot fool anybody: the whole file carries an HMAC-SHA256 (specs/digest-cache-v1).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from countermark.signing import strict_json
from countermark.signing.atomic import write_file
from countermark.signing.digest import FileDigest, Job, digest_files
from countermark.signing.errors import CacheError, MalformedError
from countermark.signing.names import printable
from countermark.signing.walk import FileIdentity

__all__ = [
    "BLOCKS",
    "MAX_CACHE_BYTES",
    "MAX_ENTRIES",
    "MIN_CACHE_KEY_BYTES",
    "DigestCache",
    "read_all",
]

MAX_CACHE_BYTES = 256 * 1024 * 1024
MAX_ENTRIES = 500_000  # Beyond, only the files of the last run are kept.
MIN_CACHE_KEY_BYTES = 32
BLOCKS = "blake3-blocks"

_FORMAT = "countermark-digest-cache-v1"
_HEX = re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{64})?")
# A file written again within its time stamp's resolution would look unchanged. The
# coarsest resolution in use is FAT's and old NFS's two seconds.
_SETTLE_NS = 2_000_000_000


class DigestCache:
    """Digests by file identity, loaded from one file and saved to it.

    Args:
        path: Where `save` writes.
        key: Secret of at least `MIN_CACHE_KEY_BYTES` bytes that authenticates the file.
        clock_ns: The time now, in ns since 1970, by the clock that stamps the files.

    """

    def __init__(
        self, path: Path, key: bytes, *, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        if len(key) < MIN_CACHE_KEY_BYTES:
            raise CacheError(f"a cache key of {len(key)} bytes, expected {MIN_CACHE_KEY_BYTES}")
        self._path = path
        self._key = key
        self._clock_ns = clock_ns
        self._entries: dict[str, dict[str, str]] = {}
        self._seen: set[str] = set()
        self._changed = False

    @classmethod
    def load(
        cls, path: Path, key: bytes, *, clock_ns: Callable[[], int] = time.time_ns
    ) -> DigestCache:
        """Read a cache; a file that is not there is an empty one.

        Raises:
            CacheError: The file is damaged, or was not written with this key.

        """
        cache = cls(path, key, clock_ns=clock_ns)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_CACHE_BYTES + 1)
        except FileNotFoundError:
            return cache
        try:
            document = strict_json.loads(data, what="digest cache", max_bytes=MAX_CACHE_BYTES)
        except MalformedError as e:
            raise _unusable(path, str(e)) from e
        match document:
            case {"format": str(kind), "mac": str(mac), "entries": dict(entries), **rest} if (
                kind == _FORMAT and not rest
            ):
                pass
            case _:
                raise _unusable(path, "not a digest cache")
        if not hmac.compare_digest(mac.encode(), cache._mac(entries).encode()):
            raise _unusable(path, "it was not written with this machine's cache key")
        cache._entries = {str(name): _digests(path, row) for name, row in entries.items()}
        return cache

    def lookup(self, identity: FileIdentity) -> dict[str, str]:
        """Return what is known of this very file: algorithm (or `BLOCKS`) to hex digest."""
        name = _name(identity)
        self._seen.add(name)
        return self._entries.get(name, {})

    def remember(self, digest: FileDigest) -> None:
        """Keep a digest, unless the file is so fresh that its times prove nothing."""
        identity = digest.file.identity
        if max(identity.mtime_ns, identity.ctime_ns) > self._clock_ns() - _SETTLE_NS:
            return
        entry = dict(self.lookup(identity))
        if digest.digest:
            entry[digest.algorithm] = digest.digest
        if digest.tree is not None:
            entry[BLOCKS] = digest.tree.block_root.hex()
        if entry != self.lookup(identity):
            self._entries[_name(identity)] = entry
            self._changed = True

    def save(self) -> None:
        """Write the cache if anything is new; what this run did not see may be forgotten."""
        if self._changed:
            if len(self._entries) > MAX_ENTRIES:
                seen = self._seen
                self._entries = {k: row for k, row in self._entries.items() if k in seen}
            document = {
                "format": _FORMAT,
                "mac": self._mac(self._entries),
                "entries": self._entries,
            }
            write_file(self._path, strict_json.dumps(document), mode=0o600)
            self._changed = False

    def _mac(self, entries: object) -> str:
        message = _FORMAT.encode() + b"\n" + strict_json.dumps(entries)
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def read_all(
    jobs: Sequence[Job],
    *,
    cache: DigestCache | None,
    progress: Callable[[int, int], None] | None,
    mapped: bool,
) -> list[FileDigest]:
    """Digest files, report (bytes read, bytes to read), and let the cache learn."""
    total = 0 if progress is None else sum(job.file.identity.size_bytes for job in jobs)
    digests = digest_files(
        jobs,
        progress=None if progress is None else lambda done: progress(done, total),
        mapped=mapped,
    )
    if cache is not None:
        for digest in digests:
            cache.remember(digest)
    return digests


def _name(identity: FileIdentity) -> str:
    return (
        f"{identity.dev}:{identity.ino}:{identity.size_bytes}:"
        f"{identity.mtime_ns}:{identity.ctime_ns}"
    )


def _digests(path: Path, row: object) -> dict[str, str]:
    if isinstance(row, dict) and all(
        isinstance(value, str) and _HEX.fullmatch(value) for value in row.values()
    ):
        return {str(name): str(value) for name, value in row.items()}
    raise _unusable(path, "an entry is not a set of digests")


def _unusable(path: Path, reason: str) -> CacheError:
    return CacheError(
        f"digest cache {printable(str(path))}: {reason}",
        hint="delete the file; it is made anew by the next run",
    )
