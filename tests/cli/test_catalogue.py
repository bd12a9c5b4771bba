"""specs/cli.md lists every code there is in the sources, with the exit code it leads to."""

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import countermark
from countermark import Error, cli, provenance, signing, watermark
from countermark.cli import cert as cert_verbs
from countermark.cli import content as content_verbs
from countermark.cli import watermark as watermark_verbs
from countermark.cli.content import trust as trust_verbs
from countermark.cli.exits import EXIT_OF, exit_code_of
from countermark.cli.watermark.answers import exit_of
from countermark.provenance.errors import ContentRefusedError
from countermark.provenance.scan_worker import NOT_JUDGED
from countermark.provenance.statuses import HOLDING, STATUSES, UNKNOWN
from countermark.signing.errors import VerificationError
from countermark.signing.verdict import Outcome, Verdict
from countermark.watermark.verdict import Answer
from support.command import ROOT, SCHEMAS

SPEC = (ROOT / "specs/cli.md").read_text(encoding="utf-8")
ROWS = {
    code: {int(exit_code) for exit_code in exits.split(", ") if exit_code != "-"}
    for code, exits in re.findall(
        r"^\| `([a-z0-9-]+)` \| ([-\d, ]+) \|", SPEC.partition("## 3.")[2], re.M
    )
}
PACKAGES = (
    signing,
    cli,
    watermark,
    watermark_verbs,
    provenance,
    content_verbs,
    trust_verbs,
    cert_verbs,
)
CHECKS = {"held", "failed", "warned", "not_checked", "_untrusted"}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__):
            path = Path(package.__path__[0]) / f"{module.name}.py"
            if not module.ispkg:
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def calls() -> Iterator[tuple[str, ast.Call]]:
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id, node


def kinds_of_findings() -> set[str]:
    """Return the third argument of `_finding`, and the `kind` of `Finding`, in the sources."""
    kinds = set()
    for name, call in calls():
        values = [word.value for word in call.keywords if word.arg == "kind"]
        if name == "_finding" and len(call.args) > 2:
            values.append(call.args[2])
        if name in ("_finding", "Finding"):
            kinds |= {v.value for v in values if isinstance(v, ast.Constant)}
    return {str(kind) for kind in kinds}


def reasons() -> set[str]:
    """Return the keys of the table `_REASONS`, wherever it lies."""
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_REASONS":
                return set(ast.literal_eval(node.value))
    raise LookupError("_REASONS")


def codes_of(argument: ast.expr) -> set[str]:
    """Return the codes that the first argument of a check can be; none if an error's own."""
    match ast.unparse(argument):
        case "code" | "error.code" | "e.code" | "check.code" | "meaning.code":
            return set()  # Handed on: the class, or the caller, has it.
        case "prefix + _moment_code(certificate, at)":
            moments = ("certificate-expired", "certificate-not-yet-valid")
            return {f"{prefix}{moment}" for prefix in ("", "issuer-") for moment in moments}
        case "f'file-{finding.kind}'":
            return {f"file-{kind}" for kind in kinds_of_findings()}
        case "f'not-covered-{reason}'":
            return {f"not-covered-{reason}" for reason in reasons()}
        case "f'{kind}-present'":
            return {f"{kind}-present" for kind in ("pickle", "code", "executable")}
        case text:
            assert isinstance(argument, ast.Constant), f"what codes can {text} be?"
            return {str(argument.value)}


def outcome_of(name: str, call: ast.Call) -> Outcome | None:
    if name == "_untrusted":
        return Outcome.UNTRUSTED_SIGNER
    text = ast.unparse(call.args[1]) if name == "failed" else ""
    return Outcome[text.removeprefix("Outcome.")] if text.startswith("Outcome.") else None


CHECK_CALLS = [(name, call) for name, call in calls() if name in CHECKS and call.args]


def error_classes() -> set[tuple[str, type[Error]]]:
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name != "countermark.watermark.huggingface":  # It needs torch.
                importlib.import_module(module.name)
    found: set[tuple[str, type[Error]]] = {(Error.code, Error)}
    waiting: list[type[Error]] = [Error]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith(countermark.__name__):
                found.add((kind.code, kind))
    return found


def test_the_sources_have_codes_to_compare() -> None:
    assert len(CHECK_CALLS) > 40
    assert len(error_classes()) > 20
    assert {"changed", "missing", "extra", "renamed"} <= kinds_of_findings()


def test_every_code_of_a_check_is_listed_with_its_exit_code() -> None:
    for name, call in CHECK_CALLS:
        outcome = outcome_of(name, call)
        for code in codes_of(call.args[0]):
            assert code in ROWS, f"{code} is not in specs/cli.md section 3"
            if outcome is not None:
                assert EXIT_OF[outcome] in ROWS[code], f"{code} leads to {EXIT_OF[outcome]}"


@pytest.mark.parametrize(("code", "kind"), sorted(error_classes(), key=str))
def test_every_code_of_an_error_is_listed_with_its_exit_code(code: str, kind: type[Error]) -> None:
    assert code in ROWS
    if issubclass(kind, (VerificationError, ContentRefusedError)):
        outcomes = set(EXIT_OF.values()) - {0}
        assert ROWS[code] == outcomes
        assert exit_code_of(VerificationError(Verdict(subject="", checks=()))) == 10
    else:
        # These two never reach a command's frame: one is a check, one is click's.
        elsewhere = {"signature-invalid": 11, "usage": 2}
        assert elsewhere.get(code, exit_code_of(kind.__new__(kind))) in ROWS[code]


def test_every_status_of_c2pa_is_listed_with_its_exit_code() -> None:
    for meaning in (*STATUSES.values(), UNKNOWN):
        # What c2pa says of a timestamp warns, and refuses nothing.
        warns = meaning.code.startswith("timestamp-")
        assert warns or EXIT_OF[meaning.outcome] in ROWS[meaning.code], meaning.code
    for _, code in HOLDING.values():
        assert ROWS[code] == set()


def test_nothing_is_listed_that_is_not_in_the_sources() -> None:
    known = {code for code, _ in error_classes()} | {outcome.value for outcome in Outcome}
    known |= {answer.value for answer in Answer}
    known |= {meaning.code for meaning in (*STATUSES.values(), UNKNOWN)}
    known |= {code for _, code in HOLDING.values()}
    known |= set(NOT_JUDGED)
    for _, call in CHECK_CALLS:
        known |= codes_of(call.args[0])
    assert set(ROWS) - known == set()


def test_exit_codes_are_listed_with_their_verdicts() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", SPEC, re.M))
    assert rows == {str(code): outcome.value for outcome, code in EXIT_OF.items()}


def test_every_schema_is_valid_and_listed() -> None:
    names = {path.name for path in SCHEMAS.glob("*.schema.json")}
    assert names == set(re.findall(r"\]\(cli/([a-z0-9-]+\.schema\.json)\)", SPEC))
    for name in names:
        schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["title"] == schema["properties"]["schema"]["const"]
        assert schema["title"].replace("/", "-") == f"countermark-{name.partition('.')[0]}"


def test_schema_of_verdicts_has_the_verdicts_there_are() -> None:
    schema = json.loads((SCHEMAS / "verdict-v1.schema.json").read_text(encoding="utf-8"))
    properties, definitions = schema["properties"], schema["$defs"]
    assert set(properties["verdict"]["enum"]) == {outcome.value for outcome in Outcome}
    assert set(properties["exit_code"]["enum"]) == set(EXIT_OF.values())
    assert set(definitions["finding"]["properties"]["kind"]["enum"]) == kinds_of_findings()
    items = definitions["coverage"]["properties"]["uncovered"]["items"]
    assert set(items["properties"]["reason"]["enum"]) == reasons() | {"not-present"}


def test_answers_are_listed_with_their_exit_codes_and_are_those_of_the_schemas() -> None:
    codes = {answer.value: {exit_of([answer])} - {0} for answer in Answer}
    assert {name: ROWS[name] for name in codes} == codes
    assert exit_of([]) == exit_of([Answer.NOT_FOUND, Answer.NOT_ENOUGH]) == 15
    assert exit_of([Answer.NOT_ENOUGH, Answer.FOUND, Answer.NOT_FOUND]) == 0
    for name in ("watermark-detect-v1", "watermark-scan-v1"):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
        assert schema["properties"]["verdict"]["enum"] == [answer.value for answer in Answer]
        assert set(schema["properties"]["exit_code"]["enum"]) == {exit_of([a]) for a in Answer}
