"""From a key of a ring to what scores with it, and to what writes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from countermark.watermark.errors import KeyUseError
from countermark.watermark.parameters import Purpose

if TYPE_CHECKING:
    from countermark.watermark.detector import Detector
    from countermark.watermark.keyring import KeyEntry
    from countermark.watermark.prospects import KeyedDetector
    from countermark.watermark.sampling import Sampler

    _Maker = Callable[[KeyEntry, "_Room"], Detector]

__all__ = ["detector_of", "keyed_detectors", "sampler_of"]


@dataclass(frozen=True, slots=True)
class _Room:
    """What a detector is given besides its key.

    Attributes:
        vocabulary: How many ids the generator had.
        keys: Among how many keys the memory for drawn green lists is divided.

    """

    vocabulary: int
    keys: int


def keyed_detectors(entries: Iterable[KeyEntry], *, vocabulary: int) -> list[KeyedDetector]:
    """Return what tries each key of a ring.

    Keys whose green lists are remembered share the memory that one of them may have alone.

    Args:
        entries: The keys.
        vocabulary: How many ids the tokenizer has, for schemes that need it and keys that do
            not say it.

    """
    from countermark.watermark.prospects import KeyedDetector
    from countermark.watermark.strengths import ASSUMPTION, assumed_strength

    ring = list(entries)
    drawn = max(1, sum(_MAKERS[entry.scheme] is _kgw for entry in ring))
    keyed = []
    for entry in ring:
        detector = _MAKERS[entry.scheme](entry, _Room(entry.vocabulary or vocabulary, drawn))
        keyed.append(
            KeyedDetector(
                key_id=entry.id,
                detector=detector,
                strength=assumed_strength(entry, detector),
                assumption=ASSUMPTION,
            )
        )
    return keyed


def detector_of(entry: KeyEntry, *, vocabulary: int) -> Detector:
    """Return the scheme of a key with its secret in it."""
    return _MAKERS[entry.scheme](entry, _Room(vocabulary, 1))


def sampler_of(entry: KeyEntry, *, identifier: int | None = None) -> Sampler:
    """Return what writes with a key of ours.

    Args:
        entry: The key.
        identifier: What the text is to say, for the scheme that carries a message.

    Raises:
        KeyUseError: Text of this scheme is written by those who made it; or an identifier is
            missing where one is needed, or given where none can be carried.

    """
    from countermark.watermark.green_list import GreenListSampler
    from countermark.watermark.gumbel import DualGumbelSampler, GumbelSampler
    from countermark.watermark.payload import PayloadSampler
    from countermark.watermark.tournament import TournamentSampler

    if (identifier is None) == (entry.scheme == "countermark-gumbel-payload-v1"):
        wants = "needs an identifier" if identifier is None else "carries no identifier"
        raise KeyUseError(f"key {entry.id} is of {entry.scheme}, which {wants}")
    width = _integer(entry, "width") if "width" in entry.parameters else 0
    match entry.scheme:
        case "countermark-gumbel-v1":
            return GumbelSampler(entry.secret(Purpose.MARK), width)
        case "countermark-gumbel-dual-v1":
            first, second = entry.secret(Purpose.MARK), entry.secret(Purpose.SECOND)
            return DualGumbelSampler(first, second, _real(entry, "alpha"), width)
        case "countermark-tournament-v1":
            return TournamentSampler(
                entry.secret(Purpose.MARK), width=width, layers=_integer(entry, "layers")
            )
        case "countermark-greenlist-v1":
            return GreenListSampler(
                entry.secret(Purpose.MARK),
                gamma=_real(entry, "gamma"),
                delta=_real(entry, "delta"),
                width=width,
            )
        case "countermark-gumbel-payload-v1" if identifier is not None:
            mark, mac = entry.secret(Purpose.MARK), entry.secret(Purpose.PAYLOAD_MAC)
            return PayloadSampler(mark, mac, identifier, width)
        case _:
            raise KeyUseError(
                f"key {entry.id} is of {entry.scheme}, which is written by those who made it"
            )


def _gumbel(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.gumbel import GumbelDetector

    return GumbelDetector(entry.secret(Purpose.MARK), _integer(entry, "width"))


def _dual(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.gumbel import DualGumbelDetector

    first, second = entry.secret(Purpose.MARK), entry.secret(Purpose.SECOND)
    return DualGumbelDetector(first, second, _real(entry, "alpha"), _integer(entry, "width"))


def _tournament(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.tournament import TournamentDetector

    return TournamentDetector(
        entry.secret(Purpose.MARK),
        width=_integer(entry, "width"),
        layers=_integer(entry, "layers"),
    )


def _green_list(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.green_list import GreenListDetector

    return GreenListDetector(
        entry.secret(Purpose.MARK), _real(entry, "gamma"), _integer(entry, "width")
    )


def _payload(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.payload import PayloadDetector

    mark, mac = entry.secret(Purpose.MARK), entry.secret(Purpose.PAYLOAD_MAC)
    return PayloadDetector(mark, mac, _integer(entry, "width"))


def _kgw(entry: KeyEntry, room: _Room) -> Detector:
    from countermark.watermark.kgw import DEFAULT_TABLE_BYTES, KgwDetector

    ratio = "greenlist_ratio" if "greenlist_ratio" in entry.parameters else "gamma"
    return KgwDetector(
        scheme=entry.scheme,
        vocabulary=room.vocabulary,
        ratio=_real(entry, ratio),
        key=entry.integers[0],
        context_width=_integer(entry, "context_width")
        if "context_width" in entry.parameters
        else 1,
        table_bytes=DEFAULT_TABLE_BYTES // room.keys,
    )


def _synthid(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.synthid import SynthIdDetector

    return SynthIdDetector(
        keys=entry.integers,
        ngram_len=_integer(entry, "ngram_len"),
        sampling_table_size=_integer(entry, "sampling_table_size"),
        sampling_table_seed=_integer(entry, "sampling_table_seed"),
    )


def _vllm(prf: str) -> _Maker:
    def make(entry: KeyEntry, _room: _Room) -> Detector:
        from countermark.watermark.vllm import VllmGumbelDetector

        return VllmGumbelDetector(entry.integers[0], _integer(entry, "context_width"), prf)

    return make


def _vllm_dual(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.vllm import VllmDualGumbelDetector

    return VllmDualGumbelDetector(
        entry.integers[0],
        _real(entry, "alpha"),
        _integer(entry, "context_width"),
        str(entry.parameters["prf"]),
    )


def _textseal(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.textseal import TextSealGumbelDetector

    return TextSealGumbelDetector(entry.integers[0], _integer(entry, "ngram"))


def _textseal_dual(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.textseal import TextSealDualDetector

    second = entry.integers[1] if len(entry.integers) == 2 else None
    return TextSealDualDetector(
        entry.integers[0], second, _real(entry, "alpha"), _integer(entry, "ngram")
    )


def _textseal_green_list(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.textseal import TextSealGreenListDetector

    return TextSealGreenListDetector(
        entry.integers[0], _real(entry, "gamma"), _integer(entry, "ngram")
    )


def _textseal_synthid(entry: KeyEntry, _room: _Room) -> Detector:
    from countermark.watermark.textseal import (
        STRIDE_LATER,
        STRIDE_RELEASED,
        TextSealSynthidDetector,
    )

    later = entry.parameters["layers"] == "later"
    return TextSealSynthidDetector(
        entry.integers[0],
        _integer(entry, "depth"),
        _real(entry, "gamma"),
        entry.parameters["weights"] == "falling",
        _integer(entry, "ngram"),
        STRIDE_LATER if later else STRIDE_RELEASED,
    )


_MAKERS: Mapping[str, _Maker] = {
    "countermark-gumbel-v1": _gumbel,
    "countermark-gumbel-dual-v1": _dual,
    "countermark-tournament-v1": _tournament,
    "countermark-greenlist-v1": _green_list,
    "countermark-gumbel-payload-v1": _payload,
    "transformers-kgw-lefthash": _kgw,
    "transformers-kgw-selfhash": _kgw,
    "lm-watermarking-simple-1": _kgw,
    "lm-watermarking-selfhash": _kgw,
    "transformers-synthid": _synthid,
    "vllm-gumbel-philox-v1": _vllm("philox"),
    "vllm-gumbel-hmac-v1": _vllm("hmac_sha256"),
    "vllm-gumbel-dual-v1": _vllm_dual,
    "textseal-gumbel": _textseal,
    "textseal-dual": _textseal_dual,
    "textseal-greenlist": _textseal_green_list,
    "textseal-synthid": _textseal_synthid,
}


def _integer(entry: KeyEntry, name: str) -> int:
    return int(entry.parameters[name])  # type: ignore[arg-type]


def _real(entry: KeyEntry, name: str) -> float:
    return float(entry.parameters[name])  # type: ignore[arg-type]
