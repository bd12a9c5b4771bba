"""`countermark cert`: verbs for the certificates that sign content credentials."""

from __future__ import annotations

from countermark.cli.verbs import Verbs

__all__ = ["command"]

_VERBS = {
    "dev-ca": "Make a CA, a signer and a timestamp authority, for development.",
    "dev-tsa": "Serve timestamps on this machine, with the authority that dev-ca made.",
    "lint": "Say which rules of C2PA a signer's certificates break.",
}

command = Verbs(
    name="cert",
    verbs=_VERBS,
    package="countermark.cli.cert",
    help="""Make certificates for trying out content credentials, and check those you have.

    What dev-ca makes is trusted by nobody but those who take its trust bundle. For content that
    others are to believe, have a certificate issued by a CA that they trust; lint says whether
    it can sign, and until when.
    """,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"]},
)
