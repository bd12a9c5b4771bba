"""`countermark diff`: what is different between two checkpoints, down to the tensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.exits import EXIT_OF
from countermark.cli.options import TARGET, framed, verb
from countermark.cli.output import Output
from countermark.signing.names import printable
from countermark.signing.verdict import Outcome

if TYPE_CHECKING:
    from countermark.signing import ModelDiff

__all__ = ["command"]

_MAX_SHOWN = 40


@verb(
    "diff",
    short_help="Compare two checkpoints or signatures.",
    examples="""\
countermark diff llama-base llama-finetuned
countermark diff v1/model.sig v2/model.sig --exit-code""",
)
@click.argument("first", type=TARGET)
@click.argument("second", type=TARGET)
@click.option("--exit-code", is_flag=True, help="Exit 11 if anything differs.")
@framed
def command(output: Output, first: Path, second: Path, exit_code: bool) -> int:
    """Compare FIRST with SECOND: model folders, single files, or signatures.

    Signatures are compared by what they say; they are not verified here.
    """
    from countermark.signing.diff import diff_models, load_side

    progress = output.progress_bar("reading")
    diff = diff_models(load_side(first, progress=progress), load_side(second, progress=progress))
    _print(output, diff)
    return EXIT_OF[Outcome.TAMPERED] if exit_code and diff.files else 0


def _print(output: Output, diff: ModelDiff) -> None:
    output.document(
        {
            "schema": "countermark/diff/v1",
            "verdict": "different" if diff.files else "same",
            "files_same": diff.same,
            "files": [
                {
                    "path": file.path,
                    "change": file.change,
                    "other_path": file.other_path,
                    "tensors_total": file.tensors_total,
                    "tensors": [
                        {"name": t.name, "change": t.change, "size_bytes": t.size_bytes}
                        for t in file.tensors
                    ],
                }
                for file in diff.files
            ],
        }
    )
    for file in diff.files[:_MAX_SHOWN]:
        name = printable(file.path)
        if file.other_path is not None:
            name += f" -> {printable(file.other_path)}"
        if file.tensors_total is not None:
            name += f" ({len(file.tensors)} of {file.tensors_total} tensors)"
        output.line(file.change, name, tone="note")
        for tensor in file.tensors[:_MAX_SHOWN]:
            output.line("", f"{tensor.change:<8} {printable(tensor.name)}")
        if len(file.tensors) > _MAX_SHOWN:
            output.line("", f"… and {len(file.tensors) - _MAX_SHOWN} more; --json shows all")
    if len(diff.files) > _MAX_SHOWN:
        output.line("", f"… and {len(diff.files) - _MAX_SHOWN} more; --json shows all")
    output.line("same", f"{diff.same} file{'s' if diff.same != 1 else ''}")
