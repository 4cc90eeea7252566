"""Meters: who pays for a second, that none is lost or paid twice, and what it costs."""

from __future__ import annotations

import math
import random

import pytest

from gateway.cost.meter import EngineMeter, Meter
from gateway.cost.pricing import Tariff, Weights
from gateway.usage import Usage

WEIGHTS = Weights(input=0.5, cached_input=0.1)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Metered:
    """A meter that has been started, and its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.meter = Meter(self.clock)
        self.meter.start(self.clock.now)

    def after(self, seconds: float) -> Meter:
        self.clock.now += seconds
        return self.meter


@pytest.fixture
def metered() -> Metered:
    return Metered()


def test_without_requests_all_time_is_idle(metered: Metered) -> None:
    assert metered.after(5.0).drain() == (0.0, 5.0)
    assert metered.after(2.0).drain() == (0.0, 2.0)


def test_one_request_pays_for_its_time_and_no_other(metered: Metered) -> None:
    metered.after(3.0).begin()
    assert metered.after(4.0).end(7.0) == 4.0
    assert metered.after(2.0).drain() == (4.0, 5.0)


def test_a_single_request_pays_whatever_its_weight(metered: Metered) -> None:
    metered.meter.begin()
    assert metered.after(4.0).end(0.0) == 4.0


def test_two_that_weigh_the_same_pay_the_same_for_what_they_shared(metered: Metered) -> None:
    metered.meter.begin()
    metered.meter.begin()
    assert metered.after(4.0).end(10.0) == 2.0
    assert metered.after(1.0).end(10.0) == 3.0


def test_the_heavier_request_pays_more(metered: Metered) -> None:
    metered.meter.begin()
    metered.after(1.0).end(10.0)  # what the next ones are thought to weigh
    metered.meter.begin()
    metered.meter.begin()
    light = metered.after(4.0).end(10.0)
    heavy = metered.after(0.0).end(90.0)
    assert light == pytest.approx(2.0)  # the other one was thought to weigh 10 as well
    assert heavy == pytest.approx(2.0)
    metered.meter.begin()
    metered.meter.begin()
    heavy = metered.after(4.0).end(1000.0)
    mean = (10 + 10 + 90 + 1000) / 4
    assert heavy == pytest.approx(4.0 * 1000 / (1000 + mean))
    assert metered.after(0.0).end(1.0) == pytest.approx(4.0 - heavy)


def test_a_request_without_weight_pays_nothing_while_others_run(metered: Metered) -> None:
    metered.meter.begin()
    metered.meter.begin()
    assert metered.after(4.0).end(0.0) == 0.0
    assert metered.after(0.0).end(0.0) == 4.0


def test_many_at_once_pay_as_much_as_one_after_the_other() -> None:
    """The price of a token is the time that it took, divided by all that came in it."""
    metered = Metered()
    for _ in range(100):
        metered.meter.begin()
    paid = [metered.after(0.01).end(50.0) for _ in range(100)]
    assert sum(paid) == pytest.approx(1.0)
    assert min(paid) > 0


def test_seconds_of_running_requests_are_drained_when_they_end(metered: Metered) -> None:
    metered.meter.begin()
    assert metered.after(5.0).drain() == (0.0, 0.0)
    assert metered.meter.pool == 5.0
    metered.meter.end(1.0)
    assert metered.meter.drain() == (5.0, 0.0)


def test_time_before_the_start_costs_nothing() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.begin()
    clock.now += 100
    assert meter.end(5.0) == 0.0
    meter.begin()
    meter.start(clock.now)
    clock.now += 2
    assert meter.end(5.0) == 2.0
    assert meter.drain() == (2.0, 0.0)


@pytest.mark.parametrize("seed", range(30))
def test_every_second_is_paid_once_however_requests_overlap(seed: int) -> None:
    """Paid and idle seconds are the seconds that went by; no part is ever below 0."""
    dice = random.Random(seed)  # noqa: S311 - the same order every time
    metered = Metered()
    began, open_now, paid, consumed = metered.clock.now, 0, [], [0.0, 0.0]
    for _ in range(3000):
        metered.clock.now += dice.choice((0.0, 1e-7, dice.expovariate(20), dice.expovariate(0.2)))
        if open_now and dice.random() < 0.5:
            paid.append(metered.meter.end(dice.choice((0.0, 1.0, dice.uniform(0, 500), 2.0**60))))
            open_now -= 1
        elif dice.random() < 0.8:
            metered.meter.begin()
            open_now += 1
        if dice.random() < 0.1:
            consumed = [so_far + new for so_far, new in zip(consumed, metered.meter.drain(), strict=True)]
        assert metered.meter.pool >= 0.0
        if not open_now:
            assert metered.meter.pool == 0.0
    paid.extend(metered.after(0.25).end(dice.uniform(0, 500)) for _ in range(open_now))
    consumed = [so_far + new for so_far, new in zip(consumed, metered.meter.drain(), strict=True)]
    assert len(paid) > 500
    assert min(paid) >= 0.0
    assert consumed[0] == pytest.approx(math.fsum(paid), rel=1e-12)
    assert math.fsum(consumed) == pytest.approx(metered.clock.now - began, rel=1e-12)


@pytest.mark.parametrize(
    ("usage", "equivalents"),
    [
        (Usage(), 0.0),
        (Usage(output=7), 7.0),
        (Usage(input=10), 5.0),
        (Usage(input=10, output=3, cached=4), 3 + 6 * 0.5 + 4 * 0.1),
        (Usage(input=10, cached=10), 1.0),
        (Usage(input=2, cached=50), 0.2),  # an engine that reports nonsense
        (Usage(output=5, reasoning=5), 5.0),
    ],
)
def test_tokens_count_as_output_tokens(usage: Usage, equivalents: float) -> None:
    meter = EngineMeter("vllm", Tariff(1.0, 1, WEIGHTS))
    meter.begin()
    usd, weight = meter.end(usage, events=99)
    assert usd == 0.0
    assert weight == pytest.approx(equivalents)


def test_a_meter_charges_dollars() -> None:
    now = [50.0]
    meter = EngineMeter("vllm", Tariff(7200.0, 2, WEIGHTS), clock=lambda: now[0])
    meter.start(now[0])
    meter.begin()
    now[0] += 3
    assert meter.end(Usage(input=4, output=6), events=0) == (3.0, 8.0)


def test_a_request_without_usage_weighs_the_events_sent() -> None:
    meter = EngineMeter("vllm", Tariff(0.0, 1, WEIGHTS))
    meter.begin()
    assert meter.end(None, events=7) == (0.0, 7.0)
