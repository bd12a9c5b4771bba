"""Options that commands share, and the frame in which every command runs."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec

import click

from countermark import Error
from countermark.cli.exits import EXIT_ERROR, EXIT_INTERRUPTED, exit_code_of
from countermark.cli.output import Output

__all__ = ["EXISTING_FILE", "PATH", "cache_option", "framed", "model_argument", "relative_to_model"]

P = ParamSpec("P")

PATH = click.Path(path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

model_argument = click.argument("model", type=click.Path(exists=True, path_type=Path))

cache_option = click.option(
    "--cache",
    type=PATH,
    metavar="FILE",
    help="Remember digests in FILE, and trust it for files that did not change.",
)


class IoError(Error):
    """The operating system refused."""

    code = "io-error"


def framed(function: Callable[Concatenate[Output, P], int]) -> Callable[P, int]:
    """Give a command its output options, and turn refusals into text and an exit code."""

    @click.option(
        "--format",
        "format_",
        type=click.Choice(["human", "json", "quiet"]),
        default="human",
        show_default=True,
        help="How to print the result.",
    )
    @click.option("--json", "json_", is_flag=True, help="Short for --format json.")
    @click.option("-q", "--quiet", is_flag=True, help="Short for --format quiet.")
    @click.option("--no-progress", is_flag=True, help="Draw no progress bar.")
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> int:
        chosen = str(kwargs.pop("format_"))
        as_json, quiet = kwargs.pop("json_"), kwargs.pop("quiet")
        if as_json or quiet:
            if as_json and quiet:
                raise click.UsageError("--json and --quiet exclude each other")
            chosen = "json" if as_json else "quiet"
        output = Output(format=chosen, progress=not kwargs.pop("no_progress"))
        debug = kwargs.pop("debug")
        try:
            return function(output, *args, **kwargs)
        except KeyboardInterrupt:
            click.echo("countermark: interrupted; nothing was left half-written", err=True)
            return EXIT_INTERRUPTED
        except Error as e:
            if debug:
                traceback.print_exc()
            output.error(e)
            return exit_code_of(e)
        except OSError as e:
            if debug:
                traceback.print_exc()
            output.error(_io_error(e))
            return EXIT_ERROR

    return wrapper


def relative_to_model(model: Path, paths: tuple[Path, ...], *, must_exist: bool) -> tuple[str, ...]:
    """Return `--ignore-path` values as POSIX paths below the model's root.

    A value is looked for below the model first, then from the current folder. One that
    leads out of the model is an error: dropping it silently would sign what the user
    thought was left out.
    """
    root = model.resolve()
    result = []
    for path in paths:
        inside = root / path
        if path.is_absolute() or (not inside.exists() and path.exists()):
            inside = path.absolute()
            inside = inside.parent.resolve() / inside.name
        if not inside.is_relative_to(root) or ".." in path.parts or inside == root:
            raise click.BadParameter(f"{path} is not below the model", param_hint="--ignore-path")
        if must_exist and not inside.exists() and not inside.is_symlink():
            raise click.BadParameter(f"{path} does not exist", param_hint="--ignore-path")
        result.append(inside.relative_to(root).as_posix())
    return tuple(result)


def _io_error(error: OSError) -> IoError:
    from countermark.signing.names import printable

    name = printable(str(error.filename)) if error.filename is not None else ""
    reason = error.strerror or type(error).__name__
    return IoError(f"{name}: {reason}" if name else reason)
