"""The rules that every metric of the gateway follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Histogram

from gateway.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

ALL: dict[str, MetricWrapperBase] = vars(Metrics(CollectorRegistry()))
# Labels whose values come from closed sets; none is a client's text.
LABELS = {
    *("route", "model", "stream", "outcome", "code", "key", "type"),
    *("engine", "kind", "state", "result", "part", "phase", "reason", "metric"),
}


@pytest.mark.parametrize("metric", ALL.values(), ids=ALL)
def test_names_labels_and_help(metric: MetricWrapperBase) -> None:
    assert metric._name.startswith("gateway_")
    assert set(metric._labelnames) <= LABELS
    assert metric._documentation.endswith((".", "?", ":")) or metric._documentation[-1].isalnum()
    assert "\n" not in metric._documentation


@pytest.mark.parametrize(
    "metric", [metric for metric in ALL.values() if isinstance(metric, Histogram)], ids=lambda metric: metric._name
)
def test_histograms_are_in_seconds_and_their_buckets_rise(metric: Histogram) -> None:
    bounds = metric._upper_bounds
    assert metric._name.endswith("_seconds")
    assert list(bounds) == sorted(set(bounds))
    assert bounds[-1] == float("inf")


def test_two_sets_of_metrics_need_two_registries() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Metrics(registry)
