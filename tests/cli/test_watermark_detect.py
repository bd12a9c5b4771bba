"""`watermark detect`: three answers and their exit codes, from text, from ids, and in batches."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countermark.cli.exits import EXIT_OK, EXIT_USAGE
from countermark.watermark.common_pairs import Calibration, dump_calibration
from countermark.watermark.keyring import KeyRing
from countermark.watermark.keyring_files import Protection, load_ring, save_ring
from countermark.watermark.units import NO_PAIRS, CommonPairs
from support.command import Ran, run, run_anew
from support.marked import VOCABULARY, new_key

FOUND, NOT_FOUND, NOT_ENOUGH, MALFORMED = 0, 10, 15, 14
WORDS = ("--keys", "words.ring", "--tokenizer", "tokenizer.json")
IDS = ("--keys", "ids.ring", "--ids", "--vocabulary", str(VOCABULARY))


def detect(folder: Path, *arguments: str, given: bytes = b"") -> Ran:
    return run("watermark", "detect", *arguments, cwd=folder, given=given)


def refusal(ran: Ran) -> tuple[int, str]:
    assert ran.document["exit_code"] == ran.code
    return ran.code, str(ran.document["error"]["code"])


def key_in(folder: Path, ring: str = "words.ring") -> str:
    return load_ring(folder / ring).ring.keys[0].id


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("name", "code", "verdict"),
    [
        ("marked", FOUND, "mark-found"),
        ("plain", NOT_FOUND, "no-mark-found"),
        ("short", NOT_ENOUGH, "not-enough-evidence"),
    ],
)
def test_each_answer_has_its_exit_code_and_its_document(
    texts: Path, name: str, code: int, verdict: str
) -> None:
    for arguments in ((f"{name}.txt", *WORDS), (f"{name}.ids", *IDS)):
        ran = detect(texts, *arguments, "--json")
        assert (ran.code, ran.err) == (code, "")
        document = ran.document
        assert (document["verdict"], document["exit_code"]) == (verdict, code)
        assert document["subject"] == arguments[0]
        (detection,) = document["detections"]
        assert detection["answer"] == verdict
        if name != "marked":  # What was found needed no luck.
            assert (detection["power"] >= 0.99) is (name == "plain")
        (evidence,) = detection["evidence"]
        assert evidence["key_id"] == key_in(texts, arguments[2])
        assert (evidence["log10_corrected_p"] <= -6) is (name == "marked")
        assert evidence["scored"] <= detection["tokens"] - 2


def test_people_read_the_key_and_p_and_never_that_a_human_wrote_it(texts: Path) -> None:
    found = detect(texts, "marked.txt", *WORDS)
    assert found.out.startswith(f"MARK FOUND   by key {key_in(texts)}, p = ")
    assert "words.ring is not encrypted" in found.err
    none = detect(texts, "plain.txt", *WORDS)
    sentence = "by the one key that was tried; nothing is said of others"
    assert none.out.startswith(f"NO MARK      {sentence}\n")
    few = detect(texts, "short.txt", *WORDS)
    assert few.out.startswith("NOT ENOUGH   to tell: 30 tokens, about ")
    assert not any("human" in ran.out + ran.err for ran in (found, none, few))


def test_quiet_says_nothing_of_a_mark_and_one_line_of_anything_else(texts: Path) -> None:
    found = detect(texts, "marked.txt", *WORDS, "-q")
    assert (found.code, found.out, found.err) == (FOUND, "", "")
    none = detect(texts, "plain.txt", *WORDS, "-q")
    assert (none.code, none.out) == (NOT_FOUND, "")
    assert none.err == "countermark: error[no-mark-found]: plain.txt\n"


def test_standard_input_is_read_for_a_dash(texts: Path) -> None:
    text = (texts / "marked.txt").read_bytes()
    ran = detect(texts, "-", *WORDS, "--json", given=text)
    assert (ran.code, ran.document["subject"]) == (FOUND, "-")
    assert detect(texts, "-", *IDS, given=(texts / "plain.ids").read_bytes()).code == NOT_FOUND


def test_each_line_of_ids_is_a_text_and_one_that_is_marked_decides(texts: Path) -> None:
    lines = [(texts / f"{name}.ids").read_text() for name in ("plain", "marked", "short")]
    (texts / "all.ids").write_text("\n".join(lines) + "[]\n")
    ran = detect(texts, "all.ids", *IDS, "--json")
    answers = [detection["answer"] for detection in ran.document["detections"]]
    assert answers == ["no-mark-found", "mark-found", *2 * ["not-enough-evidence"]]
    assert ran.code == FOUND
    (texts / "two.ids").write_text(lines[0] + lines[2])
    assert detect(texts, "two.ids", *IDS).code == NOT_ENOUGH


@pytest.mark.parametrize("data", [b"", b"\n \n"], ids=["nothing", "blanks"])
def test_an_empty_text_is_not_enough_evidence(texts: Path, data: bytes) -> None:
    for arguments in (("-", *WORDS), ("-", *IDS)):
        ran = detect(texts, *arguments, "--json", given=data)
        assert (ran.code, ran.document["verdict"]) == (NOT_ENOUGH, "not-enough-evidence")


@pytest.mark.parametrize("change", ["homoglyphs", "zero-width", "as it is"])
def test_an_altered_text_is_found_by_a_variant_and_without_variants_it_is_not(
    texts: Path, change: str
) -> None:
    text = (texts / "marked.txt").read_text()
    if change == "homoglyphs":
        text = text.replace("o", "\u043e").replace("e", "\u0435")  # Cyrillic
    elif change == "zero-width":
        text = "\u200b".join(text)
    (texts / "altered.txt").write_text(text)
    ran = detect(texts, "altered.txt", *WORDS, "--json")
    variant = ran.document["detections"][0]["evidence"][0]["variant"]
    assert (ran.code, variant != "as-is") == (FOUND, change != "as it is")
    bare = detect(texts, "altered.txt", *WORDS, "--no-normalise")
    assert (bare.code == FOUND) is (change == "as it is")


def test_a_tokenizer_the_key_was_not_made_for_is_refused(texts: Path) -> None:
    other = (texts / "tokenizer.json").read_text() + "\n"  # The same ids, and another file.
    (texts / "other.json").write_text(other)
    arguments = ("marked.txt", "--keys", "words.ring", "--tokenizer")
    assert refusal(detect(texts, *arguments, "other.json", "--json")) == (2, "wrong-tokenizer")
    ring = load_ring(texts / "words.ring").ring
    save_ring(ring.with_key(new_key(seed=9)), texts / "both.ring")
    both = ("marked.txt", "--keys", "both.ring", "--tokenizer")
    ran = detect(texts, *both, "other.json", "--json")
    assert ran.document["keys_of_other_tokenizers"] == [ring.keys[0].id]
    assert detect(texts, *both, "tokenizer.json").code == FOUND


def test_only_keys_that_are_named_or_marked_at_that_time_are_tried(texts: Path) -> None:
    key = load_ring(texts / "words.ring").ring.keys[0]
    year = {"not_before": "2026-01-01", "not_after": "2027-01-01"}
    window: dict[str, Any] = {
        name: datetime.fromisoformat(day).replace(tzinfo=UTC) for name, day in year.items()
    }
    save_ring(KeyRing(keys=(key, new_key(seed=9, **window))), texts / "two.ring")
    two = ("marked.txt", "--keys", "two.ring", "--tokenizer", "tokenizer.json", "--json")
    tried = {
        options: detect(texts, *two, *options).document["detections"][0]["keys"]
        for options in ((), ("--written-at", "2025-12-31"), ("--key-id", key.id))
    }
    assert list(tried.values()) == [2, 1, 1]
    assert detect(texts, *two, "--written-at", "2026-12-31T23:59:59Z").code == FOUND
    assert refusal(detect(texts, *two, "--key-id", "0" * 16)) == (EXIT_USAGE, "key-unusable")
    outside = ("--key-id", new_key(seed=9).id, "--written-at", "2027-01-01")
    assert refusal(detect(texts, *two, *outside)) == (EXIT_USAGE, "key-unusable")


def test_commonplaces_of_another_tokenizer_are_refused(texts: Path) -> None:
    table = CommonPairs(2, NO_PAIRS.table, NO_PAIRS.sieve)
    about: dict[str, Any] = {"pairs": table, "documents": 3, "min_documents": 2}
    (texts / "other.pairs").write_bytes(
        dump_calibration(Calibration(vocabulary_sha256="a" * 64, **about))
    )
    ran = detect(texts, "marked.txt", *WORDS, "--common", "other.pairs", "--json")
    assert refusal(ran) == (EXIT_USAGE, "wrong-tokenizer")
    (texts / "no.pairs").write_bytes(b"{}\n")
    ran = detect(texts, "marked.txt", *WORDS, "--common", "no.pairs", "--json")
    assert refusal(ran) == (MALFORMED, "malformed-common-pairs")


@pytest.mark.parametrize(
    ("arguments", "data", "code", "name"),
    [
        (WORDS, b"caf\xe9", 14, "malformed-input"),
        (IDS, b"[1, 2\n", 14, "malformed-input"),
        (IDS, b'{"ids": [1]}\n', 14, "malformed-input"),
        (IDS, b"[1, true]\n", 14, "malformed-input"),
        (IDS, b"[1, 2.0]\n", 14, "malformed-input"),
        (IDS, b"[-1]\n", 14, "malformed-input"),
        (IDS, b"[49152]\n", 14, "malformed-input"),
        (IDS, b"[" + b"9" * 30 + b"]\n", 14, "malformed-input"),
        (IDS, b"[" * 100_000, 14, "malformed-input"),
        (IDS, b"\xff\n", 14, "malformed-input"),
        (("--keys", "words.ring"), b"x", 2, "usage"),
        (("--keys", "ids.ring", "--ids"), b"[1]", 2, "usage"),
        (("--keys", "tokenizer.json", *WORDS[2:]), b"x", 14, "malformed-key-ring"),
        (("--keys", "ids.ring", "--tokenizer", "ids.ring"), b"x", 14, "malformed-tokenizer"),
        ((*WORDS, "--alpha", "0"), b"x", 2, "usage"),
        ((*WORDS, "--alpha", "1"), b"x", 2, "usage"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_gets_no_number(
    texts: Path, arguments: tuple[str, ...], data: bytes, code: int, name: str
) -> None:
    ran = detect(texts, "-", *arguments, "--json", given=data)
    assert refusal(ran) == (code, name)
    assert "log10_p" not in ran.out


def test_a_text_over_the_limit_is_refused_before_it_is_read_whole(texts: Path) -> None:
    with (texts / "huge.txt").open("wb") as file:
        file.truncate(1 << 30)  # One line of a gigabyte; the disk holds none of it.
    assert refusal(detect(texts, "huge.txt", *WORDS, "--json")) == (MALFORMED, "malformed-input")
    assert refusal(detect(texts, "huge.txt", *IDS, "--json")) == (MALFORMED, "malformed-input")


def test_an_absent_file_is_no_answer(texts: Path) -> None:
    assert refusal(detect(texts, "gone.txt", *WORDS, "--json")) == (1, "io-error")


def test_an_encrypted_ring_opens_with_its_passphrase_and_not_without(texts: Path) -> None:
    ring = load_ring(texts / "words.ring").ring
    save_ring(ring, texts / "locked.ring", Protection(passphrase="open sesame"))
    (texts / "phrase").write_text("open sesame\n")
    locked = ("marked.txt", "--keys", "locked.ring", "--tokenizer", "tokenizer.json", "--json")
    assert detect(texts, *locked, "--passphrase-file", "phrase").code == FOUND
    assert refusal(detect(texts, *locked)) == (EXIT_USAGE, "key-ring-locked")


def batch_in(folder: Path) -> Path:
    records: list[object] = [
        {"id": name, "text": (folder / f"{name}.txt").read_text()}
        for name in ("marked", "plain", "short")
    ]
    records += [json.loads((folder / "plain.ids").read_text())[:5], {"no": "text"}]
    path = folder / "many.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_batch_answers_each_line_with_what_detect_alone_says(texts: Path) -> None:
    batch_in(texts)
    ran = detect(texts, "many.jsonl", *WORDS, "--out", "out.jsonl", "--json")
    assert ran.code == EXIT_OK
    counts = {name: ran.document[name] for name in ("records", "resumed", "errors")}
    assert counts == {"records": 5, "resumed": 0, "errors": 2}  # Ids over 4,096, and no text.
    answers = rows(texts / "out.jsonl")
    assert [row.get("id") for row in answers] == ["marked", "plain", "short", None, None]
    alone = detect(texts, "marked.txt", *WORDS, "--json").document["detections"][0]
    assert {name: answers[0][name] for name in alone} == alone
    assert [row["error"]["code"] for row in answers[3:]] == 2 * ["malformed-input"]


def test_a_batch_is_resumed_to_the_same_bytes_and_never_over_other_inputs(texts: Path) -> None:
    many, out = batch_in(texts), texts / "out.jsonl"
    words = ("many.jsonl", *WORDS, "--out", "out.jsonl", "--json")
    detect(texts, *words)
    whole = out.read_bytes()
    assert refusal(detect(texts, *words)) == (1, "file-exists")
    out.write_bytes(whole[: len(whole) // 2])  # As after a power cut.
    ran = run_anew("watermark", "detect", *words, "--resume", cwd=texts)
    assert (ran.code, out.read_bytes()) == (EXIT_OK, whole)
    assert ran.document["resumed"] >= 1
    assert refusal(detect(texts, *words, "--resume", "--alpha", "1e-3")) == (1, "batch")
    many.write_text(many.read_text().replace('"marked"', '"other"'))
    assert refusal(detect(texts, *words, "--resume")) == (1, "batch")
    assert out.read_bytes() == whole


def test_a_batch_of_ids_needs_no_tokenizer_and_refuses_texts_then(texts: Path) -> None:
    lines = (texts / "marked.ids").read_text() + (texts / "plain.ids").read_text()
    (texts / "ids.jsonl").write_text(lines + '{"text": "words"}\n')
    ran = detect(texts, "ids.jsonl", *IDS, "--out", "out.jsonl", "--json")
    assert (ran.code, ran.document["errors"]) == (EXIT_OK, 1)
    found = [row.get("answer") for row in rows(texts / "out.jsonl")]
    assert found == ["mark-found", "no-mark-found", None]


def test_a_folder_is_a_batch_with_a_line_for_each_file_also_in_processes(texts: Path) -> None:
    folder = texts / "folder"
    folder.mkdir()
    for name in ("marked.txt", "plain.txt"):
        os.link(texts / name, folder / name)
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    more = ("--processes", "1", "--json")
    ran = detect(texts, "folder", *WORDS, "--out", "out.jsonl", *more)
    assert ran.code == EXIT_OK, ran.out + ran.err
    answers = {row["file"]: row for row in rows(texts / "out.jsonl")}
    assert answers["marked.txt"]["answer"] == "mark-found"
    assert answers["plain.txt"]["answer"] == "no-mark-found"
    assert answers["latin.txt"]["error"]["code"] == "malformed-input"
