"""What every test shares: which Countermark is tested, and what a skip may mean.

Fixtures and helpers live in `tests/support`, imported as `support`; nothing here replaces
anything in the code under test.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

import countermark

INTEROP_FOLDER = Path(__file__).parent / "interop"
REQUIRE_INTEROP = "COUNTERMARK_REQUIRE_INTEROP"


def pytest_report_header() -> str:
    """Say which copy is tested: a wheel in site-packages, or the working tree."""
    return f"countermark {countermark.__version__} from {Path(countermark.__file__).parent}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below tests/interop, so that `-m 'not interop'` leaves nothing behind."""
    for item in items:
        if item.path.is_relative_to(INTEROP_FOLDER):
            item.add_marker(pytest.mark.interop)


def _must_not_skip(path: Path) -> bool:
    return os.environ.get(REQUIRE_INTEROP) == "1" and path.is_relative_to(INTEROP_FOLDER)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as a skip too, but it ran.
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_INTEROP}=1, yet this was skipped: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped interoperability test into a failed one where the peers must be there."""
    report = yield
    if _must_not_skip(item.path):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a module that skips itself, as `pytest.importorskip` at its top does."""
    report = yield
    if _must_not_skip(collector.path):
        _refuse_skip(report)
    return report
