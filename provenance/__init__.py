"""Attach C2PA manifests to content, and judge them.

To sign: `load_identity`, a `ContentRequest`, then `sign_file` (or `sign_model` for a model that has
an OMS signature). To judge: `load_trust`, then `examine_file`, whose verdict has an answer for each
question, or `verify_file`, which raises unless all is well. Nothing here prints, exits, reads the
environment, or opens the network unless `online` is asked for.

Names are loaded when they are first used: c2pa and x509 take a tenth of a second each.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countermark.provenance.definition import ContentRequest, load_definition
    from countermark.provenance.dev_ca import DevCredentials, DevRequest, make_dev_credentials
    from countermark.provenance.documents import content_document
    from countermark.provenance.errors import ContentRefusedError, ProvenanceError
    from countermark.provenance.examine import (
        ExamineOptions,
        examine,
        examine_file,
        examine_model,
        verify_file,
    )
    from countermark.provenance.identity import (
        CallbackIdentity,
        ContentIdentity,
        LocalIdentity,
        ProgramIdentity,
        callback_identity,
        load_identity,
        program_identity,
    )
    from countermark.provenance.model_evidence import ModelEvidence, load_model_evidence
    from countermark.provenance.sign import SignedContent, SignOptions, sign_file, sign_model
    from countermark.provenance.trust import TrustBundle, TrustList, dump_trust, load_trust
    from countermark.provenance.verdict import Axis, AxisCheck, ContentVerdict

_HOMES = {
    "definition": ("ContentRequest", "load_definition"),
    "dev_ca": ("DevCredentials", "DevRequest", "make_dev_credentials"),
    "documents": ("content_document",),
    "errors": ("ContentRefusedError", "ProvenanceError"),
    "examine": (
        "ExamineOptions",
        "examine",
        "examine_file",
        "examine_model",
        "verify_file",
    ),
    "identity": (
        "CallbackIdentity",
        "ContentIdentity",
        "LocalIdentity",
        "ProgramIdentity",
        "callback_identity",
        "load_identity",
        "program_identity",
    ),
    "model_evidence": ("ModelEvidence", "load_model_evidence"),
    "sign": ("SignOptions", "SignedContent", "sign_file", "sign_model"),
    "trust": ("TrustBundle", "TrustList", "dump_trust", "load_trust"),
    "verdict": ("Axis", "AxisCheck", "ContentVerdict"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Axis",
    "AxisCheck",
    "CallbackIdentity",
    "ContentIdentity",
    "ContentRefusedError",
    "ContentRequest",
    "ContentVerdict",
    "DevCredentials",
    "DevRequest",
    "ExamineOptions",
    "LocalIdentity",
    "ModelEvidence",
    "ProgramIdentity",
    "ProvenanceError",
    "SignOptions",
    "SignedContent",
    "TrustBundle",
    "TrustList",
    "callback_identity",
    "content_document",
    "dump_trust",
    "examine",
    "examine_file",
    "examine_model",
    "load_definition",
    "load_identity",
    "load_model_evidence",
    "load_trust",
    "make_dev_credentials",
    "program_identity",
    "sign_file",
    "sign_model",
    "verify_file",
]


def __getattr__(name: str) -> object:
    """Import the module that has a name, when the name is first used."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
