"""What verbs share: their class, the options all of them have, the frame they run in."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from countermark import Error
from countermark.cli.exits import EXIT_ERROR, EXIT_INTERRUPTED, exit_code_of
from countermark.cli.output import LostOutputError, Output

__all__ = [
    "EXISTING_FILE",
    "PATH",
    "TARGET",
    "cache_option",
    "framed",
    "io_error",
    "model_argument",
    "relative_to_model",
    "unset_by_environment",
    "verb",
]

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., object])

PATH = click.Path(path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

# These mean the same to every verb, and so do their variables.
_SHARED = {"--format": "FORMAT", "--no-progress": "NO_PROGRESS", "--debug": "DEBUG"}
_AS_VARIABLE = str.maketrans("- ", "__")
_NO_VARIABLE = (
    "Options without a variable accept more than usual, leave something out or replace "
    "something: they count only where they are typed. Variables that name several files "
    "separate them as PATH does."
)


class _Verb(click.Command):
    """A command that says at the end of its help why some options have no variable."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(_NO_VARIABLE)


def verb(
    name: str, *, short_help: str, examples: str
) -> Callable[[Callable[..., int]], click.Command]:
    """Make a function a command whose options can also be set by variables, shown in its help.

    `--public-key` of `verify` is `COUNTERMARK_VERIFY_PUBLIC_KEY`. An option made with
    `unset_by_environment` has no variable. A verb of a group is named with it: "watermark scan".
    """

    def make(function: Callable[..., int]) -> click.Command:
        epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.splitlines())
        command = click.command(name.split()[-1], cls=_Verb, short_help=short_help, epilog=epilog)(
            function
        )
        for option in command.params:
            if isinstance(option, click.Option) and option.allow_from_autoenv:
                long = next(text for text in option.opts if text.startswith("--"))
                own = f"{name}_{long[2:]}".upper().translate(_AS_VARIABLE)
                option.envvar = f"COUNTERMARK_{_SHARED.get(long, own)}"
                option.show_envvar = True
        return command

    return make


class _Target(click.Path):
    """A path; says which other targets are understood, instead of "does not exist"."""

    def convert(
        self,
        value: str | Path,  # type: ignore[override]
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        text = str(value)
        if text == "-":
            self.fail("'-' cannot be a model; name a file or folder", param, ctx)
        if "://" in text and not Path(text).exists():
            self.fail(
                f"'{text}' is an address, and only files and folders are read; download the "
                "model first (hf download) and name the folder, or its snapshot in the cache",
                param,
                ctx,
            )
        super().convert(value, param, ctx)
        return Path(value)


TARGET = _Target(exists=True, path_type=Path)
model_argument = click.argument("model", type=TARGET)


def unset_by_environment(*names: str, **attributes: object) -> Callable[[F], F]:
    """Add an option that no environment variable can set."""
    return click.option(*names, allow_from_autoenv=False, **attributes)  # type: ignore[arg-type]


cache_option = unset_by_environment(
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
        help="How to print the result.",
    )
    @unset_by_environment("--json", "json_", is_flag=True, help="Short for --format json.")
    @unset_by_environment("-q", "--quiet", is_flag=True, help="Short for --format quiet.")
    @click.option("--no-progress", is_flag=True, help="Draw no progress bar.")
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> int:
        chosen = str(kwargs.pop("format_"))
        as_json, quiet = kwargs.pop("json_"), kwargs.pop("quiet")
        if as_json and quiet:
            raise click.UsageError("--json and --quiet exclude each other")
        chosen = "json" if as_json else "quiet" if quiet else chosen
        progress, debug = not kwargs.pop("no_progress"), kwargs.pop("debug")
        output = Output(format=chosen)
        try:
            # A bar that is still drawn would hide the cursor, and the error.
            with contextlib.ExitStack() as bars:
                shown = Output(format=chosen, bars=bars if progress else None)
                return function(shown, *args, **kwargs)
        except KeyboardInterrupt:
            click.echo("countermark: interrupted; nothing was left half-written", err=True)
            return EXIT_INTERRUPTED
        except (BrokenPipeError, LostOutputError):
            raise  # Not the model's fault; `main.run` knows what it means.
        except (Error, OSError) as e:
            if debug:
                import traceback

                traceback.print_exc()
            error = e if isinstance(e, Error) else io_error(e)
            code = exit_code_of(error) if isinstance(e, Error) else EXIT_ERROR
            output.error(error, code)
            return code

    return wrapper


def relative_to_model(model: Path, paths: Sequence[Path], *, must_exist: bool) -> tuple[str, ...]:
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


def io_error(error: OSError) -> IoError:
    """Return what the operating system said as one of our errors."""
    from countermark.signing.names import printable

    name = printable(str(error.filename)) if error.filename is not None else ""
    reason = error.strerror or type(error).__name__
    return IoError(f"{name}: {reason}" if name else reason)
