"""`countermark content sign`: a file, a certificate and a key in, a file with a manifest out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.extras import require_c2pa
from countermark.cli.files import read_bounded
from countermark.cli.options import EXISTING_FILE, PATH, TARGET, framed, unset_by_environment, verb
from countermark.cli.output import Output, human_bytes

if TYPE_CHECKING:
    from countermark.provenance.identity import ContentIdentity
    from countermark.provenance.sign import SignedContent

__all__ = ["command"]

_MAX_DEFINITION_BYTES = 1024 * 1024


@verb(
    "content sign",
    short_help="Attach a signed manifest to a file.",
    examples="""\
countermark content sign cat.png --signing-cert dev/signer.pem --private-key dev/signer.key \\
    --generated-by model/
countermark content sign notes.txt --signing-cert chain.pem --private-key key.pem --in-place
countermark content sign data.bin --signing-cert chain.pem --private-key key.pem --sidecar
countermark content sign cat.png --signing-cert chain.pem --signer-command './sign-with-hsm'""",
)
@click.argument("target", metavar="FILE", type=TARGET)
@click.option(
    "--signing-cert",
    type=EXISTING_FILE,
    required=True,
    help="The signer's certificate and its issuers, PEM, the signer's first.",
)
@click.option("--private-key", type=EXISTING_FILE, help="PEM private key of the certificate.")
@click.option("--password-file", type=EXISTING_FILE, help="First line: the key's password.")
@click.option(
    "--signer-command",
    metavar="COMMAND",
    help="Program that signs instead of a key: bytes on its standard input, signature on its "
    "standard output.",
)
@click.option("--tsa-url", metavar="URL", help="Timestamp authority to ask (RFC 3161).")
@click.option("--output", "output_", type=PATH, help="Where to write.  [default: NAME.signed.EXT]")
@unset_by_environment("--in-place", is_flag=True, help="Replace FILE once the copy is complete.")
@click.option(
    "--sidecar",
    is_flag=True,
    help="Write FILE.c2pa and leave FILE as it is; all that some kinds of files can have.",
)
@unset_by_environment("--replace", is_flag=True, help="Replace an output that is there.")
@click.option("--media-type", metavar="TYPE", help="What FILE is.  [default: look]")
@click.option("--title", help="What the manifest calls it.  [default: its name]")
@click.option(
    "--generated-by",
    type=click.Path(exists=True, path_type=Path),
    metavar="MODEL",
    help="The signed model that made it: a folder, or a file beside its model.sig.",
)
@click.option(
    "--source-type",
    metavar="TYPE",
    help="How it came to be, if no model made it, e.g. digitalCapture (IPTC).",
)
@click.option("--edited-from", type=EXISTING_FILE, help="The file that this one was edited from.")
@click.option("--prompt-file", type=EXISTING_FILE, help="The prompt, to be named as ingredient.")
@click.option(
    "--training-mining",
    "training_mining",
    multiple=True,
    metavar="USE=ALLOWED",
    help="What may be done with it, e.g. ai_generative_training=notAllowed (CAWG).",
)
@click.option(
    "--definition",
    type=EXISTING_FILE,
    help="JSON manifest definition for everything else; it wins.",
)
@framed
def command(
    output: Output,
    target: Path,
    signing_cert: Path,
    private_key: Path | None,
    password_file: Path | None,
    signer_command: str | None,
    tsa_url: str | None,
    output_: Path | None,
    in_place: bool,
    sidecar: bool,
    replace: bool,
    media_type: str | None,
    title: str | None,
    generated_by: Path | None,
    source_type: str | None,
    edited_from: Path | None,
    prompt_file: Path | None,
    training_mining: tuple[str, ...],
    definition: Path | None,
) -> int:
    """Attach a signed C2PA manifest to FILE.

    Images, audio, video, PDF, Office files, text, code, HTML, SafeTensors and ONNX carry it
    inside; anything else has it beside it, as FILE.c2pa. FILE is not touched unless you say
    --in-place, and then only once the signed copy is complete. If FILE is the folder of a model
    that `countermark sign` signed, its manifest is FOLDER.c2pa, and binds what model.sig signs.
    """
    require_c2pa()
    from countermark import __version__
    from countermark.provenance.definition import ContentRequest, load_definition
    from countermark.provenance.model_evidence import load_model_evidence
    from countermark.provenance.sign import SignOptions, carried_inside, sign_file, sign_model

    identity = _identity(signing_cert, private_key, password_file, signer_command)
    request = ContentRequest(
        title=title or "",
        generated_by=None if generated_by is None else load_model_evidence(generated_by),
        edited_from=edited_from,
        prompt=None if prompt_file is None else _text(prompt_file),
        training_mining=_permissions(training_mining),
        extra={}
        if definition is None
        else load_definition(read_bounded(definition, _MAX_DEFINITION_BYTES)),
        software=("countermark", __version__),
        source_type=source_type or "",
    )
    folder = target.is_dir()
    sidecar = sidecar or folder or not carried_inside(target, media_type or "")
    options = SignOptions(
        sidecar=sidecar,
        tsa_url=tsa_url,
        media_type=media_type or "",
        replace=replace or in_place,
    )
    where = _where(target, output_, in_place=in_place, sidecar=sidecar)
    if folder:
        signed = sign_model(target, where, request, identity, options)
    else:
        progress = output.progress_bar("signing")
        signed = sign_file(target, where, request, identity, options, progress=progress)
    _report(output, target, signed)
    return 0


def _where(file: Path, output: Path | None, *, in_place: bool, sidecar: bool) -> Path:
    if in_place and (output is not None or sidecar):
        raise click.UsageError("--in-place excludes --output, and files that need a sidecar")
    if in_place:
        return file
    if output is not None:
        return output
    if file.is_dir():  # Inside, it would be a file that nobody signed, to other verifiers.
        folder = file if file.name else file.resolve()  # "." has no name of its own.
        return folder.with_name(f"{folder.name}.c2pa")
    if sidecar:
        return file.with_name(f"{file.name}.c2pa")
    return file.with_name(f"{file.stem}.signed{file.suffix}")


def _identity(
    signing_cert: Path, private_key: Path | None, password_file: Path | None, program: str | None
) -> ContentIdentity:
    from countermark.cli.secrets import key_password
    from countermark.provenance.identity import load_identity, program_identity
    from countermark.signing.keys import MAX_KEY_BYTES
    from countermark.signing.x509_loading import MAX_PEM_BYTES

    now = datetime.now(UTC)
    chain = read_bounded(signing_cert, MAX_PEM_BYTES)
    if (private_key is None) == (program is None):
        raise click.UsageError("give --private-key or --signer-command, one of the two")
    if private_key is None:
        import shlex

        return program_identity(chain, tuple(shlex.split(program or "")), at=now)
    key = read_bounded(private_key, MAX_KEY_BYTES)
    encrypted = b"ENCRYPTED" in key
    password = key_password(password_file) if encrypted or password_file else None
    return load_identity(chain, key, at=now, password=password)


def _text(path: Path) -> str:
    data = read_bounded(path, _MAX_DEFINITION_BYTES)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise click.UsageError(f"--prompt-file is no UTF-8 at byte {e.start}") from e


def _permissions(given: tuple[str, ...]) -> dict[str, str]:
    permissions = {}
    for one in given:
        use, equals, allowed = one.partition("=")
        if not equals:
            raise click.UsageError(f"--training-mining {one!r} is not USE=ALLOWED")
        permissions[use] = allowed
    return permissions


def _report(output: Output, file: Path, signed: SignedContent) -> None:
    from countermark.signing.names import printable

    output.document(
        {
            "schema": "countermark/content-sign/v1",
            "verdict": "done",
            "exit_code": 0,
            "subject": str(file),
            "written": str(signed.path),
            "media_type": signed.media_type,
            "carrier": signed.carrier,
            "manifest": signed.manifest,
            "manifest_bytes": signed.store_bytes,
        }
    )
    output.line("signed", printable(str(signed.path)), tone="good")
    where = "beside the file" if signed.carrier == "sidecar" else f"inside ({signed.carrier})"
    output.line("manifest", f"{human_bytes(signed.store_bytes)}, {where}, {signed.media_type}")
