"""Green lists of transformers and lm-watermarking, from vectors that no code of ours made."""

import json
import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark import Error
from countermark.watermark.documents import Documents
from countermark.watermark.draws import distinct_draws
from countermark.watermark.errors import (
    MalformedDescriptorError,
    MalformedInputError,
    MalformedTableError,
    SchemeError,
)
from countermark.watermark.kgw import KgwDetector
from countermark.watermark.kgw_config import from_lm_watermarking, from_transformers_config
from countermark.watermark.kgw_file import (
    HEADER_BYTES,
    MAX_TABLE_BYTES,
    open_table,
    table_bytes,
    write_table,
)
from countermark.watermark.kgw_kernels import green_flags, reciprocals, shuffle
from countermark.watermark.kgw_seeds import multiple_seeds
from countermark.watermark.kgw_table import GreenTable, LeftHash
from countermark.watermark.units import find_units

VECTORS = Path(__file__).parents[2] / "specs/rosetta-kgw-v1/vectors"
GREEN = sorted(VECTORS.glob("green-*.json"))
CONFIGS = sorted(VECTORS.glob("config-*.json"))
LEFT, SELF = "transformers-kgw-lefthash", "transformers-kgw-selfhash"
LISTS = LeftHash(vocabulary=70, green=17, key=97)


def read(path: Path) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads(path.read_text())
    return vector


def detector(vector: dict[str, Any], table_bytes: int) -> KgwDetector:
    return KgwDetector(
        scheme=vector["scheme"],
        vocabulary=vector["vocabulary"],
        ratio=vector["ratio"],
        key=vector["key"],
        context_width=vector["context_width"],
        table_bytes=table_bytes,
    )


def one_document(tokens: list[int], vocabulary: int) -> Documents:
    return Documents.of([tokens], vocabulary=vocabulary)


def sent(scheme: KgwDetector) -> KgwDetector:
    """Return what another process gets."""
    copy: KgwDetector = pickle.loads(pickle.dumps(scheme))  # noqa: S301
    return copy


def zipf(count: int, vocabulary: int) -> Documents:
    return one_document(list(np.random.default_rng(5).zipf(1.3, count) % vocabulary), vocabulary)


# Vectors.


def test_vectors_exist() -> None:
    assert len(GREEN) >= 30
    assert len(CONFIGS) >= 20


@pytest.mark.parametrize("table_bytes", [0, 1 << 20])
@pytest.mark.parametrize("path", GREEN, ids=lambda p: p.stem)
def test_values_are_those_of_the_vector_with_and_without_memory(
    path: Path, table_bytes: int
) -> None:
    vector = read(path)
    scheme = detector(vector, table_bytes)
    documents = one_document(vector["tokens"], vector["vocabulary"])
    positions = np.arange(scheme.width, len(documents.tokens), dtype=np.int64)
    assert scheme.width == vector["width"]
    for _ in range(2):  # What was drawn the first time is remembered the second.
        values = scheme.values(documents, positions)
        assert "".join("01"[int(v)] for v in values) == vector["green"], vector["why"]
    seeds = scheme.identities(documents, positions) >> np.uint64(21)
    assert seeds.tolist() == vector["seeds_low"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_configuration_is_read_as_the_vector_says(path: Path) -> None:
    vector = read(path)
    data = vector["config"].encode()
    if vector["expect"] != "ok":
        with pytest.raises(Error) as caught:
            from_transformers_config(data, vocabulary=1000)
        assert caught.value.code == vector["expect"], vector["why"]
        return
    scheme = from_transformers_config(data, vocabulary=1000)
    assert scheme == KgwDetector(vocabulary=1000, **vector["detector"])


def test_a_table_file_is_byte_for_byte_that_of_the_vector(tmp_path: Path) -> None:
    vector = read(VECTORS / "table.json")
    path = tmp_path / "table"
    write_table(path, LISTS)
    data = path.read_bytes()
    fields = bytes.fromhex(vector["fields_hex"])
    assert data == fields.ljust(HEADER_BYTES, b"\0") + bytes.fromhex(vector["rows_hex"])
    assert path.stat().st_mode & 0o777 == 0o600


# Parameters.


@pytest.mark.parametrize(
    "change",
    [
        {"scheme": "transformers-kgw"},
        {"vocabulary": 1},
        {"vocabulary": (1 << 21) + 1},
        {"ratio": 0.0},
        {"ratio": 1.0},
        {"ratio": float("nan")},
        {"ratio": -0.25},
        {"ratio": 0.0009},  # Not one id of a thousand.
        {"key": 1 << 63},
        {"key": -(1 << 63) - 1},
        {"context_width": 0},
        {"context_width": 65},
        {"scheme": LEFT, "context_width": 2},
        {"table_bytes": -1},
    ],
    ids=str,
)
def test_a_detector_refuses_parameters_out_of_range(change: dict[str, Any]) -> None:
    KgwDetector(scheme=SELF, vocabulary=1000)
    with pytest.raises(SchemeError) as caught:
        KgwDetector(**{"scheme": SELF, "vocabulary": 1000, **change})
    assert caught.value.code == "scheme-parameters"


@pytest.mark.parametrize("ratio", [1 - 2**-53, 0.999999999999])
def test_a_share_that_rounds_up_to_every_id_or_nearly_keeps_one_red(ratio: float) -> None:
    try:
        scheme = KgwDetector(scheme=LEFT, vocabulary=3, ratio=ratio)
    except SchemeError:
        return
    assert scheme.green == 2


@pytest.mark.parametrize("scheme", [LEFT, SELF])
def test_an_id_beyond_the_vocabulary_is_refused_wherever_it_stands(scheme: str) -> None:
    detects = KgwDetector(scheme=scheme, vocabulary=100, context_width=1)
    positions = np.array([1], np.int64)
    assert detects.values(one_document([99, 99], 200), positions).shape == (1,)
    for tokens in ([100, 5], [5, 100]):
        with pytest.raises(MalformedInputError) as caught:
            detects.values(one_document(tokens, 200), positions)
        assert caught.value.code == "malformed-input"


def test_a_repr_shows_no_key() -> None:
    assert "424242" not in repr(KgwDetector(scheme=LEFT, vocabulary=100, key=424242))


def test_no_positions_have_no_values() -> None:
    none = np.zeros(0, np.int64)
    for scheme in (LEFT, SELF):
        assert KgwDetector(scheme=scheme, vocabulary=99).values(one_document([], 9), none).size == 0


@pytest.mark.parametrize(
    ("text", "scheme", "width", "key"),
    [
        ("simple_1", "lm-watermarking-simple-1", 1, 15485863),
        ("lefthash", "lm-watermarking-simple-1", 1, 15485863),
        ("ff-additive_prf-1-False-12", "lm-watermarking-simple-1", 1, 12),
        ("selfhash", "lm-watermarking-selfhash", 4, 15485863),
        ("algorithm-3", "lm-watermarking-selfhash", 4, 15485863),
        ("ff-anchored_minhash_prf-4-True-15485863", "lm-watermarking-selfhash", 4, 15485863),
        ("ff-anchored_minhash_prf-7-True", "lm-watermarking-selfhash", 7, 15485863),
    ],
)
def test_lm_watermarking_names_are_read(text: str, scheme: str, width: int, key: int) -> None:
    expected = KgwDetector(scheme=scheme, vocabulary=99, key=key, context_width=width)
    assert from_lm_watermarking(text, vocabulary=99) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "minhash",
        "skipgram",
        "simple_1 ",
        "ff-additive_prf-2-False",
        "ff-additive_prf-1-True",
        "ff-anchored_minhash_prf-4-False",
        "ff-anchored_minhash_prf-0-True",
        "ff-anchored_minhash_prf-4-True-9223372036854775808",
        "ff-anchored_minhash_prf-\u0664-True",
    ],
)
def test_lm_watermarking_names_that_mean_something_else_are_refused(text: str) -> None:
    with pytest.raises(SchemeError) as caught:
        from_lm_watermarking(text, vocabulary=99)
    assert caught.value.code == "scheme-parameters"


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@example(b'{"hashing_key": 99999999999999999999}')
@example(b'{"greenlist_ratio": 1e-320}')
def test_any_bytes_are_a_configuration_or_our_own_error(data: bytes) -> None:
    try:
        from_transformers_config(data, vocabulary=1000, table_bytes=0)
    except (MalformedDescriptorError, SchemeError):
        pass


# Kernels, against numpy's generator and a shuffle that hides nothing.


def plain_shuffle(size: int, seed: int) -> list[int]:
    words = np.random.RandomState(seed).randint(0, 1 << 32, size, np.uint64).tolist()
    ids = list(range(size))
    for i in range(size - 1):
        other = i + words[i] % (size - i)
        ids[i], ids[other] = ids[other], ids[i]
    return ids


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 3000), st.integers(0, (1 << 32) - 1), st.data())
def test_flags_and_shuffles_are_those_of_a_plain_shuffle(
    size: int, seed: int, data: st.DataObject
) -> None:
    green = data.draw(st.integers(1, size - 1))
    ids = plain_shuffle(size, seed)
    seeds = np.full(size, seed, np.uint32)
    every = np.arange(size, dtype=np.uint32)
    flags = green_flags(seeds, every, size, green, reciprocals(size, green))
    assert set(np.flatnonzero(flags).tolist()) == set(ids[:green])
    out = np.empty(size, np.uint32)
    work = np.empty((3, 624), np.uint32)
    shuffle(np.uint32(seed), size - 1, reciprocals(size, size - 1), work, out)
    assert out.tolist() == ids


@settings(deadline=None)
@given(st.integers(-(1 << 63), (1 << 63) - 1), st.lists(st.integers(0, (1 << 21) - 1)))
@example((1 << 63) - 1, [(1 << 21) - 1])
@example(-(1 << 63), [2, 1, 0])
@example(((1 << 64) - 1) // 65535, [65535, 131070])
@example(12657632179621535, [2097143])  # Carries out of 64 bits.
@example(-12657632179621535, [2097143])
def test_seeds_are_those_of_unbounded_integers(key: int, tokens: list[int]) -> None:
    got = multiple_seeds(np.array(tokens, np.uint32), np.uint64(abs(key)), key < 0)
    assert got.tolist() == [key * t % ((1 << 64) - 1) & 0xFFFFFFFF for t in tokens]


@settings(deadline=None)
@given(st.integers(2, 1 << 21), st.integers(0, (1 << 32) - 1), st.data())
def test_a_reciprocal_gives_the_quotient_or_one_less(
    size: int, word: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, min(size - 2, 5000)))
    inverse = int(reciprocals(size, min(size - 1, 5001))[index])
    assert word // (size - index) - (word * inverse >> 32) in (0, 1)


# Tables.


@pytest.mark.parametrize("rows", [1, 2, 7, 63, 200])
def test_a_table_with_too_few_rows_says_the_same_as_none(rows: int) -> None:
    lists = LeftHash(vocabulary=200, green=50, key=15485863)
    documents = zipf(3000, 200)
    positions = np.arange(1, 3000, dtype=np.int64)
    expected = KgwDetector(scheme=LEFT, vocabulary=200, table_bytes=0).values(documents, positions)
    table = GreenTable(lists, max_bytes=rows * lists.words * 8)
    for _ in range(3):
        assert np.array_equal(table.flags(documents, positions), expected)
    assert len(table) == min(rows, len(np.unique(documents.tokens[:-1])))


def test_a_table_keeps_the_contexts_that_were_used_last() -> None:
    lists = LeftHash(vocabulary=200, green=50, key=15485863)
    table = GreenTable(lists, max_bytes=2 * lists.words * 8)
    for context in (1, 2, 1, 3):  # 3 comes for 2, since 1 was used after it.
        table.flags(one_document([context, 0], 200), np.array([1], np.int64))
    assert sorted(table.contexts()) == [1, 3]


def test_a_table_refuses_memory_for_less_than_a_row() -> None:
    lists = LeftHash(vocabulary=200, green=50, key=1)
    GreenTable(lists, max_bytes=32)
    with pytest.raises(SchemeError):
        GreenTable(lists, max_bytes=31)


def test_threads_that_share_a_table_get_what_one_gets() -> None:
    documents = zipf(20_000, 3000)
    positions = np.arange(1, 20_000, dtype=np.int64)
    expected = KgwDetector(scheme=LEFT, vocabulary=3000, table_bytes=0).values(documents, positions)
    shared = KgwDetector(scheme=LEFT, vocabulary=3000, table_bytes=300 * 376)
    wrong: list[int] = []

    def work(first: int) -> None:
        part = positions[first::4]
        wrong.append(int((shared.values(documents, part) != expected[first::4]).sum()))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [0] * 4


def test_a_mapped_table_says_what_draws_say_and_crosses_to_another_process(tmp_path: Path) -> None:
    drawn = KgwDetector(scheme=LEFT, vocabulary=700, key=97, table_bytes=0)
    write_table(tmp_path / "table", drawn.left_hash)
    mapped = drawn.with_table(tmp_path / "table")
    documents = zipf(2000, 700)
    positions = np.arange(1, 2000, dtype=np.int64)
    expected = drawn.values(documents, positions)
    for copy in (mapped, sent(mapped)):
        assert copy == drawn
        assert np.array_equal(copy.values(documents, positions), expected)


def test_a_detector_that_crosses_to_another_process_leaves_its_memory_behind() -> None:
    for scheme in (LEFT, SELF):
        before = KgwDetector(scheme=scheme, vocabulary=700, key=97)
        assert len(pickle.dumps(before)) < 500
        assert sent(before) == before


def test_self_hash_takes_no_table_file(tmp_path: Path) -> None:
    with pytest.raises(SchemeError):
        KgwDetector(scheme=SELF, vocabulary=700).with_table(tmp_path / "table")


@pytest.mark.parametrize(
    "other",
    [
        LeftHash(vocabulary=70, green=17, key=98),
        LeftHash(vocabulary=70, green=18, key=97),
        LeftHash(vocabulary=71, green=17, key=97),
    ],
    ids=["key", "green", "vocabulary"],
)
def test_a_table_of_other_lists_is_refused(tmp_path: Path, other: LeftHash) -> None:
    write_table(tmp_path / "table", LISTS)
    assert open_table(tmp_path / "table", LISTS).is_whole
    with pytest.raises(MalformedTableError) as caught:
        open_table(tmp_path / "table", other)
    assert caught.value.code == "malformed-green-table"


@pytest.mark.parametrize("at", [0, 16, 20, 24, 56, 88, 4095, 4096, -1])
def test_a_table_with_one_wrong_bit_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "table"
    write_table(path, LISTS)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(MalformedTableError):
        open_table(path, LISTS)


@pytest.mark.parametrize("change", [b"", b"\0"])
def test_a_table_that_is_a_byte_short_or_long_is_refused(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "table"
    write_table(path, LISTS)
    path.write_bytes(path.read_bytes() + change if change else path.read_bytes()[:-1])
    with pytest.raises(MalformedTableError):
        open_table(path, LISTS)


def test_a_table_that_is_a_folder_or_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises((MalformedTableError, OSError)):
        open_table(tmp_path, LISTS)
    with pytest.raises(FileNotFoundError):
        open_table(tmp_path / "table", LISTS)


def test_a_vocabulary_too_large_for_a_file_is_refused_before_anything_is_drawn(
    tmp_path: Path,
) -> None:
    largest = LeftHash(vocabulary=1 << 18, green=1, key=1)
    assert table_bytes(largest) == MAX_TABLE_BYTES
    with pytest.raises(SchemeError) as caught:
        write_table(tmp_path / "table", replace(largest, vocabulary=(1 << 18) + 1))
    assert caught.value.code == "scheme-parameters"
    assert list(tmp_path.iterdir()) == []


# Statistics.


def test_log_p_is_the_binomial_tail_at_the_share_that_is_had() -> None:
    scheme = KgwDetector(scheme=LEFT, vocabulary=100, ratio=0.29)  # 28 ids, not 29.
    got = scheme.log_p(np.array([2.0, 0.0, 0.0]), np.array([2, 7, 0], np.int64))
    assert np.allclose(got, [2 * np.log(0.28), 0, 0], rtol=1e-9)


def test_pairs_whose_minimum_is_one_token_are_one_draw() -> None:
    scheme = KgwDetector(scheme=SELF, vocabulary=1000, context_width=3)
    every = np.random.default_rng(1).integers(0, 1000, 3000)
    documents = one_document(list(every) + list(every[:50]), 1000)
    positions = np.arange(2, len(documents.tokens), dtype=np.int64)
    values = scheme.values(documents, positions)
    names = scheme.identities(documents, positions)
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    assert len(first) < len(positions) - 50
    assert np.array_equal(values, values[first][inverse])


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_draw_counts_once_in_each_document_and_again_in_the_next(width: int) -> None:
    scheme = KgwDetector(scheme=SELF, vocabulary=1000, context_width=width)
    rng = np.random.default_rng(width)
    documents = Documents.of(
        [rng.zipf(1.5, n) % 1000 for n in (400, 0, 400, 2, 90)], vocabulary=1000
    )
    pairs = find_units(documents, scheme.width)
    names = scheme.identities(documents, pairs.positions)
    draws = distinct_draws(pairs, names)
    for d in range(len(documents)):
        part = slice(pairs.starts[d], pairs.starts[d + 1])
        _, first = np.unique(names[part], return_index=True)
        expected = pairs.positions[part][np.sort(first)]
        assert draws.positions[draws.starts[d] : draws.starts[d + 1]].tolist() == expected.tolist()
    lost = np.diff(pairs.starts) - np.diff(draws.starts)
    assert (draws.repeated - pairs.repeated).tolist() == lost.tolist()
    # A window of one is the token alone, which no pair repeats.
    assert (lost.sum() == 0) == (width == 1)


def test_left_hash_draws_are_its_pairs() -> None:
    scheme = KgwDetector(scheme=LEFT, vocabulary=1000)
    documents = zipf(3000, 1000)
    pairs = find_units(documents, scheme.width)
    draws = distinct_draws(pairs, scheme.identities(documents, pairs.positions))
    assert np.array_equal(draws.positions, pairs.positions)


def test_a_left_hash_key_that_loses_the_context_makes_one_draw_of_many_pairs() -> None:
    scheme = KgwDetector(scheme=LEFT, vocabulary=1000, key=0)
    documents = one_document([1, 9, 2, 9, 3, 9], 1000)
    pairs = find_units(documents, 1)
    draws = distinct_draws(pairs, scheme.identities(documents, pairs.positions))
    assert draws.positions.tolist() == [1, 2, 4]


def test_a_tenth_of_random_tokens_is_green_where_a_tenth_should_be() -> None:
    documents = one_document(list(np.random.default_rng(2).integers(0, 5000, 40_001)), 5000)
    positions = np.arange(1, 40_001, dtype=np.int64)
    scheme = KgwDetector(scheme=LEFT, vocabulary=5000, ratio=0.1)
    count = scheme.values(documents, positions).sum()
    assert abs(count - 4000) < 5 * np.sqrt(40_000 * 0.09)
