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
    abort_connection,
    header,
    read_body,
    response_headers,
    send_error,
    wait_for_disconnect,
)
from gateway.attempt import Headers, Timeouts, UpstreamResponse, next_events
from gateway.deadline import RequestDeadline, cancellation_handled
from gateway.dialects.openai.errors import error_event
from gateway.dialects.openai.request import Endpoint, parse_request
from gateway.dialects.openai.stream import EventStream
from gateway.dialects.openai.usage_scan import UsageScanner
from gateway.dispatch import Dispatcher
from gateway.engines import Engine, Fleet
from gateway.errors import ClientDisconnected, EngineBadResponse, GatewayError, MethodNotAllowed, ShuttingDown
from gateway.policies.keys import Key, KeyRing
from gateway.policies.uploads import Upload, Uploads
from gateway.telemetry.observation import RequestObservation
from gateway.telemetry.recorder import Recorder

_OK = 200
_ERROR_SEND_TIMEOUT_S = 5.0
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

    def __init__(self, *, keys: KeyRing, fleet: Fleet, timeouts: Timeouts, max_body: int, recorder: Recorder) -> None:
        self._keys = keys
        self._fleet = fleet
        self._timeouts = timeouts
        self._max_body = max_body
        self._uploads = Uploads(_LARGEST_AT_ONCE * max_body)
        self._recorder = recorder
        self._dispatcher = Dispatcher(fleet, timeouts, recorder)

    async def serve(
        self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send, observation: RequestObservation
    ) -> None:
        """Serves one request, and answers it whatever happens. The caller finishes the observation."""
        deadline = RequestDeadline(total=self._timeouts.total)
        try:
            with deadline:
                await self._handle(endpoint, scope, receive, send, observation, deadline)
        except GatewayError as error:
            observation.error = error
        except asyncio.CancelledError:
            cancellation_handled()
            observation.error = ShuttingDown("The gateway is shutting down. Please try again.", retry_after=1)
        except Exception:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            logger.exception("request {} failed inside the gateway", observation.request_id)
            observation.error = GatewayError.unexpected(observation.request_id)
        finally:
            deadline.stop()
        if observation.error is not None:
            await self._send_error(scope, receive, send, observation, observation.error)

    async def _handle(
        self,
        endpoint: Endpoint,
        scope: Scope,
        receive: Receive,
        send: Send,
        observation: RequestObservation,
        deadline: RequestDeadline,
    ) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{endpoint.path} takes POST only.", allow="POST")
        key = self.authenticate(scope, observation)
        request = parse_request(endpoint, await self._body(scope, receive, deadline))
        key.check_model(request.model)
        observation.stream = request.stream
        observation.begin(self._fleet.label(request.model))
        deadline.watch_disconnect(partial(wait_for_disconnect, receive))
        headers = _engine_headers(scope, observation)
        async with self._dispatcher.open(endpoint, request, observation, deadline, headers, key) as (
            engine,
            opened,
        ):
            with deadline:
                if opened.events is not None:
                    await self._stream(engine, opened, opened.events, send, observation, deadline)
                elif opened.rest is not None:
                    await self._relay_plain(opened, opened.rest, send, observation, deadline)
                else:
                    await self._send_plain(opened.first, send, observation, deadline)

    async def _body(self, scope: Scope, receive: Receive, deadline: RequestDeadline) -> bytes:
        """The request's body.

        Raises:
            GatewayError: It is too long, stops coming, or is no whole body; or there is no room for it.
        """
        with Upload(self._uploads) as upload:

            def progress(size: int) -> None:
                deadline.phase("body", self._timeouts.body)
                upload.grown(size)

            progress(0)
            return await read_body(scope, receive, self._max_body, progress)

    def authenticate(self, scope: Scope, observation: RequestObservation) -> Key:
        """The key of a request; failures are counted.

        Raises:
            Unauthorized: There is no good key.
        """
        try:
            key = self._keys.authenticate(header(scope, b"authorization"))
        except GatewayError as error:
            self._recorder.auth_failed(error.code or "")
            raise
        observation.key = key.name
        return key

    async def _stream(
        self,
        engine: Engine,
        opened: UpstreamResponse,
        events: EventStream,
        send: Send,
        observation: RequestObservation,
        deadline: RequestDeadline,
    ) -> None:
        """Relays a stream to its end.

        Raises:
            GatewayError: It broke on the way, or the engine ended it with an error.
            ClientDisconnected: The client went away, or would not read.
        """
        timeouts, data = self._timeouts, opened.first
        name = (b"x-request-id", observation.request_id.encode())
        observation.status = _OK
        await send({"type": "http.response.start", "status": _OK, "headers": [*EVENTS, name]})
        events_seen, last_event_at = 0, None
        while True:
            if events.done:
                deadline.begin_final_write(timeouts.send)
            else:
                deadline.phase("send", timeouts.send)
            if data or events.done:
                await send({"type": "http.response.body", "body": data, "more_body": not events.done})
            if events.events > observation.token_events:
                observation.token(events.events)
                engine.record_progress()
            if events.failure is not None:
                raise events.failure
            if events.done:
                observation.usage = events.usage
                return
            # A comment or an empty event keeps the connection alive but is no progress: the silence goes on.
            last_event_at = deadline.phase(
                "idle", timeouts.idle, since=last_event_at if events.events_seen == events_seen else None
            )
            events_seen = events.events_seen
            data = await next_events(opened.response, events)

    async def _send_plain(
        self, body: bytes, send: Send, observation: RequestObservation, deadline: RequestDeadline
    ) -> None:
        """Sends a plain answer that is whole, piece by piece: a client that does not read it has not got it.

        Raises:
            ClientDisconnected: The client went away, or would not read.
        """
        headers = response_headers(observation, len(body), JSON)
        observation.status = _OK
        await send({"type": "http.response.start", "status": _OK, "headers": headers})
        *pieces, last = _pieces(body)
        for piece in pieces:
            deadline.phase("send", self._timeouts.send)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        deadline.begin_final_write(self._timeouts.send)
        await send({"type": "http.response.body", "body": last})

    async def _relay_plain(
        self,
        opened: UpstreamResponse,
        scanner: UsageScanner,
        send: Send,
        observation: RequestObservation,
        deadline: RequestDeadline,
    ) -> None:
        """Relays a plain answer that is too large to be held, as it comes and as fast as the client reads it.

        Raises:
            EngineError: It broke on the way; nothing can tell the client but the end of the connection.
            ClientDisconnected: The client went away, or would not read.
        """
        timeouts, response, data = self._timeouts, opened.response, opened.first
        length = response.headers.get(b"content-length")
        headers = response_headers(observation, None if length is None else int(length), JSON)
        observation.status = _OK
        await send({"type": "http.response.start", "status": _OK, "headers": headers})
        while data:
            scanner.feed(data)
            for piece in _pieces(data):
                deadline.phase("send", timeouts.send)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            deadline.phase("idle", timeouts.idle)
            data = await response.chunk()
        if not scanner.complete:
            raise EngineBadResponse("The engine's answer ended early.")
        observation.usage = scanner.usage
        deadline.begin_final_write(timeouts.send)
        await send({"type": "http.response.body", "body": b""})

    async def _send_error(
        self, scope: Scope, receive: Receive, send: Send, observation: RequestObservation, error: GatewayError
    ) -> None:
        """The end of a request that failed: an answer before the first byte, an error event after it.

        Behind the first byte of a plain answer there is no room for an error: only its connection can end.
        """
        if isinstance(error, ClientDisconnected) or (observation.status is not None and not observation.stream):
            await abort_connection(scope, receive)
            return
        try:
            async with asyncio.timeout(_ERROR_SEND_TIMEOUT_S):
                if observation.status is None:
                    await send_error(send, observation, error)
                else:
                    await send({"type": "http.response.body", "body": error_event(error)})
        except TimeoutError:
            await abort_connection(scope, receive)


def _engine_headers(scope: Scope, observation: RequestObservation) -> Headers:
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
