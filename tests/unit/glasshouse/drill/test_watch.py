from typing import Any

import pytest

from glasshouse.drill.fault import Fault
from glasshouse.drill.grafana import Attempt, Rule
from glasshouse.drill.watch import Watch

FAULT = Fault("gpu", "A GPU is lost", "synthetic", ("GpuLost",), lead_s=30)
INSTANCE = "drill-gpu"
OURS = {"vm": "drill", "instance": INSTANCE}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    watch = Watch(clock)
    watch.begin(FAULT, INSTANCE, rules())
    return watch


def rules(*firing: dict[str, str]) -> dict[str, Rule]:
    return {"GpuLost": Rule("GpuLost", 120, firing)}


def test_an_alert_fires_is_delivered_and_resolves(watch: Watch, clock: Clock) -> None:
    (seen,) = watch.of(FAULT)
    clock.now = 1150
    watch.update(rules(OURS), [Attempt(1100, "")])  # of another alert
    assert (seen.fired_s, seen.delivered_s) == (150, None)
    clock.now = 1162
    watch.update(rules(OURS), [Attempt(1160.5, "")])
    assert (seen.fired_s, seen.delivered_s, seen.is_complete) == (150, 160.5, False)
    clock.now = 1170
    watch.end(FAULT)
    assert watch.unresolved() == [seen]
    clock.now = 1200
    watch.update(rules(), [])
    assert (seen.resolved_s, seen.is_complete) == (30, True)
    assert not watch.unresolved()


@pytest.mark.parametrize(
    "labels", [{"vm": "local", "instance": INSTANCE}, {"vm": "drill", "instance": "drill-host"}, {"vm": "local"}]
)
def test_a_real_alert_and_another_fault_are_not_taken_for_it(watch: Watch, labels: dict[str, str]) -> None:
    watch.update(rules(labels), [])
    (seen,) = watch.of(FAULT)
    assert seen.fired_s is None


def test_an_alert_without_an_instance_is_known_by_its_vm(watch: Watch) -> None:
    watch.update(rules({"vm": "drill", "model": "glasshouse-drill"}), [])
    (seen,) = watch.of(FAULT)
    assert seen.fired_s == 0


def test_a_delivery_that_fails_is_named_until_one_succeeds(watch: Watch, clock: Clock) -> None:
    (seen,) = watch.of(FAULT)
    watch.update(rules(OURS), [])
    clock.now = 1030
    watch.update(rules(OURS), [Attempt(1010, "404 Not Found")])
    assert (seen.delivered_s, seen.error) == (None, "404 Not Found")
    watch.update(rules(OURS), [Attempt(1020, "")])
    assert (seen.delivered_s, seen.error) == (20, "")


def test_what_is_not_seen_is_waited_for_no_longer_than_it_can_take(watch: Watch, clock: Clock) -> None:
    assert not watch.is_overdue(FAULT)
    clock.now += FAULT.lead_s + 120 + 300
    assert watch.is_overdue(FAULT)
    (seen,) = watch.of(FAULT)
    watch.end(FAULT)
    assert not watch.unresolved()  # it has not fired
    watch.update(rules(OURS), [])
    assert seen.fired_s is None  # too late to be the fault's


def test_an_alert_that_does_not_resolve_is_given_up(watch: Watch, clock: Clock) -> None:
    watch.update(rules(OURS), [])
    watch.end(FAULT)
    clock.now += 3600
    assert not watch.unresolved()


def test_a_rule_that_this_grafana_does_not_have_is_left_out() -> None:
    watch: Any = Watch()
    assert watch.begin(FAULT, INSTANCE, {}) == []
    assert watch.is_overdue(FAULT)
