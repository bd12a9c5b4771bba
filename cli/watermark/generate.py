"""`countermark watermark generate`: marked text from a local model, for trying it out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from countermark.cli.extras import require_transformers
from countermark.cli.options import EXISTING_FILE, PATH, framed, unset_by_environment, verb
from countermark.cli.output import Output
from countermark.cli.watermark.rings import unlocking_options

__all__ = ["command"]

_MAX_PROMPT_BYTES = 1 << 20


@verb(
    "watermark generate",
    short_help="Write marked text with a local model, for trying it out.",
    examples="""\
countermark watermark generate --model smollm2/ --keys ring.json --prompt 'The sea'
countermark watermark generate --model smollm2/ --keys ring.json --prompt 'Sea' --out sea.txt""",
)
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of a transformers model with safetensors weights.",
)
@click.option("--keys", "ring", type=EXISTING_FILE, required=True, help="The key ring.")
@click.option("--key-id", help="Which key marks.  [default: the ring's only one]")
@click.option(
    "--identifier",
    help="12 hex digits that the text is to carry, for a key of the payload scheme.",
)
@click.option("--prompt", help="What the text goes on from.")
@click.option("--prompt-file", type=EXISTING_FILE, help="The same, from a file.")
@click.option("--max-new-tokens", type=click.IntRange(1, 8192), default=200, help="How many.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, 10, min_open=True),
    default=1.0,
    help="Less of it leaves less room for a mark.",
)
@click.option("--top-k", type=click.IntRange(0, None), default=0, help="Likeliest tokens; 0: all.")
@click.option(
    "--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Likeliest share."
)
@click.option("--seed", type=click.IntRange(0, (1 << 62) - 1), help="The same text again.")
@click.option("--out", type=PATH, help="Write the text there.  [default: standard output]")
@unset_by_environment("--replace", is_flag=True, help="Replace a file that is there.")
@unlocking_options
@framed
def command(
    output: Output,
    model: Path,
    ring: Path,
    key_id: str | None,
    identifier: str | None,
    prompt: str | None,
    prompt_file: Path | None,
    max_new_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | None,
    out: Path | None,
    replace: bool,
    age_identities: tuple[Path, ...],
    passphrase_file: Path | None,
) -> int:
    """Let the model in a folder go on from a prompt, each token drawn with a key of the ring.

    Serving engines mark on their own; this is for seeing that a key, a model and a tokenizer
    belong together. Code in the model's folder is not run, and pickled weights are not loaded.
    """
    from countermark.cli.files import read_bounded
    from countermark.cli.watermark.rings import open_ring, protection
    from countermark.signing.atomic import write_file
    from countermark.signing.names import printable
    from countermark.watermark.errors import KeyUseError, MalformedInputError
    from countermark.watermark.schemes import sampler_of

    require_transformers()
    from countermark.watermark.huggingface import LocalModel

    if (prompt is None) == (prompt_file is None):
        raise click.UsageError("give --prompt or --prompt-file, one of them")
    if prompt_file is not None:
        data = read_bounded(prompt_file, _MAX_PROMPT_BYTES)
        if len(data) > _MAX_PROMPT_BYTES:
            raise MalformedInputError(f"a prompt of more than {_MAX_PROMPT_BYTES} bytes")
        try:
            prompt = data.decode("utf-8")
        except UnicodeDecodeError as e:
            raise MalformedInputError(f"{printable(str(prompt_file))}: not UTF-8") from e
    keys = open_ring(output, ring, protection(age_identities, passphrase_file)).ring
    if key_id is None:
        if len(keys.keys) != 1:
            raise KeyUseError(f"the ring has {len(keys.keys)} keys", hint="choose with --key-id")
        key_id = keys.keys[0].id
    key = keys.for_generation(key_id, datetime.now(UTC))
    message = None if identifier is None else _message(identifier)
    local = LocalModel.load(model, tokenizer_sha256=key.tokenizer_sha256)
    text, ids = local.write(
        prompt or "",
        sampler_of(key, identifier=message),
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
    )
    if out is not None:
        write_file(out, text.encode("utf-8"), replace=replace)
    output.document(
        {
            "schema": "countermark/watermark-generate/v1",
            "verdict": "done",
            "exit_code": 0,
            "key_id": key.id,
            "scheme": key.scheme,
            "out": None if out is None else str(out),
            "tokens": len(ids),
            "ids": ids,
            "text": text,
        }
    )
    if out is None:
        output.line("text", printable(text))
    else:
        output.line("written", f"{printable(str(out))}: {len(ids)} tokens")
    output.line("key", f"{key.id} ({key.scheme})")
    return 0


def _message(identifier: str) -> int:
    if re.fullmatch("[0-9a-fA-F]{12}", identifier, re.ASCII) is None:
        raise click.BadParameter("12 hex digits are expected", param_hint="--identifier")
    return int(identifier, 16)
