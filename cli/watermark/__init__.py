"""`countermark watermark`: verbs for marks in text."""

from __future__ import annotations

from countermark.cli.verbs import Verbs

__all__ = ["command"]

_VERBS = {
    "keygen": "Make a key ring, or add a key to one.",
    "generate": "Write marked text with a local model, for trying it out.",
    "detect": "Say whether a text carries the mark of one of these keys.",
    "scan": "Find the marked stretches of a long text.",
    "calibrate": "Learn which commonplaces to leave out, from text that is not marked.",
    "report": "Measure a detector, and write its card.",
    "vllm-config": "Print the watermark setting that vLLM takes, from a key ring.",
}

command = Verbs(
    name="watermark",
    verbs=_VERBS,
    package="countermark.cli.watermark",
    help="""Mark text that a model writes, and detect the marks.

    There are three answers: a mark was found, no mark was found by these keys, and not enough
    text to tell. None of them says that a human wrote it.
    """,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"]},
)
