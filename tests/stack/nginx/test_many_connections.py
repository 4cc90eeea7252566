"""Two thousand clients at once: each is answered, or refused with the limit that it exceeds. None is dropped."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable

import pytest
from tests.support.compose.stack import until
from tests.support.http.async_connection import AsyncConnection
from tests.support.nginx.client import NginxClient
from tests.support.nginx.containers import Sandbox

CLIENTS = 2000
HANDSHAKES = 100  # this process is slower than nginx, which gives each of them ten seconds
# The fake upstream holds each request until all have arrived.
REQUEST = b'GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-do: {"stream": 1, "every": 12}\r\n\r\n'


async def request(port: int, trust: ssl.SSLContext, handshakes: asyncio.Semaphore) -> str:
    """The status of one request; `dropped` where the connection just ends."""
    try:
        async with handshakes:
            connection = await AsyncConnection.open(port, tls=trust)
            connection.send(REQUEST)
    except OSError as error:
        return f"dropped: {type(error).__name__}"
    try:
        return str((await connection.read_response()).status)
    except (OSError, asyncio.IncompleteReadError) as error:
        return f"dropped: {type(error).__name__}"
    finally:
        connection.abort()


async def all_at_once(port: int, client: NginxClient) -> Counter[str]:
    trust = ssl.create_default_context(cafile=str(client.trusted))
    handshakes = asyncio.Semaphore(HANDSHAKES)
    return Counter(await asyncio.gather(*(request(port, trust, handshakes) for _ in range(CLIENTS))))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["docker", "native"])
@pytest.mark.parametrize(("limit", "refused"), [("1024", CLIENTS - 1024), ("0", 0)])
def test_each_is_answered_or_refused_with_a_code_but_never_dropped(
    sandbox: Sandbox, where: str, limit: str, refused: int, measured: Callable[[str], None]
) -> None:
    nginx = sandbox.start_nginx(where, CONNECTIONS_PER_IP=limit, RATE_LIMIT_RPS="0")
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    statuses = asyncio.run(all_at_once(nginx.port(443), client))
    measured(f"{CLIENTS} connections at once, {where}, CONNECTIONS_PER_IP={limit}: {dict(statuses)}")
    assert not [status for status in statuses if status.startswith("dropped")]
    # The fake upstream is one slow process: what it does not accept in time is reported too, but is rare.
    assert set(statuses) <= {"200", "429", "502", "504"}
    assert statuses["502"] + statuses["504"] <= CLIENTS * 0.05
    assert statuses["429"] <= refused
    assert client.request("/livez").status == 200
