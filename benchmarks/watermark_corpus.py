"""Gather 100 MB and more of text that people wrote, from Debian's documentation packages.

False positives can only be counted on text that nobody marked. Debian ships books, manuals,
dictionaries and reference pages, in every mirror, signed, and older than any watermark. This script
downloads the packages (`apt-get download`: needs no root, installs nothing), unpacks them
(`dpkg-deb -x`), strips markup and drops every paragraph that occurred before, wherever it was.

    python benchmarks/watermark_corpus.py CACHE                     text, about 3 minutes
    python benchmarks/watermark_corpus.py CACHE --tokenizer FILE    and token ids, 5 minutes more

CACHE then holds prose.jsonl and technical.jsonl (a document per line: source, text), corpus.json
(packages with their versions, bytes, digests) and ids.npz (see `tokenize`). The same package
versions give the same bytes. Debian 12 (bookworm) is what the figures in README.md are of.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from plain_text import READERS, read_bytes

CATEGORIES = ("prose", "technical")
MIN_PARAGRAPH_CHARS = 20  # Shorter ones are headings, labels and rows of navigation.
MIN_DOCUMENT_CHARS = 400
_MB = 1_000_000
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Source:
    """Where in one package its English text is.

    Attributes:
        package: Debian binary package.
        category: prose, or technical.
        reader: Key of `plain_text.READERS`.
        patterns: Globs below `usr/share` of the package.
        cap_bytes: How much of it counts, so that no one source outweighs the others.

    """

    package: str
    category: str
    reader: str
    patterns: tuple[str, ...]
    cap_bytes: int = 1_000 * _MB


SOURCES = (
    Source("anarchism", "prose", "html", ("doc/anarchism/html/*.html",)),
    Source("debian-handbook", "prose", "html", ("doc/debian-handbook/html/en-US/*.html",)),
    Source("harden-doc", "prose", "html", ("doc/harden-doc/html/en-US/*.html",)),
    Source("fortunes", "prose", "fortunes", ("games/fortunes/*[!t]", "games/fortunes/*[!a]t")),
    Source("jargon-text", "prose", "text", ("doc/jargon-text/jargon.txt.gz",)),
    Source("debian-faq", "prose", "html", ("doc/debian/FAQ/*.html",)),
    Source("developers-reference", "prose", "html", ("developers-reference/[!d]*.html",)),
    Source("dict-foldoc", "prose", "dictionary", ("dictd/foldoc.dict.dz",)),
    Source("dict-gcide", "prose", "dictionary", ("dictd/gcide.dict.dz",), 8 * _MB),
    Source("linux-doc-6.1", "technical", "html", ("doc/linux-doc-6.1/html/**/*.html",)),
    Source("linux-doc-6.1", "technical", "text", ("doc/linux-doc-6.1/Documentation/**/*.txt.gz",)),
    Source("python3.11-doc", "technical", "html", ("doc/python3.11/html/**/*.html",)),
    Source("postgresql-doc-15", "technical", "html", ("doc/postgresql-doc-15/html/*.html",)),
    Source("perl-doc", "technical", "pod", ("perl/5.36.0/pod/*.pod", "perl/5.36.0/**/*.pod")),
    Source("emacs-common", "technical", "text", ("emacs/*/etc/*NEWS*", "emacs/*/etc/PROBLEMS")),
    Source("git-doc", "technical", "html", ("doc/git-doc/**/*.html",)),
    Source("apache2-doc", "technical", "html", ("doc/apache2-doc/manual/en/**/*.html",)),
    Source("debian-reference-en", "technical", "html", ("debian-reference/*.en.html",)),
    Source("debian-policy", "technical", "html", ("doc/debian-policy/policy.html/*.html",)),
    Source("manpages", "technical", "man", ("man/man*/*.gz",)),
    Source("manpages-dev", "technical", "man", ("man/man*/*.gz",)),
    Source("cmake-doc", "technical", "html", ("doc/cmake-data/html/**/*.html",)),
    Source("python-django-doc", "technical", "html", ("doc/python-django-doc/html/**/*.html",)),
    Source("sqlite3-doc", "technical", "html", ("doc/sqlite3/**/*.html",)),
    Source("vim-doc", "technical", "html", ("doc/vim/html/*.html",)),
    Source("wireshark-doc", "technical", "html", ("doc/wireshark/**/*.html",)),
    Source("postfix-doc", "technical", "html", ("doc/postfix/html/*.html",)),
    Source("bind9-doc", "technical", "html", ("doc/bind9-doc/**/*.html",)),
    Source("gimp-help-en", "technical", "html", ("gimp/2.0/help/en/*.html",)),
    Source("libreoffice-help-en-us", "technical", "html", ("libreoffice/help/*/text/**/*.html",)),
    Source("gnome-user-docs", "technical", "html", ("help/C/**/*.page", "help/C/**/*.docbook")),
)  # fmt: skip


class _Seen:
    """Digests of paragraphs met so far, over all documents."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def keep(self, paragraphs: Sequence[str]) -> list[str]:
        """Return those that are long enough and new."""
        kept = []
        for raw in paragraphs:
            paragraph = raw.strip("\n").rstrip()
            digest = hashlib.blake2b(paragraph.strip().encode(), digest_size=12).digest()
            if len(paragraph) >= MIN_PARAGRAPH_CHARS and digest not in self._digests:
                self._digests.add(digest)
                kept.append(paragraph)
        return kept


def download(packages: Sequence[str], folder: Path) -> dict[str, Path]:
    """Fetch the packages that `folder` has not yet; return the file of each."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [p for p in packages if not list(folder.glob(f"{p}_*.deb"))]
    if missing:
        print(f"downloading {len(missing)} packages", flush=True)
        subprocess.run(["apt-get", "download", "-q", *missing], cwd=folder, check=True)
    return {p: max(folder.glob(f"{p}_*.deb")) for p in packages}


def documents(source: Source, root: Path, seen: _Seen) -> Iterator[tuple[str, str]]:
    """Yield name and text of every document of `source` in the package unpacked at `root`."""
    share, left = root / "usr/share", source.cap_bytes
    # One file may match twice, or be a link to another.
    paths = {p.resolve() for pattern in source.patterns for p in share.glob(pattern)}
    for path in sorted(p for p in paths if p.is_file() and p.is_relative_to(share.resolve())):
        for paragraphs in READERS[source.reader](read_bytes(path)):
            text = "\n\n".join(seen.keep(paragraphs))
            if len(text) < MIN_DOCUMENT_CHARS:
                continue
            left -= len(text.encode())
            if left < 0:
                return
            yield f"{source.package}/{path.relative_to(share.resolve())}", text


def gather(folder: Path) -> dict[str, object]:
    """Write the text of every category, and return what corpus.json says."""
    debs = download(list(dict.fromkeys(s.package for s in SOURCES)), folder / "packages")
    seen, bytes_of = _Seen(), dict.fromkeys((s.package for s in SOURCES), 0)
    about: dict[str, object] = {"packages": {p: deb.stem for p, deb in debs.items()}}
    for category in CATEGORIES:
        total, count, digest = 0, 0, hashlib.sha256()
        part = folder / f"{category}.part"
        with part.open("wb") as out:
            for source in (s for s in SOURCES if s.category == category):
                for name, text in _unpacked(source, debs[source.package], seen):
                    line = json.dumps({"source": name, "text": text}, ensure_ascii=False)
                    data = line.encode(errors="replace") + b"\n"
                    out.write(data)
                    digest.update(data)
                    size = len(text.encode(errors="replace"))
                    total, count = total + size, count + 1
                    bytes_of[source.package] += size
                print(f"{category}: {source.package} {bytes_of[source.package] / _MB:.1f} MB")
        part.rename(folder / f"{category}.jsonl")
        about[category] = {"bytes": total, "documents": count, "sha256": digest.hexdigest()}
    about["bytes_of_package"] = bytes_of
    return about


def _unpacked(source: Source, deb: Path, seen: _Seen) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="corpus-") as scratch:
        subprocess.run(["dpkg-deb", "-x", str(deb), scratch], check=True)
        yield from documents(source, Path(scratch), seen)


def tokenize(folder: Path, tokenizer_file: Path) -> int:
    """Write ids.npz and return the number of tokens.

    tokens uint32 [N]; starts int64 [D + 1], document d is tokens[starts[d]:starts[d + 1]];
    category uint8 [D], an index into `CATEGORIES`; source str [D]. Special tokens are not added.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    ids: list[np.ndarray] = []
    categories: list[int] = []
    names: list[str] = []
    for number, category in enumerate(CATEGORIES):
        with (folder / f"{category}.jsonl").open(encoding="utf-8") as lines:
            for batch in _batches(json.loads(line) for line in lines):
                texts = [str(row["text"]) for row in batch]
                encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
                ids += [np.asarray(e.ids, np.uint32) for e in encoded]
                categories += [number] * len(batch)
                names += [str(row["source"]) for row in batch]
                print(f"\r{category}: {len(ids)} documents", end="", flush=True)
        print()
    starts = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(i) for i in ids], out=starts[1:])
    np.savez_compressed(
        folder / "ids.npz",
        tokens=np.concatenate(ids),
        starts=starts,
        category=np.asarray(categories, np.uint8),
        source=np.asarray(names),
    )
    return int(starts[-1])


def _batches(rows: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    batch: list[dict[str, str]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def main() -> int:
    """Gather text unless CACHE has it; tokenise if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cache", type=Path)
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json")
    arguments = parser.parse_args()
    folder: Path = arguments.cache
    summary = folder / "corpus.json"
    if not summary.is_file():
        try:
            about = gather(folder)
        except (subprocess.CalledProcessError, FileNotFoundError) as e:
            print(
                f"watermark_corpus: needs apt-get and dpkg-deb of Debian 12: {e}", file=sys.stderr
            )
            return 2
        summary.write_text(json.dumps(about, indent=1) + "\n")
    print(summary.read_text())
    if arguments.tokenizer is not None:
        print(f"{tokenize(folder, arguments.tokenizer):,} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
