"""The series budget: no more series than it says, whatever is served, requested and goes wrong."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, get_args

import pytest
from tests.support.in_process.record import RECORD

from gateway.dialects import ENDPOINTS
from gateway.engines.engine import STATES
from gateway.telemetry.cost_counters import Part
from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.recorder import _PREDECLARED, Recorder
from gateway.telemetry.series_budget import _ENGINE_STATES, MAX_SERIES, series_budget

if TYPE_CHECKING:
    from gateway.telemetry.metrics import Metrics

# Codes of client errors: of our own, and of engines.
CLIENT_ERRORS = (401, 403, 404, 405, 408, 413, 422, 429)
ENGINES = ("vllm", "llamacpp")
ROUTES = {path: endpoint.streams for path, endpoint in ENDPOINTS.items()}
MODELS = [f"adapter-{number}" for number in range(100)]
KEYS = [f"key-{number}" for number in range(100)]
REST = (
    "/",
    "/livez",
    "/readyz",
    "/healthz",
    "/health",
    "/v1/models",
    "/models/status",
    "/docs",
    "/openapi.json",
    "other",
)
FAILURES = ("missing_api_key", "invalid_api_key", "revoked_api_key", "expired_api_key")
OTHER = RECORD._replace(route="/", key="key-0", model="none", stream=False)


def record(recorder: Recorder, **changes: object) -> None:
    changed = OTHER._replace(**changes)  # type: ignore[arg-type]  # typed per field, given by name
    recorder.started(changed.route, changed.model)
    recorder.finished(changed)


def series(metrics: Metrics) -> int:
    """Samples that a scrape would show; the files of several workers have no `_created`."""
    families = [family for metric in vars(metrics).values() for family in metric.collect()]
    return sum(1 for family in families for sample in family.samples if not sample.name.endswith("_created"))


def declare_engines(recorder: Recorder) -> None:
    for engine in ENGINES:
        recorder.declare_engine(engine, STATES)
        recorder.engine_state_set(engine, "ready")
        recorder.costs.declare_engine(engine, 1.0)
        for part in get_args(Part):
            recorder.costs.book(engine, part, 1.0)


@pytest.mark.parametrize(("models", "keys"), [(16, 60), (3, 7)])
def test_no_more_series_than_the_budget_when_everything_has_happened(metrics: Metrics, models: int, keys: int) -> None:
    recorder = Recorder(metrics, RequestLog("error", LogWriter(None)), max_models=models, max_keys=keys)
    declare_engines(recorder)
    for reason in FAILURES:
        metrics.auth_failures.labels(reason)
    recorder.declare_models(ROUTES, MODELS)
    for engine in ENGINES:
        recorder.engine_models_read(engine, engine, MODELS)
    endings = *_PREDECLARED, *(("client_error", str(code)) for code in CLIENT_ERRORS)
    for model, (path, streams), (outcome, code) in product((*MODELS, "none"), ROUTES.items(), endings):
        for stream in {False, streams}:
            record(recorder, route=path, model=model, stream=stream, outcome=outcome, code=int(code))
        recorder.costs.charge("vllm", model, "key-0", 1.0, 1.0)
    for route, (ended, status) in product(REST, (("ok", 200), ("client_error", 401), ("internal_error", 500))):
        changes = {"ttft": None, "generating": None, "usage": None, "token_events": 0}
        record(recorder, route=route, outcome=ended, code=status, **changes)
    for key in KEYS:
        record(recorder, key=key)
        recorder.costs.charge("vllm", "none", key, 1.0, 1.0)
    recorder.costs.write()
    budget = series_budget(ROUTES, engines=len(ENGINES), models=models, keys=keys)
    assert 0.9 * budget < series(metrics) <= budget <= MAX_SERIES


def test_the_budget_grows_with_everything_it_is_made_of() -> None:
    smallest = series_budget({"/a": False}, engines=1, models=1, keys=1)
    assert smallest < series_budget({"/a": True}, engines=1, models=1, keys=1)
    assert smallest < series_budget({"/a": False, "/b": False}, engines=1, models=1, keys=1)
    assert smallest < series_budget({"/a": False}, engines=2, models=1, keys=1)
    assert smallest < series_budget({"/a": False}, engines=1, models=2, keys=1)
    assert series_budget({"/a": False}, engines=1, models=1, keys=11) == smallest + 40
    assert len(STATES) <= _ENGINE_STATES
