"""Requests, idle and lost time are hours times price, with real workers of which some are killed under load."""

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
from tests.integration.ledger.case import Case, chat
from tests.integration.ledger.cases import MIXED, OK_PLAIN, OK_STREAM
from tests.integration.ledger.stage import lone
from tests.integration.ledger.traffic import Held, Traffic
from tests.support.gateway import Gateway
from tests.support.program import until
from tests.support.samples import Samples
from tests.support.stage import Stage

USD_PER_HOUR = 3600.0  # a dollar a second, so that dollars and seconds are the same number
# A scrape shows what was booked up to half a second before, on machines like CI's somewhat more.
SCRAPE_TOLERANCE_S = 2.0
SLOW = Case("slow stream", "ok", 200, chat(stream=True, tokens=60, interval_s=0.05), said=None)
ENDLESS = Case("endless", "ok", 200, chat(stream=True, tokens=900, interval_s=1.0), said=None)
# Of the ledger's cases those that one engine can play, in a gateway with its usual limits.
KINDS = [case for case in MIXED if case.model != "right" and case.code != 413]


class Part(NamedTuple):
    """A worker's share of the time: when it began, by `time.monotonic`, and its booked seconds of each engine."""

    began: float
    booked: tuple[float, ...]


class Reading(NamedTuple):
    """Counters and shares that belong together, and when they were read."""

    at: float
    samples: Samples
    parts: tuple[Part, ...]

    def dollars(self, part: str | None = None, engine: str = "left") -> float:
        return self.samples.total("gateway_cost_usd_total", engine=engine, **({"part": part} if part else {}))

    def seconds(self, workers: int) -> float:
        """Of the wall, since each worker's share began; each is one of N."""
        return sum(self.at - part.began for part in self.parts) / workers


def parts(gateway: Gateway) -> tuple[Part, ...]:
    files = sorted(gateway.metrics_dir.glob("cost-*.share"))
    numbers = [struct.unpack(f"={file.stat().st_size // 8}d", file.read_bytes()) for file in files]
    return tuple(Part(began, tuple(booked)) for began, *booked in numbers)


def reading(gateway: Gateway) -> Reading:
    """Counters and shares of one moment: nothing was booked while they were read."""
    found: list[Reading] = []

    def at_rest() -> bool:
        before = parts(gateway)
        found[:] = [Reading(time.monotonic(), gateway.scrape(), before)]
        return parts(gateway) == before and exact(found[0])

    until(at_rest, 20, "counters that equal what was booked")
    return found[0]


def exact(read: Reading) -> bool:
    """Whether the counters say what was booked; a scrape may fall between two files of one worker."""
    workers = len(read.parts)
    booked = sum(part.booked[0] for part in read.parts) / workers
    return read.dollars() == pytest.approx(booked, rel=1e-9)


@contextmanager
def priced(stage: Stage, workers: int) -> Iterator[tuple[Gateway, Traffic]]:
    gateway, traffic, _ = lone(stage, workers, ENGINE_PRICES=f"left={USD_PER_HOUR}", IDLE_TIMEOUT="10")
    until(lambda: len(parts(gateway)) == workers, 10, "every worker has its share")
    yield gateway, traffic
    assert len(parts(gateway)) == workers


def idle_and_settled(gateway: Gateway) -> Reading:
    until(gateway.is_up, 20, "every worker is up")
    gateway.at_rest()
    settled = time.monotonic()
    until(lambda: booked_up_to(gateway, settled), 20, "every worker has booked its time, that of its predecessor too")
    return reading(gateway)


def booked_up_to(gateway: Gateway, moment: float) -> bool:
    return all(part.began + part.booked[0] >= moment for part in parts(gateway))


def assert_adds_up(read: Reading, workers: int) -> float:
    """Checks the sums of a gateway at rest; returns dollars of the wall that no scrape has shown yet."""
    unseen = read.seconds(workers) - read.dollars()
    assert -1e-6 <= unseen <= SCRAPE_TOLERANCE_S
    requests = read.dollars("requests")
    for metric in ("gateway_key_cost_usd_total", "gateway_model_cost_usd_total"):
        assert read.samples.total(metric) == pytest.approx(requests, rel=1e-9)
    assert read.samples.by("gateway_hourly_price_usd", "engine") == {("left",): USD_PER_HOUR}
    return unseen


async def traffic_with_a_kill(gateway: Gateway, traffic: Traffic) -> None:
    """Requests of many kinds; half-way a worker with running streams is killed."""
    mixed = KINDS * 6
    random.Random(11).shuffle(mixed)  # noqa: S311 - the same order every time
    await traffic.send_all(mixed[: len(mixed) // 2])
    slow = await asyncio.gather(*(traffic.begin(SLOW) for _ in range(12)))
    victim = max(gateway.program.children(), key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208
    os.kill(victim, signal.SIGKILL)
    await asyncio.to_thread(until, lambda: victim not in gateway.program.children(), 10, "the worker is dead")
    await asyncio.to_thread(until, gateway.is_up, 20, "its successor is up")
    await traffic.send_all(mixed[len(mixed) // 2 :])
    await asyncio.gather(*(ended(one) for one in slow))


async def ended(held: Held) -> None:
    """Whole, or lost with its worker."""
    await held.wire.read_to_end()
    await (held.end() if held.wire.complete else held.lost())


@pytest.mark.parametrize("workers", [1, 4])
async def test_the_parts_are_hours_times_price_also_when_a_worker_is_killed(
    stage: Stage, workers: int, measured: Callable[[str], None]
) -> None:
    with priced(stage, workers) as (gateway, traffic):
        await traffic_with_a_kill(gateway, traffic)
        read = await asyncio.to_thread(idle_and_settled, gateway)
        unseen = assert_adds_up(read, workers)
        assert traffic.book.wrong == []
        assert traffic.book.lost.total() > 0
        assert min(read.dollars("requests"), read.dollars("idle"), read.dollars("lost")) > 0
        # What was logged is what was counted, but for what the killed worker had not written: that is lost.
        lines = [line["cost_usd"] for line in gateway.lines(event="request") if line["cost_usd"] is not None]
        assert min(lines) >= 0
        assert -1e-6 <= sum(lines) - read.dollars("requests") <= read.dollars("lost") + 1e-6
        booked = sum(part.booked[0] for part in read.parts) / workers
        measured(
            f"{workers} workers: requests {read.dollars('requests'):.6f} + idle {read.dollars('idle'):.6f} + lost "
            f"{read.dollars('lost'):.6f} - booked = {read.dollars() - booked:.1e} USD; "
            f"hours x price - sum = {unseen:.3f} USD of {read.seconds(workers):.3f} (not written yet)"
        )


def test_idle_time_costs_without_any_request_and_a_stop_leaves_nothing_out(stage: Stage) -> None:
    with priced(stage, 2) as (gateway, _):
        first = reading(gateway)
        until(lambda: reading(gateway).dollars("idle") > first.dollars("idle") + 1, 20, "idle time is booked")
        read = reading(gateway)
        assert_adds_up(read, 2)
        assert (read.dollars("requests"), read.dollars("lost")) == (0.0, 0.0)
        children = {part.began for part in read.parts}
        gateway.program.send(signal.SIGTERM)
        assert gateway.program.wait(20) == 0
        ended = time.monotonic()
        left = parts(gateway)
        assert {part.began for part in left} == children
        # Workers book up to their very end.
        assert all(0 <= ended - part.began - part.booked[0] < SCRAPE_TOLERANCE_S for part in left)


async def test_reloads_book_no_second_twice(stage: Stage) -> None:
    """Old and new workers overlap; there are no more shares than workers, and none stays without."""
    with priced(stage, 2) as (gateway, traffic):
        for _ in range(2):
            old = gateway.program.children()
            gateway.program.send(signal.SIGHUP)
            while not set(gateway.program.children()).isdisjoint(old):
                await traffic.send_all([OK_PLAIN, OK_STREAM] * 4)
                assert traffic.book.driven < 20_000, "the old workers do not go"
        read = await asyncio.to_thread(idle_and_settled, gateway)
        assert_adds_up(read, 2)
        assert traffic.book.wrong == []


async def test_a_worker_that_is_killed_while_a_stream_runs_leaves_its_time_to_be_found(stage: Stage) -> None:
    """Nobody will ever pay for that stream; its seconds are lost, and said to be."""
    with priced(stage, 1) as (gateway, traffic):
        before = await asyncio.to_thread(reading, gateway)
        asked = time.monotonic()
        running = await traffic.begin(ENDLESS)
        answered = time.monotonic()
        await asyncio.sleep(1.5)
        (victim,) = gateway.program.children()
        os.kill(victim, signal.SIGKILL)
        unpaid = time.monotonic() - answered
        await running.lost()
        until(lambda: victim not in gateway.program.children(), 10, "the worker is dead")
        read = await asyncio.to_thread(idle_and_settled, gateway)
        assert_adds_up(read, 1)
        assert (before.dollars("lost"), read.dollars("requests")) == (0.0, 0.0)
        assert unpaid <= read.dollars("lost") <= read.at - asked
        assert traffic.book.lost.total() == 1
