"""The limit on connections that are opened at the same time."""

import asyncio
import contextlib

import pytest

from gateway.upstream import connect_limit
from gateway.upstream.connect_limit import MAX_CONNECTING, ConnectLimit


@pytest.fixture
def _long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns end with their block only, however slow this machine is."""
    monkeypatch.setattr(connect_limit, "_MAX_HELD_S", 3600.0)


class Opening:
    """Connections that are being opened; each takes until `done` is set."""

    def __init__(self) -> None:
        self.limit = ConnectLimit()
        self.done = asyncio.Event()
        self.open_now = self.opened = 0

    async def open(self) -> None:
        async with self.limit.turn():
            self.open_now += 1
            await self.done.wait()
            self.open_now -= 1
            self.opened += 1


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def until_open(opening: Opening, count: int) -> None:
    while opening.open_now < count:  # noqa: ASYNC110 - what is counted has no event
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("_long_turns")
async def test_a_thousand_take_turns() -> None:
    opening = Opening()
    tasks = [asyncio.create_task(opening.open()) for _ in range(1_000)]
    await settle()
    assert opening.open_now == MAX_CONNECTING
    opening.done.set()
    await asyncio.gather(*tasks)
    assert opening.opened == 1_000


@pytest.mark.timeout(60)
async def test_an_address_that_answers_nothing_holds_up_nobody_for_long() -> None:
    opening = Opening()
    tasks = [asyncio.create_task(opening.open()) for _ in range(3 * MAX_CONNECTING)]
    await until_open(opening, len(tasks))  # though none of them has ended
    opening.done.set()
    await asyncio.gather(*tasks)


@pytest.mark.timeout(60)
async def test_a_turn_is_given_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow ones gave theirs back before they ended: those who come later find no more turns than there are."""
    opening = Opening()
    slow = [asyncio.create_task(opening.open()) for _ in range(2 * MAX_CONNECTING)]
    await until_open(opening, len(slow))
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    await asyncio.sleep(0.3)  # longer than any turn
    opening.open_now = 0
    # The later ones keep theirs, however slow this machine is.
    monkeypatch.setattr(connect_limit, "_MAX_HELD_S", 3600.0)
    later = [asyncio.create_task(opening.open()) for _ in range(2 * MAX_CONNECTING)]
    await settle()
    assert opening.open_now == MAX_CONNECTING
    opening.done.set()
    await asyncio.gather(*later)


@pytest.mark.usefixtures("_long_turns")
async def test_who_leaves_while_waiting_takes_no_turn() -> None:
    opening = Opening()
    first = [asyncio.create_task(opening.open()) for _ in range(MAX_CONNECTING)]
    await settle()
    waiting = asyncio.create_task(opening.open())
    await settle()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    opening.done.set()
    await asyncio.gather(*first)
    opening.done.clear()
    later = [asyncio.create_task(opening.open()) for _ in range(MAX_CONNECTING)]
    await settle()
    assert opening.open_now == MAX_CONNECTING
    opening.done.set()
    await asyncio.gather(*later)
