"""Key rings: which keys there are, whose they are, and when they mark.

A window says when a key marks text. A text does not say when it was written, so detection counts
every key of a ring unless the caller knows the date (`KeyRing.valid_at`); generation
asks `KeyRing.for_generation`, which refuses a key outside its window.

This module holds values only; `keymaking` makes keys, `keyring_json` reads and writes rings,
`keyring_files` knows files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from countermark.watermark.errors import KeyUseError, SchemeError
from countermark.watermark.keys import Labels, MasterKey, key_id
from countermark.watermark.parameters import Purpose, Scheme
from countermark.watermark.terms import Terms
from countermark.watermark.times import written_moment

__all__ = ["MAX_KEYS", "KeyEntry", "KeyRing"]

MAX_KEYS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry(Terms):
    """One key of a ring, with its secrets. Its `repr` never shows them.

    Attributes:
        labels: Whose key it is.
        secrets: What `secret` returns, by purpose; empty if the scheme is not ours.
        integers: The key as somebody else's scheme takes it; empty if the scheme is ours.
        derived: Whether the secrets come from the ring's master, so that a file need not hold them.

    Raises:
        SchemeError: The parts do not fit the scheme, or each other.

    """

    labels: Labels = field(default_factory=Labels)
    secrets: Mapping[Purpose, bytes] = field(default_factory=dict, repr=False)
    integers: tuple[int, ...] = field(default=(), repr=False)
    derived: bool = False

    def __post_init__(self) -> None:
        Terms.__post_init__(self)  # Not super(): dataclasses make classes with slots anew.
        form = self.form
        if {p: len(secret) for p, secret in self.secrets.items()} != {
            p: p.size for p in form.purposes
        }:
            raise SchemeError(f"{self.scheme} takes {_wanted(form)}")
        if form.purposes and self.id != key_id(
            self.secrets, scheme=self.scheme, labels=self.labels, parameters=self.parameters
        ):
            raise SchemeError(
                f"key {self.id} is not what its id commits to: a secret, a label or a parameter "
                "was changed, or another master lies in the ring"
            )
        _check_integers(form, self.integers)

    def secret(self, purpose: Purpose) -> bytes:
        """Return the secret of one purpose.

        Raises:
            KeyUseError: The scheme has none.

        """
        if purpose not in self.secrets:
            raise KeyUseError(f"key {self.id} ({self.scheme}) has no secret {purpose}")
        return self.secrets[purpose]


def _wanted(form: Scheme) -> str:
    return f"the secrets {', '.join(form.purposes)}" if form.purposes else "integers, no secrets"


def _check_integers(form: Scheme, integers: tuple[int, ...]) -> None:
    if form.integers is None:
        if integers:
            raise SchemeError(f"{form.name} takes no integers")
        return
    kind = form.integers
    if not kind.fewest <= len(integers) <= kind.most:
        raise SchemeError(f"{form.name} takes {kind.fewest} to {kind.most} integers as its key")
    if any(not kind.low <= integer <= kind.high for integer in integers):
        raise SchemeError(f"{form.name} takes integers from {kind.low} to {kind.high} as its key")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Keys, each with an id of its own, and the master that some of them come from.

    Raises:
        SchemeError: Two keys have one id, or there are more than `MAX_KEYS`.
        KeyUseError: A key is derived, and there is no master.

    """

    keys: tuple[KeyEntry, ...] = ()
    master: MasterKey | None = field(default=None, repr=False)
    _by_id: Mapping[str, KeyEntry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.keys) > MAX_KEYS:
            raise SchemeError(f"{len(self.keys)} keys in a ring, limit {MAX_KEYS}")
        by_id = {key.id: key for key in self.keys}
        if len(by_id) != len(self.keys):
            raise SchemeError("two keys of a ring have one id")
        if self.master is None and any(key.derived for key in self.keys):
            raise KeyUseError("a key is derived from a master that is not in the ring")
        object.__setattr__(self, "_by_id", by_id)

    def get(self, name: str) -> KeyEntry:
        """Return a key by its id.

        Raises:
            KeyUseError: It is not in the ring.

        """
        if name not in self._by_id:
            raise KeyUseError(f"there is no key {ascii(name)[1:-1][:40]} in this ring")
        return self._by_id[name]

    def valid_at(self, moment: datetime) -> tuple[KeyEntry, ...]:
        """Return the keys that may have marked a text written at an aware moment."""
        return tuple(key for key in self.keys if key.valid_at(moment))

    def for_generation(self, name: str, moment: datetime) -> KeyEntry:
        """Return a key that may mark text now.

        Raises:
            KeyUseError: It is not in the ring, or `moment` is outside its window.

        """
        key = self.get(name)
        if not key.valid_at(moment):
            window = [
                f"{word} {written_moment(limit)}"
                for word, limit in (("from", key.not_before), ("before", key.not_after))
                if limit is not None
            ]
            raise KeyUseError(f"key {key.id} marks text only {' and '.join(window)}")
        return key

    def with_key(self, key: KeyEntry) -> KeyRing:
        """Return this ring with one more key.

        Raises:
            KeyUseError: A key with this id is there: same scheme, labels and parameters.
            SchemeError: The ring is full.

        """
        if key.id in self._by_id:
            raise KeyUseError(
                f"key {key.id} is in the ring already",
                hint="another model, tenant or epoch gives another key",
            )
        return KeyRing(keys=(*self.keys, key), master=self.master)

    def export(self, names: Iterable[str]) -> KeyRing:
        """Return a ring for a detector: these keys, their own secrets, and no master.

        Whoever has it can detect and make marks of these keys, and of no others.

        Raises:
            KeyUseError: A key is not in the ring.

        """
        return KeyRing(keys=tuple(replace(self.get(name), derived=False) for name in names))
