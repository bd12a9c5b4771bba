"""What a file in a model folder is for: weights, code, pickles, settings.

The answer comes from the name and, where the caller has read it, from the first bytes. It
is a note for people and policies; no digest and no signature depends on it.
"""

from __future__ import annotations

__all__ = ["HEAD_BYTES", "is_weights", "kind_of_head", "kind_of_name"]

# How many leading bytes `kind_of_head` looks at.
HEAD_BYTES = 512

_WEIGHTS = (
    ".safetensors .gguf .ggml .onnx .onnx_data .onnx.data .h5 .keras .msgpack .npz .npy .tflite "
    ".mlmodel .ot .nemo .pdparams .params .engine .plan .trt .pte .bin .mar"
).split()
_PICKLES = ".pt .pth .pkl .pickle .ckpt .joblib .dill .pt2 .th".split()
_PICKLE_NAMES = frozenset(
    {
        "pytorch_model.bin",
        "adapter_model.bin",
        "training_args.bin",
        "optimizer.bin",
        "scheduler.bin",
        "diffusion_pytorch_model.bin",
    }
)
_CODE = (
    ".py .pyc .pyd .so .dll .dylib .sh .bash .bat .cmd .ps1 .js .mjs .ts .rb .pl .php .exe .jar "
    ".wasm .ipynb .jinja .jinja2 .lua .cu .cpp .c .rs .go .egg .whl"
).split()
_CONFIG = ".json .jsonl .yaml .yml .toml .txt .md .model .vocab .tiktoken .cfg .ini .rst".split()

# The first bytes of what `kind_of_head` knows; most files are done with one look.
_TELLING = frozenset({b"\x80", b"P", b"G", b"#", b"\x7f", b"M"})

# A safetensors file starts with the length of its header (u64, at most 100 MB) and a brace.
_SAFETENSORS_BRACE = 8
_MAX_HEADER_BYTES = 100_000_000

_BY_SUFFIX = {
    **dict.fromkeys(_CONFIG, "config"),
    **dict.fromkeys(_CODE, "code"),
    **dict.fromkeys(_WEIGHTS, "weights"),
    **dict.fromkeys(_PICKLES, "pickle"),
}


def kind_of_name(path: str) -> str:
    """Return `weights`, `pickle`, `code`, `config` or `other`, from the name alone."""
    # A slash behind the last dot makes a "suffix" that is in no list.
    suffix = path[path.rfind(".") :].lower()
    if suffix == ".bin":
        name = path[path.rfind("/") + 1 :].lower()
        if name in _PICKLE_NAMES or name.startswith("pytorch_model"):
            return "pickle"
    return _BY_SUFFIX.get(suffix, "other")


def kind_of_head(path: str, head: bytes) -> str:
    """Return the kind, corrected by the file's first `HEAD_BYTES` bytes.

    A pickle is a pickle whatever it is called: protocol 2 and later start with 0x80 and the
    protocol number (Python's `pickletools`), and torch's zip files hold a `data.pkl`.
    """
    if head[_SAFETENSORS_BRACE : _SAFETENSORS_BRACE + 1] == b"{":
        length = int.from_bytes(head[:_SAFETENSORS_BRACE], "little")
        if 1 < length <= _MAX_HEADER_BYTES:
            return "weights"
    kind = kind_of_name(path)
    if head[:1] not in _TELLING:
        return kind
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    if head.startswith(b"PK\x03\x04") and b"data.pkl" in head:
        return "pickle"
    if head.startswith(b"GGUF"):
        return "weights"
    if kind == "other" and (head.startswith((b"#!", b"\x7fELF", b"MZ"))):
        return "code"
    return kind


def is_weights(kind: str) -> bool:
    """Return whether a file of this kind holds weights (pickles do, mostly)."""
    return kind in ("weights", "pickle")
