"""`watermark scan`: where the mark is, in tokens and characters, and when there is too little."""

import json
from pathlib import Path

import pytest

from support.command import Ran, run
from support.marked import VOCABULARY, new_key, words_of, written

WORDS = ("--keys", "words.ring", "--tokenizer", "tokenizer.json")
IDS = ("--keys", "ids.ring", "--ids", "--vocabulary", str(VOCABULARY))


def scan(folder: Path, *arguments: str, given: bytes = b"") -> Ran:
    return run("watermark", "scan", *arguments, cwd=folder, given=given)


def test_a_marked_stretch_is_found_where_it_is_in_tokens_and_characters(texts: Path) -> None:
    marked = (texts / "marked.txt").read_text()
    before = words_of(texts / "tokenizer.json", 400, seed=11)
    after = words_of(texts / "tokenizer.json", 300, seed=12)
    (texts / "mixed.txt").write_text(f"{before} {marked} {after}")
    ran = scan(texts, "mixed.txt", *WORDS, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.document["verdict"] == "mark-found"
    (span,) = ran.document["spans"]
    assert abs(span["tokens"]["start"] - 400) <= 20
    assert abs(span["tokens"]["stop"] - 550) <= 20
    assert span["log10_p"] <= span["log10_corrected_p"] <= -6
    start, stop = span["characters"]["start"], span["characters"]["stop"]
    found = f"{before} {marked} {after}"[start:stop]
    assert (
        found.split()
        == f"{before} {marked} {after}".split()[span["tokens"]["start"] : span["tokens"]["stop"]]
    )
    shown = scan(texts, "mixed.txt", *WORDS)
    assert shown.out.startswith(f"MARK FOUND   tokens {span['tokens']['start']} to ")


def test_ids_have_spans_in_tokens_only_and_two_stretches_are_two(texts: Path) -> None:
    key = new_key(seed=2)
    parts = [written(n, seed=s, key=k) for n, s, k in ((200, 21, key), (500, 22, None))]
    ids = [int(token) for part in (*parts, written(200, seed=23, key=key)) for token in part]
    ran = scan(texts, "-", *IDS, "--json", given=json.dumps(ids).encode())
    spans = ran.document["spans"]
    assert [round(span["tokens"]["start"], -2) for span in spans] == [0, 700]
    assert not any("characters" in span for span in spans)


@pytest.mark.parametrize(
    ("name", "code", "verdict"),
    [("plain", 10, "no-mark-found"), ("short", 15, "not-enough-evidence")],
)
def test_no_stretch_is_told_from_too_little_text(
    texts: Path, name: str, code: int, verdict: str
) -> None:
    ran = scan(texts, f"{name}.txt", *WORDS, "--json")
    document = ran.document
    assert (ran.code, document["exit_code"], document["verdict"]) == (code, code, verdict)
    assert document["spans"] == []
    quiet = scan(texts, f"{name}.txt", *WORDS, "-q")
    assert quiet.err == f"countermark: error[{verdict}]: {name}.txt\n"


def test_a_long_text_of_one_phrase_is_too_little_since_repeats_do_not_count(texts: Path) -> None:
    phrase = words_of(texts / "tokenizer.json", 20, seed=31)
    ran = scan(texts, "-", *WORDS, "--json", given=" ".join([phrase] * 100).encode())
    assert (ran.code, ran.document["tokens"], ran.document["power"]) == (15, 2000, 0)


@pytest.mark.parametrize("data", [b"[1]\n[2]\n", b""], ids=["two lists", "none"])
def test_a_scan_takes_one_list_of_ids(texts: Path, data: bytes) -> None:
    ran = scan(texts, "-", *IDS, "--json", given=data)
    assert (ran.code, ran.document["error"]["code"]) == (14, "malformed-input")


def test_an_empty_text_is_too_little(texts: Path) -> None:
    assert scan(texts, "-", *WORDS).code == 15
