"""The one command: it finds the verb, runs it, and exits with its code.

Verbs are imported when they are used, so that `--version` costs nothing else.
"""

from __future__ import annotations

import functools
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from countermark import Error, __version__
from countermark.cli.exits import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE
from countermark.cli.output import Output
from countermark.cli.verbs import Verbs

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["cli", "main"]

_AGAIN_S = 0.01  # Long enough for Python to leave what it was in.

# Verb to its one-line help. It stands here so that listing the verbs imports none of them.
_VERBS = {
    "keygen": "Make a signing key.",
    "sign": "Sign a model.",
    "verify": "Verify a model against its signature.",
    "inspect": "Show what a signature, key or weight file says, without trusting it.",
    "diff": "Compare two checkpoints or signatures, down to the tensor.",
    "watermark": "Mark text that a model writes, and detect the marks, with p-values that hold.",
    "content": "Attach content credentials (C2PA) to what was made, and judge them.",
    "cert": "Make certificates for trying it out, and say what is wrong with one.",
    "demo": "Sign, verify, tamper, refuse: the whole story on a small checkpoint.",
}

_HELP = """\
Sign model weights, and verify them before they load.

Verification never touches the network. Each verb has --help with examples.

\b
Exit codes:
  0   verified, or done      12   not an allowed signer
  1   error                  13   outside validity
  2   usage                  14   malformed evidence
 10   nothing to verify      15   inconclusive
 11   tampered               16   refused
130   interrupted
"""


@click.group(
    cls=Verbs,
    verbs=_VERBS,
    package="countermark.cli",
    help=_HELP,
    context_settings={
        "show_default": True,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="countermark", message="%(prog)s %(version)s")
def cli() -> None:
    """Dispatch to the verb."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; `arguments` default to the process's own."""
    # The process is short and makes no cycles worth collecting, but may hold a manifest of
    # 100,000 rows, which the collector would walk over and over.
    gc.disable()
    signal.signal(signal.SIGTERM, _interrupt)  # Whoever stops us politely gets a clean end.
    signal.signal(signal.SIGALRM, _interrupt)  # An interrupt again, if one was dropped.
    sys.unraisablehook = _dropped
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown escaped, and stops nothing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if "--debug" not in given and not os.environ.get("COUNTERMARK_DEBUG"):
        sys.excepthook = functools.partial(_our_mistake, _output(given))
    code = run(given)
    gc.freeze()  # Python collects once more at its end, whatever is about to go with it.
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _dropped(unraisable: sys.UnraisableHookArgs) -> None:
    """Interrupt again, very soon, if Python had to drop an interrupt.

    It does where nobody could catch one: in a finalizer, or in the import system's callbacks.
    """
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(unraisable)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        code = cli.main(args=list(arguments), prog_name="countermark", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.UsageError as e:
        if not arguments:
            e.show()  # All of the help, since nothing was asked.
        else:
            _output(arguments).error(_usage(e), EXIT_USAGE)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("countermark: interrupted", err=True)
        return EXIT_INTERRUPTED
    except OSError as e:
        # Standard output is gone, so nobody was told: not success, whatever was found. If
        # whoever read it has gone (a closed pipe), say nothing more. Python would try again
        # at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(e, BrokenPipeError):
            from countermark.cli.options import IoError

            _output(()).error(IoError(f"standard output: {e.strerror}"), EXIT_ERROR)
        return EXIT_ERROR
    return code if isinstance(code, int) else 0


class UsageRefusedError(Error):
    """A command line that cannot be what somebody meant."""

    code = "usage"


class InternalError(Error):
    """A mistake of ours."""

    code = "internal"


def _usage(error: click.UsageError) -> UsageRefusedError:
    from countermark.signing.names import printable

    path = error.ctx.command_path if error.ctx is not None else "countermark"
    text = printable(" ".join(error.format_message().split()))
    return UsageRefusedError(text, hint=f"see '{path} --help'")


def _output(arguments: Sequence[str]) -> Output:
    """Return where to complain while nothing is parsed yet, or parsing failed."""
    chosen = os.environ.get("COUNTERMARK_FORMAT", "human")
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if argument == "--json" or (before, argument) == ("--format", "json"):
            chosen = "json"
        elif argument.startswith("--format="):
            chosen = argument.removeprefix("--format=")
    return Output(format=chosen)


def _our_mistake(
    output: Output, kind: type[BaseException], error: BaseException, _: TracebackType | None
) -> None:
    """Say in one line what Python would say in forty, and that it is no verdict."""
    reason = " ".join(f"{kind.__name__}: {error}".split())[:500]
    hint = "this is a mistake in countermark; please report it with what --debug prints"
    output.error(InternalError(ascii(reason)[1:-1], hint=hint), EXIT_ERROR)
