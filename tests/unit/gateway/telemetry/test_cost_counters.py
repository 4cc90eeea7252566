"""Dollars on their way into the counters: what belongs together moves together; without a price there is no series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import nonzero_samples

from gateway.telemetry.cost_counters import CostCounters

if TYPE_CHECKING:
    from gateway.telemetry.metrics import Metrics


def children(metric: object) -> set[tuple[str, ...]]:
    families = metric.collect()  # type: ignore[attr-defined]  # prometheus-client's metrics have no common public type
    return {
        tuple(sample.labels.values())
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_without_a_price_nothing_has_a_series(metrics: Metrics) -> None:
    costs = CostCounters(metrics)
    costs.write()
    assert not costs.has_prices
    for metric in (
        *(metrics.cost, metrics.model_cost, metrics.key_cost, metrics.output_equivalent_tokens),
        metrics.hourly_price,
    ):
        assert children(metric) == set()


def test_with_a_price_the_series_of_an_engine_start_at_zero(metrics: Metrics) -> None:
    costs = CostCounters(metrics)
    costs.declare_engine("vllm", 0.5)
    assert costs.has_prices
    assert nonzero_samples(metrics.hourly_price) == {("vllm",): 0.5}
    assert children(metrics.cost) == {("vllm", part) for part in ("requests", "idle", "lost")}
    assert nonzero_samples(metrics.cost) == {}


def test_counters_move_together_when_they_are_written(metrics: Metrics) -> None:
    costs = CostCounters(metrics)
    costs.declare_engine("vllm", 0.5)
    costs.charge("vllm", "m", "alice", 0.25, 10.0)
    costs.charge("vllm", "n", "alice", 0.5, 20.0)
    costs.charge("llamacpp", "m", "bob", 1.0, 5.0)
    costs.book("vllm", "idle", 2.0)
    assert nonzero_samples(metrics.cost) == {}
    for _ in range(2):  # the second time there is nothing left to write
        costs.write()
        assert nonzero_samples(metrics.cost) == {
            ("vllm", "requests"): 0.75,
            ("llamacpp", "requests"): 1.0,
            ("vllm", "idle"): 2,
        }
        assert nonzero_samples(metrics.model_cost) == {("m",): 1.25, ("n",): 0.5}
        assert nonzero_samples(metrics.key_cost) == {("alice",): 0.75, ("bob",): 1.0}
        assert nonzero_samples(metrics.output_equivalent_tokens) == {("m",): 15.0, ("n",): 20.0}


def test_a_negative_part_is_refused(metrics: Metrics) -> None:
    costs = CostCounters(metrics)
    costs.book("vllm", "idle", -1.0)
    with pytest.raises(ValueError, match="non-negative"):
        costs.write()
