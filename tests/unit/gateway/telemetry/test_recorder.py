"""The recorder: exactly which counters and which log line a record becomes, and what engines report."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.record import RECORD
from tests.support.in_process.server import nonzero_samples

from gateway.errors import (
    ClientDisconnected,
    EngineBadResponse,
    EngineTimeout,
    GatewayError,
    InvalidRequest,
)
from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.recorder import Recorder
from gateway.usage import Usage

if TYPE_CHECKING:
    from gateway.telemetry.metrics import Metrics


class Recorded:
    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.stream = io.BytesIO()
        self.writer = LogWriter(self.stream)
        self.recorder = Recorder(metrics, RequestLog("info", self.writer), workers=3)

    def __getattr__(self, name: str) -> Any:
        return nonzero_samples(getattr(self.metrics, name))

    def record(self, **changes: Any) -> None:
        record = RECORD._replace(**changes)
        self.recorder.started(record.route, record.model)
        self.recorder.finished(record)

    async def lines(self) -> list[dict[str, Any]]:
        assert await asyncio.to_thread(self.writer.flush, 5)
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
async def recorded(metrics: Metrics) -> Recorded:
    return Recorded(metrics)


async def test_the_number_of_workers_is_shown(recorded: Recorded) -> None:
    assert (recorded.worker_up, recorded.workers_expected) == ({(): 1}, {(): 3})


async def test_a_good_stream(recorded: Recorded) -> None:
    recorded.record()
    assert recorded.requests_started == {("/v1/x", "m"): 1}
    assert recorded.requests == {("/v1/x", "m", "true", "ok", "200"): 1}
    assert recorded.request_duration == {("/v1/x", "m", "true"): 1}
    assert (recorded.time_to_first_token, recorded.time_per_output_token) == ({("m",): 1}, {("m",): 1})
    types = {"input": 10, "output": 5, "cached_input": 4, "reasoning": 2}
    assert recorded.tokens == {("m", kind): count for kind, count in types.items()}
    assert (recorded.request_input_tokens, recorded.request_output_tokens) == ({("m",): 1}, {("m",): 1})
    assert recorded.key_requests == {("tester", "ok"): 1}
    assert (recorded.key_request_duration, recorded.key_time_to_first_token) == ({("tester",): 1}, {("tester",): 1})
    assert recorded.key_tokens == {("tester", "input"): 10, ("tester", "output"): 5}
    assert (
        recorded.inflight,
        recorded.timeouts,
        recorded.cancellations,
        recorded.wasted_tokens,
        recorded.label_overflow,
    ) == ({}, {}, {}, {}, {})


async def test_times_are_in_seconds_and_lengths_in_tokens(recorded: Recorded) -> None:
    recorded.record()
    sums = {
        sample.name: sample.value
        for metric in vars(recorded.metrics)
        if metric.startswith(("request_", "time_", "key_"))
        for family in getattr(recorded.metrics, metric).collect()
        for sample in family.samples
        if sample.name.endswith("_sum")
    }
    assert sums == {
        "gateway_request_duration_seconds_sum": 2.5,
        "gateway_time_to_first_token_seconds_sum": 0.25,
        "gateway_time_per_output_token_seconds_sum": 0.25,
        "gateway_request_input_tokens_sum": 10,
        "gateway_request_output_tokens_sum": 5,
        "gateway_key_request_duration_seconds_sum": 2.5,
        "gateway_key_time_to_first_token_seconds_sum": 0.25,
    }


@pytest.mark.parametrize(
    ("usage", "generating"), [(None, 1.0), (Usage(5, 1), 1.0), (Usage(5, 0), 1.0), (Usage(5, 9), None)]
)
async def test_time_per_output_token_is_undefined_for_one_token(
    recorded: Recorded, usage: Usage | None, generating: Any
) -> None:
    recorded.record(usage=usage, generating=generating)
    assert recorded.time_per_output_token == {}


async def test_a_request_in_flight(recorded: Recorded) -> None:
    observation = recorded.recorder.begin("r1", "/v1/x")
    assert (recorded.requests_started, recorded.inflight) == ({}, {})
    observation.begin("m")
    assert (recorded.requests_started, recorded.inflight) == ({("/v1/x", "m"): 1}, {("m",): 1})
    observation.status = 200
    observation.finish()
    assert recorded.inflight == {}
    assert recorded.requests == {("/v1/x", "m", "false", "ok", "200"): 1}


async def test_a_request_that_ends_before_its_model_is_known_counts_as_started_too(recorded: Recorded) -> None:
    observation = recorded.recorder.begin("r1", "/v1/x")
    observation.status, observation.error = 401, InvalidRequest("x")
    observation.finish()
    assert recorded.requests_started == {("/v1/x", "none"): 1}
    assert recorded.requests == {("/v1/x", "none", "false", "client_error", "401"): 1}


@pytest.mark.parametrize(
    ("error", "status", "outcome", "code"),
    [
        (None, 200, "ok", "200"),
        (None, 302, "ok", "302"),
        (None, 404, "client_error", "404"),
        (None, 503, "internal_error", "503"),
        (None, None, "internal_error", "499"),
        (ClientDisconnected("x"), None, "cancelled", "499"),
        (ClientDisconnected("x"), 200, "cancelled", "200"),
        (EngineTimeout("x", phase="ttft"), 504, "timeout", "504"),
        (EngineTimeout("x", phase="idle"), 200, "timeout", "200"),
        (EngineBadResponse("x"), 502, "engine_error", "502"),
        (EngineBadResponse("x"), 200, "stream_error", "200"),
        (GatewayError("x"), 500, "internal_error", "500"),
        (GatewayError("x"), 200, "stream_error", "200"),
        (InvalidRequest("x"), 400, "client_error", "400"),
    ],
)
async def test_outcomes(
    recorded: Recorded, error: GatewayError | None, status: int | None, outcome: str, code: str
) -> None:
    observation = recorded.recorder.begin("r1", "/v1/x")
    observation.begin("m")
    observation.status, observation.error = status, error
    observation.finish()
    assert recorded.requests == {("/v1/x", "m", "false", outcome, code): 1}
    assert recorded.timeouts == ({(error.phase,): 1} if isinstance(error, EngineTimeout) else {})


@pytest.mark.parametrize(
    ("code", "events", "phase"),
    [(499, 0, "before_first_event"), (200, 0, "after_first_event"), (200, 7, "after_first_event")],
)
async def test_a_cancelled_stream(recorded: Recorded, code: int, events: int, phase: str) -> None:
    recorded.record(outcome="cancelled", code=code, usage=None, token_events=events)
    assert recorded.cancellations == {(phase,): 1}
    assert recorded.wasted_tokens == ({("m", "cancelled"): events} if events else {})
    assert (recorded.tokens, recorded.key_tokens) == ({}, {})
    assert recorded.key_requests == {("tester", "cancelled"): 1}
    assert recorded.key_request_duration == {("tester",): 1}
    # Nobody knows whether its client has read the first token.
    assert (recorded.time_to_first_token, recorded.key_time_to_first_token) == ({}, {})
    [line] = await recorded.lines()
    assert line["ttft_ms"] == 250


@pytest.mark.timing
async def test_first_and_last_token_are_timed(recorded: Recorded) -> None:
    observation = recorded.recorder.begin("r1", "/v1/x")
    observation.begin("m")
    await asyncio.sleep(0.05)
    observation.token(1)
    await asyncio.sleep(0.06)
    observation.token(4)
    observation.status, observation.usage = 200, Usage(1, 4)
    observation.finish()
    [line] = await recorded.lines()
    assert 48 < line["ttft_ms"] < 500
    assert line["duration_ms"] >= line["ttft_ms"] + 58
    assert recorded.time_per_output_token == {("m",): 1}


async def test_requests_without_a_log_line_are_counted(recorded: Recorded) -> None:
    recorded.record(log=False)
    assert await recorded.lines() == []
    assert sum(recorded.requests.values()) == 1


async def test_keys_beyond_the_limit_are_other(recorded: Recorded) -> None:
    for number in range(60 + 5):
        recorded.record(key=f"key-{number}")
    recorded.record(key="key-0")
    assert len(recorded.key_requests) == 60 + 1
    assert (recorded.key_requests["other", "ok"], recorded.key_requests["key-0", "ok"]) == (5, 2)
    assert recorded.key_tokens[("other", "input")] == 50
    assert recorded.label_overflow == {("gateway_key_requests_total",): 5}


async def test_models_beyond_the_limit_are_other(recorded: Recorded) -> None:
    recorded.recorder.declare_models([f"m{number}" for number in range(16)])
    for model in ("late", "m0", "other", "none"):
        recorded.record(model=model)
    counted = {key[1]: count for key, count in recorded.requests.items()}
    assert counted == {"other": 2, "m0": 1, "none": 1}
    assert recorded.label_overflow == {("gateway_requests_total",): 1}
    assert recorded.inflight == {}
    assert [line["model"] for line in await recorded.lines()] == ["late", "m0", "other", "none"]


async def test_event_loop_lag_is_measured(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.telemetry.recorder._LAG_PERIOD_S", 0.01)
    watch = asyncio.create_task(recorded.recorder.monitor_event_loop())
    await asyncio.sleep(0.2)
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    assert recorded.event_loop_lag[()] >= 2


async def test_an_engine_is_in_one_of_its_states(recorded: Recorded) -> None:
    recorded.recorder.declare_engine("a", ("starting", "ready", "down"))
    for state in ("starting", "ready", "down", "down"):
        recorded.recorder.engine_state_set("a", state)
        assert recorded.engine_state == {("a", state): 1}
    (family,) = recorded.metrics.engine_state.collect()
    assert len(family.samples) == 3


async def test_ejections_attempts_retries_and_failed_keys_are_counted(recorded: Recorded) -> None:
    recorded.recorder.engine_ejected("a")
    recorded.recorder.attempt_finished("a", "timeout")
    recorded.recorder.retried("a")
    recorded.recorder.auth_failed("revoked_api_key")
    assert recorded.engine_ejections == {("a",): 1}
    assert recorded.engine_requests == {("a", "timeout"): 1}
    assert recorded.engine_retries == {("a",): 1}
    assert recorded.auth_failures == {("revoked_api_key",): 1}


async def test_probes_are_counted_with_the_tokens_that_the_engine_reports(recorded: Recorded) -> None:
    recorded.recorder.engine_probed("a", "ok", Usage(2, 1, 1, 1))
    recorded.recorder.engine_probed("a", "ok", None)
    recorded.recorder.engine_probed("a", "timeout", None)
    assert recorded.engine_probes == {("a", "ok"): 2, ("a", "timeout"): 1}
    assert recorded.engine_probe_tokens == {("a", "input"): 2, ("a", "output"): 1}


async def test_the_models_of_an_engine_are_shown_while_it_serves_them(recorded: Recorded) -> None:
    recorder = recorded.recorder
    recorder.declare_models([f"m{number}" for number in range(16)])
    recorder.engine_models_read("a", "vllm", ("m0", "m1"))
    recorder.engine_models_read("b", "llama_cpp", ("m0", "too many", "really"))
    assert recorded.engine_model == {
        ("a", "vllm", "m0"): 1, ("a", "vllm", "m1"): 1, ("b", "llama_cpp", "m0"): 1, ("b", "llama_cpp", "other"): 1,
    }  # fmt: skip
    recorder.engine_models_read("a", "vllm", ("m1", "m2"))
    recorder.engine_models_read("b", "", ())
    assert recorded.engine_model == {("a", "vllm", "m1"): 1, ("a", "vllm", "m2"): 1}
    # What is zero now is still there: nothing is removed from a worker's file.
    (family,) = recorded.metrics.engine_model.collect()
    assert len(family.samples) == 5
