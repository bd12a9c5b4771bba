"""Writing to a file while somebody else reads it, so that it can be seen."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["later_than", "overwrite"]


def overwrite(file: Path, offset: int, *, keep_mtime: bool = False) -> None:
    """Write four bytes in place; `keep_mtime` as somebody who does not want to be seen would."""
    before = file.stat()
    with file.open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"evil")
    if keep_mtime:
        later_than(before.st_ctime_ns, file)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def later_than(ctime_ns: int, file: Path) -> None:
    """Wait for the kernel's clock to tick, so that the next change cannot share its time."""
    probe = file.with_name(".probe")
    try:
        while True:
            probe.write_bytes(b"x")
            if probe.stat().st_ctime_ns > ctime_ns:
                return
            probe.unlink()
    finally:
        probe.unlink()
