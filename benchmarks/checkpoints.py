"""Make the models that benchmarks sign: random, the same in every run, never sparse."""

import json
import random
from pathlib import Path

GIB = 1 << 30
TENSORS_PER_FILE = 40

_PIECE_BYTES = 1 << 20
_BF16_BYTES = 2
_SHARD_SHARES = (0.35, 0.35, 0.30)  # 1.40 + 1.40 + 1.20 of 4.00 GiB
_FILES_PER_FOLDER = 200


def write_sharded(folder: Path, size_bytes: int) -> None:
    """Write a checkpoint of three safetensors shards, about `size_bytes` in total."""
    _write_side_files(folder)
    for number, share in enumerate(_SHARD_SHARES, start=1):
        name = f"model-{number:05}-of-{len(_SHARD_SHARES):05}.safetensors"
        write_safetensors(folder / name, int(size_bytes * share), seed=number)


def write_single(folder: Path, size_bytes: int) -> None:
    """Write a folder that holds one safetensors file and nothing else."""
    folder.mkdir(parents=True)
    write_safetensors(folder / "model.safetensors", size_bytes, seed=size_bytes)


def write_tiny(folder: Path) -> None:
    """Write a complete checkpoint of a few dozen KiB."""
    _write_side_files(folder)
    write_safetensors(folder / "model.safetensors", 1 << 14, seed=0)


def write_many(folder: Path, count: int) -> None:
    """Write `count` files of 16 to 1,024 random bytes, 200 to a folder."""
    source = random.Random(count)
    for number in range(count):
        path = folder / f"part-{number // _FILES_PER_FOLDER:04}" / f"{number:06}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(source.randint(16, 1024)))


def write_safetensors(path: Path, size_bytes: int, *, seed: int) -> None:
    """Write 40 bf16 tensors of equal size, `size_bytes` in total (rounded down to fit)."""
    elements = size_bytes // (TENSORS_PER_FILE * _BF16_BYTES)
    tensor_bytes = elements * _BF16_BYTES
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for index in range(TENSORS_PER_FILE):
        offsets = [index * tensor_bytes, (index + 1) * tensor_bytes]
        name = f"model.layers.{index}.weight"
        header[name] = {"dtype": "BF16", "shape": [elements], "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    source = random.Random(seed)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        left = tensor_bytes * TENSORS_PER_FILE
        while left > 0:
            file.write(source.randbytes(min(left, _PIECE_BYTES)))
            left -= _PIECE_BYTES


def _write_side_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    vocabulary = {f"token-{number}": number for number in range(1000)}
    (folder / "config.json").write_text(json.dumps({"architectures": ["None"], "vocab_size": 1000}))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 4096}))
    (folder / "README.md").write_text("# A model of random numbers\n")
