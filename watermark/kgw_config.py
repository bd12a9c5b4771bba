"""What the peers call their parameters, read strictly into our detector."""

from __future__ import annotations

import re

from countermark.signing.errors import MalformedJsonError, TooLargeError
from countermark.signing.strict_json import loads
from countermark.watermark.errors import MalformedDescriptorError, SchemeError
from countermark.watermark.kgw import DEFAULT_KEY, DEFAULT_TABLE_BYTES, KgwDetector

__all__ = ["from_lm_watermarking", "from_transformers_config"]

_MAX_CONFIG_BYTES = 64 << 10
_KEYS = {"greenlist_ratio", "bias", "hashing_key", "seeding_scheme", "context_width"}
_FREE_FORM = re.compile(r"ff-(\w{1,40})-(\d{1,3})-(True|False)(?:-(\d{1,19}))?", re.ASCII)


def from_transformers_config(
    data: bytes, *, vocabulary: int, table_bytes: int = DEFAULT_TABLE_BYTES
) -> KgwDetector:
    """Read what transformers' `WatermarkingConfig.to_json_string` wrote.

    Args:
        data: A JSON object with some of `greenlist_ratio`, `bias`, `hashing_key`,
            `seeding_scheme`, `context_width`; what lacks has transformers' default.
        vocabulary: `vocab_size` of the model's configuration.
        table_bytes: As for `KgwDetector`.

    Raises:
        MalformedDescriptorError: It is not such an object: another scheme's configuration, an
            unknown key, a wrong type.
        SchemeError: A value is out of range.

    """
    try:
        document = loads(data, what="watermarking configuration", max_bytes=_MAX_CONFIG_BYTES)
    except (MalformedJsonError, TooLargeError) as e:
        raise MalformedDescriptorError(str(e)) from e
    if not isinstance(document, dict):
        raise MalformedDescriptorError("watermarking configuration: expected an object")
    unknown = sorted(set(document) - _KEYS)
    if unknown:
        raise MalformedDescriptorError(
            f"watermarking configuration: unknown key {ascii(unknown[0])[:80]}"
        )
    _real(document, "bias", 2.0)  # It changes what is generated, not what is green.
    scheme = document.get("seeding_scheme", "lefthash")
    if scheme not in ("lefthash", "selfhash"):
        raise MalformedDescriptorError(
            "watermarking configuration: seeding_scheme is neither lefthash nor selfhash"
        )
    width = _integer(document, "context_width", 1)
    if width < 1:
        raise SchemeError(f"a context of {width} tokens")
    return KgwDetector(
        scheme=f"transformers-kgw-{scheme}",
        vocabulary=vocabulary,
        ratio=_real(document, "greenlist_ratio", 0.25),
        key=_integer(document, "hashing_key", DEFAULT_KEY),
        # Left-hash reads one token back, however many it waits for.
        context_width=1 if scheme == "lefthash" else width,
        table_bytes=table_bytes,
    )


def from_lm_watermarking(
    seeding_scheme: str,
    *,
    vocabulary: int,
    gamma: float = 0.25,
    table_bytes: int = DEFAULT_TABLE_BYTES,
) -> KgwDetector:
    """Read lm-watermarking's name of a seeding scheme.

    Args:
        seeding_scheme: `simple_1` or `lefthash`, `selfhash` or `algorithm-3`, or the free form of
            these: `ff-additive_prf-1-False` and `ff-anchored_minhash_prf-4-True`, with any
            width in the second, and a key after another hyphen.
        vocabulary: How many entries the tokenizer's vocabulary has, `len(tokenizer)`.
        gamma: Green share; the demonstration's default, which the README recommends.
        table_bytes: As for `KgwDetector`.

    Raises:
        SchemeError: It is none of these, or a value is out of range.

    """
    name, width, key = _seeding(seeding_scheme)
    return KgwDetector(
        scheme=name,
        vocabulary=vocabulary,
        ratio=gamma,
        key=key,
        context_width=width,
        table_bytes=table_bytes,
    )


def _seeding(text: str) -> tuple[str, int, int]:
    if text in ("simple_1", "lefthash"):
        return "lm-watermarking-simple-1", 1, DEFAULT_KEY
    if text in ("selfhash", "algorithm-3"):
        return "lm-watermarking-selfhash", 4, DEFAULT_KEY
    match = _FREE_FORM.fullmatch(text)
    if match is not None:
        function, width, salted, key = match.groups(str(DEFAULT_KEY))
        if (function, int(width), salted) == ("additive_prf", 1, "False"):
            return "lm-watermarking-simple-1", 1, int(key)
        if (function, salted) == ("anchored_minhash_prf", "True"):
            return "lm-watermarking-selfhash", int(width), int(key)
    raise SchemeError(
        f"no detector for the seeding scheme {ascii(text)[:80]}",
        hint="simple_1, selfhash, and their free forms",
    )


def _real(document: dict[str, object], name: str, default: float) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedDescriptorError(f"watermarking configuration: {name} is no number")
    return float(value)


def _integer(document: dict[str, object], name: str, default: int) -> int:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedDescriptorError(f"watermarking configuration: {name} is no integer")
    return value
