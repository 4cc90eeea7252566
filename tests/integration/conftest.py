"""Real services for the tests: engines that start once, gateways with 1, 2 and 4 workers, OpenAI's own SDK."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import openai
import pytest
from tests.support.engine import Engine
from tests.support.gateway import Gateway
from tests.support.program import HOST, free_port
from tests.support.services import Services

# Without .venv-vllm the Makefile deselects these by their marker; selected all the same, they fail and say why.
VLLM = pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.timeout(500)])


@pytest.fixture(scope="module")
def module_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services that live as long as one file of tests."""
    with contextlib.ExitStack() as exits:
        yield Services(tmp_path_factory.mktemp("module"), exits)


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services that live as long as one test."""
    with contextlib.ExitStack() as exits:
        yield Services(tmp_path_factory.mktemp("test"), exits)


@pytest.fixture(scope="session", params=["llamacpp", VLLM])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each real engine in turn, with the demo model."""
    with contextlib.ExitStack() as exits:
        services = Services(tmp_path_factory.mktemp(request.param), exits)
        yield services.vllm() if request.param == "vllm" else services.llamacpp()


@pytest.fixture(scope="session")
def gateway_of(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Gateway]]:
    """Gateways for the engine, by their number of workers; each starts when it is first requested."""
    known: dict[int, Gateway] = {}
    with contextlib.ExitStack() as exits:
        services = Services(tmp_path_factory.mktemp("gateways"), exits)

        def gateway_of(workers: int) -> Gateway:
            if workers not in known:
                known[workers] = services.gateway(engine, workers=workers)
            return known[workers]

        yield gateway_of


@pytest.fixture(params=[1, 2, 4], ids=lambda workers: f"{workers}w")
def gateway(request: pytest.FixtureRequest, gateway_of: Callable[[int], Gateway]) -> Gateway:
    """A gateway for the engine. A file whose tests need only one sets its number of workers."""
    return gateway_of(request.param)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK."""
    transport = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=60, http_client=transport
    ) as sdk:
        yield sdk


@pytest.fixture
async def aclient(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's SDK, asynchronous."""
    transport = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=60, http_client=transport
    ) as sdk:
        yield sdk


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that is already in use."""
    port = free_port()
    with socket.create_server((HOST, port)):
        yield port
