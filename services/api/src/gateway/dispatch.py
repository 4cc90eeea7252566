"""Finds an engine that answers: choose → attempt → retry or penalize.

Before the first byte has gone to the client, a failed attempt may be retried at another engine: after a dead or hung
engine at every other one, once each; after an error or a slow engine at only one more, within the retry budget; after a
busy engine at only one more.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from gateway.attempt import Timeouts, UpstreamResponse, attempt, engine_headers
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


class _Attempt(NamedTuple):
    """An engine that was asked, and when that began (`time.monotonic`)."""

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
        self._fleet = fleet
        self._timeouts = timeouts
        self._recorder = recorder

    @asynccontextmanager
    async def open(
        self, exchange: Exchange, request: InferenceRequest, key: Key
    ) -> AsyncIterator[tuple[Engine, UpstreamResponse]]:
        """Finds an engine that answers, and yields it with its answer.

        Args:
            exchange: The request's.
            request: What it asks.
            key: Whose request it is: what an error may tell depends on it.

        Raises:
            EngineError: The last attempt failed.
            NoEngineReady: No engine is left to ask.
            ModelNotFound: No engine serves the model.
        """
        observation = exchange.observation
        headers = engine_headers(exchange)
        self._fleet.budget.record_request()
        failed: list[_Attempt] = []
        retried_once = False
        while True:
            engine = self._fleet.choose(
                request.model,
                exclude=[each.engine for each in failed],
                visible=key.may_use,
                detailed=key.role == "admin",
            )
            observation.engine = engine.name
            observation.attempts += 1
            result: AttemptResult = "cancelled"
            this = _Attempt(engine, time.monotonic())
            if on_trial := engine.is_due_for_trial:
                engine.outlier.on_trial = True
            try:
                async with attempt(engine, exchange, request, self._timeouts, headers) as response:
                    self._penalize(failed)
                    yield engine, response
                result = "ok"
                engine.record_success()
            except GatewayError as error:
                result = _result(error)
                self._record(error, this, observation, on_trial=on_trial)
                if not self._should_retry(error, this, failed, request, observation, retried_once=retried_once):
                    if isinstance(error, EngineUnreachable):
                        raise self._fleet.unavailable_error([engine], detailed=key.role == "admin") from error
                    raise
                retried_once |= not _is_gone(error)
            except Exception:
                result = "error"  # an error of our own, not a cancellation
                raise
            else:
                return
            finally:
                if on_trial:
                    engine.outlier.on_trial = False
                self._recorder.attempt_finished(engine.name, result)
            failed.append(this)

    def _record(self, error: GatewayError, this: _Attempt, observation: RequestObservation, *, on_trial: bool) -> None:
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
        elif on_trial or _broke_midway(error, observation):
            self._penalize([this])
        elif isinstance(error, EngineBadResponse):
            engine.recheck.set()

    def _penalize(self, failed: Sequence[_Attempt]) -> None:
        """Counts these failures against their engines."""
        for engine, began in failed:
            engine.record_failure(began, others_ready=self._fleet.others_ready(engine))

    def _should_retry(
        self,
        error: GatewayError,
        this: _Attempt,
        failed: Sequence[_Attempt],
        request: InferenceRequest,
        observation: RequestObservation,
        *,
        retried_once: bool,
    ) -> bool:
        """Whether a failed attempt may be retried at another engine."""
        tried = [each.engine for each in (this, *failed)]
        final = not isinstance(error, EngineError) or (isinstance(error, EngineTimeout) and error.phase == "total")
        if observation.status is not None or final or not self._fleet.has_alternative(request.model, *tried):
            return False
        if not _is_gone(error):
            if retried_once:
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
