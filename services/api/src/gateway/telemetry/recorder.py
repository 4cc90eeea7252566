"""The recorder: turns records, attempts and the states of engines into counters and log lines."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, cast

from prometheus_client.metrics import MetricWrapperBase

from gateway.errors import AttemptResult, ProbeResult
from gateway.telemetry.cost_counters import CostCounters
from gateway.telemetry.initial_series import CANCELLATION_PHASES, KEY_TOKEN_TYPES, TOKEN_TYPES, InitialSeries
from gateway.telemetry.labels import Labels
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.multiprocess import slots
from gateway.telemetry.multiprocess.counter_files import DiskSpaceMonitor
from gateway.telemetry.observation import CLIENT_CLOSED_REQUEST, RequestObservation
from gateway.telemetry.process import ProcessMetrics
from gateway.telemetry.record import RequestRecord
from gateway.usage import Usage

_LAG_PERIOD_S = 0.5
_BEFORE_FIRST_EVENT, _AFTER_FIRST_EVENT = CANCELLATION_PHASES

M = TypeVar("M", bound=MetricWrapperBase)


class Recorder:
    """The one door to the metrics: counts and logs requests, and what engines report. One per process.

    Args:
        metrics: The metrics to write to.
        log: Where the log lines of requests go.
        workers: How many workers there should be, for `gateway_workers_expected`.
        max_models: Models beyond this number are counted as "other"; see `series_budget`.
        max_keys: Likewise for keys.
        relayed: The relayed routes, and whether each can stream.

    Attributes:
        costs: Counts dollars.
        charged: As in `RequestSink`; the costs' own method, without a call in between.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: RequestLog,
        *,
        workers: int = 1,
        max_models: int = 16,
        max_keys: int = 60,
        relayed: Mapping[str, bool] = MappingProxyType({}),
    ) -> None:
        self.metrics = metrics
        self._log = log
        log.writer.on_lost = metrics.log_lines_lost.inc
        self._children: dict[tuple[MetricWrapperBase, tuple[str, ...]], Any] = {}
        self._engine_states: dict[str, Sequence[str]] = {}
        self._engine_models: dict[str, set[tuple[str, str, str]]] = {}
        shared = slots.directory()
        self._keys, self._models = (
            Labels(limit, metrics.label_overflow.labels(metric), shared and shared / f"labels-of-{metric}")
            for limit, metric in ((max_keys, "gateway_key_requests_total"), (max_models, "gateway_requests_total"))
        )
        self.costs = CostCounters(
            metrics, partial(self._models.label, count=False), partial(self._keys.label, count=False)
        )
        self.charged = self.costs.charge
        metrics.worker_up.set(1)
        metrics.workers_expected.set(workers)
        self._process = ProcessMetrics(metrics)
        self._series = InitialSeries(metrics, relayed)
        self._series.create()

    def begin(self, request_id: str, route: str, *, log: bool = True) -> RequestObservation:
        """Starts to observe a request; see `RequestObservation`."""
        return RequestObservation(self, request_id, route, log=log)

    def declare_models(self, models: Collection[str]) -> None:
        """An engine serves these models: their series start at zero, so that their first failure is an increase."""
        for model in models:
            self._series.create_model(self._models.label(model, count=False), has_price=self.costs.has_prices)

    def declare_keys(self, keys: Iterable[str]) -> None:
        """These keys are in force: their series start at zero, so that their first requests are an increase."""
        for key in keys:
            self._series.create_key(self._keys.label(key, count=False), has_price=self.costs.has_prices)

    def declare_engine(self, engine: str, states: Sequence[str]) -> None:
        """Creates the series of an engine at zero; see `EngineObserver`."""
        self._engine_states[engine] = states
        self._series.create_engine(engine)

    def engine_state_set(self, engine: str, state: str) -> None:
        """Shows the state of an engine; see `EngineObserver`."""
        for other in self._engine_states[engine]:
            self.metrics.engine_state.labels(engine, other).set(other == state)

    def engine_ejected(self, engine: str) -> None:
        """Counts an ejection; see `EngineObserver`."""
        self.metrics.engine_ejections.labels(engine).inc()

    def engine_probed(self, engine: str, result: ProbeResult, usage: Usage | None) -> None:
        """Counts a probe; see `EngineObserver`."""
        self.metrics.engine_probes.labels(engine, result).inc()
        for kind, count in zip(KEY_TOKEN_TYPES, usage or (), strict=False):
            self.metrics.engine_probe_tokens.labels(engine, kind).inc(count)

    def engine_models_read(self, engine: str, kind: str, models: Collection[str]) -> None:
        """Shows which models an engine serves; those that it no longer serves become zero."""
        served = {(engine, kind, self._models.label(model, count=False)) for model in models}
        before = self._engine_models.get(engine, set())
        for labels in served ^ before:
            self.metrics.engine_model.labels(*labels).set(labels in served)
        self._engine_models[engine] = served

    def auth_failed(self, reason: str) -> None:
        """A request had no valid key; `reason` is one of `KEY_REFUSALS`."""
        self.metrics.auth_failures.labels(reason).inc()

    def attempt_finished(self, engine: str, result: AttemptResult) -> None:
        """An attempt at an engine has ended."""
        self._child(self.metrics.engine_requests, engine, result).inc()

    def retried(self, engine: str) -> None:
        """An attempt at this engine failed, and the request is retried on another one."""
        self._child(self.metrics.engine_retries, engine).inc()

    def started(self, route: str, model: str) -> None:
        """A request has started."""
        label = self._models.label(model)
        self._child(self.metrics.requests_started, route, label).inc()
        self._child(self.metrics.inflight, label).inc()

    def finished(self, record: RequestRecord) -> None:
        """A request has finished: moves its counters, then the gauge of those in flight, and writes its log line."""
        metrics, child = self.metrics, self._child
        model = self._models.label(record.model, count=False)
        stream = "true" if record.stream else "false"
        child(metrics.requests, record.route, model, stream, record.outcome, str(record.code)).inc()
        child(metrics.request_duration, record.route, model, stream).observe(record.duration)
        # Behind TLS a client may have left long before its first token; that is noticed only when it is sent. Not
        # knowing who has read theirs, none is counted (docs/decisions/0028).
        ttft = None if record.outcome == "cancelled" else record.ttft
        if ttft is not None:
            child(metrics.time_to_first_token, model).observe(ttft)
        if (tpot := record.time_per_output_token) is not None:
            child(metrics.time_per_output_token, model).observe(tpot)
        key = None if record.key is None else self._keys.label(record.key)
        if key is not None:
            child(metrics.key_requests, key, record.outcome).inc()
            child(metrics.key_request_duration, key).observe(record.duration)
            if ttft is not None:
                child(metrics.key_time_to_first_token, key).observe(ttft)
        if record.usage is not None:
            self._count_usage(model, key, record.usage)
        if record.timeout_phase is not None:
            child(metrics.timeouts, record.timeout_phase).inc()
        if record.outcome == "cancelled":
            is_early = record.code == CLIENT_CLOSED_REQUEST
            child(metrics.cancellations, _BEFORE_FIRST_EVENT if is_early else _AFTER_FIRST_EVENT).inc()
        if record.token_events and record.outcome != "ok":
            child(metrics.wasted_tokens, model, record.outcome).inc(record.token_events)
        child(metrics.inflight, model).dec()
        if record.log:
            self._log.write(record)

    def _count_usage(self, model: str, key: str | None, usage: Usage) -> None:
        metrics, child = self.metrics, self._child
        child(metrics.request_input_tokens, model).observe(usage.input)
        child(metrics.request_output_tokens, model).observe(usage.output)
        for kind, count in zip(TOKEN_TYPES, usage, strict=True):
            if count:
                child(metrics.tokens, model, kind).inc(count)
                if key is not None and kind in KEY_TOKEN_TYPES:
                    child(metrics.key_tokens, key, kind).inc(count)

    def _child(self, metric: M, *labels: str) -> M:
        """A metric's child. prometheus-client's own lookup costs more than counting does."""
        name = (metric, labels)
        child = self._children.get(name)
        if child is None:
            child = self._children[name] = metric.labels(*labels)
        return cast(M, child)

    async def monitor_event_loop(self) -> None:
        """Measures forever how late the event loop's timers fire, and what this process takes.

        Counters without disk space are retried.
        """
        disk_space = DiskSpaceMonitor()
        while True:
            self._process.sample()
            before = time.perf_counter()
            await asyncio.sleep(_LAG_PERIOD_S)
            self.metrics.event_loop_lag.observe(max(0.0, time.perf_counter() - before - _LAG_PERIOD_S))
            disk_space.check()
