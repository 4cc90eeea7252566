"""The workers of a gateway: their pids, and connections to a particular one."""

import asyncio
from collections.abc import Collection

from tests.integration.ledger.scraper import scrape
from tests.support.gateway import Gateway
from tests.support.http.async_connection import AsyncConnection
from tests.support.http.message import encode_request
from tests.support.program import frozen, until

_START_S = 60.0


async def wait_all_up(gateway: Gateway, *, without: Collection[int] = ()) -> list[int]:
    """The pids of all workers, once all are there, none of them in `without`, and all serve."""

    def up() -> bool:
        pids = gateway.program.children()
        return len(pids) == gateway.workers and not set(without).intersection(pids) and gateway.is_up()

    await asyncio.to_thread(until, up, _START_S, "all workers are up")
    pids = gateway.program.children()
    for pid in pids if without else ():  # a worker accepts once it has polled every engine
        for connection in await connect_to_worker(gateway, pid, 1):
            connection.close()
    return pids


async def connect_to_worker(gateway: Gateway, pid: int, number: int) -> list[AsyncConnection]:
    """Connections that this worker has accepted: the others are stopped while they are opened."""
    with frozen(*(other for other in gateway.program.children() if other != pid)):
        async with asyncio.timeout(_START_S):
            return [await _connect(gateway.port) for _ in range(number)]


async def wait_in_flight(gateway: Gateway, expected: int) -> None:
    """Returns once the gauge has this value, summed over all models and workers."""
    await asyncio.to_thread(until, lambda: _in_flight(gateway) == expected, 20, f"{expected} in flight")


def _in_flight(gateway: Gateway) -> float:
    return sum(value for name, value in scrape(gateway).items() if name.startswith("gateway_inflight_requests{"))


async def _connect(port: int) -> AsyncConnection:
    connection = await AsyncConnection.open(port)
    connection.send(encode_request("/livez", method="GET"))
    await connection.read_to_end()
    assert connection.status == 200
    return connection
