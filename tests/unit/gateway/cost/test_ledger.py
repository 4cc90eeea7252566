"""The cost ledger: requests, idle and lost time add up to all time there was, over restarts and engines."""

from __future__ import annotations

import asyncio
import math
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from tests.support.in_process.server import nonzero_samples, until

from gateway.cost import CostLedger, EngineMeter, TimeShare
from gateway.cost.pricing import Tariff, Weights
from gateway.telemetry.cost_counters import CostCounters
from gateway.telemetry.metrics import Metrics
from gateway.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

PRICES = {"vllm": 3600.0, "llamacpp": 360.0}


class FakeShare:
    """A share that a test grants and revokes; it keeps the seconds booked by all workers that held it."""

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


class Simulation:
    """A clock, and the counters of all workers so far."""

    def __init__(self, metrics: Metrics, workers: int = 1) -> None:
        self.now = self.began = 5000.0
        self.metrics = metrics
        self.workers = workers
        self.share = FakeShare(self.began)

    def worker(self) -> Worker:
        return Worker(self)

    def dollars(self, part: str | None = None) -> dict[str, float]:
        sums = dict.fromkeys(PRICES, 0.0)
        for (engine, found), usd in nonzero_samples(self.metrics.cost).items():
            if part in {None, found}:
                sums[engine] += usd
        return sums

    def total_cost(self) -> dict[str, float]:
        """Hours times price, of one worker's share."""
        hours = (self.now - self.began) / 3600
        return {engine: hours * price / self.workers for engine, price in PRICES.items()}


class Worker:
    """What a worker keeps in memory, and loses when it is killed."""

    def __init__(self, simulation: Simulation) -> None:
        def clock() -> float:
            return simulation.now

        self.meters = {
            name: EngineMeter(name, Tariff(price, simulation.workers, Weights(0.5, 0.1)), clock)
            for name, price in PRICES.items()
        }
        self.costs = CostCounters(simulation.metrics)
        self.ledger = CostLedger(list(self.meters.values()), simulation.share, self.costs, clock)  # type: ignore[arg-type]

    def end(self, engine: str, usage: Usage | None, key: str = "alice") -> float:
        usd, equivalents = self.meters[engine].end(usage, 3)
        self.costs.charge(engine, f"model of {engine}", key, usd, equivalents)
        return usd


@pytest.fixture
def simulation(metrics: Metrics) -> Simulation:
    return Simulation(metrics)


def test_idle_time_is_counted_without_requests(simulation: Simulation) -> None:
    worker = simulation.worker()
    worker.ledger.flush()
    for seconds in (10, 20):
        simulation.now = simulation.began + seconds
        worker.ledger.flush()
        assert simulation.dollars("idle") == {"vllm": float(seconds), "llamacpp": seconds / 10}
    assert simulation.dollars() == simulation.total_cost()


def test_requests_of_one_engine_do_not_affect_the_others(simulation: Simulation) -> None:
    worker = simulation.worker()
    worker.ledger.flush()
    worker.meters["vllm"].begin()
    simulation.now += 10
    assert worker.end("vllm", Usage(2, 4)) == 10.0
    worker.ledger.flush()
    assert simulation.dollars("requests") == {"vllm": 10.0, "llamacpp": 0.0}
    assert simulation.dollars("idle") == {"vllm": 0.0, "llamacpp": 1.0}
    assert nonzero_samples(simulation.metrics.output_equivalent_tokens) == {("model of vllm",): 5.0}


def test_a_successor_counts_the_unbooked_time_of_a_killed_worker_as_lost(simulation: Simulation) -> None:
    killed = simulation.worker()
    killed.ledger.flush()
    killed.meters["vllm"].begin()
    simulation.now += 7  # no request will ever pay for these: the request dies with its worker
    killed.ledger.flush()
    simulation.now += 2
    simulation.now += 1  # nobody is there
    worker = simulation.worker()
    worker.ledger.flush()
    assert simulation.dollars("lost") == {"vllm": 10.0, "llamacpp": pytest.approx(0.3)}
    assert simulation.dollars() == {name: pytest.approx(usd) for name, usd in simulation.total_cost().items()}


def test_a_worker_without_a_share_books_nothing_until_it_has_one(simulation: Simulation) -> None:
    """In a reload the old worker has the only part until it ends."""
    old, new = simulation.worker(), simulation.worker()
    old.ledger.flush()
    simulation.share.free = False
    new.ledger.flush()
    new.meters["vllm"].begin()
    simulation.now += 5
    assert new.end("vllm", None) == 0.0
    new.meters["vllm"].begin()
    new.ledger.flush()
    old.ledger.flush()
    simulation.share.free = True
    new.ledger.flush()
    simulation.now += 4
    assert new.end("vllm", None) == 4.0
    new.ledger.flush()
    assert simulation.dollars("lost") == {"vllm": 0.0, "llamacpp": 0.0}
    assert simulation.dollars() == simulation.total_cost()


def test_a_free_engine_adds_up_to_zero(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRICES, "vllm", 0.0)
    worker = simulation.worker()
    worker.ledger.flush()
    worker.meters["vllm"].begin()
    simulation.now += 5
    assert worker.end("vllm", Usage(1, 1)) == 0.0
    worker.ledger.flush()
    simulation.worker().ledger.flush()
    assert simulation.dollars()["vllm"] == 0.0
    assert nonzero_samples(simulation.metrics.output_equivalent_tokens) == {("model of vllm",): 1.5}


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("seed", range(8))
def test_all_parts_add_up_to_hours_times_price_whatever_happens(seed: int, workers: int) -> None:
    random_source = random.Random(seed)  # noqa: S311 - the same order every time
    simulation = Simulation(Metrics(CollectorRegistry()), workers)
    worker, inflight, kills, paid = simulation.worker(), dict.fromkeys(PRICES, 0), 0, 0.0
    worker.ledger.flush()
    for _ in range(2000):
        simulation.now += random_source.choice((0.0, 1e-6, random_source.expovariate(10)))
        engine = random_source.choice(list(PRICES))
        event = random_source.random()
        if event < 0.004:
            worker, inflight, kills = simulation.worker(), dict.fromkeys(PRICES, 0), kills + 1
            worker.ledger.flush()
        elif event < 0.1:
            worker.ledger.flush()
        elif event < 0.55:
            worker.meters[engine].begin()
            inflight[engine] += 1
        elif inflight[engine]:
            usage = random_source.choice(
                (
                    None,
                    Usage(random_source.randrange(2000), random_source.randrange(500), random_source.randrange(1000)),
                )
            )
            paid += worker.end(engine, usage, key=random_source.choice(("alice", "bob")))
            inflight[engine] -= 1
    for engine, count in inflight.items():
        for _ in range(count):
            paid += worker.end(engine, None)
    worker.ledger.flush()
    assert kills > 2
    parts, whole = simulation.dollars(), simulation.total_cost()
    for engine in PRICES:
        assert parts[engine] == pytest.approx(whole[engine], rel=1e-9)
    requests = math.fsum(simulation.dollars("requests").values())
    assert 0 < requests <= paid  # a killed worker takes with it what it had not yet written
    for metric in (simulation.metrics.key_cost, simulation.metrics.model_cost):
        assert math.fsum(nonzero_samples(metric).values()) == pytest.approx(requests, rel=1e-12)


async def test_the_ledger_runs_until_it_is_cancelled(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cost.ledger.FLUSH_INTERVAL_S", 0.01)
    worker = simulation.worker()
    running = asyncio.create_task(worker.ledger.run())
    await asyncio.sleep(0)
    simulation.now += 3
    await until(lambda: simulation.dollars()["vllm"] == 3.0)
    simulation.now += 3
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert simulation.dollars()["vllm"] == 6.0


def test_a_ledger_with_a_real_share(metrics: Metrics, tmp_path: Path) -> None:
    now = [70.0]
    meter = EngineMeter("vllm", Tariff(3600.0, 1, Weights(0.5, 0.1)), lambda: now[0])
    costs = CostCounters(metrics)
    ledger = CostLedger([meter], TimeShare(tmp_path, shares=1, engines=1), costs, lambda: now[0])
    ledger.flush()
    now[0] += 9
    ledger.flush()
    assert nonzero_samples(metrics.cost) == {("vllm", "idle"): 9.0}
