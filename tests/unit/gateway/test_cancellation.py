"""A task that was cancelled and goes on to say why is like any other one afterwards."""

import asyncio

import pytest

from gateway.deadline import cancellation_handled


async def test_a_timeout_works_behind_a_cancellation_that_was_handled() -> None:
    async def goes_on() -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancellation_handled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        return task.cancelling()

    task = asyncio.create_task(goes_on())
    await asyncio.sleep(0)
    for _ in range(2):  # as a second signal to a worker does
        task.cancel()
    assert await asyncio.wait_for(task, 5) == 0
