"""`countermark content`: verbs for content credentials."""

from __future__ import annotations

from countermark.cli.verbs import Verbs

__all__ = ["command"]

_VERBS = {
    "sign": "Attach a signed manifest to an image, a text, a model, any file.",
    "verify": "Say where a file comes from, and whether it is as it was signed.",
    "scan": "Judge many files: one line for each, and a summary.",
    "trust": "Make a trust bundle, which says whom to believe, or show one.",
}

command = Verbs(
    name="content",
    verbs=_VERBS,
    package="countermark.cli.content",
    help="""Attach content credentials (C2PA) to what was made, and judge them.

    A verdict has an answer for each question: are these the bytes that were signed, is the
    claim whole, who vouches for the signer, when was it signed, what was it made from, which
    model made it. That nobody vouches for a signer does not say that anything was changed.
    """,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"]},
)
