"""A group of verbs that are imported when they are used, so that `--version` costs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

__all__ = ["Verbs"]


class Verbs(click.Group):
    """A group whose commands live in modules of their own, loaded one at a time.

    Args:
        verbs: Each verb with its one line of help, in the order of the listing. It is given here
            so that listing the verbs imports none of them.
        package: Where the modules are; each is named as its verb and has a `command`.

    """

    def __init__(self, *, verbs: Mapping[str, str], package: str, **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]
        self._verbs = verbs
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the listing."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb's module, and return its command."""
        if cmd_name not in self._verbs:
            return None
        module = import_module(f"{self._package}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._verbs.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one was probably meant."""
        if args and args[0] not in self._verbs and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], self._verbs, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)
