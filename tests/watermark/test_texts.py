"""From texts to answers: normalisation, tokens, and the documents that other engines map."""

from __future__ import annotations

import functools
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from countermark.watermark.errors import MalformedInputError
from countermark.watermark.judgement import DetectOptions
from countermark.watermark.schemes import keyed_detectors
from countermark.watermark.texts import (
    detect,
    detect_many,
    detect_texts,
    detection_document,
    scan,
    span_document,
)
from countermark.watermark.tokenization import Tokenizer, load_tokenizer
from countermark.watermark.verdict import Answer, Detection
from support.marked import VOCABULARY, make_tokenizer, new_key, words_of, written

SCHEMAS = Path(__file__).parents[2] / "specs/cli"
KEY, OTHER = new_key(seed=80), new_key(seed=81)


@dataclass(frozen=True)
class Desk:
    """A tokenizer, a text that `KEY` marked, and one that nobody did."""

    file: Path
    tokenizer: Tokenizer
    marked: str
    plain: str

    def ask(self, *texts: str, normalise: bool = True) -> list[Detection]:
        keyed = keyed_detectors([OTHER, KEY], vocabulary=self.tokenizer.vocabulary)
        return detect_many(
            texts,
            tokenizer=self.tokenizer,
            detectors=keyed,
            options=DetectOptions(),
            normalise=normalise,
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    file = make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")
    marked, plain = words_of(file, 120, seed=1, key=KEY), words_of(file, 300, seed=2)
    return Desk(file, load_tokenizer(file), marked, plain)


def test_each_text_has_the_answer_that_it_has_alone(desk: Desk) -> None:
    texts = [desk.marked, desk.plain, "", desk.plain[:60], desk.marked.replace("o", "\u043e")]
    together = desk.ask(*texts)
    assert together == [desk.ask(text)[0] for text in texts]
    assert [d.answer for d in together] == [
        Answer.FOUND,
        Answer.NOT_FOUND,
        Answer.NOT_ENOUGH,
        Answer.NOT_ENOUGH,
        Answer.FOUND,
    ]


@pytest.mark.parametrize(
    ("change", "variant"),
    [
        (lambda text: text, "as-is"),
        ("\u200b".join, "visible"),
        (lambda text: "".join(c + "\ufe0f" for c in text), "visible"),
        (lambda text: text.replace("a", "\u0430").replace("e", "\u0435"), "letters"),
        (lambda text: text.replace(" ", "** **"), "markdown"),
    ],
    ids=["as it is", "zero-width", "variation selectors", "homoglyphs", "markdown"],
)
def test_what_hides_a_mark_is_undone_and_every_variant_counts(
    desk: Desk, change: object, variant: str
) -> None:
    text = change(desk.marked)  # type: ignore[operator]
    (detection,) = desk.ask(text)
    assert (detection.answer, detection.evidence[0].variant) == (Answer.FOUND, variant)
    (bare,) = desk.ask(text, normalise=False)
    assert bare.tests == 2
    assert (bare.answer is Answer.FOUND) is (variant == "as-is")
    assert (detection.tests > bare.tests) is (variant != "as-is")
    assert detection.tests % 2 == 0  # Two keys on each variant.


def test_one_text_or_one_list_of_ids_is_judged_alike(desk: Desk) -> None:
    keyed = keyed_detectors([KEY], vocabulary=desk.tokenizer.vocabulary)
    (ids,) = desk.tokenizer.encode_batch([desk.marked])
    text = detect(desk.marked, detectors=keyed, tokenizer=desk.tokenizer)
    assert text == detect(ids, detectors=keyed, tokenizer=desk.tokenizer)
    assert text == detect(ids.tolist(), detectors=keyed, vocabulary=desk.tokenizer.vocabulary)


def test_text_without_a_tokenizer_and_ids_without_a_vocabulary_are_refused(desk: Desk) -> None:
    keyed = keyed_detectors([KEY], vocabulary=VOCABULARY)
    for content in (desk.marked, [1, 2, 3]):
        with pytest.raises(MalformedInputError) as refusal:
            detect(content, detectors=keyed)
        assert refusal.value.code == "malformed-input"
    assert detect([1, 2, 3], detectors=keyed, vocabulary=4).answer is Answer.NOT_ENOUGH


def test_half_of_a_surrogate_pair_is_refused_and_gets_no_number(desk: Desk) -> None:
    with pytest.raises(MalformedInputError):
        desk.ask(desk.plain, "\ud800 and more")


def test_the_core_can_be_sent_to_another_process_and_gives_json(desk: Desk) -> None:
    core = functools.partial(
        detect_texts,
        tokenizer=desk.tokenizer,
        detectors=keyed_detectors([KEY], vocabulary=desk.tokenizer.vocabulary),
        options=DetectOptions(),
    )
    sent = pickle.loads(pickle.dumps(core))  # noqa: S301 - our own
    documents = sent([desk.marked, desk.plain])
    assert documents == core([desk.marked, desk.plain])
    assert json.loads(json.dumps(documents, allow_nan=False)) == documents
    assert [document["answer"] for document in documents] == ["mark-found", "no-mark-found"]


def test_a_document_is_that_of_the_schema_whatever_the_answer(desk: Desk) -> None:
    schema = json.loads((SCHEMAS / "watermark-detect-v1.schema.json").read_text())
    one = {"$ref": "#/$defs/detection", "$defs": schema["$defs"]}
    long = " ".join([desk.plain, desk.plain[::-1], desk.marked, desk.plain])
    keyed = keyed_detectors([KEY], vocabulary=VOCABULARY)
    for detection in (
        *desk.ask(desk.marked, desk.plain, "", long),
        detect(written(3000, seed=3), detectors=keyed, vocabulary=VOCABULARY),
        detect(written(30, seed=3), detectors=[], vocabulary=VOCABULARY),
    ):
        jsonschema.validate(detection_document(detection), one)


def test_a_scan_gives_the_stretch_in_tokens(desk: Desk) -> None:
    keyed = keyed_detectors([OTHER, KEY], vocabulary=desk.tokenizer.vocabulary)
    before = words_of(desk.file, 500, seed=5)
    found, none = scan(
        [f"{before} {desk.marked} {desk.plain}", desk.plain],
        tokenizer=desk.tokenizer,
        detectors=keyed,
        options=DetectOptions(),
    )
    (span,) = found
    assert none == []
    assert (span.key_id, span.scheme) == (KEY.id, "countermark-gumbel-v1")
    document = span_document(span)
    assert document["tokens"] == {"start": span.span.start, "stop": span.span.stop}
    assert abs(span.span.start - 500) <= 20
    assert abs(span.span.stop - 620) <= 20
