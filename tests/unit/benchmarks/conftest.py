"""A mock engine in a process of its own."""

from collections.abc import Iterator

import pytest
from tests.support.mock_client import MockClient


@pytest.fixture(scope="session")
def running_mock() -> Iterator[MockClient]:
    with MockClient.run() as mock:
        yield mock


@pytest.fixture
def mock(running_mock: MockClient) -> MockClient:
    """A mock engine with default behaviour and all counters at zero."""
    running_mock.restore(owned_by="vllm")
    return running_mock
