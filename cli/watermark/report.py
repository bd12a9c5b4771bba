"""`countermark watermark report`: how good is this detector, on these texts?"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.options import EXISTING_FILE, PATH, framed, unset_by_environment, verb
from countermark.cli.output import Output, human_bytes
from countermark.cli.watermark.rings import unlocking_options
from countermark.cli.watermark.trial import trial_options

if TYPE_CHECKING:
    from countermark.cli.watermark.trial import Prepared
    from countermark.watermark.card import Card, Found, Rate

__all__ = ["command"]

_MAX_NAME_CHARACTERS = 200


def _named_files(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, Path], ...]:
    """Parse each NAME=FILE."""
    files = []
    for value in values:
        name, _, file = value.partition("=")
        if not (0 < len(name) <= _MAX_NAME_CHARACTERS and file):
            raise click.BadParameter(f"{value!r} is not NAME=FILE", ctx=ctx, param=param)
        files.append((name, Path(EXISTING_FILE.convert(file, param, ctx))))
    names = [name for name, _ in files]
    if len(set(names)) < len(names):
        raise click.BadParameter("two models have one name", ctx=ctx, param=param)
    return tuple(files)


@verb(
    "watermark report",
    short_help="Measure a detector, and write its card.",
    examples="""\
countermark watermark report --keys ring.json --tokenizer t.json --unmarked human.jsonl \\
    --marked marked.jsonl --card card.json --page card.html
countermark watermark report --keys ring.json --tokenizer t.json --unmarked human.jsonl \\
    --marked marked.jsonl --other-model acme=acme.jsonl --length 100 --length 200 --card c.json""",
)
@trial_options
@click.option(
    "--unmarked",
    type=EXISTING_FILE,
    multiple=True,
    required=True,
    help="JSONL of texts without a mark. May be given again.",
)
@click.option(
    "--marked",
    type=EXISTING_FILE,
    multiple=True,
    required=True,
    help="JSONL of texts that a key of the ring marked. May be given again.",
)
@click.option(
    "--other-model",
    "others",
    callback=_named_files,
    multiple=True,
    metavar="NAME=FILE",
    help="JSONL of texts that another model marked with these keys.",
)
@click.option("--card", type=PATH, required=True, help="Where the card goes, as JSON.")
@click.option("--page", type=PATH, help="Where the card goes, as HTML with plots.")
@click.option(
    "--length",
    "lengths",
    type=click.IntRange(8, 1 << 20),
    multiple=True,
    default=(200,),
    help="Tokens of a passage of unmarked text. May be given again.",
)
@click.option(
    "--max-passages",
    type=click.IntRange(1, None),
    default=100_000,
    help="At most so many passages of each length.",
)
@click.option("--seed", type=click.IntRange(0, (1 << 32) - 1), default=0, help="Of the edits.")
@click.option("--field", default="text", help="Where in a record of JSONL the text is.")
@unset_by_environment("--replace", is_flag=True, help="Replace a card that is there.")
@unlocking_options
@framed
def command(
    output: Output,
    /,
    unmarked: tuple[Path, ...],
    marked: tuple[Path, ...],
    others: tuple[tuple[str, Path], ...],
    card: Path,
    page: Path | None,
    lengths: tuple[int, ...],
    max_passages: int,
    seed: int,
    field: str,
    replace: bool,
    **trial: object,
) -> int:
    """Measure a detector on your own texts, and write its card.

    Texts without a mark say how often it is wrong; marked ones how often it finds them, whole, by
    length, and after each of many edits. A record of JSONL is an object with a text, or with
    token ids under "ids". --alpha is not used: a card has levels of its own.
    """
    from countermark.cli.watermark.report_texts import read_files
    from countermark.cli.watermark.trial import prepare
    from countermark.signing.names import printable
    from countermark.watermark.card import encode_card
    from countermark.watermark.card_measure import Plan, measure

    _refuse_existing(replace, card, page)
    prepared = prepare(output, with_text=True, **trial)  # type: ignore[arg-type]
    named = [(path.name, path) for path in (*unmarked, *marked)] + list(others)
    files = read_files(output, named, prepared.tokenizer, field)
    first_other = len(unmarked) + len(marked)
    if prepared.skipped:
        output.note(f"{len(prepared.skipped)} keys are for another tokenizer and were not tried")
    made = measure(
        tokenizer=prepared.tokenizer,
        detectors=prepared.detectors,
        common=prepared.options.common,
        unmarked=files[: len(unmarked)],
        marked=files[len(unmarked) : first_other],
        others=files[first_other:],
        plan=Plan(
            passage_lengths=tuple(dict.fromkeys(lengths)), max_passages=max_passages, seed=seed
        ),
        progress=output.progress_bar("measuring"),
    )
    data = encode_card(made)
    _write(made, card, data, page)
    output.document(_document(made, prepared, card, data, page))
    _tell(output, made)
    output.line("written", f"{printable(str(card))}: {human_bytes(len(data))}")
    if page is not None:
        output.line("written", printable(str(page)))
    return 0


def _refuse_existing(replace: bool, *paths: Path | None) -> None:
    """Refuse before the work what would be refused after it."""
    from countermark.signing.errors import FileExistsRefusedError
    from countermark.signing.names import printable

    given = [path for path in paths if path is not None]
    if len(given) > len({path.absolute() for path in given}):
        raise click.UsageError("--card and --page name the same file")
    for path in given:
        if path.exists() and not replace:
            raise FileExistsRefusedError(
                f"{printable(str(path))} exists and would be lost",
                hint="choose another name, or add --replace",
            )


def _write(card: Card, card_file: Path, data: bytes, page_file: Path | None) -> None:
    """Write both files, each whole or not at all."""
    from countermark.signing.atomic import write_files
    from countermark.watermark.card_page import card_page

    files = {card_file: data}
    if page_file is not None:
        files[page_file] = card_page(card).encode()
    write_files(files)


def _document(
    card: Card, prepared: Prepared, card_file: Path, data: bytes, page_file: Path | None
) -> dict[str, object]:

    return {
        "schema": "countermark/watermark-report/v1",
        "verdict": "done",
        "exit_code": 0,
        "card": str(card_file),
        "card_sha256": hashlib.sha256(data).hexdigest(),
        "page": None if page_file is None else str(page_file),
        "false_alarms": [_rate_document(rate) for rate in card.false_alarms[0].rates],
        "found": [_rate_document(rate) for rate in _longest(card).rates],
        "keys_of_other_tokenizers": list(prepared.skipped),
    }


def _longest(card: Card) -> Found:
    return max((row for row in card.found if not row.model), key=lambda row: row.length)


def _rate_document(rate: Rate) -> dict[str, object]:
    return {"alpha": rate.alpha, "hits": rate.hits, "trials": rate.trials}


def _tell(output: Output, card: Card) -> None:
    alarms, found = card.false_alarms[0], _longest(card)
    for rate in alarms.rates:
        low, high = rate.interval
        output.line(
            "false alarms",
            f"{rate.observed:.3g} at {rate.alpha:g} ({rate.hits:,} of {rate.trials:,}; "
            f"95 % interval {low:.3g} to {high:.3g}), {alarms.length} tokens, every key by itself",
        )
    for rate in found.rates:
        low, high = rate.interval
        output.line(
            "found",
            f"{rate.observed:.3g} at {rate.alpha:g} ({rate.hits:,} of {rate.trials:,}; "
            f"95 % interval {low:.3g} to {high:.3g}), {found.length} tokens",
        )
    worse = {(row.pooled, row.name) for row in card.false_alarms for r in row.rates if r.exceeds}
    if worse:
        output.note(
            f"false alarms are above a level in {len(worse)} of the card's groups of trials: "
            "with a fixed key, texts that share phrases share their false alarms",
            "learn the phrases with 'countermark watermark calibrate', and give them as --common",
        )
