"""What commands print: one screen for people, one document for programs.

Results go to standard output, also when they are refusals; notes, hints and progress go to
standard error. Every name that came out of a file is escaped before it gets here.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import click

from countermark import Error

__all__ = ["LostOutputError", "Output", "human_bytes"]

_DIM, _GOOD, _BAD, _NOTE = "bright_black", "green", "red", "yellow"


class LostOutputError(OSError):
    """Standard output cannot be written; nothing else is wrong."""


class Output(NamedTuple):
    """Where and how one command prints.

    Attributes:
        format: `human`, `json` or `quiet`.
        bars: Ends whatever progress bar was drawn; None if none may be.

    """

    format: str
    bars: contextlib.ExitStack | None = None

    def line(self, label: str, text: str, *, tone: str = "") -> None:
        """Print one labelled line of a result, for people."""
        if self.format == "human":
            colour = {"good": _GOOD, "bad": _BAD, "note": _NOTE}.get(tone)
            _tell(f"{_styled(f'{label:<12}', colour, sys.stdout)} {text}")

    def note(self, text: str, hint: str = "") -> None:
        """Print something the reader should know, on standard error."""
        if self.format == "human":
            click.echo(f"{_styled('note:', _NOTE, sys.stderr)} {text}", err=True)
            self.hint(hint)

    def hint(self, hint: str) -> None:
        """Print what to do, on standard error."""
        if hint and self.format == "human":
            click.echo(f"{_styled('  do:', _DIM, sys.stderr)} {hint}", err=True)

    def document(self, document: Mapping[str, object]) -> None:
        """Print the JSON document of a result."""
        if self.format == "json":
            _tell(json.dumps(document, indent=2, ensure_ascii=True))

    def error(self, error: Error, exit_code: int) -> None:
        """Print a refusal that was raised, in this output's format."""
        self.document(
            {
                "schema": "countermark/error/v1",
                "verdict": "error",
                "exit_code": exit_code,
                "error": {"code": error.code, "message": str(error), "hint": error.hint},
            }
        )
        if self.format != "json":
            self.complaint(error.code, str(error))
            if error.hint and self.format == "human":
                click.echo(f"{_styled('  do:', _DIM, sys.stderr)} {error.hint}", err=True)

    def complaint(self, code: str, sentence: str) -> None:
        """Print one line that even `quiet` prints, on standard error."""
        label = _styled(f"error[{code}]:", _BAD, sys.stderr)
        click.echo(f"countermark: {label} {sentence}", err=True)

    def progress_bar(self, what: str) -> Callable[[int, int], None] | None:
        """Return a function that draws (done, total) in bytes, or None if nobody looks."""
        if self.format != "human" or self.bars is None or not sys.stderr.isatty():
            return None
        from countermark.cli.progress import bar

        return bar(what, self.bars)


def _tell(text: str) -> None:
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise LostOutputError(e.errno, e.strerror) from e


def human_bytes(count: int) -> str:
    """Return a length for people: `91.0 MB`, decimal as disks are sold."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _styled(text: str, colour: str | None, stream: object) -> str:
    isatty = getattr(stream, "isatty", lambda: False)
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if colour is None or plain or not isatty():
        return text
    return click.style(text, fg=colour)
