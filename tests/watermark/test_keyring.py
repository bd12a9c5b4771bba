"""Rings: which keys are in them, when they count, and what bytes give them."""

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Unpack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countermark.watermark import documents, prf, synthid, vllm
from countermark.watermark.errors import (
    KeyUseError,
    MalformedRingError,
    SchemeError,
    WrongTokenizerError,
)
from countermark.watermark.keymaking import add_key, foreign_key, own_key
from countermark.watermark.keyring import MAX_KEYS, KeyEntry, KeyRing
from countermark.watermark.keyring_json import MAX_RING_BYTES, encode_ring, parse_ring
from countermark.watermark.keys import Labels, MasterKey
from countermark.watermark.parameters import SCHEMES, Choice, Integer, Purpose, Real, scheme_named
from countermark.watermark.terms import MAX_VOCABULARY, Circumstances

MASTER = MasterKey(bytes(range(32)))
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
VLLM = "vllm-gumbel-philox-v1"


def counting() -> Callable[[int], bytes]:
    """Return randomness that is the same on every run, and never twice the same."""
    state = 0

    def random(count: int) -> bytes:
        nonlocal state
        state += 1
        return (state.to_bytes(4, "big") * (count // 4 + 1))[:count]

    return random


def own(
    epoch: str = "", scheme: str = "countermark-gumbel-v1", **more: Unpack[Circumstances]
) -> KeyEntry:
    labels = Labels(model="m", epoch=epoch)
    return own_key(MASTER, scheme=scheme, parameters={}, labels=labels, **more)


def foreign(scheme: str = VLLM, integers: tuple[int, ...] | None = None) -> KeyEntry:
    return foreign_key(counting(), scheme=scheme, parameters={}, labels=Labels(), integers=integers)


def ring_of(*keys: KeyEntry) -> KeyRing:
    return KeyRing(keys=keys, master=MASTER)


def test_a_ring_of_every_scheme_is_read_back_as_it_was() -> None:
    ring, random = KeyRing(), counting()
    for scheme in SCHEMES:
        ring, key = add_key(
            ring,
            random,
            scheme=scheme,
            parameters={},
            labels=Labels(model="m"),
            not_before=NEW_YEAR,
            not_after=NEW_YEAR + SECOND,
            tokenizer_sha256="a" * 64,
            model_sha256="b" * 64,
            vocabulary=1 << 21,
        )
        assert ring.get(key.id) is key
    assert ring.master is not None
    assert parse_ring(encode_ring(ring)) == ring


def test_a_key_has_the_secrets_of_its_scheme_and_no_others() -> None:
    key = own(scheme="countermark-gumbel-payload-v1")
    assert len(key.secret(Purpose.MARK)) == 16
    assert len(key.secret(Purpose.PAYLOAD_MAC)) == 32
    with pytest.raises(KeyUseError):
        key.secret(Purpose.SECOND)
    with pytest.raises(KeyUseError):
        foreign().secret(Purpose.MARK)


def test_neither_a_ring_nor_a_key_shows_a_secret() -> None:
    ring = ring_of(own(), foreign(integers=(123456789,)))
    for value in (ring, *ring.keys):
        shown = repr(value) + str(value)
        assert "123456789" not in shown
        assert "secrets" not in shown
        assert repr(own().secret(Purpose.MARK))[2:-1] not in shown


def test_keys_go_to_other_processes() -> None:
    ring = ring_of(own(), foreign())
    assert pickle.loads(pickle.dumps(ring)) == ring  # noqa: S301 - made two words before.


def test_an_export_has_the_secrets_of_its_keys_and_no_master() -> None:
    ring = ring_of(own("1"), own("2"), own("3"), foreign())
    chosen = ring.export([ring.keys[3].id, ring.keys[1].id])
    assert chosen.master is None
    assert [key.id for key in chosen.keys] == [ring.keys[3].id, ring.keys[1].id]
    assert chosen.keys[1].secrets == ring.keys[1].secrets
    data = encode_ring(chosen)
    assert b'"master"' not in data
    assert parse_ring(data) == chosen
    with pytest.raises(KeyUseError):
        ring.export(["0" * 16])


def test_a_detectors_ring_takes_no_new_key_of_ours_but_one_of_others() -> None:
    chosen = ring_of(own()).export([own().id])
    with pytest.raises(KeyUseError) as caught:
        add_key(
            chosen,
            counting(),
            scheme="countermark-gumbel-v1",
            parameters={},
            labels=Labels(epoch="2"),
        )
    assert "no master" in str(caught.value)
    ring, _ = add_key(chosen, counting(), scheme=VLLM, parameters={}, labels=Labels())
    assert ring.master is None
    assert len(ring.keys) == 2


def test_a_key_that_is_there_is_not_added_again() -> None:
    with pytest.raises(KeyUseError) as caught:
        ring_of(own()).with_key(own())
    assert own().id in str(caught.value)
    assert len(ring_of(own()).with_key(own("2")).keys) == 2


def test_a_window_begins_with_its_first_second_and_ends_before_its_last() -> None:
    key = own(not_before=NEW_YEAR, not_after=NEW_YEAR + 2 * SECOND)
    ring = ring_of(key, own("always"))
    inside = [NEW_YEAR, NEW_YEAR + SECOND, NEW_YEAR.astimezone(timezone(5 * 3600 * SECOND))]
    outside = [NEW_YEAR - SECOND, NEW_YEAR + 2 * SECOND]
    assert all(ring.valid_at(moment) == ring.keys for moment in inside)
    assert all(ring.valid_at(moment) == ring.keys[1:] for moment in outside)
    for moment in inside:
        assert ring.for_generation(key.id, moment) is key
    for moment in outside:
        with pytest.raises(KeyUseError) as caught:
            ring.for_generation(key.id, moment)
        assert "2026-01-01T00:00:00Z" in str(caught.value)


def test_a_key_refuses_another_tokenizer_and_takes_any_if_it_knows_none() -> None:
    own().check_tokenizer("b" * 64)
    own(tokenizer_sha256="a" * 64).check_tokenizer("a" * 64)
    with pytest.raises(WrongTokenizerError) as caught:
        own(tokenizer_sha256="a" * 64).check_tokenizer("b" * 64)
    assert caught.value.code == "wrong-tokenizer"


@pytest.mark.parametrize(
    "more",
    [
        {"tokenizer_sha256": "A" * 64},
        {"model_sha256": "a" * 63},
        {"vocabulary": 0},
        {"vocabulary": (1 << 21) + 1},
        {"not_before": datetime(2026, 1, 1)},  # noqa: DTZ001 - which is the point.
        {"not_after": NEW_YEAR + timedelta(microseconds=1)},
        {"not_before": NEW_YEAR, "not_after": NEW_YEAR},
    ],
)
def test_circumstances_that_cannot_be_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(SchemeError):
        own(**more)


def test_ours_are_derived_and_others_are_not() -> None:
    with pytest.raises(SchemeError):
        own(scheme=VLLM)
    with pytest.raises(SchemeError):
        foreign("countermark-gumbel-v1")
    with pytest.raises(SchemeError):
        add_key(
            KeyRing(),
            counting(),
            scheme="countermark-gumbel-v1",
            parameters={},
            labels=Labels(),
            integers=(1,),
        )


@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if row.integers])
def test_new_keys_of_others_are_within_what_their_makers_take(scheme: str) -> None:
    kind = SCHEMES[scheme].integers
    assert kind is not None
    key = foreign(scheme)
    assert len(key.integers) == kind.new
    assert all(0 < integer <= kind.new_high for integer in key.integers)
    assert foreign(scheme, (kind.high,) * kind.most).integers[0] == kind.high
    assert foreign(scheme, (kind.low,)).integers == (kind.low,)
    for wrong in ((), (kind.low - 1,), (kind.high + 1,), (1,) * (kind.most + 1)):
        with pytest.raises(SchemeError):
            foreign(scheme, wrong)


def test_an_id_of_others_says_nothing_about_the_key() -> None:
    ids = {foreign(integers=(42,)).id, foreign(integers=(43,)).id}
    assert len(ids) == 1  # The same randomness, another key.


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_parameters_have_defaults_within_their_limits(scheme: str) -> None:
    row = scheme_named(scheme)
    defaults = row.check({})
    assert list(defaults) == sorted(row.parameters)
    assert row.check(defaults) == defaults
    with pytest.raises(SchemeError):
        row.check({"no such": 1})


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Integer(1, 3, 2), [1, 3], [0, 4, 2.0, True, "2", None]),
        (Real(-1, 1, 0), [-1, 1, 0, 0.0001, -0.0], [1.1, 0.00009, float("nan"), True, "0"]),
        (Choice(("a", "b")), ["a", "b"], ["c", "", 1, None]),
    ],
)
def test_a_parameter_is_of_its_kind_and_within_its_limits(
    kind: Integer | Real | Choice, good: list[object], bad: list[object]
) -> None:
    for value in good:
        assert kind.check("p", value) == value
    for value in bad:
        with pytest.raises(SchemeError) as caught:
            kind.check("p", value)
        assert caught.value.code == "scheme-parameters"


def test_minus_zero_is_zero() -> None:
    assert str(Real(-1, 1, 0).check("p", -0.0)) == "0.0"


def test_limits_of_the_table_are_those_of_the_detectors() -> None:
    for row in SCHEMES.values():
        if row.purposes:
            width = row.parameters["width"]
            assert isinstance(width, Integer)
            assert width.high == prf.MAX_WIDTH
    table = SCHEMES["transformers-synthid"].parameters["sampling_table_size"]
    assert isinstance(table, Integer)
    assert (table.low, table.high) == (synthid.MIN_TABLE, synthid.MAX_TABLE)
    width = SCHEMES[VLLM].parameters["context_width"]
    assert isinstance(width, Integer)
    assert width.high == vllm.MAX_WIDTH
    assert MAX_VOCABULARY == documents.MAX_TOKEN_ID + 1


def test_a_ring_has_at_most_as_many_keys_as_it_may() -> None:
    key = own()
    with pytest.raises(SchemeError):
        KeyRing(keys=(key,) * (MAX_KEYS + 1), master=MASTER)
    with pytest.raises(MalformedRingError) as caught:
        parse_ring(b'{"format":"countermark-keyring-v1","keys":[%s1]}' % (b"1," * MAX_KEYS))
    assert "20001 keys" in str(caught.value)


def test_a_ring_over_its_length_is_refused_unparsed() -> None:
    with pytest.raises(MalformedRingError):
        parse_ring(b"[" * (MAX_RING_BYTES + 1))
    assert parse_ring(encode_ring(KeyRing()).ljust(MAX_RING_BYTES)) == KeyRing()


def test_a_derived_key_needs_its_master() -> None:
    with pytest.raises(KeyUseError):
        KeyRing(keys=(own(),))
    other = KeyRing(keys=(own(),), master=MasterKey(bytes(range(1, 33))))
    with pytest.raises(MalformedRingError):
        encode_ring(other)


def test_no_message_holds_a_secret() -> None:
    document = json.loads(encode_ring(ring_of(own(), own("2")).export([own().id])))
    secret = document["keys"][0]["secrets"]["mark"]
    wrong = [secret[1:], secret + "=", "A" + secret[1:], secret.lower(), [secret], secret * 2]
    for value in wrong:
        document["keys"][0]["secrets"]["mark"] = value
        with pytest.raises(MalformedRingError) as caught:
            parse_ring(json.dumps(document).encode())
        assert secret[4:12].lower() not in f"{caught.value} {caught.value.__cause__}".lower()


SMALL = encode_ring(ring_of(own(scheme="countermark-gumbel-dual-v1"), foreign()))
EXPORTED = encode_ring(parse_ring(SMALL).export([key.id for key in parse_ring(SMALL).keys]))


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbf{}")
@example(b'{"format":"countermark-keyring-v1","keys":[]}')
def test_any_bytes_are_a_ring_or_are_refused(data: bytes) -> None:
    try:
        ring = parse_ring(data)
    except MalformedRingError:
        return
    assert parse_ring(encode_ring(ring)) == ring


@given(st.sampled_from([SMALL, EXPORTED]), st.integers(0), st.binary(min_size=1, max_size=2))
def test_a_changed_byte_is_refused_or_changes_nothing_of_ours(
    data: bytes, place: int, put: bytes
) -> None:
    place %= len(data)
    changed = data[:place] + put + data[place + len(put) :]
    try:
        ring = parse_ring(changed)
    except MalformedRingError:
        return
    before = {key.id: key.secrets for key in parse_ring(data).keys if key.secrets}
    after = {key.id: key.secrets for key in ring.keys if key.secrets}
    assert before == after
