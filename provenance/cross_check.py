"""A second opinion: what encypher-c2pa, an engine of its own, says of the same file.

It is asked without telemetry and without the network, and with our trust anchors only. Where the
two disagree, that is shown; neither is taken to be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from countermark.provenance.errors import SecondEngineError
from countermark.provenance.verdict import Axis, ContentVerdict
from countermark.signing.names import printable
from countermark.signing.verdict import Status

if TYPE_CHECKING:
    from countermark.provenance.trust import TrustBundle

__all__ = ["SecondOpinion", "ask_second_engine"]


class SecondOpinion(NamedTuple):
    """What another engine says.

    Attributes:
        engine: Name and version.
        agrees: Whether it says the same as we do of every question that both answer.
        answers: Its answer to each: `manifest`, `integrity`, `signature`, `signer`.
        disagreements: One plain sentence for each question on which we differ.

    """

    engine: str
    agrees: bool
    answers: Mapping[str, str]
    disagreements: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        if self.agrees:
            return f"{self.engine} agrees"
        return f"{self.engine} disagrees: {'; '.join(self.disagreements)}"


def ask_second_engine(
    path: Path, verdict: ContentVerdict, trust: TrustBundle | None, *, manifest: Path | None = None
) -> SecondOpinion:
    """Ask encypher-c2pa about a file, and compare.

    Args:
        path: The file.
        verdict: Ours.
        trust: What ours rests on.
        manifest: The manifest store, if it lies elsewhere.

    Raises:
        SecondEngineError: It is not installed, or cannot judge this file at all.

    """
    if find_spec("encypher_c2pa") is None:
        raise SecondEngineError(
            "encypher-c2pa is not installed", hint="pip install encypher-c2pa, or do without"
        )
    import encypher_c2pa

    pems = {kind: _pem(trust, kind) for kind in ("manifest", "tsa")}
    try:
        report = encypher_c2pa.verify(
            path,
            verdict.media_type,
            manifest_store=manifest,
            trust_pem=pems["manifest"],
            tsa_trust_pem=pems["tsa"],
            no_default_trust=True,
            telemetry=False,
            online=False,
        )
    except (ValueError, OSError, RuntimeError) as e:
        said = printable(" ".join(str(e).split()))[:200]
        raise SecondEngineError(f"encypher-c2pa cannot judge this: {said}") from e
    answers = {
        "manifest": "present" if report.get("present") else "absent",
        "integrity": str(report.get("hard_binding")),
        "signature": str(report.get("signature")),
        "signer": "trusted" if report.get("validation_state") == "Trusted" else "not trusted",
    }
    differ = tuple(_disagreements(verdict, answers, asks_trust=bool(pems["manifest"])))
    engine = f"encypher-c2pa {version('encypher-c2pa')}"
    return SecondOpinion(engine, not differ, answers, differ)


def _disagreements(
    verdict: ContentVerdict, answers: Mapping[str, str], *, asks_trust: bool
) -> Iterator[str]:
    ours_present = bool(verdict.manifest)
    if ours_present != (answers["manifest"] == "present"):
        ours = "one" if ours_present else "none"
        yield f"it finds the manifest {answers['manifest']}, we find {ours}"
        return
    if not ours_present:
        return
    for question, axis, good in (
        ("integrity", Axis.INTEGRITY, "match"),
        ("signature", Axis.SIGNATURE, "valid"),
    ):
        ours_holds = verdict.status_on(axis) is Status.HELD
        if ours_holds != (answers[question] == good):
            yield f"{question}: it says {answers[question]}, we say {verdict.status_on(axis).value}"
    # It calls nothing trusted that is broken, so trust can only be compared where all else holds.
    if asks_trust and answers["integrity"] == "match" and answers["signature"] == "valid":
        ours_trusts = all(
            verdict.status_on(axis) is not Status.FAILED for axis in (Axis.SIGNER, Axis.TIME)
        )
        if ours_trusts != (answers["signer"] == "trusted"):
            ours = verdict.status_on(Axis.SIGNER).value
            yield f"signer: it says {answers['signer']}, we say {ours}"


def _pem(trust: TrustBundle | None, kind: str) -> str | None:
    from countermark.provenance.trust_bundle import pem_of

    anchors = trust.anchors(kind) if trust is not None else ()
    return "".join(pem_of(certificate) for _, certificate in anchors) or None
