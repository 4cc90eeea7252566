"""The whole way of a request, top to bottom: authenticate → dispatch → stream → record.

Nothing else writes to the client once the first byte is out. Before it, a failed attempt may move on to another engine
(see `dispatch`); after it, a failure ends the stream with an error event and is never replayed.
"""

from collections.abc import Iterator

from gateway.attempt import Timeouts, UpstreamResponse
from gateway.deadline import DeadlineTimer, RequestDeadline
from gateway.dialects.base import Endpoint, StreamDecoder, UsageScanner
from gateway.dispatch import Dispatcher
from gateway.engines import Engine, Fleet
from gateway.errors import EngineBadResponse, GatewayError, MethodNotAllowed
from gateway.exchange import Exchange
from gateway.policies.keys import Key, KeyRing
from gateway.policies.uploads import Upload, Uploads
from gateway.telemetry.recorder import Recorder

_OK = 200
# Bytes that are sent to a client at a time: the next piece waits until it has read most of this one.
_PIECE_BYTES = 65_536
# This many bodies of the maximum size may be arriving at the same time.
_MAX_LARGEST_BODIES = 16


class Relay:
    """Serves the relayed endpoints.

    Args:
        keys: Who may call.
        fleet: The engines.
        timeouts: How long each phase may take.
        max_body: Maximum size of a request's body, in bytes.
        recorder: Where attempts and failed keys are counted; the request itself is counted by its observation.
    """

    def __init__(self, *, keys: KeyRing, fleet: Fleet, timeouts: Timeouts, max_body: int, recorder: Recorder) -> None:
        self._keys = keys
        self._fleet = fleet
        self._timeouts = timeouts
        self._max_body = max_body
        self._uploads = Uploads(_MAX_LARGEST_BODIES * max_body)
        self._recorder = recorder
        self._dispatcher = Dispatcher(fleet, timeouts, recorder)
        self._deadlines = DeadlineTimer()

    async def serve(self, endpoint: Endpoint, exchange: Exchange) -> None:
        """Serves one request. The caller answers it when this raises, and finishes its observation.

        Raises:
            GatewayError: The request failed; part of an answer may have been sent.
        """
        exchange.deadline = deadline = RequestDeadline(self._deadlines, total=self._timeouts.total)
        try:
            with deadline:
                await self._handle(endpoint, exchange, deadline)
        finally:
            deadline.stop()

    async def _handle(self, endpoint: Endpoint, exchange: Exchange, deadline: RequestDeadline) -> None:
        if exchange.method != "POST":
            raise MethodNotAllowed(f"{endpoint.path} takes POST only.", allow="POST")
        key = self.authenticate(exchange)
        body = exchange.whole_body(self._max_body)
        if body is None:
            body = await self._body(exchange)
        request = endpoint.dialect.parse(endpoint, body)
        key.check_model(request.model)
        observation = exchange.observation
        observation.stream = request.stream
        observation.begin(self._fleet.label(request.model))
        deadline.watch_disconnect(exchange.on_disconnect)
        async with self._dispatcher.open(exchange, request, key) as (engine, response):
            with deadline:
                if response.stream is not None:
                    await self._stream(exchange, engine, response, response.stream)
                elif response.scanner is not None:
                    await self._relay_plain(exchange, response, response.scanner)
                else:
                    await self._send_plain(exchange, response.head)

    def authenticate(self, exchange: Exchange) -> Key:
        """The key of a request; failures are counted.

        Raises:
            Unauthorized: There is no valid key.
        """
        try:
            key = self._keys.authenticate(exchange.dialect.credentials(exchange.header))
        except GatewayError as error:
            self._recorder.auth_failed(error.code or "")
            raise
        exchange.observation.key = key.name
        return key

    async def _body(self, exchange: Exchange) -> bytes:
        """The request's body, which is still arriving or encoded.

        Raises:
            GatewayError: It is too long, stops arriving, or is damaged; or there is no room for it.
        """
        with Upload(self._uploads) as upload:

            def progress(size: int) -> None:
                exchange.deadline.phase("body", self._timeouts.body)
                upload.grow(size)

            progress(0)
            return await exchange.read_body(self._max_body, progress)

    async def _stream(
        self, exchange: Exchange, engine: Engine, response: UpstreamResponse, stream: StreamDecoder
    ) -> None:
        """Relays a stream to its end.

        Raises:
            GatewayError: It broke on the way, or the engine ended it with an error.
            ClientDisconnected: The client went away, or does not read.
        """
        observation, deadline, timeouts = exchange.observation, exchange.deadline, self._timeouts
        upstream, data, write = response.upstream, response.head, exchange.write
        await exchange.write_head(_OK, exchange.dialect.stream_headers)
        events_seen, last_event_at = 0, None
        while True:
            if stream.done:
                deadline.begin_final_write(timeouts.send)
                await exchange.end(data)
            else:
                deadline.phase("send", timeouts.send)
                if data:
                    await write(data)
            if stream.token_events > observation.token_events:
                observation.token(stream.token_events)
                engine.record_progress()
            if stream.failure is not None:
                raise stream.failure
            if stream.done:
                observation.usage = stream.usage
                return
            # A comment or an empty event keeps the connection alive but is no progress: the silence goes on.
            last_event_at = deadline.phase(
                "idle", timeouts.idle, since=last_event_at if stream.events_seen == events_seen else None
            )
            events_seen = stream.events_seen
            received = await upstream.chunk()
            data = stream.feed(received) if received else stream.finish()

    async def _send_plain(self, exchange: Exchange, body: bytes) -> None:
        """Sends a whole plain answer, piece by piece: a client that does not read it has not received it.

        Raises:
            ClientDisconnected: The client went away, or does not read.
        """
        deadline = exchange.deadline
        await exchange.write_head(_OK, exchange.plain_headers(len(body)))
        *pieces, last = _pieces(body)
        for piece in pieces:
            deadline.phase("send", self._timeouts.send)
            await exchange.write(piece)
        deadline.begin_final_write(self._timeouts.send)
        await exchange.end(last)

    async def _relay_plain(self, exchange: Exchange, response: UpstreamResponse, scanner: UsageScanner) -> None:
        """Relays a plain answer that is too large to be held, as it comes and as fast as the client reads it.

        Raises:
            EngineError: It broke on the way; nothing can tell the client but the end of the connection.
            ClientDisconnected: The client went away, or does not read.
        """
        deadline, timeouts = exchange.deadline, self._timeouts
        upstream, data = response.upstream, response.head
        length = upstream.headers.get(b"content-length")
        await exchange.write_head(_OK, exchange.plain_headers(None if length is None else int(length)))
        while data:
            scanner.feed(data)
            for piece in _pieces(data):
                deadline.phase("send", timeouts.send)
                await exchange.write(piece)
            deadline.phase("idle", timeouts.idle)
            data = await upstream.chunk()
        if not scanner.complete:
            raise EngineBadResponse("The engine's answer ended early.")
        exchange.observation.usage = scanner.usage
        deadline.begin_final_write(timeouts.send)
        await exchange.end()


def _pieces(body: bytes) -> Iterator[bytes]:
    """The body in pieces; a short one as it is."""
    if len(body) <= _PIECE_BYTES:
        yield body
        return
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
