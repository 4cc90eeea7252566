"""The rules that every metric of the gateway follows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Histogram

from gateway.telemetry.metrics import LAG_BUCKETS, TPOT_BUCKETS, TTFT_BUCKETS, Metrics
from observability import settings

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

ALL: dict[str, MetricWrapperBase] = vars(Metrics(CollectorRegistry()))
# Labels whose values come from closed sets; none is a client's text.
LABELS = {
    *("route", "model", "stream", "outcome", "code", "key", "type"),
    *("engine", "kind", "state", "result", "part", "phase", "reason", "metric", "version"),
}
GOLDEN = Path(__file__).parents[2] / "observability" / "golden"


@pytest.mark.parametrize("metric", ALL.values(), ids=ALL)
def test_names_labels_and_help(metric: MetricWrapperBase) -> None:
    assert metric._name.startswith("gateway_")
    assert set(metric._labelnames) <= LABELS
    assert metric._documentation.endswith((".", "?", ":")) or metric._documentation[-1].isalnum()
    assert "\n" not in metric._documentation


@pytest.mark.parametrize(
    "metric", [metric for metric in ALL.values() if isinstance(metric, Histogram)], ids=lambda metric: metric._name
)
def test_histograms_name_their_unit_and_their_buckets_rise(metric: Histogram) -> None:
    bounds = metric._upper_bounds
    assert metric._name.endswith(("_seconds", "_tokens"))
    assert list(bounds) == sorted(set(bounds))
    assert bounds[-1] == float("inf")


@pytest.mark.parametrize(
    ("buckets", "objectives"),
    [
        (TTFT_BUCKETS, (settings.TTFT_SLOW_SECONDS, settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS)),
        (TPOT_BUCKETS, (settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS)),
        (LAG_BUCKETS, (settings.LOOP_LAG_WARN_SECONDS, settings.LOOP_LAG_LIMIT_SECONDS)),
    ],
    ids=["time to first token", "time per output token", "event loop lag"],
)
def test_every_objective_is_a_bound_with_others_near_it(
    buckets: tuple[float, ...], objectives: tuple[float, ...]
) -> None:
    """A share below an objective is exact only at a bound, and a quantile near it no better than the next ones."""
    assert set(objectives) <= set(buckets)
    for objective in objectives:
        place = buckets.index(objective)
        assert buckets[place - 1] >= 0.5 * objective
        assert buckets[place + 1] <= 2.5 * objective


def test_the_first_tokens_bounds_include_vllms() -> None:
    (golden,) = GOLDEN.glob("vllm-[0-9]*.metrics")
    bounds = re.findall(r'^vllm:time_to_first_token_seconds_bucket{.*le="([0-9.]+)"', golden.read_text(), re.MULTILINE)
    assert bounds
    assert {float(bound) for bound in bounds} <= set(TTFT_BUCKETS)


def test_two_sets_of_metrics_need_two_registries() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Metrics(registry)
