"""The workers of a gateway: which there are, and a connection to the very one that is wanted."""

import asyncio
from collections.abc import Collection

from tests.integration.ledger.sampler import lines
from tests.support.gateway import Gateway
from tests.support.http.async_connection import AsyncConnection
from tests.support.http.message import encode_request
from tests.support.program import frozen, until

_START_S = 60.0


async def all_up(gateway: Gateway, *, without: Collection[int] = ()) -> list[int]:
    """The pids of all workers, once there are as many as there should be, none of those `without`, and all serve."""

    def up() -> bool:
        pids = gateway.program.children()
        return len(pids) == gateway.workers and not set(without).intersection(pids) and gateway.is_up()

    await asyncio.to_thread(until, up, _START_S, "all workers are up")
    pids = gateway.program.children()
    for pid in pids if without else ():  # it accepts once it has looked at every engine
        for wire in await pinned(gateway, pid, 1):
            wire.close()
    return pids


async def pinned(gateway: Gateway, pid: int, number: int) -> list[AsyncConnection]:
    """Connections that this worker has accepted: while they are opened, the others stand still."""
    with frozen(*(other for other in gateway.program.children() if other != pid)):
        async with asyncio.timeout(_START_S):
            return [await _accepted(gateway.port) for _ in range(number)]


async def in_flight(gateway: Gateway, expected: int) -> None:
    """Returns once the gauge says so many, over all models and workers."""
    await asyncio.to_thread(until, lambda: _inflight(gateway) == expected, 20, f"{expected} in flight")


def _inflight(gateway: Gateway) -> float:
    return sum(value for name, value in lines(gateway).items() if name.startswith("gateway_inflight_requests{"))


async def _accepted(port: int) -> AsyncConnection:
    wire = await AsyncConnection.open(port)
    wire.send(encode_request("/livez", method="GET"))
    await wire.read_to_end()
    assert wire.status == 200
    return wire
