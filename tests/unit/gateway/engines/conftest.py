"""What the tests of engines share."""

from __future__ import annotations

import pytest
from tests.support.in_process.engines import FakeEngineObserver


@pytest.fixture
def observer() -> FakeEngineObserver:
    return FakeEngineObserver()
