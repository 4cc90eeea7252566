"""The guard: each phase's own exception, reusable, and nothing left behind."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from gateway.deadline import DeadlineTimer, RequestDeadline
from gateway.errors import ClientDisconnected, EngineTimeout, GatewayError, RequestTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.deadline import Phase, Subscribe


async def never() -> None:
    await asyncio.sleep(3600)


def soon(seconds: float) -> Subscribe:
    """A client that goes after so many seconds."""
    subscribed: list[Callable[[], None]] = []

    def subscribe(callback: Callable[[], None] | None) -> None:
        subscribed[:] = [callback] if callback else []

    asyncio.get_running_loop().call_later(seconds, lambda: [callback() for callback in subscribed])
    return subscribe


@pytest.fixture(autouse=True)
async def _nothing_left() -> object:
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0.02)
    mine = asyncio.current_task()
    assert {task for task in asyncio.all_tasks() if task is not mine} <= before


PHASES: dict[str, tuple[type[GatewayError], str | None, str]] = {
    "connect": (EngineTimeout, "engine_timeout", "within 0.05 s"),
    "ttft": (EngineTimeout, "engine_timeout", "not begun to answer within 0.05 s"),
    "idle": (EngineTimeout, "engine_timeout", "not sent anything more within 0.05 s"),
    "body": (RequestTimeout, "request_timeout", "stopped coming for 0.05 s"),
    "send": (ClientDisconnected, "client_too_slow", "read nothing for 0.05 s"),
}


@pytest.mark.timing
@pytest.mark.parametrize("name", PHASES)
async def test_each_phase_ends_in_its_own_way(name: Phase) -> None:
    kind, code, reported = PHASES[name]
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    begun = time.monotonic()

    async def guarded() -> None:
        with deadline:
            deadline.phase(name, 0.05)
            await never()

    with pytest.raises(kind) as caught:
        await guarded()
    assert 0.04 < time.monotonic() - begun < 3
    assert caught.value.code == code
    assert reported in caught.value.message
    if isinstance(caught.value, EngineTimeout):
        assert caught.value.phase == name
    deadline.stop()


@pytest.mark.parametrize("name", PHASES)
async def test_the_total_time_bounds_every_phase(name: Phase) -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=0.05)

    async def guarded() -> None:
        with deadline:
            deadline.phase(name, 5)
            await never()

    with pytest.raises(EngineTimeout, match=r"not finished within 0\.05 s") as caught:
        await guarded()
    assert caught.value.phase == "total"
    deadline.stop()


@pytest.mark.timing
async def test_the_total_time_runs_over_all_phases() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=0.2)
    begun = time.monotonic()

    async def guarded() -> None:
        with deadline:
            while True:
                deadline.phase("idle", 0.1)
                await asyncio.sleep(0.02)

    with pytest.raises(EngineTimeout) as caught:
        await guarded()
    assert caught.value.phase == "total"
    assert 0.15 < time.monotonic() - begun < 3
    deadline.stop()


@pytest.mark.timing
async def test_a_phase_that_begins_anew_has_its_time_again() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    with deadline:
        for _ in range(10):
            deadline.phase("idle", 0.1)
            await asyncio.sleep(0.03)
    deadline.stop()


async def test_a_phase_that_goes_on_since_before_has_not() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)

    async def guarded() -> None:
        with deadline:
            began = deadline.phase("idle", 0.15)
            for _ in range(20):
                deadline.phase("send", 1)
                await asyncio.sleep(0)
                assert deadline.phase("idle", 0.15, since=began) == began
                await asyncio.sleep(0.02)

    with pytest.raises(EngineTimeout) as caught:
        await guarded()
    assert caught.value.phase == "idle"
    deadline.stop()


@pytest.mark.timing
async def test_a_shorter_phase_behind_a_longer_one() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    begun = time.monotonic()

    async def guarded() -> None:
        with deadline:
            deadline.phase("ttft", 3)
            await asyncio.sleep(0.01)
            deadline.phase("idle", 0.05)
            await never()

    with pytest.raises(EngineTimeout) as caught:
        await guarded()
    assert caught.value.phase == "idle"
    assert time.monotonic() - begun < 2
    deadline.stop()


async def test_a_longer_phase_behind_a_shorter_one() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    with deadline:
        deadline.phase("idle", 0.05)
        deadline.phase("ttft", 3)
        await asyncio.sleep(0.15)
    deadline.stop()


async def test_a_client_that_goes() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    deadline.watch_disconnect(soon(0.05))

    async def guarded() -> None:
        with deadline:
            await never()

    with pytest.raises(ClientDisconnected) as caught:
        await guarded()
    assert caught.value.code == "client_closed_request"
    deadline.stop()


async def test_a_guard_is_used_again_after_an_attempt_that_failed() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)

    async def guarded(name: Phase) -> None:
        with deadline:
            deadline.phase(name, 0.03)
            await never()

    for name in ("ttft", "idle", "ttft"):
        with pytest.raises(EngineTimeout):
            await guarded(name)
        await asyncio.sleep(0.01)
    with deadline:
        deadline.phase("ttft", 1)
        await asyncio.sleep(0.05)
    deadline.stop()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_guards_inside_one_another_raise_once() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    with deadline:

        async def guarded() -> None:
            with deadline:
                deadline.phase("ttft", 0.03)
                await never()

        with pytest.raises(EngineTimeout):
            await guarded()
        deadline.phase("ttft", 1)
        await asyncio.sleep(0.05)
    deadline.stop()


async def test_leaving_before_the_watcher_has_begun_warns_nobody() -> None:
    for _ in range(3):
        deadline = RequestDeadline(DeadlineTimer(), total=5)
        deadline.watch_disconnect(soon(0.01))
        deadline.stop()
    await asyncio.sleep(0.03)


async def test_nothing_happens_after_a_stop() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=0.05)
    deadline.watch_disconnect(soon(0.05))
    deadline.phase("idle", 0.03)
    deadline.stop()
    await asyncio.sleep(0.1)


async def test_the_last_bytes_may_outlive_the_client_but_not_their_time() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    deadline.watch_disconnect(soon(0.03))
    with deadline:
        deadline.begin_final_write(1)
        await asyncio.sleep(0.08)

    async def guarded() -> None:
        with deadline:
            deadline.begin_final_write(0.05)
            await never()

    with pytest.raises(ClientDisconnected) as caught:
        await guarded()
    assert caught.value.code == "client_too_slow"
    deadline.stop()


async def test_two_reasons_at_once_cancel_once_each() -> None:
    deadline = RequestDeadline(DeadlineTimer(), total=5)
    deadline.watch_disconnect(soon(0.05))

    async def attempt() -> None:
        with deadline:
            deadline.phase("idle", 0.05)
            await never()

    async def guarded() -> None:
        with deadline:
            with pytest.raises(GatewayError):
                await attempt()
            await never()

    with pytest.raises(GatewayError):
        await guarded()
    deadline.stop()
    await asyncio.sleep(0.05)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        deadline = RequestDeadline(DeadlineTimer(), total=5)
        try:
            with deadline:
                deadline.phase("ttft", 3)
                await never()
        finally:
            deadline.stop()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_guard_needs_a_task() -> None:
    raised: list[BaseException] = []

    def outside() -> None:
        try:
            RequestDeadline(DeadlineTimer(), total=1)
        except RuntimeError as error:
            raised.append(error)

    asyncio.get_running_loop().call_soon(outside)
    await asyncio.sleep(0.01)
    assert len(raised) == 1
