"""The public half of a key: what may be given to anyone who wants to know how text is marked.

It says which scheme with which parameters, which key (by its id), for which tokenizer and model,
and when. It holds no secret and no label, since labels name customers. It is one canonical JSON
file, so that `countermark sign` can sign it and two of them can be compared byte by byte.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from countermark.signing import strict_json
from countermark.signing.errors import MalformedError
from countermark.watermark.errors import MalformedDescriptorError, SchemeError
from countermark.watermark.terms import Terms, terms_document, terms_fields

__all__ = [
    "FORMAT",
    "MAX_DESCRIPTOR_BYTES",
    "Descriptor",
    "describe",
    "encode_descriptor",
    "parse_descriptor",
]

FORMAT = "countermark-watermark-descriptor-v1"
MAX_DESCRIPTOR_BYTES = 64 << 10
_MAX_DEPTH = 4
_MAX_ITEMS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor(Terms):
    """How one key marks text, and when. The fields are those of `Terms`."""


def describe(key: Terms) -> Descriptor:
    """Return what may be said in public about a key."""
    return Descriptor(**{field.name: getattr(key, field.name) for field in fields(Terms)})


def encode_descriptor(descriptor: Descriptor) -> bytes:
    """Return the one encoding of a descriptor: canonical JSON (RFC 8785), without a line feed."""
    return strict_json.dumps({"format": FORMAT} | terms_document(descriptor))


def parse_descriptor(data: bytes) -> Descriptor:
    """Parse a descriptor.

    Raises:
        MalformedDescriptorError: It is over a limit, is not this format, is not canonical,
            or says what cannot be.

    """
    try:
        document = strict_json.loads(
            data,
            what="descriptor",
            max_bytes=MAX_DESCRIPTOR_BYTES,
            max_depth=_MAX_DEPTH,
            max_items=_MAX_ITEMS,
        )
    except MalformedError as e:
        raise MalformedDescriptorError(str(e)) from e
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise MalformedDescriptorError(f"descriptor: no object with the format {FORMAT}")
    members: dict[str, object] = {k: v for k, v in document.items() if k != "format"}
    try:
        descriptor = Descriptor(**terms_fields(members))
    except SchemeError as e:
        raise MalformedDescriptorError(f"descriptor: {e}") from e
    if members:
        raise MalformedDescriptorError(f"descriptor: unknown members {ascii(sorted(members))[:80]}")
    if encode_descriptor(descriptor) != data:
        raise MalformedDescriptorError("descriptor: not in its canonical form")
    return descriptor
