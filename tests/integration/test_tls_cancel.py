"""Clients that close TLS but not TCP, as aiohttp does: what nginx and the gateway can know of it.

nginx reads nothing from such a client while it waits for the gateway, so the close lies unread in its socket. What is
sent next meets a closed connection, and only then does the gateway learn that the client has gone: docs/metrics.md.
"""

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from tests.support.gateway import Gateway
from tests.support.mock import Mock, chat
from tests.support.native import needs_nginx
from tests.support.native_nginx import Nginx
from tests.support.program import HOST, until
from tests.support.services import Services

from observability.settings import TTFT_SLOW_SECONDS

pytestmark = needs_nginx

_CHAT = "/v1/chat/completions"
_CANCELS = 20
_PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def mock(module_services: Services) -> Mock:
    return module_services.mock()


@pytest.fixture(scope="module")
def gateway(module_services: Services, mock: Mock) -> Gateway:
    return module_services.gateway(mock)


@pytest.fixture(scope="module")
def nginx(module_services: Services, gateway: Gateway) -> Iterator[Nginx]:
    nginx = Nginx.start(module_services.directory, gateway.port, RATE_LIMIT_RPS="0")
    yield nginx
    nginx.program.stop()


async def _cancel_all(nginx: Nginx, gateway: Gateway, mock: Mock, *, stream: bool) -> None:
    """Cancels requests that wait for their first byte, and has the engine answer after the objective."""
    trust = ssl.create_default_context(cafile=str(nginx.trusted))
    trust.check_hostname = False
    headers = {"authorization": f"Bearer {gateway.key}"}
    barrier = f"stream-{stream}"
    body = chat(stream=stream, mock={"barrier": barrier, "tokens": 50, "interval_s": 0.2 if stream else 0.0})
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=0), headers=headers) as session:

        async def send() -> None:
            async with session.post(f"https://{HOST}:{nginx.port}{_CHAT}", json=body) as response:
                await response.read()

        tasks = [asyncio.create_task(send()) for _ in range(_CANCELS)]
        await asyncio.to_thread(mock.wait_for, lambda stats: _waiting(stats, barrier) == _CANCELS, _PATIENCE_S)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), "no answer came before"
        await asyncio.sleep(TTFT_SLOW_SECONDS + 0.5)
        assert _waiting(mock.stats(), barrier) == _CANCELS, "noticed before anything was sent: docs/metrics.md says not"
        mock.change(release=[barrier])
        # The session stays open meanwhile: the end of a program would close TCP too.
        await asyncio.to_thread(
            until, lambda: gateway.scrape().total("gateway_inflight_requests") == 0, _PATIENCE_S, "all have ended"
        )


def _waiting(stats: dict[str, Any], barrier: str) -> int:
    return int(stats["at_barriers"].get(barrier, 0))


async def test_cancelled_streams_add_no_slow_first_token(nginx: Nginx, gateway: Gateway, mock: Mock) -> None:
    mock.restore()
    await _cancel_all(nginx, gateway, mock, stream=True)
    samples = gateway.scrape()
    assert samples.total("gateway_requests_total", stream="true", outcome="cancelled") == _CANCELS
    assert samples.total("gateway_requests_total", stream="true") == _CANCELS
    for name in ("gateway_time_to_first_token_seconds_count", "gateway_key_time_to_first_token_seconds_count"):
        assert samples.total(name) == 0
    lines = gateway.lines(event="request", stream=True)
    assert [line["ttft_ms"] > 1_000 * TTFT_SLOW_SECONDS for line in lines] == [True] * _CANCELS, "the log keeps it"
    mock.wait_idle()
    assert (mock.stats()["cancelled"], mock.stats()["finished"]) == (_CANCELS, 0), "the first byte ends them"


async def test_cancelled_plain_requests_cannot_be_known(nginx: Nginx, gateway: Gateway, mock: Mock) -> None:
    """A plain answer is sent in one piece: nginx never says whether anybody has read it."""
    mock.restore()
    await _cancel_all(nginx, gateway, mock, stream=False)
    samples = gateway.scrape()
    assert samples.total("gateway_requests_total", stream="false", outcome="ok", route=_CHAT) == _CANCELS
    assert mock.stats()["finished"] == _CANCELS
