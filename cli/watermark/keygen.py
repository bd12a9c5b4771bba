"""`countermark watermark keygen`: a key ring, or one more key in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.files import read_bounded
from countermark.cli.options import EXISTING_FILE, PATH, framed, verb
from countermark.cli.output import Output
from countermark.cli.watermark.rings import open_ring, protection, unlocking_options
from countermark.watermark.parameters import SCHEMES

if TYPE_CHECKING:
    from countermark.watermark.keyring import KeyEntry, KeyRing
    from countermark.watermark.keyring_files import LoadedRing, Protection

__all__ = ["command"]

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
_MAX_IMPORT_BYTES = 64 << 10


@verb(
    "watermark keygen",
    short_help="Make a key ring, or add a key to one.",
    examples="""\
countermark watermark keygen --ring acme.ring --model acme-7b --tokenizer tokenizer.json
countermark watermark keygen --ring acme.ring --model acme-7b --epoch 2027 --not-before 2027-01-01
countermark watermark keygen --ring acme.ring --age-recipient age1… --descriptor mark.json
countermark watermark keygen --ring acme.ring --scheme vllm-gumbel-philox-v1
countermark watermark keygen --ring acme.ring --scheme transformers-synthid --import-key k.txt""",
)
@click.option("--ring", type=PATH, required=True, help="The key ring; made if it does not exist.")
@click.option(
    "--scheme",
    type=click.Choice(tuple(SCHEMES)),
    default="countermark-gumbel-v1",
    metavar="NAME",
    help=f"How text is marked: {', '.join(SCHEMES)}.",
)
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the scheme, if not its default.",
)
@click.option("--model", default="", help="Label: which model the key is for.")
@click.option("--tenant", default="", help="Label: for whom the model writes.")
@click.option("--epoch", default="", help="Label: another one gives another key.")
@click.option(
    "--tokenizer",
    type=click.Path(exists=True, path_type=Path),
    help="The model's tokenizer.json, or a folder with it; its digest is kept.",
)
@click.option("--vocabulary", type=click.IntRange(1), help="How many token ids there are.")
@click.option("--model-digest", metavar="SHA256", help="Digest of the signed model.")
@click.option(
    "--not-before", type=_MOMENT, metavar="DATE", help="The key marks from then on (UTC)."
)
@click.option("--not-after", type=_MOMENT, metavar="DATE", help="The key marks until then (UTC).")
@click.option(
    "--import-key",
    type=EXISTING_FILE,
    help="A key in use, of somebody else's scheme: one integer per line.",
)
@click.option(
    "--age-recipient",
    "age_recipients",
    multiple=True,
    metavar="RECIPIENT",
    help="Encrypt the key ring to this age recipient (age1…).",
)
@unlocking_options
@click.option("--descriptor", type=PATH, help="Also write the key's public descriptor.")
@click.option(
    "--detector-ring",
    type=PATH,
    help="Also write a key ring for a detector: this key, and no master.",
)
@framed
def command(
    output: Output,
    ring: Path,
    scheme: str,
    parameters: tuple[str, ...],
    model: str,
    tenant: str,
    epoch: str,
    tokenizer: Path | None,
    vocabulary: int | None,
    model_digest: str | None,
    not_before: datetime | None,
    not_after: datetime | None,
    import_key: Path | None,
    age_recipients: tuple[str, ...],
    age_identities: tuple[Path, ...],
    passphrase_file: Path | None,
    descriptor: Path | None,
    detector_ring: Path | None,
) -> int:
    """Add a key to --ring, which is made if it does not exist.

    Keys of ours are derived from the ring's master secret: one for each model, tenant, epoch and
    scheme. Text that was marked earlier stays detectable, since old keys stay in the ring. A ring
    that is encrypted is encrypted anew: name every --age-recipient, or the --passphrase-file.
    """
    import secrets

    from countermark.watermark.keymaking import add_key
    from countermark.watermark.keyring_files import exclusively
    from countermark.watermark.keys import Labels

    _refuse_to_lose(ring, descriptor, detector_ring)
    guard = protection(age_identities, passphrase_file, age_recipients)
    with exclusively(ring):
        loaded = open_ring(output, ring, guard) if ring.exists() else None
        if loaded is not None and loaded.encrypted and not guard.encrypts:
            raise click.UsageError(f"{ring} is encrypted anew: name every --age-recipient")
        whole, key = add_key(
            _keys_of(loaded),
            secrets.token_bytes,
            scheme=scheme,
            parameters=dict(_parameter(text) for text in parameters),
            labels=Labels(model=model, tenant=tenant, epoch=epoch),
            integers=_imported(import_key),
            tokenizer_sha256=_digest(tokenizer),
            model_sha256=model_digest,
            vocabulary=vocabulary,
            not_before=not_before and not_before.replace(tzinfo=UTC),
            not_after=not_after and not_after.replace(tzinfo=UTC),
        )
        files = (ring, descriptor, detector_ring)
        _write(whole, key, guard, files, replace=loaded is not None)
    _report(output, whole, key, guard, files, created=loaded is None)
    return 0


def _refuse_to_lose(ring: Path, *others: Path | None) -> None:
    from countermark.signing.errors import FileExistsRefusedError
    from countermark.signing.names import printable

    seen = {ring.resolve()}
    for path in others:
        if path is None:
            continue
        if path.resolve() in seen:
            raise click.UsageError(f"{path} is named twice")
        seen.add(path.resolve())
        if path.exists():
            raise FileExistsRefusedError(
                f"{printable(str(path))} exists and would be lost",
                hint="choose another name, or remove the file first",
            )


def _keys_of(loaded: LoadedRing | None) -> KeyRing:
    from countermark.watermark.keyring import KeyRing

    return KeyRing() if loaded is None else loaded.ring


def _parameter(text: str) -> tuple[str, int | float | str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--parameter")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _imported(path: Path | None) -> tuple[int, ...] | None:
    if path is None:
        return None
    from countermark.signing.names import printable
    from countermark.watermark.errors import KeyUseError

    try:
        words = read_bounded(path, _MAX_IMPORT_BYTES).decode("ascii").split()
        return tuple(int(word) for word in words)
    except ValueError as e:
        raise KeyUseError(f"{printable(str(path))} is not one integer per line") from e


def _digest(path: Path | None) -> str | None:
    if path is None:
        return None
    import hashlib

    path = path / "tokenizer.json" if path.is_dir() else path
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(
    whole: KeyRing,
    key: KeyEntry,
    guard: Protection,
    files: tuple[Path, Path | None, Path | None],
    *,
    replace: bool,
) -> None:
    from countermark.signing.atomic import write_file
    from countermark.watermark.descriptor import describe, encode_descriptor
    from countermark.watermark.keyring_files import save_ring

    ring, descriptor, detector_ring = files
    written = []
    try:
        if descriptor is not None:
            write_file(descriptor, encode_descriptor(describe(key)), replace=False)
            written.append(descriptor)
        if detector_ring is not None:
            save_ring(whole.export([key.id]), detector_ring, guard)
            written.append(detector_ring)
        save_ring(whole, ring, guard, replace=replace)
    except BaseException:
        for path in written:  # They are about a key that is in no ring.
            path.unlink()
        raise


def _report(
    output: Output,
    whole: KeyRing,
    key: KeyEntry,
    guard: Protection,
    files: tuple[Path, Path | None, Path | None],
    *,
    created: bool,
) -> None:
    from countermark.signing.names import printable
    from countermark.watermark.terms import terms_document

    ring, descriptor, detector_ring = files
    labels = {"model": key.labels.model, "tenant": key.labels.tenant, "epoch": key.labels.epoch}
    output.document(
        {
            "schema": "countermark/watermark-keygen/v1",
            "verdict": "done",
            "ring": str(ring),
            "created": created,
            "encrypted": guard.encrypts,
            "keys": len(whole.keys),
            "key": terms_document(key) | {"labels": labels},
            "descriptor": None if descriptor is None else str(descriptor),
            "detector_ring": None if detector_ring is None else str(detector_ring),
        }
    )
    secrecy = "encrypted" if guard.encrypts else "not encrypted"
    count = f"{len(whole.keys)} key{'s' if len(whole.keys) != 1 else ''}"
    output.line("key ring", f"{printable(str(ring))} ({count}, {secrecy})")
    output.line("key id", f"{key.id} ({key.scheme})")
    for label, path in (("descriptor", descriptor), ("for detector", detector_ring)):
        if path is not None:
            output.line(label, printable(str(path)))
    if not guard.encrypts and created:
        output.note(
            "the key ring is not encrypted",
            "keep it where nobody else reads it, or use --age-recipient",
        )
