"""What a scan found, as a page for people: one HTML file, without scripts and remote resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countermark.provenance.scan_summary import Count, ScanSummary
from countermark.provenance.verdict import TrustUsed
from countermark.watermark.card_html import Html, element, page, table

__all__ = ["scan_page"]

_MOST_ROWS: Final = 200
_VERDICTS: Final = {
    "verified": "As signed, by somebody whom the trust bundle vouches for.",
    "nothing-to-verify": "No credentials. This says nothing about where the file comes from.",
    "tampered": "Changed since it was signed.",
    "untrusted-signer": "Signed by somebody whom nobody here vouches for; not shown to be changed.",
    "outside-validity": "The certificate, or the trust bundle, was not valid at the time.",
    "malformed": "Credentials or a file that cannot be read.",
    "inconclusive": "It could not be judged: too slow, unreadable, or the manifest is elsewhere.",
    "refused": "As signed, and still not acceptable.",
}
_STYLE: Final = """
:root{--paper:#fff;--ink:#1a1a1a;--soft:#595959;--rule:#c4c4c4;--bar:#0b5cad;
color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#ececec;--soft:#b4b4b4;
--rule:#4c5258;--bar:#7db8ff}}
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
max-width:60rem;margin:0 auto;padding:1rem}
h1,h2{line-height:1.2}h2{margin-top:2.5rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:1rem 0;width:100%}
caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{padding:.2rem .7rem .2rem 0;text-align:left;border-bottom:1px solid var(--rule);
vertical-align:top;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
thead th{white-space:nowrap}code{overflow-wrap:anywhere}
"""


def scan_page(summary: ScanSummary, *, subject: str, trust: TrustUsed | None) -> str:
    """Return the page.

    Args:
        summary: What was found.
        subject: What was scanned, as the caller named it.
        trust: The trust bundle that the verdicts rest on; None without one.

    """
    return page(
        "Scan of content credentials",
        _STYLE,
        *_about(summary, subject, trust),
        _counted("Verdicts", "verdict", summary.verdicts, summary.files, _VERDICTS),
        _counted("Signers", "signer", summary.signers, summary.files),
        _counted("How they say they were made", "source", summary.sources, summary.files),
        _counted("Models they name", "model", summary.models, summary.files),
        _counted("Media types", "type", summary.media_types, summary.files),
        _counted("Reasons", "code", summary.codes, summary.files),
        *_noted(summary),
    )


def _about(summary: ScanSummary, subject: str, trust: TrustUsed | None) -> list[Html]:
    carrying = sum(count.files for count in summary.signers)
    believed = (
        f"Trust bundle: {trust.name} of {trust.dated}, SHA-256 {trust.sha256}."
        if trust is not None
        else "No trust bundle was given, so nobody is believed: no file can be verified."
    )
    return [
        element("p", f"{summary.files:,} files of ", element("code", subject), "."),
        element("p", f"{carrying:,} carry a manifest that could be read. {believed}"),
        element(
            "p",
            "What a manifest says of a file's making is its signer's word. A file without one may "
            "have lost it: credentials are easily removed.",
        ),
    ]


def _counted(
    title: str,
    what: str,
    counts: Sequence[Count],
    files: int,
    meanings: dict[str, str] | None = None,
) -> Html:
    if not counts:
        return element("section", element("h2", title), element("p", "None."))
    rows = [
        (
            count.name,
            f"{count.files:,}",
            f"{count.files / files:.2%}",
            *((meanings.get(count.name, ""),) if meanings else ()),
        )
        for count in counts[:_MOST_ROWS]
    ]
    head = (what, "files", "share", *(("meaning",) if meanings else ()))
    more = len(counts) - _MOST_ROWS
    left_out = [element("p", f"{more:,} more are not shown.")] if more > 0 else []
    return element("section", element("h2", title), table(title, head, rows), *left_out)


def _noted(summary: ScanSummary) -> list[Html]:
    parts = [element("h2", "Files to look at")]
    if not summary.noted:
        return [*parts, element("p", "None.")]
    rows = [(one.file, one.verdict, one.code, one.sentence) for one in summary.noted]
    parts.append(table("Files to look at", ("file", "verdict", "code", "why"), rows))
    if summary.not_noted:
        parts.append(element("p", f"{summary.not_noted:,} more are in the lines of the scan."))
    return parts
