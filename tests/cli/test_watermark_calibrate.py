"""`watermark calibrate`: the table it writes, what it does for `detect`, what it refuses."""

import json
from pathlib import Path

import pytest

from countermark.watermark.common_pairs import load_calibration
from countermark.watermark.tokenization import load_tokenizer
from support.command import Ran, run
from support.marked import words_of

BASE = ("--tokenizer", "tokenizer.json", "--out", "common.pairs")


def calibrate(folder: Path, *arguments: str) -> Ran:
    return run("watermark", "calibrate", *arguments, cwd=folder)


def refusal(ran: Ran) -> tuple[int, str]:
    return ran.code, str(ran.document["error"]["code"])


def clean(folder: Path, phrase: str) -> Path:
    """Write ten records that share a phrase and nothing else."""
    tokenizer = folder / "tokenizer.json"
    lines = [
        json.dumps({"text": f"{words_of(tokenizer, 40, seed=50 + n)} {phrase}"}) for n in range(10)
    ]
    path = folder / "clean.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_phrase_that_many_documents_share_is_learnt_and_left_out(texts: Path) -> None:
    phrase = words_of(texts / "tokenizer.json", 30, seed=40)
    clean(texts, phrase)
    ran = calibrate(texts, "clean.jsonl", *BASE, "--min-documents", "10", "--json")
    assert (ran.code, ran.err) == (0, "")
    digest = load_tokenizer(texts / "tokenizer.json").vocabulary_sha256
    assert ran.document == {
        "schema": "countermark/watermark-calibrate/v1",
        "verdict": "done",
        "exit_code": 0,
        "out": "common.pairs",
        "pairs": 28,
        "documents": 10,
        "min_documents": 10,
        "width": 2,
        "vocabulary_sha256": digest,
    }
    read = load_calibration((texts / "common.pairs").read_bytes())
    assert (len(read.pairs.table), read.vocabulary_sha256) == (28, digest)
    words = ("--keys", "words.ring", "--tokenizer", "tokenizer.json", "--json")
    (texts / "new.txt").write_text(f"{words_of(texts / 'tokenizer.json', 200, seed=41)} {phrase}")
    for common, left_out in (((), 0), (("--common", "common.pairs"), 28)):
        found = run("watermark", "detect", "new.txt", *words, *common, cwd=texts)
        evidence = found.document["detections"][0]["evidence"][0]
        assert (evidence["common"], evidence["scored"]) == (left_out, 228 - left_out)


def test_a_mark_is_still_found_once_commonplaces_are_left_out(texts: Path) -> None:
    clean(texts, words_of(texts / "tokenizer.json", 30, seed=40))
    assert calibrate(texts, "clean.jsonl", *BASE, "--min-documents", "2").code == 0
    words = ("--keys", "words.ring", "--tokenizer", "tokenizer.json", "--common", "common.pairs")
    assert run("watermark", "detect", "marked.txt", *words, cwd=texts).code == 0
    assert run("watermark", "detect", "plain.txt", *words, cwd=texts).code == 10


def test_a_folder_is_learnt_from_and_a_table_in_it_is_no_text(texts: Path) -> None:
    folder = texts / "folder"
    folder.mkdir()
    for name in ("one.txt", "two.txt"):
        (folder / name).write_text("bada bida bode beka")
    out = ("--tokenizer", "tokenizer.json", "--out", "folder/common.pairs", "--min-documents", "2")
    first = calibrate(texts, "folder", *out, "--json")
    assert (first.document["documents"], first.document["pairs"]) == (2, 2)
    before = (folder / "common.pairs").read_bytes()
    assert refusal(calibrate(texts, "folder", *out, "--json")) == (1, "file-exists")
    again = calibrate(texts, "folder", *out, "--replace", "--json")
    assert (again.code, again.document["documents"]) == (0, 2)
    assert (folder / "common.pairs").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"[1, 2, 3]", "line 2: calibration reads texts"),
        (b'{"body": "x"}', "line 2: expected a string 'text'"),
        (b"plain text", "line 2: not JSON"),
        (b'{"text": "caf\xe9"}', "line 2: not UTF-8"),
    ],
)
def test_a_record_that_is_no_text_is_refused_by_its_line_and_nothing_is_written(
    texts: Path, line: bytes, sentence: str
) -> None:
    (texts / "clean.jsonl").write_bytes(b'{"text": "bada bida"}\n' + line + b"\n")
    ran = calibrate(texts, "clean.jsonl", *BASE, "--json")
    assert refusal(ran) == (14, "malformed-input")
    assert sentence in ran.document["error"]["message"]
    assert not (texts / "common.pairs").exists()


def test_a_table_of_one_document_and_a_tokenizer_that_is_none_are_refused(texts: Path) -> None:
    (texts / "clean.jsonl").write_text('{"text": "bada"}\n')
    one = calibrate(texts, "clean.jsonl", *BASE, "--min-documents", "1", "--json")
    assert refusal(one) == (2, "usage")
    none = ("--tokenizer", "words.ring", "--out", "common.pairs", "--json")
    assert refusal(calibrate(texts, "clean.jsonl", *none)) == (14, "malformed-tokenizer")
