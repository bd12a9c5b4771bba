"""The chain of texts that a text may have been: the specification's vectors, and properties."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.watermark import normalise
from countermark.watermark.errors import MalformedInputError
from countermark.watermark.look_alikes import LOOK_ALIKES, fold_letters
from countermark.watermark.normalise import STEPS, Variant, variants

FOLDER = Path(__file__).parents[2] / "specs/watermark-normalisation-v1/vectors"
VECTORS = sorted(FOLDER.glob("text-*.json"))

# Dense in what the steps act on: markup, blanks, accents, look-alikes of every group.
HOSTILE = st.text(
    st.sampled_from(
        "ab*_`~#>-+=1.)( []!]\n\n\t\r\v\u3000 <"
        "\u0301\u0338\u0344\u05b0\u0430\u0435\u0436\u03bf\u0394\u13aa\u0585oeаzЯ"
        "\u200b\ufe0f\u00ad\u201c\u2014\u2026\u2022\u00a0\ufb01\uff21\U0001d41a\u00e9\ud800"
    ),
    max_size=40,
)
MARKDOWN = st.lists(
    st.sampled_from(
        [
            "[",
            "](u)",
            "![",
            "**",
            "*",
            "`",
            "```",
            "~~~",
            "_",
            "# ",
            "- ",
            "> ",
            "1. ",
            "\n",
            "a",
            " ",
        ]
    ),
    max_size=14,
).map("".join)


def final(text: str) -> str:
    return variants(text)[-1].text


def names(text: str) -> list[str]:
    return [variant.name for variant in variants(text)]


def test_vectors_exist() -> None:
    assert len(VECTORS) >= 40


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_normalisation_v1_vector(path: Path) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    expected = tuple(Variant(name, text) for name, text in vector["variants"])
    assert variants(vector["text"]) == expected, vector["why"]


def test_the_table_of_look_alikes_is_the_one_the_specification_names() -> None:
    rows = json.loads((FOLDER / "look-alikes.json").read_text(encoding="utf-8"))["rows"]
    assert rows == {
        latin: {"cyrillic": list(cyrillic), "greek": list(greek), "others": list(others)}
        for latin, (cyrillic, greek, others) in LOOK_ALIKES.items()
    }


def test_no_letter_looks_like_two_latin_letters() -> None:
    every = [letter for rows in LOOK_ALIKES.values() for letter in "".join(rows)]
    assert len(every) == len(set(every))
    assert all(len(latin) == 1 and latin.isascii() for latin in LOOK_ALIKES)


@pytest.mark.parametrize("latin", sorted(LOOK_ALIKES))
def test_every_look_alike_is_folded_inside_a_latin_word(latin: str) -> None:
    for letter in "".join(LOOK_ALIKES[latin]):
        assert fold_letters(f"Frb{letter}mtf") == f"Frb{latin}mtf"


@given(st.text())
def test_any_text_gives_one_to_six_different_texts_in_the_order_of_the_steps(text: str) -> None:
    found = variants(text)
    assert found[0] == Variant("as-is", text)
    assert 1 <= len(found) <= len(STEPS) == 6
    assert len({variant.text for variant in found}) == len(found)
    places = [STEPS.index(variant.name) for variant in found]
    assert places == sorted(set(places))


@settings(max_examples=400)
@given(st.one_of(HOSTILE, MARKDOWN, st.text()))
@example("x\u0344" + "\u0344" * 40)
@example("\uff21\u0301\u03bf\u0436")
@example("* \n- a\n-\n[a\nb](c)\n1.\n2. x")
def test_what_a_step_gave_no_step_up_to_it_changes(text: str) -> None:
    for variant in variants(text):
        again = [v.name for v in variants(variant.text)[1:]]
        assert all(STEPS.index(name) > STEPS.index(variant.name) for name in again)


@given(st.one_of(HOSTILE, st.text()))
def test_every_variant_after_visible_is_in_nfc_and_shows_all_it_holds(text: str) -> None:
    last = final(text)
    assert unicodedata.is_normalized("NFC", last)
    assert not set(last) & set("\u200b\u200d\ufeff\u00ad\ufe0f\r\x00\u2066")


@given(st.text(st.characters(max_codepoint=0x24F)), st.integers(0, 2**32 - 1))
def test_zero_width_characters_anywhere_leave_a_text_that_is_among_the_variants(
    text: str, seed: int
) -> None:
    hidden = "".join(c + "\u200b" * (seed >> i % 32 & 1) for i, c in enumerate(text))
    assert final(hidden) == final(text)


@given(st.lists(st.sampled_from("the quick brown fox jumps over a lazy dog".split()), min_size=4))
def test_homoglyphs_in_an_english_text_are_undone(words: list[str]) -> None:
    text = "Marked: " + " ".join(words)
    table = {ord(latin): rows[0][0] for latin, rows in LOOK_ALIKES.items() if rows[0]}
    attacked = " ".join(w.translate(table) if i % 3 == 1 else w for i, w in enumerate(text.split()))
    assert final(attacked) == text


def test_every_blank_that_python_knows_is_one_for_reflowing() -> None:
    for blank in filter(str.isspace, map(chr, range(0x110000))):
        assert final(f"a{blank}{blank}b") in {"a b", "a\n\nb"}
        assert final(f"a{blank}b") == "a b"


@pytest.mark.parametrize(
    "text",
    [
        "Съешь же ещё этих мягких французских булок, да выпей чаю.",
        "Ο καιρός είναι καλός, και η θάλασσα ήρεμη.",
        "Це речення українською: їжак, ґанок, об'єкт.",
        "这是一个中文句子，包含标点：“引号”除外。".replace("“", "「").replace("”", "」"),
        "هذا نص عربي بسيط.",
        "The Russian word «мир» means peace; the Greek λόγος means word.",
    ],
)
def test_real_words_of_other_scripts_are_not_folded(text: str) -> None:
    assert names(text) == ["as-is"]


def test_a_text_at_the_limit_is_taken_and_one_character_more_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(normalise, "MAX_TEXT_CHARACTERS", 1000)
    assert names("a" * 1000) == ["as-is"]
    with pytest.raises(MalformedInputError) as caught:
        variants("a" * 1001)
    assert caught.value.code == "malformed-input"


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u0301\u0323" * 150_000,
        "[" * 300_000,
        "[](a" * 80_000,
        "[" * 50_000 + "a" + "](b)" * 50_000,
        "*x" * 100_000,
        "\n " * 150_000,
        ">" * 300_000,
        "- " * 150_000,
        "`" * 300_000,
        "\n```a" * 60_000,
        "1" * 300_000,
        "\u0430b" * 100_000,
        "\u0430b " * 50_000,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_text_made_to_be_slow_is_finished(text: str) -> None:
    # Anything that took time squared would be at this for minutes.
    assert len(variants(text)) <= 6
