"""Dollars on their way into the counters: what belongs together moves together; without a price there is no series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import moved

from gateway.telemetry.spending import Spending

if TYPE_CHECKING:
    from gateway.telemetry.catalogue import Catalogue


def children(metric: object) -> set[tuple[str, ...]]:
    families = metric.collect()  # type: ignore[attr-defined]  # prometheus-client's metrics have no common public type
    return {
        tuple(sample.labels.values())
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_without_a_price_nothing_has_a_series(catalogue: Catalogue) -> None:
    spending = Spending(catalogue)
    spending.know_model("m")
    spending.write()
    for metric in (
        *(catalogue.cost, catalogue.model_cost, catalogue.key_cost, catalogue.output_equivalent_tokens),
        catalogue.hourly_price,
    ):
        assert children(metric) == set()


def test_with_a_price_all_that_is_known_begins_at_0(catalogue: Catalogue) -> None:
    spending = Spending(catalogue)
    spending.know_engine("vllm", 0.5)
    spending.know_model("m")
    assert moved(catalogue.hourly_price) == {("vllm",): 0.5}
    assert children(catalogue.cost) == {("vllm", part) for part in ("requests", "idle", "lost")}
    assert children(catalogue.model_cost) == children(catalogue.output_equivalent_tokens) == {("m",)}
    assert (moved(catalogue.cost), moved(catalogue.model_cost)) == ({}, {})


def test_counters_move_when_they_are_written_and_all_at_once(catalogue: Catalogue) -> None:
    spending = Spending(catalogue)
    spending.know_engine("vllm", 0.5)
    spending.charge("vllm", "m", "alice", 0.25, 10.0)
    spending.charge("vllm", "n", "alice", 0.5, 20.0)
    spending.charge("llamacpp", "m", "bob", 1.0, 5.0)
    spending.book("vllm", "idle", 2.0)
    assert moved(catalogue.cost) == {}
    for _ in range(2):  # the second time there is nothing left to write
        spending.write()
        assert moved(catalogue.cost) == {("vllm", "requests"): 0.75, ("llamacpp", "requests"): 1.0, ("vllm", "idle"): 2}
        assert moved(catalogue.model_cost) == {("m",): 1.25, ("n",): 0.5}
        assert moved(catalogue.key_cost) == {("alice",): 0.75, ("bob",): 1.0}
        assert moved(catalogue.output_equivalent_tokens) == {("m",): 15.0, ("n",): 20.0}


def test_a_part_below_0_is_refused(catalogue: Catalogue) -> None:
    spending = Spending(catalogue)
    spending.book("vllm", "idle", -1.0)
    with pytest.raises(ValueError, match="non-negative"):
        spending.write()
