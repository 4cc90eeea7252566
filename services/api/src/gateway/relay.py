"""The whole way of a request, top to bottom: authenticate → dispatch → stream → record.

Nothing else writes to the client once the first byte is out. Before it, a failed attempt may move on to another engine
(see `dispatch`); after it, a failure ends the stream with an error event and is never replayed.
"""

import asyncio
import re
from collections.abc import Iterator
from functools import partial

from loguru import logger

from gateway.asgi import (
    EVENTS,
    JSON,
    Receive,
    Scope,
    Send,
    answer_error,
    answer_headers,
    client_gone,
    drop_connection,
    header,
    read_body,
)
from gateway.attempt import Headers, Opened, Timeouts, next_events
from gateway.dialects.openai.errors import error_event
from gateway.dialects.openai.request import Endpoint, parse_request
from gateway.dialects.openai.stream import EventStream
from gateway.dialects.openai.usage_scan import UsageScanner
from gateway.dispatch import Dispatcher
from gateway.engines import Engine, Fleet
from gateway.errors import ClientGone, EngineBroken, GatewayError, Interrupted, MethodNotAllowed
from gateway.guard import Guard, cancellation_handled
from gateway.keys import Key, KeyRing
from gateway.telemetry.catalogue import Catalogue
from gateway.telemetry.observation import Observation
from gateway.uploads import Upload, Uploads

_OK = 200
_LAST_WORD_TIMEOUT_S = 5.0
# What goes to a client at a time, in bytes: the next piece waits until it has read most of this one.
_PIECE = 65_536
# As many bodies of the largest size may be on their way at a time.
_LARGEST_AT_ONCE = 16
# Headers of the client's that an engine gets (W3C Trace Context); all others stay here.
_TRACE_HEADERS = (b"traceparent", b"tracestate")
_TRACE_VALUE = re.compile(rb"[!-~][ -~]{0,511}")


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
        self._uploads = Uploads(_LARGEST_AT_ONCE * max_body)
        self._catalogue = catalogue
        self._dispatcher = Dispatcher(fleet, timeouts, catalogue)

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
            cancellation_handled()
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
        request = parse_request(endpoint, await self._body(scope, receive, guard))
        key.check_model(request.model)
        observation.stream = request.stream
        observation.begin(self._fleet.label(request.model))
        guard.watch(partial(client_gone, receive))
        headers = _engine_headers(scope, observation)
        async with self._dispatcher.open(endpoint, request, observation, guard, headers, key) as (
            engine,
            opened,
        ):
            with guard:
                if opened.events is not None:
                    await self._stream(engine, opened, opened.events, send, observation, guard)
                elif opened.rest is not None:
                    await self._relay_plain(opened, opened.rest, send, observation, guard)
                else:
                    await self._send_plain(opened.first, send, observation, guard)

    async def _body(self, scope: Scope, receive: Receive, guard: Guard) -> bytes:
        """The request's body.

        Raises:
            GatewayError: It is too long, stops coming, or is no whole body; or there is no room for it.
        """
        with Upload(self._uploads) as upload:

            def progress(size: int) -> None:
                guard.phase("body", self._timeouts.body)
                upload.grown(size)

            progress(0)
            return await read_body(scope, receive, self._max_body, progress)

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

    async def _stream(
        self, engine: Engine, opened: Opened, events: EventStream, send: Send, observation: Observation, guard: Guard
    ) -> None:
        """Relays a stream to its end.

        Raises:
            GatewayError: It broke on the way, or the engine ended it with an error.
            ClientGone: The client went away, or would not read.
        """
        timeouts, data = self._timeouts, opened.first
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
                engine.record_progress()
            if events.failure is not None:
                raise events.failure
            if events.done:
                observation.usage = events.usage
                return
            # A comment or an empty event keeps the connection alive but is no progress: the silence goes on.
            heard = guard.phase("idle", timeouts.idle, since=heard if events.beats == beats else None)
            beats = events.beats
            data = await next_events(opened.response, events)

    async def _send_plain(self, body: bytes, send: Send, observation: Observation, guard: Guard) -> None:
        """Sends a plain answer that is whole, piece by piece: a client that does not read it has not got it.

        Raises:
            ClientGone: The client went away, or would not read.
        """
        headers = answer_headers(observation, len(body), JSON)
        observation.status = _OK
        await send({"type": "http.response.start", "status": _OK, "headers": headers})
        *pieces, last = _pieces(body)
        for piece in pieces:
            guard.phase("send", self._timeouts.send)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        guard.last_bytes(self._timeouts.send)
        await send({"type": "http.response.body", "body": last})

    async def _relay_plain(
        self, opened: Opened, scanner: UsageScanner, send: Send, observation: Observation, guard: Guard
    ) -> None:
        """Relays a plain answer that is too large to be held, as it comes and as fast as the client reads it.

        Raises:
            EngineError: It broke on the way; nothing can tell the client but the end of the connection.
            ClientGone: The client went away, or would not read.
        """
        timeouts, response, data = self._timeouts, opened.response, opened.first
        length = response.headers.get(b"content-length")
        headers = answer_headers(observation, None if length is None else int(length), JSON)
        observation.status = _OK
        await send({"type": "http.response.start", "status": _OK, "headers": headers})
        while data:
            scanner.feed(data)
            for piece in _pieces(data):
                guard.phase("send", timeouts.send)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            guard.phase("idle", timeouts.idle)
            data = await response.chunk()
        if not scanner.complete:
            raise EngineBroken("The engine's answer ended early.")
        observation.usage = scanner.usage
        guard.last_bytes(timeouts.send)
        await send({"type": "http.response.body", "body": b""})

    async def _last_word(
        self, scope: Scope, receive: Receive, send: Send, observation: Observation, error: GatewayError
    ) -> None:
        """The end of a request that failed: an answer before the first byte, an error event after it.

        Behind the first byte of a plain answer there is no room for an error: only its connection can end.
        """
        if isinstance(error, ClientGone) or (observation.status is not None and not observation.stream):
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


def _engine_headers(scope: Scope, observation: Observation) -> Headers:
    """The headers of an engine's request: its name, and the trace that it belongs to where the client gave one."""
    traced = ((name, header(scope, name)) for name in _TRACE_HEADERS)
    return (
        (b"x-request-id", observation.request_id.encode()),
        *((name, value) for name, value in traced if value is not None and _TRACE_VALUE.fullmatch(value)),
    )


def _pieces(body: bytes) -> Iterator[bytes]:
    """The body in pieces; a short one as it is."""
    if len(body) <= _PIECE:
        yield body
        return
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]
