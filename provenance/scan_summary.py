"""What a scan found, counted while it runs, in memory that does not grow with the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from countermark.signing.names import printable

__all__ = ["Count", "Noted", "ScanSummary", "Tally"]

_MOST_NAMES: Final = 10_000
_MOST_NOTED: Final = 1_000
_MAX_TEXT: Final = 200
_REST: Final = "(others)"
_FINE: Final = ("verified", "nothing-to-verify")


class Count(NamedTuple):
    """How many files one name stands for."""

    name: str
    files: int


class Noted(NamedTuple):
    """A file that somebody may want to look at; every text is escaped."""

    file: str
    verdict: str
    code: str
    sentence: str


class ScanSummary(NamedTuple):
    """What a scan found.

    Attributes:
        files: How many files were looked at, those before it was resumed included.
        resumed: How many of them before.
        verdicts: By verdict, the most frequent first, as all that follow.
        codes: By the code of the decisive check.
        signers: By signer; files without a manifest are not counted.
        sources: By digital source type, of files with a manifest.
        models: By the name of the model that they say made them.
        media_types: Of all files.
        noted: Files whose verdict is neither `verified` nor `nothing-to-verify`; 1000 at most.
        not_noted: How many more there are.

    """

    files: int
    resumed: int
    verdicts: tuple[Count, ...]
    codes: tuple[Count, ...]
    signers: tuple[Count, ...]
    sources: tuple[Count, ...]
    models: tuple[Count, ...]
    media_types: tuple[Count, ...]
    noted: tuple[Noted, ...]
    not_noted: int

    def of(self, verdict: str) -> int:
        """Return how many files got a verdict."""
        return next((count.files for count in self.verdicts if count.name == verdict), 0)


class Tally:
    """Counts lines of a scan."""

    def __init__(self) -> None:
        self.files = 0
        self._verdicts: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._signers: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._media_types: Counter[str] = Counter()
        self._noted: list[Noted] = []
        self._not_noted = 0

    def add(self, line: Mapping[str, object]) -> None:
        """Count one line."""
        self.files += 1
        verdict = _text(line.get("verdict"))
        _count(self._verdicts, verdict)
        _count(self._codes, _text(line.get("code")))
        _count(self._media_types, _text(line.get("media_type")) or "(unread)")
        if "manifest" in line:
            signer, disclosure = _members(line.get("signer")), _members(line.get("disclosure"))
            _count(self._signers, _signer(signer))
            source = _text(disclosure.get("digital_source_type"))
            _count(self._sources, source or "(not disclosed)")
            model = _text(disclosure.get("model_name"))
            if model:
                _count(self._models, model)
        if verdict not in _FINE:
            self._note(line, verdict)

    def _note(self, line: Mapping[str, object], verdict: str) -> None:
        if len(self._noted) >= _MOST_NOTED:
            self._not_noted += 1
            return
        code, sentence = _text(line.get("code")), _text(line.get("sentence"))
        file = printable(str(line.get("file")))
        self._noted.append(Noted(file, verdict, code, sentence))

    def summary(self, *, resumed: int) -> ScanSummary:
        """Return what was counted."""
        return ScanSummary(
            files=self.files,
            resumed=resumed,
            verdicts=_sorted(self._verdicts),
            codes=_sorted(self._codes),
            signers=_sorted(self._signers),
            sources=_sorted(self._sources),
            models=_sorted(self._models),
            media_types=_sorted(self._media_types),
            noted=tuple(self._noted),
            not_noted=self._not_noted,
        )


def _count(counter: Counter[str], name: str) -> None:
    # Names come out of files: a million different ones must not fill the memory.
    if name not in counter and len(counter) >= _MOST_NAMES:
        name = _REST
    counter[name] += 1


def _sorted(counter: Counter[str]) -> tuple[Count, ...]:
    return tuple(
        Count(name, files)
        for name, files in sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    )


def _signer(signer: Mapping[str, object]) -> str:
    parts = (_text(signer.get("organization")), _text(signer.get("common_name")))
    return ": ".join(part for part in parts if part) or "(nobody named)"


def _members(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return printable(value)[:_MAX_TEXT] if isinstance(value, str) else ""
