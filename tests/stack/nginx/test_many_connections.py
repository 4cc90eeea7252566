"""Two thousand clients at once: each is answered, or told which limit it has met. None is dropped."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable

import pytest
from tests.stack.nginx.parts.edge import Edge, Place
from tests.stack.nginx.parts.talk import Client
from tests.stack.parts.stack import until

CLIENTS = 2000
# The stand-in holds each request for as long as it takes that all have come.
REQUEST = b'GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-do: {"stream": 1, "every": 5}\r\n\r\n'


async def ask(port: int, trust: ssl.SSLContext, connected: asyncio.Semaphore, everyone: asyncio.Event) -> str:
    """The status of one request, sent when every client is connected; `dropped` where the connection just ends."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, ssl_handshake_timeout=90)
    except OSError as error:
        connected.release()
        return f"dropped: {error}"
    connected.release()
    await everyone.wait()
    try:
        writer.write(REQUEST)
        await writer.drain()
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 90)
        return head.split()[1].decode()
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        return f"dropped: {type(error).__name__}"
    finally:
        writer.transport.abort()


async def all_at_once(port: int, client: Client) -> Counter[str]:
    trust = ssl.create_default_context(cafile=str(client.trusted))
    connected, everyone = asyncio.Semaphore(0), asyncio.Event()
    tasks = [asyncio.create_task(ask(port, trust, connected, everyone)) for _ in range(CLIENTS)]
    for _ in tasks:
        await connected.acquire()
    everyone.set()
    return Counter(await asyncio.gather(*tasks))


def started(place: Place, where: str, **environment: str) -> Edge:
    gateway = place.stand_in()
    return place.edge(**environment) if where == "docker" else place.native_edge(gateway, **environment)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["docker", "native"])
@pytest.mark.parametrize(("limit", "refused"), [("1024", CLIENTS - 1024), ("0", 0)])
def test_each_is_answered_or_refused_by_name_and_none_is_dropped(
    place: Place, where: str, limit: str, refused: int, measured: Callable[[str], None]
) -> None:
    edge = started(place, where, CONNECTIONS_PER_IP=limit, RATE_LIMIT_RPS="0")
    client = Client(edge, place.tls / "cert.pem")
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found")
    statuses = asyncio.run(all_at_once(edge.port(443), client))
    measured(f"{CLIENTS} connections at once, {where}, CONNECTIONS_PER_IP={limit}: {dict(statuses)}")
    assert not [status for status in statuses if status.startswith("dropped")]
    assert set(statuses) <= {"200", "429"}
    assert statuses["429"] <= refused
    assert client.ask("/livez").status == 200
