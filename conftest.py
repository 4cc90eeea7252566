"""For every test run: with `--forbid-skips` a skipped test fails, so that no machine passes by lacking a part."""

from collections.abc import Generator

import pytest
from pluggy import Result


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    parser.addoption("--forbid-skips", action="store_true", help="a skipped test fails the run (CI)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Result[pytest.TestReport], None]:
    """Turns a skip into a failure that gives the skip's reason."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("--forbid-skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which this run forbids: {report.longrepr}"
