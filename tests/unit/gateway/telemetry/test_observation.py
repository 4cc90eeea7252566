"""A running request: what is reported of it, and the record that it is frozen into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.errors import EngineTimeout, InvalidRequest
from gateway.telemetry.observation import CLIENT_CLOSED_REQUEST, RequestObservation
from gateway.usage import Usage

if TYPE_CHECKING:
    from gateway.telemetry.record import RequestRecord


class FakeSink:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.records: list[RequestRecord] = []

    def started(self, route: str, model: str) -> None:
        self.calls.append(("started", route, model))

    def charged(self, engine: str, model: str, key: str, usd: float, equivalents: float) -> None:
        self.calls.append(("charged", engine, model, key, usd, equivalents))

    def finished(self, record: RequestRecord) -> None:
        self.calls.append(("finished", record.model))
        self.records.append(record)


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


def test_a_request_is_started_and_finished_once(sink: FakeSink) -> None:
    observation = RequestObservation(sink, "r1", "/v1/x")
    observation.begin("m")
    observation.finish()
    assert sink.calls == [("started", "/v1/x", "m"), ("finished", "m")]


def test_a_request_without_a_known_model_is_started_when_it_finishes(sink: FakeSink) -> None:
    RequestObservation(sink, "r1", "/v1/x").finish()
    assert sink.calls == [("started", "/v1/x", "none"), ("finished", "none")]


def test_charges_add_up_and_are_reported_under_the_key(sink: FakeSink) -> None:
    observation = RequestObservation(sink, "r1", "/v1/x")
    observation.begin("m")
    assert observation.cost is None
    observation.charge("a", 0.25, 10.0)
    observation.key = "alice"
    observation.charge("b", 0.5, 20.0)
    observation.finish()
    assert sink.calls[1:3] == [("charged", "a", "m", "none", 0.25, 10.0), ("charged", "b", "m", "alice", 0.5, 20.0)]
    assert sink.records[0].cost == 0.75


@pytest.mark.parametrize("log", [True, False])
def test_whether_it_is_logged_is_in_the_record(sink: FakeSink, *, log: bool) -> None:
    RequestObservation(sink, "r1", "/livez", log=log).finish()
    assert sink.records[0].log == log


def test_tokens_are_timed_and_counted(sink: FakeSink, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((100.0, 100.5, 101.0, 103.0, 104.0))
    monkeypatch.setattr("gateway.telemetry.observation.time.perf_counter", lambda: next(times))
    observation = RequestObservation(sink, "r1", "/v1/x")
    for events in (1, 2, 7):
        observation.token(events)
    observation.status, observation.usage = 200, Usage(3, 7)
    observation.finish()
    record = sink.records[0]
    assert (record.ttft, record.generating, record.duration, record.token_events) == (0.5, 2.5, 4.0, 7)
    assert (record.outcome, record.usage) == ("ok", Usage(3, 7))


def test_without_tokens_there_are_no_token_times(sink: FakeSink) -> None:
    RequestObservation(sink, "r1", "/v1/x").finish()
    record = sink.records[0]
    assert (record.ttft, record.generating, record.code) == (None, None, CLIENT_CLOSED_REQUEST)


def test_the_phase_of_a_timeout_and_the_code_of_an_error_are_kept(sink: FakeSink) -> None:
    for error in (EngineTimeout("x", phase="idle"), InvalidRequest("x", code="bad_field")):
        observation = RequestObservation(sink, "r1", "/v1/x")
        observation.status, observation.error = 200, error
        observation.finish()
    timeout, invalid = sink.records
    assert (timeout.timeout_phase, timeout.error_code, timeout.outcome) == ("idle", "engine_timeout", "timeout")
    assert (invalid.timeout_phase, invalid.error_code, invalid.outcome) == (None, "bad_field", "client_error")
