"""Every terminal session in README and cookbook is run, and prints what the page says."""

import os
from pathlib import Path

import pytest

from support.command import ROOT
from support.transcript import Step, comparable, play, rewritten, steps_of

PAGES = {
    "README.md": 6,
    "docs/cookbook/release-engineer.md": 14,
    "docs/cookbook/downstream-user.md": 12,
    "docs/cookbook/watermark.md": 13,
    "docs/cookbook/content-credentials.md": 17,
}

Stage = tuple[Path, dict[str, str]]


def check(page: str, stage: Stage) -> None:
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    steps = steps_of(text)
    assert len(steps) >= PAGES[page], "an empty page must not pass"
    folder, variables = stage
    outputs = play(steps, cwd=folder, variables=variables)
    assert len(outputs) == len(steps), "the shell ended early"
    if os.environ.get("REWRITE_TRANSCRIPTS") == "1":
        path.write_text(rewritten(text, outputs), encoding="utf-8")
        pytest.fail("the page was rewritten: read it, and run again")
    for step, output in zip(steps, outputs, strict=True):
        assert comparable(output) == comparable(step.output), step.command


def test_readme_s_session_prints_what_it_says(stage: Stage) -> None:
    check("README.md", stage)


@pytest.mark.usefixtures("certified")
def test_release_engineer_s_session_prints_what_it_says(stage: Stage) -> None:
    check("docs/cookbook/release-engineer.md", stage)


@pytest.mark.usefixtures("published")
def test_downstream_user_s_session_prints_what_it_says(stage: Stage) -> None:
    check("docs/cookbook/downstream-user.md", stage)


@pytest.mark.usefixtures("marked")
def test_watermark_session_prints_what_it_says(stage: Stage) -> None:
    check("docs/cookbook/watermark.md", stage)


@pytest.mark.usefixtures("pictured")
def test_content_credentials_session_prints_what_it_says(stage: Stage) -> None:
    check("docs/cookbook/content-credentials.md", stage)


def test_blocks_are_found_and_ones_marked_not_run_are_not() -> None:
    text = (
        "```console\n$ a \\\n  b\nout\n$ c\n```\n"
        "<!-- not run: why -->\n```console\n$ d\n```\n```sh\ne\n```\n"
    )
    assert steps_of(text) == [Step("a \\\n  b", "out\n"), Step("c", "")]
    assert "$ c\n2\n```\n<!-- not" in rewritten(text, ["1\n", "2\n"])
    with pytest.raises(ValueError, match="begins with output"):
        steps_of("```console\nout\n```\n")


def test_other_output_is_noticed() -> None:
    assert comparable("key 0123456789abcdef…") == comparable("key fedcba9876543210…")
    assert comparable("3 files") != comparable("4 files")
