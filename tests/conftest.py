"""For every test: folders of scripts that can be imported, no long pauses, figures at the end, and an orderly end."""

import gc
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `benchmarks` and `tests` are installed nowhere

from tests.support.scheduling import (
    pytest_collection_modifyitems,
    pytest_configure_node,
    pytest_xdist_make_scheduler,
)

__all__ = ["pytest_collection_modifyitems", "pytest_configure_node", "pytest_xdist_make_scheduler"]

_MEASURED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MEASURED] = []
    # When pytest is ended from outside, for example by `timeout`, it stops what it has started: as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Garbage is collected between files, and what collecting the tests has made is left out.

    Left to itself the collector goes through half a million objects and stands still for a third of a second, in the
    middle of tests that keep time with a gateway on their own event loop.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 1_000_000)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path != item.path:
        gc.collect()


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a figure, or a table of them, to show at the end of the run."""
    return request.config.stash[_MEASURED].append


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its figures to the process that shows them."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["measured"] = session.config.stash[_MEASURED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Called where the figures are shown, for each worker that has ended; one that crashed has none."""
    node.config.stash[_MEASURED].extend(getattr(node, "workeroutput", {}).get("measured", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[_MEASURED]:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
