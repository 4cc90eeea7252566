"""Where records become counters and log lines."""

import asyncio
import time
from collections.abc import Collection
from typing import Any, TypeVar, cast

from prometheus_client.metrics import MetricWrapperBase

from gateway.errors import ENGINE_PHASES, Outcome
from gateway.telemetry.catalogue import Catalogue
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.observation import Observation
from gateway.telemetry.record import RequestRecord
from gateway.usage import Usage

# A key beyond this many is counted as "other": each costs a series in five metrics.
MAX_KEYS = 200
_LAG_PERIOD_S = 0.5
# In the order of the fields of `Usage`.
_TOKEN_TYPES = ("input", "output", "cached_input", "reasoning")
_KEY_TOKEN_TYPES = frozenset({"input", "output"})

M = TypeVar("M", bound=MetricWrapperBase)


class Recorder:
    """Counts and logs requests. One per process.

    Args:
        catalogue: The metrics to write to.
        log: Where the lines of requests go.
        workers: How many workers there should be, for `gateway_workers_expected`.
    """

    def __init__(self, catalogue: Catalogue, log: RequestLog, *, workers: int = 1) -> None:
        self.catalogue = catalogue
        self._log = log
        self._children: dict[tuple[MetricWrapperBase, tuple[str, ...]], Any] = {}
        self._keys: set[str] = set()
        self._models: set[str] = set()
        catalogue.worker_up.set(1)
        catalogue.workers_expected.set(workers)
        for phase in ENGINE_PHASES:
            catalogue.timeouts.labels(phase)
        for moment in ("before_first_event", "after_first_event"):
            catalogue.cancellations.labels(moment)

    def begin(self, request_id: str, route: str, *, quiet: bool = False) -> Observation:
        """Starts to observe a request."""
        return Observation(self, request_id, route, quiet=quiet)

    def know_models(self, routes: Collection[str], models: Collection[str]) -> None:
        """Makes the series of newly discovered models exist at zero, so that their first failure is an increase."""
        for model in set(models) - self._models:
            self._models.add(model)
            self.catalogue.inflight.labels(model)
            for kind in _TOKEN_TYPES:
                self.catalogue.tokens.labels(model, kind)
            for route in routes:
                self.catalogue.requests_started.labels(route, model)
                for stream in ("true", "false"):
                    for outcome, code in _POSSIBLE:
                        self.catalogue.requests.labels(route, model, stream, outcome, code)

    def started(self, route: str, model: str) -> None:
        """A request has begun."""
        self._of(self.catalogue.requests_started, route, model).inc()
        self._of(self.catalogue.inflight, model).inc()

    def finished(self, record: RequestRecord) -> None:
        """A request has ended: every counter that it moves, and its log line."""
        metrics, model, of = self.catalogue, record.model, self._of
        stream = "true" if record.stream else "false"
        of(metrics.inflight, model).dec()
        of(metrics.requests, record.route, model, stream, record.outcome, str(record.code)).inc()
        of(metrics.request_duration, record.route, model, stream).observe(record.duration)
        if record.ttft is not None:
            of(metrics.time_to_first_token, model).observe(record.ttft)
        if (tpot := record.time_per_output_token) is not None:
            of(metrics.time_per_output_token, model).observe(tpot)
        if record.key is not None:
            of(metrics.key_requests, self._key_label(record.key)).inc()
        if record.usage is not None:
            self._spent(record, record.usage)
        if record.timeout_phase is not None:
            of(metrics.timeouts, record.timeout_phase).inc()
        if record.outcome == "cancelled":
            of(metrics.cancellations, "after_first_event" if record.events else "before_first_event").inc()
        if record.events and record.outcome != "ok":
            of(metrics.wasted_tokens, model, record.outcome).inc(record.events)
        if not record.quiet:
            self._log.write(record)

    def _spent(self, record: RequestRecord, usage: Usage) -> None:
        key = None if record.key is None else self._key_label(record.key)
        for kind, count in zip(_TOKEN_TYPES, usage, strict=True):
            if count:
                self._of(self.catalogue.tokens, record.model, kind).inc(count)
                if key is not None and kind in _KEY_TOKEN_TYPES:
                    self._of(self.catalogue.key_tokens, key, kind).inc(count)

    def _of(self, metric: M, *labels: str) -> M:
        """A metric's child; prometheus-client's own look-up costs more than counting does."""
        name = (metric, labels)
        child = self._children.get(name)
        if child is None:
            child = self._children[name] = metric.labels(*labels)
        return cast(M, child)

    def _key_label(self, key: str) -> str:
        if key in self._keys:
            return key
        if len(self._keys) >= MAX_KEYS:
            self.catalogue.label_overflow.labels("key_requests_total").inc()
            return "other"
        self._keys.add(key)
        return key

    async def watch_event_loop(self) -> None:
        """Measures for ever how late the event loop's timers fire."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_LAG_PERIOD_S)
            self.catalogue.event_loop_lag.observe(max(0.0, time.perf_counter() - before - _LAG_PERIOD_S))


# Pairs of outcome and code that a relayed request to a known model can end with.
_POSSIBLE: tuple[tuple[Outcome, str], ...] = (
    ("ok", "200"),
    ("client_error", "400"),
    ("cancelled", "499"),
    ("cancelled", "200"),
    ("timeout", "504"),
    ("timeout", "200"),
    ("engine_error", "502"),
    ("engine_error", "503"),
    ("stream_error", "200"),
    ("internal_error", "500"),
)
