"""Derivation of keys: which inputs give which secrets, and that nothing shows them."""

import hashlib
import hmac
import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermark.watermark.errors import KeyUseError, SchemeError
from countermark.watermark.keys import Labels, MasterKey, derive, derive_all, key_id
from countermark.watermark.parameters import Purpose

MASTER = MasterKey(bytes(range(32)))
TEXTS = st.text("ab", max_size=3)


def _mark(
    master: MasterKey = MASTER,
    *,
    model: str = "m",
    tenant: str = "t",
    epoch: str = "e",
    scheme: str = "countermark-gumbel-v1",
    purpose: Purpose = Purpose.MARK,
) -> bytes:
    return derive(master, model=model, tenant=tenant, epoch=epoch, scheme=scheme, purpose=purpose)


def test_a_secret_is_what_rfc_5869_says_of_its_labels() -> None:
    info = b"\0\4mark\0\x15countermark-gumbel-v1\0\1m\0\1t\0\1e"
    extracted = hmac.digest(b"countermark-watermark-v1", MASTER.secret, hashlib.sha256)
    expanded = hmac.digest(extracted, info + b"\1", hashlib.sha256)
    assert _mark() == expanded[:16]


def test_every_label_changes_the_secret() -> None:
    others = [
        _mark(MasterKey(bytes(range(1, 33)))),
        _mark(model="n"),
        _mark(tenant="n"),
        _mark(epoch="n"),
        _mark(scheme="countermark-gumbel-dual-v1"),
        _mark(purpose=Purpose.SECOND),
        _mark(purpose=Purpose.PAYLOAD_MAC)[:16],
    ]
    assert len({_mark(), *others}) == 1 + len(others)


def test_purposes_have_the_lengths_of_their_algorithms() -> None:
    assert {p.value: len(_mark(purpose=p)) for p in Purpose} == {
        "mark": 16,
        "second": 16,
        "payload-mac": 32,
    }


@given(st.tuples(TEXTS, TEXTS, TEXTS), st.tuples(TEXTS, TEXTS, TEXTS))
def test_two_lists_of_labels_have_one_secret_only_if_they_are_equal(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    secrets = [_mark(model=m, tenant=t, epoch=e) for m, t, e in (first, second)]
    assert (secrets[0] == secrets[1]) == (first == second)


def test_derive_all_is_derive_for_each_purpose() -> None:
    labels = Labels(model="m", tenant="t", epoch="e")
    scheme = "countermark-gumbel-v1"
    every = derive_all(MASTER, labels=labels, scheme=scheme, purposes=Purpose)
    assert every == {p: _mark(purpose=p) for p in Purpose}


def test_an_id_depends_on_all_that_a_detector_computes_with() -> None:
    secrets = {Purpose.MARK: bytes(16), Purpose.SECOND: bytes(16)}

    def name(
        changed: dict[Purpose, bytes] | None = None,
        scheme: str = "s",
        labels: Labels | None = None,
        **parameters: float | str,
    ) -> str:
        given = {"width": 2, "alpha": 0.5} | parameters
        return key_id(
            changed or secrets, scheme=scheme, labels=labels or Labels(), parameters=given
        )

    names = [
        name(),
        name({Purpose.MARK: bytes(15) + b"\1", Purpose.SECOND: bytes(16)}),
        name({Purpose.MARK: bytes(16), Purpose.SECOND: bytes(15) + b"\1"}),
        name({Purpose.MARK: bytes(16), Purpose.PAYLOAD_MAC: bytes(16)}),
        name(scheme="t"),
        name(labels=Labels(epoch="x")),
        name(width=3),
        name(width=2.0),
        name(width="2"),
        name(alpha=0.25),
        name(beta=1),
    ]
    assert len(set(names)) == len(names)
    assert name() == name(alpha=0.5, width=2)


def test_a_master_is_drawn_from_the_randomness_that_is_given() -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    assert MasterKey.generate(random) == MASTER
    assert asked == [32]


@pytest.mark.parametrize("secret", [b"", bytes(range(31)), bytes(range(33)), bytes(32), b"a" * 32])
def test_a_master_that_is_no_secret_of_256_bits_is_refused(secret: bytes) -> None:
    with pytest.raises(KeyUseError) as caught:
        MasterKey(secret)
    assert caught.value.code == "key-unusable"


def test_a_master_shows_nothing_of_its_secret() -> None:
    shown = repr(MASTER) + str(MASTER) + f"{MASTER}"
    pieces = [MASTER.secret.hex()[i : i + 4] for i in range(8)]
    assert not any(piece in shown for piece in [*pieces, repr(MASTER.secret)])
    assert pickle.loads(pickle.dumps(MASTER)) == MASTER  # noqa: S301 - made two words before.


@pytest.mark.parametrize(
    "text",
    ["a" * 201, "é" * 101, "a\n", "a\u200bb", "\u202ea", "e\u0301", "\ud800", "\x7f", "\x00"],
)
def test_labels_that_could_be_taken_for_others_are_refused(text: str) -> None:
    for name in ("model", "tenant", "epoch"):
        with pytest.raises(SchemeError) as caught:
            Labels(**{name: text})
        assert caught.value.code == "scheme-parameters"


@pytest.mark.parametrize("text", ["", "a" * 200, "é" * 100, "Modèle 7/β", "株式会社"])
def test_labels_may_be_any_text_that_shows(text: str) -> None:
    assert Labels(model=text).model == text


def test_labels_of_two_kinds_are_not_interchangeable() -> None:
    assert all(
        Labels(**{first: "x"}) != Labels(**{second: "x"})
        for first, second in itertools.combinations(("model", "tenant", "epoch"), 2)
    )
