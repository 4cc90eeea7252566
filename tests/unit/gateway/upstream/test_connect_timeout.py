"""The time to connect, on an event loop that has much else to do."""

import asyncio
import itertools
import time

import pytest
from tests.support.in_process.wire import Wire, listening, plain

from gateway.errors import EngineReset
from gateway.upstream import Upstream
from gateway.upstream.connect_timeout import connect_timeout
from gateway.upstream.connection import Connection


async def keep_busy(seconds: float, piece: float) -> None:
    """Holds the event loop for `piece` seconds at a time, with one turn of it between two."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(piece)  # noqa: ASYNC251 - this is what keeps the loop from looking
        await asyncio.sleep(0)


async def test_it_ends_what_takes_too_long() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with connect_timeout(0.25):
            await asyncio.sleep(30)
    assert 0.25 <= time.monotonic() - began < 20


@pytest.mark.timing
async def test_time_in_which_the_loop_could_not_look_is_not_counted() -> None:
    arrived = asyncio.get_running_loop().create_future()
    busy = asyncio.create_task(keep_busy(1.5, 0.5))
    asyncio.get_running_loop().call_later(1.0, arrived.set_result, "connected")
    async with connect_timeout(0.9):  # of the 1.5 s, no more than 0.2 of each 0.5 count
        assert await arrived == "connected"
    await busy


async def test_an_error_and_a_cancellation_pass_and_leave_no_timer() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(ConnectionRefusedError):
        async with connect_timeout(0.1):
            raise ConnectionRefusedError
    task = loop.create_task(_wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.3)  # a timer that was left would cancel this


async def _wait() -> None:
    async with connect_timeout(0.1):
        await asyncio.Event().wait()


@pytest.mark.timing
async def test_a_new_connection_that_is_closed_is_held_against_an_engine_only_if_the_loop_was_in_time() -> None:
    """llama.cpp closes one on which nothing has come for 5 s."""
    numbers = itertools.count(1)

    async def script(wire: Wire) -> None:
        number = next(numbers)
        await wire.message()
        if number == 3:
            await wire.send(plain(b"third"))
        wire.close()

    async with (
        listening(script) as (port, _),
        Upstream("e", f"http://127.0.0.1:{port}", key=None, connect_timeout=5) as upstream,
    ):
        with pytest.raises(EngineReset):
            await upstream.fetch(b"GET", b"/", limit=9)
        busy = asyncio.create_task(keep_busy(3, 0.6))
        assert await upstream.fetch(b"GET", b"/", limit=9) == (200, b"third")
        await busy


async def test_a_first_request_goes_out_with_its_connection() -> None:
    """Engines close a connection on which nothing comes, and who asks may have to wait for the loop."""
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        await wire.message()
        seen.set_result(wire.head)

    async with listening(script) as (port, _):
        connection = Connection(lambda _: None, b"GET / HTTP/1.1\r\nhost: e\r\n\r\n")
        await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)
        assert b"host: e" in await asyncio.wait_for(seen, 20)
        connection.abort()
