"""Making keys: derived ones of ours, random or imported ones of schemes made by others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Unpack

from countermark.watermark.errors import KeyUseError, SchemeError
from countermark.watermark.keyring import KeyEntry, KeyRing
from countermark.watermark.keys import Labels, MasterKey, derive_all, key_id
from countermark.watermark.parameters import scheme_named
from countermark.watermark.terms import Circumstances

__all__ = ["add_key", "foreign_key", "own_key"]

_FOREIGN_ID_BYTES = 8


def add_key(
    ring: KeyRing,
    random: Callable[[int], bytes],
    *,
    scheme: str,
    parameters: Mapping[str, object],
    labels: Labels,
    integers: tuple[int, ...] | None = None,
    **circumstances: Unpack[Circumstances],
) -> tuple[KeyRing, KeyEntry]:
    """Return the ring with one more key, and the key.

    The first key of ours that a ring gets brings the ring its master.

    Args:
        ring: Where the key is added.
        random: Returns as many unpredictable bytes as it is asked for.
        scheme: A row of `parameters.SCHEMES`.
        parameters: Those without are given their defaults.
        labels: Whose key it is.
        integers: A key of somebody else's scheme that is in use already; None to draw one.
        **circumstances: Where and when it is used.

    Raises:
        SchemeError: A part does not fit the scheme.
        KeyUseError: The key is there already, or the ring is a detector's: no master, on purpose.

    """
    if not scheme_named(scheme).purposes:
        key = foreign_key(
            random,
            scheme=scheme,
            parameters=parameters,
            labels=labels,
            integers=integers,
            **circumstances,
        )
        return ring.with_key(key), key
    if integers is not None:
        raise SchemeError(f"keys of {scheme} are derived; none can be imported")
    master = ring.master
    if master is None:
        if any(key.secrets for key in ring.keys):
            raise KeyUseError(
                "this ring has keys and no master: it is a copy for a detector",
                hint="add the key to the ring that this one was made from",
            )
        master = MasterKey.generate(random)
    key = own_key(master, scheme=scheme, parameters=parameters, labels=labels, **circumstances)
    return KeyRing(keys=ring.keys, master=master).with_key(key), key


def own_key(
    master: MasterKey,
    *,
    scheme: str,
    parameters: Mapping[str, object],
    labels: Labels,
    **circumstances: Unpack[Circumstances],
) -> KeyEntry:
    """Derive a key of ours; parameters that are not given have their defaults.

    Raises:
        SchemeError: The scheme is not ours, or a part does not fit it.

    """
    form = scheme_named(scheme)
    if not form.purposes:
        raise SchemeError(f"keys of {scheme} are not derived")
    checked = form.check(parameters)
    secrets = derive_all(master, labels=labels, scheme=scheme, purposes=form.purposes)
    name = key_id(secrets, scheme=scheme, labels=labels, parameters=checked)
    return KeyEntry(
        id=name,
        scheme=scheme,
        parameters=checked,
        labels=labels,
        secrets=secrets,
        derived=True,
        **circumstances,
    )


def foreign_key(
    random: Callable[[int], bytes],
    *,
    scheme: str,
    parameters: Mapping[str, object],
    labels: Labels,
    integers: tuple[int, ...] | None = None,
    **circumstances: Unpack[Circumstances],
) -> KeyEntry:
    """Make, or take in, a key of somebody else's scheme.

    Its id is random: their keys are so short that anything computed from one gives it away.

    Args:
        random: Returns as many unpredictable bytes as it is asked for.
        scheme: A scheme that is not ours.
        parameters: Those without are given their defaults.
        labels: Whose key it is.
        integers: The key, if it is in use already; None to draw one.
        **circumstances: Where and when it is used.

    Raises:
        SchemeError: The scheme is ours, or a part does not fit it.

    """
    form = scheme_named(scheme)
    if form.integers is None:
        raise SchemeError(f"keys of {scheme} are derived from the ring's master")
    if integers is None:
        kind = form.integers
        # Zero would make some of their functions constant.
        integers = tuple(1 + _below(random, kind.new_high) for _ in range(kind.new))
    return KeyEntry(
        id=random(_FOREIGN_ID_BYTES).hex(),
        scheme=scheme,
        parameters=form.check(parameters),
        labels=labels,
        integers=integers,
        **circumstances,
    )


def _below(random: Callable[[int], bytes], limit: int) -> int:
    # 128 bits more than needed: the remainder's bias is below 2^-128.
    return int.from_bytes(random(limit.bit_length() // 8 + 17)) % limit
