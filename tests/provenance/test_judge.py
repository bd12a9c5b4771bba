"""What a report of c2pa's leads to: nothing holds that was not said to hold."""

from collections.abc import Iterable, Sequence

import pytest

from countermark.provenance.judge import (
    disclosure_check,
    ingredient_checks,
    ingredient_reports,
    judge_report,
    timestamp_of,
)
from countermark.provenance.report import Report, disclosure_of, read_crjson, signer_of
from countermark.provenance.statuses import STATUSES
from countermark.provenance.verdict import Axis, AxisCheck, ContentVerdict, Disclosure
from countermark.signing.verdict import Check, Outcome, Status, failed, held

GOOD = (
    "signingCredential.trusted",
    "claimSignature.insideValidity",
    "claimSignature.validated",
    "assertion.hashedURI.match",
    "assertion.dataHash.match",
)
INGREDIENT = "self#jumbf=/c2pa/urn:c2pa:1/c2pa.assertions/c2pa.ingredient.v3"


def said(codes: Iterable[str]) -> list[dict[str, str]]:
    return [{"code": code, "url": "self#jumbf=/c2pa/x", "explanation": code} for code in codes]


def report(
    success: Sequence[str] = GOOD,
    failure: Sequence[str] = (),
    informational: Sequence[str] = (),
    **manifest: object,
) -> Report:
    results = {
        "success": said(success),
        "informational": said(informational),
        "failure": said(failure),
    }
    read = read_crjson(
        {"manifests": [{"label": "urn:c2pa:1", "validationResults": results, **manifest}]}
    )
    assert read is not None
    return read


def verdict(
    read: Report, *, binding: Sequence[Check] | None = None, has_trust: bool = True
) -> ContentVerdict:
    checks = tuple(judge_report(read, binding=binding, has_trust=has_trust))
    return ContentVerdict(subject="x", media_type="image/png", checks=checks)


def test_what_was_said_to_hold_on_every_axis_is_verified() -> None:
    found = verdict(report())
    assert found.outcome is Outcome.VERIFIED
    for axis in (Axis.INTEGRITY, Axis.SIGNATURE, Axis.SIGNER, Axis.TIME):
        assert found.status_on(axis) is Status.HELD


@pytest.mark.parametrize(
    ("missing", "axis", "outcome"),
    [
        ("assertion.dataHash.match", Axis.INTEGRITY, Outcome.MALFORMED),
        ("claimSignature.validated", Axis.SIGNATURE, Outcome.MALFORMED),
        ("signingCredential.trusted", Axis.SIGNER, Outcome.UNTRUSTED_SIGNER),
        ("claimSignature.insideValidity", Axis.TIME, Outcome.INCONCLUSIVE),
    ],
)
def test_what_nobody_said_to_hold_does_not_hold(missing: str, axis: Axis, outcome: Outcome) -> None:
    found = verdict(report([code for code in GOOD if code != missing]))
    assert (found.outcome, found.status_on(axis)) == (outcome, Status.FAILED)


@pytest.mark.parametrize("code", STATUSES)
def test_each_failure_decides_on_its_axis(code: str) -> None:
    found = verdict(report(failure=[code]))
    meaning = STATUSES[code]
    assert found.outcome is meaning.outcome
    assert found.code == meaning.code
    assert meaning.code in {check.code for check in found.on(meaning.axis)}


def test_a_failure_that_nobody_knows_is_malformed_and_named() -> None:
    found = verdict(report(failure=["assertion.newThing.mismatch"]))
    assert (found.outcome, found.code) == (Outcome.MALFORMED, "status-unknown")
    assert "assertion.newThing.mismatch" in found.sentence


def test_an_untrusted_signer_is_not_a_changed_file() -> None:
    found = verdict(report(GOOD[1:], failure=["signingCredential.untrusted"]))
    assert (found.outcome, found.code) == (Outcome.UNTRUSTED_SIGNER, "signer-untrusted")
    assert found.status_on(Axis.INTEGRITY) is Status.HELD


def test_without_anybody_trusted_that_is_what_is_said() -> None:
    read = report(GOOD[1:], failure=["signingCredential.untrusted"])
    assert verdict(read, has_trust=False).code == "no-trust-given"


def test_a_change_comes_before_an_untrusted_signer() -> None:
    failures = ["signingCredential.untrusted", "assertion.dataHash.mismatch"]
    assert verdict(report(failure=failures)).outcome is Outcome.TAMPERED


def test_our_own_check_of_the_bytes_stands_in_place_of_the_engines() -> None:
    wrong_place = report(GOOD[:4], failure=["assertion.dataHash.mismatch"])
    good = verdict(wrong_place, binding=[held("content-matches", "the same")])
    assert good.outcome is Outcome.VERIFIED
    bad = failed("content-changed", Outcome.TAMPERED, "not the same")
    assert verdict(report(), binding=[bad]).outcome is Outcome.TAMPERED


def test_our_own_check_replaces_no_other_failure() -> None:
    other = report(failure=["assertion.bmffHash.mismatch"])
    found = verdict(other, binding=[held("content-matches", "the same")])
    assert found.outcome is Outcome.TAMPERED


def test_one_status_said_twice_is_one_check() -> None:
    found = verdict(report(failure=["assertion.dataHash.mismatch"] * 3))
    assert [check.code for check in found.on(Axis.INTEGRITY)] == [
        "content-matches",
        "content-changed",
    ]


def test_an_untrusted_timestamp_is_told_and_refuses_nothing() -> None:
    found = verdict(report(informational=["timeStamp.untrusted"]))
    assert found.outcome is Outcome.VERIFIED
    assert {check.status for check in found.on(Axis.TIME)} == {Status.HELD, Status.WARNED}


def test_a_timestamp_counts_only_if_trusted() -> None:
    stamp = {"timeStampInfo": {"timestamp": "2026-01-01T00:00:00+00:00"}}
    both = ["timeStamp.validated", "timeStamp.trusted"]
    assert timestamp_of(report(both, signature=stamp).active).startswith("2026")
    assert timestamp_of(report(both[:1], signature=stamp).active) == ""


def ingredient(
    recorded: Sequence[str] = (), success: Sequence[str] = (), failure: Sequence[str] = ()
) -> Report:
    return report(
        assertions={
            "c2pa.ingredient.v3": {
                "dc:title": "model",
                "relationship": "inputTo",
                "activeManifest": {"url": "self#jumbf=/c2pa/urn:c2pa:2"},
                "validationResults": {"activeManifest": {"failure": said(recorded)}},
            }
        },
        ingredientDeltas=[
            {
                "ingredientAssertionURI": INGREDIENT,
                "validationDeltas": {"success": said(success), "failure": said(failure)},
            }
        ],
    )


def checks_of(read: Report) -> list[AxisCheck]:
    return list(ingredient_checks(ingredient_reports(read)))


def test_an_ingredient_whose_manifest_is_the_one_taken_in_holds() -> None:
    read = ingredient(success=["ingredient.manifest.validated"])
    (one,) = ingredient_reports(read)
    assert (one.title, one.relationship, one.manifest) == ("model", "inputTo", "urn:c2pa:2")
    assert one.outcome is Outcome.VERIFIED
    assert [check.status for _, check in checks_of(read)] == [Status.HELD]


def test_a_changed_ingredient_fails_the_content() -> None:
    ((_, check),) = checks_of(ingredient(failure=["ingredient.manifest.mismatch"]))
    assert (check.status, check.outcome) == (Status.FAILED, Outcome.TAMPERED)


def test_an_ingredient_of_a_stranger_warns_and_has_its_own_verdict() -> None:
    read = ingredient(
        success=["ingredient.manifest.validated"], failure=["signingCredential.untrusted"]
    )
    assert ingredient_reports(read)[0].outcome is Outcome.UNTRUSTED_SIGNER
    assert Status.FAILED not in {check.status for _, check in checks_of(read)}


def test_an_ingredient_of_which_nothing_is_said_fails() -> None:
    ((_, check),) = checks_of(ingredient())
    assert (check.status, check.code) == (Status.FAILED, "ingredient-not-shown")


def test_what_its_signer_recorded_of_an_ingredient_is_told_as_recorded() -> None:
    read = ingredient(["assertion.dataHash.mismatch"], success=["ingredient.manifest.validated"])
    warnings = [c for _, c in checks_of(read) if c.status is Status.WARNED]
    assert [w.code for w in warnings] == ["content-changed"]
    assert "recorded" in warnings[0].sentence


def test_no_ingredients_are_no_failure() -> None:
    ((axis, check),) = checks_of(report())
    assert (axis, check.status) == (Axis.INGREDIENTS, Status.NOT_CHECKED)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("trainedAlgorithmicMedia", "ai-disclosed"),
        ("digitalCapture", "source-disclosed"),
        ("", "source-undisclosed"),
    ],
)
def test_what_it_says_of_its_making_never_fails(source: str, code: str) -> None:
    check = disclosure_check(Disclosure(digital_source_type=source)).check
    assert check.code == code
    assert check.status is not Status.FAILED


def test_names_out_of_a_manifest_are_escaped() -> None:
    read = report(
        assertions={
            "c2pa.actions.v2": {"actions": [{"digitalSourceType": "http://x/\x1b[31mred"}]},
            "c2pa.ai-disclosure": {"modelName": "m\n\x07"},
        },
        signature={"certificateInfo": {"subject": {"CN": "a\x1b[2J"}}},
    )
    disclosed = disclosure_of(read.active)
    signer = signer_of(read.active, trusted_by="", timestamp="")
    for text in (disclosed.digital_source_type, disclosed.model_name, signer.common_name):
        assert text
        assert text.isprintable()


@pytest.mark.parametrize("document", [None, [], {}, {"manifests": []}, {"manifests": "x"}])
def test_a_report_without_a_manifest_is_none(document: object) -> None:
    assert read_crjson(document) is None


def test_a_report_of_wrong_types_makes_nothing_hold() -> None:
    read = read_crjson({"manifests": [{"label": 1, "validationResults": {"success": ["x", 1]}}]})
    assert read is not None
    assert verdict(read).outcome is Outcome.MALFORMED


def test_a_verdict_on_content_is_no_boolean() -> None:
    with pytest.raises(TypeError):
        bool(verdict(report()))
