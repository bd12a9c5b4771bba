"""The table of schemes: their names, their parameters, and what a key of each consists of.

One row for each scheme that a key ring or a descriptor may name. What a parameter does is said
where the scheme is; here stands what is allowed, so that no file can ask for anything else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from countermark.watermark.errors import SchemeError

__all__ = [
    "SCHEMES",
    "Choice",
    "Integer",
    "Integers",
    "Purpose",
    "Real",
    "Scheme",
    "Value",
    "scheme_named",
]

Value = int | float | str | tuple[int, ...]

_INT63 = (1 << 63) - 1
_UINT64 = (1 << 64) - 1
# RFC 8785 numbers are doubles; a larger integer would be another one elsewhere.
_EXACT = (1 << 53) - 1


class Purpose(StrEnum):
    """What a derived secret is for. Each is another HKDF label, so no two are related."""

    MARK = "mark"
    SECOND = "second"
    PAYLOAD_MAC = "payload-mac"

    @property
    def size(self) -> int:
        """Length in bytes: of an AES-128 key, or of an HMAC-SHA256 key."""
        return 32 if self is Purpose.PAYLOAD_MAC else 16


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer from `low` to `high`, both included."""

    low: int
    high: int
    default: int

    def check(self, name: str, value: object) -> int:
        """Return the value, or raise `SchemeError`."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise SchemeError(f"{name} is no integer")
        if not self.low <= value <= self.high:
            raise SchemeError(f"{name} is {value}; {self.low} to {self.high} is possible")
        return value


@dataclass(frozen=True, slots=True)
class Real:
    """A number from `low` to `high`, both included, and zero or at least 0.0001.

    So it has one decimal form in every language.
    """

    low: float
    high: float
    default: float

    def check(self, name: str, value: object) -> float:
        """Return the value, or raise `SchemeError`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SchemeError(f"{name} is no number")
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise SchemeError(f"{name} is {value}; {self.low} to {self.high} is possible")
        if 0 < abs(value) < 1e-4:
            raise SchemeError(f"{name} is {value}; 0.0001 is the smallest step from zero")
        return float(value) + 0.0  # Minus zero is zero.


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words; the first is the default."""

    options: tuple[str, ...]

    @property
    def default(self) -> str:
        """The first of the options."""
        return self.options[0]

    def check(self, name: str, value: object) -> str:
        """Return the value, or raise `SchemeError`."""
        if not isinstance(value, str) or value not in self.options:
            raise SchemeError(f"{name} is none of {', '.join(self.options)}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Integers:
    """How many secret integers somebody else's scheme takes, and how large they are.

    Attributes:
        fewest: How many there are at least.
        most: How many there are at most.
        new: How many a new key has.
        low: The smallest that the peer takes.
        high: The largest that the peer takes.
        new_high: The largest of a new key: the peer's own arithmetic does not overflow on it.

    """

    fewest: int = 1
    most: int = 1
    new: int = 1
    low: int = -(1 << 63)
    high: int = _INT63
    new_high: int = _INT63


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One row of the table.

    Attributes:
        name: Name and version.
        parameters: What is allowed, by name.
        purposes: The secrets that are derived for a key of ours; empty if not ours.
        integers: The secrets of a key that is not ours; None if ours.

    """

    name: str
    parameters: Mapping[str, Integer | Real | Choice]
    purposes: tuple[Purpose, ...] = ()
    integers: Integers | None = None

    def check(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Return all parameters, sorted by name, with defaults where nothing is given.

        Raises:
            SchemeError: One is unknown, of the wrong type, or out of range.

        """
        unknown = sorted(set(given) - set(self.parameters))
        if unknown:
            raise SchemeError(
                f"{self.name} has no parameter {ascii(unknown[0])[:80]}",
                hint=f"it has: {', '.join(self.parameters) or 'none'}",
            )
        return {
            name: kind.check(f"{self.name}: {name}", given.get(name, kind.default))
            for name, kind in sorted(self.parameters.items())
        }


def scheme_named(name: str) -> Scheme:
    """Return the row of a scheme.

    Raises:
        SchemeError: There is no such scheme.

    """
    if name not in SCHEMES:
        raise SchemeError(
            f"there is no scheme {ascii(name)[:80]}", hint=f"there are: {', '.join(SCHEMES)}"
        )
    return SCHEMES[name]


# 14 context words, the domain and the token fill four AES blocks (watermark/prf.py).
_WIDTH = Integer(1, 14, 2)

_TABLE = (
    Scheme(name="countermark-gumbel-v1", parameters={"width": _WIDTH}, purposes=(Purpose.MARK,)),
    Scheme(
        name="countermark-gumbel-dual-v1",
        parameters={"width": _WIDTH, "alpha": Real(0.001, 0.999, 0.1)},
        purposes=(Purpose.MARK, Purpose.SECOND),
    ),
    Scheme(
        name="countermark-tournament-v1",
        parameters={"width": _WIDTH, "layers": Integer(1, 128, 30)},
        purposes=(Purpose.MARK,),
    ),
    Scheme(
        name="countermark-greenlist-v1",
        parameters={
            "width": Integer(1, 14, 1),
            "gamma": Real(0.01, 0.99, 0.25),
            "delta": Real(0, 20, 2),
        },
        purposes=(Purpose.MARK,),
    ),
    Scheme(
        name="countermark-gumbel-payload-v1",
        parameters={"width": _WIDTH},
        purposes=(Purpose.MARK, Purpose.PAYLOAD_MAC),
    ),
    # A seed is the key times a token id, and torch takes seeds below 2^64.
    Scheme(
        name="transformers-kgw-lefthash",
        parameters={"greenlist_ratio": Real(0.01, 0.99, 0.25), "bias": Real(0, 100, 2)},
        integers=Integers(new_high=(1 << 40) - 1),
    ),
    # Here it is the key times two entries of a table of a million.
    Scheme(
        name="transformers-kgw-selfhash",
        parameters={
            "greenlist_ratio": Real(0.01, 0.99, 0.25),
            "bias": Real(0, 100, 2),
            "context_width": Integer(1, 64, 4),
        },
        integers=Integers(new_high=(1 << 24) - 1),
    ),
    Scheme(
        name="lm-watermarking-simple-1",
        parameters={"gamma": Real(0.01, 0.99, 0.25), "delta": Real(0, 100, 2)},
        integers=Integers(new_high=(1 << 40) - 1),
    ),
    Scheme(
        name="lm-watermarking-selfhash",
        parameters={
            "gamma": Real(0.01, 0.99, 0.25),
            "delta": Real(0, 100, 2),
            "context_width": Integer(1, 64, 4),
        },
        integers=Integers(new_high=(1 << 24) - 1),
    ),
    Scheme(
        name="transformers-synthid",
        parameters={
            "ngram_len": Integer(2, 64, 5),
            "sampling_table_size": Integer(1 << 12, 1 << 24, 1 << 16),
            "sampling_table_seed": Integer(0, _EXACT, 0),
            "context_history_size": Integer(0, 1 << 24, 1024),
        },
        integers=Integers(most=128, new=30),
    ),
    Scheme(
        name="vllm-gumbel-philox-v1",
        parameters={"context_width": Integer(1, 64, 4)},
        integers=Integers(low=0, high=_UINT64, new_high=_UINT64),
    ),
    Scheme(
        name="vllm-gumbel-hmac-v1",
        parameters={"context_width": Integer(1, 64, 4)},
        integers=Integers(low=0, high=(1 << 256) - 1, new_high=(1 << 256) - 1),
    ),
    Scheme(
        name="vllm-gumbel-dual-v1",
        parameters={
            "context_width": Integer(1, 64, 4),
            "alpha": Real(0, 1, 0.1),
            "prf": Choice(("philox", "hmac_sha256")),
        },
        integers=Integers(low=0, high=_UINT64, new_high=_UINT64),
    ),
    Scheme(
        name="textseal-gumbel",
        parameters={"ngram": Integer(1, 10, 1)},
        integers=Integers(low=0),
    ),
    Scheme(
        name="textseal-dual",
        parameters={"ngram": Integer(1, 10, 1), "alpha": Real(0.001, 0.999, 0.5)},
        # The second of one integer is the first and an offset.
        integers=Integers(most=2, low=0, high=_INT63 - (1 << 32), new_high=_INT63 - (1 << 32)),
    ),
    Scheme(
        name="textseal-greenlist",
        parameters={"ngram": Integer(1, 10, 1), "gamma": Real(0.01, 0.99, 0.5)},
        integers=Integers(low=0),
    ),
    Scheme(
        name="textseal-synthid",
        parameters={
            "ngram": Integer(1, 10, 1),
            "depth": Integer(1, 128, 30),
            "gamma": Real(0.01, 0.99, 0.5),
            "weights": Choice(("equal", "falling")),
            "layers": Choice(("released", "later")),
        },
        integers=Integers(low=0),
    ),
)

SCHEMES: Mapping[str, Scheme] = {row.name: row for row in _TABLE}
