"""The series that a finished request increments: by its model and by its key."""

from functools import cached_property

from gateway.telemetry.increments import BoundHistogram, BoundSummary, Cell, cell
from gateway.telemetry.initial_series import KEY_TOKEN_TYPES, TOKEN_TYPES
from gateway.telemetry.metrics import Metrics
from gateway.usage import Usage


class ModelSeries:
    """The series of a model's requests. Those that only some requests have are looked up for the first of them.

    Args:
        metrics: Where they are.
        model: The label.
    """

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model
        self.inflight = cell(metrics.inflight.labels(model))
        self._started: dict[str, Cell] = {}

    @cached_property
    def time_to_first_token(self) -> BoundHistogram:
        """Of streams."""
        return BoundHistogram(self._metrics.time_to_first_token.labels(self._model))

    @cached_property
    def time_per_output_token(self) -> BoundHistogram:
        """Of streams."""
        return BoundHistogram(self._metrics.time_per_output_token.labels(self._model))

    @cached_property
    def _lengths(self) -> tuple[BoundHistogram, BoundHistogram]:
        metrics = self._metrics
        return tuple(  # type: ignore[return-value]  # of two
            BoundHistogram(metric.labels(self._model))
            for metric in (metrics.request_input_tokens, metrics.request_output_tokens)
        )

    @cached_property
    def _tokens(self) -> list[Cell]:
        return [cell(self._metrics.tokens.labels(self._model, kind)) for kind in TOKEN_TYPES]

    def started(self, route: str) -> Cell:
        """Requests to this route that have started."""
        started = self._started.get(route)
        if started is None:
            started = self._started[route] = cell(self._metrics.requests_started.labels(route, self._model))
        return started

    def count(self, usage: Usage) -> None:
        """Counts a request's tokens."""
        prompt, answer = self._lengths
        prompt.observe(usage.input)
        answer.observe(usage.output)
        for tokens, count in zip(self._tokens, usage, strict=True):
            if count:
                tokens[0] += count


class EndingSeries:
    """The series of requests that end alike.

    Args:
        metrics: Where they are.
        route, model, stream, outcome, code: The labels.
    """

    def __init__(self, metrics: Metrics, route: str, model: str, stream: bool, outcome: str, code: int) -> None:
        streamed = "true" if stream else "false"
        self._requests = cell(metrics.requests.labels(route, model, streamed, outcome, str(code)))
        self._duration = BoundHistogram(metrics.request_duration.labels(route, model, streamed))

    def count(self, duration: float) -> None:
        """Counts a request, which took so many seconds."""
        self._requests[0] += 1
        self._duration.observe(duration)


class KeySeries:
    """The series of a key's requests.

    Args:
        metrics: Where they are.
        key: The label.
    """

    def __init__(self, metrics: Metrics, key: str) -> None:
        self._metrics, self._key = metrics, key
        self._requests: dict[str, Cell] = {}
        self._duration = BoundSummary(metrics.key_request_duration.labels(key))
        self.time_to_first_token = BoundSummary(metrics.key_time_to_first_token.labels(key))
        self._tokens = [cell(metrics.key_tokens.labels(key, kind)) for kind in KEY_TOKEN_TYPES]

    def count(self, outcome: str, duration: float, usage: Usage | None) -> None:
        """Counts a request and its tokens; it took so many seconds."""
        requests = self._requests.get(outcome)
        if requests is None:
            requests = self._requests[outcome] = cell(self._metrics.key_requests.labels(self._key, outcome))
        requests[0] += 1
        self._duration.observe(duration)
        if usage is not None:
            for tokens, count in zip(self._tokens, usage, strict=False):
                if count:
                    tokens[0] += count
