"""Sixty-four bits in a text, without distortion: `countermark-gumbel-payload-v1`.

A message is 48 bits of anybody's choice and 16 bits of a keyed MAC: four symbols of 16 bits, which
a Reed-Solomon code makes eight. The context says which of the eight a token carries, the symbol
goes into the keyed function, and the token is drawn as in `gumbel`. Under a wrong symbol the
scores of a text are those of unmarked text; so any four symbols that score well give a word of the
code, and the right word is the one that scores best in all eight and whose MAC fits. Places that
each carry a part are what MPAC (Yoo, Ahn, Kwak, "Advancing beyond identification: multi-bit
watermark for large language models", 2024) has with bits of a green list, and codes over them are
those of Qu et al., "Provably robust multi-bit watermarking for AI-generated text" (2025); symbols
of 16 bits, read through lists and a MAC, are ours.

Two things could go wrong, and each has a bound that holds for any text (specs/watermark-payload-v1
§5): a text that nobody marked reads as marked, and a marked one reads as another message.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.gumbel import exponentials, race, scores
from countermark.watermark.payload_code import MESSAGE_SYMBOLS, PLACES
from countermark.watermark.payload_kernels import symbol_totals
from countermark.watermark.payload_messages import (
    IDENTIFIER_BITS,
    MAX_RANK,
    best_message,
    message_symbols,
)
from countermark.watermark.prf import (
    SYMBOLS,
    Tag,
    blocks,
    context_blocks,
    symbol_sweeps,
    vocabulary_blocks,
)
from countermark.watermark.statistics import log_gamma_tail
from countermark.watermark.units import NO_PAIRS, CommonPairs, find_units
from countermark.watermark.verdict import Payload

__all__ = [
    "IDENTIFIER_BITS",
    "MAX_PAIRS",
    "MAX_RANK",
    "PayloadDetector",
    "PayloadSampler",
    "decode_payload",
    "message_symbols",
]

MAX_PAIRS = 750  # Of each place; those after it are scored, but do not choose the message.
_LN_SYMBOLS = math.log(SYMBOLS)
_LN_MESSAGES = IDENTIFIER_BITS * math.log(2)

# At which places a wrong message may differ from what the text carries: at five or more. Each
# number of places has a quarter of what may go wrong.
_FEWEST = PLACES - MESSAGE_SYMBOLS + 1
_DIFFERENCES = np.array(
    [
        [place in at for place in range(PLACES)]
        for count in range(_FEWEST, PLACES + 1)
        for at in combinations(range(PLACES), count)
    ]
)
_SIZES = _DIFFERENCES.sum(-1)
_LN_SHARES = -np.log([MESSAGE_SYMBOLS * math.comb(PLACES, size) for size in _SIZES.tolist()])


@dataclass(frozen=True, slots=True)
class PayloadSampler:
    """Draws tokens that carry one message.

    Raises:
        SchemeError: If the identifier or the MAC key is out of range.

    """

    key: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)
    identifier: int
    width: int = 2
    _symbols: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        symbols = message_symbols(self.mac_key, self.identifier)
        object.__setattr__(self, "_symbols", symbols)

    def choose(
        self,
        logits: NDArray[np.float32],
        context: NDArray[np.uint32],
        rng: np.random.Generator,
    ) -> int:
        """Return the token that key and message draw from softmax(`logits`) after `context`."""
        nothing = np.zeros(1, np.uint32)
        place = vocabulary_blocks(self.key, Tag.PAYLOAD_POSITION, context, nothing)[0, 0]
        symbol = self._symbols[int(place) % PLACES]
        candidates = np.flatnonzero(logits > -np.inf)
        words = vocabulary_blocks(
            self.key, Tag.PAYLOAD, context, candidates.astype(np.uint32), symbol=symbol
        )
        return race(logits, exponentials(words[:, 0]), candidates)


@dataclass(frozen=True, slots=True)
class PayloadDetector:
    """`countermark-gumbel-payload-v1` with one key: 0.4 ms per token, whoever wrote the text.

    As a `Detector` it scores a document under the message that suits it best, and its p-values
    pay for the choice among all 2^48 (union bound); so they also hold for windows of the document.
    Unlike others, a value depends on the whole document, and p-values are upper bounds.
    """

    key: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)
    width: int = 2
    scheme: str = "countermark-gumbel-payload-v1"

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return -ln(1 - u) of each token under its document's message, float64 [M]."""
        return self.read(documents, positions)[0]

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln min(1, 2^48 P(Gamma(counts, 1) >= totals))."""
        return np.minimum(0.0, log_gamma_tail(totals, counts) + _LN_MESSAGES)

    def read(
        self, documents: Documents, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], list[Payload | None]]:
        """Return the values, and for each document the message they were computed under.

        A payload is only the best guess until its p-values are looked at; it is None where a
        document has no position.
        """
        owners = np.searchsorted(documents.starts, positions, side="right") - 1
        order = np.argsort(owners, kind="stable")
        ends = np.searchsorted(owners[order], np.arange(len(documents) + 1))
        values = np.zeros(len(positions))
        payloads: list[Payload | None] = []
        for first, last in pairwise(ends):
            chosen = order[first:last]
            payload = None
            if len(chosen):
                values[chosen], payload = self._read_one(documents, positions[chosen])
            payloads.append(payload)
        return values, payloads

    def _read_one(
        self, documents: Documents, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], Payload]:
        words = context_blocks(self.key, Tag.PAYLOAD_POSITION, documents, positions, self.width)
        places = (words[:, 0] % np.uint64(PLACES)).astype(np.int64)
        totals = np.stack(
            [
                symbol_totals(
                    symbol_sweeps(
                        self.key,
                        Tag.PAYLOAD,
                        documents,
                        positions[places == place][:MAX_PAIRS],
                        self.width,
                    )
                )
                for place in range(PLACES)
            ]
        )
        identifier = best_message(totals, self.mac_key)
        symbols = np.array(message_symbols(self.mac_key, identifier), np.uint32)
        words = blocks(
            self.key, Tag.PAYLOAD, documents, positions, self.width, symbols=symbols[places]
        )
        values = scores(words[:, 0])
        return values, _payload(identifier, values, places)


def decode_payload(
    documents: Documents,
    key: bytes,
    mac_key: bytes,
    *,
    document: int = 0,
    width: int = 2,
    alpha: float = 1e-6,
    common: CommonPairs = NO_PAIRS,
) -> Payload | None:
    """Return the message in one document, or None if there is not enough evidence for any.

    Args:
        documents: Where the tokens are.
        key: 16 bytes.
        mac_key: 32 bytes.
        document: Which.
        width: Context tokens.
        alpha: The share of texts without a mark of this key for which a message may be returned.
            Of texts that carry another message, `verdict.WRONG_LIMIT` is the bound.
        common: Commonplaces of this width, which do not count.

    Raises:
        SchemeError: If a key or a parameter is out of range.

    """
    if not 0 < alpha < 1:
        raise SchemeError(f"alpha is {alpha}; a rate between 0 and 1 is expected")
    first, last = documents.starts[document : document + 2]
    one = Documents(documents.tokens[first:last], np.array([0, last - first], np.int64))
    detector = PayloadDetector(key, mac_key, width)
    _, (payload,) = detector.read(one, find_units(one, width, common).positions)
    if payload is None or not payload.readable or payload.ln_p > math.log(alpha):
        return None
    return payload


def _payload(identifier: int, values: NDArray[np.float64], places: NDArray[np.int64]) -> Payload:
    counts = np.bincount(places, minlength=PLACES)
    sums = np.bincount(places, weights=values, minlength=PLACES).astype(np.float64, copy=False)
    singles = np.minimum(0.0, log_gamma_tail(sums, counts) + _LN_SYMBOLS)
    tails = log_gamma_tail((_DIFFERENCES * sums).sum(-1), (_DIFFERENCES * counts).sum(-1))
    # So many messages differ in just these symbols, since of all the MAC lets one in 65,536 pass.
    wrong = tails + _LN_SYMBOLS * (_SIZES - _FEWEST) - _LN_SHARES
    return Payload(
        identifier=identifier,
        ln_p=min(0.0, float(tails[-1]) + _LN_MESSAGES),
        ln_wrong=min(0.0, float(wrong.max())),
        scored=len(values),
        symbol_ln_p=tuple(singles.tolist()),
    )
