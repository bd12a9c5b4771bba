"""The bytes that are signed: DSSE's encoding, and the mistaken one of old signers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.signing.dsse import PAYLOAD_TYPE, legacy_pae, pae


def test_pae_is_the_example_of_the_dsse_protocol() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_counted_in_bytes() -> None:
    assert pae("é", "ü".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbc"
    assert pae("", b"") == b"DSSEv1 0  0 "


@settings(deadline=None)
@given(st.text(), st.binary(), st.text(), st.binary())
def test_two_messages_never_share_an_encoding(
    kind: str, payload: bytes, other_kind: str, other: bytes
) -> None:
    same = (kind, payload) == (other_kind, other)
    assert (pae(kind, payload) == pae(other_kind, other)) is same


def test_the_old_encoding_holds_the_representation_and_differs_from_the_new() -> None:
    assert legacy_pae("t", b"\x00'") == b'DSSEV1 1 t 2 b"\\x00\'"'
    assert legacy_pae(PAYLOAD_TYPE, b"{}") != pae(PAYLOAD_TYPE, b"{}")
