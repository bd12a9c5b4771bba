"""How likely a mark would have been found, had there been one: what "no mark found" rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from countermark.watermark.detector import Detector
from countermark.watermark.power import Strength, expected_power, tokens_needed

__all__ = ["SHARED_PROSPECTS", "WANTED_POWER", "KeyedDetector", "Prospect", "Prospects"]

WANTED_POWER = 0.99
_MOST_REMEMBERED = 20_000
_Law = tuple[str, Strength, int]  # Scheme, strength, and how many pairs count.


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedDetector:
    """A detector, the public name of its key, and how loud its mark is expected to be.

    Attributes:
        key_id: What reports call the key.
        detector: The scheme with the secret in it.
        strength: Mean and variance of a marked token's value.
        assumption: What text `strength` was taken from, in words.

    """

    key_id: str
    detector: Detector
    strength: Strength
    assumption: str


@dataclass(frozen=True, slots=True)
class Prospect:
    """What could be expected of the key that is least likely to show.

    Attributes:
        power: The probability that its mark would have been found.
        tokens_needed: How many counted tokens would make that `WANTED_POWER`.
        assumption: What the marked text is taken to be like, in words.

    """

    power: float
    tokens_needed: int
    assumption: str


class Prospects:
    """Computes each law and length once.

    A thousand keys of one scheme have one law, and a million texts a few dozen lengths, since
    lengths are rounded down to five binary digits: that makes a power too small by little, and
    never too large.
    """

    def __init__(self) -> None:
        self._power: dict[tuple[str, Strength, int, float], float] = {}
        self._needed: dict[tuple[str, Strength, float], int] = {}
        self._weakest: dict[tuple[tuple[_Law, ...], float], tuple[_Law, float, int]] = {}

    def of(self, tried: Iterable[tuple[KeyedDetector, int]], limit: float) -> Prospect:
        """Return the prospect of the weakest key.

        "No mark found by these keys" speaks for all of them, so the strongest must not answer
        for the others.

        Args:
            tried: Each key, and how many pairs it counts in the text.
            limit: ln of the p-value that it had to reach.

        """
        laws = {(k.detector.scheme, k.strength, count): k for k, count in tried}
        if not laws:
            return Prospect(0.0, 0, "no key was tried")
        which = (tuple(laws), limit)
        weakest = self._weakest.get(which)
        if weakest is None:
            powers = {law: self._power_of(law, keyed, limit) for law, keyed in laws.items()}
            law = min(powers, key=lambda law: powers[law])
            weakest = law, powers[law], self._needed_by(laws[law], limit)
            if len(self._weakest) >= _MOST_REMEMBERED:
                self._weakest.clear()
            self._weakest[which] = weakest
        law, power, needed = weakest
        return Prospect(power, needed, laws[law].assumption)

    def _power_of(self, law: _Law, keyed: KeyedDetector, limit: float) -> float:
        scheme, strength, count = law
        which = (scheme, strength, _rounded(count), limit)
        power = self._power.get(which)
        if power is None:
            power = expected_power(keyed.detector, strength, which[2], limit)
            if len(self._power) >= _MOST_REMEMBERED:
                self._power.clear()
            self._power[which] = power
        # Rounding must not take back what the exact number of tokens says.
        return max(power, WANTED_POWER) if count >= self._needed_by(keyed, limit) else power

    def _needed_by(self, keyed: KeyedDetector, limit: float) -> int:
        which = (keyed.detector.scheme, keyed.strength, limit)
        needed = self._needed.get(which)
        if needed is None:
            needed = tokens_needed(keyed.detector, keyed.strength, limit, power=WANTED_POWER)
            if len(self._needed) >= _MOST_REMEMBERED:
                self._needed.clear()
            self._needed[which] = needed
        return needed


def _rounded(count: int) -> int:
    spare = max(0, count.bit_length() - 5)
    return count >> spare << spare


# What is remembered depends on laws and lengths, on no key and no text: whoever asks may share it.
SHARED_PROSPECTS = Prospects()
