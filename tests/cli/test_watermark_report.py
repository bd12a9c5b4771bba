"""`watermark report`: a card and a page are written, whole or not at all, and say what was seen."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from countermark.cli.exits import EXIT_ERROR, EXIT_OK, EXIT_USAGE
from countermark.watermark.keyring import KeyRing
from countermark.watermark.keyring_files import save_ring
from countermark.watermark.keys import MasterKey
from support.command import ROOT, Ran, run, run_anew
from support.marked_texts import (
    byte_tokenizer,
    key_of_tests,
    letters,
    marked,
    unmarked,
    write_jsonl,
)

SCHEMA = json.loads((ROOT / "specs/watermark-card-v1/card.schema.json").read_text())
TEXTS = ("--unmarked", "clean.jsonl", "--marked", "marked.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a ring, a tokenizer, and files of clean and of marked texts."""
    among = letters(byte_tokenizer(tmp_path / "tokenizer.json"))
    key = key_of_tests()
    save_ring(KeyRing(keys=(key,), master=MasterKey(bytes(range(32)))), tmp_path / "ring.json")
    write_jsonl(tmp_path / "clean.jsonl", unmarked(among, 20, 500, seed=1))
    write_jsonl(tmp_path / "marked.jsonl", marked(key, among, 5, 60, seed=2))
    return tmp_path


def report(folder: Path, *arguments: str, anew: bool = False) -> Ran:
    keys = ("--keys", "ring.json", "--tokenizer", "tokenizer.json", "--length", "50")
    start = run_anew if anew else run
    return start("watermark", "report", *keys, *arguments, cwd=folder)


def code_of(ran: Ran) -> str:
    return str(ran.document["error"]["code"])


def test_report_writes_a_card_that_fits_its_schema_and_a_page(folder: Path) -> None:
    ran = report(folder, *TEXTS, "--card", "card.json", "--page", "card.html", "--json")
    assert ran.code == EXIT_OK, ran.err
    data = (folder / "card.json").read_bytes()
    card = json.loads(data)
    jsonschema.validate(card, SCHEMA)
    document = ran.document
    assert document["card_sha256"] == hashlib.sha256(data).hexdigest()
    assert (document["card"], document["page"]) == ("card.json", "card.html")
    assert [rate["trials"] for rate in document["false_alarms"]] == [200, 200, 200]
    assert [rate["hits"] for rate in document["found"]] == [5, 5, 5]
    assert [(one["role"], one["name"], one["texts"], one["tokens"]) for one in card["sources"]] == [
        ("unmarked", "clean.jsonl", 20, 10_000),
        ("marked", "marked.jsonl", 5, 300),
    ]
    digest = hashlib.sha256((folder / "clean.jsonl").read_bytes()).hexdigest()
    assert card["sources"][0]["sha256"] == digest
    assert "Dilution 1:320, for want of unmarked text." in card["not_measured"]
    assert (folder / "card.html").read_text().startswith("<!DOCTYPE html>")


def test_people_are_told_the_main_figures_and_how_sure_they_are(folder: Path) -> None:
    ran = report(folder, *TEXTS, "--card", "card.json")
    assert ran.code == EXIT_OK
    assert "of 200; 95 % interval" in ran.out
    assert "1 at 1e-06 (5 of 5; 95 % interval 0.478 to 1), 50 tokens" in ran.out
    assert not (folder / "card.html").exists()


def test_the_same_run_writes_the_same_bytes_and_another_seed_does_not(folder: Path) -> None:
    for name, seed in (("one", "1"), ("two", "1"), ("three", "2")):
        arguments = ("--seed", seed, "--card", f"{name}.json", "--page", f"{name}.html", "-q")
        # The second one hashes with another seed.
        assert report(folder, *TEXTS, *arguments, anew=name == "two").code == EXIT_OK
    for kind in ("json", "html"):
        one, two, three = (
            (folder / f"{name}.{kind}").read_bytes() for name in ("one", "two", "three")
        )
        assert one == two != three


def test_texts_are_tokenized_and_ids_are_taken_as_they_are(folder: Path) -> None:
    (folder / "text.jsonl").write_text(json.dumps({"body": "plain words " * 20}) + "\n\n")
    files = ("--unmarked", "text.jsonl", *TEXTS, "--field", "body", "--card", "card.json")
    assert report(folder, *files).code == EXIT_OK
    sources = json.loads((folder / "card.json").read_bytes())["sources"]
    assert [one["tokens"] for one in sources] == [240, 10_000, 300]


def test_marked_text_among_the_unmarked_is_noticed(folder: Path) -> None:
    wrong = ("--unmarked", "marked.jsonl", "--marked", "marked.jsonl", "--card", "card.json")
    assert "false alarms are above a level" in report(folder, *wrong).err
    assert "above a level" not in report(folder, *TEXTS, "--card", "other.json").err


def test_other_models_are_named_on_the_page_as_text(folder: Path) -> None:
    other = ("--other-model", "<b>&\"'x=marked.jsonl")
    ran = report(folder, *TEXTS, *other, "--card", "card.json", "--page", "card.html")
    assert ran.code == EXIT_OK, ran.err
    found = json.loads((folder / "card.json").read_bytes())["found"]
    assert [row["model"] for row in found] == ["", "", "<b>&\"'x", "<b>&\"'x"]
    page = (folder / "card.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;&quot;&#x27;x" in page


@pytest.mark.parametrize("value", ["marked.jsonl", "=marked.jsonl", "name=", "name=absent.jsonl"])
def test_another_model_needs_a_name_and_a_file_that_is_there(folder: Path, value: str) -> None:
    ran = report(folder, *TEXTS, "--other-model", value, "--card", "card.json")
    assert ran.code == EXIT_USAGE
    assert not (folder / "card.json").exists()


def test_two_models_cannot_have_one_name(folder: Path) -> None:
    twice = ("--other-model", "m=marked.jsonl") * 2
    assert report(folder, *TEXTS, *twice, "--card", "card.json").code == EXIT_USAGE


@pytest.mark.parametrize("existing", ["card.json", "card.html"])
def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(
    folder: Path, existing: str
) -> None:
    (folder / existing).write_text("mine")
    files = ("--card", "card.json", "--page", "card.html")
    ran = report(folder, *TEXTS, *files, "--json")
    assert (ran.code, code_of(ran)) == (EXIT_ERROR, "file-exists")
    assert (folder / existing).read_text() == "mine"
    assert len(list(folder.glob("card.*"))) == 1
    assert report(folder, *TEXTS, *files, "--replace").code == EXIT_OK
    assert (folder / existing).read_text() != "mine"


def test_card_and_page_must_be_two_files(folder: Path) -> None:
    assert report(folder, *TEXTS, "--card", "a", "--page", "./a").code == EXIT_USAGE


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"text": 5}', "malformed-input"),
        ('{"ids": [256]}', "malformed-input"),
        ('{"ids": [0, true]}', "malformed-input"),
        ('{"ids": [', "malformed-json"),
    ],
)
def test_a_record_that_is_neither_text_nor_ids_ends_the_run_and_is_named(
    folder: Path, line: str, code: str
) -> None:
    (folder / "bad.jsonl").write_text('{"ids": [255]}\n' + line + "\n")
    ran = report(folder, *TEXTS, "--unmarked", "bad.jsonl", "--card", "card.json", "--json")
    assert code_of(ran) == code
    assert "line 2" in ran.document["error"]["message"]
    assert not (folder / "card.json").exists()


def test_too_little_text_is_refused_before_anything_is_written(folder: Path) -> None:
    (folder / "short.jsonl").write_text('{"ids": [1, 2, 3]}\n')
    for files in (
        ("--unmarked", "short.jsonl", "--marked", "marked.jsonl"),
        ("--unmarked", "clean.jsonl", "--marked", "short.jsonl"),
    ):
        ran = report(folder, *files, "--card", "card.json", "--json")
        assert code_of(ran) == "malformed-input"
        assert not (folder / "card.json").exists()
