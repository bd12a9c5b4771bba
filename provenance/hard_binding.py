"""Are these the bytes that were signed? Our own check of `c2pa.hash.data`, for our carriers.

c2pa's Reader judges signatures and assertions, but not the place of a manifest in a format it
does not know: it calls every exclusion there a mismatch, and without the place nobody can say
that an exclusion covers the manifest and nothing else. So this module asks (C2PA 2.5 14.12.1):

1. Which manifest's binding counts? (`binding_chain`)
2. Is there exactly one hard binding, a data hash, and is it among what the signer stands for,
   with the hash of its box as we read it?
3. Is its algorithm allowed?
4. Does it leave out exactly what its carrier takes: none for a sidecar?
5. Does the rest give the digest?

That the claim is signed, and by whom, is asked elsewhere: without that, nothing here counts.
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from countermark.provenance.binding_chain import (
    bound_manifest,
    check_reference,
    claimed_label,
    unsupported,
)
from countermark.provenance.byte_ranges import ALGORITHMS, content_bytes, digest_outside
from countermark.provenance.carrier import Carrier, Exclusion, Place
from countermark.provenance.errors import MalformedContentError, MalformedStoreError
from countermark.provenance.manifest import (
    Assertion,
    DataHash,
    Manifest,
    base_label,
    parse_data_hash,
)
from countermark.provenance.store import ManifestStore
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed, held

__all__ = ["digest_outside", "examine_binding"]

_DATA_HASH = "c2pa.hash.data"
_ASK = "ask whoever published it for the file as it was signed"


def examine_binding(
    source: BinaryIO, carrier: Carrier | None, place: Place, store: ManifestStore
) -> tuple[Check, ...]:
    """Check that an asset's bytes are those its manifest was made of.

    Args:
        source: The asset, seekable.
        carrier: Where the store came from; None for a sidecar, which speaks for every byte.
        place: Where the carrier keeps the store; no exclusions for a sidecar.
        store: What was read from there.

    Returns:
        Checks in the order they were made, ending with the first that failed.

    Raises:
        OSError: The asset cannot be read.

    """
    bound = bound_manifest(store)
    if isinstance(bound, Check):
        return (bound,)
    declared = _declared(bound.manifest)
    if isinstance(declared, Check):
        return (declared,)
    asset = _Asset(source, carrier, content_bytes(source))
    expected = place.exclusions if carrier is not None else ()
    wrong = _check_exclusions(asset, declared, expected, updated=bound.updates > 0)
    if wrong is not None:
        return (wrong,)
    return (
        held("binding-signed", "the claim lists the hash of the content, as it is here"),
        _check_digest(asset, declared, expected),
    )


class _Asset(NamedTuple):
    source: BinaryIO
    carrier: Carrier | None
    size_bytes: int

    def digest(self, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        if self.carrier is None:
            return digest_outside(self.source, exclusions, algorithm)
        return self.carrier.digest(self.source, exclusions, algorithm)


def _declared(manifest: Manifest) -> DataHash | Check:
    # C2PA 2.5 14.10.1.2: one hard binding, whether the claim lists it or not.
    bindings = manifest.hard_bindings
    if not bindings:
        return failed(
            "binding-missing",
            Outcome.MALFORMED,
            "the manifest says nothing of the content's bytes",
            "it could have been taken from anywhere: do not rely on it",
        )
    if len(bindings) > 1:
        labels = ", ".join(printable(one.label) for one in bindings[:4])
        return failed(
            "binding-multiple",
            Outcome.MALFORMED,
            f"the manifest has {len(bindings)} hashes of the content, not one: {labels}",
        )
    binding = bindings[0]
    # 14.12: among what the signer stands for, not among what it was given.
    claim = manifest.claim
    created, gathered = (
        any(claimed_label(one.url, manifest) == binding.label for one in references)
        for references in (claim.created, claim.gathered)
    )
    if gathered and not created:
        return failed(
            "binding-missing",
            Outcome.MALFORMED,
            "the signer does not stand for the hash of the content: the claim lists it among "
            "what was gathered",
        )
    wrong = check_reference(manifest, binding, claim.created)
    if wrong is not None:
        return wrong
    if base_label(binding.label) != _DATA_HASH:
        return failed(
            "binding-unsupported",
            Outcome.INCONCLUSIVE,
            f"the content's hash is of a kind that is not checked here: {printable(binding.label)}",
        )
    return _readable(binding, claim.algorithm)


def _readable(binding: Assertion, algorithm: str) -> DataHash | Check:
    try:
        declared = parse_data_hash(binding, algorithm)
    except MalformedStoreError as e:
        return _malformed(str(e))
    if declared.algorithm not in ALGORITHMS:
        return unsupported("the hash of the content", declared.algorithm)
    end = 0
    for start, length in declared.exclusions:
        if start < end:
            return _malformed("what it leaves out overlaps, or is not in order")
        end = start + length
    return declared


def _malformed(reason: str) -> Check:
    return failed(
        "binding-malformed", Outcome.MALFORMED, f"the hash of the content cannot be used: {reason}"
    )


def _check_exclusions(
    asset: _Asset, declared: DataHash, expected: tuple[Exclusion, ...], *, updated: bool
) -> Check | None:
    # A length of zero is a placeholder that was never filled in, and leaves out nothing (11.7.1).
    signed = tuple(one for one in declared.exclusions if one.length)
    if signed == expected:
        return None
    if updated and _grown(signed, expected):
        return None
    if asset.carrier is None:
        left_out = sum(length for _, length in signed)
        return _uncovered(f"{left_out} bytes of the file, where nothing may be left out")
    if len(signed) != len(expected):
        return _uncovered(f"{len(signed)} places, and the manifest lies in {len(expected)}")
    end = signed[-1].start + signed[-1].length
    if end > asset.size_bytes:
        return _changed(
            f"it ends at byte {asset.size_bytes}, and reached to byte {end} at least when it was "
            "signed"
        )
    pairs = zip(signed, expected, strict=True)
    was, now = next((was, now) for was, now in pairs if was != now)
    return _displaced(asset, declared, expected, was=was, now=now)


def _grown(signed: tuple[Exclusion, ...], expected: tuple[Exclusion, ...]) -> bool:
    # 14.12.1.1: an update lengthens the store where it begins. Carriers of ours have one place.
    return len(signed) == len(expected) == 1 and signed[0].start == expected[0].start


def _displaced(
    asset: _Asset,
    declared: DataHash,
    expected: tuple[Exclusion, ...],
    *,
    was: Exclusion,
    now: Exclusion,
) -> Check:
    if was.length == now.length:
        moved = now.start - was.start
        how = f"{moved} bytes more" if moved > 0 else f"{-moved} bytes fewer"
        found = f"{how} lie before the manifest than when it was signed"
        if _digest(asset, expected, declared.algorithm) == declared.digest:
            found += "; read as its format does, the content itself is as signed"
        return _changed(found)
    if was.start <= now.start and was.start + was.length >= now.start + now.length:
        return _uncovered(
            f"{was.length} bytes at {was.start}, and the manifest takes {now.length} at {now.start}"
        )
    return _changed(
        f"its manifest took {was.length} bytes at {was.start} when it was signed, and takes "
        f"{now.length} at {now.start}"
    )


def _check_digest(asset: _Asset, declared: DataHash, expected: tuple[Exclusion, ...]) -> Check:
    try:
        digest = asset.digest(expected, declared.algorithm)
    except MalformedContentError as e:
        return failed(e.code, Outcome.MALFORMED, str(e))
    left_out = sum(length for _, length in expected)
    hashed = asset.size_bytes - left_out
    what = f"all {hashed} bytes" + (f" outside the manifest's {left_out}" if left_out else "")
    if digest == declared.digest:
        return held("content-matches", f"{what} are as signed ({declared.algorithm})")
    if asset.carrier is None:
        return _changed(
            f"the {declared.algorithm} of {what} is another",
            "or the manifest beside it belongs to another file; " + _ASK,
        )
    return _changed(f"the {declared.algorithm} of {what} is another")


def _digest(asset: _Asset, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes | None:
    try:
        return asset.digest(exclusions, algorithm)
    except MalformedContentError:
        return None


def _changed(found: str, hint: str = _ASK) -> Check:
    return failed(
        "content-changed",
        Outcome.TAMPERED,
        f"the content is not the one that was signed: {found}",
        hint,
    )


def _uncovered(found: str) -> Check:
    return failed(
        "content-uncovered",
        Outcome.MALFORMED,
        f"the signed hash leaves out more than the manifest: {found}",
        "what is left out could say anything: do not rely on it",
    )
