"""The series budget: exactly the series that there are once everything is served, requested and has gone wrong."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, get_args

import pytest
from tests.support.in_process.record import RECORD

from gateway.dialects import ENDPOINTS
from gateway.engines.engine import STATES
from gateway.errors import ENGINE_PHASES, Outcome
from gateway.telemetry import endings
from gateway.telemetry.cost_counters import Part
from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.recorder import Recorder
from gateway.telemetry.series_budget import MAX_SERIES, count_series, series_budget

if TYPE_CHECKING:
    from gateway.telemetry.metrics import Metrics

ENGINES = ("vllm", "llamacpp")
ROUTES = {path: endpoint.streams for path, endpoint in ENDPOINTS.items()}
MODELS = [f"adapter-{number}" for number in range(20)]
KEYS = [f"key-{number}" for number in range(64)]
REFUSED = RECORD._replace(
    key=None, model="none", stream=False, ttft=None, generating=None, usage=None, token_events=0, cost=None
)


def record(recorder: Recorder, **changes: object) -> None:
    changed = REFUSED._replace(**changes)  # type: ignore[arg-type]  # typed per field, given by name
    recorder.started(changed.route, changed.model)
    recorder.finished(changed)


def declare(recorder: Recorder) -> None:
    """What exists before the first request."""
    for engine in ENGINES:
        recorder.costs.declare_engine(engine, 1.0)
        recorder.declare_engine(engine, STATES)
    recorder.declare_keys(KEYS)
    recorder.declare_models(MODELS)
    for engine in ENGINES:
        recorder.engine_state_set(engine, "ready")
        recorder.engine_models_read(engine, engine, MODELS)


def request_known_models(recorder: Recorder) -> None:
    """Each way in which a request to a model that an engine serves can end."""
    for model, (path, streams) in product(MODELS, ROUTES.items()):
        for stream in {False, streams}:
            for outcome, code in endings.KNOWN_MODEL_STREAM if stream else endings.KNOWN_MODEL:
                streamed = 5 if outcome in endings.WASTED_OUTCOMES else 0
                recorder.started(path, model)
                known = RECORD._replace(route=path, model=model, stream=stream, token_events=streamed, key="key-0")
                recorder.finished(known._replace(outcome=outcome, code=int(code)))
        recorder.costs.charge("vllm", model, "key-0", 1.0, 1.0)


def request_others(recorder: Recorder) -> None:
    """Each way in which the other requests can end."""
    for path, (outcome, code) in product(ROUTES, endings.NO_MODEL):
        record(recorder, route=path, outcome=outcome, code=int(code))
    for path, (outcome, code) in product(ROUTES, endings.UNKNOWN_MODEL):
        record(recorder, route=path, model="other", outcome=outcome, code=int(code))
    for path, pairs in endings.ROUTES.items():
        for outcome, code in pairs:
            record(recorder, route=path, outcome=outcome, code=int(code))
    for phase in ENGINE_PHASES:
        record(recorder, route="/v1/embeddings", outcome="timeout", code=504, timeout_phase=phase)


def request_with_keys(recorder: Recorder) -> None:
    """Each outcome for each key, with a code that belongs to it."""
    for key, outcome in product(KEYS, get_args(Outcome)):
        pair = next(pair for pair in (*endings.NO_MODEL, *endings.KNOWN_MODEL) if pair[0] == outcome)
        model = "none" if pair in endings.NO_MODEL else MODELS[0]
        record(recorder, route="/v1/embeddings", key=key, model=model, outcome=outcome, code=int(pair[1]))
        recorder.costs.charge("vllm", MODELS[0], key, 1.0, 1.0)
    for engine, part in product(ENGINES, get_args(Part)):
        recorder.costs.book(engine, part, 1.0)
    recorder.costs.write()


@pytest.mark.parametrize(("models", "keys"), [(16, 60), (3, 7)])
def test_the_budget_is_what_exists_and_nothing_that_happens_adds_to_it(
    metrics: Metrics, models: int, keys: int
) -> None:
    recorder = Recorder(metrics, RequestLog("error", LogWriter(None)), max_models=models, max_keys=keys, relayed=ROUTES)
    declare(recorder)
    budget = series_budget(ROUTES, engines=len(ENGINES), models=models, keys=keys)
    assert count_series(metrics) == budget <= MAX_SERIES
    for request in (request_known_models, request_others, request_with_keys):
        request(recorder)
    assert count_series(metrics) == budget


def test_the_budget_grows_with_everything_it_is_made_of() -> None:
    smallest = series_budget({"/a": False}, engines=1, models=1, keys=1)
    assert smallest < series_budget({"/a": True}, engines=1, models=1, keys=1)
    assert smallest < series_budget({"/a": False, "/b": False}, engines=1, models=1, keys=1)
    assert smallest < series_budget({"/a": False}, engines=2, models=1, keys=1)
    assert smallest < series_budget({"/a": False}, engines=1, models=2, keys=1)
    # Nine outcomes, two types of tokens, two summaries of two lines, and the cost.
    assert series_budget({"/a": False}, engines=1, models=1, keys=11) == smallest + 10 * 16
