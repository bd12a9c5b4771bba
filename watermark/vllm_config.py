"""What `vllm serve --watermark-config` takes: written for a key, and read back strictly."""

from __future__ import annotations

from countermark.watermark.errors import MalformedDescriptorError, SchemeError
from countermark.watermark.vllm import (
    DEFAULT_ALPHA,
    DEFAULT_WIDTH,
    VllmDetector,
    VllmDualGumbelDetector,
    VllmGumbelDetector,
)

__all__ = ["parse_config", "vllm_config"]

_SCOPES = ("none", "single_turn", "all")


def vllm_config(
    key: int, *, width: int = DEFAULT_WIDTH, alpha: float | None = None, prf: str = "philox"
) -> dict[str, int | float | str]:
    """Return what `--watermark-config` takes, as JSON values; it holds the key.

    Args:
        key: Below 2^64; for `hmac_sha256` and one key, below 2^256.
        width: `context_width`.
        alpha: Share of key B, for `dual_key_gumbel`; None for `gumbel`.
        prf: Recent vLLM knows `philox` only.

    Raises:
        SchemeError: vLLM would refuse it.

    """
    common: dict[str, int | float | str] = {"key": key, "context_width": width, "prf": prf}
    if alpha is None:
        VllmGumbelDetector(key, width, prf)
        return {"algorithm": "gumbel", **common}
    VllmDualGumbelDetector(key, alpha, width, prf)
    return {"algorithm": "dual_key_gumbel", **common, "alpha": alpha}


def parse_config(document: object) -> VllmDetector:
    """Return the detector for text marked under a `--watermark-config`, already parsed as JSON.

    Defaults are the generator's. What only steers generation is checked and left out.

    Raises:
        MalformedDescriptorError: It is no such configuration, or holds an unknown field.
        SchemeError: It asks for another algorithm, or for a value out of range.

    """
    if not isinstance(document, dict):
        raise MalformedDescriptorError("vLLM configuration: not an object")
    fields: dict[object, object] = dict(document)
    key = _integer("key", fields.pop("key", None))
    algorithm = fields.pop("algorithm", "gumbel")
    alpha = _real("alpha", fields.pop("alpha", DEFAULT_ALPHA))
    width = fields.pop("context_width", None)  # null is how vLLM writes its default.
    width = DEFAULT_WIDTH if width is None else _integer("context_width", width)
    prf = fields.pop("prf", "philox")
    if not isinstance(prf, str):
        raise MalformedDescriptorError("vLLM configuration: `prf` is no string")
    _check_steering(fields)
    if algorithm == "gumbel":
        return VllmGumbelDetector(key, width, prf)
    if algorithm == "dual_key_gumbel":
        return VllmDualGumbelDetector(key, alpha, width, prf)
    raise SchemeError(
        f"vLLM's algorithm {ascii(algorithm)[:80]}", hint="gumbel or dual_key_gumbel is detected"
    )


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedDescriptorError(f"vLLM configuration: `{name}` is no integer")
    return value


def _real(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedDescriptorError(f"vLLM configuration: `{name}` is no number")
    # Compared before it is converted: an integer may be too large to be a float.
    if not 0 <= value <= 1:
        raise SchemeError(f"vLLM configuration: `{name}` is a share; 0 to 1 is possible")
    return float(value)


def _check_steering(fields: dict[object, object]) -> None:
    scope = fields.pop("deduplicate_contexts", _SCOPES[0])
    if scope not in _SCOPES:
        raise MalformedDescriptorError("vLLM configuration: `deduplicate_contexts`")
    history = fields.pop("deduplicate_contexts_max_history", None)
    if history is not None and _integer("deduplicate_contexts_max_history", history) < 1:
        raise SchemeError("vLLM configuration: a history of no positions")
    if not isinstance(fields.pop("allow_target_only_watermarking", False), bool):
        raise MalformedDescriptorError("vLLM configuration: `allow_target_only_watermarking`")
    for name in fields:
        raise MalformedDescriptorError(f"vLLM configuration: unknown field {ascii(name)[:80]}")
