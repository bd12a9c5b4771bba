"""A verdict is no boolean; its outcome is the gravest failure, in a fixed order."""

from itertools import combinations

import pytest

from countermark.signing.verdict import (
    Check,
    Outcome,
    Status,
    Verdict,
    failed,
    held,
    not_checked,
    warned,
)

GRAVEST_FIRST = (
    Outcome.MALFORMED,
    Outcome.TAMPERED,
    Outcome.UNTRUSTED_SIGNER,
    Outcome.OUTSIDE_VALIDITY,
    Outcome.REFUSED,
    Outcome.INCONCLUSIVE,
    Outcome.NOTHING_TO_VERIFY,
)
FINE = held("fine", "it is fine")


def verdict(*checks: Check) -> Verdict:
    return Verdict(subject="m", checks=checks)


def fault(outcome: Outcome) -> Check:
    return failed(f"because-{outcome.value}", outcome, f"it is {outcome.value}", "do something")


@pytest.mark.parametrize("checks", [(FINE,), (fault(Outcome.TAMPERED),), ()])
def test_a_verdict_refuses_to_be_a_boolean(checks: tuple[Check, ...]) -> None:
    with pytest.raises(TypeError, match="not a bool"):
        bool(verdict(*checks))
    with pytest.raises(TypeError):
        assert not verdict(*checks)


def test_the_order_of_gravity_names_every_outcome_but_success() -> None:
    assert {*GRAVEST_FIRST, Outcome.VERIFIED} == set(Outcome)


@pytest.mark.parametrize(("graver", "lighter"), list(combinations(GRAVEST_FIRST, 2)))
def test_the_graver_failure_names_the_verdict_wherever_it_stands(
    graver: Outcome, lighter: Outcome
) -> None:
    for checks in (
        (fault(graver), fault(lighter), FINE),
        (FINE, fault(lighter), fault(graver)),
    ):
        assert verdict(*checks).outcome is graver
        assert verdict(*checks).decisive == fault(graver)
        assert verdict(*checks).code == f"because-{graver.value}"


def test_the_first_of_two_equal_failures_is_decisive() -> None:
    first = failed("first", Outcome.TAMPERED, "one", "a")
    second = failed("second", Outcome.TAMPERED, "two", "b")
    found = verdict(FINE, first, second)
    assert found.decisive is first
    assert (found.code, found.sentence, found.hint) == ("first", "one", "a")


def test_success_needs_something_that_held_and_nothing_that_failed() -> None:
    found = verdict(FINE, warned("old", "it is old"), not_checked("time", "nobody asked"))
    assert found.outcome is Outcome.VERIFIED
    assert (found.decisive, found.code, found.sentence, found.hint) == (
        None,
        "verified",
        "verified",
        "",
    )
    assert verdict(FINE, fault(Outcome.INCONCLUSIVE)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    "checks", [(), (warned("old", "it is old"),), (not_checked("time", "nobody asked"),)]
)
def test_where_nothing_held_there_was_nothing_to_verify(checks: tuple[Check, ...]) -> None:
    found = verdict(*checks)
    assert found.outcome is Outcome.NOTHING_TO_VERIFY
    assert (found.decisive, found.code) == (None, "nothing-to-verify")
    assert found.sentence == "nothing was there to verify"


def test_only_failed_checks_decide_whatever_outcome_others_carry() -> None:
    odd = Check(code="x", status=Status.WARNED, sentence="x", outcome=Outcome.MALFORMED)
    assert verdict(FINE, odd).outcome is Outcome.VERIFIED


def test_each_maker_gives_its_status() -> None:
    made = (FINE, fault(Outcome.REFUSED), warned("w", "w", "h"), not_checked("n", "n", "h"))
    assert [check.status for check in made] == list(Status)
    assert [check.hint for check in made] == ["", "do something", "h", "h"]
