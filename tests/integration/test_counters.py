"""Workers that are stopped by a reload or a shutdown: their requests end as they should, and are counted."""

import asyncio
import signal

from tests.integration.ledger.request_cases import HELD, OK_PLAIN, OK_STREAM, UNFINISHED
from tests.integration.ledger.scraper import scraping
from tests.integration.ledger.setups import assert_counters_match, single_engine
from tests.support.services import Services

_ENDLESS = UNFINISHED[1]


async def test_a_reload_under_load_fails_no_request_and_lets_no_counter_fall(services: Services) -> None:
    setup = single_engine(services, workers=2)
    gateway, traffic, _ = setup
    old = gateway.program.children()
    with scraping(gateway) as problems:
        held = [await traffic.begin(case) for case in HELD * 2]
        gateway.program.send(signal.SIGHUP)
        await traffic.send_all([OK_PLAIN, OK_STREAM] * 4)
        for request in held:
            await request.release()
            await request.finish()
        while not set(gateway.program.children()).isdisjoint(old):
            await traffic.send_all([OK_PLAIN, OK_STREAM] * 4)
            assert traffic.expected.total_requests < 20_000, "the old workers do not end"
        await assert_counters_match(setup)
    assert problems == []


async def test_a_stop_under_load_lets_running_requests_finish(services: Services) -> None:
    gateway, traffic, mocks = single_engine(services, workers=2)
    held = [await traffic.begin(case) for case in HELD * 2]
    gateway.program.send(signal.SIGTERM)
    for request in held:
        await request.release()
        await request.finish()
    assert traffic.expected.failures == []
    assert await asyncio.to_thread(gateway.program.wait, 10) == 0
    assert mocks["left"].stats()["finished"] == len(held)


async def test_a_request_that_exceeds_the_grace_ends_with_an_error(services: Services) -> None:
    gateway, traffic, mocks = single_engine(services, workers=1, SHUTDOWN_GRACE="5")
    running = await traffic.begin(_ENDLESS)
    gateway.program.send(signal.SIGTERM)
    await running.finish()
    assert traffic.expected.failures == []
    assert await asyncio.to_thread(gateway.program.wait, 10) == 0
    mocks["left"].wait_idle()
    (line,) = gateway.lines(event="request", outcome="stream_error")
    assert line["error_code"] == "shutting_down"
