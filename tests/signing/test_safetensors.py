"""The strict header reader: every rule's vector, every limit, and the library as oracle."""

import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import example, given
from hypothesis import strategies as st

from countermark.signing.errors import MalformedSafetensorsError
from countermark.signing.safetensors import (
    DTYPE_BITS,
    MAX_HEADER_BYTES,
    MAX_RANK,
    MAX_TENSOR_NAME_BYTES,
    MAX_TENSORS,
    MAX_VALUES,
    SafetensorsHeader,
    Tensor,
    parse_header,
    read_header,
    tensor_bytes,
)

FOLDER = Path(__file__).parents[2] / "specs/tree-v1/vectors"
HEADERS = sorted(FOLDER.glob("header-*.json"))
FILES = sorted(FOLDER.glob("file-*.json"))


def pread(data: bytes, at: int, length: int) -> bytes:
    return data[at : at + length]


def read(data: bytes) -> SafetensorsHeader:
    return read_header(partial(pread, data), len(data))


def container(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def reason_of(header: bytes, data_bytes: int) -> str:
    with pytest.raises(MalformedSafetensorsError) as caught:
        parse_header(header, data_bytes)
    assert caught.value.code == "malformed-safetensors"
    return caught.value.reason


def one(name: str = "a", dtype: str = "U8", shape: Any = (0,), size: int = 0) -> bytes:  # noqa: ANN401
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    return json.dumps({name: tensor}).encode()


def test_vectors_exist() -> None:
    assert len(HEADERS) >= 50
    assert len(FILES) >= 7


@pytest.mark.parametrize("path", HEADERS, ids=lambda p: p.stem)
def test_header_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    header = vector["header"].encode("utf-8", "surrogatepass")
    if vector["expect"] == "ok":
        parse_header(header, vector["data_bytes"])
    else:
        assert vector["expect"] == "malformed-safetensors"
        assert reason_of(header, vector["data_bytes"]) == vector["reason"], vector["why"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_file_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    with pytest.raises(MalformedSafetensorsError) as caught:
        read(bytes.fromhex(vector["file_hex"]))
    assert caught.value.reason == vector["reason"], vector["why"]


def library_reads(data: bytes) -> dict[str, dict[str, Any]]:
    return dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]


def same_as_the_library(data: bytes) -> None:
    """Compare everything we read with everything the format's library reads."""
    header = read(data)
    theirs = library_reads(data)
    assert {tensor.name for tensor in header.tensors} == set(theirs)
    for tensor in header.tensors:
        info = theirs[tensor.name]
        assert tensor.dtype == info["dtype"]
        assert list(tensor.shape) == info["shape"]
        start = header.header_bytes
        assert data[start + tensor.begin : start + tensor.end] == bytes(info["data"])


@pytest.mark.parametrize("path", [p for p in HEADERS if "-ok-" in p.name], ids=lambda p: p.stem)
def test_the_library_reads_every_accepted_vector_as_we_do(path: Path) -> None:
    vector = json.loads(path.read_text())
    data = bytes(number % 251 for number in range(vector["data_bytes"]))
    same_as_the_library(container(vector["header"].encode(), data))


def test_a_file_written_by_the_library_is_read_with_its_offsets_and_metadata() -> None:
    arrays: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.zeros(0, dtype=np.int8),
        "s": np.array(1.5, dtype=np.float64),
        "模型.0": np.ones((1, 5), dtype=np.bool_),
    }
    data = safetensors.numpy.save(arrays, metadata={"format": "np"})
    same_as_the_library(data)
    header = read(data)
    assert header.metadata == (("format", "np"),)
    assert header.header_bytes + header.tensors[-1].end == len(data)
    scalar = next(tensor for tensor in header.tensors if tensor.name == "s")
    assert scalar == Tensor(name="s", dtype="F64", shape=(), begin=0, end=8)


def test_the_library_knows_our_dtypes_in_our_sizes_and_no_other() -> None:
    for dtype, bits in DTYPE_BITS.items():
        library_reads(container(one("a", dtype, [8], bits), bytes(bits)))
    with pytest.raises(safetensors.SafetensorError) as caught:
        library_reads(container(one("a", "F7", [8], 7), bytes(7)))
    known = str(caught.value).split("expected one of")[1].split(" at line")[0]
    assert {word.strip(" `") for word in known.split(",")} == set(DTYPE_BITS)


def test_tensors_come_in_offset_order_and_empty_ones_by_name() -> None:
    zero = {"dtype": "U8", "shape": [0], "data_offsets": [1, 1]}
    full = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
    header = parse_header(json.dumps({"z": zero, "y": zero, "x": full}).encode(), 1)
    assert [tensor.name for tensor in header.tensors] == ["x", "y", "z"]


def test_an_empty_shape_is_a_scalar_and_a_zero_dimension_no_byte() -> None:
    assert tensor_bytes("BF16", ()) == 2
    assert tensor_bytes("BF16", (7, 0)) == 0
    assert tensor_bytes("F6_E2M3", (2, 2)) == 3


def test_rank_limit_holds_at_64_and_refuses_65() -> None:
    parse_header(one(shape=[1] * MAX_RANK, size=1), 1)
    assert reason_of(one(shape=[1] * (MAX_RANK + 1), size=1), 1) == "rank-too-high"


def test_dimension_limit_holds_below_2_to_53() -> None:
    parse_header(one(shape=[2**53 - 1, 0]), 0)
    assert reason_of(one(shape=[2**53, 0]), 0) == "dimension-out-of-range"


def test_size_limit_counts_bits_and_skips_zeros() -> None:
    assert tensor_bytes("U8", (2**30, 2**29)) == 2**59
    with pytest.raises(MalformedSafetensorsError) as caught:
        tensor_bytes("U8", (2**30, 2**30, 0))
    assert caught.value.reason == "size-overflow"


def test_name_limit_is_in_utf8_bytes() -> None:
    parse_header(one("é" * (MAX_TENSOR_NAME_BYTES // 2)), 0)
    assert reason_of(one("é" * (MAX_TENSOR_NAME_BYTES // 2) + "a"), 0) == "bad-tensor-name"


def test_tensor_limit_holds_at_n_and_refuses_one_more() -> None:
    rows = [f'"{n}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for n in range(MAX_TENSORS)]
    assert len(parse_header(("{" + ",".join(rows) + "}").encode(), 0).tensors) == MAX_TENSORS
    rows.append('"more":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}')
    assert reason_of(("{" + ",".join(rows) + "}").encode(), 0) == "too-many-tensors"


def test_value_limit_refuses_before_the_parser_allocates() -> None:
    # The outer braces and brackets are two of the values that are counted.
    commas = MAX_VALUES - 2
    assert reason_of(b'{"a":[' + b"," * commas + b"]}", 0) == "not-strict-json"
    assert reason_of(b'{"a":[' + b"," * (commas + 1) + b"]}", 0) == "too-many-values"


def test_values_inside_strings_are_not_counted() -> None:
    text = json.dumps({"__metadata__": {"k": "[" * (MAX_VALUES + 1) + '"'}}).encode()
    assert len(parse_header(text, 0).metadata[0][1]) == MAX_VALUES + 2


def test_header_length_limit_holds_at_100_million_bytes() -> None:
    def only_the_length(length: int) -> str:
        prefix = struct.pack("<Q", length)
        with pytest.raises(MalformedSafetensorsError) as caught:
            # Nothing but the length can be read, so "truncated" means the limit let it pass.
            read_header(lambda at, _: prefix if at == 0 else b"", 10**10)
        return caught.value.reason

    assert only_the_length(MAX_HEADER_BYTES) == "truncated"
    assert only_the_length(MAX_HEADER_BYTES + 1) == "header-too-large"


def test_a_file_that_shrinks_while_its_header_is_read_is_refused() -> None:
    data = container(one())
    for visible in range(len(data)):
        left = data[:visible]
        with pytest.raises(MalformedSafetensorsError) as caught:
            read_header(partial(pread, left), len(data))
        assert caught.value.reason == "truncated"


def test_an_unterminated_string_full_of_quotes_is_refused_at_once() -> None:
    # A search that starts over at each quote would need years for this one.
    header = b'{"a":[[[[["' + b'\\"' * 2_000_000 + b"}"
    assert reason_of(header, 0) == "not-strict-json"


def test_a_message_never_holds_what_a_terminal_would_act_on() -> None:
    with pytest.raises(MalformedSafetensorsError) as caught:
        parse_header(one("../\x1b[2J\u202e"), 0)
    assert str(caught.value).isprintable()


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 70), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "a", ""]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
almost = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*DTYPE_BITS, "F7"]),
        "shape": st.lists(st.integers(-1, 4), max_size=3),
        "data_offsets": st.lists(st.integers(-1, 64), min_size=1, max_size=3),
    }
)


def read_or_refuse(data: bytes) -> None:
    try:
        read(data)
        reason = ""
    except MalformedSafetensorsError as e:
        reason = e.reason or "a refusal without a reason"
    if not reason:
        same_as_the_library(data)
    assert reason != "a refusal without a reason"


@given(st.binary(max_size=200))
@example(b"")
@example(struct.pack("<Q", 2) + b"{}")
@example(struct.pack("<Q", 7) + b'{"\xed\xa0\x80}')
def test_any_bytes_give_a_header_or_our_error(data: bytes) -> None:
    read_or_refuse(data)


@given(
    st.one_of(json_values, st.dictionaries(st.text(max_size=3), almost, max_size=3)),
    st.integers(0, 70),
)
def test_whatever_we_accept_the_library_reads_the_same(value: object, data_bytes: int) -> None:
    read_or_refuse(container(json.dumps(value).encode(), bytes(data_bytes)))
