"""The whole way of a request, top to bottom: authenticate → choose → open → stream → record.

Nothing else writes to the client once the first byte is out. Before it, an attempt that fails may move on to one other
engine; after it, a failure ends the stream with an error event and is never replayed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from loguru import logger

from gateway.asgi import (
    EVENTS,
    JSON,
    Receive,
    Scope,
    Send,
    answer,
    answer_error,
    client_gone,
    drop_connection,
    header,
    read_body,
)
from gateway.attempt import Opened, Timeouts, attempt, next_bytes
from gateway.dialects.openai.answer import error_event
from gateway.dialects.openai.request import Endpoint, Inference, parse_request
from gateway.dialects.openai.stream import EventStream
from gateway.engines import Engine, Fleet
from gateway.errors import (
    AttemptResult,
    ClientGone,
    EngineBroken,
    EngineError,
    EngineReset,
    EngineTimeout,
    EngineUnreachable,
    GatewayError,
    Interrupted,
    MethodNotAllowed,
)
from gateway.guard import Guard
from gateway.keys import Key, KeyRing
from gateway.telemetry.catalogue import Catalogue
from gateway.telemetry.observation import Observation

_OK = 200
_LAST_WORD_TIMEOUT_S = 5.0


class Relay:
    """Serves the relayed endpoints.

    Args:
        keys: Who may call.
        fleet: Where to.
        timeouts: How long each phase may take.
        max_body: Largest request body, bytes.
        catalogue: Where attempts and failed keys are counted; the request itself is counted by its observation.
    """

    def __init__(self, *, keys: KeyRing, fleet: Fleet, timeouts: Timeouts, max_body: int, catalogue: Catalogue) -> None:
        self._keys = keys
        self._fleet = fleet
        self._timeouts = timeouts
        self._max_body = max_body
        self._catalogue = catalogue

    async def serve(
        self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send, observation: Observation
    ) -> None:
        """Serves one request, and answers it whatever happens. The caller finishes the observation."""
        guard = Guard(total=self._timeouts.total)
        try:
            with guard:
                await self._way(endpoint, scope, receive, send, observation, guard)
        except GatewayError as error:
            observation.error = error
        except asyncio.CancelledError:
            observation.error = Interrupted("The gateway is shutting down. Please try again.", retry_after=1)
        except Exception:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            logger.exception("request {} failed inside the gateway", observation.request_id)
            observation.error = GatewayError.unexpected(observation.request_id)
        finally:
            guard.stop()
        if observation.error is not None:
            await self._last_word(scope, receive, send, observation, observation.error)

    async def _way(
        self,
        endpoint: Endpoint,
        scope: Scope,
        receive: Receive,
        send: Send,
        observation: Observation,
        guard: Guard,
    ) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{endpoint.path} takes POST only.", allow="POST")
        key = self.authenticate(scope, observation)
        guard.phase("body", self._timeouts.body)
        request = parse_request(endpoint, await read_body(scope, receive, self._max_body))
        key.check_model(request.model)
        observation.stream = request.stream
        observation.begin(self._fleet.label(request.model))
        guard.watch(partial(client_gone, receive))
        async with self._open(endpoint, request, observation, guard) as (engine, opened):
            with guard:
                if opened.events is None:
                    guard.last_bytes(self._timeouts.send)
                    await answer(send, observation, _OK, opened.first, JSON)
                else:
                    await self._stream(engine, opened, opened.events, send, observation, guard)

    def authenticate(self, scope: Scope, observation: Observation) -> Key:
        """The key of a request; failures are counted.

        Raises:
            Unauthorized: There is no good key.
        """
        try:
            key = self._keys.authenticate(header(scope, b"authorization"))
        except GatewayError as error:
            self._catalogue.auth_failures.labels(error.code).inc()
            raise
        observation.key = key.name
        return key

    @asynccontextmanager
    async def _open(
        self, endpoint: Endpoint, request: Inference, observation: Observation, guard: Guard
    ) -> AsyncIterator[tuple[Engine, Opened]]:
        """Finds an engine that answers, and yields it with its answer.

        Raises:
            EngineError: The last attempt's failure.
            NoEngineReady: No engine is left that could be asked.
        """
        self._fleet.budget.request()
        tried: list[Engine] = []
        while True:
            engine = self._fleet.choose(request.model, without=tried)
            observation.engine = engine.name
            observation.attempts += 1
            result: AttemptResult = "cancelled"
            try:
                async with attempt(engine, endpoint, request, observation, guard, self._timeouts) as opened:
                    engine.worked()
                    self._blame(tried)
                    yield engine, opened
                result = "ok"
            except GatewayError as error:
                result = _RESULTS.get(type(error), "rejected" if error.outcome == "client_error" else "error")
                if not self._may_move_on(error, engine, tried, request, observation):
                    if isinstance(error, EngineUnreachable) and not self._fleet.others_serve(request.model, engine):
                        raise self._fleet.not_ready([engine]) from error
                    raise
            except Exception:
                result = "error"  # a fault of our own, and nobody's wish
                raise
            else:
                return
            finally:
                self._catalogue.engine_requests.labels(engine.name, result).inc()
            tried.append(engine)

    def _blame(self, failed: list[Engine]) -> None:
        """Another engine could answer: the failure was theirs. Where all fail, it may be the request's own doing."""
        for engine in failed:
            engine.failed_once(others_ready=self._fleet.others_ready(engine))

    def _may_move_on(
        self, error: GatewayError, engine: Engine, tried: list[Engine], request: Inference, observation: Observation
    ) -> bool:
        """Whether a failed attempt may go on to one other engine."""
        if isinstance(error, EngineUnreachable):
            engine.unreachable(error.message)
        begun = observation.status is not None
        final = not isinstance(error, EngineError) or (isinstance(error, EngineTimeout) and error.phase == "total")
        if begun or final or tried or not self._fleet.others_serve(request.model, engine):
            return False
        if not isinstance(error, EngineUnreachable | EngineReset) and not self._fleet.budget.spend():
            if engine.suspect:
                self._blame([engine])  # another engine has shown before that the failure is this one's
            return False
        self._catalogue.engine_retries.labels(engine.name).inc()
        return True

    async def _stream(
        self, engine: Engine, opened: Opened, events: EventStream, send: Send, observation: Observation, guard: Guard
    ) -> None:
        """Relays a stream to its end.

        Raises:
            EngineError: It broke on the way.
            ClientGone: The client went away, or would not read.
        """
        timeouts, response, data = self._timeouts, opened.response, opened.first
        name = (b"x-request-id", observation.request_id.encode())
        observation.status = _OK
        await send({"type": "http.response.start", "status": _OK, "headers": [*EVENTS, name]})
        beats, heard = 0, None
        while True:
            if events.done:
                guard.last_bytes(timeouts.send)
            else:
                guard.phase("send", timeouts.send)
            if data or events.done:
                await send({"type": "http.response.body", "body": data, "more_body": not events.done})
            if events.events > observation.events:
                observation.token(events.events)
                engine.worked()
            if events.failure is not None:
                raise EngineBroken(f"The engine failed: {events.failure}")
            if events.done:
                observation.usage = events.usage
                return
            # A comment keeps the connection alive but is no sign of life: the silence goes on.
            heard = guard.phase("idle", timeouts.idle, since=heard if events.beats == beats else None)
            beats = events.beats
            data = events.feed(await next_bytes(response))

    async def _last_word(
        self, scope: Scope, receive: Receive, send: Send, observation: Observation, error: GatewayError
    ) -> None:
        """The end of a request that failed: an answer before the first byte, an error event after it."""
        if isinstance(error, ClientGone):
            await drop_connection(scope, receive)
            return
        try:
            async with asyncio.timeout(_LAST_WORD_TIMEOUT_S):
                if observation.status is None:
                    await answer_error(send, observation, error)
                else:
                    await send({"type": "http.response.body", "body": error_event(error)})
        except TimeoutError:
            await drop_connection(scope, receive)


_RESULTS: dict[type[GatewayError], AttemptResult] = {
    EngineUnreachable: "unreachable",
    EngineReset: "reset",
    EngineBroken: "broken",
    EngineTimeout: "timeout",
    ClientGone: "cancelled",
}
