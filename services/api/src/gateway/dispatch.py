"""Finds an engine that answers: choose → attempt → retry or penalize.

Before the first byte has gone to the client, a failed attempt may be retried at another engine: after a dead or hung
engine at every other one, once each; after an error or a slow engine at only one more, within the retry budget; after a
busy engine at only one more.
"""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

from gateway.attempt import Attempt, Timeouts, UpstreamResponse, engine_headers
from gateway.dialects.base import InferenceRequest
from gateway.engines import Engine, Fleet
from gateway.errors import (
    AttemptResult,
    ClientDisconnected,
    EngineBadResponse,
    EngineBusy,
    EngineError,
    EngineReset,
    EngineStalled,
    EngineTimeout,
    EngineUnreachable,
    GatewayError,
)
from gateway.exchange import Exchange
from gateway.policies.keys import Key
from gateway.telemetry.observation import RequestObservation
from gateway.telemetry.recorder import Recorder


class _Failure(NamedTuple):
    """An engine whose attempt failed, and when that began (`time.monotonic`)."""

    engine: Engine
    began: float


class Dispatcher:
    """Sends requests to engines.

    Args:
        fleet: The engines.
        timeouts: How long each phase may take.
        recorder: Where attempts are counted.
    """

    def __init__(self, fleet: Fleet, timeouts: Timeouts, recorder: Recorder) -> None:
        self.fleet = fleet
        self.timeouts = timeouts
        self.recorder = recorder

    def open(self, exchange: Exchange, request: InferenceRequest, key: Key) -> "Dispatch":
        """What finds an engine that answers.

        Args:
            exchange: The request's.
            request: What it asks.
            key: Whose request it is: what an error may tell depends on it.
        """
        return Dispatch(self, exchange, request, key)


class Dispatch:
    """One request on its way to an engine. Enter it for the engine that answers, and its answer.

    Raises:
        EngineError: On entering: the last attempt failed.
        NoEngineReady: On entering: no engine is left to ask.
        ModelNotFound: On entering: no engine serves the model.
    """

    __slots__ = (
        *("_attempt", "_began", "_exchange", "_failed", "_fleet", "_key", "_on_trial", "_recorder", "_request"),
        *("_retried_once", "_timeouts"),
    )

    def __init__(self, dispatcher: Dispatcher, exchange: Exchange, request: InferenceRequest, key: Key) -> None:
        self._fleet, self._timeouts, self._recorder = dispatcher.fleet, dispatcher.timeouts, dispatcher.recorder
        self._exchange, self._request, self._key = exchange, request, key
        self._failed: list[_Failure] = []
        self._retried_once = False

    async def __aenter__(self) -> tuple[Engine, UpstreamResponse]:
        headers = engine_headers(self._exchange)
        self._fleet.budget.record_request()
        while True:
            self._begin()
            try:
                response = await self._attempt.response(headers)
            except BaseException as error:
                if not self._failed_with(error):
                    raise
            else:
                if self._failed:
                    self._penalize(self._failed)
                return self._attempt.engine, response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._attempt.close(finished=True)
            self._attempt.engine.record_success()
            self._end("ok")
        else:
            self._failed_with(error)

    def _begin(self) -> None:
        """Chooses an engine, and begins an attempt at it."""
        observation = self._exchange.observation
        engine = self._fleet.choose(
            self._request.model,
            exclude=[failure.engine for failure in self._failed] if self._failed else (),
            visible=self._key.may_use,
            detailed=self._key.role == "admin",
        )
        observation.engine = engine.name
        observation.attempts += 1
        self._began = time.monotonic()
        self._on_trial = engine.is_due_for_trial
        if self._on_trial:
            engine.outlier.on_trial = True
        self._attempt = Attempt(engine, self._exchange, self._request, self._timeouts)

    def _end(self, result: AttemptResult) -> None:
        """Counts the attempt, which has been closed."""
        engine = self._attempt.engine
        if self._on_trial:
            engine.outlier.on_trial = False
        self._recorder.attempt_finished(engine.name, result)

    def _failed_with(self, error: BaseException) -> bool:
        """Ends the attempt, which failed; whether another engine is to be asked.

        Raises:
            NoEngineReady: Instead of an error that only says that the engine is gone.
        """
        self._attempt.close(finished=False)
        if not isinstance(error, GatewayError):
            self._end("error" if isinstance(error, Exception) else "cancelled")  # one of our own, or a cancellation
            return False
        this = _Failure(self._attempt.engine, self._began)
        try:
            self._record(error, this)
            if self._should_retry(error, this):
                self._retried_once |= not _is_gone(error)
                self._failed.append(this)
                return True
        finally:
            self._end(_result(error))
        if isinstance(error, EngineUnreachable):
            raise self._fleet.unavailable_error([this.engine], detailed=self._key.role == "admin") from error
        return False

    def _record(self, error: GatewayError, this: _Failure) -> None:
        """Records what a failed attempt proves about its engine.

        A failure that another engine might share (a 500, a slow first token) counts against the engine only once
        another one has answered the same request: see `_penalize`.
        """
        engine = this.engine
        if isinstance(error, EngineBusy):
            engine.record_busy(error.retry_after)
        elif isinstance(error, EngineStalled) or not isinstance(error, EngineError):
            return
        elif _is_unreachable(error):
            engine.mark_unreachable(error.message)
            engine.recheck.set()
        elif isinstance(error, EngineReset) and not error.has_begun:
            engine.mark_unreachable(error.message, is_certain=False)
            engine.recheck.set()
        elif isinstance(error, EngineTimeout) and error.phase == "total":
            return
        elif self._on_trial or _broke_midway(error, self._exchange.observation):
            self._penalize([this])
        elif isinstance(error, EngineBadResponse):
            engine.recheck.set()

    def _penalize(self, failed: Sequence[_Failure]) -> None:
        """Counts these failures against their engines."""
        for engine, began in failed:
            engine.record_failure(began, others_ready=self._fleet.others_ready(engine))

    def _should_retry(self, error: GatewayError, this: _Failure) -> bool:
        """Whether a failed attempt may be retried at another engine."""
        tried = [each.engine for each in (this, *self._failed)]
        final = not isinstance(error, EngineError) or (isinstance(error, EngineTimeout) and error.phase == "total")
        has_begun = self._exchange.observation.status is not None
        if has_begun or final or not self._fleet.has_alternative(self._request.model, *tried):
            return False
        if not _is_gone(error):
            if self._retried_once:
                return False
            if not isinstance(error, EngineBusy) and not self._fleet.budget.try_acquire():
                if this.engine.is_suspect:  # another engine has shown before that this one is to blame
                    self._penalize([this])
                return False
        self._recorder.retried(this.engine.name)
        return True


def _is_unreachable(error: GatewayError) -> bool:
    """Whether nothing answers at the engine's address: it refuses connections, or does not react at all."""
    return isinstance(error, EngineUnreachable) or (isinstance(error, EngineTimeout) and error.phase == "connect")


def _is_gone(error: GatewayError) -> bool:
    """Whether the engine has proved to be gone, so that a retry adds no load."""
    return _is_unreachable(error) or isinstance(error, EngineReset | EngineStalled)


def _broke_midway(error: GatewayError, observation: RequestObservation) -> bool:
    """Whether an answer that had begun broke off or stalled: no request is to blame for that."""
    if isinstance(error, EngineTimeout):
        return error.phase == "idle"
    return observation.status is not None or isinstance(error, EngineReset)


def _result(error: GatewayError) -> AttemptResult:
    for kind, result in _RESULTS.items():
        if isinstance(error, kind):
            return result
    return "rejected" if error.outcome == "client_error" else "error"


_RESULTS: dict[type[GatewayError], AttemptResult] = {
    EngineBusy: "busy",
    EngineUnreachable: "unreachable",
    EngineReset: "reset",
    EngineBadResponse: "broken",
    EngineTimeout: "timeout",
    ClientDisconnected: "cancelled",
}
