"""Roots over manifests: their definitions, what they bind, and independent ways to them."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.signing.manifest import Resource, dir_hash, names_root, oms_root

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
RESOURCES = st.builds(
    Resource, name=st.text(), algorithm=st.sampled_from(["sha256", "blake3"]), digest=DIGESTS
)
ROWS = st.lists(RESOURCES, min_size=1, max_size=9, unique_by=lambda row: row.name)
A = Resource("a", "sha256", "aa" * 32)
B = Resource("b", "sha256", "bb" * 32)


def mth(entries: list[bytes]) -> bytes:
    """Return RFC 6962's tree hash by its recursive definition."""
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


@settings(deadline=None)
@given(ROWS)
def test_the_names_root_is_the_rfc6962_root_over_rfc8785_rows(rows: list[Resource]) -> None:
    entries = [rfc8785.dumps(list(row)) for row in sorted(rows, key=lambda row: row.name)]
    assert names_root(rows) == mth(entries).hex()


@settings(deadline=None)
@given(ROWS)
def test_the_names_root_does_not_depend_on_the_order(rows: list[Resource]) -> None:
    shuffled = sorted(rows, key=lambda row: row.digest)
    assert names_root(shuffled) == names_root(rows)


def test_the_names_root_binds_every_part_of_a_row_where_the_oms_root_does_not() -> None:
    swapped = [A._replace(name="b"), B._replace(name="a")]
    renamed = [A, B._replace(name="c")]
    relabelled = [A, B._replace(algorithm="blake3")]
    for other in (swapped, renamed, relabelled):
        assert oms_root(other) == oms_root([A, B])
        assert names_root(other) != names_root([A, B])
    assert names_root([A]) != names_root([A, B])
    assert names_root([A, B._replace(digest="bc" * 32)]) != names_root([A, B])


def test_the_oms_root_is_over_raw_digests_in_listed_order() -> None:
    assert oms_root([A, B]) == hashlib.sha256(b"\xaa" * 32 + b"\xbb" * 32).hexdigest()
    assert oms_root([B, A]) != oms_root([A, B])


def test_dir_hash_is_what_coreutils_compute(tmp_path: Path) -> None:
    names = ["b", "a", "a-b", "Z", "ü", "sub/x"]
    (tmp_path / "sub").mkdir()
    for name in names:
        (tmp_path / name).write_text(name)
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    script = 'sha256sum "$@" | LC_ALL=C sort -k2 | sha256sum'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *names], cwd=tmp_path, capture_output=True, check=True
    )
    files = [(name, hashlib.sha256(name.encode()).hexdigest()) for name in names]
    assert dir_hash(files) == done.stdout.decode().split()[0]


def test_dir_hash_has_no_room_for_a_line_feed_and_none_for_other_orders() -> None:
    assert dir_hash([("a\nb", A.digest)]) is None
    assert dir_hash([("a\rb", A.digest)]) is not None
    assert dir_hash([("a", A.digest), ("b", B.digest)]) == dir_hash(
        [("b", B.digest), ("a", A.digest)]
    )
    assert dir_hash([("a", B.digest), ("b", A.digest)]) != dir_hash(
        [("a", A.digest), ("b", B.digest)]
    )
