"""The one command: it finds the verb, runs it, and exits with its code.

Verbs are imported when they are used, so that `--version` costs nothing else.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from countermark import __version__
from countermark.cli.exits import EXIT_ERROR, EXIT_INTERRUPTED

__all__ = ["cli", "main"]

# Verb to its one-line help. It stands here so that listing the verbs imports none of them.
_VERBS = {
    "keygen": "Make a signing key.",
    "sign": "Sign a model.",
    "verify": "Verify a model against its signature.",
    "inspect": "Show what a signature, key or weight file says, without trusting it.",
    "diff": "Compare two checkpoints or signatures, down to the tensor.",
    "demo": "Sign, verify, tamper, refuse: the whole story on a small checkpoint.",
}


class _Verbs(click.Group):
    """A group whose commands live in modules of their own, loaded one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = import_module(f"countermark.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], _VERBS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs,
    context_settings={
        "auto_envvar_prefix": "COUNTERMARK",
        "show_default": True,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="countermark", message="%(prog)s %(version)s")
def cli() -> None:
    """Sign model weights, and verify them before they load.

    Verification never touches the network. Exit codes: 0 verified or done, 1 error, 2 usage,
    10 nothing to verify, 11 tampered, 12 not an allowed signer, 13 outside validity,
    14 malformed evidence, 15 inconclusive, 16 refused, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; `arguments` default to the process's own."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        code = cli.main(args=list(arguments), prog_name="countermark", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("countermark: interrupted", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; say nothing more, also not at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    return code if isinstance(code, int) else 0
