"""Which series exist at zero, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.dialects import ENDPOINTS
from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS, PROBE_RESULTS
from gateway.routes import models, status
from gateway.telemetry import endings
from gateway.telemetry.initial_series import InitialSeries
from gateway.telemetry.series_budget import count_series

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

    from gateway.telemetry.metrics import Metrics

RELAYED = {"/stream": True, "/plain": False}


def children(metric: MetricWrapperBase) -> set[tuple[str, ...]]:
    """The labels of a metric's children, in their order."""
    return {
        tuple(sample.labels[name] for name in metric._labelnames)
        for family in metric.collect()
        for sample in family.samples
    }


@pytest.fixture
def series(metrics: Metrics) -> InitialSeries:
    return InitialSeries(metrics, RELAYED)


def _values(metrics: Metrics) -> set[float]:
    return {
        sample.value
        for metric in vars(metrics).values()
        for family in metric.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_refusals_phases_and_requests_without_a_model_exist_from_the_start(
    metrics: Metrics, series: InitialSeries
) -> None:
    series.create()
    assert children(metrics.timeouts) == {(phase,) for phase in ENGINE_PHASES}
    assert children(metrics.auth_failures) == {(reason,) for reason in KEY_REFUSALS}
    assert children(metrics.cancellations) == {("before_first_event",), ("after_first_event",)}
    assert children(metrics.inflight) == {("none",), ("other",)}
    requests = children(metrics.requests)
    for path in RELAYED:
        for code in ("400", "401", "403", "405", "408", "413", "415"):
            assert (path, "none", "false", "client_error", code) in requests
        assert (path, "none", "false", "queue_full", "503") in requests
        assert (path, "other", "false", "client_error", "404") in requests
    assert ("/stream", "other", "true", "client_error", "404") in requests
    assert ("/plain", "other", "true", "client_error", "404") not in requests
    for route in endings.ROUTES:
        assert {(route, "none", "false", "ok", "200"), (route, "none", "false", "internal_error", "503")} <= requests
    for code in ("400", "408", "413", "431"):
        assert ("other", "none", "false", "client_error", code) in requests
    assert {labels[:3] for labels in requests} == children(metrics.request_duration)
    assert {labels[:2] for labels in requests} == children(metrics.requests_started)
    assert _values(metrics) == {0}


def test_all_that_a_model_can_say_exists_with_it(metrics: Metrics, series: InitialSeries) -> None:
    series.create_model("m", has_price=True)
    for metric in (
        *(metrics.inflight, metrics.time_to_first_token, metrics.time_per_output_token),
        *(metrics.request_input_tokens, metrics.request_output_tokens),
        *(metrics.model_cost, metrics.output_equivalent_tokens),
    ):
        assert children(metric) == {("m",)}
    assert children(metrics.tokens) == {("m", kind) for kind in ("input", "output", "cached_input", "reasoning")}
    assert children(metrics.wasted_tokens) == {("m", outcome) for outcome in endings.WASTED_OUTCOMES}
    requests = children(metrics.requests)
    assert ("/stream", "m", "true", "client_error", "200") in requests
    assert ("/stream", "m", "false", "client_error", "200") not in requests
    assert ("/plain", "m", "false", "cancelled", "200") in requests
    assert {labels[0] for labels in requests if labels[2] == "true"} == {"/stream"}
    assert _values(metrics) == {0}


def test_all_that_a_key_can_say_exists_with_it(metrics: Metrics, series: InitialSeries) -> None:
    series.create_key("k", has_price=True)
    assert len(children(metrics.key_requests)) == 9
    assert children(metrics.key_tokens) == {("k", "input"), ("k", "output")}
    for metric in (metrics.key_request_duration, metrics.key_time_to_first_token, metrics.key_cost):
        assert children(metric) == {("k",)}
    assert _values(metrics) == {0}


def test_all_that_an_engine_can_say_exists_with_it(metrics: Metrics, series: InitialSeries) -> None:
    series.create_engine("e")
    assert children(metrics.engine_requests) == {("e", result) for result in ATTEMPT_RESULTS}
    assert children(metrics.engine_probes) == {("e", result) for result in PROBE_RESULTS}
    assert children(metrics.engine_probe_tokens) == {("e", "input"), ("e", "output")}
    assert children(metrics.engine_retries) == children(metrics.engine_ejections) == {("e",)}
    assert _values(metrics) == {0}


@pytest.mark.parametrize("create", ["create_model", "create_key"])
def test_costs_exist_only_where_there_are_prices(metrics: Metrics, series: InitialSeries, create: str) -> None:
    getattr(series, create)("x", has_price=False)
    for metric in (metrics.model_cost, metrics.output_equivalent_tokens, metrics.key_cost):
        assert children(metric) == set()


def test_what_exists_is_not_created_again(metrics: Metrics, series: InitialSeries) -> None:
    for _ in range(2):
        series.create_model("m", has_price=False)
        series.create_key("m", has_price=False)
        metrics.key_requests.labels("m", "ok").inc()
        before = count_series(metrics)
    assert count_series(metrics) == before
    assert {value for value in _values(metrics) if value} == {2}


def test_every_route_that_is_not_relayed_is_listed() -> None:
    """But for FastAPI's own pages, which it does not report as routes: they are "other"."""
    routers: list[Any] = [each.router(None, None) for each in (models, status)]  # type: ignore[arg-type]  # not called
    assert set(endings.ROUTES) == {route.path for router in routers for route in router.routes} | {"other"}
    assert set(endings.ROUTES).isdisjoint(ENDPOINTS)
