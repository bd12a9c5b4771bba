"""Edits: each touches what it says, no more, and does so again with the same seed."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countermark.watermark.edits import (
    TEXT_EDITS,
    TOKEN_EDITS,
    TextEdit,
    TokenEdit,
    dilute,
    edit_rng,
)
from countermark.watermark.errors import SchemeError
from countermark.watermark.normalise import variants

TOKENS = np.arange(1000, 1200, dtype=np.uint32)
POOL = np.arange(50, dtype=np.uint32)
PROSE = (
    'He said "no" twice -- it\'s odd... She left.  Then nothing happened! Why?\n\n'
    "A second paragraph of plain words stands here, and it is long enough for two lines of text."
)


def token_edit(name: str, strength: float) -> TokenEdit:
    (found,) = (e for e in TOKEN_EDITS if (e.name, e.strength) == (name, strength))
    return found


def text_edit(name: str) -> TextEdit:
    (found,) = (e for e in TEXT_EDITS if e.name == name)
    return found


def rng() -> np.random.Generator:
    return edit_rng(7, "test", 0.5, 3)


def test_no_two_edits_have_one_name_and_strength() -> None:
    names = [(e.name, e.strength) for e in TOKEN_EDITS]
    names += [(e.name, e.strength) for e in TEXT_EDITS]
    assert len(set(names)) == len(names) == 22


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.5])
def test_substitution_changes_exactly_its_share_to_tokens_of_the_pool(share: float) -> None:
    edited = token_edit("substitute", share)(TOKENS, POOL, rng())
    changed = edited != TOKENS
    assert changed.sum() == round(share * 200)
    assert np.isin(edited[changed], POOL).all()


def test_substitution_draws_again_where_the_token_would_stay_the_same() -> None:
    same = np.zeros(200, np.uint32)
    edited = token_edit("substitute", 0.5)(same, np.array([0, 0, 0, 5], np.uint32), rng())
    assert 95 <= (edited == 5).sum() <= 100


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.5])
def test_deletion_keeps_the_rest_in_order(share: float) -> None:
    edited = token_edit("delete", share)(TOKENS, POOL, rng())
    assert len(edited) == 200 - round(share * 200)
    assert np.isin(edited, TOKENS).all()
    assert (np.diff(edited.astype(np.int64)) > 0).all()


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.5])
def test_insertion_keeps_every_token_in_order(share: float) -> None:
    edited = token_edit("insert", share)(TOKENS, POOL, rng())
    assert len(edited) == 200 + round(share * 200)
    assert np.array_equal(edited[edited >= 1000], TOKENS)


def test_cropping_keeps_one_piece() -> None:
    edited = token_edit("crop", 0.5)(TOKENS, POOL, rng())
    assert np.array_equal(edited, np.arange(edited[0], edited[0] + 100))


def test_dilution_puts_the_whole_text_into_consecutive_tokens_of_the_pool() -> None:
    pool = np.arange(900, dtype=np.uint32)
    edited = dilute(TOKENS, 4, pool, rng())
    inside = np.flatnonzero(edited >= 1000)
    assert len(edited) == 1000
    assert np.array_equal(edited[inside], TOKENS)
    assert inside[-1] - inside[0] == 199
    assert set(np.diff(edited[edited < 1000].astype(np.int64))) == {1}


def test_dilution_needs_enough_unmarked_text() -> None:
    assert len(dilute(TOKENS, 4, np.zeros(800, np.uint32), rng())) == 1000
    with pytest.raises(SchemeError) as caught:
        dilute(TOKENS, 4, np.zeros(799, np.uint32), rng())
    assert caught.value.code == "scheme-parameters"


@pytest.mark.parametrize("edit", TOKEN_EDITS, ids=lambda e: f"{e.name}-{e.strength}")
def test_a_seed_gives_one_result_and_another_seed_another(edit: TokenEdit) -> None:
    def edited(seed: int, text: int) -> bytes:
        generator = edit_rng(seed, edit.name, edit.strength, text)
        return edit(TOKENS, POOL, generator).tobytes()

    before = TOKENS.copy()
    assert edited(1, 0) == edited(1, 0)
    assert edited(1, 0) != edited(2, 0) or edited(1, 1) != edited(2, 1)
    assert edited(1, 0) != edited(1, 1)
    assert np.array_equal(TOKENS, before)


@pytest.mark.parametrize(
    "name",
    ["homoglyphs", "zero-width"],
)
def test_what_nobody_sees_is_undone_by_normalisation(name: str) -> None:
    plain = "Every reader takes these letters for the same ones, and so it should be. " * 5
    edited = text_edit(name)(plain, rng())
    assert edited != plain
    assert plain in [variant.text for variant in variants(edited)]


def test_homoglyphs_replace_one_letter_of_twenty() -> None:
    edited = text_edit("homoglyphs")("a" * 200, rng())
    assert edited.count("\u0430") == 10
    assert edited.count("a") == 190


def test_zero_width_spaces_follow_three_of_ten_blanks() -> None:
    edited = text_edit("zero-width")("a " * 100, rng())
    assert edited.count(" \u200b") == edited.count("\u200b") == 30


def test_quotes_are_turned_as_word_processors_turn_them() -> None:
    assert text_edit("smart-quotes")("\"It's ('so') -- odd...\"", rng()) == (
        "\u201cIt\u2019s (\u2018so\u2019) \u2014 odd\u2026\u201d"
    )


def test_wrapping_changes_white_space_only() -> None:
    edited = text_edit("whitespace")(PROSE, rng())
    assert edited.split() == PROSE.split()
    assert max(map(len, edited.splitlines())) <= 72
    assert edited != PROSE


def test_markdown_makes_a_heading_a_list_and_bold_words() -> None:
    edited = text_edit("markdown")("first line\n" + "word " * 39 + "word\n\nlast", rng())
    assert edited.startswith("## ")
    assert edited.count("\n- ") == 2
    assert edited.count("**") == 4  # 43 words, 5 % of them, each between two.


def test_typos_touch_one_letter_of_fifty() -> None:
    edited = text_edit("typos")("abcdefghij" * 100, rng())
    assert edited != "abcdefghij" * 100
    assert 980 <= len(edited) <= 1020


def test_shuffled_sentences_are_all_there() -> None:
    sentences = [f"Sentence {number} is here{'.!?'[number % 3]}" for number in range(12)]
    edited = text_edit("sentence-shuffle")(" ".join(sentences), rng())
    assert edited != " ".join(sentences)
    assert len(edited) == len(" ".join(sentences))
    assert all(sentence in edited for sentence in sentences)


def test_lower_case_leaves_no_capital() -> None:
    assert text_edit("lower-case")("ABC Éa", rng()) == "abc éa"


def test_tokenizing_again_leaves_the_text_alone() -> None:
    assert text_edit("tokenize-again")(PROSE, rng()) == PROSE


@given(st.text(max_size=200))
@example("")
@example("\n\n")
@example('"')
def test_any_text_can_be_edited_and_a_seed_gives_one_result(text: str) -> None:
    for edit in TEXT_EDITS:
        results = {edit(text, edit_rng(1, edit.name, edit.strength, 0)) for _ in range(2)}
        assert len(results) == 1


@pytest.mark.parametrize("length", [0, 1, 2])
def test_the_shortest_texts_can_be_edited(length: int) -> None:
    sizes = {e.name: len(e(TOKENS[:length], POOL, rng())) for e in TOKEN_EDITS if e.strength == 0.5}
    half = round(length / 2)
    assert sizes == {
        "substitute": length,
        "delete": length - half,
        "insert": length + half,
        "crop": length - half,
    }
