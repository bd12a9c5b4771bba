"""Manifests inside SafeTensors files: what is hashed, what is kept, what is refused."""

import base64
import io
import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

import numpy as np
import safetensors.numpy
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open

from countermark.provenance.carrier import Carrier, Exclusion
from countermark.provenance.errors import MalformedContentError, UnsupportedContentError
from countermark.provenance.safetensors_carrier import SafetensorsStore
from countermark.signing.safetensors import MAX_HEADER_BYTES
from support.carriers import STORE, found_by, written_by
from support.model_credentials import codes, embedded, refusal, with_claim_changed
from support.model_credentials import safetensors as make

CARRIER = SafetensorsStore()
TEXT = base64.b64encode(STORE).decode()
TENSORS: dict[str, NDArray[Any]] = {
    "a": np.arange(64, dtype=np.float32),
    "b": np.ones((3, 5), dtype=np.int8),
}


find = partial(found_by, CARRIER)
written = partial(written_by, CARRIER)


def header_of(data: bytes) -> bytes:
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


def test_the_carrier_keeps_its_contract() -> None:
    assert isinstance(CARRIER, Carrier)


@pytest.mark.parametrize(
    "metadata", [None, {}, {"format": "pt"}, {"c2pa:manifest": TEXT, "z": "é"}]
)
def test_a_signed_model_verifies_and_still_loads(
    metadata: dict[str, str] | None, tmp_path: Path
) -> None:
    signed = embedded(CARRIER, safetensors.numpy.save(TENSORS, metadata=metadata))
    assert codes(CARRIER, signed) == ("binding-signed", "content-matches")
    path = tmp_path / "model.safetensors"
    path.write_bytes(signed)
    loaded = safetensors.numpy.load_file(path)
    assert all((loaded[name] == TENSORS[name]).all() for name in TENSORS)
    with safe_open(path, framework="numpy") as file:
        kept = {key: value for key, value in file.metadata().items() if key != "c2pa:manifest"}
    assert kept == {k: v for k, v in (metadata or {}).items() if k != "c2pa:manifest"}


def test_signing_again_replaces_the_manifest_and_changes_nothing_else() -> None:
    plain = safetensors.numpy.save(TENSORS, metadata={"format": "pt"})
    once = embedded(CARRIER, plain)
    twice = embedded(CARRIER, once)
    assert len(once) == len(twice)
    assert twice.count(b"c2pa:manifest") == 1
    assert codes(CARRIER, twice) == ("binding-signed", "content-matches")


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("length", "malformed-content"),
        ("header", "malformed-content"),
        ("name", "content-changed"),
        ("padding", "malformed-content"),
        ("tensor", "content-changed"),
    ],
)
def test_one_flipped_bit_is_refused_wherever_it_is(where: str, code: str) -> None:
    signed = bytearray(embedded(CARRIER, safetensors.numpy.save(TENSORS)))
    assert refusal(CARRIER, bytes(signed)) == ""
    at = {
        "length": 0,
        "header": signed.index(b'"dtype":"F32"') + 9,
        "name": signed.index(b'"a":{') + 1,
        "padding": 7 + len(header_of(bytes(signed))),
        "tensor": len(signed) - 1,
    }[where]
    signed[at] ^= 2
    assert refusal(CARRIER, bytes(signed)) == code


def grown(data: bytes) -> bytes:
    """Add eight spaces to the header, which no reader minds."""
    header = header_of(data) + b" " * 8
    return len(header).to_bytes(8, "little") + header + data[8 + len(header) - 8 :]


def moved(data: bytes) -> bytes:
    """Put the manifest behind the other metadata: the same values, elsewhere."""
    header = json.loads(header_of(data))
    header["__metadata__"]["c2pa:manifest"] = header["__metadata__"].pop("c2pa:manifest")
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (len(header_of(data)) - len(text))
    return data[:8] + text + data[8 + len(text) :]


def emptied(data: bytes) -> bytes:
    """Call the manifest something else."""
    return data.replace(b'"c2pa:manifest"', b'"c2pa:manifesT"')


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data + b"\0", "malformed-content"),
        (lambda data: data[:-1], "malformed-content"),
        (grown, "content-changed"),
        (moved, "content-changed"),
        (emptied, "no-manifest"),
        (lambda data: with_claim_changed(CARRIER, data), "claimSignature.mismatch"),
    ],
    ids=["appended", "cut", "padded", "moved", "removed", "claim"],
)
def test_a_changed_file_is_refused(change: Callable[[bytes], bytes], code: str) -> None:
    signed = embedded(CARRIER, make({"format": "pt", "z": "y"}))
    assert refusal(CARRIER, signed) == ""
    assert refusal(CARRIER, change(signed)) == code


def test_what_was_in_the_header_stays_byte_for_byte() -> None:
    raw = '{ "format" : "pt",\t"\\u00e9":"\\"}{[" }'
    plain = make(raw_metadata=raw)
    data = written(plain)
    kept = header_of(data).replace(f'"c2pa:manifest":"{TEXT}",'.encode(), b"").rstrip(b" ")
    assert kept == header_of(plain).rstrip(b" ")
    assert find(data) == (STORE, (Exclusion(data.index(TEXT.encode()), len(TEXT)),))


@pytest.mark.parametrize("size", range(1, 40))
def test_tensors_stay_aligned_to_eight_bytes(size: int) -> None:
    data = written(make(), bytes(range(1, size + 1)))
    assert (8 + len(header_of(data))) % 8 == 0
    assert data.endswith(b"\x01\x02")


@pytest.mark.parametrize(
    "raw",
    [
        '{"c2pa:manifest":"VALUE"}',
        '{"c2pa\\u003amanifest":"VALUE"}',
        '{"x":"\\"c2pa:manifest\\":\\"QUJD\\"","c2pa:manifest":"VALUE"}',
        '{"x":"c2pa:manifest","c2pa:manifest":"VALUE","c2pa:manifest.uri":"u"}',
        '\n{ "c2pa:manifest"\t: "VALUE" }',
    ],
)
def test_the_value_is_found_however_its_header_is_written(raw: str) -> None:
    data = make(raw_metadata=raw.replace("VALUE", TEXT))
    assert find(data) == (STORE, (Exclusion(data.index(TEXT.encode()), len(TEXT)),))


@pytest.mark.parametrize(
    "raw",
    [
        '{"x":"c2pa:manifest"}',
        '{"c2pa.manifest":"QUJD"}',
        '{"C2PA:manifest":"QUJD"}',
        '{"x":"\\"c2pa:manifest\\":\\"QUJD\\""}',
    ],
)
def test_what_only_looks_like_the_key_is_no_manifest(raw: str) -> None:
    assert find(make(raw_metadata=raw)) is None


def test_a_tensor_called_like_the_key_is_no_manifest() -> None:
    entry = '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}'
    header = ('{"c2pa:manifest":' + entry + "}").encode()
    header += b" " * (-len(header) % 8)
    assert find(len(header).to_bytes(8, "little") + header + b"\1\2") is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (f'{{"c2pa:manifest":"{TEXT}","c2pa:manifest":"{TEXT}"}}', "same key twice"),
        (f'{{"c2pa:manifest":"{TEXT}","c2pa\\u003amanifest":"QUJD"}}', "same key twice"),
        ('{"c2pa:manifest":["QUJD"]}', "not a string"),
        ('{"c2pa:manifest":""}', "is empty"),
        ('{"c2pa:manifest":"QUJ"}', "not Base64"),
        ('{"c2pa:manifest":"QU JD"}', "not Base64"),
        ('{"c2pa:manifest":"QUI\\u003d"}', "not Base64"),
        ('{"c2pa:manifest":"QUJ="}', "second way"),
    ],
)
def test_a_value_with_no_or_two_meanings_is_refused(raw: str, message: str) -> None:
    with pytest.raises(MalformedContentError, match=message) as refused:
        find(make(raw_metadata=raw))
    assert refused.value.code == "malformed-content"


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\xff" * 40, b"PK\x03\x04" * 10])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedContentError):
        find(data)
    with pytest.raises(MalformedContentError):
        CARRIER.lay_out(io.BytesIO(data), 100)


def test_a_first_layout_fits_nothing_so_that_no_unhashed_digest_is_signed() -> None:
    layout = CARRIER.lay_out(io.BytesIO(make()), len(STORE))
    assert layout.digest == bytes(32)
    assert not CARRIER.fits(layout, STORE)


def test_a_store_that_is_longer_than_its_room_does_not_fit() -> None:
    source = io.BytesIO(make())
    layout = CARRIER.refine(source, CARRIER.lay_out(source, 1), STORE)
    assert CARRIER.fits(layout, STORE[:-1] + b"x")
    assert not CARRIER.fits(layout, STORE + b"xxx")
    with pytest.raises(MalformedContentError, match="changed while it was signed"):
        CARRIER.write(source, layout, STORE + b"xxx", io.BytesIO())


def test_a_place_that_moved_since_the_layout_is_not_written() -> None:
    source = io.BytesIO(make())
    layout = CARRIER.refine(source, CARRIER.lay_out(source, 1), STORE)
    with pytest.raises(MalformedContentError, match="changed while it was signed"):
        CARRIER.write(io.BytesIO(make(raw_metadata=" {}")), layout, STORE, io.BytesIO())


def test_a_header_grows_to_the_format_s_limit_and_no_further() -> None:
    source = io.BytesIO(make())
    around = len(header_of(written(make(), b"123"))) // 8 * 8 - 4
    most = (MAX_HEADER_BYTES - around) // 4 * 3 - 12
    assert CARRIER.lay_out(source, most).room <= MAX_HEADER_BYTES
    with pytest.raises(UnsupportedContentError, match=f"limit {MAX_HEADER_BYTES}") as refused:
        CARRIER.lay_out(source, most + 24)
    assert "sidecar" in refused.value.hint


def test_large_tensors_are_copied_in_blocks(tmp_path: Path) -> None:
    plain, signed = tmp_path / "plain.safetensors", tmp_path / "signed.safetensors"
    plain.write_bytes(make(data=bytes(48 << 20)))
    tracemalloc.start()
    with plain.open("rb") as source, signed.open("w+b") as sink:
        layout = CARRIER.refine(source, CARRIER.lay_out(source, 1), STORE)
        CARRIER.write(source, layout, STORE, sink)
        found = CARRIER.find(sink)
        digest = CARRIER.digest(sink, layout.exclusions, "sha256")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 << 20
    assert found is not None
    assert found.exclusions == layout.exclusions
    assert digest == layout.digest
    assert signed.stat().st_size - len(STORE) * 4 // 3 > 48 << 20


def test_sources_and_sinks_need_no_descriptor() -> None:
    plain = make(data=bytes(range(256)) * 40)
    sink: BinaryIO = io.BytesIO()
    source = io.BytesIO(plain)
    layout = CARRIER.refine(source, CARRIER.lay_out(source, 1), STORE)
    CARRIER.write(source, layout, STORE, sink)
    assert CARRIER.digest(sink, layout.exclusions, "sha256") == layout.digest


@given(st.binary(max_size=200))
@example(b"\x02\0\0\0\0\0\0\0{}")
def test_any_bytes_give_a_place_or_our_own_error(data: bytes) -> None:
    try:
        CARRIER.find(io.BytesIO(data))
    except MalformedContentError:
        return


@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.binary(min_size=1, max_size=40),
)
def test_any_metadata_keep_their_values_and_give_the_store_back(
    metadata: dict[str, str], ascii_only: bool, indent: int | None, store: bytes
) -> None:
    metadata.pop("c2pa:manifest", None)
    raw = json.dumps(metadata, ensure_ascii=ascii_only, indent=indent)
    data = written(make(raw_metadata=raw), store)
    place = CARRIER.find(io.BytesIO(data))
    assert place is not None
    assert place.store == store
    values = json.loads(header_of(data))["__metadata__"]
    assert values.pop("c2pa:manifest") == base64.b64encode(store).decode()
    assert values == metadata


@given(st.data())
def test_a_damaged_header_gives_a_place_or_our_own_error(data: st.DataObject) -> None:
    sound = bytearray(written(make({"a": "b"}), b"abc"))
    at = data.draw(st.integers(0, len(sound) - 1))
    sound[at] = data.draw(st.integers(0, 255))
    try:
        CARRIER.find(io.BytesIO(bytes(sound)))
    except MalformedContentError:
        return
