"""Where records become counters and log lines."""

import asyncio
import time
from collections.abc import Collection

from gateway.errors import ENGINE_PHASES, Outcome
from gateway.telemetry.catalogue import Catalogue
from gateway.telemetry.logs import log_request
from gateway.telemetry.observation import Observation
from gateway.telemetry.record import RequestRecord
from gateway.usage import Usage

# A key beyond this many is counted as "other": each costs a series in five metrics.
MAX_KEYS = 200
_LAG_PERIOD_S = 0.5


class Recorder:
    """Counts and logs requests. One per process.

    Args:
        catalogue: The metrics to write to.
        workers: How many workers there should be, for `gateway_workers_expected`.
    """

    def __init__(self, catalogue: Catalogue, *, workers: int = 1) -> None:
        self.catalogue = catalogue
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
            for kind in ("input", "cached_input", "output", "reasoning"):
                self.catalogue.tokens.labels(model, kind)
            for route in routes:
                self.catalogue.requests_started.labels(route, model)
                for stream in ("true", "false"):
                    for outcome, code in _POSSIBLE:
                        self.catalogue.requests.labels(route, model, stream, outcome, code)

    def started(self, route: str, model: str) -> None:
        """A request has begun."""
        self.catalogue.requests_started.labels(route, model).inc()
        self.catalogue.inflight.labels(model).inc()

    def finished(self, record: RequestRecord) -> None:
        """A request has ended: every counter that it moves, and its log line."""
        metrics, model = self.catalogue, record.model
        stream = "true" if record.stream else "false"
        metrics.inflight.labels(model).dec()
        metrics.requests.labels(record.route, model, stream, record.outcome, str(record.code)).inc()
        metrics.request_duration.labels(record.route, model, stream).observe(record.duration)
        if record.ttft is not None:
            metrics.time_to_first_token.labels(model).observe(record.ttft)
        if (tpot := record.time_per_output_token) is not None:
            metrics.time_per_output_token.labels(model).observe(tpot)
        if record.key is not None:
            metrics.key_requests.labels(self._key_label(record.key)).inc()
        if record.usage is not None:
            self._spent(record, record.usage)
        if record.timeout_phase is not None:
            metrics.timeouts.labels(record.timeout_phase).inc()
        if record.outcome == "cancelled":
            metrics.cancellations.labels("after_first_event" if record.events else "before_first_event").inc()
        if record.events and record.outcome != "ok":
            metrics.wasted_tokens.labels(model, record.outcome).inc(record.events)
        if not record.quiet:
            log_request(record)

    def _spent(self, record: RequestRecord, usage: Usage) -> None:
        tokens, model = self.catalogue.tokens, record.model
        tokens.labels(model, "input").inc(usage.input)
        tokens.labels(model, "output").inc(usage.output)
        tokens.labels(model, "cached_input").inc(usage.cached)
        tokens.labels(model, "reasoning").inc(usage.reasoning)
        if record.key is not None:
            key = self._key_label(record.key)
            self.catalogue.key_tokens.labels(key, "input").inc(usage.input)
            self.catalogue.key_tokens.labels(key, "output").inc(usage.output)

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
