"""The guard when the event loop itself stood still, and when somebody else interrupts."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.deadline import DeadlineTimer, RequestDeadline
from gateway.errors import ClientDisconnected, EngineTimeout


async def never() -> None:
    await asyncio.sleep(3600)


async def test_the_gateways_own_lag_is_not_the_engines_time() -> None:
    """What came while the event loop stood still is read before the phase is over."""
    deadline = RequestDeadline(DeadlineTimer(), total=60)
    came = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, came.set)
    with deadline:
        deadline.phase("ttft", 0.05)
        time.sleep(0.5)  # noqa: ASYNC251 - the event loop stands still
        await came.wait()
        deadline.phase("idle", 5)
        await asyncio.sleep(0.3)
    deadline.stop()


async def test_a_phase_that_is_really_over_ends_a_moment_after_the_lag() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=60)

    async def guarded() -> None:
        with deadline:
            deadline.phase("ttft", 0.05)
            time.sleep(0.5)  # noqa: ASYNC251 - the event loop stands still
            await never()

    with pytest.raises(EngineTimeout):
        await guarded()
    deadline.stop()


async def test_an_interrupt_ends_with_its_reason_and_the_first_one_counts() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=60)
    first, second = EngineTimeout("stalled", phase="ttft"), ClientDisconnected("gone")
    asyncio.get_running_loop().call_soon(deadline.interrupt, first)
    asyncio.get_running_loop().call_soon(deadline.interrupt, second)
    with pytest.raises(EngineTimeout, match="stalled"), deadline:
        await never()
    deadline.stop()
