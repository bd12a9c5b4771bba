"""`countermark cert lint`: which rules of C2PA a signer's certificates break."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.exits import EXIT_OF
from countermark.cli.files import read_bounded
from countermark.cli.options import EXISTING_FILE, framed, verb
from countermark.cli.output import Output

if TYPE_CHECKING:
    from countermark.signing.verdict import Check

__all__ = ["command"]

# As in `provenance.cert_lint`, repeated so that --help does not load it (a test compares).
ALGORITHMS = ("es256", "es384", "es512", "ed25519", "ps256", "ps384", "ps512")
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])


@verb(
    "cert lint",
    short_help="Say which rules of C2PA a signer's certificates break.",
    examples="""\
countermark cert lint chain.pem
countermark cert lint chain.pem --key signer.key --ca root.pem
countermark cert lint chain.pem --at 2027-01-01 --json""",
)
@click.argument("chain", type=EXISTING_FILE)
@click.option("--key", type=EXISTING_FILE, help="The private key: is it the certificate's?")
@click.option(
    "--password-file", type=EXISTING_FILE, help="The first line of this file opens the key."
)
@click.option(
    "--ca",
    "cas",
    type=EXISTING_FILE,
    multiple=True,
    help="CA that readers trust: is a link to it missing?",
)
@click.option(
    "--algorithm",
    type=click.Choice(ALGORITHMS),
    help="How claims are to be signed, if not as follows from the key.",
)
@click.option("--at", type=_MOMENT, metavar="DATE", help="Judge for this moment (UTC), not now.")
@framed
def command(
    output: Output,
    chain: Path,
    key: Path | None,
    password_file: Path | None,
    cas: tuple[Path, ...],
    algorithm: str | None,
    at: datetime | None,
) -> int:
    """Hold the certificates in CHAIN (PEM, the signer's first) against C2PA's profile.

    Every rule is named, whether it holds or not, and so is the moment from which nothing that
    was signed without a timestamp will be valid any more. It ends with 13 if a
    certificate is not valid at that time, else with 16 if a rule is broken, and with 0 if content
    can be signed. Whether anybody trusts the CA is not asked.
    """
    from countermark.cli.secrets import key_password
    from countermark.provenance.cert_lint import lint
    from countermark.signing.keys import MAX_KEY_BYTES
    from countermark.signing.x509_loading import MAX_PEM_BYTES

    secret = None if key is None else read_bounded(key, MAX_KEY_BYTES)
    locked = secret is not None and b"ENCRYPTED" in secret
    checks = lint(
        read_bounded(chain, MAX_PEM_BYTES),
        secret,
        at=datetime.now(UTC) if at is None else at.replace(tzinfo=UTC),
        password=key_password(password_file) if locked or password_file else None,
        algorithm=algorithm,
        anchors=b"\n".join(read_bounded(path, MAX_PEM_BYTES) for path in cas) or None,
    )
    return _report(output, chain, checks)


def _report(output: Output, chain: Path, checks: tuple[Check, ...]) -> int:
    from countermark.signing.names import printable
    from countermark.signing.verdict import Status, check_document, decisive_check, outcome_of

    outcome = outcome_of(checks)
    decisive = decisive_check(checks)
    sentence = decisive.sentence if decisive else "content can be signed with these certificates"
    output.document(
        {
            "schema": "countermark/cert-lint/v1",
            "verdict": outcome.value,
            "code": decisive.code if decisive else outcome.value,
            "exit_code": EXIT_OF[outcome],
            "chain": str(chain),
            "sentence": sentence,
            "checks": [check_document(check) for check in checks],
        }
    )
    if output.format == "quiet" and decisive is not None:
        output.complaint(decisive.code, sentence)
    broken = sum(check.status is Status.FAILED for check in checks)
    found = f"breaks {broken} rule{'s' if broken != 1 else ''}" if broken else "can sign content"
    headline = _HEADLINES.get(outcome.value, "REFUSED")
    output.line(headline, f"{printable(str(chain))} {found}", tone="bad" if broken else "good")
    for check in sorted(checks, key=lambda check: _ORDER[check.status.value]):
        label = _LABELS[check.status.value]
        tone = {"failed": "bad", "warned": "note"}.get(check.status.value, "")
        output.line(label, f"{check.code}: {check.sentence}", tone=tone)
        if check.status is not Status.HELD:
            _advise(output, check)
    return EXIT_OF[outcome]


_HEADLINES = {"verified": "OK", "outside-validity": "OUT OF DATE"}
_LABELS = {"failed": "broken", "warned": "note", "held": "holds", "not-checked": "not checked"}
_ORDER = {status: place for place, status in enumerate(_LABELS)}


def _advise(output: Output, check: Check) -> None:
    if check.hint:
        output.line("", f"do: {check.hint}")
