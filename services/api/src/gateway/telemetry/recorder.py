"""The recorder: turns records, attempts and the states of engines into counters and log lines."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from prometheus_client.metrics import MetricWrapperBase

from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS, AttemptResult, Outcome
from gateway.telemetry.cost_counters import CostCounters
from gateway.telemetry.labels import Labels
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.multiprocess import slots
from gateway.telemetry.multiprocess.counter_files import DiskSpaceMonitor
from gateway.telemetry.observation import CLIENT_CLOSED_REQUEST, RequestObservation
from gateway.telemetry.record import RequestRecord
from gateway.usage import Usage

_LAG_PERIOD_S = 0.5
# In the order of the fields of `Usage`.
_TOKEN_TYPES = ("input", "output", "cached_input", "reasoning")
_KEY_TOKEN_TYPES = frozenset({"input", "output"})

M = TypeVar("M", bound=MetricWrapperBase)


class Recorder:
    """The one door to the metrics: counts and logs requests, and what engines report. One per process.

    Args:
        metrics: The metrics to write to.
        log: Where the log lines of requests go.
        workers: How many workers there should be, for `gateway_workers_expected`.
        max_models: Models beyond this number are counted as "other"; see `series_budget`.
        max_keys: Likewise for keys.

    Attributes:
        costs: Counts dollars.
        charged: As in `RequestSink`; the costs' own method, without a call in between.
    """

    def __init__(
        self, metrics: Metrics, log: RequestLog, *, workers: int = 1, max_models: int = 16, max_keys: int = 60
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
        for phase in ENGINE_PHASES:
            metrics.timeouts.labels(phase)
        for reason in KEY_REFUSALS:
            metrics.auth_failures.labels(reason)
        for moment in ("before_first_event", "after_first_event"):
            metrics.cancellations.labels(moment)

    def begin(self, request_id: str, route: str, *, log: bool = True) -> RequestObservation:
        """Starts to observe a request; see `RequestObservation`."""
        return RequestObservation(self, request_id, route, log=log)

    def declare_models(self, routes: Mapping[str, bool], models: Collection[str]) -> None:
        """Creates the series of newly discovered models at zero, so that their first failure is an increase.

        Args:
            routes: The relayed routes, and whether each can stream.
            models: What an engine serves.
        """
        for model in models:
            if not self._models.add(model):
                continue
            self.costs.declare_model(model)
            self.metrics.inflight.labels(model)
            for kind in _TOKEN_TYPES:
                self.metrics.tokens.labels(model, kind)
            for reason in _WASTED_OUTCOMES:
                self.metrics.wasted_tokens.labels(model, reason)
            for route, streams in routes.items():
                self.metrics.requests_started.labels(route, model)
                for stream in ("true", "false") if streams else ("false",):
                    for outcome, code in _PREDECLARED:
                        self.metrics.requests.labels(route, model, stream, outcome, code)

    def declare_engine(self, engine: str, states: Sequence[str]) -> None:
        """Creates the series of an engine at zero; see `EngineObserver`."""
        self._engine_states[engine] = states
        for result in ATTEMPT_RESULTS:
            self.metrics.engine_requests.labels(engine, result)
        self.metrics.engine_retries.labels(engine)
        self.metrics.engine_ejections.labels(engine)

    def engine_state_set(self, engine: str, state: str) -> None:
        """Shows the state of an engine; see `EngineObserver`."""
        for other in self._engine_states[engine]:
            self.metrics.engine_state.labels(engine, other).set(other == state)

    def engine_ejected(self, engine: str) -> None:
        """Counts an ejection; see `EngineObserver`."""
        self.metrics.engine_ejections.labels(engine).inc()

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
        if record.ttft is not None:
            child(metrics.time_to_first_token, model).observe(record.ttft)
        if (tpot := record.time_per_output_token) is not None:
            child(metrics.time_per_output_token, model).observe(tpot)
        key = None if record.key is None else self._keys.label(record.key)
        if key is not None:
            child(metrics.key_requests, key).inc()
        if record.usage is not None:
            self._count_usage(model, key, record.usage)
        if record.timeout_phase is not None:
            child(metrics.timeouts, record.timeout_phase).inc()
        if record.outcome == "cancelled":
            is_early = record.code == CLIENT_CLOSED_REQUEST
            child(metrics.cancellations, "before_first_event" if is_early else "after_first_event").inc()
        if record.token_events and record.outcome != "ok":
            child(metrics.wasted_tokens, model, record.outcome).inc(record.token_events)
        child(metrics.inflight, model).dec()
        if record.log:
            self._log.write(record)

    def _count_usage(self, model: str, key: str | None, usage: Usage) -> None:
        for kind, count in zip(_TOKEN_TYPES, usage, strict=True):
            if count:
                self._child(self.metrics.tokens, model, kind).inc(count)
                if key is not None and kind in _KEY_TOKEN_TYPES:
                    self._child(self.metrics.key_tokens, key, kind).inc(count)

    def _child(self, metric: M, *labels: str) -> M:
        """A metric's child. prometheus-client's own lookup costs more than counting does."""
        name = (metric, labels)
        child = self._children.get(name)
        if child is None:
            child = self._children[name] = metric.labels(*labels)
        return cast(M, child)

    async def monitor_event_loop(self) -> None:
        """Measures forever how late the event loop's timers fire, and retries counters without disk space."""
        disk_space = DiskSpaceMonitor()
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_LAG_PERIOD_S)
            self.metrics.event_loop_lag.observe(max(0.0, time.perf_counter() - before - _LAG_PERIOD_S))
            disk_space.check()


# Outcomes of a stream that broke off after its first tokens, which were then wasted; also of one that the gateway
# aggregates into a plain response.
_WASTED_OUTCOMES: tuple[Outcome, ...] = (
    *("cancelled", "timeout", "stream_error", "engine_error", "internal_error", "client_error"),
)
# Pairs of outcome and code with which a relayed request to a known model can end.
_PREDECLARED: tuple[tuple[Outcome, str], ...] = (
    ("ok", "200"),
    ("client_error", "400"),
    ("client_error", "200"),
    ("rate_limited", "429"),
    ("cancelled", "499"),
    ("cancelled", "200"),
    ("timeout", "504"),
    ("timeout", "200"),
    ("engine_error", "502"),
    ("engine_error", "503"),
    ("stream_error", "200"),
    ("internal_error", "500"),
    ("internal_error", "503"),
)
