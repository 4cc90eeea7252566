"""A worker's books: requests, idle and lost seconds are all the seconds there were, over restarts and engines."""

from __future__ import annotations

import asyncio
import math
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from tests.support.in_process.server import moved, until

from gateway.cost import CostLedger, EngineMeter, TimeShare
from gateway.cost.pricing import Tariff, Weights
from gateway.telemetry.cost_counters import CostCounters
from gateway.telemetry.metrics import Metrics
from gateway.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

PRICES = {"vllm": 3600.0, "llamacpp": 360.0}


class FakeShare:
    """A part that a test gives and takes away; it keeps the seconds of all workers that had it."""

    def __init__(self, began: float) -> None:
        self.free = True
        self._began = began
        self._booked = dict.fromkeys(range(len(PRICES)), 0.0)

    def acquire(self, now: float) -> bool:
        del now
        return self.free

    def unbooked_seconds(self, engine: int, now: float) -> float:
        return max(0.0, now - self._began - self._booked[engine])

    def book(self, engine: int, seconds: float) -> None:
        self._booked[engine] += seconds


class Wall:
    """The clock on the wall, and the counters of all workers that there were."""

    def __init__(self, metrics: Metrics, workers: int = 1) -> None:
        self.now = self.began = 5000.0
        self.metrics = metrics
        self.workers = workers
        self.share = FakeShare(self.began)

    def worker(self) -> Worker:
        return Worker(self)

    def dollars(self, part: str | None = None) -> dict[str, float]:
        sums = dict.fromkeys(PRICES, 0.0)
        for (engine, found), usd in moved(self.metrics.cost).items():
            if part in {None, found}:
                sums[engine] += usd
        return sums

    def of_the_wall(self) -> dict[str, float]:
        """Hours times price, of one worker's part."""
        hours = (self.now - self.began) / 3600
        return {engine: hours * price / self.workers for engine, price in PRICES.items()}


class Worker:
    """What a worker keeps in memory, and loses when it is killed."""

    def __init__(self, wall: Wall) -> None:
        def clock() -> float:
            return wall.now

        self.meters = {
            name: EngineMeter(name, Tariff(price, wall.workers, Weights(0.5, 0.1)), clock)
            for name, price in PRICES.items()
        }
        self.costs = CostCounters(wall.metrics)
        self.books = CostLedger(list(self.meters.values()), wall.share, self.costs, clock)  # type: ignore[arg-type]

    def end(self, engine: str, usage: Usage | None, key: str = "alice") -> float:
        usd, equivalents = self.meters[engine].end(usage, 3)
        self.costs.charge(engine, f"model of {engine}", key, usd, equivalents)
        return usd


@pytest.fixture
def wall(metrics: Metrics) -> Wall:
    return Wall(metrics)


def test_idle_time_moves_without_any_request(wall: Wall) -> None:
    worker = wall.worker()
    worker.books.flush()
    for seconds in (10, 20):
        wall.now = wall.began + seconds
        worker.books.flush()
        assert wall.dollars("idle") == {"vllm": float(seconds), "llamacpp": seconds / 10}
    assert wall.dollars() == wall.of_the_wall()


def test_one_engines_request_is_no_business_of_the_others(wall: Wall) -> None:
    worker = wall.worker()
    worker.books.flush()
    worker.meters["vllm"].begin()
    wall.now += 10
    assert worker.end("vllm", Usage(2, 4)) == 10.0
    worker.books.flush()
    assert wall.dollars("requests") == {"vllm": 10.0, "llamacpp": 0.0}
    assert wall.dollars("idle") == {"vllm": 0.0, "llamacpp": 1.0}
    assert moved(wall.metrics.output_equivalent_tokens) == {("model of vllm",): 5.0}


def test_the_successor_of_a_killed_worker_counts_as_lost_what_that_one_had_not_booked(wall: Wall) -> None:
    killed = wall.worker()
    killed.books.flush()
    killed.meters["vllm"].begin()
    wall.now += 7  # nobody will ever pay for these: the request dies with its worker
    killed.books.flush()
    wall.now += 2
    wall.now += 1  # nobody is there
    worker = wall.worker()
    worker.books.flush()
    assert wall.dollars("lost") == {"vllm": 10.0, "llamacpp": pytest.approx(0.3)}
    assert wall.dollars() == {name: pytest.approx(usd) for name, usd in wall.of_the_wall().items()}


def test_a_worker_without_a_share_books_nothing_until_it_has_one(wall: Wall) -> None:
    """In a reload the old worker has the only part until it ends."""
    old, new = wall.worker(), wall.worker()
    old.books.flush()
    wall.share.free = False
    new.books.flush()
    new.meters["vllm"].begin()
    wall.now += 5
    assert new.end("vllm", None) == 0.0
    new.meters["vllm"].begin()
    new.books.flush()
    old.books.flush()
    wall.share.free = True
    new.books.flush()
    wall.now += 4
    assert new.end("vllm", None) == 4.0
    new.books.flush()
    assert wall.dollars("lost") == {"vllm": 0.0, "llamacpp": 0.0}
    assert wall.dollars() == wall.of_the_wall()


def test_what_costs_nothing_adds_up_to_nothing(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRICES, "vllm", 0.0)
    worker = wall.worker()
    worker.books.flush()
    worker.meters["vllm"].begin()
    wall.now += 5
    assert worker.end("vllm", Usage(1, 1)) == 0.0
    worker.books.flush()
    wall.worker().books.flush()
    assert wall.dollars()["vllm"] == 0.0
    assert moved(wall.metrics.output_equivalent_tokens) == {("model of vllm",): 1.5}


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_the_parts_are_hours_times_price(seed: int, workers: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same order every time
    wall = Wall(Metrics(CollectorRegistry()), workers)
    worker, running, kills, paid = wall.worker(), dict.fromkeys(PRICES, 0), 0, 0.0
    worker.books.flush()
    for _ in range(2000):
        wall.now += dice.choice((0.0, 1e-6, dice.expovariate(10)))
        engine = dice.choice(list(PRICES))
        what = dice.random()
        if what < 0.004:
            worker, running, kills = wall.worker(), dict.fromkeys(PRICES, 0), kills + 1
            worker.books.flush()
        elif what < 0.1:
            worker.books.flush()
        elif what < 0.55:
            worker.meters[engine].begin()
            running[engine] += 1
        elif running[engine]:
            usage = dice.choice((None, Usage(dice.randrange(2000), dice.randrange(500), dice.randrange(1000))))
            paid += worker.end(engine, usage, key=dice.choice(("alice", "bob")))
            running[engine] -= 1
    for engine, count in running.items():
        for _ in range(count):
            paid += worker.end(engine, None)
    worker.books.flush()
    assert kills > 2
    parts, whole = wall.dollars(), wall.of_the_wall()
    for engine in PRICES:
        assert parts[engine] == pytest.approx(whole[engine], rel=1e-9)
    requests = math.fsum(wall.dollars("requests").values())
    assert 0 < requests <= paid  # a killed worker takes with it what it had not yet written
    for metric in (wall.metrics.key_cost, wall.metrics.model_cost):
        assert math.fsum(moved(metric).values()) == pytest.approx(requests, rel=1e-12)


async def test_the_books_are_kept_until_the_end(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cost.ledger.FLUSH_INTERVAL_S", 0.01)
    worker = wall.worker()
    keeping = asyncio.create_task(worker.books.run())
    await asyncio.sleep(0)
    wall.now += 3
    await until(lambda: wall.dollars()["vllm"] == 3.0)
    wall.now += 3
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    assert wall.dollars()["vllm"] == 6.0


def test_a_real_share_serves_as_well(metrics: Metrics, tmp_path: Path) -> None:
    now = [70.0]
    meter = EngineMeter("vllm", Tariff(3600.0, 1, Weights(0.5, 0.1)), lambda: now[0])
    costs = CostCounters(metrics)
    books = CostLedger([meter], TimeShare(tmp_path, shares=1, engines=1), costs, lambda: now[0])
    books.flush()
    now[0] += 9
    books.flush()
    assert moved(metrics.cost) == {("vllm", "idle"): 9.0}
