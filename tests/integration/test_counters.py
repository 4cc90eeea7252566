"""Workers that are told to go, by a reload or a stop: what they have under way ends as it should, and is counted."""

import asyncio
import signal

from tests.integration.ledger.cases import HELD, OK_PLAIN, OK_STREAM, UNFINISHED
from tests.integration.ledger.sampler import watched
from tests.integration.ledger.stage import assert_true, lone
from tests.support.stage import Stage

_ENDLESS = UNFINISHED[1]


async def test_a_reload_under_load_fails_no_request_and_lets_no_counter_fall(stage: Stage) -> None:
    scene = lone(stage, workers=2)
    gateway, traffic, _ = scene
    old = gateway.program.children()
    with watched(gateway) as faults:
        held = [await traffic.begin(case) for case in HELD * 2]
        gateway.program.send(signal.SIGHUP)
        await traffic.send_all([OK_PLAIN, OK_STREAM] * 4)
        for one in held:
            await one.open()
            await one.end()
        while not set(gateway.program.children()).isdisjoint(old):
            await traffic.send_all([OK_PLAIN, OK_STREAM] * 4)
            assert traffic.book.driven < 20_000, "the old workers do not go"
        await assert_true(scene)
    assert faults == []


async def test_a_stop_under_load_lets_running_requests_finish(stage: Stage) -> None:
    gateway, traffic, mocks = lone(stage, workers=2)
    held = [await traffic.begin(case) for case in HELD * 2]
    gateway.program.send(signal.SIGTERM)
    for one in held:
        await one.open()
        await one.end()
    assert traffic.book.wrong == []
    assert await asyncio.to_thread(gateway.program.wait, 10) == 0
    assert mocks["left"].truth()["finished"] == len(held)


async def test_what_outlasts_the_grace_is_told_so(stage: Stage) -> None:
    gateway, traffic, mocks = lone(stage, workers=1, SHUTDOWN_GRACE="5")
    running = await traffic.begin(_ENDLESS)
    gateway.program.send(signal.SIGTERM)
    await running.end()
    assert traffic.book.wrong == []
    assert await asyncio.to_thread(gateway.program.wait, 10) == 0
    assert mocks["left"].wait_idle() < 5
    (line,) = gateway.lines(event="request", outcome="stream_error")
    assert line["error_code"] == "shutting_down"
