"""What `detect`, `scan` and `report` share: the keys that are tried, on what, and how strictly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from countermark.cli.extras import require_watermark
from countermark.cli.options import EXISTING_FILE, PATH, unset_by_environment
from countermark.cli.output import Output

if TYPE_CHECKING:
    from countermark.watermark.documents import Documents
    from countermark.watermark.judgement import DetectOptions
    from countermark.watermark.keyring import KeyEntry, KeyRing
    from countermark.watermark.prospects import KeyedDetector
    from countermark.watermark.tokenization import Tokenizer
    from countermark.watermark.units import CommonPairs

__all__ = ["Prepared", "prepare", "read_ids", "read_text", "trial_options"]

F = TypeVar("F", bound=Callable[..., object])

_MAX_TEXT_BYTES = 64 << 20
_MAX_COMMON_BYTES = 128 << 20


def trial_options(function: F) -> F:
    """Add the options that `prepare` takes."""
    for option in reversed(
        (
            click.option("--keys", "ring", type=EXISTING_FILE, required=True, help="The key ring."),
            click.option("--tokenizer", type=PATH, help="tokenizer.json, or a folder with one."),
            click.option(
                "--vocabulary",
                type=click.IntRange(1, 1 << 21),
                help="How many token ids there are, with --ids.",
            ),
            click.option(
                "--alpha",
                type=click.FloatRange(0, 1, min_open=True, max_open=True),
                default=1e-6,
                help="Share of unmarked texts that may be called marked.",
            ),
            click.option(
                "--common",
                type=EXISTING_FILE,
                multiple=True,
                help="Commonplaces to leave out, from `calibrate`.",
            ),
            unset_by_environment(
                "--no-common", is_flag=True, help="Leave out no commonplaces that come with us."
            ),
            click.option(
                "--key-id", "key_ids", multiple=True, help="Try this key only. May be given again."
            ),
            click.option(
                "--written-at",
                type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
                help="When the text was written (UTC): only keys that marked then are tried.",
            ),
        )
    ):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything a trial needs but the text.

    Attributes:
        detectors: The keys that are tried.
        skipped: Ids of keys that are not, since they are of another tokenizer.
        options: How strictly.
        vocabulary: How many token ids there are.

    """

    detectors: list[KeyedDetector]
    skipped: tuple[str, ...]
    options: DetectOptions
    vocabulary: int
    loaded: Tokenizer | None

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, where `prepare` was told that there is text."""
        if self.loaded is None:
            raise click.UsageError("text needs --tokenizer")
        return self.loaded


def prepare(
    output: Output,
    *,
    with_text: bool,
    ring: Path,
    tokenizer: Path | None,
    vocabulary: int | None,
    alpha: float,
    common: Sequence[Path],
    no_common: bool,
    key_ids: Sequence[str],
    written_at: datetime | None,
    age_identities: Sequence[Path],
    passphrase_file: Path | None,
) -> Prepared:
    """Load keys, tokenizer and commonplaces, and refuse what does not belong together."""
    from countermark.cli.watermark.rings import open_ring, protection

    require_watermark()
    from countermark.watermark.errors import WrongTokenizerError
    from countermark.watermark.judgement import DetectOptions
    from countermark.watermark.schemes import keyed_detectors
    from countermark.watermark.tokenization import load_tokenizer

    if with_text and tokenizer is None:
        raise click.UsageError("text needs --tokenizer; token ids need --ids and --vocabulary")
    if not with_text and tokenizer is None and vocabulary is None:
        raise click.UsageError("--ids needs --vocabulary, or --tokenizer")
    opened = open_ring(output, ring, protection(age_identities, passphrase_file)).ring
    entries = _entries(opened, key_ids, written_at)
    loaded = None if tokenizer is None else load_tokenizer(tokenizer)
    size = vocabulary or (loaded.vocabulary if loaded else 0)
    tried = tuple(entry for entry in entries if _belongs(entry, loaded, size))
    if not tried:
        raise WrongTokenizerError(
            "every key is for another tokenizer or a smaller vocabulary than this one",
            hint="give the tokenizer.json that the model writes with",
        )
    return Prepared(
        detectors=keyed_detectors(tried, vocabulary=size),
        skipped=tuple(e.id for e in entries if e not in tried),
        options=DetectOptions(
            alpha=alpha, common=_commonplaces(common, loaded, shipped=not no_common)
        ),
        vocabulary=size,
        loaded=loaded,
    )


def read_text(path: Path) -> str:
    """Return a file's text, or standard input's for `-`.

    Raises:
        MalformedInputError: It is too long, or not UTF-8.
        OSError: It cannot be read.

    """
    from countermark.signing.names import printable
    from countermark.watermark.errors import MalformedInputError

    data = _read(path, _MAX_TEXT_BYTES)
    name = printable(str(path))
    if len(data) > _MAX_TEXT_BYTES:
        raise MalformedInputError(
            f"{name}: more than {_MAX_TEXT_BYTES} bytes of text",
            hint="many texts belong into JSONL or a folder, with --out",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise MalformedInputError(f"{name}: not UTF-8, from byte {e.start}") from e


def read_ids(path: Path, vocabulary: int) -> Documents:
    """Return the documents of a file with a JSON list of token ids on each line.

    Raises:
        MalformedInputError: A line is something else, or an id is not in the vocabulary.
        OSError: It cannot be read.

    """
    from countermark.signing import strict_json
    from countermark.signing.errors import MalformedError
    from countermark.signing.names import printable
    from countermark.watermark.documents import Documents
    from countermark.watermark.errors import MalformedInputError

    data = _read(path, _MAX_TEXT_BYTES)
    if len(data) > _MAX_TEXT_BYTES:
        raise MalformedInputError(f"{printable(str(path))}: more than {_MAX_TEXT_BYTES} bytes")
    documents: list[list[int]] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            ids = strict_json.loads(
                line, what=f"line {number}", max_bytes=_MAX_TEXT_BYTES, max_depth=1
            )
        except MalformedError as e:
            raise MalformedInputError(f"line {number} is no JSON list: {e}") from e
        if not isinstance(ids, list) or any(type(one) is not int for one in ids):
            raise MalformedInputError(f"line {number} is not a list of integers")
        documents.append(ids)
    return Documents.of(documents, vocabulary=vocabulary)


def _read(path: Path, limit: int) -> bytes:
    from countermark.cli.files import read_bounded

    return sys.stdin.buffer.read(limit + 1) if str(path) == "-" else read_bounded(path, limit)


def _entries(
    ring: KeyRing, key_ids: Sequence[str], written_at: datetime | None
) -> tuple[KeyEntry, ...]:
    from countermark.watermark.errors import KeyUseError

    entries = tuple(ring.get(name) for name in key_ids) if key_ids else ring.keys
    if written_at is not None:
        moment = written_at.replace(tzinfo=UTC)
        entries = tuple(entry for entry in entries if entry.valid_at(moment))
    if not entries:
        raise KeyUseError("there is no key to try", hint="see 'countermark watermark keygen'")
    return entries


def _belongs(entry: KeyEntry, tokenizer: Tokenizer | None, vocabulary: int) -> bool:
    """Return whether a key can have marked ids of this tokenizer.

    A model may have more ids than its tokenizer, for the sake of round numbers; never fewer.
    """
    if tokenizer is not None and entry.tokenizer_sha256 not in (None, tokenizer.sha256):
        return False
    return entry.vocabulary is None or entry.vocabulary >= vocabulary


def _commonplaces(
    paths: Sequence[Path], tokenizer: Tokenizer | None, *, shipped: bool
) -> dict[int, CommonPairs]:
    """Return tables by context width; a table of the user's own replaces ours."""
    from countermark.cli.files import read_bounded
    from countermark.signing.names import printable
    from countermark.watermark.common_pairs import load_calibration
    from countermark.watermark.errors import WrongTokenizerError
    from countermark.watermark.shipped import shipped_calibrations

    tables = {}
    if shipped and tokenizer is not None:
        for ours in shipped_calibrations(tokenizer.vocabulary_sha256):
            tables[ours.pairs.width] = ours.pairs
    for path in paths:
        calibration = load_calibration(read_bounded(path, _MAX_COMMON_BYTES))
        if tokenizer is not None and calibration.vocabulary_sha256 != tokenizer.vocabulary_sha256:
            raise WrongTokenizerError(
                f"{printable(str(path))} was learnt with another tokenizer",
                hint="make one for this tokenizer with 'countermark watermark calibrate'",
            )
        tables[calibration.pairs.width] = calibration.pairs
    return tables
