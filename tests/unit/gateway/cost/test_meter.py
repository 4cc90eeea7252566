"""A meter's seconds: who pays for them, and that none is lost or paid twice."""

from __future__ import annotations

import math
import random

import pytest

from gateway.cost.meter import Meter


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
def it() -> Metered:
    return Metered()


def test_without_requests_all_is_idle(it: Metered) -> None:
    assert it.after(5.0).drain() == (0.0, 5.0)
    assert it.after(2.0).drain() == (0.0, 2.0)


def test_one_request_pays_for_its_time_and_no_other(it: Metered) -> None:
    it.after(3.0).begin()
    assert it.after(4.0).end(7.0) == 4.0
    assert it.after(2.0).drain() == (4.0, 5.0)


def test_one_alone_pays_whatever_it_weighs(it: Metered) -> None:
    it.meter.begin()
    assert it.after(4.0).end(0.0) == 4.0


def test_two_that_weigh_the_same_pay_the_same_for_what_they_shared(it: Metered) -> None:
    it.meter.begin()
    it.meter.begin()
    assert it.after(4.0).end(10.0) == 2.0
    assert it.after(1.0).end(10.0) == 3.0


def test_the_heavier_one_pays_more(it: Metered) -> None:
    it.meter.begin()
    it.after(1.0).end(10.0)  # what the next ones are thought to weigh
    it.meter.begin()
    it.meter.begin()
    light = it.after(4.0).end(10.0)
    heavy = it.after(0.0).end(90.0)
    assert light == pytest.approx(2.0)  # the other one was thought to weigh 10 as well
    assert heavy == pytest.approx(2.0)
    it.meter.begin()
    it.meter.begin()
    heavy = it.after(4.0).end(1000.0)
    mean = (10 + 10 + 90 + 1000) / 4
    assert heavy == pytest.approx(4.0 * 1000 / (1000 + mean))
    assert it.after(0.0).end(1.0) == pytest.approx(4.0 - heavy)


def test_one_without_weight_among_others_pays_nothing(it: Metered) -> None:
    it.meter.begin()
    it.meter.begin()
    assert it.after(4.0).end(0.0) == 0.0
    assert it.after(0.0).end(0.0) == 4.0


def test_many_at_once_pay_as_much_as_one_after_the_other() -> None:
    """The price of a token is the time that it took, divided by all that came in it."""
    it = Metered()
    for _ in range(100):
        it.meter.begin()
    paid = [it.after(0.01).end(50.0) for _ in range(100)]
    assert sum(paid) == pytest.approx(1.0)
    assert min(paid) > 0


def test_what_is_taken_while_requests_run_comes_with_them(it: Metered) -> None:
    it.meter.begin()
    assert it.after(5.0).drain() == (0.0, 0.0)
    assert it.meter.pool == 5.0
    it.meter.end(1.0)
    assert it.meter.drain() == (5.0, 0.0)


def test_before_its_start_time_costs_nothing() -> None:
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
def test_however_requests_overlap_every_second_is_paid_once(seed: int) -> None:
    """Paid and idle seconds are the seconds that went by; no part is ever below 0."""
    dice = random.Random(seed)  # noqa: S311 - the same order every time
    it = Metered()
    began, open_now, paid, taken = it.clock.now, 0, [], [0.0, 0.0]
    for _ in range(3000):
        it.clock.now += dice.choice((0.0, 1e-7, dice.expovariate(20), dice.expovariate(0.2)))
        if open_now and dice.random() < 0.5:
            paid.append(it.meter.end(dice.choice((0.0, 1.0, dice.uniform(0, 500), 2.0**60))))
            open_now -= 1
        elif dice.random() < 0.8:
            it.meter.begin()
            open_now += 1
        if dice.random() < 0.1:
            taken = [so_far + new for so_far, new in zip(taken, it.meter.drain(), strict=True)]
        assert it.meter.pool >= 0.0
        if not open_now:
            assert it.meter.pool == 0.0
    paid.extend(it.after(0.25).end(dice.uniform(0, 500)) for _ in range(open_now))
    taken = [so_far + new for so_far, new in zip(taken, it.meter.drain(), strict=True)]
    assert len(paid) > 500
    assert min(paid) >= 0.0
    assert taken[0] == pytest.approx(math.fsum(paid), rel=1e-12)
    assert math.fsum(taken) == pytest.approx(it.clock.now - began, rel=1e-12)
