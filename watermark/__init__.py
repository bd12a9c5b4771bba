"""Mark text that a language model writes, and detect marks, with p-values that hold.

To detect: `load_ring`, `keyed_detectors`, then `detect`; the answer is a `Detection`, which is one
of three and never "a human wrote this". To mark: `Marker` with `sampler_of` a key, or
`countermark.watermark.huggingface` in transformers. Nothing here prints, exits, reads the
environment or opens the network.

Names are loaded when they are first used: numba and scipy take half a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countermark.watermark.common_pairs import (
        Calibration,
        PairCounter,
        dump_calibration,
        load_calibration,
    )
    from countermark.watermark.detector import Detector
    from countermark.watermark.documents import Documents
    from countermark.watermark.errors import WatermarkError
    from countermark.watermark.judgement import (
        DetectOptions,
        MarkedSpan,
        detect_ids,
        scan_ids,
    )
    from countermark.watermark.keyring import KeyEntry, KeyRing
    from countermark.watermark.keyring_files import load_ring, save_ring
    from countermark.watermark.power import Strength
    from countermark.watermark.prospects import KeyedDetector
    from countermark.watermark.sampling import Marker, Sampler, sample, shape_logits
    from countermark.watermark.schemes import detector_of, keyed_detectors, sampler_of
    from countermark.watermark.texts import (
        detect,
        detect_many,
        detect_texts,
        detection_document,
        scan,
    )
    from countermark.watermark.tokenization import Tokenizer, load_tokenizer
    from countermark.watermark.verdict import Answer, Detection, Evidence, Span

_HOMES = {
    "common_pairs": ("Calibration", "PairCounter", "dump_calibration", "load_calibration"),
    "judgement": ("DetectOptions", "MarkedSpan", "detect_ids", "scan_ids"),
    "detector": ("Detector",),
    "documents": ("Documents",),
    "errors": ("WatermarkError",),
    "keyring": ("KeyEntry", "KeyRing"),
    "keyring_files": ("load_ring", "save_ring"),
    "power": ("Strength",),
    "prospects": ("KeyedDetector",),
    "sampling": ("Marker", "Sampler", "sample", "shape_logits"),
    "schemes": ("detector_of", "keyed_detectors", "sampler_of"),
    "texts": ("detect", "detect_many", "detect_texts", "detection_document", "scan"),
    "tokenization": ("Tokenizer", "load_tokenizer"),
    "verdict": ("Answer", "Detection", "Evidence", "Span"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "Calibration",
    "DetectOptions",
    "Detection",
    "Detector",
    "Documents",
    "Evidence",
    "KeyEntry",
    "KeyRing",
    "KeyedDetector",
    "MarkedSpan",
    "Marker",
    "PairCounter",
    "Sampler",
    "Span",
    "Strength",
    "Tokenizer",
    "WatermarkError",
    "detect",
    "detect_ids",
    "detect_many",
    "detect_texts",
    "detection_document",
    "detector_of",
    "dump_calibration",
    "keyed_detectors",
    "load_calibration",
    "load_ring",
    "load_tokenizer",
    "sample",
    "sampler_of",
    "save_ring",
    "scan",
    "scan_ids",
    "shape_logits",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
