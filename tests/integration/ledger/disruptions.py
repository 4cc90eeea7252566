"""Disruptions of a gateway and its engines while requests are in progress; each records what the counters must show."""

import asyncio
import os
import signal
from collections.abc import Sequence

from tests.integration.ledger import request_cases as cases
from tests.integration.ledger.request_case import RequestCase
from tests.integration.ledger.traffic import HeldRequest, Traffic
from tests.integration.ledger.workers import connect_to_worker, wait_all_up, wait_in_flight
from tests.support.gateway import Gateway
from tests.support.http.async_connection import AsyncConnection
from tests.support.mock import Mock
from tests.support.samples import Series, series

_FAILURES_TO_EJECT = 5
# The retry budget grows with requests: five to one always suffice.
_FILLERS = 5
# An engine that broke a connection may still be chosen until it has been polled, which happens at once.
_POLLED_S = 2.0


async def kill_worker(gateway: Gateway, traffic: Traffic, load: Sequence[RequestCase], turn: int) -> None:
    """SIGKILL to a worker that holds one request of each kind, while the others are under load."""
    pids = await wait_all_up(gateway)
    victim = pids[turn % len(pids)]
    held = {pid: await _hold(gateway, traffic, pid, cases.HELD) for pid in pids}
    held[victim] += await _hold(gateway, traffic, victim, [cases.HALF_BODY])
    spare = {pid: await connect_to_worker(gateway, pid, len(load)) for pid in pids if pid != victim}
    await wait_in_flight(gateway, len(pids) * len(cases.HELD))
    os.kill(victim, signal.SIGKILL)
    async with asyncio.TaskGroup() as group:
        for request in held.pop(victim):
            group.create_task(request.expect_lost())
        for connections in spare.values():
            for case, connection in zip(load, connections, strict=True):
                group.create_task(traffic.send(case, connection))
    await wait_all_up(gateway, without={victim})
    # What the victim had in flight is in flight no more, and all else still is.
    await wait_in_flight(gateway, len(held) * len(cases.HELD))
    await _release([request for requests in held.values() for request in requests])


async def recycle(gateway: Gateway, traffic: Traffic, load: Sequence[RequestCase] = ()) -> None:
    """All workers are replaced while requests arrive, and while some are in progress in the old ones."""
    old = await wait_all_up(gateway)
    held = [await traffic.begin(case) for case in cases.HELD] if load else []
    gateway.program.send(signal.SIGHUP)
    await traffic.send_all(load)
    await _release(held)
    await wait_all_up(gateway, without=old)


async def exceed_shutdown_grace(gateway: Gateway, traffic: Traffic) -> None:
    """All workers are replaced, and their requests do not end within the grace period."""
    old = await wait_all_up(gateway)
    held = [request for pid in old for request in await _hold(gateway, traffic, pid, cases.UNFINISHED)]
    await wait_in_flight(gateway, len(held))
    gateway.program.send(signal.SIGHUP)
    await asyncio.gather(*(request.finish() for request in held))
    await wait_all_up(gateway, without=old)


async def eject_engine(gateway: Gateway, traffic: Traffic, twin: Mock) -> None:
    """`twin` fails what `right` can do, until each worker ejects it."""
    await asyncio.to_thread(twin.change, fault="status:500")
    pids = await wait_all_up(gateway)
    for pid in pids:
        unit = [*([cases.ALONE] * _FILLERS), cases.FAILED_OVER]
        await _send_one_by_one(gateway, traffic, pid, [*(unit * _FAILURES_TO_EJECT), cases.EJECTED, cases.EJECTED])
    traffic.expected.add([ejections("twin", len(pids))])
    await asyncio.to_thread(twin.change, fault=None)


async def kill_engine(gateway: Gateway, traffic: Traffic, left: Mock) -> None:
    """`left` is killed while it works for each worker, and then gets further requests."""
    pids = await wait_all_up(gateway)
    kinds = [cases.KILLED_EARLY, cases.KILLED_LATE]
    held = [request for pid in pids for request in await _hold(gateway, traffic, pid, kinds)]
    for request in held:  # the retry finds its barrier open
        await traffic.controls["right"].release(request.barrier)
    await asyncio.to_thread(left.program.kill)
    await asyncio.gather(*(request.finish() for request in held))
    await asyncio.sleep(_POLLED_S)
    for pid in pids:
        await _send_one_by_one(gateway, traffic, pid, [cases.DOWN, cases.NO_ENGINE])


async def stop_accepting(gateway: Gateway, traffic: Traffic, left: Mock) -> None:
    """`left` accepts no connection any more."""
    await asyncio.to_thread(left.stop_accepting)
    kinds = [cases.NOT_ACCEPTING, cases.DOWN]
    connections = [await connect_to_worker(gateway, pid, len(kinds)) for pid in await wait_all_up(gateway)]
    await asyncio.gather(*(_send_over(traffic, kinds, own) for own in connections))


async def kill_last_engine(gateway: Gateway, traffic: Traffic, right: Mock) -> None:
    """`right` is killed too: no engine is left."""
    await asyncio.to_thread(right.program.kill)
    for pid in await wait_all_up(gateway):
        await _send_one_by_one(gateway, traffic, pid, [cases.LAST_UNREACHABLE, cases.NO_ENGINE_AT_ALL])


def ejections(engine: str, count: int) -> tuple[Series, int]:
    """The counter of an engine that has been ejected, and its increase."""
    return series("gateway_engine_ejections_total", engine=engine), count


async def _hold(gateway: Gateway, traffic: Traffic, pid: int, kinds: Sequence[RequestCase]) -> list[HeldRequest]:
    """Requests that are held in one worker, begun in this order."""
    connections = await connect_to_worker(gateway, pid, len(kinds))
    return [await traffic.begin(case, connection) for case, connection in zip(kinds, connections, strict=True)]


async def _release(held: Sequence[HeldRequest]) -> None:
    for request in held:
        await request.release()
    await asyncio.gather(*(request.finish() for request in held))


async def _send_one_by_one(gateway: Gateway, traffic: Traffic, pid: int, kinds: Sequence[RequestCase]) -> None:
    await _send_over(traffic, kinds, await connect_to_worker(gateway, pid, len(kinds)))


async def _send_over(traffic: Traffic, kinds: Sequence[RequestCase], connections: Sequence[AsyncConnection]) -> None:
    for case, connection in zip(kinds, connections, strict=True):
        await traffic.send(case, connection)
