"""What a detector card must say besides its figures: about each scheme, and what was left out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

__all__ = ["NOT_MEASURED", "notes_on"]

NOT_MEASURED: Final = (
    "Paraphrase and translation by a model or a person.",
    "Text whose author knew the key, or could ask a detector again and again.",
    "Code, tables, other languages and other kinds of text than the files given here hold.",
    "Whether the mark changes what the model writes.",
    "Unmarked text in files other than those given: documents that share phrases share their "
    "false alarms, unless `calibrate` learnt these phrases.",
)

_FORGES = "Whoever has the key can mark any text: a mark shows that the key was used, not by whom."
_OWN: Final = (
    _FORGES,
    "The keyed function is AES-128: marked text does not give the key away.",
)
_SAME_TOKEN: Final = (
    "The same context is always drawn alike: an answer asked for twice may come out the same.",
)
_BIASED: Final = (
    "The scheme favours some tokens over others, so it changes what the model says; with much "
    "text the favoured tokens of frequent contexts can be counted, and the mark imitated.",
)
_MERSENNE: Final = (
    "Lists are drawn by a 32-bit generator that is not cryptographic, and the key is often the "
    "public default: a match is no evidence against somebody who wished to deceive.",
    *_BIASED,
)
_PHILOX: Final = (
    "The keyed function is not cryptographic: who has seen much marked text may imitate the mark.",
)

_NOTES: Final[dict[str, tuple[str, ...]]] = {
    "countermark-gumbel-v1": (*_OWN, *_SAME_TOKEN),
    "countermark-gumbel-dual-v1": _OWN,
    "countermark-tournament-v1": _OWN,
    "countermark-greenlist-v1": (*_OWN, *_BIASED),
    "transformers-kgw-lefthash": _MERSENNE,
    "transformers-kgw-selfhash": _MERSENNE,
    "lm-watermarking-simple-1": _MERSENNE,
    "lm-watermarking-selfhash": _MERSENNE,
    "transformers-synthid": (
        "One marked text of about 1,000 tokens gives the keys away to anybody: a match shows that "
        "the tool was used by somebody with no wish to deceive, and is no evidence against an "
        "adversary (specs/rosetta-synthid-v1, section 6).",
    ),
    "vllm-gumbel-philox-v1": (*_PHILOX, *_SAME_TOKEN),
    "vllm-gumbel-hmac-v1": _SAME_TOKEN,
    "vllm-gumbel-dual-v1": (
        "With the function `philox`, which is not cryptographic, who has seen much marked text may "
        "imitate the mark.",
    ),
    "textseal-gumbel": (
        "The hash is linear before one mixing step: a few marked tokens give the key away, so a "
        "match is no evidence against an adversary (specs/rosetta-textseal-v1, section 8).",
        *_SAME_TOKEN,
    ),
}


def notes_on(schemes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return what is to be said about each scheme, in order of their names."""
    return {scheme: _NOTES.get(scheme, (_FORGES,)) for scheme in sorted(set(schemes))}
