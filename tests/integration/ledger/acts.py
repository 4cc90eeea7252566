"""What happens to a gateway and its engines while requests are under way; each act writes down what it must do."""

import asyncio
import os
import signal
from collections.abc import Sequence

from tests.integration.ledger import cases
from tests.integration.ledger.case import Case
from tests.integration.ledger.traffic import Held, Traffic
from tests.integration.ledger.workers import all_up, in_flight, pinned
from tests.support.gateway import Gateway
from tests.support.http.async_connection import AsyncConnection
from tests.support.mock import Mock
from tests.support.samples import Series, series

_FAILURES_TO_EJECT = 5
# Retries are paid for by requests: five to one always suffice.
_FILLERS = 5
# Until it has been looked at, which happens at once, an engine that broke a connection may be asked.
_LOOKED_S = 2.0


async def kill_a_worker(gateway: Gateway, traffic: Traffic, load: Sequence[Case], turn: int) -> None:
    """SIGKILL to a worker that holds one request of each kind, while the others are under load."""
    pids = await all_up(gateway)
    victim = pids[turn % len(pids)]
    held = {pid: await _hold(gateway, traffic, pid, cases.HELD) for pid in pids}
    await _hold(gateway, traffic, victim, [cases.HALF], into=held[victim])
    spare = {pid: await pinned(gateway, pid, len(load)) for pid in pids if pid != victim}
    await in_flight(gateway, len(pids) * len(cases.HELD))
    os.kill(victim, signal.SIGKILL)
    async with asyncio.TaskGroup() as group:
        for one in held.pop(victim):
            group.create_task(one.lost())
        for wires in spare.values():
            for case, wire in zip(load, wires, strict=True):
                group.create_task(traffic.send(case, wire))
    await all_up(gateway, without={victim})
    # What the victim had in flight is in flight no more, and all else still is.
    await in_flight(gateway, len(held) * len(cases.HELD))
    await _let_go([one for survivor in held.values() for one in survivor])


async def recycle(gateway: Gateway, traffic: Traffic, load: Sequence[Case] = ()) -> None:
    """All workers are replaced while requests come in, and while some are under way in the old ones."""
    old = await all_up(gateway)
    held = [await traffic.begin(case) for case in cases.HELD] if load else []
    gateway.program.send(signal.SIGHUP)
    await traffic.send_all(load)
    await _let_go(held)
    await all_up(gateway, without=old)


async def run_out_of_grace(gateway: Gateway, traffic: Traffic) -> None:
    """All workers are replaced, and what they have under way does not end within their grace."""
    old = await all_up(gateway)
    held = [one for pid in old for one in await _hold(gateway, traffic, pid, cases.UNFINISHED)]
    await in_flight(gateway, len(held))
    gateway.program.send(signal.SIGHUP)
    await asyncio.gather(*(one.end() for one in held))
    await all_up(gateway, without=old)


async def eject(gateway: Gateway, traffic: Traffic, twin: Mock) -> None:
    """`twin` fails what `right` can do, until each worker takes it out."""
    await asyncio.to_thread(twin.change, fault="status:500")
    pids = await all_up(gateway)
    for pid in pids:
        unit = [*([cases.ALONE] * _FILLERS), cases.FELL_OVER]
        await _one_by_one(gateway, traffic, pid, [*(unit * _FAILURES_TO_EJECT), cases.EJECTED, cases.EJECTED])
    traffic.book.add([ejections("twin", len(pids))])
    await asyncio.to_thread(twin.change, fault=None)


async def kill_an_engine(gateway: Gateway, traffic: Traffic, left: Mock) -> None:
    """`left` is killed while it works for each worker, and is then asked for more."""
    pids = await all_up(gateway)
    held = [one for pid in pids for one in await _hold(gateway, traffic, pid, [cases.KILLED_EARLY, cases.KILLED_LATE])]
    for one in held:  # the retry finds its gate open
        await traffic.controls["right"].open(one.gate)
    await asyncio.to_thread(left.program.kill)
    await asyncio.gather(*(one.end() for one in held))
    await asyncio.sleep(_LOOKED_S)
    for pid in pids:
        await _one_by_one(gateway, traffic, pid, [cases.DOWN, cases.NOBODY])


async def go_deaf(gateway: Gateway, traffic: Traffic, left: Mock) -> None:
    """`left` takes no connection any more."""
    await asyncio.to_thread(left.deafen)
    both = [cases.DEAF, cases.DOWN]
    wires = [await pinned(gateway, pid, len(both)) for pid in await all_up(gateway)]
    await asyncio.gather(*(_in_turn(traffic, both, own) for own in wires))


async def kill_the_last_engine(gateway: Gateway, traffic: Traffic, right: Mock) -> None:
    """`right` is killed too: nobody is left."""
    await asyncio.to_thread(right.program.kill)
    for pid in await all_up(gateway):
        await _one_by_one(gateway, traffic, pid, [cases.LAST_REFUSES, cases.NOBODY_AT_ALL])


def ejections(engine: str, count: int) -> tuple[Series, int]:
    """What the book says of an engine that has been taken out."""
    return series("gateway_engine_ejections_total", engine=engine), count


async def _hold(
    gateway: Gateway, traffic: Traffic, pid: int, kinds: Sequence[Case], into: list[Held] | None = None
) -> list[Held]:
    """Requests that stand still in one worker, begun in this order."""
    wires = await pinned(gateway, pid, len(kinds))
    held = [await traffic.begin(case, wire) for case, wire in zip(kinds, wires, strict=True)]
    into = [] if into is None else into
    into.extend(held)
    return into


async def _let_go(held: Sequence[Held]) -> None:
    for one in held:
        await one.open()
    await asyncio.gather(*(one.end() for one in held))


async def _one_by_one(gateway: Gateway, traffic: Traffic, pid: int, kinds: Sequence[Case]) -> None:
    await _in_turn(traffic, kinds, await pinned(gateway, pid, len(kinds)))


async def _in_turn(traffic: Traffic, kinds: Sequence[Case], wires: Sequence[AsyncConnection]) -> None:
    for case, wire in zip(kinds, wires, strict=True):
        await traffic.send(case, wire)
