"""The native programs of the benchmarks, a mock engine in a process of its own, and the benchmarks' own one."""

import subprocess
from collections.abc import Iterator

import pytest
from benchmarks import native_programs
from tests.support.mock_client import MockClient

from mock_engine.process import ready_port


@pytest.fixture(scope="session")
def running_mock() -> Iterator[MockClient]:
    with MockClient.run() as mock:
        yield mock


@pytest.fixture
def mock(running_mock: MockClient) -> MockClient:
    """A mock engine with default behaviour and all counters at zero."""
    running_mock.restore(owned_by="vllm")
    return running_mock


@pytest.fixture(scope="session")
def programs() -> native_programs.NativePrograms:
    try:
        return native_programs.build()
    except native_programs.CompilerError as error:
        pytest.skip(str(error))


@pytest.fixture
def native_engine(programs: native_programs.NativePrograms) -> Iterator[int]:
    """The port of the benchmarks' mock engine."""
    with subprocess.Popen([str(programs.mock_engine)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = ready_port(process.stdout.readline())
            assert port
            yield port
        finally:
            process.kill()
