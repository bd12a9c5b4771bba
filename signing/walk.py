"""Which files a model has, wherever people keep models: a folder, a file, a Hub cache.

Enumeration only: names, kinds of place, and for each file the identity (device, inode,
size, times) that the reader must find again when it opens it. So a file or a folder that
is swapped for a link between the walk and the read is noticed, not followed.

Source: OMS v1.0 section 6.1 and 6.2; the cache layout of huggingface_hub 2.x.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Collection, Sequence
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from countermark.signing.errors import (
    ModelNotFoundError,
    SpecialFileError,
    SymlinkError,
    TooLargeError,
    UndecodableNameError,
)
from countermark.signing.names import check_name, check_names, printable

__all__ = [
    "GIT_NAMES",
    "HUB_METADATA",
    "MAX_FILES",
    "FileIdentity",
    "Layout",
    "ModelFile",
    "ModelTree",
    "Skipped",
    "identity_fields",
    "walk",
]

MAX_FILES = 250_000
_ENTRIES_AT_ONCE = 1024

# OMS v1.0 section 6.2: left out by default, at the top of the model only.
GIT_NAMES = frozenset({".git", ".gitignore", ".gitattributes", ".github"})

# What `hf download --local-dir` leaves behind, below the model root.
HUB_METADATA = ".cache/huggingface"


class Layout(Enum):
    """Where the model lies."""

    FOLDER = "folder"
    FILE = "file"
    HUB_SNAPSHOT = "hub-snapshot"


class FileIdentity(NamedTuple):
    """What must not change while we look: device, inode, bytes, and times in ns."""

    dev: int
    ino: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileIdentity:
        """Return the identity that a `stat` call reports."""
        return cls._make(identity_fields(status))


# The same as a plain tuple, which compares with a `FileIdentity`.
identity_fields = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


class ModelFile(NamedTuple):
    """One file of the model.

    Attributes:
        path: POSIX path below the model root; the file's own name for `Layout.FILE`.
        location: Where to open it; in a Hub cache the blob behind the link.
        identity: What opening `location` must lead to.
        executable: Whether anybody may execute it; no signature covers that.

    """

    path: str
    location: str
    identity: FileIdentity
    executable: bool = False


class Skipped(NamedTuple):
    """Something in the model that is not digested.

    Attributes:
        path: POSIX path below the root; ends in `/` for a folder.
        reason: As in `verdict.Uncovered.reason`.

    """

    path: str
    reason: str


class ModelTree(NamedTuple):
    """A model's files, in code point order of their paths."""

    root: str
    name: str
    layout: Layout
    files: tuple[ModelFile, ...]
    skipped: tuple[Skipped, ...]


def walk(
    model: Path,
    *,
    ignored: Sequence[tuple[str, str]] = (),
    allow_symlinks: bool = False,
    exclude: Sequence[Path] = (),
    skip_git: bool = True,
    keep: Collection[str] = (),
) -> ModelTree:
    """Enumerate a model.

    Args:
        model: A folder, a single file, or a snapshot folder of a Hub cache.
        ignored: (POSIX path below the root, reason) pairs to leave out, with all below.
        allow_symlinks: Follow links to files inside the model. Links of a Hub cache into
            its own blobs are always followed, links to folders never.
        exclude: Files to leave out without a word: the signature itself.
        skip_git: Leave out `GIT_NAMES`, as OMS does.
        keep: Those of `GIT_NAMES` and `HUB_METADATA` that belong to the model all the same,
            as somebody signed them.

    Raises:
        ModelNotFoundError: `model` is not there.
        SymlinkError: A link that is not allowed, dangles, or leaves the model.
        SpecialFileError: A FIFO, socket or device.
        UndecodableNameError: A name that is not UTF-8.
        UnsafeNameError: A name that another system would read as a path.
        TooLargeError: More than `MAX_FILES` files.

    """
    root = os.path.realpath(model)
    try:
        status = os.stat(root)
    except OSError as e:
        raise ModelNotFoundError(f"{printable(str(model))}: {e.strerror}") from e
    if stat.S_ISREG(status.st_mode):
        name = check_name(_decodable(os.path.basename(os.path.abspath(model))))
        file = _model_file(name, root, status)
        return ModelTree(root=root, name=name, layout=Layout.FILE, files=(file,), skipped=())
    if not stat.S_ISDIR(status.st_mode):
        raise SpecialFileError(f"{printable(str(model))} is neither a file nor a folder")
    blobs = _hub_blob_folders(root)
    walker = _Walker(
        root=root,
        ignored=ignored,
        link_targets=blobs or ((root,) if allow_symlinks else ()),
        exclude=frozenset(_place(path) for path in exclude),
        left_out=frozenset({HUB_METADATA, *(GIT_NAMES if skip_git else ())}).difference(keep),
    )
    walker.run()
    return ModelTree(
        root=root,
        name=_decodable(os.path.basename(root)) or "model",
        layout=Layout.HUB_SNAPSHOT if blobs else Layout.FOLDER,
        files=tuple(sorted(walker.files, key=attrgetter("path"))),
        skipped=tuple(sorted(walker.skipped, key=attrgetter("path"))),
    )


def _hub_blob_folders(root: str) -> tuple[str, ...]:
    """Return the folders a Hub snapshot's links may lead to; empty if `root` is none.

    A snapshot lies in `<cache>/models--org--name/snapshots/<commit>`; its links lead into
    the repository's own `blobs`, or into the `blobs` that the whole cache shares.
    """
    snapshots = os.path.dirname(root)
    repository = os.path.dirname(snapshots)
    kind, dashes, _ = os.path.basename(repository).partition("--")
    named = dashes and kind in ("models", "datasets", "spaces")
    if os.path.basename(snapshots) != "snapshots" or not named:
        return ()
    cache = os.path.dirname(repository)
    return (os.path.join(repository, "blobs"), os.path.join(cache, "blobs"))


def _place(path: Path) -> str:
    """Return where a file lies; not where it leads to.

    Otherwise a link put in the place of an evidence file would hide whatever it leads to.
    """
    return os.path.join(os.path.realpath(path.parent), path.name)


def _model_file(path: str, location: str, status: os.stat_result) -> ModelFile:
    return ModelFile(path, location, FileIdentity.of(status), bool(status.st_mode & 0o111))


def _decodable(name: str) -> str:
    if not name.isascii():
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as e:
            raise UndecodableNameError(
                f"{printable(name)}: the name is not UTF-8, so no manifest can carry it",
                hint="rename the file",
            ) from e
    return name


def _check_decodable(names: Sequence[str]) -> None:
    if not "".join(names).isascii():
        for name in names:
            _decodable(name)


class _Walker:
    """One walk over one folder; collects `files` and `skipped`."""

    def __init__(
        self,
        *,
        root: str,
        ignored: Sequence[tuple[str, str]],
        link_targets: tuple[str, ...],
        exclude: frozenset[str],
        left_out: frozenset[str],
    ) -> None:
        # By path, as evidence may list many; of several reasons the first given one counts.
        self._ignored: dict[str, tuple[int, str]] = {}
        for rank, (path, reason) in enumerate(ignored):
            self._ignored.setdefault(path, (rank, reason))
        self._left_out = left_out
        self._link_targets = link_targets
        self._exclude = exclude
        self._pending: list[tuple[str, str, tuple[int, str] | None]] = [(root, "", None)]
        self.files: list[ModelFile] = []
        self.skipped: list[Skipped] = []

    def run(self) -> None:
        while self._pending:
            folder, prefix, inherited = self._pending.pop()
            # Too deep for any name below it, and perhaps for the system; each name by itself
            # is checked when it is met.
            check_name(prefix + "x")
            empty = True
            with os.scandir(folder) as listing:
                while entries := list(itertools.islice(listing, _ENTRIES_AT_ONCE)):
                    empty = False
                    names = [entry.name for entry in entries]
                    _check_decodable(names)
                    check_names(names)
                    for entry, name in zip(entries, names, strict=True):
                        self._visit(entry, prefix + name, inherited)
            if empty and prefix:
                self.skipped.append(Skipped(prefix, "empty-directory"))

    def _visit(self, entry: os.DirEntry[str], path: str, inherited: tuple[int, str] | None) -> None:
        ignored = self._ignored.get(path)
        if inherited is not None:
            ignored = min(inherited, ignored or inherited)
        if path in self._left_out:
            self._skip(entry, path, "git" if path in GIT_NAMES else "hub-metadata")
        elif ignored is not None:
            self._ignore(entry, path, ignored)
        elif entry.is_file(follow_symlinks=False):
            if entry.path not in self._exclude:
                self._add(path, entry.path, entry.stat(follow_symlinks=False))
        elif entry.is_symlink():
            self._link(entry, path)
        elif entry.is_dir(follow_symlinks=False):
            self._pending.append((entry.path, path + "/", None))
        else:
            raise SpecialFileError(f"{printable(path)} is a FIFO, socket or device, not a file")

    def _ignore(self, entry: os.DirEntry[str], path: str, ignored: tuple[int, str]) -> None:
        if entry.is_dir(follow_symlinks=False):
            # Descend, since weights or code in an ignored folder must not go unmentioned.
            self._pending.append((entry.path, path + "/", ignored))
        else:
            self._skip(entry, path, ignored[1])

    def _skip(self, entry: os.DirEntry[str], path: str, reason: str) -> None:
        if entry.path in self._exclude:
            return
        if len(self.skipped) >= MAX_FILES:
            raise TooLargeError("model", size=MAX_FILES + 1, limit=MAX_FILES, unit="files")
        folder = entry.is_dir(follow_symlinks=False)
        self.skipped.append(Skipped(path + "/" if folder else path, reason))
        if folder and reason == "hub-metadata":
            self._incomplete_downloads(entry.path, path)

    def _incomplete_downloads(self, folder: str, path: str) -> None:
        """Note what `hf download` began and did not finish."""
        for parent, _, names in os.walk(os.path.join(folder, "download")):
            for name in sorted(names):
                if name.endswith(".incomplete") and len(self.skipped) < MAX_FILES:
                    below = os.path.relpath(os.path.join(parent, name), folder)
                    self.skipped.append(
                        Skipped(f"{path}/{_decodable(below)}", "incomplete-download")
                    )

    def _link(self, entry: os.DirEntry[str], path: str) -> None:
        target = os.path.realpath(entry.path)
        # Only where the evidence itself lies: another name that leads to it is not part of it,
        # and its leaves file is a container that a loader would take for weights.
        if entry.path in self._exclude:
            return
        try:
            status = os.stat(target, follow_symlinks=False)
        except OSError as e:
            raise SymlinkError(f"{printable(path)}: the link leads nowhere") from e
        if stat.S_ISDIR(status.st_mode):
            raise SymlinkError(
                f"{printable(path)}: a link to a folder, whose contents nobody would check",
                hint="replace the link by the folder, or ignore it",
            )
        if not any(target.startswith(folder + os.sep) for folder in self._link_targets):
            where = "outside the model" if self._link_targets else "and links are not allowed"
            raise SymlinkError(
                f"{printable(path)} is a symbolic link {where}",
                hint="replace the link by the file, or see --allow-symlinks",
            )
        if not stat.S_ISREG(status.st_mode):
            raise SpecialFileError(f"{printable(path)} links to something that is not a file")
        self._add(path, target, status)

    def _add(self, path: str, location: str, status: os.stat_result) -> None:
        if len(self.files) >= MAX_FILES:
            raise TooLargeError("model", size=MAX_FILES + 1, limit=MAX_FILES, unit="files")
        self.files.append(_model_file(path, location, status))
