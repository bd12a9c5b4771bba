"""Marks that vLLM makes: `gumbel` and `dual_key_gumbel`, with either of its keyed functions.

specs/rosetta-vllm-v1 states their contract, from vLLM's sources and its published compatibility
vectors. Here are detectors that give the same words, uniforms and scores to the last bit of the
uniform, and an honest null: vLLM's uniforms have 24 bits, and its own p-value for two keys is
a fitted Gamma, which promises too much; ours is the exact tail.

vLLM also scores the first tokens of a text, after a context padded with -1, as its generator
marks the first tokens of an answer. `values` never sees those; `padded_values` gives them to
whoever knows that a text starts where the answer did.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.errors import SchemeError
from countermark.watermark.philox import gumbel_scores, words
from countermark.watermark.statistics import log_gamma_tail, log_two_gamma_tail

__all__ = [
    "DEFAULT_ALPHA",
    "DEFAULT_WIDTH",
    "KEY_BITS",
    "MAX_WIDTH",
    "VllmDetector",
    "VllmDualGumbelDetector",
    "VllmGumbelDetector",
    "derived_key",
    "keyed_words",
]

KEY_BITS: Mapping[str, int] = {"philox": 64, "hmac_sha256": 256}
MAX_WIDTH = 64
DEFAULT_WIDTH = 4
DEFAULT_ALPHA = 0.1

_HMAC_DOMAIN = b"vllm-watermark-hmac-sha256-v1\0"
_HMAC_ROWS = 1 << 15  # Messages that are laid out at once.
_NO_FIRSTS = np.zeros(0, np.int64)
# Each score is at most an Exp(1) draw plus ln(1 + 2^-24): specs/rosetta-vllm-v1, section 7.
_EXCESS = 2.0**-24


@dataclass(frozen=True, slots=True)
class VllmGumbelDetector:
    """vLLM's `gumbel` with one key.

    Attributes:
        key: Integer below 2^64 (`philox`) or 2^256 (`hmac_sha256`).
        width: `context_width`.
        prf: `philox` or `hmac_sha256`.

    Raises:
        SchemeError: One of these cannot be.

    """

    key: int = field(repr=False)
    width: int = DEFAULT_WIDTH
    prf: str = "philox"

    def __post_init__(self) -> None:
        _check(self.key, self.width, self.prf, KEY_BITS.get(self.prf, 0))

    @property
    def scheme(self) -> str:
        """Name and version of the scheme."""
        return "vllm-gumbel-philox-v1" if self.prf == "philox" else "vllm-gumbel-hmac-v1"

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return -ln(1 - u) of each token, float64 [M]."""
        return self._scores(documents, positions, _NO_FIRSTS)

    def padded_values(
        self, documents: Documents, positions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the same for any positions; a context is filled up with -1 at a text's start."""
        return self._scores(documents, positions, _firsts(documents, positions))

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ln P(Gamma(counts, 1) >= totals - counts 2^-24), never below the true tail."""
        return log_gamma_tail(_lowered(totals, counts), counts)

    def _scores(
        self, documents: Documents, positions: NDArray[np.int64], firsts: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        drawn = keyed_words(self.key, self.prf, documents.tokens, positions, firsts, self.width)
        return gumbel_scores(drawn)


@dataclass(frozen=True, slots=True)
class VllmDualGumbelDetector:
    """vLLM's `dual_key_gumbel`: each token counts under both keys that one master gives.

    Attributes:
        key: The master, an integer below 2^64.
        alpha: Weight of key B; key A has the rest.
        width: `context_width`.
        prf: `philox` or `hmac_sha256`.

    Raises:
        SchemeError: One of these cannot be.

    """

    key: int = field(repr=False)
    alpha: float = DEFAULT_ALPHA
    width: int = DEFAULT_WIDTH
    prf: str = "philox"
    scheme: str = field(default="vllm-gumbel-dual-v1", init=False)

    def __post_init__(self) -> None:
        _check(self.key, self.width, self.prf, 64)
        if not 0 <= self.alpha <= 1:
            raise SchemeError("alpha is a share; 0 to 1 is possible")

    def values(self, documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (1 - alpha) a + alpha b for the scores a and b under keys A and B."""
        first, second = self._singles()
        return self._mixed(first.values(documents, positions), second.values(documents, positions))

    def padded_values(
        self, documents: Documents, positions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the same for any positions; a context is filled up with -1 at a text's start."""
        first, second = self._singles()
        return self._mixed(
            first.padded_values(documents, positions), second.padded_values(documents, positions)
        )

    def log_p(self, totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the tail of two Gamma variables of different scales, never below the true one."""
        return log_two_gamma_tail(_lowered(totals, counts), counts, 1 - self.alpha, self.alpha)

    def _singles(self) -> tuple[VllmGumbelDetector, VllmGumbelDetector]:
        return (
            VllmGumbelDetector(derived_key(self.key, b"key_a"), self.width, self.prf),
            VllmGumbelDetector(derived_key(self.key, b"key_b"), self.width, self.prf),
        )

    def _mixed(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        a *= 1 - self.alpha
        b *= self.alpha
        a += b
        return a


VllmDetector = VllmGumbelDetector | VllmDualGumbelDetector


def derived_key(master: int, domain: bytes) -> int:
    """Return the key that vLLM derives from a master below 2^64 for `key_a` or `key_b`."""
    return int.from_bytes(hashlib.sha256(domain + master.to_bytes(8, "big")).digest()[:8], "big")


def keyed_words(
    key: int,
    prf: str,
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    firsts: NDArray[np.int64],
    width: int,
) -> NDArray[np.uint32]:
    """Return the 32 keyed bits of the token at each position, uint32 [M].

    `firsts` is as in `philox.words`: empty, or where the document of each position starts.
    """
    if prf == "philox":
        return words(tokens, positions, firsts, width, np.uint64(key))
    out = np.empty(len(positions), np.uint32)
    for begin in range(0, len(positions), _HMAC_ROWS):
        chunk = slice(begin, begin + _HMAC_ROWS)
        messages = _messages(tokens, positions[chunk], firsts[chunk], width)
        out[chunk] = _hmac_words(key, messages)
    return out


def _messages(
    tokens: NDArray[np.uint32],
    positions: NDArray[np.int64],
    firsts: NDArray[np.int64],
    width: int,
) -> NDArray[np.int64]:
    """Return context and token of each position, int64 [M, width + 1]."""
    sources = positions[:, None] + np.arange(-width, 1)
    messages: NDArray[np.int64] = tokens[np.maximum(sources, 0)].astype("<i8")
    if len(firsts) > 0:
        messages[sources < firsts[:, None]] = -1
    return messages


def _hmac_words(key: int, messages: NDArray[np.int64]) -> NDArray[np.uint32]:
    secret = key.to_bytes(32, "little")
    prefix = _HMAC_DOMAIN + (messages.shape[1] - 1).to_bytes(4, "little")
    rows = messages.tobytes()
    step = 8 * messages.shape[1]
    digests = [
        hmac.digest(secret, prefix + rows[at : at + step], "sha256")[:4]
        for at in range(0, len(rows), step)
    ]
    return np.frombuffer(b"".join(digests), "<u4")


def _firsts(documents: Documents, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    owners = np.searchsorted(documents.starts, positions, side="right") - 1
    return documents.starts[owners]


def _lowered(totals: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.maximum(totals - counts * _EXCESS, 0.0)


def _check(key: int, width: int, prf: str, bits: int) -> None:
    if prf not in KEY_BITS:
        raise SchemeError(f"no keyed function {ascii(prf)[:80]}", hint="philox or hmac_sha256")
    if not 0 <= key < 1 << bits:
        raise SchemeError(f"a vLLM key does not fit {bits} bits")
    if not 1 <= width <= MAX_WIDTH:
        raise SchemeError(f"a context of {width} tokens; 1 to {MAX_WIDTH} are possible")
