"""A request while it runs: collects its facts until they are frozen into a `RequestRecord`."""

import time
from typing import Protocol

from gateway.errors import ClientDisconnected, ClientError, EnginePhase, EngineTimeout, GatewayError, Outcome
from gateway.telemetry.record import RequestRecord
from gateway.usage import Usage

CLIENT_CLOSED_REQUEST = 499
_FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR = 400, 500


class RequestSink(Protocol):
    """Receives what is observed of requests. The recorder is one."""

    def started(self, route: str, model: str) -> None:
        """A request has started."""

    def charged(self, engine: str, model: str, key: str, usd: float, equivalents: float) -> None:
        """An attempt at an engine has cost this."""

    def finished(self, record: RequestRecord) -> None:
        """A request has finished."""


class RequestObservation:
    """What is known so far of one request. Created by `Recorder.begin`, ended once by `finish`.

    Args:
        sink: Where it is counted and logged.
        request_id: As in the `x-request-id` header.
        route: The route's path, or "other".
        log: False for health checks, which are counted but not logged.

    Attributes:
        status: The status that was sent; None before.
        token_events: Events with a token that have been sent.
        cost: US dollars so far, for all attempts; None when no engine with a price was asked.
    """

    __slots__ = (
        "_begun",
        "_first_token_at",
        "_last_token_at",
        "_sink",
        "_started_at",
        "attempts",
        "cost",
        "engine",
        "error",
        "key",
        "log",
        "model",
        "request_id",
        "route",
        "status",
        "stream",
        "token_events",
        "usage",
    )

    def __init__(self, sink: RequestSink, request_id: str, route: str, *, log: bool = True) -> None:
        self._sink = sink
        self._started_at = time.perf_counter()
        self._first_token_at: float | None = None
        self._last_token_at: float | None = None
        self._begun = False
        self.request_id = request_id
        self.route = route
        self.log = log
        self.key: str | None = None
        self.model = "none"
        self.engine: str | None = None
        self.stream = False
        self.status: int | None = None
        self.error: GatewayError | None = None
        self.usage: Usage | None = None
        self.token_events = 0
        self.attempts = 0
        self.cost: float | None = None

    def begin(self, model: str) -> None:
        """The model is known and the request is running: from here on it counts as started and in flight."""
        self.model = model
        self._begun = True
        self._sink.started(self.route, model)

    def token(self, events: int) -> None:
        """A token has just been sent, with the last of `events` events so far."""
        self.token_events = events
        self._last_token_at = time.perf_counter()
        if self._first_token_at is None:
            self._first_token_at = self._last_token_at

    def charge(self, engine: str, usd: float, equivalents: float) -> None:
        """An attempt at an engine has ended. It costs this many US dollars, for its tokens as output tokens."""
        self.cost = usd if self.cost is None else self.cost + usd
        self._sink.charged(engine, self.model, self.key or "none", usd, equivalents)

    def finish(self) -> None:
        """Ends the observation: the request is counted and logged, however it ended."""
        if not self._begun:
            self._sink.started(self.route, self.model)
        self._sink.finished(self._freeze(time.perf_counter()))

    def _freeze(self, now: float) -> RequestRecord:
        error = self.error
        phase: EnginePhase | None = error.phase if isinstance(error, EngineTimeout) else None
        first = self._first_token_at
        return RequestRecord(  # by position, which takes half the time
            self.request_id,
            self.route,
            self.key,
            self.model,
            self.engine,
            self.stream,
            self._outcome(),
            CLIENT_CLOSED_REQUEST if self.status is None else self.status,
            None if error is None else error.code or error.type,
            phase,
            now - self._started_at,
            None if first is None else first - self._started_at,
            None if first is None or self._last_token_at is None else self._last_token_at - first,
            self.usage,
            self.token_events,
            self.attempts,
            self.cost,
            self.log,
        )

    def _outcome(self) -> Outcome:
        error = self.error
        if error is None:
            status = self.status
            if status is None:
                return "internal_error"
            if status < _FIRST_CLIENT_ERROR:
                return "ok"
            return "client_error" if status < _FIRST_SERVER_ERROR else "internal_error"
        if isinstance(error, ClientDisconnected | EngineTimeout):
            return error.outcome
        # The head was sent as a success and the stream broke after it, unless the request itself was to blame.
        broke_midway = self.status is not None and self.status < _FIRST_CLIENT_ERROR
        return "stream_error" if broke_midway and not isinstance(error, ClientError) else error.outcome
