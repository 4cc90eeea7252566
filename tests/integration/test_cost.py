"""The cost of requests, idle and lost time adds up to hours x price, with real workers of which some are killed."""

import asyncio
import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from tests.integration.ledger.request_case import RequestCase, chat
from tests.integration.ledger.request_cases import MIXED, OK_PLAIN, OK_STREAM
from tests.integration.ledger.setups import single_engine
from tests.integration.ledger.traffic import HeldRequest, Traffic
from tests.support.gateway import Gateway
from tests.support.program import until
from tests.support.samples import Samples
from tests.support.services import Services

pytestmark = pytest.mark.timing

USD_PER_HOUR = 3600.0  # a dollar a second, so that dollars and seconds are the same number
# A scrape shows what was booked up to half a second before; on a busy machine somewhat more.
SCRAPE_TOLERANCE_S = 2.0
SLOW = RequestCase("slow stream", "ok", 200, chat(stream=True, tokens=60, interval_s=0.05), tokens_received=None)
ENDLESS = RequestCase("endless", "ok", 200, chat(stream=True, tokens=900, interval_s=1.0), tokens_received=None)
# The cases that need only one engine, and a gateway with its default limits.
KINDS = [case for case in MIXED if case.model != "right" and case.code != 413]


class Share(NamedTuple):
    """A worker's share of the time: its start, by `time.monotonic`, and its booked seconds of each engine."""

    began: float
    booked: tuple[float, ...]


class Reading(NamedTuple):
    """Counters and shares of one moment, and when they were read."""

    at: float
    samples: Samples
    shares: tuple[Share, ...]

    def dollars(self, part: str | None = None, engine: str = "left") -> float:
        return self.samples.total("gateway_cost_usd_total", engine=engine, **({"part": part} if part else {}))

    def seconds(self, workers: int) -> float:
        """Elapsed seconds since each worker's share began; each is one of N."""
        return sum(self.at - share.began for share in self.shares) / workers


def shares(gateway: Gateway) -> tuple[Share, ...]:
    files = sorted(gateway.metrics_dir.glob("cost-*.share"))
    numbers = [struct.unpack(f"={file.stat().st_size // 8}d", file.read_bytes()) for file in files]
    return tuple(Share(began, tuple(booked)) for began, *booked in numbers)


def reading(gateway: Gateway) -> Reading:
    """Counters and shares of one moment: nothing was booked while they were read."""
    found: list[Reading] = []

    def is_consistent() -> bool:
        before = shares(gateway)
        found[:] = [Reading(time.monotonic(), gateway.scrape(), before)]
        return shares(gateway) == before and exact(found[0])

    until(is_consistent, 20, "counters that equal what was booked")
    return found[0]


def exact(read: Reading) -> bool:
    """Whether the counters equal what was booked; a scrape may fall between two files of one worker."""
    workers = len(read.shares)
    booked = sum(share.booked[0] for share in read.shares) / workers
    return read.dollars() == pytest.approx(booked, rel=1e-9)


@contextmanager
def priced(services: Services, workers: int) -> Iterator[tuple[Gateway, Traffic]]:
    gateway, traffic, _ = single_engine(services, workers, ENGINE_PRICES=f"left={USD_PER_HOUR}", IDLE_TIMEOUT="10")
    until(lambda: len(shares(gateway)) == workers, 10, "every worker has its share")
    yield gateway, traffic
    assert len(shares(gateway)) == workers


def idle_and_settled(gateway: Gateway) -> Reading:
    until(gateway.is_up, 20, "every worker is up")
    gateway.scrape_when_idle()
    settled = time.monotonic()
    until(lambda: booked_up_to(gateway, settled), 20, "every worker has booked its time, that of its predecessor too")
    return reading(gateway)


def booked_up_to(gateway: Gateway, moment: float) -> bool:
    return all(share.began + share.booked[0] >= moment for share in shares(gateway))


def assert_adds_up(read: Reading, workers: int) -> float:
    """Checks the sums of an idle gateway; returns the dollars of elapsed time that no scrape has shown yet."""
    unseen = read.seconds(workers) - read.dollars()
    assert -1e-6 <= unseen <= SCRAPE_TOLERANCE_S
    requests = read.dollars("requests")
    for metric in ("gateway_key_cost_usd_total", "gateway_model_cost_usd_total"):
        assert read.samples.total(metric) == pytest.approx(requests, rel=1e-9)
    assert read.samples.by("gateway_hourly_price_usd", "engine") == {("left",): USD_PER_HOUR}
    return unseen


async def send_traffic_and_kill_a_worker(gateway: Gateway, traffic: Traffic) -> None:
    """Requests of many kinds; halfway a worker with running streams is killed."""
    mixed = KINDS * 6
    random.Random(11).shuffle(mixed)  # noqa: S311 - the same order every time
    await traffic.send_all(mixed[: len(mixed) // 2])
    slow = await asyncio.gather(*(traffic.begin(SLOW) for _ in range(12)))
    victim = max(gateway.program.children(), key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208
    os.kill(victim, signal.SIGKILL)
    await asyncio.to_thread(until, lambda: victim not in gateway.program.children(), 10, "the worker is dead")
    await asyncio.to_thread(until, gateway.is_up, 20, "its successor is up")
    await traffic.send_all(mixed[len(mixed) // 2 :])
    await asyncio.gather(*(finish(held) for held in slow))


async def finish(held: HeldRequest) -> None:
    """Complete, or lost with its worker."""
    await held.connection.read_to_end()
    await (held.finish() if held.connection.complete else held.expect_lost())


@pytest.mark.parametrize("workers", [1, 4])
async def test_the_cost_adds_up_to_hours_x_price_even_when_a_worker_is_killed(
    services: Services, workers: int, measured: Callable[[str], None]
) -> None:
    with priced(services, workers) as (gateway, traffic):
        await send_traffic_and_kill_a_worker(gateway, traffic)
        read = await asyncio.to_thread(idle_and_settled, gateway)
        unseen = assert_adds_up(read, workers)
        assert traffic.expected.failures == []
        assert traffic.expected.lost.total() > 0
        assert min(read.dollars("requests"), read.dollars("idle"), read.dollars("lost")) > 0
        # What was logged is what was counted, but for what the killed worker had not written: that is lost.
        lines = [line["cost_usd"] for line in gateway.lines(event="request") if line["cost_usd"] is not None]
        assert min(lines) >= 0
        assert -1e-6 <= sum(lines) - read.dollars("requests") <= read.dollars("lost") + 1e-6
        booked = sum(share.booked[0] for share in read.shares) / workers
        measured(
            f"{workers} workers: requests {read.dollars('requests'):.6f} + idle {read.dollars('idle'):.6f} + lost "
            f"{read.dollars('lost'):.6f} - booked = {read.dollars() - booked:.1e} USD; "
            f"hours x price - sum = {unseen:.3f} USD of {read.seconds(workers):.3f} (not written yet)"
        )


def test_idle_time_costs_without_any_request_up_to_the_stop(services: Services) -> None:
    with priced(services, 2) as (gateway, _):
        first = reading(gateway)
        until(lambda: reading(gateway).dollars("idle") > first.dollars("idle") + 1, 20, "idle time is booked")
        read = reading(gateway)
        assert_adds_up(read, 2)
        assert (read.dollars("requests"), read.dollars("lost")) == (0.0, 0.0)
        children = {share.began for share in read.shares}
        gateway.program.send(signal.SIGTERM)
        assert gateway.program.wait(20) == 0
        ended = time.monotonic()
        left = shares(gateway)
        assert {share.began for share in left} == children
        # Workers book up to their very end.
        assert all(0 <= ended - share.began - share.booked[0] < SCRAPE_TOLERANCE_S for share in left)


async def test_reloads_book_no_second_twice(services: Services) -> None:
    """Old and new workers overlap; there are exactly as many shares as workers."""
    with priced(services, 2) as (gateway, traffic):
        for _ in range(2):
            old = gateway.program.children()
            gateway.program.send(signal.SIGHUP)
            while not set(gateway.program.children()).isdisjoint(old):
                await traffic.send_all([OK_PLAIN, OK_STREAM] * 4)
                assert traffic.expected.total_requests < 20_000, "the old workers do not end"
        read = await asyncio.to_thread(idle_and_settled, gateway)
        assert_adds_up(read, 2)
        assert traffic.expected.failures == []


async def test_the_time_of_a_worker_that_is_killed_during_a_stream_is_lost(services: Services) -> None:
    """No request pays for that stream: its seconds are booked as lost."""
    with priced(services, 1) as (gateway, traffic):
        before = await asyncio.to_thread(reading, gateway)
        asked = time.monotonic()
        running = await traffic.begin(ENDLESS)
        answered = time.monotonic()
        await asyncio.sleep(1.5)
        (victim,) = gateway.program.children()
        os.kill(victim, signal.SIGKILL)
        unpaid = time.monotonic() - answered
        await running.expect_lost()
        until(lambda: victim not in gateway.program.children(), 10, "the worker is dead")
        read = await asyncio.to_thread(idle_and_settled, gateway)
        assert_adds_up(read, 1)
        assert (before.dollars("lost"), read.dollars("requests")) == (0.0, 0.0)
        assert unpaid <= read.dollars("lost") <= read.at - asked
        assert traffic.expected.lost.total() == 1
