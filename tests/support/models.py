"""Small models made on the spot, signed with fresh keys, and statements signed at will."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from countermark.signing.bundle import parse_bundle
from countermark.signing.keys import PrivateKey, PublicKey, generate
from countermark.signing.places import default_signature, evidence_files
from countermark.signing.sign import Identity, sign_snapshot, sign_statement, write_signed
from countermark.signing.signatures import Trust
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
from countermark.signing.statement import Dialect

Tensor = bytes | tuple[str, Sequence[int], bytes]

WEIGHTS = "model.safetensors"
TENSORS: Mapping[str, Tensor] = {
    "layer.0.weight": ("F32", (4, 4), bytes(range(64))),
    "layer.1.weight": ("BF16", (8, 2), bytes(range(64, 96))),
    "head.bias": ("F32", (2,), b"\x00\x00\x80\x3f\x00\x00\x00\x40"),
}
FILES: Mapping[str, bytes] = {
    "config.json": b'{"model_type": "tiny", "layers": 2}\n',
    "README.md": b"# tiny\n\nA model of three tensors.\n",
    "tokenizer/vocab.txt": b"a\nb\nc\n",
}
OPTIONS = SnapshotOptions()


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None
) -> Path:
    """Write a valid file; a tensor is its bytes (then `U8`), or (dtype, shape, bytes)."""
    header: dict[str, object] = {}
    if metadata is not None:
        header["__metadata__"] = dict(metadata)
    position, chunks = 0, []
    for name, tensor in tensors.items():
        dtype, shape, data = ("U8", (len(tensor),), tensor) if isinstance(tensor, bytes) else tensor
        end = position + len(data)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, end]}
        chunks.append(data)
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))
    return path


def make_model(
    folder: Path,
    files: Mapping[str, bytes] = FILES,
    *,
    tensors: Mapping[str, Tensor] | None = TENSORS,
) -> Path:
    """Make a folder of `files` and, unless `tensors` is None, one `model.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    if tensors is not None:
        write_safetensors(folder / WEIGHTS, tensors)
    return folder


def make_hub_snapshot(
    cache: Path, *, repository: str = "models--org--tiny", commit: str = "0" * 40
) -> Path:
    """Make a Hub cache that holds the usual model; return the snapshot folder of links."""
    blobs = cache / repository / "blobs"
    snapshot = cache / repository / "snapshots" / commit
    plain = make_model(cache / "unpacked")
    blobs.mkdir(parents=True)
    for index, file in enumerate(sorted(path for path in plain.rglob("*") if path.is_file())):
        blob = blobs / f"{index:040x}"
        link = snapshot / file.relative_to(plain)
        link.parent.mkdir(parents=True, exist_ok=True)
        file.rename(blob)
        link.symlink_to(
            Path("../" * (len(link.relative_to(snapshot).parts) + 1)) / "blobs" / blob.name
        )
    return snapshot


def make_local_dir(folder: Path) -> Path:
    """Make what `hf download --local-dir` leaves behind."""
    model = make_model(folder)
    metadata = folder / ".cache" / "huggingface" / "download"
    metadata.mkdir(parents=True)
    (metadata / f"{WEIGHTS}.metadata").write_text("0" * 40 + "\n")
    (metadata.parent / ".gitignore").write_text("*\n")
    return model


def sign(
    model: Path,
    *,
    key: PrivateKey | None = None,
    further: Sequence[PrivateKey] = (),
    chain: tuple[bytes, ...] = (),
    signature: Path | None = None,
    options: SnapshotOptions = OPTIONS,
    dialect: Dialect = Dialect.PYTHON,
    replace: bool = False,
) -> tuple[Path, PublicKey]:
    """Sign through the library; return the signature's path and the first signer's key."""
    key = key or generate("ec-p256")
    signature = signature or default_signature(model)
    snapshot = take_snapshot(model, options, exclude=evidence_files(signature))
    signers = [Identity(key=key, chain=chain), *(Identity(key=other) for other in further)]
    write_signed(sign_snapshot(snapshot, signers, dialect=dialect), signature, replace=replace)
    return signature, key.public_key


def trust(*keys: PublicKey) -> Trust:
    """Trust these keys, and all of them must have signed."""
    return Trust(public_keys=keys)


def statement_of(signature: Path) -> dict[str, object]:
    """Return the statement in a bundle as plain JSON values, for tests that bend it."""
    document: dict[str, object] = json.loads(parse_bundle(signature.read_bytes()).payload)
    return document


def resign_statement(statement: object, key: PrivateKey) -> bytes:
    """Return a bundle in which `key` signs this statement: JSON values, or bytes as they are."""
    payload = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    return sign_statement(payload, Identity(key=key))


def write_public_key(folder: Path, key: PublicKey, name: str = "key.pub") -> Path:
    """Write a public key for the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(key.pem)
    return path


def write_private_key(folder: Path, key: PrivateKey, name: str = "key.key") -> Path:
    """Write an unencrypted private key for the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(key.pem(None))
    return path
