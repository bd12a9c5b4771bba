"""Statements, read: any bytes give a manifest or our error, and roots bind what they say.

One fault each is in specs/oms-extension-v1/vectors; here are hostile bytes and neighbours.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.signing.errors import MalformedError, MalformedStatementError, UnsafeNameError
from countermark.signing.manifest import Manifest, Resource, names_root, oms_root
from countermark.signing.statement import NAMES_ROOT_KEY
from countermark.signing.statement_reader import parse_statement

VECTORS = Path(__file__).parents[2] / "specs/oms-extension-v1/vectors"
DIGEST = "ab" * 32
Document = dict[str, Any]


def vector(name: str) -> Document:
    document: Document = json.loads(json.loads((VECTORS / f"{name}.json").read_text())["statement"])
    return document


SEEDS = [vector(f"statement-ok-{name}") for name in ("folder", "shards-python", "legacy")]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**63)
    | st.sampled_from(["", ".", "a", "../a", "a:0:10", "sha256", "shards", DIGEST, 10.0, 0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abv"), inner),
    max_leaves=6,
)


def places(value: object) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a document."""
    found: list[tuple[Any, Any]] = []
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, inner in pairs:
        found += [(value, key), *places(inner)]
    return found


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    document = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(document) or [(document, "x")]))
        if draw(st.booleans()):
            container[key] = draw(JSON)
        elif isinstance(container, list) and key < len(container):
            container.append(copy.deepcopy(container[key]))
        elif key in container:
            del container[key]
    return json.dumps(document).encode()


@settings(deadline=None)
@given(st.binary() | mutants())
@example(b"{}")
@example(b"[]")
@example(b'{"_type":[]}')
@example(b'{"_type":"https://in-toto.io/Statement/v1","predicateType":{}}')
def test_any_bytes_give_a_manifest_or_our_error(data: bytes) -> None:
    try:
        manifest = parse_statement(data)
    except MalformedError:
        return
    assert isinstance(manifest, Manifest)
    assert manifest.files
    assert len({file.path for file in manifest.files}) == len(manifest.files)
    assert not any(".." in file.path.split("/") for file in manifest.files)


def sealed(rows: list[Document], **settings_: object) -> bytes:
    """Return a statement over rows whose OMS root is right."""
    listed = [Resource(row["name"], row["algorithm"], row["digest"]) for row in rows]
    document = vector("statement-ok-foreign")
    document["subject"][0]["digest"] = {"sha256": oms_root(listed)}
    document["predicate"]["resources"] = rows
    document["predicate"]["serialization"] |= settings_
    return json.dumps(document).encode()


def row(name: str, **more: object) -> Document:
    return {"name": name, "algorithm": "sha256", "digest": DIGEST} | more


def test_a_renamed_file_is_noticed_by_the_names_root_and_not_by_the_oms_root() -> None:
    document = vector("statement-ok-folder")
    del document["subject"][0]["digest"]["dirHash"]
    document["predicate"]["resources"][0]["name"] = "evil.py"
    with pytest.raises(MalformedStatementError, match=NAMES_ROOT_KEY):
        parse_statement(json.dumps(document).encode())
    del document["subject"][0]["digest"][NAMES_ROOT_KEY]
    assert parse_statement(json.dumps(document).encode()).files[0].path == "evil.py"


def test_dir_hash_of_another_method_is_not_ours_to_check() -> None:
    for name, differs in (("statement-ok-foreign", True), ("statement-ok-blake3", False)):
        document = vector(name)
        document["subject"][0]["digest"]["dirHash"] = "0" * 64
        data = json.dumps(document).encode()
        if differs:
            with pytest.raises(MalformedStatementError, match="dirHash"):
                parse_statement(data)
        else:
            assert parse_statement(data).hash_type == "blake3"


def test_a_file_called_like_a_single_file_with_a_range_stays_a_file() -> None:
    found = parse_statement(sealed([row(".:x"), row("b")]))
    assert (found.single_file, found.files[0].path) == (False, ".:x")


@pytest.mark.parametrize(
    ("names", "fine"),
    [
        (["a", "b"], True),
        (["a", "a"], False),
        (["a", "a/b"], False),
        (["a/b", "a/b/c/d"], False),
        (["a/b", "a/bc"], True),
        (["a", "ab/c"], True),
        ([".", "a"], False),
        (["a", "A"], True),
    ],
)
def test_names_mean_one_file_each(names: list[str], *, fine: bool) -> None:
    data = sealed([row(name) for name in names])
    if fine:
        assert [file.path for file in parse_statement(data).files] == names
        return
    with pytest.raises(MalformedStatementError) as caught:
        parse_statement(data)
    assert caught.value.code == "malformed-statement"


def test_the_bound_name_of_a_single_file_is_its_path_and_may_not_leave() -> None:
    bound = parse_statement(sealed([row(".", countermark={"v": 1, "file": "w.bin"})]))
    assert (bound.files[0].path, bound.single_file) == ("w.bin", True)
    with pytest.raises(UnsafeNameError):
        parse_statement(sealed([row(".", countermark={"v": 1, "file": ".."})]))
    with pytest.raises(MalformedStatementError):
        parse_statement(sealed([row("a", countermark={"v": 1, "file": "a"})]))


def test_a_null_extension_is_refused_and_an_absent_one_is_not() -> None:
    assert parse_statement(sealed([row("a")])).files[0].size_bytes is None
    with pytest.raises(MalformedStatementError):
        parse_statement(sealed([row("a", countermark=None)]))


@pytest.mark.parametrize("size", [1, 10.0, 2**62, 1e18])
def test_a_shard_size_is_a_whole_positive_number(size: float) -> None:
    found = parse_statement(sealed([row("a:0:5")], method="shards", shard_size=size))
    assert found.shard_bytes == size
    assert isinstance(found.shard_bytes, int)


@pytest.mark.parametrize("size", [0, -1, 0.5, 1e300, 2**62 + 1, True, "1", None, [1]])
def test_another_shard_size_is_refused(size: object) -> None:
    with pytest.raises(MalformedStatementError, match="shard_size"):
        parse_statement(sealed([row("a:0:5")], method="shards", shard_size=size))


@pytest.mark.parametrize("digits", [18, 19])
def test_a_shard_ends_at_a_number_of_eighteen_digits_at_most(digits: int) -> None:
    data = sealed([row(f"a:0:{'9' * digits}")], method="shards", shard_size=1)
    if digits == 18:
        assert parse_statement(data).files[0].size_bytes == int("9" * 18)
        return
    with pytest.raises(MalformedStatementError):
        parse_statement(data)


def test_digests_are_read_in_capitals_and_kept_in_small_letters() -> None:
    found = parse_statement(sealed([row("a", digest=DIGEST.upper())]))
    assert found.files[0].digest == DIGEST
    rows = [Resource("a", "sha256", DIGEST)]
    document = json.loads(sealed([row("a", digest=DIGEST.upper())]))
    document["subject"][0]["digest"][NAMES_ROOT_KEY] = names_root(rows)
    assert parse_statement(json.dumps(document).encode()) == found


def test_names_in_messages_are_escaped_and_cut() -> None:
    with pytest.raises(MalformedStatementError) as caught:
        parse_statement(sealed([row("\x1b[2J" + "x" * 900, algorithm="md5")]))
    assert "\\x1b[2J" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "break_it",
    [
        lambda d: d.__setitem__("subject", [{"name": "a"}]),
        lambda d: d.__setitem__("subject", [{"name": 1, "digest": {"sha256": DIGEST}}]),
        lambda d: d.__setitem__("subject", [{"name": "a", "digest": {"sha256": DIGEST[2:]}}]),
        lambda d: d.__setitem__("subject", []),
        lambda d: d["subject"].append(d["subject"][0]),
        lambda d: d["subject"].append({"name": ".", "digest": {"sha256": DIGEST}}),
    ],
)
def test_a_statement_of_the_old_form_is_held_to_the_same_rules(
    break_it: Callable[[Document], None],
) -> None:
    document = vector("statement-ok-legacy")
    assert parse_statement(json.dumps(document).encode()).legacy
    break_it(document)
    with pytest.raises(MalformedStatementError):
        parse_statement(json.dumps(document).encode())
