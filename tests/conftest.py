"""What every test may rely on: the folders of scripts (`benchmarks`, `tests`) can be imported, and no long pauses."""

import gc
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.scheduling import (
    pytest_collection_modifyitems,
    pytest_configure_node,
    pytest_xdist_make_scheduler,
)

__all__ = ["pytest_collection_modifyitems", "pytest_configure_node", "pytest_xdist_make_scheduler"]


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
