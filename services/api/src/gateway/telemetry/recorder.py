"""The recorder: turns records, attempts and the states of engines into counters and log lines."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from prometheus_client import Counter

from gateway.errors import AttemptResult, ProbeResult
from gateway.telemetry.cost_counters import CostCounters
from gateway.telemetry.increments import Cell, cell
from gateway.telemetry.initial_series import CANCELLATION_PHASES, KEY_TOKEN_TYPES, InitialSeries
from gateway.telemetry.labels import Labels
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.multiprocess import slots
from gateway.telemetry.multiprocess.counter_files import DiskSpaceMonitor
from gateway.telemetry.observation import CLIENT_CLOSED_REQUEST, RequestObservation
from gateway.telemetry.process import ProcessMetrics
from gateway.telemetry.record import RequestRecord
from gateway.telemetry.request_series import EndingSeries, KeySeries, ModelSeries
from gateway.usage import Usage

_LAG_PERIOD_S = 0.5
_BEFORE_FIRST_EVENT, _AFTER_FIRST_EVENT = CANCELLATION_PHASES


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
        self._cells: dict[tuple[Counter, tuple[str, ...]], Cell] = {}
        self._endings: dict[tuple[str, str, bool, str, int], EndingSeries] = {}
        self._by_model: dict[str, ModelSeries] = {}
        self._by_key: dict[str, KeySeries] = {}
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
        self._increment(self.metrics.engine_requests, engine, result)

    def retried(self, engine: str) -> None:
        """An attempt at this engine failed, and the request is retried on another one."""
        self._increment(self.metrics.engine_retries, engine)

    def started(self, route: str, model: str) -> None:
        """A request has started."""
        label = self._models.label(model)
        model_series = self._model_series(label)
        model_series.started(route)[0] += 1
        model_series.inflight[0] += 1

    def finished(self, record: RequestRecord) -> None:
        """A request has finished: moves its counters, then the gauge of those in flight, and writes its log line."""
        label, outcome = self._models.label(record.model, count=False), record.outcome
        model = self._model_series(label)
        ending = (record.route, label, record.stream, outcome, record.code)
        if (endings := self._endings.get(ending)) is None:
            endings = self._endings[ending] = EndingSeries(self.metrics, *ending)
        endings.count(record.duration)
        key = None
        if record.key is not None:
            key = self._key_series(self._keys.label(record.key))
            key.count(outcome, record.duration, record.usage)
        if record.usage is not None:
            model.count(record.usage)
        if record.ttft is not None:
            self._observe_stream(record, model, key)
        if outcome != "ok":
            self._count_failure(record, label)
        model.inflight[0] -= 1
        if record.log:
            self._log.write(record)

    def _observe_stream(self, record: RequestRecord, model: ModelSeries, key: KeySeries | None) -> None:
        # Behind TLS a client may have left long before its first token; that is noticed only when it is sent. Not
        # knowing who has read theirs, none is counted (docs/decisions/0028).
        if record.ttft is not None and record.outcome != "cancelled":
            model.time_to_first_token.observe(record.ttft)
            if key is not None:
                key.time_to_first_token.observe(record.ttft)
        if (tpot := record.time_per_output_token) is not None:
            model.time_per_output_token.observe(tpot)

    def _count_failure(self, record: RequestRecord, model: str) -> None:
        metrics = self.metrics
        if record.timeout_phase is not None:
            self._increment(metrics.timeouts, record.timeout_phase)
        if record.outcome == "cancelled":
            is_early = record.code == CLIENT_CLOSED_REQUEST
            self._increment(metrics.cancellations, _BEFORE_FIRST_EVENT if is_early else _AFTER_FIRST_EVENT)
        if record.token_events:
            self._increment(metrics.wasted_tokens, model, record.outcome, amount=record.token_events)

    def _increment(self, metric: Counter, *labels: str, amount: float = 1) -> None:
        """Increments a counter, which is looked up once."""
        name = (metric, labels)
        value = self._cells.get(name)
        if value is None:
            value = self._cells[name] = cell(metric.labels(*labels))
        value[0] += amount

    def _model_series(self, label: str) -> ModelSeries:
        series = self._by_model.get(label)
        if series is None:
            series = self._by_model[label] = ModelSeries(self.metrics, label)
        return series

    def _key_series(self, label: str) -> KeySeries:
        series = self._by_key.get(label)
        if series is None:
            series = self._by_key[label] = KeySeries(self.metrics, label)
        return series

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
