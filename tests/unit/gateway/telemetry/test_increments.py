"""The shortest way to a metric's values counts what prometheus-client's own way counts."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from gateway.telemetry.increments import BoundHistogram, BoundSummary, cell

BOUNDS = (0.5, 1.0, 2.0)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_counter_and_a_gauge_take_amounts(registry: CollectorRegistry) -> None:
    cell(Counter("c", "help", ["l"], registry=registry).labels("a"))[0] += 2.5
    gauge = cell(Gauge("g", "help", ["l"], registry=registry).labels("a"))
    gauge[0] += 3
    gauge[0] -= 1
    assert samples(registry) == {("c_total", "a"): 2.5, ("g", "a"): 2.0}


@pytest.mark.parametrize("amount", [0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 1e9])
def test_a_histogram_puts_an_amount_where_prometheus_client_does(registry: CollectorRegistry, amount: float) -> None:
    other = CollectorRegistry()
    BoundHistogram(Histogram("h", "help", ["l"], buckets=BOUNDS, registry=registry).labels("a")).observe(amount)
    Histogram("h", "help", ["l"], buckets=BOUNDS, registry=other).labels("a").observe(amount)
    assert samples(registry) == samples(other)


def test_a_summary_counts_and_adds_up(registry: CollectorRegistry) -> None:
    summary = BoundSummary(Summary("s", "help", ["l"], registry=registry).labels("a"))
    summary.observe(1.5)
    summary.observe(2.0)
    assert samples(registry) == {("s_count", "a"): 2.0, ("s_sum", "a"): 3.5}
