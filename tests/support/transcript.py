"""Terminal sessions in documents: found, run, and compared with what is printed there.

A fenced `console` block holds commands after `$ `, continued by a backslash, each followed by
what it prints on both streams. All blocks of a page are one session. A block right below a
line `<!-- not run: REASON -->` is not run.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?```console\n(.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n", re.M)
_END = "--- end of this command ---"
# Keys and signatures are new in every run, and so are digests over them.
# Keys and digests, moments, and the lengths of what holds a certificate's signature.
_NEW = re.compile(r"[0-9a-f]{16,}|\d{4}-\d\d-\d\dT[\d:+]+|\d+\.\d(?= kB)|(?<=manifest's )\d+")


@dataclass(frozen=True, slots=True)
class Step:
    """One command and what the page says it prints."""

    command: str
    output: str


def steps_of(text: str) -> list[Step]:
    """Return the commands of a page in order."""
    steps = []
    for block in _BLOCK.finditer(text):
        if block.group(1):
            continue
        parts = _COMMAND.split(block.group(2))
        if parts[0]:
            raise ValueError(f"a console block begins with output: {parts[0]!r}")
        steps += [Step(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]
    return steps


def rewritten(text: str, outputs: list[str]) -> str:
    """Return the page with these outputs after its commands, in order."""
    remaining = iter(outputs)

    def block(match: re.Match[str]) -> str:
        if match.group(1):
            return match.group()
        commands = _COMMAND.findall(match.group(2))
        lines = "".join(f"$ {command}\n{next(remaining)}" for command in commands)
        return f"```console\n{lines}```"

    return _BLOCK.sub(block, text)


def play(steps: list[Step], *, cwd: Path, variables: Mapping[str, str]) -> list[str]:
    """Run the commands in one shell; return what each printed, both streams together."""
    script = "exec 2>&1\n" + "".join(
        f"{step.command}\n{{ s=$?; printf '%s\\n' '{_END}'; (exit $s); }}\n" for step in steps
    )
    done = subprocess.run(
        ["bash"],
        input=script,
        cwd=cwd,
        env=dict(variables),
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.split(_END + "\n")[:-1]


def comparable(output: str) -> str:
    """Return output with what differs from run to run taken out."""
    return _NEW.sub(lambda match: "#" * min(len(match.group()), 64), output)
