"""Where records become counters and log lines."""

import asyncio
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from prometheus_client.metrics import MetricWrapperBase

from gateway.errors import ENGINE_PHASES, KEY_REFUSALS, Outcome
from gateway.telemetry import slots
from gateway.telemetry.catalogue import Catalogue
from gateway.telemetry.counter_files import RoomWatch
from gateway.telemetry.labels import Labels
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.observation import CLIENT_CLOSED_REQUEST, Observation
from gateway.telemetry.record import RequestRecord
from gateway.telemetry.spending import Spending
from gateway.usage import Usage

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
        max_models: Models beyond these are counted as "other": see `budget`.
        max_keys: So are keys.
    """

    def __init__(
        self, catalogue: Catalogue, log: RequestLog, *, workers: int = 1, max_models: int = 16, max_keys: int = 60
    ) -> None:
        self.catalogue = catalogue
        self._log = log
        log.writer.on_lost = catalogue.log_lines_lost.inc
        self._children: dict[tuple[MetricWrapperBase, tuple[str, ...]], Any] = {}
        self._served: dict[str, set[tuple[str, str, str]]] = {}
        shared = slots.directory()
        self._keys, self._models = (
            Labels(limit, catalogue.label_overflow.labels(metric), shared and shared / f"labels-of-{metric}")
            for limit, metric in ((max_keys, "gateway_key_requests_total"), (max_models, "gateway_requests_total"))
        )
        self.spending = Spending(catalogue, partial(self._models.of, again=True), partial(self._keys.of, again=True))
        catalogue.worker_up.set(1)
        catalogue.workers_expected.set(workers)
        for phase in ENGINE_PHASES:
            catalogue.timeouts.labels(phase)
        for reason in KEY_REFUSALS:
            catalogue.auth_failures.labels(reason)
        for moment in ("before_first_event", "after_first_event"):
            catalogue.cancellations.labels(moment)

    def begin(self, request_id: str, route: str, *, quiet: bool = False) -> Observation:
        """Starts to observe a request."""
        return Observation(self, request_id, route, quiet=quiet)

    def know_models(self, routes: Mapping[str, bool], models: Collection[str]) -> None:
        """Makes the series of newly discovered models exist at zero, so that their first failure is an increase.

        Args:
            routes: The relayed routes, and whether each can stream.
            models: What an engine serves.
        """
        for model in models:
            if not self._models.add(model):
                continue
            self.spending.know_model(model)
            self.catalogue.inflight.labels(model)
            for kind in _TOKEN_TYPES:
                self.catalogue.tokens.labels(model, kind)
            for reason in _WASTES:
                self.catalogue.wasted_tokens.labels(model, reason)
            for route, streams in routes.items():
                self.catalogue.requests_started.labels(route, model)
                for stream in ("true", "false") if streams else ("false",):
                    for outcome, code in _POSSIBLE:
                        self.catalogue.requests.labels(route, model, stream, outcome, code)

    def know_engine(self, engine: str, kind: str, models: Collection[str]) -> None:
        """Shows which models an engine serves; those that it served before and no longer does become 0."""
        served = {(engine, kind, self._models.of(model, again=True)) for model in models}
        before = self._served.get(engine, set())
        for labels in served ^ before:
            self.catalogue.engine_model.labels(*labels).set(labels in served)
        self._served[engine] = served

    def started(self, route: str, model: str) -> None:
        """A request has begun."""
        label = self._models.of(model)
        self._of(self.catalogue.requests_started, route, label).inc()
        self._of(self.catalogue.inflight, label).inc()

    def finished(self, record: RequestRecord) -> None:
        """A request has ended: every counter that it moves, then the gauge of what is in flight, and its log line."""
        metrics, of = self.catalogue, self._of
        model = self._models.of(record.model, again=True)
        stream = "true" if record.stream else "false"
        of(metrics.requests, record.route, model, stream, record.outcome, str(record.code)).inc()
        of(metrics.request_duration, record.route, model, stream).observe(record.duration)
        if record.ttft is not None:
            of(metrics.time_to_first_token, model).observe(record.ttft)
        if (tpot := record.time_per_output_token) is not None:
            of(metrics.time_per_output_token, model).observe(tpot)
        key = None if record.key is None else self._keys.of(record.key)
        if key is not None:
            of(metrics.key_requests, key).inc()
        if record.usage is not None:
            self._spent(model, key, record.usage)
        if record.timeout_phase is not None:
            of(metrics.timeouts, record.timeout_phase).inc()
        if record.outcome == "cancelled":
            left_early = record.code == CLIENT_CLOSED_REQUEST
            of(metrics.cancellations, "before_first_event" if left_early else "after_first_event").inc()
        if record.events and record.outcome != "ok":
            of(metrics.wasted_tokens, model, record.outcome).inc(record.events)
        of(metrics.inflight, model).dec()
        if not record.quiet:
            self._log.write(record)

    def _spent(self, model: str, key: str | None, usage: Usage) -> None:
        for kind, count in zip(_TOKEN_TYPES, usage, strict=True):
            if count:
                self._of(self.catalogue.tokens, model, kind).inc(count)
                if key is not None and kind in _KEY_TOKEN_TYPES:
                    self._of(self.catalogue.key_tokens, key, kind).inc(count)

    def _of(self, metric: M, *labels: str) -> M:
        """A metric's child; prometheus-client's own look-up costs more than counting does."""
        name = (metric, labels)
        child = self._children.get(name)
        if child is None:
            child = self._children[name] = metric.labels(*labels)
        return cast(M, child)

    async def watch_event_loop(self) -> None:
        """Measures for ever how late the event loop's timers fire, and looks after counters without room."""
        room = RoomWatch()
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_LAG_PERIOD_S)
            self.catalogue.event_loop_lag.observe(max(0.0, time.perf_counter() - before - _LAG_PERIOD_S))
            room.look()


# Outcomes of a stream that broke off, that to an engine included of which the gateway makes a plain answer: what it had
# said was for nothing.
_WASTES: tuple[Outcome, ...] = (
    *("cancelled", "timeout", "stream_error", "engine_error", "internal_error", "client_error"),
)
# Pairs of outcome and code that a relayed request to a known model can end with.
_POSSIBLE: tuple[tuple[Outcome, str], ...] = (
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
