"""One attempt at one engine: from sending the request to an answer that can be trusted, before the client sees it."""

import re
from typing import NamedTuple

from gateway.cost import EngineMeter
from gateway.dialects.base import Dialect, Headers, InferenceRequest, StreamAggregator, StreamDecoder, UsageScanner
from gateway.engines import Engine
from gateway.errors import EngineBadResponse
from gateway.exchange import Exchange
from gateway.upstream import Response, parse_retry_after

_OK = 200
# A plain answer up to this many bytes is held until it is whole; a longer one, most likely embeddings, is relayed as it
# comes.
PLAIN_BUFFER = 1_048_576
# No more of an error than this is read, in bytes.
_MAX_ERROR_BYTES = 65_536
# Headers of the client's that an engine gets (W3C Trace Context); all others stay here.
_TRACE_HEADERS = (b"traceparent", b"tracestate")
_TRACE_VALUE = re.compile(rb"[!-~][ -~]{0,511}")


class Timeouts(NamedTuple):
    """Seconds per phase of a request."""

    body: float
    ttft: float
    idle: float
    send: float
    total: float


class UpstreamResponse(NamedTuple):
    """What an attempt that succeeded so far has of the engine's answer.

    Attributes:
        upstream: Where the rest comes from.
        head: The stream's first events, the whole plain answer, or the beginning of one that is too large to hold.
        stream: Follows the stream; None for a plain answer.
        scanner: Scans a plain answer of which more is to come; None for one that is whole.
    """

    upstream: Response
    head: bytes
    stream: StreamDecoder | None = None
    scanner: UsageScanner | None = None


class Attempt:
    """One request to one engine, from its construction, from where on it counts as in flight, to `close`.

    Args:
        engine: The engine.
        exchange: The request's.
        request: What it asks.
        timeouts: How long each phase may take.
    """

    __slots__ = ("_deadline", "_exchange", "_meter", "_request", "_stream", "_timeouts", "_upstream", "engine")

    def __init__(self, engine: Engine, exchange: Exchange, request: InferenceRequest, timeouts: Timeouts) -> None:
        self.engine = engine
        self._exchange, self._deadline = exchange, exchange.deadline
        self._request, self._timeouts = request, timeouts
        self._meter: EngineMeter | None = engine.meter
        self._stream: StreamDecoder | None = None
        self._upstream: Response | None = None
        exchange.observation.token_events = 0
        engine.inflight += 1
        if self._meter is not None:
            self._meter.begin()

    async def response(self, headers: Headers) -> UpstreamResponse:
        """Sends the request, and reads an answer as far as it takes to trust it.

        A stream is trusted from its first event on, a plain answer when it is whole, or too large to be held.

        Args:
            headers: Those of the engine's request; see `engine_headers`.

        Raises:
            EngineError, ClientError: There is an error instead, or no answer at all.
        """
        engine, exchange, request, timeouts, deadline = (
            self.engine, self._exchange, self._request, self._timeouts, self._deadline,
        )  # fmt: skip
        dialect = request.endpoint.dialect
        stream, aggregator = _decoders(engine, request)
        self._stream = stream
        # A plain answer comes whole: until then, a long one and a hung engine look the same. The engine's monitor tells
        # them apart.
        deadline.phase("total" if stream is None else "ttft", timeouts.total if stream is None else timeouts.ttft)
        with deadline:
            engine.waiting.add(deadline.interrupt)
            body = dialect.to_engine(request, as_stream=aggregator is not None)
            self._upstream = upstream = await engine.upstream.request(
                b"POST", request.endpoint.engine_path, body, headers
            )
            if upstream.status != _OK or b"content-encoding" in upstream.headers:
                await _check_head(upstream, dialect)
            if stream is None:
                response = await _read_plain(upstream, dialect)
            else:
                response = await _first_event(upstream, stream, dialect)
            if aggregator is not None:
                await _aggregate(upstream, aggregator, engine, exchange, timeouts.idle)
                response = UpstreamResponse(upstream, aggregator.answer())
            if response.stream is None and response.scanner is None:
                answer, exchange.observation.usage = dialect.parse_answer(response.head)
                if answer is not response.head:
                    response = UpstreamResponse(upstream, answer)
                self._charge()  # the answer is whole; its head says what it cost
        engine.waiting.discard(deadline.interrupt)
        return response

    def close(self, *, finished: bool) -> None:
        """Lets the engine go.

        Args:
            finished: The answer has been relayed to its end. Otherwise the connection is cut, which is how an engine
                learns that nobody wants its answer any more.
        """
        engine, stream = self.engine, self._stream
        engine.waiting.discard(self._deadline.interrupt)
        engine.inflight -= 1
        self._charge()
        if self._upstream is not None:
            self._upstream.close(linger=finished, reuse=stream is None or not engine.closes_after_streams)

    def _charge(self) -> None:
        """The attempt has left the engine, and pays for what it has used itself, once."""
        meter, stream, observation = self._meter, self._stream, self._exchange.observation
        if meter is not None:
            self._meter = None
            usd, equivalents = meter.end(observation.usage, 0 if stream is None else stream.token_events)
            observation.charge(meter.engine, usd, equivalents)


def _decoders(engine: Engine, request: InferenceRequest) -> tuple[StreamDecoder | None, StreamAggregator | None]:
    """What follows the engine's stream, and makes a plain answer of it; None where there is nothing to do."""
    dialect = request.endpoint.dialect
    if request.stream:
        return dialect.stream(request), None
    if request.endpoint.streams and not engine.aborts_on_disconnect:
        aggregator = dialect.aggregator(request)
        return aggregator, aggregator
    return None, None


def engine_headers(exchange: Exchange) -> Headers:
    """The headers of an engine's request: its id, and the trace that it belongs to where the client gave one."""
    headers = [exchange.request_id_header]
    for name in _TRACE_HEADERS:
        value = exchange.header(name)
        if value is not None and _TRACE_VALUE.fullmatch(value):
            headers.append((name, value))
    return tuple(headers)


async def _check_head(upstream: Response, dialect: Dialect) -> None:
    """Makes sure that an answer follows.

    Raises:
        GatewayError: It is an error.
        EngineBadResponse: It is compressed, which nobody asked for.
    """
    if upstream.status != _OK:
        raise dialect.engine_error(
            upstream.status,
            await upstream.beginning(_MAX_ERROR_BYTES),
            retry_after=parse_retry_after(upstream.headers.get(b"retry-after")),
        )
    coding = upstream.headers.get(b"content-encoding", b"identity")
    if coding.lower() not in {b"identity", b""}:
        raise EngineBadResponse(
            f"The engine's answer is encoded as {coding.decode('latin-1')!r}, which nobody asked for."
        )


async def _read_plain(upstream: Response, dialect: Dialect) -> UpstreamResponse:
    """Reads a plain answer to its end, or as far as it may be held."""
    pieces: list[bytes] = []
    size = 0
    while size <= PLAIN_BUFFER:
        data = await upstream.chunk()
        if not data:
            return UpstreamResponse(upstream, pieces[0] if len(pieces) == 1 else b"".join(pieces))
        pieces.append(data)
        size += len(data)
    head = b"".join(pieces)
    if not head.lstrip().startswith(b"{"):
        raise EngineBadResponse("The engine's answer is not a JSON object.")
    return UpstreamResponse(upstream, head, scanner=dialect.usage_scanner())


async def _first_event(upstream: Response, stream: StreamDecoder, dialect: Dialect) -> UpstreamResponse:
    """Waits for a stream's first event.

    Raises:
        EngineBadResponse: What comes is not a stream of events.
        GatewayError: It is an error. One that comes behind tokens in the same piece is left to whoever relays those.
    """
    if not upstream.headers.get(b"content-type", b"").lower().startswith(b"text/event-stream"):
        error = dialect.error_in(await upstream.beginning(_MAX_ERROR_BYTES))
        raise error or EngineBadResponse("The engine answered a stream with something else.")
    head = b""
    while not stream.events_seen and stream.failure is None:
        head += await _next_events(upstream, stream)
    if stream.failure is not None and not stream.token_events:
        raise stream.failure
    return UpstreamResponse(upstream, head, stream)


async def _aggregate(
    upstream: Response, stream: StreamAggregator, engine: Engine, exchange: Exchange, idle: float
) -> None:
    """Reads a stream, of which a plain answer is made, to its end.

    Raises:
        GatewayError: It broke on the way.
    """
    observation, deadline = exchange.observation, exchange.deadline
    events_seen, last_event_at = 0, None
    while stream.failure is None and not stream.done:
        observation.token_events = stream.token_events  # what is wasted should the answer never be whole
        if stream.events_seen != events_seen:
            engine.record_progress()
        last_event_at = deadline.phase("idle", idle, since=last_event_at if stream.events_seen == events_seen else None)
        events_seen = stream.events_seen
        await _next_events(upstream, stream)
    if stream.failure is not None:
        raise stream.failure


async def _next_events(upstream: Response, stream: StreamDecoder) -> bytes:
    """Feeds the stream with its next bytes, or ends it; returns what may go to the client."""
    data = await upstream.chunk()
    return stream.feed(data) if data else stream.finish()
