"""`countermark content trust`: verbs for trust bundles."""

from __future__ import annotations

from countermark.cli.verbs import Verbs

__all__ = ["command"]

_VERBS = {
    "make": "Make a trust bundle from lists of certificates.",
    "show": "Say whom a trust bundle trusts, and since when.",
}

command = Verbs(
    name="trust",
    verbs=_VERBS,
    package="countermark.cli.content.trust",
    help="""Say whom to believe about content credentials, in one dated file.

    No list is built in. The lists of the C2PA conformance programme are published as PEM files;
    make a bundle from the ones you looked at, and sign it like any file: countermark sign FILE.
    """,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"]},
)
