"""More connections at once than the limits allow: each is answered, or refused with a code; none is dropped."""

import asyncio
import contextlib
import json
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import DEMO
from tests.support.gateway import Gateway
from tests.support.http.async_connection import AsyncConnection
from tests.support.http.connection import RawConnection
from tests.support.http.message import encode_request
from tests.support.mock import Mock, chat
from tests.support.program import until
from tests.support.services import Services

pytestmark = pytest.mark.serial  # thousands of connections at once, on all cores

AT_ONCE = 2_000
OPEN_AT_ONCE = 1_000
# The engine, on the same cores, gets as many connections at once: it is not what is tested here.
LONG_TIMEOUTS = dict.fromkeys(("HEADER_TIMEOUT", "TTFT_TIMEOUT", "CONNECT_TIMEOUT"), "60")


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Raises the limit of open files: the test itself opens thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def mock(services: Services) -> Mock:
    return services.mock()


async def all_at_once(gateway: Gateway, count: int, body: dict[str, Any] | None = None) -> Counter[str]:
    """Connects this many clients, lets each send a request once all are connected, and counts the results."""
    request = encode_request("/v1/chat/completions", body or chat(), key=gateway.key)
    all_connected = asyncio.Event()
    connected = 0

    async def send() -> str:
        nonlocal connected
        try:
            connection = await AsyncConnection.open(gateway.port)
            connected += 1
            if connected == count:
                all_connected.set()
            await all_connected.wait()
            connection.send(request)
            response = await connection.read_response()
        except (OSError, asyncio.IncompleteReadError) as error:
            return f"dropped: {error!r}"
        connection.close()
        content = json.loads(response.body)
        if response.status == HTTPStatus.OK and "choices" in content:
            return "answered"
        refused = response.status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in response.headers
        return "refused" if refused and content["error"]["code"] == "too_many_connections" else str(content)

    async with asyncio.timeout(90):
        return Counter(await asyncio.gather(*(send() for _ in range(count))))


@pytest.mark.parametrize("most", ["2048", "500"])
def test_thousands_of_connections_at_once_are_answered_or_refused_but_never_dropped(
    services: Services, mock: Mock, most: str, measured: Callable[[str], None]
) -> None:
    gateway = services.gateway(mock, MAX_CONNECTIONS=most, **LONG_TIMEOUTS)
    results = asyncio.run(all_at_once(gateway, AT_ONCE))
    measured(f"{AT_ONCE} connections at once, MAX_CONNECTIONS={most}: {dict(results)}")
    assert set(results) <= {"answered", "refused"}
    assert results["answered"] >= min(int(most), AT_ONCE)
    assert gateway.is_ready()
    assert gateway.scrape_when_idle().total("gateway_engine_ejections_total") == 0


@pytest.mark.timeout(300)
def test_a_soft_limit_of_1024_files_fails_none_of_1000_open_streams(
    services: Services, measured: Callable[[str], None]
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))  # the limit that gateway and launcher inherit
    engine = services.llamacpp(LLAMACPP_CTX="1024")
    gateway = services.gateway(engine, **LONG_TIMEOUTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pids = [*gateway.program.children(), engine.engine_pid()]
    assert [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids] == [(hard, hard)] * 2
    with contextlib.ExitStack() as exits:
        # Long responses occupy all slots until all streams are open.
        long_streams = [exits.enter_context(stream(gateway, 1_000)) for _ in range(100)]
        streams: list[RawConnection] = []
        while len(streams) < OPEN_AT_ONCE:
            streams += [exits.enter_context(stream(gateway, 1)) for _ in range(50)]
            wait_until_open(gateway, len(streams))
        open_files = len(list(Path(f"/proc/{engine.engine_pid()}/fd").iterdir()))
        for long_stream in long_streams:
            long_stream.close()
        results = Counter(result_of(open_stream) for open_stream in streams)
    measured(f"{len(streams)} open streams, soft nofile 1024: {dict(results)}; llama.cpp had {open_files} files open")
    assert results == {"streamed": OPEN_AT_ONCE}
    assert gateway.scrape_when_idle().total("gateway_engine_ejections_total") == 0


@pytest.mark.timeout(300)
def test_1500_requests_in_one_instant_are_all_answered_by_one_llama_cpp(
    services: Services, measured: Callable[[str], None]
) -> None:
    """It accepts the connections at once, and closes those on which nothing arrives for 5 s."""
    engine = services.llamacpp(LLAMACPP_CTX="1024")
    gateway = services.gateway(engine, HEADER_TIMEOUT="60")
    question = {"model": DEMO, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    results = asyncio.run(all_at_once(gateway, 1_500, question))
    measured(f"1500 requests in one instant to one llama.cpp: {dict(results)}")
    assert results == {"answered": 1_500}
    assert gateway.scrape_when_idle().total("gateway_engine_ejections_total") == 0


def wait_until_open(gateway: Gateway, count: int) -> None:
    until(lambda: gateway.scrape().total("gateway_inflight_requests") >= count, 60, f"{count} streams are open")


def stream(gateway: Gateway, tokens: int) -> RawConnection:
    """A connection on which a stream has been requested."""
    question = {"model": DEMO, "messages": [{"role": "user", "content": "Hello"}]}
    body = {**question, "stream": True, "max_tokens": tokens, "ignore_eos": True}
    return RawConnection(gateway.port, timeout=120).send(encode_request("/v1/chat/completions", body, key=gateway.key))


def result_of(connection: RawConnection) -> str:
    try:
        response = connection.read_response()
    except (OSError, EOFError) as error:
        return f"dropped: {error!r}"
    return (
        "streamed" if response.status == HTTPStatus.OK and response.event_data[-1] == b"[DONE]" else str(response.body)
    )


def test_with_64_descriptors_it_serves_warns_and_neither_spins_nor_ejects_an_engine(
    services: Services, mock: Mock, measured: Callable[[str], None]
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gateway = services.gateway(mock, HEADER_TIMEOUT="60")
    (worker,) = gateway.program.children()
    resource.prlimit(gateway.program.pid, resource.RLIMIT_NOFILE, (64, 64))
    # The next worker inherits its master's limit.
    gateway.program.send(signal.SIGHUP)
    until(lambda: gateway.is_up() and worker not in gateway.program.children(), 30, "the new worker is up")
    until(gateway.is_ready, 20, "the engine is ready again")
    (worker,) = gateway.program.children()
    assert any("MAX_CONNECTIONS" in str(line) and "descriptors" in str(line) for line in gateway.lines())
    idle = [RawConnection(gateway.port) for _ in range(200)]
    try:
        before = cpu_s(worker)
        time.sleep(2)
        assert cpu_s(worker) - before < 1, "it busy-waits"
        assert len(list(Path(f"/proc/{worker}/fd").iterdir())) < 64
    finally:
        for raw in idle:
            raw.socket.close()
    results = asyncio.run(asyncio.wait_for(one_by_one(gateway), 60))
    measured(f"with 64 descriptors, after 200 idle clients: {dict(results)}")
    assert set(results) <= {"answered", "refused"}
    assert results["answered"] > 0
    assert gateway.scrape_when_idle().total("gateway_engine_ejections_total") == 0
    assert hard > 64


async def one_by_one(gateway: Gateway) -> Counter[str]:
    return sum([await all_at_once(gateway, 1) for _ in range(20)], Counter[str]())


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
