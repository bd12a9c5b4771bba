"""`countermark content trust show`: whom does this file trust?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.content.trusting import TrustGiven, read_trust_given
from countermark.cli.options import EXISTING_FILE, framed, verb
from countermark.cli.output import Output

if TYPE_CHECKING:
    from countermark.provenance.trust import TrustBundle, TrustList

__all__ = ["command"]


@verb(
    "content trust show",
    short_help="Say whom a trust bundle trusts, and since when.",
    examples="""\
countermark content trust show trust.json
countermark content trust show trust.json --public-key release.pub --json""",
)
@click.argument("file", type=EXISTING_FILE)
@click.option("--public-key", type=EXISTING_FILE, help="Key that must have signed FILE.")
@click.option("--signature", type=EXISTING_FILE, help="Its signature.  [default: beside FILE]")
@framed
def command(output: Output, file: Path, public_key: Path | None, signature: Path | None) -> int:
    """Show a trust bundle: its lists, their certificates, the signers it allows."""
    from countermark.signing.names import printable

    if signature is not None and public_key is None:
        raise click.UsageError("--signature without --public-key shows nothing")
    bundle = read_trust_given(TrustGiven(file, public_key, signature))
    if bundle is None:
        raise click.UsageError("no file")
    output.document(
        {
            "schema": "countermark/content-trust/v1",
            "verdict": "done",
            "exit_code": 0,
            "signature_checked": public_key is not None,
            **_document(bundle),
        }
    )
    until = f", to be used until {bundle.valid_until}" if bundle.valid_until else ""
    output.line("trust bundle", f"{printable(bundle.name)}, dated {bundle.dated}{until}")
    output.line("sha256", bundle.sha256)
    if public_key is not None:
        output.line("signed", f"by the key in {printable(str(public_key))}", tone="good")
    else:
        output.note("nobody was asked who made this file", "name the key with --public-key")
    output.line("purposes", ", ".join(bundle.purposes))
    for listed in bundle.lists:
        source = f"  ({printable(listed.source)})" if listed.source else ""
        output.line(listed.kind, f"{printable(listed.name)}{source}")
        for row in _certificates(listed):
            output.line("", f"  {printable(row['subject'])}, until {row['not_after'][:10]}")
    for fingerprint in bundle.allowed:
        output.line("allowed", fingerprint)
    return 0


def _document(bundle: TrustBundle) -> dict[str, object]:
    return {
        "name": bundle.name,
        "dated": bundle.dated.isoformat(),
        "valid_until": None if bundle.valid_until is None else bundle.valid_until.isoformat(),
        "sha256": bundle.sha256,
        "purposes": list(bundle.purposes),
        "lists": [
            {
                "name": listed.name,
                "kind": listed.kind,
                "source": listed.source,
                "certificates": _certificates(listed),
            }
            for listed in bundle.lists
        ],
        "allowed": list(bundle.allowed),
    }


def _certificates(listed: TrustList) -> list[dict[str, str]]:
    import hashlib

    from countermark.signing.x509_loading import describe, load_der

    rows = []
    for data in listed.certificates:
        facts = describe(load_der(data))
        rows.append(
            {
                "subject": facts.subject,
                "not_before": facts.not_before.isoformat(),
                "not_after": facts.not_after.isoformat(),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    return rows
