"""A request while it runs: where its facts are collected until they freeze into a `RequestRecord`."""

import time
from typing import TYPE_CHECKING

from gateway.errors import ClientDisconnected, ClientError, EnginePhase, EngineTimeout, GatewayError, Outcome
from gateway.telemetry.record import RequestRecord
from gateway.usage import Usage

if TYPE_CHECKING:
    from gateway.telemetry.recorder import Recorder

CLIENT_CLOSED_REQUEST = 499
_FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR = 400, 500


class RequestObservation:
    """What is known so far of one request. Made by `Recorder.begin`, ended once by `finish`.

    Attributes:
        status: The status line that went out; None before.
        cost: US dollars so far, of all attempts; None when no engine with a price was asked.
        quiet: True for health checks, which are counted but not logged.
    """

    __slots__ = (
        "_begun",
        "_first_token_at",
        "_last_token_at",
        "_recorder",
        "_started_at",
        "attempts",
        "cost",
        "engine",
        "error",
        "events",
        "key",
        "model",
        "quiet",
        "request_id",
        "route",
        "status",
        "stream",
        "usage",
    )

    def __init__(self, recorder: "Recorder", request_id: str, route: str, *, quiet: bool = False) -> None:
        self._recorder = recorder
        self._started_at = time.perf_counter()
        self._first_token_at: float | None = None
        self._last_token_at: float | None = None
        self._begun = False
        self.request_id = request_id
        self.route = route
        self.quiet = quiet
        self.key: str | None = None
        self.model = "none"
        self.engine: str | None = None
        self.stream = False
        self.status: int | None = None
        self.error: GatewayError | None = None
        self.usage: Usage | None = None
        self.events = 0
        self.attempts = 0
        self.cost: float | None = None

    def begin(self, model: str) -> None:
        """The model is known and the request is under way: from here on it counts as started and in flight."""
        self.model = model
        self._begun = True
        self._recorder.started(self.route, model)

    def token(self, events: int) -> None:
        """A token has just gone out: `events` of them so far."""
        self.events = events
        self._last_token_at = time.perf_counter()
        if self._first_token_at is None:
            self._first_token_at = self._last_token_at

    def charge(self, engine: str, usd: float, equivalents: float) -> None:
        """An attempt at an engine has ended and costs this: US dollars, and its tokens as output tokens."""
        self.cost = usd if self.cost is None else self.cost + usd
        self._recorder.costs.charge(engine, self.model, self.key or "none", usd, equivalents)

    def finish(self) -> None:
        """Ends the observation: it is counted and logged, whatever happened."""
        if not self._begun:
            self._recorder.started(self.route, self.model)
        self._recorder.finished(self._freeze(time.perf_counter()))

    def _freeze(self, now: float) -> RequestRecord:
        error = self.error
        phase: EnginePhase | None = error.phase if isinstance(error, EngineTimeout) else None
        first = self._first_token_at
        return RequestRecord(
            request_id=self.request_id,
            route=self.route,
            key=self.key,
            model=self.model,
            engine=self.engine,
            stream=self.stream,
            outcome=self._outcome(),
            code=self.status if self.status is not None else CLIENT_CLOSED_REQUEST,
            error_code=None if error is None else error.code or error.type,
            timeout_phase=phase,
            duration=now - self._started_at,
            ttft=None if first is None else first - self._started_at,
            generating=None if first is None or self._last_token_at is None else self._last_token_at - first,
            usage=self.usage,
            events=self.events,
            attempts=self.attempts,
            cost=self.cost,
            quiet=self.quiet,
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
        # The head went out as a success and the stream broke behind it, unless the request itself was to blame.
        broke = self.status is not None and self.status < _FIRST_CLIENT_ERROR
        return "stream_error" if broke and not isinstance(error, ClientError) else error.outcome
