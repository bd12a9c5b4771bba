"""Descriptors: they say how text is marked, in one form only, and nothing that is secret."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countermark.watermark.descriptor import (
    FORMAT,
    MAX_DESCRIPTOR_BYTES,
    describe,
    encode_descriptor,
    parse_descriptor,
)
from countermark.watermark.errors import MalformedDescriptorError
from countermark.watermark.keymaking import foreign_key, own_key
from countermark.watermark.keyring import KeyEntry
from countermark.watermark.keys import Labels, MasterKey

KEY = own_key(
    MasterKey(bytes(range(32))),
    scheme="countermark-greenlist-v1",
    parameters={"gamma": 0.5, "delta": 3},
    labels=Labels(model="model-label", tenant="tenant-label", epoch="epoch-label"),
    tokenizer_sha256="a" * 64,
    model_sha256="b" * 64,
    vocabulary=49_152,
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
)
FOREIGN = foreign_key(
    lambda count: b"\x07" * count,
    scheme="vllm-gumbel-philox-v1",
    parameters={},
    labels=Labels(),
    integers=(1311768467463790320,),
)


@pytest.mark.parametrize("key", [KEY, FOREIGN])
def test_a_descriptor_is_read_back_as_it_was(key: KeyEntry) -> None:
    descriptor = describe(key)
    assert parse_descriptor(encode_descriptor(descriptor)) == descriptor
    for name in ("id", "scheme", "parameters", "tokenizer_sha256", "model_sha256", "vocabulary"):
        assert getattr(descriptor, name) == getattr(key, name)
    assert (descriptor.not_before, descriptor.not_after) == (key.not_before, key.not_after)


def test_a_descriptor_holds_neither_secrets_nor_labels() -> None:
    text = encode_descriptor(describe(KEY)) + encode_descriptor(describe(FOREIGN))
    assert b"label" not in text
    assert b"1311768467463790320" not in text
    assert not any(secret.hex().encode() in text for secret in KEY.secrets.values())


def test_a_descriptor_is_these_bytes() -> None:
    assert encode_descriptor(describe(KEY)) == (
        b'{"format":"countermark-watermark-descriptor-v1","id":"%s",'
        b'"model_sha256":"%s","not_before":"2026-01-01T00:00:00Z",'
        b'"parameters":{"delta":3,"gamma":0.5,"width":1},"scheme":"countermark-greenlist-v1",'
        b'"tokenizer_sha256":"%s","vocabulary":49152}'
    ) % (KEY.id.encode(), b"b" * 64, b"a" * 64)


def test_a_descriptor_over_its_length_is_refused() -> None:
    with pytest.raises(MalformedDescriptorError) as caught:
        parse_descriptor(b" " * (MAX_DESCRIPTOR_BYTES + 1))
    assert "65537 bytes" in str(caught.value)


@given(st.binary(max_size=300))
@example(b"null")
@example(b'{"format":"%s"}' % FORMAT.encode())
def test_any_bytes_are_a_descriptor_or_are_refused(data: bytes) -> None:
    try:
        descriptor = parse_descriptor(data)
    except MalformedDescriptorError:
        return
    assert encode_descriptor(descriptor) == data


@given(st.integers(0), st.binary(min_size=1, max_size=3))
def test_a_changed_byte_gives_another_descriptor_or_none(place: int, put: bytes) -> None:
    data = encode_descriptor(describe(KEY))
    place %= len(data)
    changed = data[:place] + put + data[place + len(put) :]
    try:
        descriptor = parse_descriptor(changed)
    except MalformedDescriptorError:
        return
    assert (descriptor == describe(KEY)) == (changed == data)
