"""Series at zero: all that a route, a model, a key or an engine can say exists as soon as it does.

`increase()` sees no event that creates its own series: the first failure, or the first requests of a new key, would be
missing from every panel and alert for ever.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import get_args

from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS, PROBE_RESULTS, Outcome
from gateway.telemetry import endings
from gateway.telemetry.endings import Ending
from gateway.telemetry.labels import NONE, OTHER
from gateway.telemetry.metrics import Metrics

# In the order of the fields of `Usage`.
TOKEN_TYPES = ("input", "output", "cached_input", "reasoning")
KEY_TOKEN_TYPES = TOKEN_TYPES[:2]
CANCELLATION_PHASES = ("before_first_event", "after_first_event")
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class InitialSeries:
    """Creates series. One per process; creating one that exists changes nothing.

    Args:
        metrics: The metrics to create them in.
        relayed: The relayed routes, and whether each can stream.
    """

    def __init__(self, metrics: Metrics, relayed: Mapping[str, bool]) -> None:
        self._metrics = metrics
        self._relayed = relayed
        self._created: set[tuple[str, str]] = set()

    def create(self) -> None:
        """What exists from the start, whatever is served and whoever calls."""
        metrics = self._metrics
        for phase in ENGINE_PHASES:
            metrics.timeouts.labels(phase)
        for reason in KEY_REFUSALS:
            metrics.auth_failures.labels(reason)
        for phase in CANCELLATION_PHASES:
            metrics.cancellations.labels(phase)
        for model in (NONE, OTHER):
            metrics.inflight.labels(model)
        for route, pairs in endings.ROUTES.items():
            self._create_requests(route, NONE, "false", pairs)
        for route, streams in self._relayed.items():
            self._create_requests(route, NONE, "false", endings.NO_MODEL)
            for stream in _streams(streams):
                self._create_requests(route, OTHER, stream, endings.UNKNOWN_MODEL)

    def create_model(self, label: str, *, has_price: bool) -> None:
        """What requests to a model can say that engines serve; "other" stands for those without series of their own."""
        if not self._is_new("model", label):
            return
        metrics = self._metrics
        for metric in (
            metrics.inflight, metrics.time_to_first_token, metrics.time_per_output_token,
            metrics.request_input_tokens, metrics.request_output_tokens,
            *((metrics.model_cost, metrics.output_equivalent_tokens) if has_price else ()),
        ):  # fmt: skip
            metric.labels(label)
        for kind in TOKEN_TYPES:
            metrics.tokens.labels(label, kind)
        for reason in endings.WASTED_OUTCOMES:
            metrics.wasted_tokens.labels(label, reason)
        for route, streams in self._relayed.items():
            for stream in _streams(streams):
                pairs = endings.KNOWN_MODEL_STREAM if stream == "true" else endings.KNOWN_MODEL
                self._create_requests(route, label, stream, pairs)

    def create_key(self, label: str, *, has_price: bool) -> None:
        """What the requests of a key can say."""
        if not self._is_new("key", label):
            return
        metrics = self._metrics
        for outcome in OUTCOMES:
            metrics.key_requests.labels(label, outcome)
        for kind in KEY_TOKEN_TYPES:
            metrics.key_tokens.labels(label, kind)
        for metric in (
            metrics.key_request_duration, metrics.key_time_to_first_token, *((metrics.key_cost,) if has_price else ()),
        ):  # fmt: skip
            metric.labels(label)

    def create_engine(self, engine: str) -> None:
        """What attempts and probes can say about an engine."""
        metrics = self._metrics
        for result in ATTEMPT_RESULTS:
            metrics.engine_requests.labels(engine, result)
        for probe_result in PROBE_RESULTS:
            metrics.engine_probes.labels(engine, probe_result)
        for kind in KEY_TOKEN_TYPES:
            metrics.engine_probe_tokens.labels(engine, kind)
        metrics.engine_retries.labels(engine)
        metrics.engine_ejections.labels(engine)

    def _create_requests(self, route: str, model: str, stream: str, pairs: Collection[Ending]) -> None:
        metrics = self._metrics
        metrics.requests_started.labels(route, model)
        metrics.request_duration.labels(route, model, stream)
        for outcome, code in pairs:
            metrics.requests.labels(route, model, stream, outcome, code)

    def _is_new(self, kind: str, label: str) -> bool:
        if (kind, label) in self._created:
            return False
        self._created.add((kind, label))
        return True


def _streams(can_stream: bool) -> Sequence[str]:
    """The values of the label `stream` on a route."""
    return ("false", "true") if can_stream else ("false",)
