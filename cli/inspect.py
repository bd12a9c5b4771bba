"""`countermark inspect`: what a file says about itself, with nothing of it trusted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from countermark.cli.files import read_bounded
from countermark.cli.options import EXISTING_FILE, framed, verb
from countermark.cli.output import Output, human_bytes
from countermark.signing.errors import KeyMaterialError
from countermark.signing.leaves import LEAVES_SUFFIX
from countermark.signing.names import printable

__all__ = ["command"]

_MAX_SHOWN = 40


@verb(
    "inspect",
    short_help="Show what a signature, key or weight file says.",
    examples="""\
countermark inspect model/model.sig
countermark inspect release.pub
countermark inspect model/model.safetensors --json""",
)
@click.argument("file", type=EXISTING_FILE)
@framed
def command(output: Output, file: Path) -> int:
    """Show what FILE says.

    It may be a signature (model.sig, model.sigs.jsonl), a public key, certificates in PEM
    form, a leaves file (model.sig.leaves), or safetensors weights.

    Nothing is verified. What you read here is a claim, until `verify` has said otherwise.
    """
    with file.open("rb") as stream:
        head = stream.read(4096)
    if head.lstrip().startswith(b"{"):
        _bundles(output, file)
    elif b"PRIVATE KEY-----" in head:
        raise KeyMaterialError(
            f"{printable(str(file))} is a private key, about which nothing is shown",
            hint="inspect the public key instead",
        )
    elif b"PUBLIC KEY-----" in head:
        _public_key(output, file)
    elif b"CERTIFICATE-----" in head:
        _certificates(output, file)
    elif file.name.endswith(LEAVES_SUFFIX):
        _leaves(output, file)
    else:
        _safetensors(output, file)
    return 0


def _bundles(output: Output, file: Path) -> None:
    from countermark.signing.bundle import MAX_BUNDLE_BYTES, parse_bundle, parse_bundle_lines
    from countermark.signing.signatures import claimed_signer
    from countermark.signing.statement_reader import parse_statement

    with file.open("rb") as stream:
        data = stream.read(MAX_BUNDLE_BYTES + 1)
    several = file.name.endswith(".jsonl")
    bundles = parse_bundle_lines(data) if several else (parse_bundle(data),)
    documents = []
    for bundle in bundles:
        signer = claimed_signer(bundle)
        manifest = parse_statement(bundle.payload)
        trees = sum(entry.trees is not None for entry in manifest.files)
        documents.append(
            {
                "method": bundle.method,
                "key_id": signer.key_id,
                "identities": list(signer.identities),
                "issuer": signer.issuer,
                "timestamps": len(bundle.timestamps),
                "statement_sha256": hashlib.sha256(bundle.payload).hexdigest(),
                "model": manifest.name,
                "model_digest": manifest.model_digest,
                "method_of_digest": manifest.method,
                "digest": manifest.hash_type,
                "legacy": manifest.legacy,
                "ignore_paths": list(manifest.ignore_paths),
                "files": [
                    {
                        "path": entry.path,
                        "digest": entry.digest,
                        "size_bytes": entry.size_bytes,
                        "block_root": entry.trees.block_root if entry.trees else None,
                        "tensor_root": entry.trees.tensor_root if entry.trees else None,
                    }
                    for entry in manifest.files
                ],
            }
        )
        output.line("claims", "nothing here was verified", tone="note")
        who = ", ".join(printable(name) for name in signer.identities)
        output.line(
            "signed by", f"{who or 'key ' + (signer.key_id or 'unnamed')} ({bundle.method})"
        )
        output.line("model", f"{printable(manifest.name)}  sha256:{manifest.model_digest}")
        output.line(
            "files",
            f"{len(manifest.files)} ({manifest.hash_type} {manifest.method}"
            f"{f', {trees} with trees' if trees else ''})",
        )
        for entry in manifest.files[:_MAX_SHOWN]:
            size = human_bytes(entry.size_bytes) if entry.size_bytes is not None else "?"
            output.line(
                "", f"{entry.digest[:16] or 'in shards':<16}  {size:>9}  {printable(entry.path)}"
            )
        if len(manifest.files) > _MAX_SHOWN:
            output.line("", f"… and {len(manifest.files) - _MAX_SHOWN} more; --json shows all")
        if manifest.ignore_paths:
            ignored = ", ".join(printable(path) for path in manifest.ignore_paths)
            output.line("left out", ignored)
    output.document(
        {"schema": "countermark/inspect-bundle/v1", "verdict": "not-verified", "bundles": documents}
    )


def _public_key(output: Output, file: Path) -> None:
    from countermark.signing.keys import MAX_KEY_BYTES, load_public_key

    key = load_public_key(read_bounded(file, MAX_KEY_BYTES))
    output.document(
        {
            "schema": "countermark/inspect-key/v1",
            "verdict": "done",
            "key_id": key.key_id,
            "algorithm": key.algorithm,
        }
    )
    output.line("public key", key.algorithm)
    output.line("key id", key.key_id)


def _certificates(output: Output, file: Path) -> None:
    from countermark.cli.certificates import read_certificates
    from countermark.signing.x509_loading import describe

    documents = []
    for certificate in read_certificates([file]):
        facts = describe(certificate)
        documents.append(
            {
                "subject": facts.subject,
                "issuer": facts.issuer,
                "identities": list(facts.identities),
                "serial": facts.serial,
                "not_before": facts.not_before.isoformat(),
                "not_after": facts.not_after.isoformat(),
            }
        )
        output.line("certificate", printable(facts.subject))
        for name in facts.identities:
            output.line("identity", printable(name))
        output.line("issuer", printable(facts.issuer))
        output.line("valid", f"{facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}")
    output.document(
        {
            "schema": "countermark/inspect-certificates/v1",
            "verdict": "not-verified",
            "certificates": documents,
        }
    )


def _leaves(output: Output, file: Path) -> None:
    from countermark.signing.leaves import MAX_LEAVES_BYTES, decode
    from countermark.signing.merkle import DIGEST_BYTES

    with file.open("rb") as stream:
        leaves = decode(stream.read(MAX_LEAVES_BYTES + 1))
    blocks = {name: len(one.block_digests) // DIGEST_BYTES for name, one in leaves.items()}
    output.document(
        {
            "schema": "countermark/inspect-leaves/v1",
            "verdict": "not-verified",
            "files": [{"path": name, "blocks": count} for name, count in blocks.items()],
        }
    )
    output.line("leaves", f"{sum(blocks.values())} block digests of {len(blocks)} files")
    for name, count in list(blocks.items())[:_MAX_SHOWN]:
        output.line("", f"{count:>9} blocks  {printable(name)}")
    if len(blocks) > _MAX_SHOWN:
        output.line("", f"… and {len(blocks) - _MAX_SHOWN} more; --json shows all")


def _safetensors(output: Output, file: Path) -> None:
    from countermark.signing.safetensors import read_header

    size = file.stat().st_size
    with file.open("rb") as stream:

        def read(offset: int, count: int) -> bytes:
            stream.seek(offset)
            return stream.read(count)

        header = read_header(read, size)
    output.document(
        {
            "schema": "countermark/inspect-safetensors/v1",
            "verdict": "done",
            "size_bytes": size,
            "header_bytes": header.header_bytes,
            "metadata": dict(header.metadata),
            "tensors": [
                {"name": t.name, "dtype": t.dtype, "shape": list(t.shape), "bytes": t.end - t.begin}
                for t in header.tensors
            ],
        }
    )
    output.line("safetensors", f"{len(header.tensors)} tensors, {human_bytes(size)}")
    for name, value in header.metadata[:_MAX_SHOWN]:
        output.line("metadata", f"{printable(name)} = {printable(value)[:200]}")
    for tensor in header.tensors[:_MAX_SHOWN]:
        length = human_bytes(tensor.end - tensor.begin)
        output.line(
            "", f"{tensor.dtype:<8} {length:>9}  {printable(tensor.name)} {list(tensor.shape)}"
        )
    if len(header.tensors) > _MAX_SHOWN:
        output.line("", f"… and {len(header.tensors) - _MAX_SHOWN} more; --json shows all")
