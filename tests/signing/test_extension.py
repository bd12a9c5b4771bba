"""Our key of a resource: any JSON value gives an extension, nothing, or our error."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.signing.errors import MalformedError, MalformedStatementError
from countermark.signing.extension import Extension, encode_extension, parse_extension
from countermark.signing.manifest import FileEntry, TreeRoots
from countermark.signing.strict_json import dumps, loads
from countermark.signing.tensors import TensorRoot

ROOT = "ab" * 32
TENSOR = TensorRoot(name="w", dtype="F32", shape=(2, 3), size_bytes=24, root=bytes(32))
TREES = TreeRoots(
    block_root=ROOT, blocks=bytes(64), segments=(9, 24), tensor_root=ROOT, tensors=(TENSOR,)
)
KEYS = ["v", "size", "file", "empty", "blocks", "tensors", "root", "leaves", "segments"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
SCALARS |= st.sampled_from([1, 2, ROOT, "w", "F32", "AAAA", 2**62, 2**62 + 1])
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=25,
)
NEARLY = st.fixed_dictionaries({"v": st.just(1)}, optional=dict.fromkeys(KEYS[1:6], ANY_JSON))


@settings(deadline=None)
@given(ANY_JSON | NEARLY)
@example({"v": 1, "blocks": {"root": ROOT, "leaves": "é", "segments": []}})
@example({"v": 1, "empty": [["a"], "['a']"]})
@example({"v": 1, "tensors": {"root": ROOT}})
@example({"v": 10**400})
def test_any_json_value_gives_an_extension_nothing_or_our_error(value: object) -> None:
    try:
        found = parse_extension(value)
    except MalformedError:
        return
    if found is None:
        assert isinstance(value, dict)
        assert value["v"] != 1


@pytest.mark.parametrize(
    "entry",
    [
        FileEntry(path="w", digest=""),
        FileEntry(path="w", digest="", size_bytes=0),
        FileEntry(path="w", digest="", size_bytes=2**62),
        FileEntry(path="w", digest="", trees=TreeRoots(block_root=ROOT)),
        FileEntry(path="w", digest="", trees=TREES),
        FileEntry(path="w", digest="", trees=TREES._replace(blocks=None, segments=())),
        FileEntry(path="w", digest="", trees=TREES._replace(tensor_root=None, tensors=None)),
        FileEntry(path="w", digest="", trees=TREES._replace(tensors=None)),
        FileEntry(path="w", digest="", trees=TREES._replace(tensors=())),
    ],
)
@pytest.mark.parametrize("bind_name", [True, False])
@pytest.mark.parametrize("empty", [(), ("a", "b/c")])
def test_what_is_encoded_is_parsed_again(
    entry: FileEntry, empty: tuple[str, ...], *, bind_name: bool
) -> None:
    made = dumps(encode_extension(entry, bind_name=bind_name, empty=empty[::-1]))
    assert parse_extension(loads(made, what="it", max_bytes=9999)) == Extension(
        size_bytes=entry.size_bytes,
        file="w" if bind_name else None,
        empty=empty,
        trees=entry.trees,
    )


def test_the_form_is_the_one_the_specification_shows() -> None:
    made = encode_extension(
        FileEntry(path="w", digest="", size_bytes=33, trees=TREES), bind_name=False
    )
    assert made == {
        "v": 1,
        "size": 33,
        "blocks": {"root": ROOT, "leaves": "A" * 86 + "==", "segments": [9, 24]},
        "tensors": {"root": ROOT, "leaves": [["w", "F32", [2, 3], "0" * 64]]},
    }


@pytest.mark.parametrize("version", [0, 2, -1, 10**19])
def test_another_version_is_ignored_whatever_else_it_says(version: int) -> None:
    assert parse_extension({"v": version, "size": "x", "more": None}) is None


@pytest.mark.parametrize("version", [True, False, 1.0, "1", None, [1]])
def test_a_version_that_is_no_integer_is_refused(version: object) -> None:
    with pytest.raises(MalformedStatementError) as caught:
        parse_extension({"v": version})
    assert caught.value.code == "malformed-statement"


@pytest.mark.parametrize("extra", [{"x": 1}, {"sizes": 1}, {"V": 1}, {"size": None}])
def test_an_unknown_or_null_key_of_version_1_is_refused(extra: dict[str, Any]) -> None:
    assert parse_extension({"v": 1}) == Extension()
    with pytest.raises(MalformedStatementError):
        parse_extension({"v": 1} | extra)


@pytest.mark.parametrize("name", ["a\\b", "", ".", "..", "a\x00", "a/b", "C:"])
def test_a_bound_name_is_a_plain_safe_name(name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_extension({"v": 1, "file": name})
    assert caught.value.code in ("malformed-statement", "unsafe-name")
