"""From texts to answers: normalise, tokenize, judge. The pure core that any engine can map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from countermark.watermark.correction import log10_of
from countermark.watermark.documents import Documents
from countermark.watermark.errors import MalformedInputError
from countermark.watermark.judgement import (
    DetectOptions,
    MarkedSpan,
    detect_ids,
    scan_ids,
)
from countermark.watermark.normalise import Variant, variants
from countermark.watermark.prospects import KeyedDetector
from countermark.watermark.verdict import Detection, Evidence, Payload, Span

if TYPE_CHECKING:
    from countermark.watermark.tokenization import Tokenizer

__all__ = [
    "detect",
    "detect_many",
    "detect_texts",
    "detection_document",
    "scan",
    "span_document",
]


def detect(
    content: str | Sequence[int] | NDArray[np.integer],
    *,
    detectors: Sequence[KeyedDetector],
    tokenizer: Tokenizer | None = None,
    vocabulary: int | None = None,
    options: DetectOptions | None = None,
    normalise: bool = True,
) -> Detection:
    """Return the answer for one text, or for one list of token ids.

    Args:
        content: Text, or token ids.
        detectors: Every key that is tried: `keyed_detectors` of a ring.
        tokenizer: The one that the keys' models write with; text needs it.
        vocabulary: How many ids there are; ids need this or the tokenizer.
        options: What is asked.
        normalise: As for `detect_many`.

    Raises:
        MalformedInputError: The text cannot be tokenized, or the ids are none.

    """
    options = options or DetectOptions()
    if isinstance(content, str):
        if tokenizer is None:
            raise MalformedInputError("text needs a tokenizer")
        return detect_many(
            [content],
            tokenizer=tokenizer,
            detectors=detectors,
            options=options,
            normalise=normalise,
        )[0]
    size = vocabulary or (tokenizer.vocabulary if tokenizer is not None else 0)
    return detect_ids(Documents.of([content], vocabulary=size), detectors, options)[0]


def detect_many(
    texts: Sequence[str],
    *,
    tokenizer: Tokenizer,
    detectors: Sequence[KeyedDetector],
    options: DetectOptions,
    normalise: bool = True,
) -> list[Detection]:
    """Return the answer for each text.

    Args:
        texts: What to judge.
        tokenizer: The one that the keys' models write with.
        detectors: Every key that is tried.
        options: What is asked.
        normalise: Also try what the text is without invisible characters, look-alikes and the
            rest of `normalise.variants`; each variant that differs counts as one more trial.

    Raises:
        MalformedInputError: A text cannot be tokenized.

    """
    tried = [variants(text) if normalise else (Variant("as-is", text),) for text in texts]
    ids = tokenizer.encode_batch([variant.text for of_text in tried for variant in of_text])
    documents = Documents.of(ids, vocabulary=tokenizer.vocabulary)
    names = [[variant.name for variant in of_text] for of_text in tried]
    return detect_ids(documents, detectors, options, variants=names)


def detect_texts(
    texts: list[str],
    *,
    tokenizer: Tokenizer,
    detectors: Sequence[KeyedDetector],
    options: DetectOptions,
    normalise: bool = True,
) -> list[dict[str, object]]:
    """Return the JSON document of the answer for each text; as `detect_many` otherwise.

    Picklable with its arguments, so that a process pool, Ray or Spark can map it.
    """
    detections = detect_many(
        texts, tokenizer=tokenizer, detectors=detectors, options=options, normalise=normalise
    )
    return [detection_document(detection) for detection in detections]


def scan(
    texts: Sequence[str],
    *,
    tokenizer: Tokenizer,
    detectors: Sequence[KeyedDetector],
    options: DetectOptions,
) -> list[list[MarkedSpan]]:
    """Return the marked stretches of each text, as it is; spans count tokens."""
    documents = Documents.of(tokenizer.encode_batch(list(texts)), vocabulary=tokenizer.vocabulary)
    return scan_ids(documents, detectors, options)


def detection_document(detection: Detection) -> dict[str, object]:
    """Return a detection as JSON-ready values (specs/cli/watermark-detect-v1.schema.json)."""
    return {
        "answer": detection.answer.value,
        "alpha": detection.alpha,
        "tests": detection.tests,
        "tokens": detection.tokens,
        "keys": detection.keys,
        "evidence": [_evidence_document(one) for one in detection.evidence],
        "power": round(detection.power, 6),
        "tokens_needed": detection.tokens_needed,
        "assumption": detection.assumption,
    }


def span_document(span: MarkedSpan) -> dict[str, object]:
    """Return a marked span as JSON-ready values."""
    return {
        "key_id": span.key_id,
        "scheme": span.scheme,
        "tokens": _span_document(span.span),
        "window": _span_document(span.window),
        "log10_p": _log10(span.ln_p),
        "log10_corrected_p": _log10(span.ln_corrected_p),
    }


def _evidence_document(evidence: Evidence) -> Mapping[str, object]:
    return {
        "key_id": evidence.key_id,
        "scheme": evidence.scheme,
        "variant": evidence.variant,
        "scored": evidence.scored,
        "repeated": evidence.repeated,
        "common": evidence.common,
        "mean": round(evidence.mean, 6),
        "log10_p": _log10(evidence.ln_p),
        "log10_corrected_p": _log10(evidence.ln_corrected_p),
        "payload": None if evidence.payload is None else _payload_document(evidence.payload),
        "window": None if evidence.window is None else _span_document(evidence.window),
    }


def _payload_document(payload: Payload) -> dict[str, object]:
    """Return a message; its identifier in hex, since not every reader of JSON has 48 bits."""
    return {
        "identifier": f"{payload.identifier:012x}",
        "log10_wrong": _log10(payload.ln_wrong),
        "symbols_log10_p": [_log10(ln) for ln in payload.symbol_ln_p],
    }


def _span_document(span: Span) -> dict[str, int]:
    return {"start": span.start, "stop": span.stop}


def _log10(ln: float) -> float:
    return round(log10_of(ln), 6)
