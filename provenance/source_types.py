"""How content came to be, in the words of IPTC and C2PA (2.5 16.4.1.4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SOURCE_TYPES", "generated_source_type"]

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_C2PA = "http://c2pa.org/digitalsourcetype/"

SOURCE_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **{
            name: _IPTC + name
            for name in (
                "digitalCapture",
                "computationalCapture",
                "negativeFilm",
                "positiveFilm",
                "print",
                "humanEdits",
                "compositeWithTrainedAlgorithmicMedia",
                "algorithmicallyEnhanced",
                "digitalCreation",
                "dataDrivenMedia",
                "trainedAlgorithmicMedia",
                "algorithmicMedia",
                "screenCapture",
                "virtualRecording",
                "composite",
                "compositeCapture",
                "compositeSynthetic",
            )
        },
        **{name: _C2PA + name for name in ("empty", "trainedAlgorithmicData")},
    }
)

_MEDIA = ("image/", "audio/", "video/", "font/", "model/")  # `model/` is three-dimensional.
_DOCUMENTS = (
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/vnd.ms-",
)
_OTHER_DOCUMENTS = frozenset(
    {
        "application/pdf",
        "application/epub+zip",
        "application/oxps",
        "application/rtf",
        "application/msword",
        "application/xhtml+xml",
        "text/plain",
        "text/markdown",
        "text/html",
        "text/rtf",
        "text/vtt",
    }
)


def generated_source_type(media_type: str) -> str:
    """Return the source type of what a trained model made.

    Media are what people look at, listen to and read. Code, tables and models are data: there the
    result "isn't a media type but is a data format".
    """
    media = media_type in _OTHER_DOCUMENTS or media_type.startswith((*_MEDIA, *_DOCUMENTS))
    return SOURCE_TYPES["trainedAlgorithmicMedia" if media else "trainedAlgorithmicData"]
