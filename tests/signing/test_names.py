"""File names: which may be joined to a folder, and how they are shown."""

import unicodedata
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.signing.errors import UnsafeNameError
from countermark.signing.names import (
    MAX_DEPTH,
    MAX_NAME_BYTES,
    check_name,
    check_names,
    is_below,
    printable,
)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "model.safetensors",
        "a/b/c.txt",
        ".gitignore",
        "...",
        "a..b/..c",
        "-rf",
        "a b\nc",
        "ünï/模型",
        "a:0:5",
        ".:x",
        "CC:/x",
        "con",
        "~",
        "x/C:/y",
    ],
)
def test_a_name_below_the_model_is_returned_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "0 characters"),
        ("/a", "absolute"),
        ("//a", "absolute"),
        ("C:", "absolute"),
        ("c:/a", "absolute"),
        ("a\\b", "backslash"),
        ("\\\\server\\share", "backslash"),
        ("a\x00", "NUL"),
        (".", "part"),
        ("..", "part"),
        ("../a", "part"),
        ("a/..", "part"),
        ("a/../b", "part"),
        ("./a", "part"),
        ("a/./b", "part"),
        ("a//b", "part"),
        ("a/", "part"),
    ],
)
def test_a_name_that_could_leave_the_model_is_refused(name: str, reason: str) -> None:
    with pytest.raises(UnsafeNameError, match=reason) as caught:
        check_name(name)
    assert caught.value.code == "unsafe-name"


@pytest.mark.parametrize("letter", ["n", "é", "😀", "\ud800"])
def test_the_length_limit_is_in_bytes_of_utf8(letter: str) -> None:
    size = len(letter.encode("utf-8", "surrogatepass"))
    fits = letter * (MAX_NAME_BYTES // size)
    assert check_name(fits) == fits
    with pytest.raises(UnsafeNameError):
        check_name(fits + letter)


@pytest.mark.parametrize("part", ["a", "é", "long-enough-to-be-slow"])
def test_the_depth_limit_holds_at_n_and_refuses_one_more(part: str) -> None:
    deepest = "/".join([part] * MAX_DEPTH)
    assert check_name(deepest) == deepest
    with pytest.raises(UnsafeNameError, match=f"{MAX_DEPTH + 1} parts"):
        check_name(f"{deepest}/{part}")


@settings(deadline=None)
@given(st.text(st.sampled_from("ab./\\:\x00é-"), max_size=12) | st.text())
def test_a_name_that_passes_stays_below_any_folder(name: str) -> None:
    try:
        check_name(name)
    except UnsafeNameError:
        return
    parts = name.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert "\\" not in name
    assert "\x00" not in name


def test_below_means_the_folder_itself_or_inside_and_not_a_common_prefix() -> None:
    assert is_below("a", "a")
    assert is_below("a/b", "a")
    assert not is_below("ab", "a")
    assert not is_below("a", "a/b")


def test_every_control_format_and_separator_character_that_nobody_sees_is_escaped() -> None:
    visible = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2}
    visible |= {0x110BD, 0x110CD, *range(0x13430, 0x13440)}  # Signs that are drawn.
    for point in range(0x110000):
        char = chr(point)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and point not in visible:
            assert printable(char).isascii(), hex(point)


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("\x1b", r"\x1b"),
        ("\n", r"\x0a"),
        ("\x7f", r"\x7f"),
        ("\x9b", r"\x9b"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\u200b", r"\u200b"),
        ("\u200d", r"\u200d"),
        ("\u2028", r"\u2028"),
        ("\u3164", r"\u3164"),
        ("\ufe0f", r"\ufe0f"),
        ("\ufeff", r"\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("\U000e0100", r"\U000e0100"),
    ],
)
def test_a_character_that_could_deceive_is_shown_as_its_number(char: str, shown: str) -> None:
    assert printable(f"a{char}b") == f"a{shown}b"


@pytest.mark.parametrize("name", ["model-00001-of-2.safetensors", "ünï 模型 😀", "a\\b", "'\"$(x)"])
def test_what_everybody_sees_is_shown_as_it_is(name: str) -> None:
    assert printable(name) == name


@settings(deadline=None)
@given(st.text())
def test_what_is_shown_can_always_be_encoded_and_is_one_line(name: str) -> None:
    assert len(printable(name).encode().splitlines()) <= 1


PARTS = st.sampled_from(
    ["a", "", ".", "..", "b.c", "C:", "\\", "\x00", "ü", "x" * 70, "\ud800", ":"]
)
NAMES = st.lists(st.lists(PARTS, max_size=5).map("/".join), max_size=5)


@given(NAMES)
@example([])
@example(["a", ""])
@example(["a/" * 64 + "a"])
@example(["a\x00", "b"])
def test_names_checked_together_are_refused_exactly_if_one_is_refused_alone(
    names: list[str],
) -> None:
    def refused(check: Callable[[], object]) -> str | None:
        try:
            check()
        except UnsafeNameError as e:
            return str(e)
        return None

    alone = None
    for name in names:
        alone = alone or refused(partial(check_name, name))
    assert refused(lambda: check_names(names)) == alone
