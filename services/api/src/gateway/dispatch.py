"""Finds an engine that answers: choose → attempt → retry or penalize.

Before the first byte has gone to the client, an attempt that failed may move on. One that met a dead or hung engine may
try every other engine once; one that met an error or a slow engine only one more, within the retry budget; one that met
a full engine only one more.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from gateway.attempt import Headers, Timeouts, UpstreamResponse, attempt
from gateway.deadline import RequestDeadline
from gateway.dialects.openai.request import Endpoint, InferenceRequest
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
from gateway.policies.keys import Key
from gateway.telemetry.observation import RequestObservation
from gateway.telemetry.recorder import Recorder


class _Attempt(NamedTuple):
    """Which engine was asked, and when that began (`time.monotonic`)."""

    engine: Engine
    began: float


class Dispatcher:
    """Sends requests to engines.

    Args:
        fleet: The engines.
        timeouts: How long each phase may take.
        catalogue: Where attempts are counted.
    """

    def __init__(self, fleet: Fleet, timeouts: Timeouts, recorder: Recorder) -> None:
        self._fleet = fleet
        self._timeouts = timeouts
        self._recorder = recorder

    @asynccontextmanager
    async def open(
        self,
        endpoint: Endpoint,
        request: InferenceRequest,
        observation: RequestObservation,
        deadline: RequestDeadline,
        headers: Headers,
        key: Key,
    ) -> AsyncIterator[tuple[Engine, UpstreamResponse]]:
        """Finds an engine that answers, and yields it with its answer.

        Args:
            endpoint: Where the request came in.
            request: What it asks.
            observation: Where it is observed.
            deadline: What may cut it short.
            headers: To send to the engine.
            key: Whose request it is: what an error may tell depends on it.

        Raises:
            EngineError: The last attempt's failure.
            NoEngineReady: No engine is left that could be asked.
            ModelNotFound: None serves the model.
        """
        self._fleet.budget.record_request()
        failed: list[_Attempt] = []
        moved_once = False
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
                async with attempt(engine, endpoint, request, observation, deadline, self._timeouts, headers) as opened:
                    self._penalize(failed)
                    yield engine, opened
                result = "ok"
                engine.record_success()
            except GatewayError as error:
                result = _result(error)
                self._record(error, this, observation, on_trial=on_trial)
                if not self._should_retry(error, this, failed, request, observation, moved_once=moved_once):
                    if isinstance(error, EngineUnreachable):
                        raise self._fleet.unavailable_error([engine], detailed=key.role == "admin") from error
                    raise
                moved_once |= not _is_gone(error)
            except Exception:
                result = "error"  # a fault of our own, and nobody's wish
                raise
            else:
                return
            finally:
                if on_trial:
                    engine.outlier.on_trial = False
                self._recorder.attempt_finished(engine.name, result)
            failed.append(this)

    def _record(self, error: GatewayError, this: _Attempt, observation: RequestObservation, *, on_trial: bool) -> None:
        """Records what a failed attempt says of its engine for certain.

        What another engine may fail at just so (a 500, a slow first token) is the engine's fault only once another one
        has answered the same request: see `_penalize`.
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
        """These failures were the engines' own."""
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
        moved_once: bool,
    ) -> bool:
        """Whether a failed attempt may go on to another engine."""
        tried = [each.engine for each in (this, *failed)]
        final = not isinstance(error, EngineError) or (isinstance(error, EngineTimeout) and error.phase == "total")
        if observation.status is not None or final or not self._fleet.has_alternative(request.model, *tried):
            return False
        if not _is_gone(error):
            if moved_once:
                return False
            if not isinstance(error, EngineBusy) and not self._fleet.budget.try_acquire():
                if this.engine.is_suspect:  # another engine has shown before that the failure is this one's
                    self._penalize([this])
                return False
        self._recorder.retried(this.engine.name)
        return True


def _is_unreachable(error: GatewayError) -> bool:
    """Whether nothing answers at the engine's address: it refuses, or does not even do that."""
    return isinstance(error, EngineUnreachable) or (isinstance(error, EngineTimeout) and error.phase == "connect")


def _is_gone(error: GatewayError) -> bool:
    """Whether the engine has shown that it is not there, so that asking another one adds no load."""
    return _is_unreachable(error) or isinstance(error, EngineReset | EngineStalled)


def _broke_midway(error: GatewayError, observation: RequestObservation) -> bool:
    """Whether an answer that had begun broke off, or stopped coming: no request is to blame for that."""
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
